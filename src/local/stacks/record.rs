//! What is remembered of stacks: their resources, events and change sets, and which move follows which.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    changes::{Planned, Shown},
    resource::Live,
    value::Made,
};
use crate::name::Timestamp;

/// Older events are forgotten.
const EVENTS_MAX: usize = 1000;
/// Of stacks that are gone, so many are remembered.
const GONE_MAX: usize = 50;

macro_rules! statuses {
    ($($name:ident $text:literal,)*) => {
        /// How a stack or a resource of it stands, by CloudFormation's own words.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
        pub enum Status {
            $(#[serde(rename = $text)] $name,)*
        }

        impl Status {
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

statuses! {
    ReviewInProgress "REVIEW_IN_PROGRESS",
    CreateInProgress "CREATE_IN_PROGRESS",
    CreateComplete "CREATE_COMPLETE",
    CreateFailed "CREATE_FAILED",
    RollbackInProgress "ROLLBACK_IN_PROGRESS",
    RollbackComplete "ROLLBACK_COMPLETE",
    RollbackFailed "ROLLBACK_FAILED",
    UpdateInProgress "UPDATE_IN_PROGRESS",
    UpdateCleanup "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    UpdateComplete "UPDATE_COMPLETE",
    UpdateFailed "UPDATE_FAILED",
    UpdateRollbackInProgress "UPDATE_ROLLBACK_IN_PROGRESS",
    UpdateRollbackComplete "UPDATE_ROLLBACK_COMPLETE",
    UpdateRollbackFailed "UPDATE_ROLLBACK_FAILED",
    DeleteInProgress "DELETE_IN_PROGRESS",
    DeleteComplete "DELETE_COMPLETE",
    DeleteFailed "DELETE_FAILED",
    DeleteSkipped "DELETE_SKIPPED",
}

impl Status {
    pub fn is_in_progress(self) -> bool {
        self != Self::ReviewInProgress && self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether another template may follow.
    pub fn may_be_updated(self) -> bool {
        matches!(
            self,
            Self::CreateComplete | Self::UpdateComplete | Self::UpdateRollbackComplete
        )
    }

    /// What becomes of work that nobody is left to finish.
    fn interrupted(self) -> Self {
        match self {
            Self::CreateInProgress => Self::CreateFailed,
            Self::RollbackInProgress => Self::RollbackFailed,
            Self::UpdateInProgress | Self::UpdateCleanup => Self::UpdateFailed,
            Self::UpdateRollbackInProgress => Self::UpdateRollbackFailed,
            Self::DeleteInProgress => Self::DeleteFailed,
            other @ (Self::ReviewInProgress
            | Self::CreateComplete
            | Self::CreateFailed
            | Self::RollbackComplete
            | Self::RollbackFailed
            | Self::UpdateComplete
            | Self::UpdateFailed
            | Self::UpdateRollbackComplete
            | Self::UpdateRollbackFailed
            | Self::DeleteComplete
            | Self::DeleteFailed
            | Self::DeleteSkipped) => other,
        }
    }
}

/// All stacks, by their ids.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Stacks(pub BTreeMap<String, Stack>);

/// What a template was asked with.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Wish {
    /// As it was written.
    pub text: String,
    /// With transforms carried out.
    pub tree: Value,
    pub parameters: BTreeMap<String, String>,
    pub capabilities: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stack {
    pub id: String,
    pub name: String,
    pub status: Status,
    #[serde(default)]
    pub reason: Option<String>,
    pub created: Timestamp,
    #[serde(default)]
    pub updated: Option<Timestamp>,
    #[serde(default)]
    pub deleted: Option<Timestamp>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub wish: Wish,
    #[serde(default)]
    pub keeps_failed: bool,
    #[serde(default)]
    pub resources: BTreeMap<String, Held>,
    #[serde(default)]
    pub outputs: Vec<Shown>,
    /// Oldest first.
    #[serde(default)]
    pub events: Vec<Event>,
    /// By their names.
    #[serde(default)]
    pub change_sets: BTreeMap<String, ChangeSet>,
}

/// A resource of a stack.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Held {
    pub live: Live,
    pub status: Status,
    pub changed: Timestamp,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Event {
    pub id: String,
    pub at: Timestamp,
    pub logical: String,
    #[serde(default)]
    pub physical: String,
    pub kind: String,
    pub status: Status,
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ChangeSet {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub created: Timestamp,
    /// Whether it makes the stack.
    pub is_first: bool,
    pub wish: Wish,
    /// What it would change, or why it cannot be carried out.
    pub planned: Result<Vec<Planned>, String>,
    #[serde(default)]
    pub is_executed: bool,
}

impl Stack {
    pub fn new(id: String, name: String, now: Timestamp) -> Self {
        Self {
            id,
            name,
            status: Status::ReviewInProgress,
            reason: None,
            created: now,
            updated: None,
            deleted: None,
            description: None,
            wish: Wish::default(),
            keeps_failed: false,
            resources: BTreeMap::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            change_sets: BTreeMap::new(),
        }
    }

    pub fn note(&mut self, event: Event) {
        self.events.push(event);
        let over = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..over);
    }

    /// What references to its resources mean.
    pub fn made(&self) -> BTreeMap<String, Made> {
        let all = self.resources.iter();
        all.map(|(name, held)| (name.clone(), held.live.made.clone()))
            .collect()
    }

    pub fn physical(&self) -> BTreeMap<String, String> {
        let all = self.resources.iter();
        all.map(|(name, held)| (name.clone(), held.live.made.physical.clone()))
            .collect()
    }
}

impl Stacks {
    /// By its id, or by its name while it is there.
    pub fn find(&self, named: &str) -> Option<&Stack> {
        let by_name = |it: &&Stack| it.name == named && it.status != Status::DeleteComplete;
        self.0.get(named).or_else(|| self.0.values().find(by_name))
    }

    /// Where the endpoint stopped in the middle, the rest is not done.
    pub fn interrupted(mut self) -> Self {
        for stack in self.0.values_mut().filter(|it| it.status.is_in_progress()) {
            stack.status = stack.status.interrupted();
            stack.reason = Some("the endpoint stopped before this was done".to_owned());
        }
        self
    }

    /// Drops the oldest of those that are gone.
    pub fn forget(&mut self) {
        let mut gone: Vec<_> = self
            .0
            .values()
            .filter_map(|it| Some((it.deleted?, it.id.clone())))
            .collect();
        gone.sort();
        let over = gone.len().saturating_sub(GONE_MAX);
        for (_, id) in gone.into_iter().take(over) {
            self.0.remove(&id);
        }
    }
}
