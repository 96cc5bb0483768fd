//! The Azure dialect.

mod bindings;
mod front;
mod provider;

use std::collections::BTreeSet;

pub(crate) use self::bindings::{NO_KEY, no_trigger, path_of};

use serde_yaml::{Mapping, Value};

use super::{
    Draft, Job, aws, handlers, names,
    tree::{At, filled, map, put},
};
use crate::{manifest, name::FunctionName};

pub(super) fn convert(job: &mut Job<'_>) -> Draft {
    let root = job.root.clone();
    let name = aws::service_name(job, &root);
    let written = root.get("provider").and_then(|at| at.get("runtime"));
    let text = written.as_ref().and_then(At::text);
    let runtime = handlers::runtime(text.as_deref().unwrap_or("nodejs22"));
    if let Some(written) = &written {
        aws::tell_runtime(job, written, &runtime);
    }
    let functions = functions(job, &root, &runtime.word);
    let spec = spec(job, &root, &runtime.word, functions);
    aws::plugins(job, &root);
    aws::resources(job, &root);
    Draft {
        services: vec![(name, spec)],
        environment: provider::environment(job, &root),
    }
}

fn spec(job: &mut Job<'_>, root: &At<'_>, runtime: &str, functions: Mapping) -> Mapping {
    let mut spec = Mapping::new();
    let folder = if job.around.folder.is_empty() {
        "."
    } else {
        job.around.folder
    };
    spec.insert("environments".into(), Value::Null);
    spec.insert("runtime".into(), runtime.into());
    spec.insert("source".into(), folder.into());
    put(
        &mut spec,
        "build",
        aws::build(job, root, runtime).map(Value::from),
    );
    let variables = root.get("provider").and_then(|at| at.get("environment"));
    let settings = variables.as_ref().and_then(|at| settings(job, at));
    put(
        &mut spec,
        "env",
        aws::environment(job, variables, "spec.env"),
    );
    spec.insert("functions".into(), functions.into());
    let azure = map([
        ("settings", settings),
        ("api", front::api(job, root)),
        ("network", provider::network(job, root)),
    ]);
    put(&mut spec, "azure", azure);
    spec
}

/// Variables of the platform, which are settings of the app.
fn settings(job: &mut Job<'_>, variables: &At<'_>) -> Option<Value> {
    let mut settings = Mapping::new();
    for (name, at) in variables.entries() {
        let is_ours = manifest::is_variable_name(&name) || !manifest::is_setting(&name);
        let Some(text) = at.text().filter(|text| !is_ours && !text.contains("${")) else {
            continue;
        };
        job.ledger.taken(&at, format!("spec.azure.settings.{name}"));
        put(&mut settings, &name, Some(text.into()));
    }
    filled(settings)
}

fn functions(job: &mut Job<'_>, root: &At<'_>, runtime: &str) -> Mapping {
    let mut taken = BTreeSet::new();
    let mut functions = Mapping::new();
    for (key, at) in aws::listed(root.get("functions")) {
        for function in function(job, &at, runtime, &key) {
            let name = names::free(&names::function(&key), FunctionName::MAX, &taken);
            taken.insert(name.clone());
            functions.insert(name.into(), function.into());
        }
    }
    functions
}

fn function(job: &mut Job<'_>, at: &At<'_>, runtime: &str, key: &str) -> Vec<Mapping> {
    let mut own = Mapping::new();
    let handler = handlers::written(job, at, runtime);
    own.insert("handler".into(), handler.into());
    let env = aws::environment(job, at.get("environment"), "functions.NAME.env");
    let calls = bindings::calls(job, at, key);
    if calls.len() > 1 {
        job.ledger.todo(format!("`{key}` has more than one trigger of a kind: it stands there {} times, with the same handler", calls.len()));
    }
    let one = |call: Mapping| {
        let mut function = own.clone();
        function.extend(call);
        put(&mut function, "env", env.clone());
        function
    };
    let calls = if calls.is_empty() {
        vec![Mapping::new()]
    } else {
        calls
    };
    calls.into_iter().map(one).collect()
}
