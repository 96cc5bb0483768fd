//! Takes what a commit asks for into a service's state.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::handle::Asked;
use crate::{
    desired::DesiredService,
    manifest::spec::Environment,
    name::{Called, CloudName, Timestamp},
    plan::{
        apply::{Write, event},
        state::{Ask, ReleaseRecord, ServiceState, Severity},
    },
};

/// Takes in what is asked for; whether anything changed, and what must be written down.
pub(super) fn take(
    state: &mut ServiceState,
    asked: Option<&Asked>,
    now: Timestamp,
) -> (bool, Vec<Write>) {
    let before = state.asked_before.take();
    let faults = match asked {
        Some(Asked::Wanted(desired)) => renamed(state, desired),
        Some(Asked::Invalid(_)) | None => Vec::new(),
    };
    let renamed = (!faults.is_empty()).then_some(Asked::Invalid(faults));
    match renamed.as_ref().or(asked) {
        Some(Asked::Wanted(desired)) => {
            let desired = dated(state, desired);
            if matches!(&state.ask, Ask::Wanted(before) if *before == desired) {
                return (false, Vec::new());
            }
            let mut writes = move_out(state, &desired.environment, now);
            writes.extend(remember(state, &desired));
            state.ask = Ask::Wanted(desired);
            (true, writes)
        }
        Some(Asked::Invalid(faults)) => {
            let is_known =
                matches!(&state.ask, Ask::Invalid { faults: before, .. } if before == faults);
            if !is_known {
                let last_good = state.ask.desired().cloned().or(before);
                state.ask = Ask::Invalid {
                    faults: faults.clone(),
                    last_good,
                };
            }
            (!is_known, Vec::new())
        }
        None => {
            let is_known = matches!(state.ask, Ask::Absent);
            state.ask = Ask::Absent;
            (!is_known, Vec::new())
        }
    }
}

/// Neither cloud renames a function: under another name it would be another one, and whoever calls the first would go on to meet it.
fn renamed(state: &ServiceState, desired: &DesiredService) -> Vec<String> {
    let Some(environment) = state.environment() else {
        return Vec::new();
    };
    let DesiredService {
        release,
        environment: to,
        rollout: _,
        depends_on: _,
        drift: _,
    } = desired;
    let called = release.content.called();
    let before = &state.memory.called;
    let stays = |target: CloudName| place(environment, target) == place(to, target);
    let mut faults = Vec::new();
    for function in release.content.functions.keys() {
        let names = [before, &called].map(|it| it.aws.get(function));
        let ours = format!("{}-{function}", state.key.to_string().replace('/', "-"));
        let [old, new] = names.map(|name| name.unwrap_or(&ours));
        let stands = || stands(state, CloudName::Aws, &format!(":function:{old}"));
        if old != new && stays(CloudName::Aws) && stands() {
            faults.push(format!(
                "`{function}` is the Lambda function `{old}`, and none can be renamed to `{new}`: write `aws: {{ name: {old} }}` at the function, or give the function another key, which makes a new one and deletes this one"
            ));
        }
    }
    faults.extend(moved_app(state, environment, &called).filter(|_| stays(CloudName::Azure)));
    faults
}

fn moved_app(state: &ServiceState, environment: &Environment, called: &Called) -> Option<String> {
    let azure = environment.azure.as_ref()?;
    let ours = format!(
        "{}-{}",
        azure.prefix,
        state.key.to_string().replace('/', "-")
    );
    let names = [&state.memory.called, called].map(|it| it.azure.as_ref());
    let [old, new] = names.map(|name| name.unwrap_or(&ours));
    let is_other = old != new && stands(state, CloudName::Azure, &format!("/sites/{old}"));
    is_other.then(|| {
        format!(
            "the service is the Function App `{old}`, and none can be renamed to `{new}`: write `azure: {{ name: {old} }}`, or give the service another name, which makes a new one and deletes this one"
        )
    })
}

/// Whether a resource whose id ends so was seen to be ours.
fn stands(state: &ServiceState, target: CloudName, end: &str) -> bool {
    let seen = state.seen(target).map(|seen| &seen.observed.resources);
    let ends = |id: &String| id.to_lowercase().ends_with(&end.to_lowercase());
    seen.is_some_and(|resources| resources.iter().any(ends))
}

/// A target that stands elsewhere now was never seen there. What it left behind is told, and left alone.
fn move_out(state: &mut ServiceState, to: &Environment, now: Timestamp) -> Vec<Write> {
    let Some(from) = state.environment().cloned() else {
        return Vec::new();
    };
    let has_moved = |target: &CloudName| place(&from, *target) != place(to, *target);
    let mut writes = Vec::new();
    for target in CloudName::ALL.into_iter().filter(has_moved) {
        if let Some(live) = state.live.remove(&target) {
            let left = live.seen.map_or(0, |seen| seen.observed.resources.len());
            let message = format!(
                "{target} of {} is another place now, or none; {left} resources are left where it was, and are not deleted",
                state.key.environment
            );
            writes.push(Write::Live(target));
            writes.push(event(state, Severity::Warning, "TargetMoved", message, now));
        }
    }
    writes
}

/// Where a target's resources stand.
fn place(environment: &Environment, target: CloudName) -> Option<Vec<&str>> {
    match target {
        CloudName::Aws => environment.aws.as_ref().map(|aws| vec![&*aws.region]),
        CloudName::Azure => environment
            .azure
            .as_ref()
            .map(|azure| vec![&*azure.subscription, &*azure.resource_group, &*azure.prefix]),
    }
}

/// A commit that changes nothing of a service is not news of it: the service stays at the commit that changed it last.
fn dated(state: &ServiceState, desired: &Arc<DesiredService>) -> Arc<DesiredService> {
    let digest = desired.release.digest;
    let before = match state.ask.desired() {
        Some(before) => (before.release.digest == digest).then_some(&before.release.revision),
        None => state
            .memory
            .asked_revision
            .as_ref()
            .filter(|_| state.memory.asked == Some(digest)),
    };
    match before {
        Some(revision) if *revision != desired.release.revision => {
            let mut dated = DesiredService::clone(desired);
            dated.release.revision = revision.clone();
            Arc::new(dated)
        }
        Some(_) | None => desired.clone(),
    }
}

/// Keeps what a commit asks for, so that it can be deployed again, found on the clouds, and pruned.
fn remember(state: &mut ServiceState, desired: &DesiredService) -> Vec<Write> {
    let DesiredService {
        release,
        environment,
        rollout: _,
        depends_on,
        drift: _,
    } = desired;
    let memory = &mut state.memory;
    if memory.asked != Some(release.digest) {
        memory.generation += 1;
        memory.asked = Some(release.digest);
    }
    memory.asked_revision = Some(release.revision.clone());
    memory.environment = Some(environment.clone());
    memory.depends_on.clone_from(depends_on);
    memory
        .functions
        .extend(release.content.functions.keys().cloned());
    let gone = std::mem::take(&mut memory.called).without(&release.content.functions);
    memory.called = release.content.called().or(&gone);
    let mut writes = vec![Write::Memory];
    match state.releases.entry(release.digest) {
        Entry::Vacant(place) => {
            place.insert(Box::new(ReleaseRecord {
                release: release.clone(),
                packages: BTreeMap::new(),
                promoted_at: None,
            }));
            writes.push(Write::Release(release.digest));
            writes.extend(drop_old_releases(state));
        }
        // One copy is kept of what was read from Git and from the store.
        Entry::Occupied(mut known) => {
            known.get_mut().release.content = Arc::clone(&release.content);
        }
    }
    if let Some(rollout) = &mut state.rollout
        && rollout.environment.as_ref() == Some(environment)
    {
        rollout.environment = Some(Arc::clone(environment));
    }
    writes
}

/// Releases kept for a rollback, beside those in use.
const RELEASES_KEPT: usize = 50;

fn drop_old_releases(state: &mut ServiceState) -> Vec<Write> {
    let memory = &state.memory;
    let pinned = memory.pin.as_ref().map(|pin| pin.release);
    let rolling = state.rollout.as_ref().map(|rollout| rollout.release);
    let in_use = [
        memory.asked,
        memory.promoted,
        memory.previous,
        pinned,
        rolling,
    ];
    let mut spare: Vec<_> = state
        .releases
        .values()
        .filter(|record| !in_use.contains(&Some(record.release.digest)))
        .collect();
    spare.sort_by_key(|record| record.promoted_at);
    let surplus = spare.len().saturating_sub(RELEASES_KEPT);
    let old: Vec<_> = spare[..surplus]
        .iter()
        .map(|record| record.release.digest)
        .collect();
    for digest in &old {
        state.releases.remove(digest);
    }
    old.into_iter().map(Write::DropRelease).collect()
}
