//! What the endpoints answer late, and what they never do.

use serde_json::{Value, json};
use verdigris::local::{
    arm::ArmOptions,
    faults::{Faults, Rule},
    lambda::LambdaOptions,
};

use super::late;
use crate::{
    local_arm::kit::Local,
    local_lambda::{self, Cloud, echo},
};

const FUNCTION: &str = "2015-03-31/functions/stock";
const SITE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Web/sites/shop-stock";

/// As a client that knows no SDK: status and body.
async fn ask(cloud: &Cloud, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = cloud.endpoint.url.join(path).unwrap();
    let request = reqwest::Client::new().request(method.parse().unwrap(), url);
    let answer = request.json(&body).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn look(cloud: &Cloud, path: &str) -> (u16, Value) {
    ask(cloud, "GET", path, Value::Null).await
}

fn on(faults: &Faults) {
    faults.set(vec![late(1)]);
}

#[tokio::test]
async fn lambda_tells_late_what_was_made_changed_and_deleted() {
    let cloud = Cloud::start(local_lambda::options()).await;
    cloud.create("stock", &echo("a")).await;
    cloud.publish("stock").await;
    on(cloud.endpoint.faults());
    let alias = format!("{FUNCTION}/aliases/blue");
    let aliases = format!("{FUNCTION}/aliases");
    let made = json!({"Name": "blue", "FunctionVersion": "1"});
    assert_eq!(ask(&cloud, "POST", &aliases, made).await.0, 201);
    assert_eq!(look(&cloud, &alias).await.0, 404);
    assert_eq!(look(&cloud, &aliases).await.1["Aliases"], json!([]));
    let (status, first) = look(&cloud, &alias).await;
    assert_eq!(status, 200);

    let guard = first["RevisionId"].clone();
    let told = |text: &str| json!({"Description": text, "RevisionId": guard});
    assert_eq!(ask(&cloud, "PUT", &alias, told("one")).await.0, 200);
    assert_eq!(look(&cloud, &alias).await.1, first, "as it was before");
    // Who writes over what was told is refused: writes know what is true.
    assert_eq!(ask(&cloud, "PUT", &alias, told("two")).await.0, 412);
    let second = look(&cloud, &alias).await.1;
    assert_eq!(second["Description"], "one");

    assert_eq!(ask(&cloud, "DELETE", &alias, Value::Null).await.0, 204);
    assert_eq!(look(&cloud, &alias).await.1, second, "still there");
    assert_eq!(look(&cloud, &alias).await.0, 404);
    assert!(cloud.endpoint.stale_answers() > 3);
}

#[tokio::test]
async fn a_new_role_cannot_be_assumed_at_once() {
    let options = LambdaOptions {
        stale_reads: 1,
        ..local_lambda::options()
    };
    let cloud = Cloud::start(options).await;
    let form = "Action=CreateRole&Version=2010-05-08&RoleName=own&Path=/verdigris/x/&AssumeRolePolicyDocument={}";
    let kind = "application/x-www-form-urlencoded";
    let request = reqwest::Client::new().post(cloud.endpoint.url.clone());
    let made = request.header("content-type", kind).body(form).send().await;
    assert_eq!(made.unwrap().status(), 200);
    let role = "arn:aws:iam::111122223333:role/verdigris/x/own";
    let package = echo("a");
    let make = || package.request(cloud.client(), "stock").role(role).send();
    let refused = make().await.unwrap_err().into_service_error();
    assert!(
        refused.to_string().contains("InvalidParameterValue"),
        "{refused}"
    );
    make().await.unwrap();
}

#[tokio::test]
async fn azure_tells_late_what_was_made_changed_and_deleted() {
    let local = Local::with_site(ArmOptions::default()).await;
    on(local.endpoint.faults());
    let list = SITE.trim_end_matches("/shop-stock");
    let other = format!("{list}/other");
    let body = json!({"location": "westeurope", "tags": {"a": "1"}});
    let call = async |method: &str, path: &str, body: &Value| {
        let method = method.parse().unwrap();
        let body = Some(body).filter(|body| !body.is_null());
        let reply = local.call(method, path, body).await;
        (reply.status, reply.body)
    };
    assert_eq!(call("PUT", &other, &body).await.0, 200);
    let names = async || {
        let told = local.get(list).await;
        told["value"].as_array().unwrap().len()
    };
    assert_eq!(call("GET", &other, &Value::Null).await.0, 404);
    assert_eq!((names().await, names().await), (1, 2));
    assert_eq!(call("GET", &other, &Value::Null).await.0, 200);

    let settings = format!("{SITE}/config/appsettings");
    let asked = format!("{settings}/list");
    let given = json!({"properties": {"X": "1"}});
    assert_eq!(call("PUT", &settings, &given).await.0, 200);
    let told = async || call("POST", &asked, &json!({})).await.1["properties"]["X"].clone();
    assert_eq!((told().await, told().await), (Value::Null, json!("1")));

    assert_eq!(call("DELETE", &other, &Value::Null).await.0, 200);
    assert_eq!(call("GET", &other, &Value::Null).await.0, 200);
    assert_eq!(call("GET", &other, &Value::Null).await.0, 404);
    local.endpoint.faults().set(vec![Rule::of("*")]);
    assert_eq!(call("PUT", &other, &body).await.0, 200);
    assert_eq!(call("GET", &other, &Value::Null).await.0, 200);
    local.end().await;
}
