//! What differs, and why it matters: between two releases, and between what was asked for and what a cloud holds.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    desired::ReleaseContent,
    manifest::{
        azure::AzureApp,
        differences::{Difference, differences},
        spec::{EnvValue, Function},
    },
    name::FunctionName,
    observed::Fields,
};

/// One field that a cloud holds otherwise than the release asks for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FieldDrift {
    pub field: String,
    /// None where nothing was asked for.
    pub wanted: Option<String>,
    /// None where the cloud holds nothing.
    pub found: Option<String>,
}

impl fmt::Display for FieldDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            wanted,
            found,
        } = self;
        match (wanted, found) {
            (Some(wanted), Some(found)) => write!(f, "{field} is {found}, not {wanted}"),
            (Some(wanted), None) => write!(f, "{field} is missing, not {wanted}"),
            (None, Some(found)) => write!(f, "{field} is {found}, and nobody asked for it"),
            (None, None) => write!(f, "{field} is as asked for"),
        }
    }
}

/// Fields that differ, by name.
pub fn fields(wanted: &Fields, found: &Fields) -> Vec<FieldDrift> {
    let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let drift = |field: &String| FieldDrift {
        field: field.clone(),
        wanted: wanted.get(field).cloned(),
        found: found.get(field).cloned(),
    };
    names
        .into_iter()
        .map(drift)
        .filter(|drift| drift.wanted != drift.found)
        .collect()
}

/// One thing that a new release changes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "what")]
pub enum Change {
    Code,
    Runtime {
        from: String,
        to: String,
    },
    Build,
    FunctionAdded {
        function: FunctionName,
    },
    FunctionRemoved {
        function: FunctionName,
    },
    FunctionChanged {
        function: FunctionName,
        field: String,
        from: String,
        to: String,
    },
    /// Only the name is told: the value may be secret.
    VariableAdded {
        name: String,
    },
    VariableRemoved {
        name: String,
    },
    VariableChanged {
        name: String,
    },
    Role,
    /// What is asked of Azure for the app as a whole.
    AppChanged {
        field: String,
        from: String,
        to: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("code changed"),
            Self::Runtime { from, to } => write!(f, "runtime {from} to {to}"),
            Self::Build => f.write_str("build command changed"),
            Self::FunctionAdded { function } => write!(f, "function {function} added"),
            Self::FunctionRemoved { function } => write!(f, "function {function} removed"),
            Self::FunctionChanged {
                function,
                field,
                from,
                to,
            } => write!(f, "{function} {field} {from} to {to}"),
            Self::VariableAdded { name } => write!(f, "variable {name} added"),
            Self::VariableRemoved { name } => write!(f, "variable {name} removed"),
            Self::VariableChanged { name } => write!(f, "variable {name} changed"),
            Self::Role => f.write_str("role changed"),
            Self::AppChanged { field, from, to } => write!(f, "{field} {from} to {to}"),
        }
    }
}

/// What a new release changes, in a fixed order.
pub fn releases(old: &ReleaseContent, new: &ReleaseContent) -> Vec<Change> {
    let ReleaseContent {
        runtime,
        source: _,
        source_tree,
        build,
        functions,
        env,
        role,
        azure,
    } = new;
    let mut changes = Vec::new();
    if *source_tree != old.source_tree {
        changes.push(Change::Code);
    }
    if *runtime != old.runtime {
        changes.push(Change::Runtime {
            from: old.runtime.to_string(),
            to: runtime.to_string(),
        });
    }
    if *build != old.build {
        changes.push(Change::Build);
    }
    if *role != old.role {
        changes.push(Change::Role);
    }
    for (name, function) in functions {
        match old.functions.get(name) {
            None => changes.push(Change::FunctionAdded {
                function: name.clone(),
            }),
            Some(before) => changes.extend(function_changes(name, before, function)),
        }
    }
    let removed = old
        .functions
        .keys()
        .filter(|name| !functions.contains_key(*name));
    changes.extend(removed.map(|function| Change::FunctionRemoved {
        function: function.clone(),
    }));
    changes.extend(variable_changes(&old.env, env));
    changes.extend(app_changes(old.azure.as_deref(), azure.as_deref()));
    changes
}

fn app_changes(old: Option<&AzureApp>, new: Option<&AzureApp>) -> Vec<Change> {
    let [old, new] = [old, new].map(|side| side.map(AzureApp::told));
    let changed = differences("azure", old.as_ref(), new.as_ref()).into_iter();
    changed
        .map(|Difference { path, from, to }| Change::AppChanged {
            field: path,
            from,
            to,
        })
        .collect()
}

fn function_changes(name: &FunctionName, old: &Function, new: &Function) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |field: &str, from: String, to: String| {
        if from != to {
            let field = field.to_owned();
            changes.push(Change::FunctionChanged {
                function: name.clone(),
                field,
                from,
                to,
            });
        }
    };
    let Function {
        handler,
        http,
        queue,
        schedule,
        memory,
        timeout,
        env,
        aws,
    } = new;
    let route = |http: &Option<crate::manifest::spec::HttpRoute>| match http {
        Some(route) => format!(
            "{} {}",
            if route.methods.is_empty() {
                "ANY".to_owned()
            } else {
                route.methods.join(",")
            },
            route.path.0
        ),
        None => "none".to_owned(),
    };
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    note("handler", old.handler.clone(), handler.clone());
    note("http", route(&old.http), route(http));
    note("queue", word(&old.queue), word(queue));
    note("schedule", word(&old.schedule), word(schedule));
    note(
        "memory",
        format!("{}Mi", old.memory.0),
        format!("{}Mi", memory.0),
    );
    note(
        "timeout",
        format!("{:?}", old.timeout),
        format!("{timeout:?}"),
    );
    for Difference { path, from, to } in differences("aws", old.aws.as_deref(), aws.as_deref()) {
        note(&path, from, to);
    }
    changes.extend(variable_changes(&old.env, env));
    changes
}

fn variable_changes(
    old: &BTreeMap<String, EnvValue>,
    new: &BTreeMap<String, EnvValue>,
) -> Vec<Change> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| match (old.get(name), new.get(name)) {
        (None, Some(_)) => Some(Change::VariableAdded { name: name.clone() }),
        (Some(_), None) => Some(Change::VariableRemoved { name: name.clone() }),
        (Some(before), Some(after)) if before != after => {
            Some(Change::VariableChanged { name: name.clone() })
        }
        (Some(_), Some(_)) | (None, None) => None,
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_reads_as_a_person_would_say_it() {
        let fields_of = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let wanted: Fields = fields_of(&[
            ("stock.memory", "256"),
            ("stock.timeout", "30"),
            ("code", "ab"),
        ]);
        let found: Fields =
            fields_of(&[("stock.memory", "512"), ("code", "ab"), ("env.DEBUG", "1f")]);
        let told: Vec<String> = fields(&wanted, &found)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "env.DEBUG is 1f, and nobody asked for it",
                "stock.memory is 512, not 256",
                "stock.timeout is missing, not 30"
            ]
        );
    }
}
