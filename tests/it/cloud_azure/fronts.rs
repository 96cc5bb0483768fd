//! An API of API Management in front of an app.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
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
    local.to("PUT", GROUP, "2025-04-01", &body).await.unwrap();
    put_management(&local).await;
    local
}

/// API Management, as people make it.
pub(super) async fn put_management(local: &Local) {
    let body = json!({
        "location": "westeurope",
        "sku": {"name": "Consumption", "capacity": 0},
        "properties": {"publisherName": "Shop", "publisherEmail": "shop@example.com"},
    });
    local.to("PUT", APIM, "2024-05-01", &body).await.unwrap();
}

pub(super) fn cloud_behind(url: &str) -> AzureCloud {
    let mut options = options(url);
    options.target.shared.api_management = Some(APIM.to_owned());
    AzureCloud::new(options).unwrap()
}

pub(super) fn front(addresses: &[&str]) -> AzureApp {
    AzureApp {
        api: Some(ApiFront {
            path: "shop/stock".to_owned(),
            addresses: addresses.iter().map(|&it| it.to_owned()).collect(),
            ..ApiFront::default()
        }),
        ..AzureApp::default()
    }
}

pub(super) async fn edit_api(local: &Local, api: &str) {
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

/// Method, the version that it is for, and the status that came back.
type Written = (String, Option<String>, u16);

/// Stands between our client and the endpoint, and lets somebody else write to the same thing just before some of our calls come through.
#[derive(Clone)]
struct Between {
    upstream: String,
    own: String,
    /// The end of the path of what is written to first, and how often that happens yet.
    moments: Arc<Mutex<(String, u32)>>,
    /// What somebody else writes.
    other: Value,
    /// Every writing call of ours.
    writes: Arc<Mutex<Vec<Written>>>,
}

impl Between {
    async fn start(upstream: &str, part: &str, times: u32, other: Value) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let between = Self {
            upstream: upstream.to_owned(),
            own: address.clone(),
            moments: Arc::new(Mutex::new((part.to_owned(), times))),
            other,
            writes: Arc::default(),
        };
        let router = Router::new().fallback(between_calls);
        let router = router.with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (between, address)
    }

    fn is_moment(&self, method: &str, path: &str) -> bool {
        let mut moments = self.moments.lock().unwrap();
        let is_it = method == "PUT" && path.ends_with(&moments.0) && moments.1 > 0;
        moments.1 -= u32::from(is_it);
        is_it
    }

    async fn write_first(&self, path: &str) {
        let url = format!("{}{path}?api-version=2024-05-01", self.upstream);
        let client = reqwest::Client::new();
        let sent = client.put(url).bearer_auth("x").header("if-match", "*");
        let answer = sent.json(&self.other).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    fn refused(&self) -> usize {
        let writes = self.writes.lock().unwrap();
        writes
            .iter()
            .filter(|(_, _, status)| *status == 412)
            .count()
    }
}

async fn between_calls(State(between): State<Between>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    if between.is_moment(&method, &path) {
        between.write_first(&path).await;
    }
    let version = head.headers.get("if-match");
    let version = version.map(|it| it.to_str().unwrap().to_owned());
    let mut headers = head.headers;
    headers.remove("host");
    let url = format!("{}{}", between.upstream, head.uri);
    let sent = reqwest::Client::new().request(head.method, url);
    let sent = sent.headers(headers);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer = sent.body(body).send().await.unwrap();
    if path.contains("/apis/") && method != "GET" {
        let status = answer.status().as_u16();
        let mut writes = between.writes.lock().unwrap();
        writes.push((method, version, status));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "transfer-encoding" | "content-length") {
            // Links lead back through us.
            let value = value.to_str().unwrap();
            let value = value.replace(&between.upstream, &between.own);
            response.headers_mut().append(name, value.parse().unwrap());
        }
    }
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    response
}

/// A release whose front somebody has undone, a hand that writes to a part of it whenever we are about to, and what the repair comes to.
async fn repaired_beside(
    part: &str,
    times: u32,
    other: Value,
) -> (Local, Between, Result<(), CloudError>) {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let one = asking(1, front(&["203.0.113.7"]));
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let api = format!("{APIM}/apis/vg-test-inventory");
    edit_api(&local, &api).await;
    // An operation that no release asks for.
    let id = format!("{api}/operations/theirs");
    let body =
        json!({"properties": {"method": "GET", "urlTemplate": "/theirs", "displayName": "x"}});
    local.to("PUT", &id, "2024-05-01", &body).await.unwrap();
    let (between, address) = Between::start(&local.arm.url, part, times, other).await;
    let cloud = cloud_behind(&address);
    let done = cloud.repair(&one, &package).await;
    if done.is_ok() {
        let fields = blue_fields(&cloud, &one).await;
        assert_eq!(fields, cloud.expected(&one, package.code), "{part}");
    }
    (local, between, done)
}

#[tokio::test]
async fn what_somebody_wrote_in_between_is_read_again_and_never_written_over_unread() {
    let api = json!({"properties": {"path": "other", "description": "Made by Verdigris for test/inventory"}});
    let policy = json!({"properties": {"format": "rawxml", "value": "<policies></policies>"}});
    for (part, other) in [
        ("/apis/vg-test-inventory", api),
        ("/policies/policy", policy),
    ] {
        let (_local, between, done) = repaired_beside(part, 1, other).await;
        done.unwrap();
        assert_eq!(between.refused(), 1, "{part}");
        let writes = between.writes.lock().unwrap();
        let is_blind = |(_, version, _): &&Written| version.as_deref() == Some("*");
        assert_eq!(writes.iter().find(is_blind), None, "{part}");
    }
}

#[tokio::test]
async fn what_became_somebody_elses_in_between_is_left_alone() {
    let theirs = json!({"properties": {"path": "theirs", "description": "by hand"}});
    let (local, _between, done) = repaired_beside("/apis/vg-test-inventory", 1, theirs).await;
    let error = done.unwrap_err();
    assert!(matches!(error, CloudError::NotOurs { .. }), "{error}");
    let api = format!("{APIM}/apis/vg-test-inventory");
    let found = local.to("GET", &api, "2024-05-01", &Value::Null).await;
    assert_eq!(found.unwrap()["properties"]["description"], "by hand");
}

#[tokio::test]
async fn whoever_writes_all_the_time_is_waited_for() {
    let api = json!({"properties": {"path": "other", "description": "Made by Verdigris for test/inventory"}});
    let (_local, between, done) = repaired_beside("/apis/vg-test-inventory", 100, api).await;
    let error = done.unwrap_err();
    assert!(
        matches!(error, CloudError::Busy { .. }) && error.to_string().contains("at the same time"),
        "{error}"
    );
    assert_eq!(between.refused(), 3, "a few tries, and then a later pass");
}
