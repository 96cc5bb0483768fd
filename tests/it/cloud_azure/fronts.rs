//! An API of API Management in front of an app.

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    manifest::azure::{ApiFront, AzureApp},
};

use super::{
    local::{GROUP, Local},
    options,
    places::{asking, blue_fields},
    release, scope,
};

pub(super) const APIM: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.ApiManagement/service/shop";

pub(super) async fn with_management() -> Local {
    let local = Local::start().await;
    let body = json!({"location": "westeurope"});
    local.to("PUT", GROUP, "2024-11-01", &body).await.unwrap();
    local.to("PUT", APIM, "2024-05-01", &body).await.unwrap();
    local
}

pub(super) fn cloud_behind(url: &str) -> AzureCloud {
    let mut options = options(url);
    options.target.shared.api_management = Some(APIM.to_owned());
    AzureCloud::new(options).unwrap()
}

fn front(addresses: &[&str]) -> AzureApp {
    AzureApp {
        api: Some(ApiFront {
            path: "shop/stock".to_owned(),
            addresses: addresses.iter().map(|&it| it.to_owned()).collect(),
            ..ApiFront::default()
        }),
        ..AzureApp::default()
    }
}

async fn edit_api(local: &Local, api: &str) {
    let found = local.to("GET", api, "2024-05-01", &Value::Null).await;
    let mut edited = found.unwrap();
    edited["properties"]["description"] = json!("Made by Verdigris for test/inventory");
    let url = format!("{}{api}?api-version=2024-05-01", local.arm.url);
    let client = reqwest::Client::new();
    let sent = client.put(url).bearer_auth("x").header("if-match", "*");
    let sent = sent.json(&edited).send().await.unwrap();
    assert!(sent.status().is_success());
}

#[tokio::test]
async fn an_api_in_front_has_the_operations_and_rules_of_the_release_on_blue() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let (one, two) = (asking(1, front(&["203.0.113.7"])), asking(2, front(&[])));
    let three = release(3, &[]);
    let packages = ["one", "two", "three"].map(|word| local.package(word));
    let api = format!("{APIM}/apis/vg-test-inventory");
    let part = async |part: &str| {
        let id = format!("{api}{part}");
        local.to("GET", &id, "2024-05-01", &Value::Null).await
    };

    cloud.stage(&one, &packages[0]).await.unwrap();
    assert_eq!(part("").await, None, "a release on green has no users");
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let found = part("").await.unwrap();
    assert_eq!(found["properties"]["path"], "shop/stock");
    let policy = part("/policies/policy").await.unwrap()["properties"]["value"].clone();
    assert!(
        policy
            .as_str()
            .unwrap()
            .contains("<address>203.0.113.7</address>"),
        "{policy}"
    );
    let operations = part("/operations").await.unwrap();
    assert_eq!(
        operations["value"][0]["properties"]["urlTemplate"],
        "/stock/{sku}"
    );
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, packages[0].code)
    );
    let before = cloud.writing_calls();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.repair(&one, &packages[0]).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");

    cloud.stage(&two, &packages[1]).await.unwrap();
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    let policy = part("/policies/policy").await.unwrap()["properties"]["value"].clone();
    assert!(!policy.as_str().unwrap().contains("ip-filter"), "{policy}");

    // Somebody's hand on the API is seen, and taken back.
    edit_api(&local, &api).await;
    assert_eq!(blue_fields(&cloud, &two).await["app.api"], "otherwise");
    cloud.repair(&two, &packages[1]).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &two).await,
        cloud.expected(&two, packages[1].code)
    );

    cloud.stage(&three, &packages[2]).await.unwrap();
    cloud.promote(&scope(&three), three.digest).await.unwrap();
    assert_eq!(part("").await, None, "nobody asks for it any more");
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert!(part("").await.is_some(), "the way back brings it back");
    cloud.prune(&scope(&two)).await.unwrap();
    assert_eq!(part("").await, None);
}

#[tokio::test]
async fn an_api_of_others_is_left_alone() {
    let local = with_management().await;
    let theirs = json!({"properties": {"path": "theirs", "description": "by hand"}});
    let api = format!("{APIM}/apis/vg-test-inventory");
    local.to("PUT", &api, "2024-05-01", &theirs).await.unwrap();
    let cloud = cloud_behind(&local.arm.url);
    let one = asking(1, front(&[]));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let error = cloud.promote(&scope(&one), one.digest).await.unwrap_err();
    assert!(matches!(error, CloudError::NotOurs { .. }), "{error}");
    cloud.prune(&scope(&one)).await.unwrap();
    assert!(
        local
            .to("GET", &api, "2024-05-01", &Value::Null)
            .await
            .is_some()
    );
}
