//! How a plan reads.

use super::{
    super::{
        exit::{CliError, Result},
        output::Output,
        screen::{Screen, Tone},
    },
    Planned,
};
use crate::{
    name::{ReleaseDigest, Revision},
    plan::{preview::ServicePlan, reason::WaitingOn},
    rollout::intent::Order,
};

pub(super) fn tell(screen: &Screen, planned: &Planned, output: Output) -> Result<()> {
    match output {
        Output::Json => screen.json(&as_json(planned)?),
        Output::Yaml => screen.yaml(&as_json(planned)?),
        Output::Name => {
            for plan in planned.plans.iter().filter(|plan| !plan.is_quiet()) {
                screen.line(&plan.service.to_string());
            }
            Ok(())
        }
        Output::Table => {
            for_people(screen, planned, false);
            Ok(())
        }
        Output::Wide => {
            for_people(screen, planned, true);
            Ok(())
        }
    }
}

fn as_json(planned: &Planned) -> Result<serde_json::Value> {
    let plans = serde_json::to_value(&planned.plans).map_err(|error| CliError::of(&error))?;
    Ok(serde_json::json!({ "plans": plans, "faults": planned.faults }))
}

/// Services with nothing to do are counted; `-o wide` shows them too.
fn for_people(screen: &Screen, planned: &Planned, is_wide: bool) {
    let Planned { plans, faults } = planned;
    for fault in faults {
        screen.fault("fault", fault);
    }
    let is_settled = |plan: &&ServicePlan| plan.is_quiet() && plan.waiting == [WaitingOn::Nothing];
    for plan in plans.iter().filter(|plan| is_wide || !is_settled(plan)) {
        service(screen, plan);
    }
    let to_do = plans.iter().filter(|plan| !plan.is_quiet()).count();
    let settled = plans.iter().filter(is_settled).count();
    let waiting = plans.len() - to_do - settled;
    screen.line(&format!(
        "{to_do} to change, {waiting} waiting, {settled} as asked for"
    ));
}

fn service(screen: &Screen, plan: &ServicePlan) {
    let ServicePlan {
        service,
        revision,
        wanted,
        live,
        orders,
        gates,
        notes,
        waiting,
    } = plan;
    let name = screen.paint(Tone::Strong, &service.to_string());
    let at = revision.as_ref().map(Revision::short).unwrap_or_default();
    let short = |digest: &Option<ReleaseDigest>| {
        digest.map_or_else(|| "nothing".to_owned(), |digest| digest.short())
    };
    let change = if wanted == live {
        short(live)
    } else {
        format!("{} -> {}", short(live), short(wanted))
    };
    screen.line(&format!(
        "{name}  {}  {change}",
        screen.paint(Tone::Quiet, &at)
    ));
    let mut reason_before = None;
    let mut gates_told = gates.is_empty();
    for planned in orders {
        if matches!(planned.order, Order::Promote { .. }) && !gates_told {
            gates_told = true;
            screen.line(&format!(
                "  ? gates {}",
                screen.paint(Tone::Plain, &gates.join(", "))
            ));
        }
        let (sign, tone) = sign(&planned.order);
        let reason = planned.reason.to_string();
        let told = if reason_before.as_ref() == Some(&reason) {
            String::new()
        } else {
            screen.paint(Tone::Quiet, &format!("  ({reason})"))
        };
        screen.line(&format!(
            "  {} {}{told}",
            screen.paint(tone, sign),
            screen.paint(Tone::Plain, &planned.order.to_string()),
        ));
        reason_before = Some(reason);
    }
    for note in notes {
        screen.line(&format!("  ! {}", screen.paint(Tone::Busy, note)));
    }
    for waiting in waiting {
        let text = screen.paint(Tone::Busy, &waiting.to_string());
        screen.line(&format!("  . waits for {text}"));
    }
}

fn sign(order: &Order) -> (&'static str, Tone) {
    match order {
        Order::Build { .. } | Order::Stage { .. } => ("+", Tone::Green),
        Order::Measure { .. } => ("?", Tone::Plain),
        Order::Shift { .. } | Order::Promote { .. } => ("^", Tone::Blue),
        Order::Repair { .. } => ("~", Tone::Busy),
        Order::Retract { .. } | Order::Prune { .. } => ("-", Tone::Bad),
    }
}
