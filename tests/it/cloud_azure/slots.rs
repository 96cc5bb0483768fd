//! Releases on the two slots of the local endpoint, with real processes behind them.

use serde_json::json;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        azure::{AzureCloud, AzureIdentity, CredentialChoice},
    },
    desired::Release,
    local::{
        arm::ArmOptions,
        faults::{Rule, RuleError},
    },
    name::Slot,
    observed::{Observed, SlotContent},
};

use super::{cloud, key, local::Local, options, release, scope};

/// What users of a slot get: the code's word and the setting that it sees.
pub(super) async fn answer(observed: &Observed, slot: Slot) -> String {
    let content = match slot {
        Slot::Blue => &observed.blue,
        Slot::Green => &observed.green,
    };
    let base = content.holding().unwrap().addresses.values().next();
    let url = base.unwrap().join("stock/42").unwrap();
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

pub(super) async fn observe(cloud: &AzureCloud, release: &Release) -> Observed {
    cloud.observe(&scope(release)).await.unwrap()
}

/// Two releases that differ in code and settings.
fn two() -> (Release, Release) {
    (
        release(1, &[("LOG_LEVEL", "info")]),
        release(2, &[("LOG_LEVEL", "debug")]),
    )
}

#[tokio::test]
async fn releases_go_to_green_then_blue_and_back() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = two();
    let (first, second) = (local.package("one"), local.package("two"));

    cloud.stage(&one, &first).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert_eq!(observed.blue, SlotContent::Empty);
    assert!(observed.green.holds(one.digest));
    assert_eq!(observed.resources.len(), 2);
    assert_eq!(answer(&observed, Slot::Green).await, "one info");

    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert_eq!(observed.green, SlotContent::Empty);
    assert_eq!(answer(&observed, Slot::Blue).await, "one info");
    let holding = observed.blue.holding().unwrap();
    assert_eq!(holding.fields, cloud.expected(&one, first.code));
    assert_eq!(holding.revision.as_ref(), Some(&one.revision));
    assert_eq!(
        holding.addresses.len(),
        1,
        "the queue's function has no address"
    );

    cloud.stage(&two, &second).await.unwrap();
    let observed = observe(&cloud, &two).await;
    assert_eq!(answer(&observed, Slot::Blue).await, "one info");
    assert_eq!(answer(&observed, Slot::Green).await, "two debug");
    let fields = &observed.green.holding().unwrap().fields;
    assert_eq!(*fields, cloud.expected(&two, second.code));

    cloud.promote(&scope(&two), two.digest).await.unwrap();
    let observed = observe(&cloud, &two).await;
    assert_eq!(answer(&observed, Slot::Blue).await, "two debug");
    assert_eq!(answer(&observed, Slot::Green).await, "one info");
    let fields = &observed.green.holding().unwrap().fields;
    assert_eq!(
        *fields,
        cloud.expected(&one, first.code),
        "the way back is whole"
    );

    cloud.promote(&scope(&one), one.digest).await.unwrap();
    assert_eq!(
        answer(&observe(&cloud, &one).await, Slot::Blue).await,
        "one info"
    );
}

#[tokio::test]
async fn a_second_pass_writes_nothing() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, _) = two();
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    let before = cloud.writing_calls();
    cloud.stage(&one, &package).await.unwrap();
    assert_eq!(cloud.writing_calls(), before);

    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let before = cloud.writing_calls();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.repair(&one, &package).await.unwrap();
    cloud.inventory().await.unwrap();
    let calls: u64 = cloud.calls().values().sum();
    observe(&cloud, &one).await;
    assert_eq!(cloud.calls().values().sum::<u64>(), calls + 4);
    assert_eq!(cloud.writing_calls(), before);
}

#[tokio::test]
async fn a_release_that_no_slot_holds_is_not_promoted() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = two();
    let not_staged = |outcome| matches!(outcome, Err(CloudError::NotStaged { .. }));
    assert!(not_staged(cloud.promote(&scope(&one), one.digest).await));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    assert!(not_staged(cloud.promote(&scope(&two), two.digest).await));
}

#[tokio::test]
async fn what_people_change_on_blue_is_seen_and_repaired() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = two();
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    let expected = cloud.expected(&two, second.code);
    let drifted = async || {
        let observed = observe(&cloud, &two).await;
        observed
            .blue
            .holding()
            .map(|holding| holding.fields != expected)
    };

    for (name, value, deploys) in [
        ("LOG_LEVEL", "trace", false),
        ("ADDED", "by hand", false),
        ("AzureWebJobs.reorder.Disabled", "true", false),
        ("VERDIGRIS_CODE", &first.code.to_string(), true),
    ] {
        local.set_on_blue(name, value).await;
        assert_eq!(drifted().await, Some(true), "{name}");
        let before = cloud.calls().get("zipdeploy").copied();
        cloud.repair(&two, &second).await.unwrap();
        assert_eq!(drifted().await, Some(false), "{name}");
        let deployed = cloud.calls().get("zipdeploy").copied() != before;
        assert_eq!(deployed, deploys, "{name}");
    }

    local.by_hand("POST", "/stop", &json!({})).await;
    assert_eq!(drifted().await, Some(true));
    cloud.repair(&two, &second).await.unwrap();
    assert_eq!(drifted().await, Some(false));
    assert_eq!(
        answer(&observe(&cloud, &two).await, Slot::Blue).await,
        "two debug"
    );
}

#[tokio::test]
async fn a_swap_by_hand_is_swapped_back() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = two();
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    let writes = cloud.calls()["zipdeploy"];
    let other = super::cloud(&local.arm.url);
    other.promote(&scope(&two), two.digest).await.unwrap();
    cloud.repair(&one, &first).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert!(observed.blue.holds(one.digest));
    assert!(observed.green.holds(two.digest));
    assert_eq!(cloud.calls()["zipdeploy"], writes);
}

#[tokio::test]
async fn the_way_back_from_a_first_promotion_is_an_empty_blue() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, _) = two();
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.retract(&scope(&one), one.digest).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert_eq!(observed.blue, SlotContent::Empty);
    assert!(observed.green.holds(one.digest));
    let before = cloud.writing_calls();
    cloud.retract(&scope(&one), one.digest).await.unwrap();
    assert_eq!(cloud.writing_calls(), before);
}

#[tokio::test]
async fn pruning_takes_the_app_and_leaves_what_others_share() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, _) = two();
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let owned = cloud.inventory().await.unwrap();
    assert_eq!(owned.len(), 1);
    assert_eq!(owned[0].service, key());
    cloud.prune(&scope(&one)).await.unwrap();
    assert_eq!(observe(&cloud, &one).await, Observed::default());
    assert_eq!(cloud.inventory().await.unwrap(), []);
    cloud.prune(&scope(&one)).await.unwrap();
    cloud.stage(&one, &local.package("one")).await.unwrap();
    assert_eq!(cloud.calls()["plans.put"], 1, "the plan was still there");
}

#[tokio::test]
async fn inventory_reads_every_page() {
    let options = ArmOptions {
        page_size: 1,
        ..ArmOptions::default()
    };
    let local = Local::start_with(options).await;
    let cloud = cloud(&local.arm.url);
    let package = local.package("one");
    for name in ["inventory", "orders", "prices"] {
        let mut release = release(1, &[]);
        release.service = format!("test/{name}").parse().unwrap();
        cloud.stage(&release, &package).await.unwrap();
    }
    let services: Vec<String> = cloud
        .inventory()
        .await
        .unwrap()
        .into_iter()
        .map(|owned| owned.service.to_string())
        .collect();
    assert_eq!(services, ["test/inventory", "test/orders", "test/prices"]);
    assert_eq!(cloud.calls()["sites.list"], 3);
}

#[tokio::test]
async fn a_lost_reply_at_any_step_still_converges() {
    let (one, _) = two();
    for operation in [
        "groups.put",
        "storage.put",
        "plans.put",
        "sites.put",
        "slots.put",
        "slotconfignames.put",
        "appsettings.put",
        "appsettings.list",
        "zipdeploy",
        "deployments.get",
        "functions.list",
        "slotsswap",
        "operations.get",
    ] {
        let local = Local::start().await;
        let cloud = cloud(&local.arm.url);
        let package = local.package("one");
        local.arm.faults().set(vec![Rule {
            lose_reply: true,
            times: Some(1),
            ..Rule::of(operation)
        }]);
        let pass = async || {
            if !observe_holds(&cloud, &one).await? {
                cloud.stage(&one, &package).await?;
                cloud.promote(&scope(&one), one.digest).await?;
            }
            Ok::<(), CloudError>(())
        };
        let mut tries = 0;
        while let Err(error) = pass().await {
            tries += 1;
            assert!(tries < 20, "{operation}: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        local.arm.faults().clear();
        let observed = observe(&cloud, &one).await;
        let holding = observed.blue.holding().unwrap();
        assert_eq!(
            holding.fields,
            cloud.expected(&one, package.code),
            "{operation}"
        );
        assert_eq!(
            answer(&observed, Slot::Blue).await,
            "one info",
            "{operation}"
        );
    }
}

async fn observe_holds(cloud: &AzureCloud, release: &Release) -> Result<bool, CloudError> {
    let observed = cloud.observe(&scope(release)).await?;
    Ok(observed.blue.holds(release.digest))
}

#[tokio::test]
async fn a_program_that_does_not_start_is_told_and_blue_is_untouched() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = std::time::Duration::from_secs(3);
    let cloud = AzureCloud::new(options).unwrap();
    let (one, two) = two();
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let error = cloud
        .stage(&two, &local.broken_package())
        .await
        .unwrap_err();
    let CloudError::Unhealthy { message, .. } = &error else {
        panic!("{error}");
    };
    assert!(message.contains("answers 50"), "{message}");
    let observed = observe(&cloud, &one).await;
    assert_eq!(answer(&observed, Slot::Blue).await, "one info");
}

#[tokio::test]
async fn a_package_that_is_no_package_is_told() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, _) = two();
    let mut package = local.package("one");
    package.path = local.folder.path().join("text.zip");
    std::fs::write(&package.path, "this is no zip").unwrap();
    let error = cloud.stage(&one, &package).await.unwrap_err();
    assert!(
        matches!(
            error,
            CloudError::Unhealthy { .. } | CloudError::Invalid { .. }
        ),
        "{error:?}"
    );
    let observed = observe(&cloud, &one).await;
    assert!(
        matches!(observed.green, SlotContent::Torn(_)),
        "{observed:?}"
    );
    cloud.stage(&one, &local.package("one")).await.unwrap();
}

#[tokio::test]
async fn a_deployment_under_way_means_busy() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, _) = two();
    local.arm.faults().set(vec![Rule {
        error: Some(RuleError {
            status: 409,
            code: "Conflict".to_owned(),
            message: Some("There is a deployment currently in progress.".to_owned()),
        }),
        times: Some(1),
        ..Rule::of("zipdeploy")
    }]);
    let package = local.package("one");
    let error = cloud.stage(&one, &package).await.unwrap_err();
    assert!(matches!(error, CloudError::Busy { .. }), "{error}");
    cloud.stage(&one, &package).await.unwrap();
}

#[tokio::test]
async fn tls_with_a_private_authority_works_and_without_it_does_not() {
    let local = Local::start().await;
    let url = local.arm.tls_url.clone().unwrap();
    let error = cloud(&url).inventory().await.unwrap_err();
    assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
    let mut options = options(&url);
    options.ca_file = Some(local.arm.ca_file.clone());
    let cloud = AzureCloud::new(options).unwrap();
    let (one, _) = two();
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let observed = observe(&cloud, &one).await;
    let addresses = &observed.blue.holding().unwrap().addresses;
    assert!(
        addresses
            .values()
            .all(|address| address.scheme() == "https")
    );
}

#[tokio::test]
async fn a_client_secret_gets_its_token_from_the_authority() {
    let local = Local::start().await;
    let url = local.arm.tls_url.clone().unwrap();
    let mut options = options(&url);
    options.ca_file = Some(local.arm.ca_file.clone());
    options.authority = Some(url.parse().unwrap());
    options.credential = CredentialChoice::Chain(AzureIdentity {
        tenant: Some("00000000-0000-0000-0000-0000000000aa".to_owned()),
        client: Some("00000000-0000-0000-0000-0000000000bb".to_owned()),
        secret: Some("hidden-from-all".into()),
        ..AzureIdentity::default()
    });
    let cloud = AzureCloud::new(options.clone()).unwrap();
    assert_eq!(cloud.inventory().await.unwrap(), []);
    assert!(!format!("{options:?} {cloud:?}").contains("hidden-from-all"));
}
