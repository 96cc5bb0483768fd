//! Who changed a Function App, by the subscription's own log; and who is never named: we.

use std::time::Duration;

use serde_json::json;
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::Cloud as _,
};

use super::{cloud, local::Local, release, scope};

#[tokio::test]
async fn whoever_changed_a_setting_is_named_and_we_are_not() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[("LOG_LEVEL", "info")]);
    let since = SystemClock.now().before(Duration::from_secs(60));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let scope = scope(&one);
    let deeds = cloud.operate().unwrap().deeds(&scope, since);
    assert_eq!(deeds.await.unwrap(), Vec::new(), "all of it was ours");
    local.set_on_blue("LOG_LEVEL", "debug").await;
    local.by_hand("POST", "/stop", &json!({})).await;
    let deeds = cloud.operate().unwrap().deeds(&scope, since);
    let told = deeds.await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|deed| {
            (
                deed.operation.as_str(),
                deed.who.as_str(),
                deed.resource.as_str(),
            )
        })
        .collect();
    let who = super::TOKEN;
    assert_eq!(
        told,
        [
            ("Microsoft.Web/sites/stop/action", who, "vg-test-inventory"),
            (
                "Microsoft.Web/sites/config/write",
                who,
                "vg-test-inventory/config/appsettings"
            ),
        ]
    );
}
