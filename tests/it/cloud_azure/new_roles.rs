//! Roles that count some time after they were given, as Azure's do.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use verdigris::{
    cloud::{Cloud as _, CloudError, Package, azure::AzureCloud},
    desired::Release,
    local::arm::ArmOptions,
    manifest::spec::AzurePlan,
    name::Slot,
    rollout::intent::Response,
};

use super::{
    local::Local,
    missing::with_secret,
    options, release, scope,
    slots::{answer, observe},
};

const DELAY: Duration = Duration::from_secs(3);

async fn local() -> Local {
    let options = ArmOptions {
        role_delay: DELAY,
        ..ArmOptions::default()
    };
    Local::start_with(options).await
}

/// A client that waits so long for a start.
fn cloud(local: &Local, plan: &str, start: Duration) -> AzureCloud {
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan(plan.to_owned());
    options.limits.start = start;
    AzureCloud::new(options).unwrap()
}

/// Stages until it is done, as a rollout does, and gives what was said meanwhile.
async fn staged(cloud: &AzureCloud, release: &Release, package: &Package) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut told = Vec::new();
    loop {
        let Err(error) = cloud.stage(release, package).await else {
            return told;
        };
        let goes_on = !matches!(error.response(), Response::Reject | Response::CallPerson);
        assert!(goes_on && Instant::now() < end, "{error}");
        told.push(error.to_string());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Each plan meets it elsewhere: the host in its storage, the deployment in the container of the package, the platform at its address.
#[tokio::test]
async fn a_first_release_is_not_rejected_for_a_role_that_does_not_count_yet() {
    for (plan, told) in [
        ("EP1", "the host may not read its storage"),
        ("FC1", "InaccessibleStorage"),
        ("Y1", "lists the functions []"),
    ] {
        let local = local().await;
        let cloud = cloud(&local, plan, Duration::from_secs(1));
        let (one, package) = (release(1, &[]), local.package("one"));
        let said = staged(&cloud, &one, &package).await;
        let is_told = |said: &String| {
            said.contains("a role that was given counts after some minutes") && said.contains(told)
        };
        assert!(
            !said.is_empty() && said.iter().all(is_told),
            "{plan}: {said:?}"
        );
        cloud.promote(&scope(&one), one.digest).await.unwrap();
        assert_eq!(
            answer(&observe(&cloud, &one).await, Slot::Blue).await,
            "one -",
            "{plan}"
        );
    }
}

async fn settings(local: &Local) -> Value {
    let list = "/slots/green/config/appsettings/list";
    local.by_hand("POST", list, &json!({})).await["properties"].clone()
}

/// What the vault refused stays refused until settings change: they do, and are as they were in the end.
#[tokio::test]
async fn secrets_are_asked_for_again_until_the_role_counts() {
    let local = local().await;
    local.with_secret("vg-test", "db").await;
    let cloud = cloud(&local, "EP1", Duration::from_secs(12));
    let one = with_secret(release(1, &[]), "db");
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    assert_eq!(
        answer(&observe(&cloud, &one).await, Slot::Green).await,
        "one the value of db"
    );
    assert_eq!(settings(&local).await.get("VERDIGRIS_ASKED_AGAIN"), None);
    let writes = cloud.calls()["appsettings.put"];
    assert!(writes >= 4, "two deploy it, and two ask: {writes}");
    cloud.stage(&one, &package).await.unwrap();
    assert_eq!(cloud.calls()["appsettings.put"], writes, "it was done");
}

/// Nobody waits for what nobody gave.
#[tokio::test]
async fn a_role_that_was_never_given_is_a_fault() {
    let local = local().await;
    let mut options = options(&local.arm.url);
    options.target.shared.roles_by_people = true;
    options.limits.start = Duration::from_secs(1);
    let cloud = AzureCloud::new(options).unwrap();
    let error = cloud.stage(&release(1, &[]), &local.package("one")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, CloudError::Unhealthy { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("AuthorizationPermissionMismatch"), "{told}");
}
