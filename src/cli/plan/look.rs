//! A look at both clouds, without a store: what a daemon that starts afresh would see.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use super::{super::screen::Screen, read::Asked};
use crate::{
    clock::Clock,
    cloud::{CloudError, SharedCloud, line::answered_within},
    daemon::clouds::Clouds,
    desired::{DesiredService, Release},
    diff::{self, FieldDrift},
    manifest::spec::Environment,
    name::{CloudName, CodeDigest, ServiceKey},
    observed::{Fields, Observed, Owned},
    plan::{
        apply,
        state::{Ask, ReleaseRecord, ServiceState},
    },
    rollout::intent::{Failure, Response},
};

/// Looks under way at once. The clouds' own limits are kept by their clients.
const AT_ONCE: usize = 16;

/// Longest time for one look.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// The states of all services, each of its targets looked at once.
pub(super) async fn look(
    clouds: &Clouds,
    clock: &dyn Clock,
    asked: Asked,
    screen: &Screen,
) -> Vec<ServiceState> {
    let strays = strays(clouds, &asked, screen).await;
    let mut states: BTreeMap<ServiceKey, ServiceState> = asked
        .services
        .into_iter()
        .map(|(key, ask)| (key.clone(), fresh(key, ask, clock)))
        .collect();
    let looks: Vec<(ServiceKey, CloudName)> = states
        .values()
        .flat_map(|state| {
            let targets = state.targets().into_iter();
            targets.map(|target| (state.key.clone(), target))
        })
        .collect();
    let (all, mut done) = (looks.len(), 0);
    let mut seen = stream::iter(looks.into_iter().filter_map(|(key, target)| {
        let state = states.get(&key)?.clone();
        Some(async move { (key, target, look_at(clouds, &state, target).await) })
    }))
    .buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(look) = seen.next().await {
        done += 1;
        screen.progress(&format!("looking at the clouds: {done} of {all}"));
        found.push(look);
    }
    drop(seen);
    screen.progress_done();
    for (key, target, look) in found {
        if let Some(state) = states.get_mut(&key) {
            apply::seen(state, target, look, clock.now());
        }
    }
    for stray in strays {
        let key = stray.service.clone();
        let state = states.entry(key).or_insert_with(|| absent(&stray, clock));
        let observed = Observed {
            resources: stray.resources,
            ..Observed::default()
        };
        apply::seen(state, stray.target, Ok((observed, Vec::new())), clock.now());
    }
    states.into_values().collect()
}

/// A state with nothing behind it but what Git asks for.
fn fresh(key: ServiceKey, ask: Ask, clock: &dyn Clock) -> ServiceState {
    let mut state = ServiceState::new(key, clock.now());
    if let Some(desired) = ask.desired() {
        let DesiredService {
            release,
            environment,
            rollout: _,
            depends_on: _,
            drift: _,
        } = &**desired;
        state.memory.environment = Some(environment.clone());
        state.memory.functions = release.content.functions.keys().cloned().collect();
        state.memory.called = release.content.called();
        let record = ReleaseRecord {
            release: release.clone(),
            packages: BTreeMap::new(),
            promoted_at: None,
        };
        state.releases.insert(release.digest, Box::new(record));
    }
    state.ask = ask;
    state
}

async fn look_at(
    clouds: &Clouds,
    state: &ServiceState,
    target: CloudName,
) -> Result<(Observed, Vec<FieldDrift>), Failure> {
    let Some(desired) = state.ask.desired() else {
        return Ok((Observed::default(), Vec::new()));
    };
    let cloud = clouds.target(&desired.environment, target).await?;
    let scope = state.scope();
    let observed = answered_within(LOOK_MAX, cloud.observe(&scope))
        .await
        .map_err(|_| slow(target))?
        .map_err(|error| failure(&error))?;
    let drift = drift(&cloud, &desired.release, &observed);
    Ok((observed, drift))
}

/// How blue differs from the release that it says it holds, apart from the code: nothing is built here, so its digest is not known.
fn drift(cloud: &SharedCloud, release: &Release, observed: &Observed) -> Vec<FieldDrift> {
    let Some(holding) = observed.blue.holding() else {
        return Vec::new();
    };
    if holding.release != release.digest {
        return Vec::new();
    }
    let expected = cloud.expected(release, CodeDigest::of(b"one"));
    let other = cloud.expected(release, CodeDigest::of(b"another"));
    let is_about_code = |field: &str| expected.get(field) != other.get(field);
    let without_code = |fields: &Fields| -> Fields {
        let fields = fields.iter().filter(|(field, _)| !is_about_code(field));
        fields
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    diff::fields(&without_code(&expected), &without_code(&holding.fields))
}

// === services that no manifest names ===

/// A service of ours on a cloud that no manifest names.
struct Stray {
    service: ServiceKey,
    environment: Arc<Environment>,
    target: CloudName,
    resources: Vec<String>,
}

async fn strays(clouds: &Clouds, asked: &Asked, screen: &Screen) -> Vec<Stray> {
    if !asked.is_whole {
        return Vec::new();
    }
    let targets = asked.environments.values().flat_map(|environment| {
        let targets = environment.targets().into_iter();
        targets.map(move |target| (environment, target))
    });
    let mut strays = Vec::new();
    for (environment, target) in targets {
        screen.progress(&format!(
            "looking for services of {} on {target}",
            environment.name
        ));
        // Where that fails, the look at each service fails too, and tells why.
        for owned in owned(clouds, environment, target).await {
            let Owned {
                service,
                functions: _,
                called: _,
                resources,
            } = owned;
            if service.environment == environment.name && !asked.keeps(&service) {
                strays.push(Stray {
                    service,
                    environment: environment.clone(),
                    target,
                    resources,
                });
            }
        }
    }
    screen.progress_done();
    strays
}

async fn owned(clouds: &Clouds, environment: &Environment, target: CloudName) -> Vec<Owned> {
    let Ok(cloud) = clouds.target(environment, target).await else {
        return Vec::new();
    };
    match answered_within(LOOK_MAX, cloud.inventory()).await {
        Ok(Ok(owned)) => owned,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// A service that Git no longer names. A target on which none of its resources were found was looked at too, and is empty.
fn absent(stray: &Stray, clock: &dyn Clock) -> ServiceState {
    let mut state = ServiceState::new(stray.service.clone(), clock.now());
    state.ask = Ask::Absent;
    state.memory.environment = Some(stray.environment.clone());
    for target in state.targets() {
        let nothing = (Observed::default(), Vec::new());
        apply::seen(&mut state, target, Ok(nothing), clock.now());
    }
    state
}

fn slow(target: CloudName) -> Failure {
    Failure {
        reason: "TimedOut".to_owned(),
        message: format!(
            "{target} did not answer a look within {}s",
            LOOK_MAX.as_secs()
        ),
        response: Response::Retry,
    }
}

fn failure(error: &CloudError) -> Failure {
    Failure {
        reason: error.reason().to_owned(),
        message: error.to_string(),
        response: error.response(),
    }
}
