//! Resources as the resource manager shows them.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use verdigris::local::arm::ArmOptions;

use super::kit::{Local, SITE, SUBSCRIPTION, at, package};

#[tokio::test]
async fn calls_without_a_token_a_version_or_a_resource_are_refused_in_azures_words() {
    let local = Local::with_site(ArmOptions::default()).await;
    let url = &local.endpoint.url;
    let bare = local
        .http
        .get(format!("{url}{SITE}?api-version=1"))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
    assert!(bare.headers().contains_key("www-authenticate"));
    let elsewhere = SITE.replace("/shop/", "/other/");
    let absent = SITE.replace("shop-stock", "absent");
    let cases = [
        (format!("{url}{SITE}"), 400, "MissingApiVersionParameter"),
        (
            format!("{url}{elsewhere}?api-version=1"),
            404,
            "ResourceGroupNotFound",
        ),
        (
            format!("{url}{absent}?api-version=1"),
            404,
            "ResourceNotFound",
        ),
        (
            format!("{url}{SITE}/nothing?api-version=1"),
            404,
            "NotFound",
        ),
    ];
    for (url, status, code) in cases {
        let reply = local.send(Method::GET, &url, None).await.unwrap();
        assert_eq!(
            (reply.status, &reply.body["error"]["code"]),
            (status, &json!(code)),
            "{url}"
        );
        assert!(!reply.header("x-ms-request-id").is_empty());
    }
    local.end().await;
}

#[tokio::test]
async fn a_site_reads_as_it_was_written_and_its_paths_ignore_case() {
    let local = Local::with_site(ArmOptions::default()).await;
    let tags = json!({"tags": {"verdigris-owner": "verdigris"}});
    local.call(Method::PATCH, SITE, Some(&tags)).await;
    let site = local
        .get(
            &SITE
                .to_uppercase()
                .replace("/SUBSCRIPTIONS", "/subscriptions"),
        )
        .await;
    assert_eq!(site["id"], SITE);
    assert_eq!(site["name"], "shop-stock");
    assert_eq!(site["type"], "Microsoft.Web/sites");
    assert_eq!(site["tags"], tags["tags"]);
    assert_eq!(site["properties"]["state"], "Running");
    assert_eq!(site["properties"]["sku"], "ElasticPremium");
    assert_eq!(site["properties"]["siteConfig"]["appSettings"], Value::Null);
    let slot = local.get(&at("green")).await;
    assert_eq!(
        (&slot["name"], &slot["type"]),
        (
            &json!("shop-stock/green"),
            &json!("Microsoft.Web/sites/slots")
        )
    );
    local.end().await;
}

#[tokio::test]
async fn slots_are_limited_by_the_plan_and_names_are_unique() {
    let local = Local::with_site(ArmOptions::default()).await;
    let body = json!({"location": "westeurope"});
    let third = local.call(Method::PUT, &at("third"), Some(&body)).await;
    assert_eq!(third.status, 200);
    let fourth = local.call(Method::PUT, &at("fourth"), Some(&body)).await;
    assert_eq!(
        (fourth.status, &fourth.body["error"]["code"]),
        (409, &json!("Conflict"))
    );
    let group = format!("{SUBSCRIPTION}/resourceGroups/other");
    local.call(Method::PUT, &group, Some(&body)).await;
    let twin = SITE.replace("/shop/", "/other/");
    assert_eq!(
        local.call(Method::PUT, &twin, Some(&body)).await.status,
        409
    );
    assert_eq!(
        local.call(Method::DELETE, &at("third"), None).await.status,
        200
    );
    assert_eq!(
        local.call(Method::DELETE, &at("third"), None).await.status,
        204
    );
    local.end().await;
}

#[tokio::test]
async fn lists_are_paged_and_may_lag() {
    let local = Local::with_site(ArmOptions {
        page_size: 2,
        stale_reads: 1,
        ..ArmOptions::default()
    })
    .await;
    for name in ["app-b", "app-c", "app-d"] {
        let path = SITE.replace("shop-stock", name);
        local
            .call(Method::PUT, &path, Some(&json!({"location": "westeurope"})))
            .await;
    }
    let list = format!("{SUBSCRIPTION}/providers/Microsoft.Web/sites");
    assert_eq!(local.get(&list).await["value"], json!([]));
    let mut page = local.get(&list).await;
    let mut names = Vec::new();
    loop {
        let sites = page["value"].as_array().unwrap();
        assert!(sites.len() <= 2);
        names.extend(
            sites
                .iter()
                .map(|site| site["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextLink"].as_str() else {
            break;
        };
        page = local.send(Method::GET, next, None).await.unwrap().body;
    }
    assert_eq!(names, ["app-b", "app-c", "app-d", "shop-stock"]);
    local.end().await;
}

#[tokio::test]
async fn deleting_a_group_takes_its_sites_and_their_addresses_with_it() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("production", package("r")).await;
    let front = local.front("production").await;
    assert_eq!(local.text(&format!("{front}/x")).await.0, 200);
    let group = format!("{SUBSCRIPTION}/resourceGroups/shop");
    let begun = local.call(Method::DELETE, &group, None).await;
    assert_eq!(begun.status, 202);
    let place = begun.header("location");
    let looked = local.send(Method::GET, place, None).await.unwrap();
    assert_eq!((looked.status, looked.header("location")), (202, place));
    assert_eq!(local.poll(place).await.status, 200);
    assert_eq!(local.call(Method::HEAD, &group, None).await.status, 404);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let fresh = reqwest::Client::new();
    assert!(fresh.get(format!("{front}/x")).send().await.is_err());
    local.end().await;
}

#[tokio::test]
async fn tags_can_be_merged_replaced_and_deleted() {
    let local = Local::with_site(ArmOptions::default()).await;
    let path = format!("{SITE}/providers/Microsoft.Resources/tags/default");
    let steps = [
        ("Replace", json!({"a": "1"}), json!({"a": "1"})),
        ("Merge", json!({"b": "2"}), json!({"a": "1", "b": "2"})),
        ("Delete", json!({"a": "1"}), json!({"b": "2"})),
    ];
    for (operation, given, expected) in steps {
        let body = json!({"operation": operation, "properties": {"tags": given}});
        let reply = local.call(Method::PATCH, &path, Some(&body)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(local.get(SITE).await["tags"], expected, "after {operation}");
    }
    local.end().await;
}

#[tokio::test]
async fn state_outlives_a_restart_when_there_is_a_folder_for_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = ArmOptions {
        state_dir: Some(folder.path().to_owned()),
        ..ArmOptions::default()
    };
    let local = Local::with_site(options.clone()).await;
    local.deploy("green", package("kept")).await;
    local.settings("green", json!({"A": "1"})).await;
    let (front, ca) = (
        local.front("green").await,
        std::fs::read(&local.endpoint.ca_file).unwrap(),
    );
    local.end().await;
    let again = Local::start(options).await;
    assert_eq!(again.front("green").await, front, "the address stays");
    assert_eq!(again.text(&format!("{front}/x")).await.1, "kept GET /x ");
    assert_eq!(again.text(&format!("{front}/env/A")).await.1, "1");
    assert_eq!(std::fs::read(&again.endpoint.ca_file).unwrap(), ca);
    again.end().await;
}
