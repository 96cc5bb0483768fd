//! Verbs that ask a daemon over HTTP. One file per verb; what people may do to a service stands together in `act`.

mod act;
mod adopt;
mod client;
mod destroy;
mod events;
mod get;
mod history;
mod sources;
mod status;
mod talk;
mod token;
mod wait;
mod why;

use clap::Subcommand;

use super::{
    exit::{Exit, Result},
    screen::{Screen, Tone},
};
use crate::{
    name::Timestamp,
    status::{condition::Truth, service::phase::ServicePhase},
};

#[derive(Debug, Subcommand)]
pub(super) enum Remote {
    Status(status::Status),
    Why(why::Why),
    Get(get::Get),
    History(history::History),
    Events(events::Events),
    Wait(wait::Wait),
    Adopt(adopt::Adopt),
    Destroy(destroy::Destroy),
    Logs(talk::Logs),
    Invoke(talk::Invoke),
    #[command(flatten)]
    Act(act::Act),
}

impl Remote {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit> {
        match self {
            Self::Status(status) => status.run(screen).await,
            Self::Why(why) => why.run(screen).await,
            Self::Get(get) => get.run(screen).await,
            Self::History(history) => history.run(screen).await,
            Self::Events(events) => events.run(screen).await,
            Self::Wait(wait) => wait.run(screen).await,
            Self::Adopt(adopt) => adopt.run(screen).await,
            Self::Destroy(destroy) => destroy.run(screen).await,
            Self::Logs(logs) => logs.run(screen).await,
            Self::Invoke(invoke) => invoke.run(screen).await,
            Self::Act(act) => act.run(screen).await,
        }
    }
}

/// How a phase looks.
fn tone(phase: ServicePhase) -> Tone {
    match phase {
        ServicePhase::Live => Tone::Good,
        ServicePhase::Unknown
        | ServicePhase::Pending
        | ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Paused
        | ServicePhase::AwaitingApproval
        | ServicePhase::Shifting
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Destroying
        | ServicePhase::Removing => Tone::Busy,
        ServicePhase::Invalid
        | ServicePhase::Drifted
        | ServicePhase::Rejected
        | ServicePhase::RollingBack
        | ServicePhase::RolledBack
        | ServicePhase::Stalled
        | ServicePhase::CloudUnknown => Tone::Bad,
        ServicePhase::Destroyed | ServicePhase::Removed => Tone::Quiet,
    }
}

fn truth_tone(truth: Truth) -> Tone {
    match truth {
        Truth::True => Tone::Good,
        Truth::False => Tone::Bad,
        Truth::Unknown => Tone::Busy,
    }
}

/// `12s`, `3m`, `4h`, `9d`: how long ago, in one number.
fn age(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else {
        return String::new();
    };
    let seconds = now.since(at).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_one_number_with_its_unit() {
        let now = Timestamp::from_millis(1_000_000_000);
        let ago = |seconds: i64| {
            age(
                Some(Timestamp::from_millis(1_000_000_000 - seconds * 1000)),
                now,
            )
        };
        assert_eq!(
            [0, 59, 60, 3_599, 3_600, 172_799, 172_800].map(ago),
            ["0s", "59s", "1m", "59m", "1h", "47h", "2d"]
        );
        assert_eq!(age(None, now), "");
    }
}
