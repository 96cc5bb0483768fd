//! The hash of a plan, which approvals are bound to.

use serde::Serialize;

use super::state::ServiceState;
use crate::{
    diff::{self, Change, FieldDrift},
    manifest::spec::{AwsTarget, AzureTarget, Environment},
    name::{CloudName, PlanHash, ReleaseDigest, ServiceKey},
    rollout::Rollout,
};

/// What a person looks at before they approve: what goes where, in place of what.
#[derive(Serialize)]
struct Bound<'a> {
    service: &'a ServiceKey,
    release: ReleaseDigest,
    live: Option<ReleaseDigest>,
    changes: Vec<Change>,
    targets: Vec<Target<'a>>,
}

/// One cloud, as it stands and as Git wants it. Green is not part of it: what the rollout itself does there changes no plan.
#[derive(Serialize)]
struct Target<'a> {
    cloud: CloudName,
    blue: Option<ReleaseDigest>,
    drift: Vec<&'a FieldDrift>,
    aws: Option<&'a AwsTarget>,
    azure: Option<&'a AzureTarget>,
}

/// The hash of what a rollout would do to what is live now. Means something until blue moves.
pub fn hash(state: &ServiceState, rollout: &Rollout) -> PlanHash {
    of(state, rollout.release, &rollout.targets)
}

/// The hash of what a rollout of a release would do.
pub fn of(state: &ServiceState, release: ReleaseDigest, targets: &[CloudName]) -> PlanHash {
    let content = |digest: ReleaseDigest| {
        let record = state.releases.get(&digest);
        record.map(|record| &record.release.content)
    };
    let live = state.memory.promoted;
    let changes = match (live.and_then(content), content(release)) {
        (Some(old), Some(new)) => diff::releases(old, new),
        (None, _) | (_, None) => Vec::new(),
    };
    let environment = state.environment().map(AsRef::as_ref);
    let bound = Bound {
        service: &state.key,
        release,
        live,
        changes,
        targets: targets
            .iter()
            .map(|cloud| target(state, environment, *cloud))
            .collect(),
    };
    let json = serde_json::to_vec(&bound);
    // Cannot fail: every key is a string and every value has a JSON form.
    PlanHash::of(&json.expect("a plan has a JSON form"))
}

fn target<'a>(
    state: &'a ServiceState,
    environment: Option<&'a Environment>,
    cloud: CloudName,
) -> Target<'a> {
    let seen = state.seen(cloud);
    let aws = environment.and_then(|it| it.aws.as_ref());
    let azure = environment.and_then(|it| it.azure.as_ref());
    Target {
        cloud,
        blue: seen.and_then(|seen| seen.observed.blue.release()),
        drift: state.drift(cloud),
        aws: aws.filter(|_| cloud == CloudName::Aws),
        azure: azure.filter(|_| cloud == CloudName::Azure),
    }
}
