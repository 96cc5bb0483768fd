//! What the destruction of a service would take away, and what it would leave: what a person looks at before they give their word.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{around::Around, state::ServiceState};
use crate::{
    manifest::spec::{AwsTarget, AzureTarget, Environment},
    name::{CloudName, PlanHash, ReleaseDigest, ServiceKey},
    observed::Observed,
};

/// What would go, and what would stay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destruction {
    pub service: ServiceKey,
    /// What a word is given for.
    pub hash: PlanHash,
    /// What users have now.
    pub live: Option<ReleaseDigest>,
    pub clouds: Vec<Going>,
    /// Services that depend on it, and go first.
    pub dependants: BTreeSet<ServiceKey>,
    /// What people should know of it.
    pub notes: Vec<String>,
}

/// One cloud.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Going {
    pub cloud: CloudName,
    /// Region, or resource group.
    pub place: String,
    /// Identifiers of what carries our tags.
    pub goes: Vec<String>,
    pub stays: Vec<Staying>,
    /// The cloud was never seen: what of the service stands there goes as soon as it answers.
    pub is_unseen: bool,
}

/// Something that is not taken away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Staying {
    pub what: String,
    pub why: String,
}

/// What a word is bound to. Who depends on the service is no part of it: several go in one sitting, one after the other.
#[derive(Serialize)]
struct Bound<'a> {
    destroy: &'a ServiceKey,
    live: Option<ReleaseDigest>,
    clouds: Vec<BoundCloud<'a>>,
}

#[derive(Serialize)]
struct BoundCloud<'a> {
    cloud: CloudName,
    aws: Option<&'a AwsTarget>,
    azure: Option<&'a AzureTarget>,
    /// None where it was never seen.
    goes: Option<BTreeSet<&'a String>>,
}

/// What would go of a service, by the newest look.
pub fn destruction(state: &ServiceState, around: &Around) -> Destruction {
    let environment = state.environment().map(AsRef::as_ref);
    let clouds = state.targets().into_iter();
    Destruction {
        service: state.key.clone(),
        hash: hash(state),
        live: state.memory.promoted,
        clouds: clouds
            .map(|cloud| going(state, environment, cloud))
            .collect(),
        dependants: around.dependants.clone(),
        notes: notes(state),
    }
}

/// The hash of what would go.
pub fn hash(state: &ServiceState) -> PlanHash {
    let environment = state.environment();
    let clouds = state.targets().into_iter().map(|cloud| {
        let seen = state.seen(cloud);
        let aws = environment.and_then(|it| it.aws.as_ref());
        let azure = environment.and_then(|it| it.azure.as_ref());
        BoundCloud {
            cloud,
            aws: aws.filter(|_| cloud == CloudName::Aws),
            azure: azure.filter(|_| cloud == CloudName::Azure),
            goes: seen.map(|seen| seen.observed.resources.iter().collect()),
        }
    });
    let json = serde_json::to_vec(&Bound {
        destroy: &state.key,
        live: state.memory.promoted,
        clouds: clouds.collect(),
    });
    // Cannot fail: every key is a string and every value has a JSON form.
    PlanHash::of(&json.expect("a plan has a JSON form"))
}

fn going(state: &ServiceState, environment: Option<&Environment>, cloud: CloudName) -> Going {
    let observed = state.seen(cloud).map(|seen| &seen.observed);
    let goes = observed.map(|it| it.resources.clone()).unwrap_or_default();
    let mut stays: Vec<Staying> = observed.into_iter().flat_map(foreign).collect();
    if observed.is_none() || !goes.is_empty() {
        stays.extend(environment.into_iter().flat_map(|it| shared(it, cloud)));
    }
    Going {
        cloud,
        place: environment
            .and_then(|it| place(it, cloud))
            .unwrap_or_default(),
        goes,
        stays,
        is_unseen: observed.is_none(),
    }
}

fn place(environment: &Environment, cloud: CloudName) -> Option<String> {
    match cloud {
        CloudName::Aws => environment.aws.as_ref().map(|aws| aws.region.clone()),
        CloudName::Azure => {
            let azure = environment.azure.as_ref()?;
            Some(azure.resource_group.clone())
        }
    }
}

fn foreign(observed: &Observed) -> impl Iterator<Item = Staying> + '_ {
    observed.foreign.iter().map(|resource| Staying {
        what: resource.clone(),
        why: "does not carry our tags".to_owned(),
    })
}

/// What a service uses and does not own.
fn shared(environment: &Environment, cloud: CloudName) -> Vec<Staying> {
    let stays = |what: &str, why: &str| Staying {
        what: what.to_owned(),
        why: why.to_owned(),
    };
    match cloud {
        CloudName::Aws => {
            let role = environment.aws.as_ref().and_then(|aws| aws.role.given());
            let role =
                role.map(|role| stays(role, "the environment names it, and others may use it"));
            let logs = stays("log groups", "until their retention ends");
            role.into_iter().chain([logs]).collect()
        }
        CloudName::Azure => vec![stays(
            "resource group, plan, storage account and Application Insights",
            "the environment's other services use them",
        )],
    }
}

fn notes(state: &ServiceState) -> Vec<String> {
    let memory = &state.memory;
    let mut notes = Vec::new();
    if let Some(destroyed) = &memory.destroyed {
        let by = &destroyed.actor.username;
        notes.push(format!("it was destroyed already, by {by}"));
    }
    if let Some(rollout) = state.active() {
        notes.push(format!(
            "rollout {}, which is {}, ends first",
            rollout.id,
            rollout.phase.word()
        ));
    }
    if let Some(suspension) = &memory.suspension {
        notes.push(format!(
            "it is suspended because {}; that does not keep it",
            suspension.reason
        ));
    }
    if state.wanted().is_some() {
        notes.push("git still names it: it stays away until `resume`".to_owned());
    }
    notes
}
