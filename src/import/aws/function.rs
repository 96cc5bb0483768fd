//! One function becomes one of ours; more than one where it has more routes, queues or schedules than a function has here.

use serde_yaml::{Mapping, Value};

use super::{
    Provider,
    events::{self, Calls},
    rights,
    settings::{Settings, arn, number, settings},
};
use crate::import::{
    Job, handlers,
    tree::{At, filled, put},
};

/// What one function became.
pub(super) struct Converted {
    pub(super) runtime: String,
    pub(super) functions: Vec<Mapping>,
}

pub(super) fn function(
    job: &mut Job<'_>,
    key: &str,
    at: &At<'_>,
    provider: &Provider,
) -> Converted {
    let place = format!("functions.{key}");
    let image = image(job, at, &place);
    let runtime = runtime(
        job,
        at,
        provider,
        image.is_some() || at.get("image").is_some(),
    );
    let mut found = settings(job, at, &place);
    without_layers(job, at, image.is_some(), &mut found, provider);
    put(&mut found.aws, "image", image);
    put(
        &mut found.aws,
        "role",
        arn(job, at.get("role"), &["iam"], &format!("{place}.aws.role")),
    );
    if !found.aws.contains_key("role") {
        let role = at.get("iam").and_then(|iam| iam.get("role"));
        let own = role.and_then(|role| role.get("statements"));
        let lists = [own, at.get("iamRoleStatements")];
        let allow = rights::allow(job, &lists, &format!("{place}.aws.allow"));
        put(&mut found.aws, "allow", filled(allow));
    }
    put(&mut found.aws, "concurrency", concurrency(job, at, &place));
    put(
        &mut found.aws,
        "tracing",
        tracing(job, at.get("tracing"), &place),
    );
    put(
        &mut found.aws,
        "logs",
        super::logs::logs(
            job,
            at.get("logs"),
            at.get("logRetentionInDays"),
            &format!("{place}.aws.logs"),
        ),
    );
    let files = file_system(job, at, &found, provider, &place);
    put(&mut found.aws, "fileSystem", files);
    let snapshot = snap_start(job, at, &runtime, &found, &place);
    put(&mut found.aws, "snapStart", snapshot);
    packaging(job, at);
    let mut calls = events::calls(job, at, provider);
    let streams = found.aws.contains_key("image") || !runtime.starts_with("python");
    url(job, at, &mut calls, streams);
    let mut own = Mapping::new();
    own.insert(
        "handler".into(),
        handlers::written(job, at, &runtime).into(),
    );
    let functions = assemble(job, at, own, found, calls);
    Converted { runtime, functions }
}

fn runtime(job: &mut Job<'_>, at: &At<'_>, provider: &Provider, is_image: bool) -> String {
    let Some(written) = at.get("runtime") else {
        return match is_image {
            true => "executable".to_owned(),
            false => provider.runtime.word.clone(),
        };
    };
    let found = handlers::runtime(&written.text().unwrap_or_default());
    super::provider::tell_runtime(job, &written, &found);
    found.word
}

/// An image by its digest; by name where the provider lists it.
fn image(job: &mut Job<'_>, at: &At<'_>, place: &str) -> Option<Value> {
    let at = at.get("image")?;
    let root = job.root.clone();
    let listed = |name: &str| {
        let images = root.get("provider")?.get("ecr")?.get("images")?;
        let image = images.get(name)?;
        image
            .get("uri")
            .or(Some(image))
            .and_then(|image| image.text())
    };
    let named = at.get("name").and_then(|name| name.text());
    let written = at
        .either(&["uri"])
        .and_then(|uri| uri.text())
        .or(named)
        .or_else(|| at.text());
    let written = written.unwrap_or_default();
    let uri = listed(&written).unwrap_or(written);
    let is_whole = uri.contains(".dkr.ecr.") && uri.contains(".amazonaws.com/");
    let has_digest = uri
        .split_once("@sha256:")
        .is_some_and(|(_, digest)| digest.len() == 64);
    if is_whole && has_digest {
        let told = format!(
            "{place}.aws.image on AWS; on Azure the package's program runs, which `handler` names"
        );
        job.ledger.changed(&at, told);
        return Some(uri.into());
    }
    let told =
        format!("images are named by digest, and not built here: write it as `{place}.aws.image`");
    job.ledger.impossible(&at, told);
    None
}

/// An image has none, not even its service's.
fn without_layers(
    job: &mut Job<'_>,
    at: &At<'_>,
    is_image: bool,
    found: &mut Settings,
    provider: &Provider,
) {
    if !is_image {
        return;
    }
    if found.aws.remove("layers").is_some()
        && let Some(at) = at.get("layers")
    {
        job.ledger
            .instead(&at, "an image has no layers: put them in the image");
    }
    if provider.settings.aws.contains_key("layers") {
        put(&mut found.aws, "layers", Some(Value::Sequence(Vec::new())));
    }
}

fn concurrency(job: &mut Job<'_>, at: &At<'_>, place: &str) -> Option<Value> {
    let mut found = Mapping::new();
    let field = format!("{place}.aws.concurrency");
    let reserved = number(
        job,
        at.get("reservedConcurrency"),
        0..=100_000,
        &format!("{field}.reserved"),
        "",
    );
    let written = at.get("provisionedConcurrency");
    let executions = written.as_ref().and_then(|at| at.get("executions"));
    let provisioned = number(
        job,
        executions.or(written),
        1..=100_000,
        &format!("{field}.provisioned"),
        "",
    );
    put(&mut found, "reserved", reserved);
    put(&mut found, "provisioned", provisioned);
    filled(found)
}

/// `true`, `Active` or `PassThrough`.
pub(super) fn tracing(job: &mut Job<'_>, at: Option<At<'_>>, place: &str) -> Option<Value> {
    let at = at?;
    let word = at.text().unwrap_or_default();
    if word == "true" || word == "Active" {
        job.ledger.taken(&at, format!("{place}.aws.tracing"));
        return Some(true.into());
    }
    job.ledger
        .changed(&at, "not traced, unless whoever calls traces");
    None
}

fn file_system(
    job: &mut Job<'_>,
    at: &At<'_>,
    found: &Settings,
    provider: &Provider,
    place: &str,
) -> Option<Value> {
    let at = at.get("fileSystemConfig")?;
    let field = format!("{place}.aws.fileSystem");
    let is_in_network = found.aws.contains_key("vpc") || provider.settings.aws.contains_key("vpc");
    let point = at.get("arn").and_then(|arn| job.stack.text(arn.value).ok());
    let point = point.filter(|arn| crate::manifest::is_arn(arn, &["elasticfilesystem"]));
    let mount = at.get("localMountPath").and_then(|mount| mount.text());
    let (Some(point), Some(mount), true) = (point, mount, is_in_network) else {
        job.ledger.impossible(&at, format!("needs a network and the ARN of an access point: write `{field}: {{ accessPoint, mount }}`"));
        return None;
    };
    job.ledger.taken(&at, field);
    Some(
        Mapping::from_iter([
            ("accessPoint".into(), point.into()),
            ("mount".into(), mount.into()),
        ])
        .into(),
    )
}

fn snap_start(
    job: &mut Job<'_>,
    at: &At<'_>,
    runtime: &str,
    found: &Settings,
    place: &str,
) -> Option<Value> {
    let at = at.get("snapStart")?;
    let is_able = matches!(runtime, "python3.12" | "python3.13")
        && !["image", "fileSystem", "ephemeralStorage"]
            .iter()
            .any(|key| found.aws.contains_key(*key))
        && found
            .aws
            .get("concurrency")
            .and_then(|it| it.get("provisioned"))
            .is_none();
    if at.is_true() && is_able {
        job.ledger.taken(&at, format!("{place}.aws.snapStart"));
        return Some(true.into());
    }
    if at.is_true() {
        job.ledger.impossible(&at, "snapshots are taken of Python 3.12 and later alone; nearest: `aws.concurrency.provisioned`");
    } else {
        job.ledger
            .unneeded(&at, "nothing is kept warm unless it is asked for");
    }
    None
}

fn packaging(job: &mut Job<'_>, at: &At<'_>) {
    if let Some(package) = at.get("package") {
        job.ledger.changed(&package, super::provider::PACKAGE_TOLD);
    }
}

/// A function's own address: every function that answers HTTP has one here.
fn url(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls, streams: bool) {
    let Some(url) = at.get("url") else {
        return;
    };
    if url.is_false() || url.is_null() {
        job.ledger
            .unneeded(&url, "there is an address where there is `http`");
        return;
    }
    let field = "functions.NAME.aws.url";
    let mut found = Mapping::new();
    let is_iam = url
        .get("authorizer")
        .is_some_and(|at| at.text().as_deref() == Some("aws_iam"));
    if is_iam {
        put(&mut found, "auth", Some("iam".into()));
    }
    if let Some(cors) = url.get("cors") {
        put(
            &mut found,
            "cors",
            super::http::cors(job, &cors, &format!("{field}.cors")),
        );
    }
    if let Some(mode) = url
        .get("invokeMode")
        .filter(|mode| mode.text().as_deref() == Some("RESPONSE_STREAM"))
    {
        if streams {
            put(&mut found, "stream", Some(true.into()));
        } else {
            job.ledger.impossible(
                &mode,
                "Lambda's own runtime for Python answers in one piece; Node and executables stream",
            );
        }
    }
    job.ledger
        .taken(&url, format!("{field}, with `http` for every path"));
    if calls.http.is_empty() {
        let name = crate::import::names::function(at.path.trim_start_matches("functions."));
        let path = match job.claim("", "/{path+}") {
            true => "/{path+}".to_owned(),
            false => format!("/{name}/{{path+}}"),
        };
        calls.http.push(path);
    }
    calls.url.extend(found);
}

/// Every further route, queue or schedule gets a function of its own, with the same handler.
fn assemble(
    job: &mut Job<'_>,
    at: &At<'_>,
    own: Mapping,
    found: Settings,
    calls: Calls,
) -> Vec<Mapping> {
    let Calls {
        http,
        queues,
        schedules,
        url,
        events,
        permissions,
    } = calls;
    let count = 1.max(http.len()).max(queues.len()).max(schedules.len());
    if count > 1 {
        let name = at.path.trim_start_matches("functions.");
        job.ledger.todo(format!(
            "`{name}` has more routes, queues or schedules than the one that a function has here: it stands there {count} times, with the same handler"
        ));
    }
    let one = |index: usize| {
        let mut function = own.clone();
        let mut aws = found.aws.clone();
        if let Some(route) = http.get(index) {
            function.insert("http".into(), route.clone().into());
            put(&mut aws, "url", filled(url.clone()));
        }
        if let Some((queue, options)) = queues.get(index) {
            function.insert("queue".into(), queue.clone().into());
            put(&mut aws, "queue", filled(options.clone()));
        }
        if let Some(schedule) = schedules.get(index) {
            function.insert("schedule".into(), schedule.clone().into());
        }
        if index == 0 {
            put(&mut aws, "events", filled(events.clone()));
            put(&mut aws, "permissions", filled(permissions.clone()));
        }
        function.extend(found.own.clone());
        put(&mut function, "aws", filled(aws));
        function
    };
    (0..count).map(one).collect()
}

/// The order in which people read a function.
pub(super) fn order(function: &mut Mapping) {
    const KEYS: [&str; 8] = [
        "handler", "http", "queue", "schedule", "memory", "timeout", "env", "aws",
    ];
    let mut ordered = Mapping::new();
    for key in KEYS {
        put(&mut ordered, key, function.remove(key));
    }
    *function = ordered;
}
