//! Packages and the functions in them: deployed, routed, started, stopped.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use verdigris::local::arm::ArmOptions;

use super::kit::{Local, SITE, archive, at, host, package, package_with};

#[tokio::test]
async fn a_deployed_package_answers_at_its_slot_and_nowhere_else() {
    let local = Local::with_site(ArmOptions::default()).await;
    assert_eq!(local.deploy("green", package("r1")).await, 4);
    let (green, blue) = (local.front("green").await, local.front("production").await);
    assert_eq!(
        local.text(&format!("{green}/a%20b?q=1")).await,
        (200, "r1 GET /a%20b?q=1 ".to_owned())
    );
    assert_eq!(local.text(&format!("{blue}/a")).await.0, 404);
    let posted = local
        .http
        .post(format!("{green}/x"))
        .body("body")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.text().await.unwrap(), "r1 POST /x body");
    let logs = format!("{}/_verdigris/logs/shop-stock/green", local.endpoint.url);
    assert!(local.text(&logs).await.1.contains("r1 starts"));
    assert_eq!(local.deploy("green", package("r2")).await, 4);
    assert_eq!(local.text(&format!("{green}/a")).await.1, "r2 GET /a ");
    local.end().await;
}

#[tokio::test]
async fn settings_reach_the_code_and_are_replaced_as_a_whole() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("green", package("r")).await;
    let front = local.front("green").await;
    let rounds = [
        (json!({"A": "1", "B": "2"}), "1", "2"),
        (json!({"B": "3"}), "unset", "3"),
    ];
    for (settings, a, b) in rounds {
        assert_eq!(local.settings("green", settings.clone()).await.status, 200);
        let listed = local
            .post(
                &format!("{}/config/appsettings/list", at("green")),
                Value::Null,
            )
            .await;
        assert_eq!(listed.body["properties"], settings);
        assert_eq!(local.text(&format!("{front}/env/A")).await.1, a);
        assert_eq!(local.text(&format!("{front}/env/B")).await.1, b);
    }
    assert_eq!(
        local
            .text(&format!("{front}/env/WEBSITE_SITE_NAME"))
            .await
            .1,
        "shop-stock"
    );
    local.end().await;
}

const STOCK: &str = r#"{"bindings":[{"type":"httpTrigger","authLevel":"anonymous","direction":"in","name":"req","methods":["get"],"route":"stock/{sku}"},{"type":"http","direction":"out","name":"res"}]}"#;
const LOCKED: &str = r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req"},{"type":"http","direction":"out","name":"res"}]}"#;
const WRAPPED: &str = r#"{"bindings":[{"type":"httpTrigger","authLevel":"anonymous","direction":"in","name":"req","route":"w/{id}"},{"type":"http","direction":"out","name":"res"},{"type":"queue","direction":"out","name":"out"}]}"#;
const QUEUE: &str =
    r#"{"bindings":[{"type":"queueTrigger","direction":"in","name":"item","queueName":"orders"}]}"#;

#[tokio::test]
async fn requests_are_routed_by_method_and_template_and_keys_are_checked() {
    let local = Local::with_site(ArmOptions::default()).await;
    let functions = [
        ("stock", STOCK),
        ("locked", LOCKED),
        ("wrapped", WRAPPED),
        ("reorder", QUEUE),
    ];
    local.deploy("green", package_with(&functions)).await;
    let front = local.front("green").await;
    let keys = local
        .post(
            &format!("{}/host/default/listkeys", at("green")),
            Value::Null,
        )
        .await
        .body;
    let key = keys["functionKeys"]["default"].as_str().unwrap();
    let cases = [
        (Method::GET, "/stock/42".to_owned(), 200),
        (Method::GET, "/stock".to_owned(), 404),
        (Method::POST, "/stock/42".to_owned(), 404),
        (Method::GET, "/locked".to_owned(), 401),
        (Method::GET, format!("/locked?code={key}"), 200),
        (Method::GET, "/locked?code=wrong".to_owned(), 401),
        (Method::POST, "/w/7".to_owned(), 201),
        (Method::GET, "/reorder".to_owned(), 404),
        (Method::POST, "/admin/functions/reorder".to_owned(), 401),
    ];
    for (method, path, status) in cases {
        let request = local
            .http
            .request(method.clone(), format!("{front}{path}"))
            .body("b");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        if status == 201 {
            assert_eq!(response.headers()["x-made"], "yes");
            assert_eq!(response.text().await.unwrap(), "POST 7 b");
        }
    }
    let master = keys["masterKey"].as_str().unwrap();
    let set_off = local.http.post(format!("{front}/admin/functions/reorder"));
    let set_off = set_off
        .header("x-functions-key", master)
        .body(r#"{"input":"x"}"#);
    assert_eq!(set_off.send().await.unwrap().status(), 202);
    let listed = local.get(&format!("{}/functions", at("green"))).await;
    let names: Vec<_> = listed["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["properties"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["locked", "reorder", "stock", "wrapped"]);
    local
        .settings("green", json!({"AzureWebJobs.stock.Disabled": "true"}))
        .await;
    assert_eq!(local.text(&format!("{front}/stock/42")).await.0, 404);
    local.end().await;
}

#[tokio::test]
async fn hop_by_hop_headers_stay_behind_and_the_host_identifies_itself() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("green", package("r")).await;
    let front = local.front("green").await;
    let request = local.http.get(format!("{front}/headers"));
    let request = request
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .header("x-kept", "2");
    let told: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(told["x-secret"], Value::Null);
    assert_eq!(told["x-kept"], "2");
    assert_eq!(told["x-forwarded-proto"], "http");
    assert!(told["x-azure-functions-invocationid"].is_string());
    local.end().await;
}

#[tokio::test]
async fn bad_packages_are_refused_with_a_reason_and_change_nothing() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("green", package("r")).await;
    let cases = [
        (b"not a zip".to_vec(), "not a zip archive"),
        (archive(&[("../evil", "x")]), "would leave"),
        (
            archive(&[("f/function.json", "{")]),
            "cannot be read as JSON",
        ),
    ];
    for (bad, reason) in cases {
        assert_eq!(local.deploy("green", bad).await, 3);
        let latest = format!("{}/api/deployments/latest", local.scm("green").await);
        let told = local.send(Method::GET, &latest, None).await.unwrap().body;
        assert!(
            told["status_text"].as_str().unwrap().contains(reason),
            "{told}"
        );
    }
    let front = local.front("green").await;
    assert_eq!(local.text(&format!("{front}/x")).await.1, "r GET /x ");
    local.end().await;
}

#[tokio::test]
async fn what_cannot_start_answers_503_and_a_stopped_site_403() {
    let local = Local::with_site(ArmOptions::default()).await;
    let front = local.front("green").await;
    let any = r#"{"bindings":[{"type":"httpTrigger","authLevel":"anonymous","direction":"in","name":"req","route":"{*p}"},{"type":"http","direction":"out","name":"res"}]}"#;
    let broken = archive(&[
        ("host.json", &host("sh", "no.sh")),
        ("no.sh", "exit 1"),
        ("f/function.json", any),
    ]);
    local.deploy("green", broken).await;
    assert_eq!(local.text(&format!("{front}/x")).await.0, 503);
    local.deploy("green", package("r")).await;
    for (action, status, state) in [("stop", 403, "Stopped"), ("start", 200, "Running")] {
        assert_eq!(
            local
                .post(&format!("{}/{action}", at("green")), Value::Null)
                .await
                .status,
            200
        );
        assert_eq!(
            local.text(&format!("{front}/x")).await.0,
            status,
            "after {action}"
        );
        assert_eq!(local.get(&at("green")).await["properties"]["state"], state);
    }
    local.end().await;
}

#[tokio::test]
async fn a_crash_costs_one_request_and_a_stuck_function_is_given_up() {
    let local = Local::with_site(ArmOptions {
        request_timeout: Duration::from_secs(4),
        ..ArmOptions::default()
    })
    .await;
    local.deploy("green", package("r")).await;
    let front = local.front("green").await;
    assert_eq!(local.text(&format!("{front}/x")).await.0, 200);
    assert_eq!(local.text(&format!("{front}/crash")).await.0, 502);
    assert_eq!(local.text(&format!("{front}/x")).await.0, 200);
    assert_eq!(local.text(&format!("{front}/stuck")).await.0, 504);
    local.end().await;
}

#[tokio::test]
async fn an_app_that_uses_too_much_memory_is_killed_and_its_log_says_so() {
    let local = Local::with_site(ArmOptions {
        memory_limit: Some(100 << 20),
        ..ArmOptions::default()
    })
    .await;
    local.deploy("green", package("r")).await;
    let front = local.front("green").await;
    assert_eq!(local.text(&format!("{front}/eat")).await.0, 502);
    assert_eq!(local.text(&format!("{front}/x")).await.0, 200);
    let logs = format!("{}/_verdigris/logs/shop-stock/green", local.endpoint.url);
    assert!(local.text(&logs).await.1.contains("bytes of memory"));
    local.end().await;
}

#[tokio::test]
async fn an_idle_app_is_stopped_and_starts_again_on_request() {
    let local = Local::with_site(ArmOptions {
        idle_timeout: Some(Duration::from_millis(300)),
        ..ArmOptions::default()
    })
    .await;
    local.deploy("green", package("r")).await;
    let front = local.front("green").await;
    local.text(&format!("{front}/x")).await;
    let logs = format!("{}/_verdigris/logs/shop-stock/green", local.endpoint.url);
    tokio::time::timeout(Duration::from_secs(20), async {
        while !local.text(&logs).await.1.contains("idle") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(local.text(&format!("{front}/x")).await.1, "r GET /x ");
    assert_eq!(local.text(&logs).await.1.matches("r starts").count(), 2);
    local.end().await;
}

#[tokio::test]
async fn publishing_credentials_open_the_deployment_service_and_others_do_not() {
    let local = Local::with_site(ArmOptions::default()).await;
    let path = format!("{SITE}/slots/green/config/publishingcredentials/list");
    let told = local.post(&path, Value::Null).await.body;
    let user = told["properties"]["publishingUserName"].as_str().unwrap();
    assert_eq!(user, "$shop-stock__green");
    let password = told["properties"]["publishingPassword"].as_str().unwrap();
    let settings = format!("{}/api/settings", local.scm("green").await);
    local.settings("green", json!({"A": "1"})).await;
    let open = local
        .http
        .get(&settings)
        .basic_auth(user, Some(password))
        .send()
        .await
        .unwrap();
    assert_eq!(open.json::<Value>().await.unwrap(), json!({"A": "1"}));
    for (user, password) in [(user, "wrong"), ("", "")] {
        let shut = local
            .http
            .get(&settings)
            .basic_auth(user, Some(password))
            .send()
            .await
            .unwrap();
        assert_eq!(shut.status(), 401);
    }
    local.end().await;
}
