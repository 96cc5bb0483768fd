//! A service on Flex Consumption that a person destroys, by the whole daemon: both of its apps go from Azure with what they stood on, and
//! nothing that is not ours.

use serde_json::{Value, json};
use verdigris::{
    name::{Actor, ServiceKey},
    plan::act::Action,
};

use crate::stage::real::{ENVIRONMENT, Site, eventually, is_live, until};

const GROUP: &str = "subscriptions/6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab/resourceGroups/shop";
const WEB: &str = "providers/Microsoft.Web";
const WEB_API: &str = "2025-05-01";

async fn ask(site: &Site, method: &str, path: &str, body: &Value) -> Value {
    let url = format!(
        "{}/{GROUP}/{path}?api-version={WEB_API}",
        site.clouds.arm.url
    );
    let method = method.parse().unwrap();
    let asked = reqwest::Client::new()
        .request(method, url)
        .bearer_auth("somebody")
        .json(body);
    let text = asked.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Names of all plans and Function Apps of the resource group.
async fn names(site: &Site) -> Vec<String> {
    let mut names = Vec::new();
    for kind in ["serverfarms", "sites"] {
        let listed = ask(site, "GET", &format!("{WEB}/{kind}"), &json!({})).await;
        let listed = listed["value"].as_array().cloned().unwrap_or_default();
        let of = |one: &Value| format!("{kind} {}", one["name"].as_str().unwrap());
        names.extend(listed.iter().map(of));
    }
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn both_apps_of_a_destroyed_service_go_and_nothing_that_is_not_ours() {
    let site = Site::new().await;
    for unneeded in ["services/cart", "services/price"] {
        site.author.remove(unneeded).unwrap();
    }
    let environment = ENVIRONMENT.replace("plan: EP1", "plan: FC1");
    site.author.write("environment.yaml", environment).unwrap();
    site.author.commit("the shop opens").unwrap();
    let daemon = site.local_daemon().await;
    let key: ServiceKey = "prod/inventory".parse().unwrap();
    until(&daemon, &key, "live", is_live).await;
    let ours = names(&site).await;
    assert_eq!(ours.len(), 4, "two apps, each with its plan: {ours:?}");

    // Somebody else's, on the same account and in the same group; one is even called like ours.
    let plan = json!({"location": "westeurope", "kind": "functionapp", "sku": {"name": "EP1"}, "properties": {"reserved": true}});
    let theirs_plan = format!("{WEB}/serverfarms/theirs");
    ask(&site, "PUT", &theirs_plan, &plan).await;
    let app = json!({
        "location": "westeurope", "kind": "functionapp,linux", "tags": {"team": "them"},
        "properties": {"serverFarmId": format!("/{GROUP}/{theirs_plan}"), "reserved": true},
    });
    for name in ["theirs", "verdigris-prod-inventory"] {
        ask(&site, "PUT", &format!("{WEB}/sites/{name}"), &app).await;
    }
    let theirs: Vec<String> = names(&site)
        .await
        .into_iter()
        .filter(|name| !ours.contains(name))
        .collect();
    assert_eq!(theirs.len(), 3, "{theirs:?}");

    let plan = daemon.handle.destruction(&key).await.unwrap();
    let destroy = Action::Destroy {
        plan: plan.hash.hex(),
        reason: "the trial is over".to_owned(),
    };
    let actor = Actor::person("ana");
    daemon.handle.act(&key, destroy, actor).await.unwrap();
    // Each cloud goes at its own pace.
    eventually(|| async {
        let left = names(&site).await;
        let (functions, _) = site.clouds.resources().await;
        if left == theirs && functions.is_empty() {
            return Ok(());
        }
        Err(format!(
            "left are {functions:?} and {left:?}, and not {theirs:?}"
        ))
    })
    .await;
    daemon.stop().await;
}
