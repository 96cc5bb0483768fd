//! Statements of IAM become `aws.allow`, as far as it can say them: what is allowed, and where.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use crate::{
    import::{
        Job, names,
        tree::{At, map},
    },
    manifest,
};

/// Rights by their names, of every list of statements that is there.
pub(super) fn allow(job: &mut Job<'_>, lists: &[Option<At<'_>>], field: &str) -> Mapping {
    let mut all = Mapping::new();
    for list in lists.iter().flatten() {
        let before = all.len();
        for statement in list.items() {
            let Some(rights) = rights(job, &statement, field) else {
                continue;
            };
            let name = name_of(&statement, &rights);
            let taken: BTreeSet<String> = all
                .keys()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let name = names::free(&name, 40, &taken);
            all.insert(name.into(), rights);
        }
        match all.len() > before {
            true => job.ledger.taken(list, field),
            false => job
                .ledger
                .impossible(list, format!("none of it is what `{field}` can say")),
        }
    }
    all
}

/// Its own name, else that of the service that it speaks of.
fn name_of(statement: &At<'_>, rights: &Value) -> String {
    let own = statement.get("Sid").and_then(|it| it.text());
    let action = rights["actions"][0].as_str().unwrap_or_default();
    let service = action.split(':').next().unwrap_or_default().to_owned();
    names::entry(&own.unwrap_or(service))
}

fn rights(job: &mut Job<'_>, statement: &At<'_>, field: &str) -> Option<Value> {
    const WIDER: [&str; 5] = [
        "Condition",
        "NotAction",
        "NotResource",
        "Principal",
        "NotPrincipal",
    ];
    if WIDER.iter().any(|key| statement.get(key).is_some()) {
        let why = format!(
            "`{field}` says what is allowed and where, and without the rest of it more would be: keep the role with CloudFormation or Terraform, and name its ARN as `role`"
        );
        job.ledger.impossible(statement, why);
        return None;
    }
    let effect = statement.get("Effect").and_then(|it| it.text());
    if effect.as_deref() != Some("Allow") {
        let why = "a role of a function's own has what it is given and nothing else: there is nothing to deny";
        job.ledger.impossible(statement, why);
        return None;
    }
    let actions = words(job, statement.get("Action"), field, manifest::is_action);
    let on = words(job, statement.get("Resource"), field, manifest::is_resource);
    let (Some(actions), Some(on)) = (actions, on) else {
        let why = format!("nothing is left of it that `{field}` could say: write it there");
        job.ledger.impossible(statement, why);
        return None;
    };
    job.ledger.taken(statement, field);
    map([("actions", Some(actions)), ("on", Some(on))])
}

/// One or many; those that are not known are told, and left out.
fn words(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    field: &str,
    is_good: fn(&str) -> bool,
) -> Option<Value> {
    let at = at?;
    let items = at.items();
    let items = if items.is_empty() { vec![at] } else { items };
    let mut good: Vec<Value> = Vec::new();
    for item in items {
        match job.stack.text(item.value) {
            Ok(text) if is_good(&text) => good.push(text.into()),
            Ok(text) => {
                let why = format!("`{text}` is none that `{field}` takes: write it there");
                job.ledger.impossible(&item, why);
            }
            Err(why) => {
                job.ledger
                    .impossible(&item, format!("{why}: write it to `{field}`"));
            }
        }
    }
    (!good.is_empty()).then(|| good.into())
}
