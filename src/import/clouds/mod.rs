//! What a cloud holds already becomes manifests: one service for each Lambda function and each Function App.
//!
//! Secrets are never copied: a variable that reads like one, or whose value does, becomes `{ secret: NAME }`, and people put its value into
//! each cloud's own store. What a listing cannot tell is told to be missing. What is written is valid: what our own rules refuse is left
//! out, and told.

mod environment;
mod fit;
mod secrets;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

pub(crate) use self::secrets::is_secret;
use super::{
    Imported, names,
    report::{Entry, Report, Verdict},
    tree::{filled, put},
    write,
};
pub(crate) use super::{
    aws::five_fields,
    azure::{NO_KEY, no_trigger, path_of},
    names::{entry as entry_name, queue as queue_name},
    tree::map,
};
use crate::{
    manifest::azure::AzureApp,
    name::{CloudName, ServiceName},
};

/// A Lambda function, or a Function App.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// ARN, or Azure resource id.
    pub id: String,
    pub name: String,
    /// It carries our tags: its manifest is in Git already.
    pub is_ours: bool,
    /// As the cloud names it: `python3.12`, `Python|3.12`, `custom`. Empty for an image.
    pub runtime: String,
    pub functions: Vec<FoundFunction>,
    /// Variables of all its functions.
    pub variables: BTreeMap<String, String>,
    /// What stands below `azure`.
    pub azure: Option<Box<AzureApp>>,
    /// The size of the plan that it is on, and where that is.
    pub plan: Option<String>,
    pub location: Option<String>,
    /// Id of the API Management that stands before it.
    pub gateway: Option<String>,
    /// What the listing holds and no manifest can ask for: path and why.
    pub left: Vec<(String, String)>,
    /// What it holds and the manifest asks for in another way, or nearly: path and how.
    pub changed: Vec<(String, String)>,
    /// What people must do before the manifest is used.
    pub todo: Vec<String>,
}

/// One function of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundFunction {
    pub name: String,
    /// As the cloud has it. Empty for an image.
    pub handler: String,
    pub memory: Option<u32>,
    /// In seconds.
    pub timeout: Option<u32>,
    /// As manifests write it.
    pub http: Option<String>,
    pub queue: Option<String>,
    pub schedule: Option<String>,
    /// What stands below `aws`, by key.
    pub aws: Vec<(&'static str, Value)>,
}

/// Manifests of all that was found, and what became of each part.
pub fn clouds(cloud: CloudName, place: &str, found: &[Found]) -> Imported {
    let mut taken = BTreeSet::new();
    let mut work = Work::default();
    for one in found {
        if one.is_ours {
            work.tell(
                &one.name,
                Verdict::NotNeeded,
                "carries our tags: its manifest is in Git",
            );
            continue;
        }
        let name = names::free(&names::service(&one.name), ServiceName::MAX, &taken);
        taken.insert(name.clone());
        work.service(cloud, &name, one);
    }
    if cloud == CloudName::Azure {
        work.environment(place, found);
    }
    fit::fit(&mut work);
    let has_environment = work.drafts.iter().any(|it| it.kind == ENVIRONMENT);
    let Work {
        drafts,
        entries,
        secrets,
        todo: found,
    } = work;
    let mut todo = vec![
        "put the code of each service into the folder that `source` names, in the form that the runtime asks for".to_owned(),
        match has_environment {
            true => "look at the environment: its name is made up".to_owned(),
            false => "describe the environments: accounts, regions, subscriptions".to_owned(),
        },
    ];
    todo.push("once the daemon knows the services: `verdigris adopt SERVICE` shows what becomes of what runs now, and takes it over with `--yes`; without `name` a service gets functions of its own beside it".to_owned());
    todo.extend(found);
    if !secrets.is_empty() {
        let names: Vec<String> = secrets.into_iter().collect();
        todo.push(format!(
            "put these secrets into each cloud's own store, since none was copied: {}",
            names.join(", ")
        ));
    }
    let documents: Vec<String> = drafts.iter().map(Draft::text).collect();
    Imported {
        manifests: documents.join("---\n"),
        report: Report {
            file: place.to_owned(),
            dialect: match cloud {
                CloudName::Aws => "AWS",
                CloudName::Azure => "Azure",
            },
            stages: Vec::new(),
            todo,
            entries,
        },
    }
}

const SERVICE: &str = "Service";
const ENVIRONMENT: &str = "Environment";

/// A document to be.
#[derive(Clone, Debug)]
struct Draft {
    remark: String,
    /// What the report calls it by; nothing for the environment.
    owner: String,
    kind: &'static str,
    name: String,
    spec: Mapping,
}

impl Draft {
    fn text(&self) -> String {
        let Self {
            remark,
            owner: _,
            kind,
            name,
            spec,
        } = self;
        let metadata = map([("name", Some(name.as_str().into()))]);
        let mut document = Mapping::new();
        for (key, value) in [
            ("apiVersion", Some("verdigris.dev/v1alpha1".into())),
            ("kind", Some((*kind).into())),
            ("metadata", metadata),
            ("spec", filled(spec.clone())),
        ] {
            put(&mut document, key, value);
        }
        write::document(std::slice::from_ref(remark), &document)
    }
}

#[derive(Default)]
struct Work {
    drafts: Vec<Draft>,
    entries: Vec<Entry>,
    secrets: BTreeSet<String>,
    todo: Vec<String>,
}

impl Work {
    fn tell(&mut self, path: &str, verdict: Verdict, told: &str) {
        self.entries.push(Entry {
            path: path.to_owned(),
            verdict,
            told: told.to_owned(),
            keys: 1,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(app: Found) -> Option<(Verdict, String)> {
        let imported = clouds(CloudName::Azure, PLACE, &[app]);
        let entries = imported.report.entries;
        let told = entries.into_iter().find(|entry| entry.path == "plan");
        told.map(|entry| (entry.verdict, imported.manifests))
    }

    const PLACE: &str = "00000000-0000-0000-0000-000000000001/shop";

    #[test]
    fn a_plan_that_nobody_saw_or_that_has_no_slots_is_not_told_to_be_taken_over() {
        for (plan, wanted, verdict) in [
            (Some("EP1"), "plan: EP1", Verdict::Taken),
            (Some("ep2"), "plan: EP2", Verdict::Taken),
            (None, "plan: Y1", Verdict::Changed),
            (Some("B1"), "plan: S1", Verdict::NotPossible),
            (Some("P1mv9"), "plan: P1v3", Verdict::NotPossible),
            (Some("WS1"), "plan: EP1", Verdict::NotPossible),
        ] {
            let app = Found {
                location: Some("westeurope".to_owned()),
                plan: plan.map(str::to_owned),
                ..Found::default()
            };
            let (found, manifests) = told(app).unwrap();
            assert_eq!(found, verdict, "{plan:?}");
            assert!(manifests.contains(wanted), "{manifests}");
        }
    }
}
