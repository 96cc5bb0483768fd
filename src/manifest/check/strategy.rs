//! How users come to a new release: the steps of a canary, and what the names of CodeDeploy mean.

use std::time::Duration;

use super::{
    super::{
        raw::{
            At, CanaryLong, CanaryText, GateSpec, Length, PauseLong, PauseText, Report, Share,
            StepLong, StepText, StrategyLong, StrategyText, StrategyWord,
        },
        strategy::{CanaryStep, Strategy},
    },
    value,
};
use crate::name::{GateName, Percent};

/// More would be read by nobody.
const STEPS_MAX: usize = 50;

const A_MINUTE: Duration = Duration::from_secs(60);

/// The gates of all steps, in their order.
pub(super) fn step_gates(text: Option<&At<StrategyText>>) -> Vec<At<GateSpec>> {
    let gates = |step: &At<StepText>| match &step.value {
        StepText::Long(step) => step
            .gates
            .as_ref()
            .map_or(Vec::new(), |at| at.value.clone()),
        StepText::Weight(_) | StepText::Pause(_) => Vec::new(),
    };
    text.into_iter().flat_map(steps).flat_map(gates).collect()
}

fn steps(text: &At<StrategyText>) -> &[At<StepText>] {
    let canary = match &text.value {
        StrategyText::Word(_) => None,
        StrategyText::Long(StrategyLong { canary }) => canary.as_ref(),
    };
    match canary.map(|canary| &canary.value) {
        None => &[],
        Some(CanaryText::List(steps)) => steps,
        Some(CanaryText::Long(CanaryLong { steps })) => {
            steps.as_ref().map_or(&[][..], |steps| &steps.value)
        }
    }
}

/// The strategy. `names` are those of [`step_gates`], in the same order; they are used up.
pub(super) fn strategy(
    text: Option<&At<StrategyText>>,
    names: Vec<GateName>,
    report: &mut Report,
) -> Option<Strategy> {
    let Some(text) = text else {
        return Some(Strategy::BlueGreen);
    };
    if let StrategyText::Word(word) = &text.value {
        return Some(named(*word));
    }
    let written = steps(text);
    let known = report.drafts.len();
    let mut names = names.into_iter();
    let read: Vec<_> = written
        .iter()
        .map(|it| step(it, &mut names, report))
        .collect();
    check_weights(text, written, &read, report);
    let is_good = report.drafts.len() == known && !report.has_fault_below(&text.place);
    let steps = read.into_iter().collect::<Option<Vec<_>>>()?;
    is_good.then_some(Strategy::Canary { steps })
}

fn named(word: StrategyWord) -> Strategy {
    let (weights, minutes) = match word {
        StrategyWord::BlueGreen => return Strategy::BlueGreen,
        StrategyWord::Tenth { minutes } => (1..2, minutes),
        StrategyWord::Tenths { minutes } => (1..10, minutes),
    };
    let pause = CanaryStep::Pause(Some(A_MINUTE * u32::from(minutes)));
    let weights = weights.filter_map(|tenths| Percent::new(tenths * 10));
    Strategy::Canary {
        steps: weights
            .flat_map(|weight| [CanaryStep::Weight(weight), pause.clone()])
            .collect(),
    }
}

fn step(
    text: &At<StepText>,
    names: &mut impl Iterator<Item = GateName>,
    report: &mut Report,
) -> Option<CanaryStep> {
    let (weight, pause, gates) = match &text.value {
        StepText::Weight(share) => return weight(*share, text, report),
        StepText::Pause(Length(length)) => return Some(CanaryStep::Pause(Some(*length))),
        StepText::Long(StepLong {
            weight,
            pause,
            gates,
        }) => (weight, pause, gates),
    };
    let count = [weight.is_some(), pause.is_some(), gates.is_some()];
    match count.iter().filter(|is| **is).count() {
        1 => {}
        0 if report.has_fault_below(&text.place) => {}
        _ => {
            let help = "write exactly one of `weight`, `pause` and `gates`";
            report.fault(&text.place, "a step does one thing", help);
        }
    }
    if let Some(share) = weight {
        return self::weight(share.value, text, report);
    }
    if let Some(gates) = gates {
        return self::gates(gates, names, report);
    }
    pause.as_ref().map(|pause| match &pause.value {
        PauseText::Short(Length(length)) => CanaryStep::Pause(Some(*length)),
        PauseText::Long(PauseLong { duration }) => {
            CanaryStep::Pause(value(duration).map(|length| length.0))
        }
    })
}

fn weight(Share(share): Share, at: &At<StepText>, report: &mut Report) -> Option<CanaryStep> {
    let weight = u8::try_from(share).ok().and_then(Percent::new);
    match weight.filter(|_| (1..100).contains(&share)) {
        Some(weight) => Some(CanaryStep::Weight(weight)),
        None => {
            let message = format!("{share} is no share of a canary");
            let help = "1 to 99 percent: the promotion follows the last step by itself";
            report.fault(&at.place, message, help);
            None
        }
    }
}

fn gates(
    specs: &At<Vec<At<GateSpec>>>,
    names: &mut impl Iterator<Item = GateName>,
    report: &mut Report,
) -> Option<CanaryStep> {
    if specs.value.is_empty() && !report.has_fault_below(&specs.place) {
        report.fault(&specs.place.key(), "names no gate", "remove the step");
    }
    for spec in &specs.value {
        if let Some(after) = &spec.value.after {
            let help = "remove the key: the step says when";
            report.fault(&after.place.key(), "a gate of a step is asked there", help);
        }
        if let Some(approval) = &spec.value.approval {
            let help = "write a step `pause: {}`, or put it into `rollout.gates`";
            report.fault(&approval.place.key(), "no step takes approvals", help);
        }
    }
    let names: Vec<GateName> = names.take(specs.value.len()).collect();
    Some(CanaryStep::Gates(names))
}

/// Shares rise, there is one, and there are not too many steps.
fn check_weights(
    text: &At<StrategyText>,
    written: &[At<StepText>],
    steps: &[Option<CanaryStep>],
    report: &mut Report,
) {
    let mut before = Percent::NONE;
    for (at, step) in written.iter().zip(steps) {
        if let Some(CanaryStep::Weight(weight)) = step {
            if *weight <= before {
                let message = format!("a share of {weight} does not rise above {before}");
                report.fault(&at.place, message, "each share is larger than the last");
            }
            before = before.max(*weight);
        }
    }
    if before.is_none() && !report.has_fault_below(&text.place) {
        let help = "such as `canary: [10, 5m]`; `blueGreen` moves all at once";
        report.fault(&text.place, "a canary takes a share in some step", help);
    }
    if written.len() > STEPS_MAX {
        let message = format!("{} steps, and {STEPS_MAX} are allowed", written.len());
        report.fault(&text.place, message, "");
    }
}
