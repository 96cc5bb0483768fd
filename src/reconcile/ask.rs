//! Takes what a commit asks for into a service's state.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use super::handle::Asked;
use crate::{
    desired::DesiredService,
    manifest::spec::Environment,
    name::{Called, CloudName, FunctionName, ServiceKey, Timestamp},
    plan::{
        apply::{Write, event},
        state::{Ask, Memory, ReleaseRecord, ServiceState, Severity},
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

/// Neither cloud renames a function: under another name it would be another one, and whoever calls the first would go on to meet it. Nor is
/// one that stands another's: looked at as both, it would be cleared away as the one that is gone.
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
    let stays = |target: CloudName| place(environment, target) == place(to, target);
    let mut faults = Vec::new();
    let functions = release.content.functions.keys();
    for function in functions.filter(|_| stays(CloudName::Aws)) {
        let names = [&state.memory.called, &called];
        let [old, new] = names.map(|it| it.lambda(&state.key, function));
        if old != new && is_lambda(state, &old) {
            faults.push(format!(
                "`{function}` is the Lambda function `{old}`, and none can be renamed to `{new}`: write `aws: {{ name: {old} }}` at the function, or give it another key together with another name than `{old}`, which makes a new one and deletes this one"
            ));
        } else if let Some(holder) = holder(state, function, &new) {
            faults.push(format!(
                "`{function}` would be the Lambda function `{new}`, which is `{holder}`: a function keeps its key as long as it keeps its name, so call it `{holder}` again, or give `{function}` another `aws: {{ name }}`, which makes a new one and deletes this one"
            ));
        }
    }
    faults.extend(moved_app(state, environment, &called).filter(|_| stays(CloudName::Azure)));
    faults
}

/// Whose name it is that a function is to have, where that one stands and is another of the service.
fn holder<'a>(
    state: &'a ServiceState,
    function: &FunctionName,
    name: &str,
) -> Option<&'a FunctionName> {
    let (functions, called) = (&state.memory.functions, &state.memory.called);
    let is_called_so = |it: &&FunctionName| called.lambda(&state.key, it) == name;
    let is_its_own = functions.get(function).as_ref().is_some_and(is_called_so);
    let mut others = functions.iter().filter(|_| !is_its_own);
    others.find(|it| is_called_so(it) && is_lambda(state, name))
}

fn is_lambda(state: &ServiceState, name: &str) -> bool {
    stands(state, CloudName::Aws, &format!(":function:{name}"))
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
    let content = &release.content;
    remember_names(memory, &state.key, &content.functions, content.called());
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

/// A name that a function of the release has is no longer that of one which is gone.
fn remember_names<T>(
    memory: &mut Memory,
    service: &ServiceKey,
    functions: &BTreeMap<FunctionName, T>,
    called: Called,
) {
    let names = functions.keys().map(|it| called.lambda(service, it));
    let names: BTreeSet<String> = names.collect();
    let mut gone = std::mem::take(&mut memory.called).without(functions);
    memory
        .functions
        .retain(|it| !names.contains(&gone.lambda(service, it)));
    gone.aws.retain(|_, name| !names.contains(name));
    memory.functions.extend(functions.keys().cloned());
    memory.called = called.or(&gone);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observed::Observed,
        plan::state::{Live, Seen},
    };

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).unwrap()
    }

    /// `list` by a name of its own, `stock` by ours, and `old`, which is gone from the cloud.
    fn state() -> ServiceState {
        let mut state = ServiceState::new("prod/shop".parse().unwrap(), NOW);
        state.memory.functions = ["list", "old", "stock"].map(name).into();
        let given = [("list", "legacy"), ("old", "gone")];
        state.memory.called.aws = given.map(|(key, it)| (name(key), it.to_owned())).into();
        let arn = |name| format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
        let observed = Observed {
            resources: ["legacy", "prod-shop-stock"].map(arn).into(),
            ..Observed::default()
        };
        let seen = Seen {
            at: NOW,
            observed,
            drift: Vec::new(),
            silent_since: None,
        };
        let live = Live {
            service: state.key.clone(),
            target: CloudName::Aws,
            seen: Some(seen),
            problem: None,
        };
        state.live.insert(CloudName::Aws, Box::new(live));
        state
    }

    #[test]
    fn a_name_is_one_functions_as_long_as_that_one_stands() {
        let state = state();
        for (function, called, expected) in [
            ("index", "legacy", Some("list")),
            ("index", "prod-shop-stock", Some("stock")),
            ("list", "prod-shop-stock", Some("stock")),
            ("list", "legacy", None),
            ("stock", "prod-shop-stock", None),
            ("index", "gone", None),
            ("index", "prod-shop-index", None),
            ("index", "prod-shop-list", None),
        ] {
            let holder = holder(&state, &name(function), called);
            assert_eq!(holder, expected.map(name).as_ref(), "{function}: {called}");
        }
    }

    #[test]
    fn a_function_that_gets_the_name_of_one_that_is_gone_is_not_looked_at_as_both() {
        let ServiceState {
            key, mut memory, ..
        } = state();
        let named = |all: [(&str, &str); 2]| all.map(|(key, it)| (name(key), it.to_owned())).into();
        let called = Called {
            aws: named([("index", "gone"), ("list", "legacy")]),
            azure: None,
        };
        let functions = ["index", "list"].map(|it| (name(it), ())).into();
        remember_names(&mut memory, &key, &functions, called.clone());
        assert_eq!(
            memory.functions,
            ["index", "list", "stock"].map(name).into()
        );
        assert_eq!(memory.called, called);
    }
}
