//! An obstacle in words, and who or what it takes.

use super::Needs;
use crate::{
    manifest::duration_text,
    name::{CloudName, Percent},
    plan::{around::Standing, reason::WaitingOn, state::PinKind},
    rollout::intent::Response,
};

/// What is waited for, without the verb that ends it and without what was found: ways out and evidence stand apart.
pub(super) fn what(on: &WaitingOn) -> String {
    match on {
        WaitingOn::Git => "no commit was read since the daemon started".to_owned(),
        WaitingOn::Cloud { target, .. } => format!("{target} was not seen as it is now"),
        WaitingOn::Answer { target, .. } => {
            format!("blue on {target} holds the release, and something else answers there")
        }
        WaitingOn::LastHealthy { target, ill, .. } => format!(
            "{ill} is ill: {target} is the last healthy cloud, and no promotion touches it meanwhile"
        ),
        WaitingOn::Order { order, .. } => order.to_string(),
        WaitingOn::Gate { gate, .. } => format!("gate {gate} is to be asked again"),
        WaitingOn::Soak { target, .. } => format!("{target} soaks before blue moves elsewhere"),
        WaitingOn::Bake { .. } => "blue is watched until the bake ends".to_owned(),
        WaitingOn::Dependency { service, .. } => {
            format!("{service}, which it depends on, is not live at its newest")
        }
        WaitingOn::Group { service, .. } => {
            format!("{service}, which is promoted with it, is not ready")
        }
        WaitingOn::Environment { service, after, .. } => match after.is_zero() {
            true => format!("{service} has to hold this release live first"),
            false => format!(
                "{service} has to hold this release live for {} first",
                duration_text(*after)
            ),
        },
        WaitingOn::Prune { message } => message
            .strip_prefix("a person: ")
            .unwrap_or(message)
            .to_owned(),
        WaitingOn::Paused { actor, .. } => format!("paused by {}", actor.username),
        WaitingOn::Window { .. } => "outside the windows in which it may be promoted".to_owned(),
        WaitingOn::Person { message } => message.clone(),
        WaitingOn::Suspended { reason, .. } => format!("suspended because {reason}"),
        WaitingOn::Destroyed { actor, reason } => {
            format!("destroyed by {} because {reason}", actor.username)
        }
        WaitingOn::Pinned {
            release,
            kind: PinKind::Person,
            actor,
            ..
        } => format!("pinned at {} by {}", release.short(), actor.username),
        WaitingOn::Pinned { release, actor, .. } => format!(
            "pinned at {} since {} rolled back",
            release.short(),
            actor.username
        ),
        WaitingOn::Rejected { release, message } => {
            format!("{} was rejected: {message}", release.short())
        }
        WaitingOn::Drift { target, .. } => {
            format!("{target} blue was changed by hand, and the service asks only to be told")
        }
        WaitingOn::DriftLoop { target, .. } => {
            format!("repairs on {target} do not last, so no more are made")
        }
        WaitingOn::Manifest { faults } => match faults.len() {
            1 => "the newest manifest is wrong".to_owned(),
            count => format!("the newest manifest is wrong in {count} places"),
        },
        WaitingOn::CanaryPause { weight, whole, .. } => canary(*weight, whole),
        WaitingOn::Nothing | WaitingOn::Approval { .. } => on.to_string(),
    }
}

fn canary(weight: Percent, whole: &[CloudName]) -> String {
    let share = match weight.is_none() {
        true => "it takes no share of blue's requests yet".to_owned(),
        false => format!("it takes {weight} of blue's requests"),
    };
    let whole: Vec<&str> = whole.iter().map(|target| target.as_str()).collect();
    match whole.as_slice() {
        [] => format!("the canary pauses: {share}"),
        whole => format!(
            "the canary pauses: {share}; on {} blue moves at once, with the promotion",
            whole.join(" and ")
        ),
    }
}

/// Another service that comes on by itself needs time; one that does not needs whoever that one needs.
fn needs_of(standing: &Standing) -> Needs {
    match standing {
        Standing::Rejected { .. }
        | Standing::Pinned { .. }
        | Standing::Suspended { .. }
        | Standing::Destroyed { .. }
        | Standing::Stalled { .. } => Needs::Person,
        Standing::Absent | Standing::Invalid => Needs::Commit,
        Standing::Unread
        | Standing::Pending
        | Standing::Rolling { .. }
        | Standing::Drifted
        | Standing::Other { .. }
        | Standing::Young { .. } => Needs::Time,
    }
}

/// Who or what it takes.
pub(super) fn needs(on: &WaitingOn) -> Needs {
    match on {
        WaitingOn::Dependency { standing, .. }
        | WaitingOn::Group { standing, .. }
        | WaitingOn::Environment { standing, .. } => needs_of(standing),
        WaitingOn::Approval { .. }
        | WaitingOn::Paused { .. }
        | WaitingOn::Person { .. }
        | WaitingOn::Destroyed { .. }
        | WaitingOn::Pinned { .. }
        | WaitingOn::Rejected { .. }
        | WaitingOn::Drift { .. }
        | WaitingOn::DriftLoop { .. }
        | WaitingOn::Prune { .. }
        | WaitingOn::CanaryPause { until: None, .. }
        | WaitingOn::Suspended { until: None, .. }
        | WaitingOn::Window { opens: None, .. } => Needs::Person,
        WaitingOn::Manifest { .. } => Needs::Commit,
        WaitingOn::Answer { .. } | WaitingOn::LastHealthy { failure: None, .. } => Needs::Cloud,
        WaitingOn::Cloud { failure, .. }
        | WaitingOn::LastHealthy { failure, .. }
        | WaitingOn::Order { failure, .. } => {
            let response = failure.as_ref().map(|failure| failure.response);
            match response {
                Some(Response::CallPerson) => Needs::Person,
                Some(Response::RetryAfter(_) | Response::Retry | Response::Reject) => Needs::Cloud,
                None => Needs::Time,
            }
        }
        WaitingOn::Nothing
        | WaitingOn::Git
        | WaitingOn::Gate { .. }
        | WaitingOn::Soak { .. }
        | WaitingOn::Bake { .. }
        | WaitingOn::CanaryPause { until: Some(_), .. }
        | WaitingOn::Suspended { until: Some(_), .. }
        | WaitingOn::Window { opens: Some(_), .. } => Needs::Time,
    }
}
