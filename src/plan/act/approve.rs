//! A person's word for a rollout that waits for it, given for one plan.

use super::Taken;
use crate::{
    manifest::spec::{ApprovalGate, GateKind},
    name::{Actor, Timestamp},
    plan::{apply::Write, bound, state::ServiceState},
    rollout::{Rollout, phase::Phase, word::Approval},
};

/// Fewer digits of a hash could be met by chance.
const DIGITS_MIN: usize = 8;

pub(super) fn approve(
    state: &mut ServiceState,
    plan: Option<&str>,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    let Some(rollout) = &state.rollout else {
        return Err("no rollout is under way".to_owned());
    };
    if !matches!(rollout.phase, Phase::AwaitingApproval { .. }) {
        return Err(format!(
            "its rollout is {} and waits for no approval",
            rollout.phase.word()
        ));
    }
    let current = bound::hash(state, rollout);
    if let Some(plan) = plan {
        names(plan, &current.hex(), "plan")?;
    }
    let username = &actor.username;
    let has_approved =
        |given: &Approval| given.actor.username == *username && given.is_for(current);
    if rollout.approvals.iter().any(has_approved) {
        return Err(format!("{username} has approved already"));
    }
    if !gates(rollout).any(|gate| gate.takes(actor)) {
        return Err(format!(
            "no approval gate of it takes the word of {username}: {}",
            wanted(rollout)
        ));
    }
    let approval = Approval {
        actor: actor.clone(),
        at: now,
        plan: Some(current),
        void_since: None,
    };
    if let Some(rollout) = &mut state.rollout {
        rollout.approvals.push(approval);
    }
    Ok(vec![Write::Rollout])
}

/// Whether a person means the plan as it stands.
pub(super) fn names(plan: &str, current: &str, verb: &str) -> Result<(), String> {
    let digits = plan.strip_prefix("sha256:").unwrap_or(plan).to_lowercase();
    if digits.len() < DIGITS_MIN {
        return Err(format!(
            "`{plan}` names no plan: give {DIGITS_MIN} digits of its hash or more"
        ));
    }
    if current.starts_with(&digits) {
        return Ok(());
    }
    Err(format!(
        "the plan is {} by now, and not {plan}: look at it with `{verb}`, and give your word for that",
        &current[..12]
    ))
}

fn gates(rollout: &Rollout) -> impl Iterator<Item = &ApprovalGate> {
    rollout
        .spec
        .gates
        .iter()
        .filter_map(|gate| match &gate.kind {
            GateKind::Approval(approval) => Some(approval),
            GateKind::Http(_)
            | GateKind::Command(_)
            | GateKind::Load(_)
            | GateKind::Parity(_)
            | GateKind::Metric(_) => None,
        })
}

/// Whose word counts.
fn wanted(rollout: &Rollout) -> String {
    let who: Vec<String> = gates(rollout).map(ApprovalGate::people).collect();
    format!("it waits for {}", who.join(", "))
}
