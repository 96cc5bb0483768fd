//! The AWS dialect.

mod events;
mod function;
mod http;
mod logs;
mod provider;
mod rights;
mod schedule;
mod settings;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Mapping;

pub(crate) use self::schedule::cron as five_fields;
use self::{function::Converted, settings::Settings};
pub(super) use self::{
    provider::{build, plugins, resources, service_name, tell_runtime},
    settings::environment,
};
use super::{
    Draft, Job, handlers, names,
    tree::{At, filled, put},
};
use crate::name::{FunctionName, ServiceName};

/// What the provider says for all functions.
struct Provider {
    runtime: handlers::Runtime,
    settings: Settings,
    cors: Option<serde_yaml::Value>,
    /// What all functions may do.
    allow: Mapping,
}

pub(super) fn convert(job: &mut Job<'_>) -> Draft {
    let root = job.root.clone();
    let name = provider::service_name(job, &root);
    let provider = provider::provider(job, &root);
    let build = provider::build(job, &root, &provider.runtime.word);
    let mut functions = functions(job, &root, &provider);
    let shared = share(&provider.allow, &mut functions);
    let mut settings = provider.settings.clone();
    put(&mut settings.aws, "allow", shared.and_then(filled));
    provider::resources(job, &root);
    provider::plugins(job, &root);
    let mut services = Vec::new();
    for (runtime, functions) in functions {
        let is_first = runtime == provider.runtime.word || services.is_empty();
        let name = match is_first {
            true => name.clone(),
            false => names::service(&format!("{name}-{runtime}")),
        };
        let build = build.clone().filter(|_| runtime == provider.runtime.word);
        let spec = spec(job, &runtime, build, &settings, functions);
        services.push((name, spec));
    }
    if services.len() > 1 {
        job.ledger.todo(
            "a service has one runtime: functions of another one stand in a service of their own",
        );
    }
    Draft {
        services,
        environment: provider::environment(job, &root),
    }
}

type ByRuntime = Vec<(String, Vec<(String, Mapping)>)>;

/// Rights are their service's, unless one of its functions runs as a role that is given: then they are each of the others'.
fn share(allow: &Mapping, functions: &mut ByRuntime) -> Option<Mapping> {
    let has_role = |function: &Mapping| {
        function
            .get("aws")
            .is_some_and(|it| it.get("role").is_some())
    };
    let all = || functions.iter().flat_map(|(_, all)| all);
    if !all().any(|(_, function)| has_role(function)) {
        return Some(allow.clone());
    }
    let mut all = functions.iter_mut().flat_map(|(_, all)| all);
    for (_, function) in all.by_ref().filter(|(_, it)| !has_role(it)) {
        let Some(rights) = filled(allow.clone()) else {
            break;
        };
        let aws = function
            .entry("aws".into())
            .or_insert_with(|| Mapping::new().into());
        if let serde_yaml::Value::Mapping(aws) = aws {
            let own = aws.remove("allow");
            let mut both = Mapping::new();
            for part in [Some(rights), own].into_iter().flatten() {
                if let serde_yaml::Value::Mapping(part) = part {
                    both.extend(part);
                }
            }
            put(aws, "allow", filled(both));
        }
    }
    None
}

/// Functions by the runtime that they have here, the provider's first; each name once in the whole file.
fn functions(job: &mut Job<'_>, root: &At<'_>, provider: &Provider) -> ByRuntime {
    let mut taken = BTreeSet::new();
    let mut by_runtime: BTreeMap<String, Vec<(String, Mapping)>> = BTreeMap::new();
    for (key, at) in listed(root.get("functions")) {
        let wanted = names::function(&key);
        let Converted { runtime, functions } = function::function(job, &key, &at, provider);
        for mut function in functions {
            let name = names::free(&wanted, FunctionName::MAX, &taken);
            taken.insert(name.clone());
            function::order(&mut function);
            by_runtime
                .entry(runtime.clone())
                .or_default()
                .push((name, function));
        }
    }
    let mut sorted: Vec<_> = by_runtime.into_iter().collect();
    sorted.sort_by_key(|(runtime, _)| *runtime != provider.runtime.word);
    sorted
}

/// A map, or a list of maps.
pub(super) fn listed<'v>(at: Option<At<'v>>) -> Vec<(String, At<'v>)> {
    let Some(at) = at else {
        return Vec::new();
    };
    let mut all = at.entries();
    all.extend(at.items().iter().flat_map(At::entries));
    all
}

fn spec(
    job: &Job<'_>,
    runtime: &str,
    build: Option<String>,
    settings: &Settings,
    functions: Vec<(String, Mapping)>,
) -> Mapping {
    let mut spec = Mapping::new();
    let folder = match job.around.folder {
        "" => ".",
        folder => folder,
    };
    // Environments are named once all stages are read.
    spec.insert("environments".into(), serde_yaml::Value::Null);
    spec.insert("runtime".into(), runtime.into());
    spec.insert("source".into(), folder.into());
    if let Some(build) = build {
        spec.insert("build".into(), build.into());
    }
    let Settings { own, aws } = settings;
    spec.extend(own.clone());
    if !aws.is_empty() {
        spec.insert("aws".into(), aws.clone().into());
    }
    let functions: Mapping = functions
        .into_iter()
        .map(|(name, function)| (name.into(), function.into()))
        .collect();
    spec.insert("functions".into(), functions.into());
    spec
}

const _: () = assert!(
    ServiceName::MAX >= 12,
    "a runtime's word must fit behind a service's name"
);
