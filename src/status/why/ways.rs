//! What would unblock an obstacle: a command to type, or what to do.

use super::Way;
use crate::{
    name::{PlanHash, ServiceKey},
    plan::{
        reason::WaitingOn,
        state::{PinKind, ServiceState},
    },
    rollout::intent::{Failure, Response},
};

pub(super) fn ways(state: &ServiceState, on: &WaitingOn) -> Vec<Way> {
    let verb = |verb: &str, text: &str| command(format!("verdigris {verb} {}", state.key), text);
    let is_rolling = state.active().is_some();
    let abort = || {
        verb(
            "abort",
            "ends the rollout; what is live stays, or comes back",
        )
    };
    match on {
        WaitingOn::Nothing => Vec::new(),
        WaitingOn::Git => vec![unread()],
        WaitingOn::Manifest { .. } => wrong_manifest(),
        WaitingOn::Cloud { failure, .. } | WaitingOn::LastHealthy { failure, .. } => {
            let again = verb("reconcile", "looks again now");
            person(failure.as_ref())
                .into_iter()
                .chain([again])
                .collect()
        }
        WaitingOn::Answer { .. } => vec![verb("logs", "shows what the functions wrote"), abort()],
        WaitingOn::Order { failure, .. } => {
            let tries = failure.as_ref().map(|_| verb("events", "shows every try"));
            let ways = person(failure.as_ref()).into_iter();
            ways.chain(tries).chain(is_rolling.then(abort)).collect()
        }
        WaitingOn::Gate { .. } => vec![abort()],
        WaitingOn::Approval { plan, .. } => {
            let shown = verb("plan", "shows every order that would be given");
            vec![word(&state.key, *plan), shown, abort()]
        }
        WaitingOn::Paused { .. } => vec![verb("resume", "lets it go on"), abort()],
        WaitingOn::Window { .. } => {
            let open = [open(&state.key)];
            open.into_iter().chain(is_rolling.then(abort)).collect()
        }
        WaitingOn::Person { .. } => vec![verb("retry", "measures again"), abort()],
        WaitingOn::Soak { .. } => vec![verb("promote", "ends the soak now"), abort()],
        WaitingOn::Bake { .. } => vec![verb("promote", "ends the bake now"), abort()],
        WaitingOn::CanaryPause { .. } => {
            vec![verb("promote", "goes to the canary's next step"), abort()]
        }
        WaitingOn::Suspended { .. } => vec![verb("resume", "ends the suspension")],
        WaitingOn::Destroyed { .. } => vec![
            verb("resume", "brings it back, as git asks for it"),
            plainly("remove it from git, and it is forgotten"),
        ],
        WaitingOn::Pinned {
            kind: PinKind::Person,
            ..
        } => vec![verb("unpin", "lets the newest commit be rolled out")],
        WaitingOn::Pinned { .. } => vec![
            plainly("merge a commit that changes what is deployed"),
            verb("resume", "rolls the newest commit out again"),
        ],
        WaitingOn::Rejected { .. } => vec![
            plainly("merge a commit that mends it"),
            verb("retry", "tries the same release again"),
        ],
        WaitingOn::Drift { .. } => {
            vec![plainly("undo it on the cloud, or write `drift: enforce`")]
        }
        WaitingOn::DriftLoop { .. } => {
            vec![leave_to_others(), verb("reconcile", "repairs it once more")]
        }
        WaitingOn::Dependency { service, .. }
        | WaitingOn::Group { service, .. }
        | WaitingOn::Environment { service, .. } => vec![other(service)],
        WaitingOn::Prune { .. } => vec![pruned(state)],
    }
}

fn pruned(state: &ServiceState) -> Way {
    match state.memory.destroyed {
        Some(_) => plainly("destroy what depends on it, or take it out of that one's `dependsOn`"),
        None => plainly(
            "look whether it is meant to go; the configuration's `prune` and `pruneShare` let it",
        ),
    }
}

fn word(service: &ServiceKey, plan: PlanHash) -> Way {
    let text = "gives your word for this plan";
    command(
        format!("verdigris approve {service} --plan {}", plan.short()),
        text,
    )
}

fn open(service: &ServiceKey) -> Way {
    let text = "lets this one rollout go now; who and why is kept";
    command(format!("verdigris override {service} --reason WHY"), text)
}

/// What the other service waits for stands in its own explanation.
fn other(service: &ServiceKey) -> Way {
    let text = "says why that one is not there yet";
    command(format!("verdigris why {service}"), text)
}

fn leave_to_others() -> Way {
    plainly("stop what sets it back, or leave the field to it: `drift: { ignore: [...] }`")
}

fn unread() -> Way {
    command(
        "verdigris status".to_owned(),
        "shows which repository is not read, and why",
    )
}

fn wrong_manifest() -> Vec<Way> {
    let validate = command(
        "verdigris validate .".to_owned(),
        "shows each fault in its place, in a checkout of the repository",
    );
    let merge = "merge a commit that mends them; the last good one stands meanwhile";
    vec![validate, plainly(merge)]
}

fn command(command: String, text: &str) -> Way {
    Way {
        command: Some(command),
        text: text.to_owned(),
    }
}

fn plainly(text: &str) -> Way {
    Way {
        command: None,
        text: text.to_owned(),
    }
}

/// What only a person can mend.
fn person(failure: Option<&Failure>) -> Option<Way> {
    let needed = failure.filter(|failure| failure.response == Response::CallPerson)?;
    Some(plainly(&format!(
        "mend what the cloud says: {}",
        needed.message
    )))
}
