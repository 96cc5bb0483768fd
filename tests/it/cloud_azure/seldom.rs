//! What is looked at by turns: settings that stay in a swap, roles, the rules of an API in front, and what serves the whole environment.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use verdigris::{
    cloud::{
        Cloud as _,
        azure::{AzureCloud, AzureLimits},
    },
    desired::Release,
    manifest::azure::{AzureApp, Insights, RoleGrant, Sticky},
    manifest::spec::EnvValue,
    observed::{Fields, Scope},
};

use super::{
    LIMITS, SUBSCRIPTION,
    fronts::{APIM, front, with_management},
    local::{GROUP, Local},
    options,
    places::{asking, blue_fields},
    release, scope,
};

/// A client that looks at everything each time.
pub(super) fn looking(url: &str) -> AzureCloud {
    let mut options = options(url);
    options.limits = AzureLimits {
        details: Duration::ZERO,
        ..LIMITS
    };
    options.target.shared.api_management = Some(APIM.to_owned());
    options.target.shared.tags = [("team".to_owned(), "shop".to_owned())].into();
    options.target.shared.insights = Some(Insights::Workspace("/w/one".to_owned()));
    AzureCloud::new(options).unwrap()
}

/// Fields that are otherwise than asked for.
pub(super) async fn drift(cloud: &AzureCloud, release: &Release, expected: &Fields) -> Vec<String> {
    let found = blue_fields(cloud, release).await;
    let all = verdigris::diff::fields(expected, &found);
    all.iter().map(ToString::to_string).collect()
}

fn sticky() -> AzureApp {
    let plain = |text: &str| Some(EnvValue::Plain(text.to_owned()));
    let mode = Sticky {
        blue: plain("live"),
        green: plain("test"),
    };
    AzureApp {
        sticky: [("MODE".to_owned(), mode)].into(),
        ..AzureApp::default()
    }
}

const NAMES: &str = "/config/slotConfigNames";

async fn names(local: &Local) -> Value {
    let found = local.by_hand("GET", NAMES, &Value::Null).await;
    found["properties"]["appSettingNames"].clone()
}

async fn set_names(local: &Local, names: &[&str]) {
    let body = json!({"properties": {"appSettingNames": names}});
    local.by_hand("PUT", NAMES, &body).await;
}

#[tokio::test]
async fn a_name_too_few_or_too_many_in_the_list_of_what_stays_is_told_and_put_right() {
    let local = Local::start().await;
    let cloud = looking(&local.arm.url);
    let one = with_level(asking(1, sticky()));
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    assert_eq!(
        names(&local).await,
        json!(["AzureWebJobs.reorder.Disabled", "MODE"])
    );
    let edits: [(&[&str], &[&str]); 3] = [
        (
            &["AzureWebJobs.reorder.Disabled"],
            &["sticky.MODE is carried away by the next swap, not as asked for on its slot"],
        ),
        (
            &["MODE", "THEIRS"],
            &["reorder.queue is carried away by the next swap, not on blue only"],
        ),
        (
            &[
                "MODE",
                "AzureWebJobs.reorder.Disabled",
                "VERDIGRIS_RELEASE",
                "LOG_LEVEL",
            ],
            &[
                "env.LOG_LEVEL is left behind by the next swap, not THE_LEVEL",
                "release is left behind by the next swap, and nobody asked for it",
            ],
        ),
    ];
    let level = &expected["env.LOG_LEVEL"];
    for (list, told) in edits {
        set_names(&local, list).await;
        let told = told.iter().map(|it| it.replace("THE_LEVEL", level));
        let told: Vec<String> = told.collect();
        assert_eq!(drift(&cloud, &one, &expected).await, told);
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
        let before = cloud.writing_calls();
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(cloud.writing_calls(), before, "it is quiet again");
    }
    // What is no business of ours stays there.
    set_names(&local, &["MODE", "THEIRS", "AzureWebJobs.reorder.Disabled"]).await;
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    assert_eq!(cloud.calls()["zipdeploy"], 1, "no package was sent for it");
}

fn with_level(mut release: Release) -> Release {
    let level = EnvValue::Plain("info".to_owned());
    let content = Arc::make_mut(&mut release.content);
    content.env.insert("LOG_LEVEL".to_owned(), level);
    release.digest = release.content.digest();
    release
}

#[tokio::test]
async fn a_list_that_was_changed_since_green_was_staged_is_put_right_before_the_swap() {
    let local = Local::start().await;
    let cloud = super::cloud(&local.arm.url);
    let (one, two) = (
        release(1, &[("LOG_LEVEL", "info")]),
        release(2, &[("LOG_LEVEL", "debug")]),
    );
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    set_names(&local, &["LOG_LEVEL", "VERDIGRIS_CODE", "THEIRS"]).await;
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &two).await,
        cloud.expected(&two, second.code)
    );
    assert_eq!(
        names(&local).await,
        json!(["AzureWebJobs.reorder.Disabled", "THEIRS"])
    );
}

#[tokio::test]
async fn a_variable_that_stayed_in_one_release_and_moves_in_the_next_goes_both_ways() {
    let local = Local::start().await;
    let cloud = super::cloud(&local.arm.url);
    let (one, two) = (asking(1, sticky()), release(2, &[("MODE", "plain")]));
    let (first, second) = (local.package("one"), local.package("two"));
    for (release, package) in [
        (&one, &first),
        (&two, &second),
        (&one, &first),
        (&two, &second),
    ] {
        cloud.stage(release, package).await.unwrap();
        cloud
            .promote(&scope(release), release.digest)
            .await
            .unwrap();
        let expected = cloud.expected(release, package.code);
        assert_eq!(drift(&cloud, release, &expected).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_stays_in_one_release_and_moves_in_the_next_costs_no_rollback_a_staging() {
    for text in [Some("plain"), None] {
        let local = Local::start().await;
        let cloud = super::cloud(&local.arm.url);
        let moving: Vec<(&str, &str)> = text.map(|it| ("MODE", it)).into_iter().collect();
        let (one, two) = (asking(1, sticky()), release(2, &moving));
        let (first, second) = (local.package("one"), local.package("two"));
        for (release, package) in [(&one, &first), (&two, &second)] {
            cloud.stage(release, package).await.unwrap();
            let scope = scope(release);
            cloud.promote(&scope, release.digest).await.unwrap();
        }
        for (release, package) in [(&one, &first), (&two, &second), (&one, &first)] {
            let scope = scope(release);
            cloud.promote(&scope, release.digest).await.unwrap();
            let expected = cloud.expected(release, package.code);
            assert_eq!(drift(&cloud, release, &expected).await, [""; 0]);
        }
        assert_eq!(cloud.calls()["zipdeploy"], 2, "one for each, and no more");
    }
}

#[tokio::test]
async fn a_role_that_somebody_took_away_is_told_and_given_again() {
    let local = Local::start().await;
    let cloud = looking(&local.arm.url);
    let grant = RoleGrant {
        role: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1".to_owned(),
        scope: format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/data"),
    };
    let app = AzureApp {
        roles: [("reads".to_owned(), grant.clone())].into(),
        ..AzureApp::default()
    };
    let one = asking(1, app);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    let list =
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments");
    let all = local
        .to("GET", &list, "2022-04-01", &Value::Null)
        .await
        .unwrap();
    for assignment in all["value"].as_array().unwrap() {
        if assignment["properties"]["scope"] == grant.scope {
            let id = assignment["id"].as_str().unwrap();
            local
                .to("DELETE", id, "2022-04-01", &Value::Null)
                .await
                .unwrap();
        }
    }
    assert_eq!(
        drift(&cloud, &one, &expected).await,
        ["app.role.reads is not given, not given"]
    );
    let before = cloud.writing_calls();
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    assert_eq!(
        cloud.writing_calls(),
        before + 1,
        "nothing else was written"
    );
}

#[tokio::test]
async fn rules_and_operations_that_somebody_changed_are_told_and_put_right() {
    let local = with_management().await;
    let cloud = looking(&local.arm.url);
    let one = asking(1, front(&["203.0.113.7"]));
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    let api = format!("{APIM}/apis/vg-test-inventory");
    let open = "<policies><inbound><base /></inbound><backend><base /></backend><outbound><base /></outbound></policies>";
    let hidden = json!({"properties": {"displayName": "x", "method": "POST", "urlTemplate": "/x"}});
    let edits = [
        (
            "/policies/policy",
            json!({"properties": {"format": "rawxml", "value": open}}),
        ),
        ("/operations/hidden", hidden),
    ];
    for (part, body) in edits {
        let url = format!("{}{api}{part}?api-version=2024-05-01", local.arm.url);
        let sent = reqwest::Client::new().put(url).bearer_auth("x");
        let sent = sent
            .header("if-match", "*")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success());
        assert_eq!(
            drift(&cloud, &one, &expected).await,
            ["app.api is otherwise, not shop/stock"],
            "{part}"
        );
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(drift(&cloud, &one, &expected).await, [""; 0], "{part}");
    }
}

#[tokio::test]
async fn what_serves_the_environment_is_compared_where_it_is_ours() {
    let local = Local::start().await;
    let cloud = looking(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    let account = cloud_account(&local).await;
    let plan = format!("{GROUP}/providers/Microsoft.Web/serverfarms/vg-test-plan");
    let insights = format!("{GROUP}/providers/Microsoft.Insights/components/vg-test");
    let edits = [
        (
            GROUP,
            "2025-04-01",
            "/tags/team",
            json!("other"),
            "environment.group.tag.team is other (shop is asked for), and nobody asked for it",
        ),
        (
            &account,
            "2025-08-01",
            "/properties/minimumTlsVersion",
            json!("TLS1_0"),
            "environment.storage.tls is TLS1_0 (TLS1_2 is asked for), and nobody asked for it",
        ),
        (
            &account,
            "2025-08-01",
            "/properties/allowBlobPublicAccess",
            json!(true),
            "environment.storage.public is true (false is asked for), and nobody asked for it",
        ),
        (
            &plan,
            "2025-05-01",
            "/sku/name",
            json!("EP2"),
            "environment.plan.sku is EP2 (EP1 is asked for), and nobody asked for it",
        ),
        (
            &insights,
            "2020-02-02",
            "/properties/WorkspaceResourceId",
            json!("/w/two"),
            "environment.insights.workspace is /w/two (/w/one is asked for), and nobody asked for it",
        ),
    ];
    for (id, version, pointer, value, told) in edits {
        edit(&local, id, version, (pointer, value)).await;
        assert_eq!(drift(&cloud, &one, &expected).await, [told]);
        let before = cloud.writing_calls();
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(drift(&cloud, &one, &expected).await, [""; 0], "{pointer}");
        assert_eq!(cloud.writing_calls(), before + 1, "{pointer}: one call");
    }
    // Safer than asked for is no fault, and what carries no tags of ours is none of our business.
    edit(
        &local,
        &account,
        "2025-08-01",
        ("/properties/minimumTlsVersion", json!("TLS1_3")),
    )
    .await;
    edit(&local, &plan, "2025-05-01", ("/tags", json!({}))).await;
    edit(&local, &plan, "2025-05-01", ("/sku/name", json!("EP3"))).await;
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
}

async fn edit(local: &Local, id: &str, version: &str, (pointer, value): (&str, Value)) {
    let mut body = local.to("GET", id, version, &Value::Null).await.unwrap();
    *body.pointer_mut(pointer).unwrap() = value;
    local.to("PUT", id, version, &body).await.unwrap();
}

pub(super) async fn cloud_account(local: &Local) -> String {
    let all = local
        .by_hand("POST", "/config/appsettings/list", &json!({}))
        .await;
    let name = all["properties"]["AzureWebJobsStorage__accountName"]
        .as_str()
        .unwrap();
    format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}")
}

#[tokio::test]
async fn looks_between_two_turns_cost_what_they_always_did() {
    let local = Local::start().await;
    let cloud = super::cloud(&local.arm.url);
    let one = asking(1, sticky());
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    // A daemon that has just started knows nothing.
    let fresh = super::cloud(&local.arm.url);
    let scope: Scope = scope(&one);
    fresh.observe(&scope).await.unwrap();
    let first: u64 = fresh.calls().values().sum();
    assert_eq!(first, 4 + 1 + 1 + 4, "names, roles, and what serves all");
    for _ in 0..3 {
        fresh.observe(&scope).await.unwrap();
    }
    assert_eq!(fresh.calls().values().sum::<u64>(), first + 3 * 4);
}
