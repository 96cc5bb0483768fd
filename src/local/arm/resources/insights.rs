//! Application Insights, as far as to tell what Function Apps wrote, asked by a query: the apps whose slots are connected to a component;
//! and at a name where there is none, the app of that name, as if it had the component that people's tools make beside an app.
//!
//! # Caveats
//!
//! A query is a chain of `where timestamp >= datetime(…)`, `where message contains "…"`, `where cloud_RoleName in~ ("…", "…")`,
//! `order by`, `take` and `project`; more is refused.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::components;
use crate::{
    local::{
        arm::{
            cloud::Cloud,
            model::{Key, PRODUCTION, SlotKey},
            wire::{
                answer::{Answer, ArmError},
                call::Call,
            },
        },
        process::LogLine,
    },
    name::Timestamp,
};

/// The setting by which a slot is connected to a component.
const CONNECTION: &str = "APPLICATIONINSIGHTS_CONNECTION_STRING";

/// What a query asks for.
#[derive(Default)]
struct Query {
    since: Timestamp,
    containing: Option<String>,
    take: Option<usize>,
    roles: Option<BTreeSet<String>>,
}

pub(in crate::local::arm) fn query(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let slots = connected(cloud, call)?;
    let text = call.body["query"].as_str().unwrap_or_default();
    let Query {
        since,
        containing,
        take,
        roles,
    } = Query::parse(text)?;
    let is_asked = |role: &String| roles.as_ref().is_none_or(|roles| roles.contains(role));
    let slots = slots.into_iter().filter(|(role, _)| is_asked(role));
    let mut lines: Vec<LogLine> = slots.flat_map(|(_, key)| cloud.lines_of(&key)).collect();
    lines.sort_by_key(|line| line.at);
    let fits = lines.iter().rev().filter(|line| {
        line.at >= since
            && containing
                .as_ref()
                .is_none_or(|text| line.text.contains(text))
    });
    let rows: Vec<Value> = fits
        .take(take.unwrap_or(usize::MAX))
        .map(|line| json!([line.at, line.text]))
        .collect();
    Ok(Answer::ok(json!({"tables": [{
        "name": "PrimaryResult",
        "columns": [
            {"name": "timestamp", "type": "datetime"},
            {"name": "message", "type": "string"},
        ],
        "rows": rows,
    }]})))
}

/// The slots that a component hears, each by what it calls itself there.
fn connected(cloud: &Cloud, call: &Call) -> Result<Vec<(String, SlotKey)>, ArmError> {
    let state = cloud.state();
    let component = state
        .world
        .components
        .get(&Key::of(&components::id_of(call)));
    let address = component.map(components::address);
    let name = call.arg("component");
    let mut found = Vec::new();
    for site in state.world.sites.values() {
        for (slot, held) in &site.slots {
            let is_heard = match &address {
                Some(address) => held.content.settings.get(CONNECTION) == Some(address),
                None => site.name.eq_ignore_ascii_case(name),
            };
            if is_heard {
                let key = SlotKey {
                    site: site.key(),
                    slot: slot.clone(),
                };
                found.push((role(&site.name, slot), key));
            }
        }
    }
    match address.is_none() && found.is_empty() {
        false => Ok(found),
        true => Err(ArmError::NoResource {
            kind: components::KIND,
            name: name.to_owned(),
            group: call.arg("group").to_owned(),
        }),
    }
}

/// The host calls its app by its name, and a slot by both.
fn role(site: &str, slot: &str) -> String {
    match slot {
        PRODUCTION => site.to_ascii_lowercase(),
        slot => format!("{site}-{slot}").to_ascii_lowercase(),
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, ArmError> {
        let mut query = Self::default();
        for part in text.split(" | ").map(str::trim) {
            let refused = || ArmError::Invalid(format!("The query is not understood: {part}"));
            if let Some(moment) = part.strip_prefix("where timestamp >= datetime(") {
                let moment = moment.trim_end_matches(')');
                query.since = moment.parse().map_err(|_| refused())?;
            } else if let Some(quoted) = part.strip_prefix("where message contains ") {
                let text = quoted.trim_matches('"');
                query.containing = Some(text.replace("\\\"", "\"").replace("\\\\", "\\"));
            } else if let Some(list) = part.strip_prefix("where cloud_RoleName in~ (") {
                let names = list.trim_end_matches(')').split(", ");
                let names = names.map(|name| name.trim_matches('"').to_ascii_lowercase());
                query.roles = Some(names.collect());
            } else if let Some(count) = part.strip_prefix("take ") {
                query.take = Some(count.parse().map_err(|_| refused())?);
            } else if !["union ", "traces", "order by ", "project "]
                .iter()
                .any(|word| part.starts_with(word))
            {
                return Err(refused());
            }
        }
        Ok(query)
    }
}
