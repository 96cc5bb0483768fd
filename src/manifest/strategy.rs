//! How users come to a new release: at once, or in steps of a canary.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Across, GateStage, RolloutSpec};
use crate::name::{CloudName, GateName, Percent};

/// How users come to a new release.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// At once, when every gate has passed.
    #[default]
    BlueGreen,
    /// In steps, never empty. What follows the last step is the promotion.
    Canary { steps: Vec<CanaryStep> },
}

/// One step of a canary.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryStep {
    /// The share of blue's requests that the release takes from here on. Between 1 and 99; later ones are larger.
    Weight(Percent),
    /// A wait. Without a length it ends when a person says `promote`.
    Pause(Option<Duration>),
    /// Gates of [`RolloutSpec::gates`](super::spec::RolloutSpec) that must pass before the next step.
    Gates(Vec<GateName>),
}

/// Whether a cloud can share blue's requests between two releases by itself. Azure's slots could, by routing rules that tie users to a
/// slot by a cookie; that is no share of requests, so that it takes a gateway before it.
pub fn can_weigh(cloud: CloudName) -> bool {
    match cloud {
        CloudName::Aws => true,
        CloudName::Azure => false,
    }
}

impl Strategy {
    /// The steps of a canary; none of blue-green.
    pub fn steps(&self) -> &[CanaryStep] {
        match self {
            Self::BlueGreen => &[],
            Self::Canary { steps } => steps,
        }
    }

    /// The share that the release takes at a step.
    pub fn weight_at(&self, step: usize) -> Percent {
        let reached = self.steps().iter().take(step.saturating_add(1)).rev();
        let weight = |step: &CanaryStep| match step {
            CanaryStep::Weight(weight) => Some(*weight),
            CanaryStep::Pause(_) | CanaryStep::Gates(_) => None,
        };
        reached.into_iter().find_map(weight).unwrap_or_default()
    }

    /// `blue-green`, or `canary 10 %, 5m, 50 %, gates errors, pause`.
    pub fn told(&self) -> String {
        match self {
            Self::BlueGreen => "blueGreen".to_owned(),
            Self::Canary { steps } => {
                let steps: Vec<String> = steps.iter().map(CanaryStep::told).collect();
                format!("canary: {}", steps.join(", "))
            }
        }
    }
}

impl CanaryStep {
    fn told(&self) -> String {
        match self {
            Self::Weight(weight) => weight.to_string(),
            Self::Pause(None) => "pause for a person".to_owned(),
            Self::Pause(Some(length)) => format!("pause {}", short(*length)),
            Self::Gates(gates) => {
                let names: Vec<&str> = gates.iter().map(GateName::as_str).collect();
                format!("gates {}", names.join(" and "))
            }
        }
    }
}

/// `90s`, `5m`, `1h`, `300ms`: in the largest unit that it is a whole number of.
pub fn short(length: Duration) -> String {
    let seconds = length.as_secs();
    if length.subsec_millis() > 0 {
        format!("{}ms", length.as_millis())
    } else if seconds > 0 && seconds.is_multiple_of(3600) {
        format!("{}h", seconds / 3600)
    } else if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

impl RolloutSpec {
    /// Gates that a step of a canary names are asked there.
    pub(super) fn claim_gates(&mut self) {
        let steps = self.strategy.steps().iter();
        let named = |step: &CanaryStep| match step {
            CanaryStep::Gates(names) => names.clone(),
            CanaryStep::Weight(_) | CanaryStep::Pause(_) => Vec::new(),
        };
        let claimed: Vec<GateName> = steps.flat_map(named).collect();
        for gate in &mut self.gates {
            if claimed.contains(&gate.name) {
                gate.after = GateStage::Canary;
            }
        }
    }

    /// Targets whose blue moves at once although a canary is asked for, each with why.
    pub fn moved_at_once(&self, targets: &[CloudName]) -> Vec<(CloudName, String)> {
        if self.strategy == Strategy::BlueGreen {
            return Vec::new();
        }
        let first = self.across.first_of(targets);
        let why = |target: CloudName| {
            let why = match (can_weigh(target), first.contains(&target)) {
                (true, true) => return None,
                (true, false) => "it follows the cloud that goes first, after the soak",
                (false, _) => "it cannot share requests between two releases",
            };
            let told = format!(
                "no canary on {target}: {why}, so its blue moves at once, with the promotion"
            );
            Some((target, told))
        };
        targets.iter().copied().filter_map(why).collect()
    }
}

impl Across {
    /// The targets whose blue moves first: both, or the first of an order.
    pub fn first_of(&self, targets: &[CloudName]) -> Vec<CloudName> {
        let is_first = |target: &CloudName| match self {
            Self::Together => true,
            Self::InOrder { first, soak: _ } => target == first,
        };
        targets.iter().copied().filter(is_first).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_keeps_its_share_until_the_next_one() {
        let weight = |percent| CanaryStep::Weight(Percent::new(percent).unwrap());
        let strategy = Strategy::Canary {
            steps: vec![
                CanaryStep::Pause(None),
                weight(10),
                CanaryStep::Pause(Some(Duration::from_secs(300))),
                weight(50),
            ],
        };
        let weights: Vec<u8> = (0..6).map(|step| strategy.weight_at(step).get()).collect();
        assert_eq!(weights, [0, 10, 10, 50, 50, 50]);
        assert_eq!(
            strategy.told(),
            "canary: pause for a person, 10 %, pause 5m, 50 %"
        );
        assert_eq!(Strategy::BlueGreen.weight_at(3), Percent::NONE);
    }
}
