//! Faults on request, and what outlives a restart.

use aws_sdk_lambda::error::SdkError;
use serde_json::json;
use verdigris::local::{
    faults::{Rule, RuleError},
    lambda::LambdaOptions,
};

use super::{Cloud, Package, options, refusal};

fn hello() -> Package {
    Package::python(
        "def handler(event, context):\n    return {'statusCode': 200, 'body': 'hello'}\n",
    )
}

#[tokio::test]
async fn faults_happen_as_often_as_they_were_asked_for() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &hello()).await;
    cloud.publish("stock").await;
    let throttle = Rule {
        throttle: true,
        times: Some(1),
        ..Rule::of("CreateAlias")
    };
    let error = RuleError {
        status: 500,
        code: "ServiceException".into(),
        message: None,
    };
    let fail = Rule {
        error: Some(error),
        times: Some(1),
        ..Rule::of("CreateAlias")
    };
    let lose = Rule {
        lose_reply: true,
        times: Some(1),
        ..Rule::of("CreateAlias")
    };
    cloud.endpoint.faults().set(vec![throttle, fail, lose]);
    let create = || {
        cloud
            .client
            .create_alias()
            .function_name("stock")
            .name("blue")
            .function_version("1")
            .send()
    };
    assert_eq!(refusal(create().await).0, 429);
    assert_eq!(refusal(create().await).1, "ServiceException");
    let lost = create().await.unwrap_err();
    assert!(
        matches!(
            lost,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_)
        ),
        "{lost:?}"
    );
    // The work was done all the same.
    assert_eq!(refusal(create().await).1, "ResourceConflictException");
    assert_eq!(cloud.endpoint.faults().calls()["CreateAlias"], 4);
}

#[tokio::test]
async fn faults_are_set_over_http_too() {
    let cloud = Cloud::start(options()).await;
    let http = reqwest::Client::new();
    let faults = cloud.endpoint.url.join("_verdigris/faults").unwrap();
    let rules = json!([{"operation": "ListFunctions", "throttle": true}]);
    let set = http.put(faults.clone()).json(&rules).send().await.unwrap();
    assert_eq!(set.status(), 200);
    assert_eq!(refusal(cloud.client.list_functions().send().await).0, 429);
    let listed: serde_json::Value = http
        .get(faults.clone())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(listed[0]["operation"], "ListFunctions");
    let misspelt = json!([{"operation": "ListFunctions", "throtle": true}]);
    assert_eq!(
        http.put(faults.clone())
            .json(&misspelt)
            .send()
            .await
            .unwrap()
            .status(),
        422
    );
    assert_eq!(http.delete(faults).send().await.unwrap().status(), 204);
    cloud.client.list_functions().send().await.unwrap();
    let calls = cloud.endpoint.url.join("_verdigris/calls").unwrap();
    let calls: serde_json::Value = http.get(calls).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls, json!({"ListFunctions": 2}));
}

async fn names(cloud: &Cloud) -> Vec<String> {
    let list = cloud.client.list_functions().send().await.unwrap();
    let functions = list.functions.unwrap_or_default().into_iter();
    functions
        .filter_map(|function| function.function_name)
        .collect()
}

#[tokio::test]
async fn everything_but_processes_survives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let kept = || LambdaOptions {
        state: Some(state.path().to_owned()),
        ..options()
    };
    let cloud = Cloud::start(kept()).await;
    cloud.create("stock", &hello()).await;
    cloud.publish("stock").await;
    cloud.alias("stock", "blue", "1").await;
    let address = cloud.address("stock", "blue").await;
    let get = cloud.client.get_alias().function_name("stock").name("blue");
    let before = get.send().await.unwrap();
    cloud.stop().await;

    let broken = state.path().join("lambda/functions/broken.json");
    std::fs::write(&broken, "{").unwrap();
    let cloud = Cloud::start(kept()).await;
    let get = cloud.client.get_alias().function_name("stock").name("blue");
    let after = get.send().await.unwrap();
    assert_eq!(before.revision_id(), after.revision_id());
    let hello = reqwest::get(&address).await.unwrap().text().await.unwrap();
    assert_eq!(hello, "hello");
    assert!(!broken.exists() && broken.with_extension("unreadable").exists());
    assert_eq!(names(&cloud).await, ["stock"]);
    let delete = cloud.client.delete_function().function_name("stock");
    delete.send().await.unwrap();
    cloud.stop().await;

    let cloud = Cloud::start(kept()).await;
    assert!(names(&cloud).await.is_empty());
    let zips = std::fs::read_dir(state.path().join("lambda/packages/zipped"));
    assert_eq!(
        zips.unwrap().count(),
        0,
        "packages that nobody wants are gone"
    );
}

/// A page can post text to any address without asking, and a function made so would run its code here.
#[tokio::test]
async fn web_pages_are_kept_out_of_the_control_plane_and_not_of_functions() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &hello()).await;
    cloud.publish("stock").await;
    cloud.alias("stock", "blue", "1").await;
    let client = reqwest::Client::new();
    for (path, header, value) in [
        (
            "2015-03-31/functions/stock",
            "origin",
            "https://evil.example",
        ),
        ("2015-03-31/functions/stock", "origin", "null"),
        ("2015-03-31/functions/stock", "sec-fetch-site", "cross-site"),
        ("2015-03-31/functions/stock", "host", "evil.example:4566"),
        ("_verdigris/faults", "sec-fetch-site", "same-site"),
        ("_verdigris/faults", "host", "evil.example"),
    ] {
        let url = cloud.endpoint.url.join(path).unwrap();
        let asked = client.delete(url).header(header, value);
        let status = asked.send().await.unwrap().status();
        assert_eq!(status, 403, "{path} {header}: {value}");
    }
    // Nothing was done, and those who are let in are let in by either name.
    let port = cloud.endpoint.url.port().unwrap();
    for host in ["127.0.0.1", "localhost", "lambda.localhost"] {
        let url = cloud
            .endpoint
            .url
            .join("2015-03-31/functions/stock")
            .unwrap();
        let asked = client.get(url).header("host", format!("{host}:{port}"));
        assert_eq!(asked.send().await.unwrap().status(), 200, "{host}");
    }
    let address = cloud.address("stock", "blue").await;
    let asked = client.get(address).header("origin", "https://shop.example");
    // Not open to everyone, for want of a permission: it is the function's door that says so.
    let answer = asked.send().await.unwrap();
    assert!(!answer.text().await.unwrap().contains("web pages"));
}
