//! Application Insights, as far as to tell what a Function App wrote: the component of an app's name, asked by a query.
//!
//! # Caveats
//!
//! A query is a chain of `where timestamp >= datetime(…)`, `where message contains "…"`, `order by`, `take` and `project`; more is refused.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    local::arm::{
        cloud::Cloud,
        wire::{
            answer::{Answer, ArmError},
            call::Call,
        },
    },
    name::Timestamp,
};

/// What a query asks for.
#[derive(Default)]
struct Query {
    since: Timestamp,
    containing: Option<String>,
    take: Option<usize>,
}

pub(in crate::local::arm) fn query(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let name = call.arg("component");
    let lines = cloud.logs(name).ok_or_else(|| ArmError::NoResource {
        kind: "Microsoft.Insights/components",
        name: name.to_owned(),
        group: call.arg("group").to_owned(),
    })?;
    let text = call.body["query"].as_str().unwrap_or_default();
    let Query {
        since,
        containing,
        take,
    } = Query::parse(text)?;
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
