//! A Function App that was there before us becomes a service's own.

use std::collections::BTreeSet;

use serde_json::json;
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    import::{clouds::clouds, report::Verdict},
    manifest::{
        azure::{ApiFront, AzureApp, AzureCors, HeaderRule, Sticky, TokenRule},
        spec::EnvValue,
    },
    name::CloudName,
};

use super::{
    cloud,
    fronts::{APIM, cloud_behind, with_management},
    local::Local,
    options,
    places::{asking, with_everything},
    release, scope,
};

#[tokio::test]
async fn an_app_without_our_tags_is_foreign_until_it_is_adopted_by_its_id() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[]);
    let (scope, package) = (scope(&one), local.package("one"));
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope, one.digest).await.unwrap();
    let theirs = json!({ "tags": { "team": "other" } });
    local.by_hand("PATCH", "", &theirs).await;
    let refused = cloud.stage(&one, &package).await.unwrap_err();
    assert!(matches!(refused, CloudError::NotOurs { .. }), "{refused}");
    let foreign: BTreeSet<_> = cloud
        .observe(&scope)
        .await
        .unwrap()
        .foreign
        .into_iter()
        .collect();
    assert_eq!(foreign.len(), 1);
    let operate = cloud.operate().unwrap();
    let another = BTreeSet::from(["/subscriptions/x/another".to_owned()]);
    operate.adopt(&scope, &another).await.unwrap();
    assert_eq!(
        cloud.observe(&scope).await.unwrap().foreign.len(),
        1,
        "it was not named"
    );
    operate.adopt(&scope, &foreign).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.foreign.is_empty() && observed.blue.holds(one.digest));
    let site = local.by_hand("GET", "", &json!({})).await;
    assert_eq!(site["tags"]["team"], "other", "their tags stay");
    let taken = json!({ "tags": { "verdigris-owner": "verdigris", "verdigris-service": "other" } });
    local.by_hand("PATCH", "", &taken).await;
    let refused = operate.adopt(&scope, &foreign).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("belongs to the service `other`"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_app_that_is_not_ours_is_listed_with_its_functions_and_its_settings() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[("LOG_LEVEL", "info")]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let scope = scope(&one);
    cloud.promote(&scope, one.digest).await.unwrap();
    let operate = cloud.operate().unwrap();
    let ours = operate.found().await.unwrap();
    assert_eq!(ours.len(), 1);
    assert!(ours[0].is_ours, "{ours:?}");
    local.by_hand("PATCH", "", &json!({ "tags": {} })).await;
    let found = operate.found().await.unwrap();
    let [app] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(!app.is_ours);
    assert_eq!(app.name, "vg-test-inventory");
    assert_eq!(app.variables["LOG_LEVEL"], "info");
    let names: Vec<_> = app.functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["reorder", "stock"], "{app:?}");
    let imported = clouds(CloudName::Azure, "shop", &found);
    assert!(imported.manifests.contains("LOG_LEVEL: info"));
    assert!(!imported.manifests.contains("WEBSITE_"));
}

/// What somebody runs on Azure, and what its manifest asks for, are the same.
#[tokio::test]
async fn what_an_app_of_others_has_is_what_its_manifest_asks_for() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let texts = |one: &str| BTreeSet::from([one.to_owned()]);
    let mut asked = *with_everything(1).content.azure.clone().unwrap();
    let blue = Some(EnvValue::Plain("live".to_owned()));
    asked.preview = false;
    asked.sticky = [("MODE".to_owned(), Sticky { blue, green: None })].into();
    let api = asked.api.as_mut().unwrap();
    api.subscription = true;
    api.addresses = texts("203.0.113.1-203.0.113.9");
    let header = HeaderRule {
        values: texts("shop"),
        status: Some(403),
    };
    api.headers = [("x-tenant".to_owned(), header)].into();
    api.cors = Some(AzureCors {
        origins: texts("https://shop.example"),
        credentials: true,
    });
    api.token = Some(TokenRule {
        openid: "https://login.example/.well-known/openid-configuration".to_owned(),
        audiences: texts("api://stock"),
        issuers: BTreeSet::new(),
    });
    let one = asking(1, asked.clone());
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let theirs = json!({ "tags": asked.tags, "properties": { "clientCertEnabled": true } });
    local.by_hand("PATCH", "", &theirs).await;

    let found = cloud.operate().unwrap().found().await.unwrap();
    let place = "00000000-0000-0000-0000-000000000001/shop";
    let imported = clouds(CloudName::Azure, place, &found);
    let set = crate::manifests::read(&[("brought.yaml", &imported.manifests)]);
    let faults: Vec<_> = set.faults.iter().map(ToString::to_string).collect();
    let wrong = set.faults.iter().any(|fault| fault.is_error());
    assert!(!wrong, "{faults:?}\n{}", imported.manifests);
    let service = &set.services.values().next().unwrap().service;
    asked.name = Some("vg-test-inventory".to_owned());
    assert_eq!(service.azure.as_deref(), Some(&asked));
    let environment = set.environments.values().next().unwrap();
    let target = environment.azure.as_ref().unwrap();
    assert_eq!(
        (target.plan.0.as_str(), target.location.as_str()),
        ("EP1", "westeurope")
    );
    assert!(target.shared.api_management.is_some());
    let report = imported.report.text();
    for told in [
        "certificates",
        "azure.sticky.MODE.green",
        "connection strings",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
}

/// Functions as other people's pipelines put them there.
fn by_other_people() -> Vec<(String, String)> {
    let function = |bindings: serde_json::Value| json!({ "bindings": bindings }).to_string();
    let http = |level: &str, route: &str| {
        function(json!([
            { "type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get"], "authLevel": level, "route": route },
            { "type": "http", "direction": "out", "name": "$return" },
        ]))
    };
    let timer = |schedule: &str| {
        let timer =
            json!({ "type": "timerTrigger", "direction": "in", "name": "t", "schedule": schedule });
        function(json!([timer]))
    };
    let bus = json!({ "type": "serviceBusTrigger", "direction": "in", "name": "m", "queueName": "Orders", "connection": "Bus" });
    let queue = json!({ "type": "queueTrigger", "direction": "in", "name": "m", "queueName": "%QUEUE%", "connection": "Elsewhere" });
    let report =
        json!({ "type": "blob", "direction": "out", "name": "o", "path": "out/{rand-guid}" });
    let host = json!({ "version": "2.0", "extensions": { "http": { "routePrefix": "shop/v1" } } });
    let files = [
        ("host.json", host.to_string()),
        (
            "GetStock/function.json",
            http("function", "stock/{sku:int}"),
        ),
        ("get_stock/function.json", http("anonymous", "open/{*rest}")),
        ("bill/function.json", function(json!([bus]))),
        ("read/function.json", function(json!([queue, report]))),
        ("tick/function.json", timer("*/10 * * * * *")),
        ("nightly/function.json", timer("%WHEN%")),
    ];
    let files = files.map(|(file, text)| (file.to_owned(), text));
    files.into()
}

#[tokio::test]
async fn functions_of_other_peoples_pipelines_are_taken_over_or_told() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    local.by_hand("PATCH", "", &json!({ "tags": {} })).await;
    for (name, value) in [
        ("WHEN", "0 30 3 * * 1-5"),
        ("QUEUE", "orders"),
        ("Elsewhere__accountName", "old"),
        ("Shop:Mode", "live"),
    ] {
        local.set_on_blue(name, value).await;
    }
    local.deploy_by_hand(&by_other_people()).await;
    let found = cloud.operate().unwrap().found().await.unwrap();
    let place = "00000000-0000-0000-0000-000000000001/shop";
    let imported = clouds(CloudName::Azure, place, &found);
    let set = crate::manifests::read(&[("brought.yaml", &imported.manifests)]);
    let wrong: Vec<_> = set.faults.iter().filter(|fault| fault.is_error()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{}", imported.manifests);
    let service = &set.services.values().next().unwrap().service;
    let called = service.functions.iter().map(|(name, it)| {
        let http = it.http.as_ref().map(|it| it.path.0.clone());
        let all = [http, it.queue.clone(), it.schedule.clone()];
        let all: Vec<String> = all.into_iter().flatten().collect();
        format!("{name}: {}", all.join(" + "))
    });
    let called: Vec<String> = called.collect();
    assert_eq!(
        called,
        [
            "bill: ",
            "get-stock: /shop/v1/stock/{sku}",
            "get-stock-2: /shop/v1/open/{rest+}",
            "nightly: 30 3 * * 1-5",
            "read: orders",
            "tick: ",
        ]
    );
    assert_eq!(
        service.azure.as_ref().unwrap().settings["Shop:Mode"],
        "live"
    );
    let report = imported.report;
    for (path, wanted) in [
        ("GetStock.authLevel", Verdict::NotPossible),
        ("GetStock.http.route", Verdict::Changed),
        ("bill.serviceBusTrigger", Verdict::NotPossible),
        ("read.queueName", Verdict::Changed),
        ("read.queue.connection", Verdict::Changed),
        ("read.bindings.blob", Verdict::NotPossible),
        ("tick.schedule", Verdict::NotPossible),
        ("nightly.schedule", Verdict::Changed),
        ("env.Shop:Mode", Verdict::Changed),
    ] {
        let path = format!("vg-test-inventory.{path}");
        let mut told = report.entries.iter();
        let is_told = told.any(|it| it.path == path && it.verdict == wanted);
        assert!(is_told, "{path}: {}", report.text());
    }
    let todo = report.todo.join("\n");
    assert!(
        todo.contains("`GetStock` asked its callers for a key"),
        "{todo}"
    );
}

#[tokio::test]
async fn an_api_management_that_nobody_may_read_or_that_is_not_there_is_told() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let theirs = json!({"tags": {"team": "shop"}});
    local.by_hand("PATCH", "", &theirs).await;
    let report = async |cloud: &AzureCloud| {
        let found = cloud.operate().unwrap().found().await.unwrap();
        clouds(CloudName::Azure, "shop", &found).report.text()
    };
    let told = report(&cloud).await;
    assert!(!told.contains("azure.api"), "{told}");

    let error = json!({"status": 403, "code": "AuthorizationFailed", "message": "no right"});
    for operation in ["api.list", "api.get"] {
        let rule = json!({"operation": operation, "error": error});
        let rule = serde_json::from_value(rule).unwrap();
        local.arm.faults().set(vec![rule]);
        let told = report(&cloud).await;
        let is_told = told.contains("azure.api") && told.contains("AuthorizationFailed");
        assert_eq!(is_told, operation == "api.list", "{told}");
    }
    local.arm.faults().set(vec![]);

    let mut options = options(&local.arm.url);
    let elsewhere = APIM.replace("/service/shop", "/service/gone");
    options.target.shared.api_management = Some(elsewhere);
    let told = report(&AzureCloud::new(options).unwrap()).await;
    let words: Vec<&str> = told.split_whitespace().collect();
    let told = words.join(" ");
    let missing = "service/gone`, which the environment names";
    assert!(told.contains(missing), "{told}");
}

#[tokio::test]
async fn rules_that_nobody_may_read_are_told_with_the_api_that_has_them() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let one = asking(1, super::fronts::front(&["203.0.113.7"]));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let theirs = json!({"tags": {"team": "shop"}});
    local.by_hand("PATCH", "", &theirs).await;
    let error = json!({"status": 403, "code": "AuthorizationFailed", "message": "no right"});
    let rule = json!({"operation": "api.get", "error": error});
    local
        .arm
        .faults()
        .set(vec![serde_json::from_value(rule).unwrap()]);
    let found = cloud.operate().unwrap().found().await.unwrap();
    let imported = clouds(CloudName::Azure, "shop", &found);
    assert!(
        imported.manifests.contains("path: shop/stock"),
        "{}",
        imported.manifests
    );
    let told = imported.report.text();
    assert!(
        told.contains("whoever may call is not taken over"),
        "{told}"
    );
}

#[tokio::test]
async fn a_plan_that_may_not_be_read_and_a_second_api_are_told_and_end_nothing() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let api = ApiFront {
        path: "shop".to_owned(),
        ..ApiFront::default()
    };
    let app = AzureApp {
        api: Some(api),
        ..AzureApp::default()
    };
    let one = asking(1, app);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    local.by_hand("PATCH", "", &json!({ "tags": {} })).await;
    let (apis, version) = (format!("{APIM}/apis"), "2024-05-01");
    let listed = local.to("GET", &apis, version, &json!({})).await.unwrap();
    let mut second = listed["value"][0].clone();
    second["properties"]["path"] = json!("second");
    let path = format!("{apis}/zz-second");
    local.to("PUT", &path, version, &second).await.unwrap();
    let error = json!({ "status": 403, "code": "AuthorizationFailed", "message": "no" });
    let denied = json!({ "operation": "plans.get", "error": error });
    let rule = serde_json::from_value(denied).unwrap();
    local.arm.faults().set(vec![rule]);

    let found = cloud.operate().unwrap().found().await.unwrap();
    let imported = clouds(CloudName::Azure, "sub/shop", &found);
    let report = imported.report.text();
    let words: Vec<_> = report.split_whitespace().collect();
    let report = words.join(" ");
    for told in [
        "plan could not be read: say its size in the environment",
        "no plan was seen: `Y1` stands there",
        "one API before an app: zz-second not taken over",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
}
