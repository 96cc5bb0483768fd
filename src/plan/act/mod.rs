//! What people may ask of a service, and what becomes of it.

mod approve;
mod back;
mod go;
mod hold;
pub mod named;
mod onward;

use serde::{Deserialize, Serialize};

use super::{
    apply::{Write, event},
    state::{ServiceState, Severity},
};
use crate::name::{Actor, ReleaseDigest, Timestamp};

/// A verb of the API and the command line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// End the wait that is under way: a pause, an approval, a soak or the bake; or, in full, all that are still to come but approvals.
    /// Gates are never skipped.
    Promote {
        full: bool,
    },
    Abort {
        reason: Option<String>,
    },
    /// Try a rejected release again, or measure a paused gate again.
    Retry,
    /// Begin nothing more of this rollout until somebody resumes.
    Pause {
        reason: Option<String>,
    },
    /// End a pause and a suspension, let go of a rollback's pin, and bring back what was destroyed.
    Resume,
    /// Go back to the previous release, or to a named one.
    Rollback {
        to: Option<ReleaseDigest>,
    },
    /// Stay at what is live, or at a named release that was, whatever Git asks for.
    Pin {
        to: Option<ReleaseDigest>,
        reason: String,
    },
    /// Let go of a pin.
    Unpin,
    Suspend {
        reason: String,
        until: Option<Timestamp>,
    },
    /// Take it off every cloud, as the plan whose hash begins so says, until somebody resumes.
    Destroy {
        plan: String,
        reason: String,
    },
    /// Open the windows to the rollout that is under way.
    Override {
        reason: String,
    },
    /// Give a word for the plan whose hash begins so; for the plan as it is, where none is named.
    Approve {
        plan: Option<String>,
    },
    /// Look now. The token is echoed in status once it was done.
    Reconcile {
        token: Option<String>,
    },
}

impl Action {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Promote { .. } => "promote",
            Self::Abort { .. } => "abort",
            Self::Retry => "retry",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Rollback { .. } => "rollback",
            Self::Pin { .. } => "pin",
            Self::Unpin => "unpin",
            Self::Suspend { .. } => "suspend",
            Self::Destroy { .. } => "destroy",
            Self::Override { .. } => "override",
            Self::Approve { .. } => "approve",
            Self::Reconcile { .. } => "reconcile",
        }
    }

    /// What the event says of it: which, and why.
    fn told(&self, by: &str) -> String {
        let (which, reason) = match self {
            Self::Promote { full: true } => (" in full".to_owned(), ""),
            Self::Abort { reason } | Self::Pause { reason } => {
                (String::new(), reason.as_deref().unwrap_or_default())
            }
            Self::Suspend { reason, until: _ }
            | Self::Override { reason }
            | Self::Destroy { plan: _, reason } => (String::new(), reason.as_str()),
            Self::Pin { to, reason } => {
                let at = to.map(|to| format!(" at {}", to.short()));
                (at.unwrap_or_default(), reason.as_str())
            }
            Self::Rollback { to: Some(to) } => (format!(" to {}", to.short()), ""),
            Self::Approve { plan: Some(plan) } => (format!(" of plan {plan}"), ""),
            Self::Promote { full: false }
            | Self::Retry
            | Self::Resume
            | Self::Rollback { to: None }
            | Self::Unpin
            | Self::Approve { plan: None }
            | Self::Reconcile { .. } => (String::new(), ""),
        };
        let word = self.word();
        match reason {
            "" => format!("{word}{which} asked for by {by}"),
            reason => format!("{word}{which} asked for by {by}: {reason}"),
        }
    }
}

/// The action does not fit what the service is doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot {action} {service}: {message}")]
pub struct Refused {
    pub action: &'static str,
    pub service: String,
    pub message: String,
}

impl Action {
    /// Whether it means anything for a service that was destroyed.
    fn suits_the_destroyed(&self) -> bool {
        match self {
            Self::Resume | Self::Destroy { .. } | Self::Reconcile { .. } => true,
            Self::Promote { .. }
            | Self::Abort { .. }
            | Self::Retry
            | Self::Pause { .. }
            | Self::Rollback { .. }
            | Self::Pin { .. }
            | Self::Unpin
            | Self::Suspend { .. }
            | Self::Override { .. }
            | Self::Approve { .. } => false,
        }
    }
}

/// What an action does: what must be written down, or why it does not fit.
type Taken = Result<Vec<Write>, String>;

/// Takes an action into the state. One that asks for what is so already changes nothing and is told.
///
/// # Errors
///
/// An action that does not fit; nothing changes then, and the message says what would.
pub fn act(
    state: &mut ServiceState,
    action: Action,
    actor: Actor,
    now: Timestamp,
) -> Result<Vec<Write>, Refused> {
    let word = action.word();
    let message = action.told(&actor.username);
    let destroyed = state.memory.destroyed.as_ref();
    let outcome = match action {
        action if destroyed.is_some() && !action.suits_the_destroyed() => Err(go::refusal(state)),
        Action::Promote { full } => onward::promote(state, full, &actor, now),
        Action::Abort { reason } => onward::abort(state, &actor, reason, now),
        Action::Retry => onward::retry(state, actor.clone(), now),
        Action::Pause { reason } => hold::pause(state, reason, &actor, now),
        Action::Resume => hold::resume(state, now),
        Action::Rollback { to } => back::rollback(state, to, actor.clone(), now),
        Action::Pin { to, reason } => back::pin(state, to, reason, &actor, now),
        Action::Unpin => back::unpin(state),
        Action::Suspend { reason, until } => hold::suspend(state, reason, until, &actor, now),
        Action::Destroy { plan, reason } => go::destroy(state, &plan, reason, &actor, now),
        Action::Override { reason } => hold::bypass(state, reason, &actor, now),
        Action::Approve { plan } => approve::approve(state, plan.as_deref(), &actor, now),
        Action::Reconcile { token } => {
            forget_age(state);
            state.memory.repaired.clear();
            state.memory.handled = token.or_else(|| Some(now.to_string()));
            Ok(vec![Write::Memory])
        }
    };
    let mut writes = outcome.map_err(|message| Refused {
        action: word,
        service: state.key.to_string(),
        message,
    })?;
    writes.push(event(state, Severity::Info, "ActionTaken", message, now));
    Ok(writes
        .into_iter()
        .map(|write| told(write, &actor))
        .collect())
}

/// What happens because a person said so happens in their name.
fn told(mut write: Write, actor: &Actor) -> Write {
    if let Write::Event(record) = &mut write {
        record.actor = actor.clone();
    }
    write
}

/// Makes every target due for a look.
fn forget_age(state: &mut ServiceState) {
    for live in state.live.values_mut() {
        if let Some(seen) = &mut live.seen {
            seen.at = Timestamp::default();
        }
        live.problem = None;
    }
}
