//! Which drift counts, and when repairing it is of no use: something that changes a field back as often as we set it would keep us, and
//! the cloud, at work for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    apply::{Write, event},
    reason::Reason,
    state::{ServiceState, Severity},
};
use crate::{
    diff::FieldDrift,
    name::{CloudName, CodeDigest, Timestamp},
    rollout::intent::Order,
};

/// The same repair so often in a row is the last one of its kind.
const TIMES_MAX: u32 = 2;

/// Two repairs that lie further apart are not in a row: people forget, and do the same by hand once more.
const IN_A_ROW: Duration = Duration::from_secs(60 * 60);

/// Blue that serves nobody is filled again however often it was emptied; once that is known not to last, no sooner than this.
const EMPTY_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The repair of a target that was made last.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Repaired {
    /// Of the order and what it was about, values included.
    what: CodeDigest,
    at: Timestamp,
    /// How often in a row.
    times: u32,
    /// Since when no more are made.
    pub stopped: Option<Timestamp>,
}

/// What is to be done about drift, by what was done before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// It is to be repaired.
    Repair,
    /// It came back too often: no more of it.
    Stop,
    /// No more of it since then.
    Stopped,
}

impl Repaired {
    /// Whether the next one of the same kind would be one too many.
    fn is_enough(&self, now: Timestamp) -> bool {
        self.times >= TIMES_MAX && now < self.at.after(IN_A_ROW)
    }
}

impl ServiceState {
    /// How blue of a target differs from the release that it holds, but for what the service leaves to others.
    pub fn drift(&self, target: CloudName) -> Vec<&FieldDrift> {
        let asked = self.ask.desired().map(|desired| &desired.drift);
        let is_ours = |drift: &&FieldDrift| !asked.is_some_and(|asked| asked.ignores(&drift.field));
        let seen = self.seen(target).map(|seen| seen.drift.iter());
        seen.into_iter().flatten().filter(is_ours).collect()
    }

    pub(super) fn repair_turn(
        &self,
        target: CloudName,
        order: &Order,
        reason: &Reason,
        now: Timestamp,
    ) -> Turn {
        let before = self.memory.repaired.get(&target);
        let same = before.filter(|before| before.what == what(order, reason));
        match same {
            Some(same) if same.stopped.is_some() && !is_empty(reason) => Turn::Stopped,
            Some(same) if same.stopped.is_some() && now < same.at.after(EMPTY_PAUSE) => {
                Turn::Stopped
            }
            Some(same) if same.stopped.is_some() => Turn::Repair,
            Some(same) if same.is_enough(now) => Turn::Stop,
            Some(_) | None => Turn::Repair,
        }
    }
}

/// Blue holds nothing whole: users of that cloud get nothing.
fn is_empty(reason: &Reason) -> bool {
    matches!(reason, Reason::Moved { found: None })
}

/// Takes in that a repair is made.
pub(super) fn made(
    state: &mut ServiceState,
    target: CloudName,
    order: &Order,
    reason: &Reason,
    now: Timestamp,
) {
    let what = what(order, reason);
    let before = state.memory.repaired.get(&target);
    let same = before.filter(|before| before.what == what && now < before.at.after(IN_A_ROW));
    let repaired = Repaired {
        what,
        at: now,
        times: same.map_or(0, |before| before.times).saturating_add(1),
        stopped: None,
    };
    state.memory.repaired.insert(target, repaired);
}

/// No more repairs of that kind, until a person says so or something else is found.
pub(super) fn stop(
    state: &mut ServiceState,
    target: CloudName,
    message: &str,
    now: Timestamp,
) -> Vec<Write> {
    if let Some(repaired) = state.memory.repaired.get_mut(&target) {
        repaired.stopped = Some(now);
    }
    let message = format!(
        "repairs on {target} stop, since the same one was made {TIMES_MAX} times in a row and does not last: {message}; \
         `verdigris reconcile {}` repairs once more",
        state.key
    );
    let told = event(state, Severity::Error, "DriftLoop", message, now);
    vec![Write::Memory, told]
}

/// What came back so often is gone.
pub(super) fn forget(state: &mut ServiceState, target: CloudName) -> Vec<Write> {
    state.memory.repaired.remove(&target);
    vec![Write::Memory]
}

fn what(order: &Order, reason: &Reason) -> CodeDigest {
    CodeDigest::of(format!("{order}: {reason}").as_bytes())
}
