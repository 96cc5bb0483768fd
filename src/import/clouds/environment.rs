//! What all services that were found stand on.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::{Draft, ENVIRONMENT, Found, Verdict, Work, filled, put};
use crate::manifest;

/// Where nothing better is known.
const CONSUMPTION: &str = "Y1";
const ELASTIC: &str = "EP1";

impl Work {
    /// As far as it was seen; nothing where nothing was.
    pub(super) fn environment(&mut self, place: &str, found: &[Found]) {
        let theirs = || found.iter().filter(|one| !one.is_ours);
        let location = theirs().find_map(|one| one.location.as_deref());
        let (Some((subscription, group)), Some(location)) = (place.split_once('/'), location)
        else {
            return;
        };
        let plan = self.plan(theirs().filter_map(|one| one.plan.as_deref()).collect());
        let gateways: BTreeSet<&str> = theirs().filter_map(|one| one.gateway.as_deref()).collect();
        if gateways.len() > 1 {
            let told = "an environment has one API Management: the first stands there";
            self.tell("apiManagement", Verdict::Changed, told);
        }
        let location: String = location.to_lowercase().split_whitespace().collect();
        let mut azure = Mapping::new();
        for (key, value) in [
            ("subscription", Some(subscription)),
            ("resourceGroup", Some(group)),
            ("location", Some(location.as_str())),
            ("plan", Some(plan)),
            ("apiManagement", gateways.first().copied()),
        ] {
            put(&mut azure, key, value.map(Value::from));
        }
        let mut spec = Mapping::new();
        put(&mut spec, "azure", filled(azure));
        self.drafts.push(Draft {
            remark: format!("from azure: {place}"),
            owner: String::new(),
            kind: ENVIRONMENT,
            name: "prod".to_owned(),
            spec,
        });
    }

    /// The one that stands there, which has slots whatever the apps are on.
    fn plan(&mut self, seen: BTreeSet<&str>) -> &'static str {
        let known: BTreeSet<&str> = seen.iter().copied().filter_map(manifest::plan).collect();
        let all = seen.iter().copied().collect::<Vec<_>>().join(", ");
        let Some(plan) = known.first().and_then(|it| manifest::plan(it)) else {
            let Some(first) = seen.first() else {
                let told = "no plan was seen: `Y1` stands there, write the one that is meant";
                self.tell("plan", Verdict::Changed, told);
                return CONSUMPTION;
            };
            let nearest = nearest(first);
            let told = format!(
                "{all} has no slots that green could have, or is not known: `{nearest}` stands there, write the one that is meant"
            );
            self.tell("plan", Verdict::NotPossible, &told);
            return nearest;
        };
        let others: Vec<&str> = seen
            .iter()
            .copied()
            .filter(|it| manifest::plan(it).is_none())
            .collect();
        match (seen.len(), others.is_empty()) {
            (1, _) => self.tell("plan", Verdict::Taken, "spec.azure.plan of the environment"),
            (_, true) => {
                let told = format!(
                    "the apps are on {all}, and an environment has one plan: `{plan}` stands there"
                );
                self.tell("plan", Verdict::Changed, &told);
            }
            (_, false) => {
                let others = others.join(", ");
                let told = format!(
                    "the apps are on {all}, and an environment has one plan, `{plan}`: {others} has no slots that green could have, or is not known"
                );
                self.tell("plan", Verdict::NotPossible, &told);
            }
        }
        plan
    }
}

/// The smallest of its kind that has slots.
fn nearest(plan: &str) -> &'static str {
    match plan.to_ascii_uppercase().chars().next() {
        Some('B' | 'D' | 'F') => "S1",
        Some('P') => "P1v3",
        Some('I') => "I1v2",
        Some(_) | None => ELASTIC,
    }
}
