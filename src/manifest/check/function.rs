//! Functions: handlers, limits that both clouds share, routes and variables.

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        aws::AwsFunction,
        raw::{At, EnvText, FunctionAwsText, FunctionSpec, Length, Named, Report, VariableName},
        spec::{EnvValue, Function, Functions, HttpRoute, Megabytes, RepoPath, Runtime},
    },
    aws::{Around, aws, mark_len, whole},
    filled, value,
};
use crate::name::FunctionName;

const MEMORY: Megabytes = Megabytes(256);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The limits of Lambda, in seconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=900;
/// Lambda takes 4 KiB; release, revision and function name take what is missing here.
const ENV_MAX: usize = 4096 - 320;

/// What a service says for all its functions.
pub(super) struct Defaults {
    memory: Megabytes,
    timeout: Duration,
    aws: AwsFunction,
}

impl Defaults {
    pub(super) fn of(
        memory: &Option<At<Megabytes>>,
        timeout: &Option<At<Length>>,
        written_aws: &Option<At<FunctionAwsText>>,
        report: &mut Report,
    ) -> Self {
        let timeout = timeout.as_ref().and_then(|at| whole_seconds(at, report));
        let written_name = written_aws.as_ref().and_then(|at| at.value.name.as_ref());
        if let Some(name) = written_name {
            let help = "write it at the function: `functions: { NAME: { aws: { name: … } } }`";
            report.fault(&name.place, "would be the name of every function", help);
        }
        Self {
            memory: value(memory).unwrap_or(MEMORY),
            timeout: timeout.unwrap_or(TIMEOUT),
            aws: aws(written_aws, report),
        }
    }
}

impl Defaults {
    /// A service may say how queues are read and URLs answer, though not all of its functions have one.
    fn aws_for(&self, has_http: bool, has_queue: bool) -> AwsFunction {
        let mut aws = self.aws.clone();
        aws.url = aws.url.filter(|_| has_http);
        aws.queue = aws.queue.filter(|_| has_queue);
        aws
    }
}

pub(super) fn function(
    spec: &At<FunctionSpec>,
    runtime: Option<&Runtime>,
    defaults: &Defaults,
    report: &mut Report,
) -> Option<Function> {
    let FunctionSpec {
        handler,
        http,
        queue,
        schedule,
        memory,
        timeout,
        env: variables,
        aws: written_aws,
    } = &spec.value;
    let handler = handler
        .as_ref()
        .and_then(|at| checked_handler(at, runtime, report));
    let queue = queue.as_ref().map(|at| queue_name(at, report));
    let timeout = match timeout {
        None => Some(defaults.timeout),
        Some(timeout) => whole_seconds(timeout, report),
    };
    let shared = defaults.aws_for(http.is_some(), queue.is_some());
    let asked = aws(written_aws, report).over(&shared);
    let around = Around {
        runtime,
        http: http.as_ref().map(|at| &at.value),
        has_queue: queue.is_some(),
    };
    let place = written_aws.as_ref().map_or(&spec.place, |at| &at.place);
    whole(&asked, &around, place, report);
    let is_called = http.is_some()
        || queue.is_some()
        || schedule.is_some()
        || !asked.events.is_empty()
        || !asked.permissions.is_empty();
    if !is_called && !report.has_fault_below(&spec.place) {
        let help = "add `http`, `queue` or `schedule`";
        report.warn(&spec.place.key(), "nothing calls this function", help);
    }
    let env = env(variables, report);
    Some(Function {
        handler: handler?,
        http: value(http),
        queue: match queue {
            None => None,
            Some(written) => Some(written?),
        },
        schedule: value(schedule).map(|cron| cron.0),
        memory: value(memory).unwrap_or(defaults.memory),
        timeout: timeout?,
        env,
        aws: (!asked.is_empty()).then(|| Box::new(asked)),
    })
}

fn whole_seconds(timeout: &At<Length>, report: &mut Report) -> Option<Duration> {
    let length = timeout.value.0;
    if length.subsec_millis() != 0 {
        let help = format!("write `{}s`", length.as_secs() + 1);
        report.fault(
            &timeout.place,
            "a function's timeout is whole seconds",
            help,
        );
        return None;
    }
    if !TIMEOUTS.contains(&length.as_secs()) {
        report.fault(
            &timeout.place,
            "is not between 1s and 900s",
            "Lambda allows no other time",
        );
        return None;
    }
    Some(length)
}

fn checked_handler(
    handler: &At<String>,
    runtime: Option<&Runtime>,
    report: &mut Report,
) -> Option<String> {
    let text = filled(handler, report)?;
    let (is_good, help) = match runtime {
        None => (true, ""),
        Some(Runtime::Python(_)) => (is_python(&text), "`module:attribute`, such as `app:app`"),
        Some(Runtime::Node(_)) => (is_node(&text), "`file.mjs` or `file.mjs:export`"),
        Some(Runtime::Executable) => {
            let is_path = RepoPath::new(text.as_str()).is_ok_and(|path| !path.as_str().is_empty());
            (
                is_path,
                "the path of a program in the package, such as `./server`",
            )
        }
    };
    if is_good {
        return Some(text);
    }
    report.fault(&handler.place, "is no handler of this runtime", help);
    None
}

fn is_python(text: &str) -> bool {
    let is_name = |part: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        part.starts_with(|c: char| c.is_alphabetic() || c == '_') && part.chars().all(is_part)
    };
    text.split_once(':').is_some_and(|(module, attribute)| {
        module.split('.').all(is_name) && attribute.split('.').all(is_name)
    })
}

fn is_node(text: &str) -> bool {
    let (file, export) = text.split_once(':').unwrap_or((text, "default"));
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let is_script = [".mjs", ".js", ".cjs"]
        .iter()
        .any(|end| file.ends_with(end));
    let is_export = !export.is_empty() && export.chars().all(is_part);
    RepoPath::new(file).is_ok() && is_script && is_export
}

/// What SQS, Storage queues and Service Bus all take.
fn queue_name(queue: &At<String>, report: &mut Report) -> Option<String> {
    let text = &queue.value;
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
    if (3..=63).contains(&text.len()) && text.bytes().all(is_part) && ends_well {
        return Some(text.clone());
    }
    let help = "3 to 63 lower-case letters, digits and single hyphens";
    report.fault(&queue.place, "is no name of a queue on both clouds", help);
    None
}

pub(super) fn env(
    env: &Option<At<Named<VariableName, EnvText>>>,
    report: &mut Report,
) -> BTreeMap<String, EnvValue> {
    let Some(written) = env else {
        return BTreeMap::new();
    };
    let mut checked = BTreeMap::new();
    let mut folded = BTreeMap::new();
    for (name, text) in &written.value.0 {
        let value = match &text.value {
            EnvText::Plain(plain) if plain.contains('\0') => {
                report.fault(&text.place, "a variable cannot hold a NUL", "remove it");
                continue;
            }
            EnvText::Plain(plain) => EnvValue::Plain(plain.clone()),
            EnvText::Secret(secret) => {
                let secret = secret.secret.as_ref();
                let Some(secret) = secret.and_then(|at| filled(at, report)) else {
                    continue;
                };
                EnvValue::Secret(secret)
            }
        };
        let upper = name.value.0.to_ascii_uppercase();
        if let Some(other) = folded.insert(upper, name.value.0.clone()) {
            let message = format!("Azure cannot tell it from `{other}`");
            report.fault(&name.place, message, "names must differ in more than case");
        }
        checked.insert(name.value.0.clone(), value);
    }
    checked
}

type Written = At<Named<FunctionName, FunctionSpec>>;

/// Two functions of one service must not answer the same request.
pub(super) fn check_routes(functions: &Functions, written: &Written, report: &mut Report) {
    let mut seen: Vec<(String, &HttpRoute, &FunctionName)> = Vec::new();
    for (name, spec) in &written.value.0 {
        let function = functions.get(&name.value);
        let Some(route) = function.and_then(|function| function.http.as_ref()) else {
            continue;
        };
        let shape = shape(&route.path.0);
        let other = seen
            .iter()
            .find(|(seen, other, _)| *seen == shape && share(other, route));
        if let Some((_, _, other)) = other {
            let place = spec
                .value
                .http
                .as_ref()
                .map_or(&spec.place, |http| &http.place);
            let message = format!("`{other}` answers the same requests");
            report.fault(place, message, "give them different methods or paths");
        }
        seen.push((shape, route, &name.value));
    }
}

/// A pattern without the names of its parameters.
fn shape(path: &str) -> String {
    let part = |part: &str| match (part.starts_with('{'), part.ends_with("+}")) {
        (true, true) => "{+}".to_owned(),
        (true, false) => "{}".to_owned(),
        (false, _) => part.to_owned(),
    };
    let parts: Vec<String> = path.trim_matches('/').split('/').map(part).collect();
    parts.join("/")
}

fn share(one: &HttpRoute, other: &HttpRoute) -> bool {
    let is_any = one.methods.is_empty() || other.methods.is_empty();
    is_any
        || one
            .methods
            .iter()
            .any(|method| other.methods.contains(method))
}

/// Lambda gives each function its own variables; a Function App gives all its functions all of them.
pub(super) fn check_env_sizes(
    functions: &Functions,
    shared: &BTreeMap<String, EnvValue>,
    written: &Written,
    report: &mut Report,
) {
    let mut values: BTreeMap<&str, (&EnvValue, &FunctionName)> = BTreeMap::new();
    for (name, spec) in &written.value.0 {
        let Some(function) = functions.get(&name.value) else {
            continue;
        };
        let own = function.env.iter();
        let kept = shared
            .iter()
            .filter(|(key, _)| !function.env.contains_key(*key));
        let bytes: usize = own
            .chain(kept)
            .map(|(key, value)| key.len() + len(value))
            .sum();
        let bytes = bytes + callers_len(function) + function.aws.as_deref().map_or(0, mark_len);
        if bytes > ENV_MAX {
            let message = format!("its variables take {bytes} bytes; Lambda leaves {ENV_MAX}");
            report.fault(
                &spec.place.key(),
                message,
                "keep large values in a file or a secret",
            );
        }
        for (key, value) in &function.env {
            let known = values.entry(key).or_insert((value, &name.value));
            if known.0 != value {
                let message = format!("`{key}` differs from that of `{}`", known.1);
                let help = "on Azure all functions of a service share their variables";
                report.warn(&spec.place.key(), message, help);
            }
        }
    }
}

/// Bytes of what a version remembers of its queue, by its ARN, and of its schedule, which may become two expressions.
fn callers_len(function: &Function) -> usize {
    const QUEUE: usize =
        r#""sources":{"arn:aws-us-gov:sqs:us-gov-west-1:123456789012:":{"batch":10}},"#.len();
    const SCHEDULE: usize = r#""schedules":["cron()","cron()"],"#.len();
    let queue = function.queue.as_ref().map_or(0, |it| QUEUE + it.len());
    let schedule = function.schedule.as_ref();
    queue + schedule.map_or(0, |it| SCHEDULE + 2 * it.len())
}

/// A secret's variable gets a longer name, for it holds a name and no value.
fn len(value: &EnvValue) -> usize {
    match value {
        EnvValue::Plain(text) => text.len(),
        EnvValue::Secret(name) => "_SECRET".len() + name.len(),
    }
}
