//! Orders, and the intents that are recorded before any of them is sent.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::name::{CloudName, GateName, Percent, ReleaseDigest, ServiceKey, Timestamp};

/// What is to be done, with nothing left to choose.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Order {
    Build {
        release: ReleaseDigest,
    },
    Stage {
        target: CloudName,
        release: ReleaseDigest,
    },
    /// One measurement of a gate, on every target.
    Measure {
        gate: GateName,
        round: u32,
    },
    /// Give the release a share of blue's requests; a share of nothing takes it back.
    Shift {
        target: CloudName,
        release: ReleaseDigest,
        weight: Percent,
    },
    Promote {
        target: CloudName,
        release: ReleaseDigest,
    },
    /// Take back a first promotion.
    Retract {
        target: CloudName,
        release: ReleaseDigest,
    },
    /// Undo drift.
    Repair {
        target: CloudName,
        release: ReleaseDigest,
    },
    Prune {
        target: CloudName,
    },
}

impl Order {
    pub fn target(&self) -> Option<CloudName> {
        match self {
            Self::Build { .. } | Self::Measure { .. } => None,
            Self::Stage { target, .. }
            | Self::Shift { target, .. }
            | Self::Promote { target, .. }
            | Self::Retract { target, .. }
            | Self::Repair { target, .. }
            | Self::Prune { target } => Some(*target),
        }
    }

    pub fn release(&self) -> Option<ReleaseDigest> {
        match self {
            Self::Build { release }
            | Self::Stage { release, .. }
            | Self::Shift { release, .. }
            | Self::Promote { release, .. }
            | Self::Retract { release, .. }
            | Self::Repair { release, .. } => Some(*release),
            Self::Measure { .. } | Self::Prune { .. } => None,
        }
    }

    /// Whether it changes what a cloud holds.
    pub fn writes(&self) -> bool {
        self.target().is_some()
    }

    /// Whether it may change what users are served.
    pub fn touches_blue(&self) -> bool {
        match self {
            Self::Shift { .. }
            | Self::Promote { .. }
            | Self::Retract { .. }
            | Self::Repair { .. }
            | Self::Prune { .. } => true,
            Self::Build { .. } | Self::Stage { .. } | Self::Measure { .. } => false,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build { release } => write!(f, "build {}", release.short()),
            Self::Stage { target, release } => {
                write!(f, "stage {} on {target} green", release.short())
            }
            Self::Measure { gate, round } => write!(f, "measure gate {gate}, round {round}"),
            Self::Shift {
                target,
                release,
                weight,
            } if weight.is_none() => {
                write!(f, "take the canary {} off {target} blue", release.short())
            }
            Self::Shift {
                target,
                release,
                weight,
            } => {
                write!(f, "shift {weight} of {target} blue to {}", release.short())
            }
            Self::Promote { target, release } => {
                write!(f, "promote {} to {target} blue", release.short())
            }
            Self::Retract { target, release } => {
                write!(f, "take {} off {target} blue", release.short())
            }
            Self::Repair { target, release } => {
                write!(f, "repair {target} blue to {}", release.short())
            }
            Self::Prune { target } => write!(f, "prune {target}"),
        }
    }
}

/// The idempotency key of an order: the same decision made again has the same key.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentKey(pub String);

impl fmt::Display for IntentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An order that was decided, and what became of it. On the disk before the order is sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub key: IntentKey,
    pub service: ServiceKey,
    pub order: Order,
    pub recorded_at: Timestamp,
    pub state: IntentState,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum IntentState {
    /// To be sent, or sent and not known to be done.
    Open {
        attempts: u32,
        not_before: Timestamp,
        last: Option<Failure>,
    },
    Done {
        at: Timestamp,
    },
    /// Given up.
    Failed {
        at: Timestamp,
        failure: Failure,
    },
}

/// Longest message that is kept of a failure, in bytes: it is written down many times.
const MESSAGE_MAX: usize = 2048;

/// Why an order did not succeed, and what happens next.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word.
    pub reason: String,
    pub message: String,
    pub response: Response,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Response {
    /// Again, no sooner than this.
    RetryAfter(Duration),
    /// Again with backoff.
    Retry,
    /// Stalled until a person acts; looked at again now and then.
    CallPerson,
    /// The release is at fault.
    Reject,
}

/// First wait of the backoff; it doubles up to [`BACKOFF_MAX`].
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A `Retry-After` of a day must not hang us.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Longest time that an order may be put off by a cloud that is busy.
pub const ORDER_PATIENCE: Duration = Duration::from_secs(600);
/// How often something that needs a person is looked at again.
pub const STALLED_RETRY: Duration = Duration::from_secs(60);

/// 0.25 s, 0.5 s, 1 s … 60 s. Without jitter: what is decided here must be the same in every replay, and each order counts its own tries
/// from its own beginning.
pub fn backoff(attempts: u32) -> Duration {
    BACKOFF_FIRST
        .saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1).min(16)))
        .min(BACKOFF_MAX)
}

impl Failure {
    /// With a message that is long cut in its middle: what failed stands first, and what was said last stands last.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        if self.message.len() > MESSAGE_MAX {
            let head = self.message.floor_char_boundary(MESSAGE_MAX / 4);
            let tail = self
                .message
                .ceil_char_boundary(self.message.len() - MESSAGE_MAX * 3 / 4);
            self.message = format!("{} … {}", &self.message[..head], &self.message[tail..]);
        }
        self
    }
}

impl Intent {
    pub fn is_done(&self) -> bool {
        matches!(self.state, IntentState::Done { .. })
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            IntentState::Failed { failure, .. } => Some(failure),
            IntentState::Open { last, .. } => last.as_ref(),
            IntentState::Done { .. } => None,
        }
    }

    /// Takes in what a try brought.
    pub fn settle(&mut self, outcome: Result<(), Failure>, patience: Patience, now: Timestamp) {
        let tried = match &self.state {
            IntentState::Open { attempts, .. } => *attempts,
            IntentState::Done { .. } | IntentState::Failed { .. } => 0,
        };
        let failure = match outcome {
            Ok(()) => {
                self.state = IntentState::Done { at: now };
                return;
            }
            Err(failure) => failure,
        };
        // A wait that the other side asked for is no failed try.
        let is_asked_to_wait = matches!(failure.response, Response::RetryAfter(_));
        let attempts = tried.saturating_add(u32::from(!is_asked_to_wait));
        let age = now.since(self.recorded_at);
        self.state = if patience.is_over(failure.response, attempts, age) {
            IntentState::Failed { at: now, failure }
        } else {
            IntentState::Open {
                attempts,
                not_before: now.after(wait_after(&failure, attempts)),
                last: Some(failure),
            }
        };
    }
}

/// How long an order is tried for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// For ever: giving up would leave something half done.
    Endless,
    /// A number of tries, whatever is wrong: users see it half done meanwhile. Waits that the other side asks for do not count, but end
    /// after [`ORDER_PATIENCE`].
    Tries(u32),
    /// For [`ORDER_PATIENCE`], and for as long as a person takes where one must act: nothing of it is seen by users.
    Time,
}

impl Patience {
    fn is_over(self, response: Response, attempts: u32, age: Duration) -> bool {
        match (self, response) {
            (Self::Endless, _) | (Self::Time, Response::CallPerson) => false,
            (Self::Tries(_) | Self::Time, Response::Reject) => true,
            (Self::Tries(_) | Self::Time, Response::RetryAfter(_))
            | (Self::Time, Response::Retry) => age >= ORDER_PATIENCE,
            (Self::Tries(max), Response::Retry | Response::CallPerson) => attempts >= max,
        }
    }
}

fn wait_after(failure: &Failure, attempts: u32) -> Duration {
    match failure.response {
        Response::RetryAfter(wait) => wait.clamp(BACKOFF_FIRST, RETRY_AFTER_MAX),
        Response::Retry => backoff(attempts),
        Response::CallPerson | Response::Reject => {
            STALLED_RETRY.min(backoff(attempts.saturating_add(4)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_ends_at_a_minute() {
        let waits: Vec<u128> = [1, 2, 3, 8, 9, 40, u32::MAX]
            .map(|n| backoff(n).as_millis())
            .into();
        assert_eq!(waits, [250, 500, 1000, 32_000, 60_000, 60_000, 60_000]);
    }
}
