//! The provider, plugins, resources, and what becomes of the environment.

use serde_yaml::{Mapping, Value};

use super::{
    Provider, function, http, rights,
    settings::{Settings, arn, settings},
};
use crate::import::{
    Job, handlers, names,
    report::Verdict,
    stages::ACCOUNT,
    tree::{At, map, put},
};

pub(super) const PACKAGE_TOLD: &str = "what `build` leaves in its copy of the source folder is packed: delete there what must not be in";

/// Runtime of a file that names none.
const RUNTIME: &str = "nodejs22.x";

pub(in crate::import) fn service_name(job: &mut Job<'_>, root: &At<'_>) -> String {
    let Some(at) = root.get("service") else {
        return "service".to_owned();
    };
    let written = at.get("name").unwrap_or_else(|| at.clone());
    let text = written.text().unwrap_or_default();
    let name = names::service(&text);
    if name == text {
        job.ledger.taken(&at, "metadata.name");
    } else {
        job.ledger.changed(
            &at,
            format!("metadata.name is `{name}`: lower-case letters, digits and hyphens"),
        );
    }
    name
}

pub(in crate::import) fn tell_runtime(job: &mut Job<'_>, at: &At<'_>, found: &handlers::Runtime) {
    match found.verdict {
        Verdict::Taken => job.ledger.taken(at, &found.told),
        Verdict::NotPossible => job.ledger.impossible(at, &found.told),
        Verdict::Changed | Verdict::NotNeeded | Verdict::Unknown => {
            job.ledger.changed(at, &found.told);
        }
    }
}

pub(super) fn provider(job: &mut Job<'_>, root: &At<'_>) -> Provider {
    let at = root.get("provider").unwrap_or_else(|| root.clone());
    let written = at.get("runtime");
    let text = written.as_ref().and_then(At::text);
    let runtime = handlers::runtime(text.as_deref().unwrap_or(RUNTIME));
    if let Some(written) = &written {
        tell_runtime(job, written, &runtime);
    }
    let mut settings = settings(job, &at, "spec");
    let lambda = at.get("tracing").and_then(|it| it.get("lambda"));
    put(
        &mut settings.aws,
        "tracing",
        function::tracing(job, lambda, "spec"),
    );
    let logs = at.get("logs").and_then(|logs| logs.get("lambda"));
    put(
        &mut settings.aws,
        "logs",
        super::logs::logs(job, logs, at.get("logRetentionInDays"), "spec.aws.logs"),
    );
    ecr(job, &at);
    let cors = at.get("httpApi").and_then(|api| api.get("cors"));
    let cors = cors.and_then(|cors| http::cors(job, &cors, "functions.NAME.aws.url.cors"));
    defaults(&mut settings);
    let allow = match given(&at) {
        Some(_) => Mapping::new(),
        None => {
            let role = at.get("iam").and_then(|iam| iam.get("role"));
            let own = role.and_then(|role| role.get("statements"));
            rights::allow(job, &[own, at.get("iamRoleStatements")], "spec.aws.allow")
        }
    };
    Provider {
        runtime,
        settings,
        cors,
        allow,
    }
}

/// Serverless's own, which are others than ours.
fn defaults(settings: &mut Settings) {
    let mut own = Mapping::new();
    for (key, default) in [("memory", "1024Mi"), ("timeout", "6s")] {
        let said = settings.own.remove(key);
        own.insert(key.into(), said.unwrap_or_else(|| default.into()));
    }
    own.extend(std::mem::take(&mut settings.own));
    settings.own = own;
}

fn ecr(job: &mut Job<'_>, at: &At<'_>) {
    let images = at.get("ecr").and_then(|ecr| ecr.get("images"));
    for (_, image) in images.iter().flat_map(At::entries) {
        let uri = image.get("uri").unwrap_or(image);
        if uri.text().is_some() {
            job.ledger
                .changed(&uri, "stands as `aws.image` at each function that runs it");
        }
    }
}

pub(super) fn environment(job: &mut Job<'_>, root: &At<'_>) -> Mapping {
    let at = root.get("provider").unwrap_or_else(|| root.clone());
    for (key, told) in [
        ("name", "spec.aws of the environment"),
        ("stage", "stages are environments"),
        ("region", "spec.aws.region of the environment"),
    ] {
        if let Some(at) = at.get(key) {
            job.ledger.taken(&at, told);
        }
    }
    if at.text().is_some() {
        job.ledger.taken(&at, "spec.aws of the environment");
    }
    let role = arn(job, given(&at), &["iam"], "spec.aws.role");
    let account = role.is_none().then(|| {
        job.ledger.todo("each function gets a role of its own, with what it needs and `aws.allow`: let the daemon make roles, or name one as `role` of each environment");
        ACCOUNT.into()
    });
    let aws = map([
        ("region", Some(job.stack.region.clone().into())),
        ("role", role),
        ("account", account),
    ]);
    let mut spec = Mapping::new();
    put(&mut spec, "aws", aws);
    spec
}

/// The role that all functions run as, where there is one already.
fn given<'v>(provider: &At<'v>) -> Option<At<'v>> {
    let iam = provider.get("iam").and_then(|iam| iam.get("role"));
    iam.filter(|role| !is_made(role.value))
        .or_else(|| provider.get("role"))
}

/// A role that Serverless would write, and not one that is there.
fn is_made(role: &Value) -> bool {
    const KEYS: [&str; 6] = [
        "statements",
        "name",
        "path",
        "managedPolicies",
        "permissionsBoundary",
        "tags",
    ];
    KEYS.iter().any(|key| role.get(key).is_some())
}

pub(in crate::import) fn resources(job: &mut Job<'_>, root: &At<'_>) {
    let Some(at) = root.get("resources") else {
        return;
    };
    let parts = if at.items().is_empty() {
        vec![at]
    } else {
        at.items()
    };
    for part in parts {
        for (key, at) in part.entries() {
            if key == "Resources" {
                for (_, resource) in at.entries() {
                    let kind = resource.get("Type").and_then(|kind| kind.text());
                    let kind = kind.unwrap_or_else(|| "it".to_owned());
                    job.ledger.impossible(&resource, made_elsewhere(&kind));
                }
            } else {
                job.ledger.impossible(
                    &at,
                    "no template is deployed: keep it in a CloudFormation stack of its own",
                );
            }
        }
    }
}

fn made_elsewhere(kind: &str) -> String {
    format!("`{kind}` is not made here: keep it in a CloudFormation stack of its own")
}

/// Plugins whose work has a place here, and which.
const PLUGINS: [(&str, &str); 10] = [
    (
        "serverless-python-requirements",
        "`build` installs what `requirements.txt` names",
    ),
    (
        "serverless-esbuild",
        "`build` makes the package: write the bundler's command there",
    ),
    (
        "serverless-webpack",
        "`build` makes the package: write the bundler's command there",
    ),
    (
        "serverless-bundle",
        "`build` makes the package: write the bundler's command there",
    ),
    (
        "serverless-plugin-typescript",
        "`build` makes the package: write the compiler's command there",
    ),
    (
        "serverless-offline",
        "`verdigris local` runs both clouds on this machine",
    ),
    (
        "serverless-plugin-canary-deployments",
        "`rollout.strategy: { canary: … }`",
    ),
    (
        "serverless-prune-plugin",
        "older versions are pruned by themselves",
    ),
    (
        "serverless-dotenv-plugin",
        "`${env:NAME}` takes names that the daemon's configuration allows",
    ),
    (
        "serverless-azure-functions",
        "Azure Functions are one of the two clouds",
    ),
];

pub(in crate::import) fn plugins(job: &mut Job<'_>, root: &At<'_>) {
    let Some(at) = root.get("plugins") else {
        return;
    };
    for key in ["modules", "localPath"] {
        if let Some(at) = at.get(key) {
            job.ledger
                .changed(&at, "no plugins run here: each is told by itself");
        }
    }
    let listed = at.get("modules").unwrap_or(at);
    for plugin in listed.items() {
        let name = plugin.text().unwrap_or_default();
        match PLUGINS.iter().find(|(known, _)| *known == name) {
            Some((_, told)) => job.ledger.changed(&plugin, *told),
            None => job.ledger.impossible(
                &plugin,
                "no plugins run here: do its work in `build`, or before and after in your pipeline",
            ),
        }
    }
}

/// The command that makes the package, where the file or its folder says.
pub(in crate::import) fn build(job: &mut Job<'_>, root: &At<'_>, runtime: &str) -> Option<String> {
    if let Some(package) = root.get("package") {
        job.ledger.changed(&package, PACKAGE_TOLD);
    }
    let there = |file: &str| (job.around.files)(file).is_some();
    match runtime {
        word if word.starts_with("python") && there("requirements.txt") => {
            Some("pip install -r requirements.txt --target .".to_owned())
        }
        word if word.starts_with("nodejs") && there("package-lock.json") => {
            Some("npm ci --omit=dev".to_owned())
        }
        word if word.starts_with("nodejs") && there("package.json") => {
            Some("npm install --omit=dev".to_owned())
        }
        _ => None,
    }
}
