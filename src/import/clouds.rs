//! What a cloud holds already becomes manifests: one service for each Lambda function and each Function App.
//!
//! Secrets are never copied: a variable that reads like one, or whose value does, becomes `{ secret: NAME }`, and people put its value into each
//! cloud's own store. What a listing cannot tell is told to be missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

use super::{
    Imported, handlers, names,
    report::{Entry, Report, Verdict},
    tree::{filled, put},
    write,
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
    /// As the cloud names it: `python3.12`, `Python|3.12`, `custom`.
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
}

/// One function of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundFunction {
    pub name: String,
    /// As the cloud has it.
    pub handler: String,
    pub memory: Option<u32>,
    /// In seconds.
    pub timeout: Option<u32>,
    /// As manifests write it.
    pub http: Option<String>,
    pub queue: Option<String>,
    pub schedule: Option<String>,
    /// What stands below `aws`, by path.
    pub aws: Vec<(&'static str, Value)>,
}

/// Parts of names of variables whose values nobody should see.
const SECRET_NAMES: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "PRIVATE",
    "CONNECTIONSTRING",
    "CONNECTION_STRING",
    "DSN",
    "SIGNATURE",
];

/// Settings of Azure's own, which the platform and we set.
const PLATFORM: [&str; 9] = [
    "APPINSIGHTS_",
    "APPLICATIONINSIGHTS_",
    "AzureWebJobs",
    "FUNCTIONS_",
    "SCM_",
    "WEBSITE_",
    "WEBSITES_",
    "ENABLE_ORYX",
    "VERDIGRIS_",
];

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
    let has_environment = cloud == CloudName::Azure && work.environment(place, found);
    let Work {
        documents,
        entries,
        secrets,
    } = work;
    let mut todo = vec![
        "put the code of each service into the folder that `source` names, in the form that the runtime asks for".to_owned(),
        match has_environment {
            true => "look at the environment: its name is made up, and apps get names of their own there, beside those that were found".to_owned(),
            false => "describe the environments: accounts, regions, subscriptions".to_owned(),
        },
    ];
    if !secrets.is_empty() {
        let names: Vec<String> = secrets.into_iter().collect();
        todo.push(format!(
            "put these secrets into each cloud's own store, since none was copied: {}",
            names.join(", ")
        ));
    }
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

#[derive(Default)]
struct Work {
    documents: Vec<String>,
    entries: Vec<Entry>,
    secrets: BTreeSet<String>,
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

    /// What all services stand on, as far as that was seen; false where nothing was.
    fn environment(&mut self, place: &str, found: &[Found]) -> bool {
        let theirs = || found.iter().filter(|one| !one.is_ours);
        let location = theirs().find_map(|one| one.location.as_deref());
        let (Some((subscription, group)), Some(location)) = (place.split_once('/'), location)
        else {
            return false;
        };
        let plans: BTreeSet<&str> = theirs().filter_map(|one| one.plan.as_deref()).collect();
        let plan = plans.first().copied().unwrap_or("Y1");
        match plans.len() {
            0 => {
                let told = "no plan was seen: `Y1` stands there, write the one that is meant";
                self.tell("plan", Verdict::Changed, told);
            }
            1 => self.tell("plan", Verdict::Taken, "spec.azure.plan of the environment"),
            _ => {
                let all = plans.iter().copied().collect::<Vec<_>>().join(", ");
                let told = format!(
                    "the apps are on {all}, and an environment has one plan: `{plan}` stands there"
                );
                self.tell("plan", Verdict::Changed, &told);
            }
        }
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
        self.document(&format!("from azure: {place}"), "Environment", "prod", spec);
        true
    }

    fn document(&mut self, remark: &str, kind: &str, name: &str, spec: Mapping) {
        let mut metadata = Mapping::new();
        put(&mut metadata, "name", Some(name.into()));
        let mut document = Mapping::new();
        put(
            &mut document,
            "apiVersion",
            Some("verdigris.dev/v1alpha1".into()),
        );
        put(&mut document, "kind", Some(kind.into()));
        put(&mut document, "metadata", filled(metadata));
        put(&mut document, "spec", filled(spec));
        self.documents
            .push(write::document(&[remark.to_owned()], &document));
    }

    fn service(&mut self, cloud: CloudName, name: &str, found: &Found) {
        let runtime = handlers::runtime(&normal(&found.runtime));
        self.tell(
            &format!("{}.runtime", found.name),
            runtime.verdict,
            &runtime.told,
        );
        let mut functions = Mapping::new();
        for function in &found.functions {
            let own = names::function(&function.name);
            let spec = self.function(found, function, &runtime.word);
            put(&mut functions, &own, filled(spec));
        }
        let mut spec = Mapping::new();
        put(&mut spec, "runtime", Some(runtime.word.into()));
        put(&mut spec, "source", Some(format!("services/{name}").into()));
        put(&mut spec, "functions", filled(functions));
        let env = self.variables(name, found);
        put(&mut spec, "env", filled(env));
        let azure = found.azure.as_deref().map(|app| self.azure(found, app));
        put(&mut spec, "azure", azure.and_then(filled));
        for (path, why) in &found.left {
            self.tell(&format!("{}.{path}", found.name), Verdict::NotPossible, why);
        }
        let remark = format!("from {cloud}: {}", found.id);
        self.document(&remark, "Service", name, spec);
    }

    fn function(&mut self, found: &Found, function: &FoundFunction, runtime: &str) -> Mapping {
        let path = match found.functions.len() {
            1 => found.name.clone(),
            _ => format!("{}.{}", found.name, function.name),
        };
        let (handler, told) = handlers::handler(&function.handler, runtime);
        self.tell(&format!("{path}.handler"), Verdict::Changed, told);
        let mut spec = Mapping::new();
        put(&mut spec, "handler", Some(handler.into()));
        put(&mut spec, "http", function.http.clone().map(Value::from));
        put(
            &mut spec,
            "queue",
            function.queue.as_deref().map(|it| names::queue(it).into()),
        );
        put(
            &mut spec,
            "schedule",
            function.schedule.clone().map(Value::from),
        );
        let memory = function.memory.map(|size| format!("{}Mi", size.max(128)));
        put(&mut spec, "memory", memory.map(Value::from));
        let timeout = function.timeout.map(|seconds| format!("{seconds}s"));
        put(&mut spec, "timeout", timeout.map(Value::from));
        let mut aws = Mapping::new();
        for (key, value) in &function.aws {
            put(&mut aws, key, Some(value.clone()));
        }
        put(&mut spec, "aws", filled(aws));
        for key in spec
            .keys()
            .filter_map(Value::as_str)
            .filter(|key| *key != "handler")
        {
            let told = format!("spec.functions.{}.{key}", names::function(&function.name));
            self.tell(&format!("{path}.{key}"), Verdict::Taken, &told);
        }
        spec
    }

    fn azure(&mut self, found: &Found, app: &AzureApp) -> Mapping {
        // Cannot fail: every key is a string and every value has a form in YAML.
        let written = serde_yaml::to_value(app).unwrap_or_default();
        let Value::Mapping(mut spec) = written else {
            return Mapping::new();
        };
        if let Some(Value::Mapping(sticky)) = spec.get_mut("sticky") {
            sticky.iter_mut().for_each(|(_, pair)| plainly(pair));
        }
        for key in spec.keys().filter_map(Value::as_str) {
            let told = format!("spec.azure.{key}");
            self.tell(&format!("{}.{key}", found.name), Verdict::Taken, &told);
        }
        spec
    }

    fn variables(&mut self, service: &str, found: &Found) -> Mapping {
        let mut env = Mapping::new();
        for (name, value) in &found.variables {
            let path = format!("{}.env.{name}", found.name);
            if PLATFORM.iter().any(|start| name.starts_with(start)) {
                self.tell(&path, Verdict::NotNeeded, "belongs to the platform");
            } else if is_secret(name, value) {
                let secret = names::entry(&format!("{service}-{name}"));
                let mut reference = Mapping::new();
                put(&mut reference, "secret", Some(secret.clone().into()));
                put(&mut env, name, filled(reference));
                self.tell(&path, Verdict::Changed, &format!("reads like a secret, and was not copied: `{secret}` of each cloud's own store"));
                self.secrets.insert(secret);
            } else {
                put(&mut env, name, Some(value.as_str().into()));
                self.tell(&path, Verdict::Taken, &format!("spec.env.{name}"));
            }
        }
        env
    }
}

/// Values as manifests write them: one that is no secret stands by itself.
fn plainly(pair: &mut Value) {
    let Value::Mapping(pair) = pair else {
        return;
    };
    for (_, value) in pair.iter_mut() {
        if let Some(plain) = value.get("plain").cloned() {
            *value = plain;
        }
    }
}

/// `Python|3.12`, `Node|22` and `python3.12`, `nodejs22.x` are the same.
fn normal(runtime: &str) -> String {
    match runtime.split_once('|') {
        Some((language, version)) if language.eq_ignore_ascii_case("node") => {
            format!("nodejs{version}")
        }
        Some((language, version)) => format!("{}{version}", language.to_ascii_lowercase()),
        None if runtime == "custom" => "provided".to_owned(),
        None => runtime.to_owned(),
    }
}

/// By its name, and by what it looks like: better a secret too many than one in Git.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let by_name = SECRET_NAMES.iter().any(|part| upper.contains(part));
    let with_password = value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|it| it.contains('@')));
    let reference = value.starts_with("@Microsoft.KeyVault(") || value.contains("AccountKey=");
    let is_code = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let dense = value.len() >= 32
        && value.chars().all(is_code)
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    by_name || with_password || reference || dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_nobody_saw_is_not_told_to_be_taken_over() {
        let verdict = |plan: Option<&str>| {
            let app = Found {
                location: Some("westeurope".to_owned()),
                plan: plan.map(str::to_owned),
                ..Found::default()
            };
            let entries = clouds(CloudName::Azure, "sub/shop", &[app]).report.entries;
            let told = entries.into_iter().find(|entry| entry.path == "plan");
            told.map(|entry| entry.verdict)
        };
        assert_eq!(verdict(Some("EP1")), Some(Verdict::Taken));
        assert_eq!(verdict(None), Some(Verdict::Changed));
    }

    #[test]
    fn what_reads_like_a_secret_is_none_of_git() {
        for (name, value, secret) in [
            ("LOG_LEVEL", "debug", false),
            ("TABLE", "orders-prod", false),
            ("DB_PASSWORD", "x", true),
            ("STRIPE_KEY", "", true),
            ("DATABASE_URL", "postgres://shop:hunter2@db/shop", true),
            ("PAGE", "https://example.com/@me", false),
            (
                "STORAGE",
                "DefaultEndpointsProtocol=https;AccountKey=abc",
                true,
            ),
            ("OPAQUE", "9f86d081884c7d659a2feaa0c55ad015", true),
            ("SECTION", "a-long-name-of-words-without-numbers", false),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
    }
}
