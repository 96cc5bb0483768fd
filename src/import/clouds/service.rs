//! One service of one Lambda function, or of one Function App.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::{
    Draft, Found, FoundFunction, SERVICE, Verdict, Work, filled, map, names, put,
    secrets::is_secret,
};
use crate::{
    import::handlers,
    manifest::{self, azure::AzureApp},
    name::{CloudName, FunctionName},
};

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

/// What stands for the runtime of an image, which brings its own.
const PROGRAM: &str = "executable";

impl Work {
    pub(super) fn service(&mut self, cloud: CloudName, name: &str, found: &Found) {
        let runtime = self.runtime(found);
        let functions = self.functions(found, &runtime);
        let mut spec = Mapping::new();
        put(&mut spec, "runtime", Some(runtime.into()));
        put(&mut spec, "source", Some(format!("services/{name}").into()));
        put(&mut spec, "functions", filled(functions));
        let (env, settings) = self.variables(cloud, name, found);
        put(&mut spec, "env", filled(env));
        let azure = found.azure.as_deref().map(|app| self.azure(found, app));
        let azure = with_settings(azure.unwrap_or_default(), settings);
        put(&mut spec, "azure", filled(azure));
        let mut spec = Value::Mapping(spec);
        literally(&mut spec);
        let Value::Mapping(spec) = spec else { return };
        let told = [
            (Verdict::NotPossible, &found.left),
            (Verdict::Changed, &found.changed),
        ];
        for (verdict, all) in told {
            for (path, why) in all {
                self.tell(&format!("{}.{path}", found.name), verdict, why);
            }
        }
        self.todo.extend(found.todo.iter().cloned());
        self.drafts.push(Draft {
            remark: format!("from {cloud}: {}", found.id),
            owner: found.name.clone(),
            kind: SERVICE,
            name: name.to_owned(),
            spec,
        });
    }

    fn runtime(&mut self, found: &Found) -> String {
        let path = format!("{}.runtime", found.name);
        if found.runtime.is_empty() {
            let told = "an image brings its own; where no image runs, the package's program does";
            self.tell(&path, Verdict::Changed, told);
            return PROGRAM.to_owned();
        }
        let runtime = handlers::runtime(&normal(&found.runtime));
        self.tell(&path, runtime.verdict, &runtime.told);
        runtime.word
    }

    /// Names that are one in our words are told apart by numbers.
    fn functions(&mut self, found: &Found, runtime: &str) -> Mapping {
        let mut taken = BTreeSet::new();
        let mut functions = Mapping::new();
        for function in &found.functions {
            let own = names::function(&function.name);
            let own = names::free(&own, FunctionName::MAX, &taken);
            taken.insert(own.clone());
            let spec = self.function(found, function, &own, runtime);
            put(&mut functions, &own, filled(spec));
        }
        functions
    }

    fn function(
        &mut self,
        found: &Found,
        function: &FoundFunction,
        own: &str,
        runtime: &str,
    ) -> Mapping {
        let path = match found.functions.len() {
            1 => found.name.clone(),
            _ => format!("{}.{}", found.name, function.name),
        };
        let handler = match function.handler.is_empty() {
            true => handlers::PROGRAM.to_owned(),
            false => {
                let (handler, told) = handlers::handler(&function.handler, runtime);
                self.tell(&format!("{path}.handler"), Verdict::Changed, told);
                handler
            }
        };
        let memory = function.memory.map(|size| format!("{}Mi", size.max(128)));
        let timeout = function.timeout.map(|seconds| format!("{seconds}s"));
        let mut spec = Mapping::new();
        for (key, value) in [
            ("http", function.http.clone()),
            ("queue", function.queue.clone()),
            ("schedule", function.schedule.clone()),
            ("memory", memory),
            ("timeout", timeout),
        ] {
            let is_there = value.is_some();
            put(&mut spec, key, value.map(Value::from));
            if is_there {
                let told = format!("spec.functions.{own}.{key}");
                self.tell(&format!("{path}.{key}"), Verdict::Taken, &told);
            }
        }
        let mut aws = Mapping::new();
        for (key, value) in &function.aws {
            put(&mut aws, key, Some(value.clone()));
            let told = format!("spec.functions.{own}.aws.{key}");
            self.tell(&format!("{path}.{key}"), Verdict::Taken, &told);
        }
        put(&mut spec, "aws", filled(aws));
        let mut whole = Mapping::from_iter([("handler".into(), handler.into())]);
        whole.extend(spec);
        whole
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

    /// Variables of both clouds, and those that Azure alone takes for one.
    fn variables(&mut self, cloud: CloudName, service: &str, found: &Found) -> (Mapping, Mapping) {
        let (mut env, mut settings) = (Mapping::new(), Mapping::new());
        for (name, value) in &found.variables {
            let path = format!("{}.env.{name}", found.name);
            let is_azures = cloud == CloudName::Azure && !manifest::is_variable_name(name);
            if cloud == CloudName::Azure && PLATFORM.iter().any(|start| name.starts_with(start)) {
                self.tell(&path, Verdict::NotNeeded, "belongs to the platform");
            } else if is_secret(name, value) {
                let secret = names::entry(&format!("{service}-{name}"));
                if is_azures {
                    let told = "reads like a secret, and is no name of a variable on both clouds: give it another, and write it as `env: { NAME: { secret: … } }`";
                    self.tell(&path, Verdict::NotPossible, told);
                    continue;
                }
                let reference = map([("secret", Some(secret.clone().into()))]);
                put(&mut env, name, reference);
                self.tell(&path, Verdict::Changed, &format!("reads like a secret, and was not copied: `{secret}` of each cloud's own store"));
                self.secrets.insert(secret);
            } else if is_azures {
                put(&mut settings, name, Some(value.as_str().into()));
                let told = "spec.azure.settings: no name of a variable on both clouds";
                self.tell(&path, Verdict::Changed, told);
            } else {
                put(&mut env, name, Some(value.as_str().into()));
                self.tell(&path, Verdict::Taken, &format!("spec.env.{name}"));
            }
        }
        (env, settings)
    }
}

fn with_settings(mut azure: Mapping, more: Mapping) -> Mapping {
    if !more.is_empty() {
        let mut settings = match azure.remove("settings") {
            Some(Value::Mapping(settings)) => settings,
            Some(_) | None => Mapping::new(),
        };
        settings.extend(more);
        azure.insert("settings".into(), settings.into());
    }
    azure
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

/// What would be a variable of ours stands for itself.
fn literally(value: &mut Value) {
    match value {
        Value::String(text) => {
            for source in ["env", "param", "file", "git"] {
                *text = text.replace(&format!("${{{source}:"), &format!("$${{{source}:"));
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(literally),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, value)| literally(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => {}
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
