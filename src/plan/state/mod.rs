//! All that is known of one service in one environment.

mod policy;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use self::{
    policy::Policy,
    told::{EventRecord, HistoryEntry, Severity},
};
use crate::{
    desired::{DesiredService, Release},
    diff::FieldDrift,
    manifest::spec::{Environment, Window},
    name::{
        Actor, Called, CloudName, CodeDigest, FunctionName, ReleaseDigest, Revision, ServiceKey,
        ServiceName, Timestamp,
    },
    observed::{Observed, Scope},
    plan::repairs::Repaired,
    rollout::{
        Rollout,
        intent::{Failure, Intent, IntentKey, Order},
        word::Word,
    },
};

/// One service, as far as it is known. What decides is here and nowhere else.
#[derive(Clone, Debug)]
pub struct ServiceState {
    pub key: ServiceKey,
    pub ask: Ask,
    /// What Git asked for before this process began, until a commit is read: the last good one, where that commit is wrong.
    pub asked_before: Option<Arc<DesiredService>>,
    /// Boxed, as the other maps: a map keeps room for eleven, and most hold one.
    pub live: BTreeMap<CloudName, Box<Live>>,
    pub memory: Memory,
    /// The newest rollout, ended or not.
    pub rollout: Option<Rollout>,
    /// Orders of the newest rollout, of drift and of pruning.
    pub intents: BTreeMap<IntentKey, Box<Intent>>,
    pub releases: BTreeMap<ReleaseDigest, Box<ReleaseRecord>>,
    /// What this process is doing now. Not kept: after a crash nothing is in flight.
    pub in_flight: InFlight,
}

/// What Git asks for.
#[derive(Clone, Debug, Default)]
pub enum Ask {
    /// No commit was read yet.
    #[default]
    Unknown,
    /// No manifest names it any more.
    Absent,
    Wanted(Arc<DesiredService>),
    /// Its manifest is wrong. The last good one stands.
    Invalid {
        faults: Vec<String>,
        last_good: Option<Arc<DesiredService>>,
    },
}

impl Ask {
    /// What is asked for, or was asked for last.
    pub fn desired(&self) -> Option<&Arc<DesiredService>> {
        match self {
            Self::Wanted(desired) => Some(desired),
            Self::Invalid { last_good, .. } => last_good.as_ref(),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// What was seen of one target, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    pub service: ServiceKey,
    pub target: CloudName,
    /// None until it was seen once: unknown, which is not empty.
    pub seen: Option<Seen>,
    /// Why the newest look failed.
    pub problem: Option<Problem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub at: Timestamp,
    pub observed: Observed,
    /// How blue differs from the release that it holds.
    pub drift: Vec<FieldDrift>,
    /// Since when every look finds that blue's own address is not answered by its release; none where the last one does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub failure: Failure,
    pub since: Timestamp,
    pub at: Timestamp,
    /// Looks that failed in a row.
    pub times: u32,
}

/// What is remembered of a service between rollouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub service: ServiceKey,
    /// Counts up when what is asked for changes.
    pub generation: u64,
    /// The release that the generation belongs to.
    pub asked: Option<ReleaseDigest>,
    pub asked_revision: Option<Revision>,
    /// What blue is meant to hold on every target: the release that was promoted last.
    pub promoted: Option<ReleaseDigest>,
    /// Since when it is live without a break.
    #[serde(default)]
    pub live_since: Option<Timestamp>,
    /// What was promoted before it: where `rollback` goes.
    pub previous: Option<ReleaseDigest>,
    pub pin: Option<Pin>,
    pub suspension: Option<Suspension>,
    /// A person had it taken off every cloud.
    #[serde(default)]
    pub destroyed: Option<Destroyed>,
    /// Releases that the loop does not try again by itself. They are kept in a record of their own.
    #[serde(skip)]
    pub rejected: BTreeMap<ReleaseDigest, Rejection>,
    pub next_rollout: u64,
    pub next_repair: u64,
    #[serde(default)]
    pub repaired: BTreeMap<CloudName, Repaired>,
    /// Every function that the service has, or had since it was pruned last.
    pub functions: BTreeSet<FunctionName>,
    /// What they are called on the clouds, where it is not as we would call them.
    #[serde(default)]
    pub called: Called,
    /// What it depends on: deleted after it, when Git names neither any more.
    #[serde(default)]
    pub depends_on: BTreeSet<ServiceName>,
    /// Where it runs; needed still when Git no longer names it.
    pub environment: Option<Arc<Environment>>,
    /// Echo of the newest `reconcile` token.
    pub handled: Option<String>,
    pub created_at: Timestamp,
    /// Opens the windows to the next rollout, if that begins soon.
    #[serde(default)]
    pub bypass: Option<Word>,
    /// Since when something is waited for that no other record dates; by [`super::reason::WaitingOn::dated_by_memory`].
    #[serde(default)]
    pub waits: BTreeMap<String, Timestamp>,
}

impl Memory {
    pub fn new(service: ServiceKey, now: Timestamp) -> Self {
        Self {
            service,
            generation: 0,
            asked: None,
            asked_revision: None,
            promoted: None,
            live_since: None,
            previous: None,
            pin: None,
            suspension: None,
            destroyed: None,
            rejected: BTreeMap::new(),
            next_rollout: 1,
            next_repair: 1,
            repaired: BTreeMap::new(),
            functions: BTreeSet::new(),
            called: Called::default(),
            depends_on: BTreeSet::new(),
            environment: None,
            handled: None,
            created_at: now,
            bypass: None,
            waits: BTreeMap::new(),
        }
    }
}

/// Holds the service at a release.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    pub release: ReleaseDigest,
    /// What Git asked for when the rollback was made; the loop must not bring it back.
    pub held: Option<ReleaseDigest>,
    pub actor: Actor,
    pub at: Timestamp,
    #[serde(default)]
    pub kind: PinKind,
    /// Why, where a person was asked.
    #[serde(default)]
    pub reason: String,
}

/// How long a pin holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinKind {
    /// Until something newer than `held` is asked for.
    #[default]
    Rollback,
    /// Until a person unpins it, whatever is asked for.
    Person,
}

/// No new rollout and no repair until somebody resumes, or it expires.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Suspension {
    pub reason: String,
    pub actor: Actor,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

impl Suspension {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Nothing of it is to run, whatever Git asks for, until somebody resumes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Destroyed {
    pub reason: String,
    pub actor: Actor,
    pub at: Timestamp,
    /// What was live, and is so again if somebody resumes before it is gone.
    pub live: Option<ReleaseDigest>,
    /// When every cloud was seen to hold nothing of it.
    pub gone_at: Option<Timestamp>,
}

/// A release that did not pass.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    pub revision: Revision,
    pub reason: String,
    pub message: String,
    pub at: Timestamp,
}

/// A release that was seen in Git, and the packages built for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    pub release: Release,
    pub packages: BTreeMap<CloudName, PackageRecord>,
    /// When blue held it first, on every target.
    pub promoted_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PackageRecord {
    pub code: CodeDigest,
    pub path: PathBuf,
    pub size: u64,
}

/// What this process is doing for the service now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InFlight {
    pub observing: BTreeSet<CloudName>,
    /// Orders that were sent and have not come back.
    pub orders: BTreeMap<IntentKey, Order>,
}

impl ServiceState {
    pub fn new(key: ServiceKey, now: Timestamp) -> Self {
        Self {
            memory: Memory::new(key.clone(), now),
            key,
            ask: Ask::Unknown,
            asked_before: None,
            live: BTreeMap::new(),
            rollout: None,
            intents: BTreeMap::new(),
            releases: BTreeMap::new(),
            in_flight: InFlight::default(),
        }
    }

    pub fn active(&self) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| rollout.is_active())
    }

    /// The release that Git asks for, or asked for last.
    pub fn wanted(&self) -> Option<ReleaseDigest> {
        self.ask.desired().map(|desired| desired.release.digest)
    }

    /// What Git asks for, or asked for last before this process began.
    pub fn asked_last(&self) -> Option<&Arc<DesiredService>> {
        self.ask.desired().or(self.asked_before.as_ref())
    }

    /// Clouds that the service runs on: as Git says, else as it was.
    pub fn targets(&self) -> Vec<CloudName> {
        self.environment()
            .map(|environment| environment.targets())
            .unwrap_or_default()
    }

    /// Where it runs: as Git says, else as it was.
    pub fn environment(&self) -> Option<&Arc<Environment>> {
        let asked = self.ask.desired().map(|desired| &desired.environment);
        asked.or(self.memory.environment.as_ref())
    }

    /// When the newest rollout may be promoted, by its environment's windows and its own: as Git says now, so that a freeze holds what is
    /// under way, too, and holds it over a restart.
    pub fn windows(&self) -> Vec<&Window> {
        let rollout = self.rollout.as_ref().map(|rollout| &rollout.spec);
        let desired = self.asked_last().map(|desired| &desired.rollout);
        let of_environment = self.environment().map(|it| it.windows.as_slice());
        let own = desired.or(rollout).map(|spec| spec.windows.as_slice());
        let all = of_environment.into_iter().chain(own);
        all.flatten().collect()
    }

    /// Where orders go: where the rollout under way began.
    pub fn at_work_in(&self) -> Option<&Arc<Environment>> {
        let rollout = self.active().and_then(|it| it.environment.as_ref());
        rollout.or_else(|| self.environment())
    }

    pub fn seen(&self, target: CloudName) -> Option<&Seen> {
        self.live.get(&target)?.seen.as_ref()
    }

    pub fn intent(&self, key: &IntentKey) -> Option<&Intent> {
        self.intents.get(key).map(AsRef::as_ref)
    }

    /// Git does not name it, and nothing of it is remembered.
    pub fn is_forgotten(&self) -> bool {
        let nothing = Memory::new(self.key.clone(), self.memory.created_at);
        matches!(self.ask, Ask::Absent) && self.memory == nothing && self.rollout.is_none()
    }

    pub fn suspension(&self, now: Timestamp) -> Option<&Suspension> {
        self.memory
            .suspension
            .as_ref()
            .filter(|suspension| !suspension.is_over(now))
    }

    /// An order to a cloud that was sent and has not come back.
    pub fn writing(&self) -> Option<(&IntentKey, &Order)> {
        self.in_flight
            .orders
            .iter()
            .find(|(_, order)| order.writes())
    }

    /// Where to look on a cloud.
    pub fn scope(&self) -> Scope {
        Scope {
            service: self.key.clone(),
            functions: self.memory.functions.clone(),
            called: self.memory.called.clone(),
        }
    }
}
