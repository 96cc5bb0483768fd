//! What a cloud would refuse once service and environment meet: names that are too long, memory and time that a plan does not have.

use super::super::parity::{Asker, Gap, gaps};
use super::super::spec::{AzurePlan, AzureTarget, Environment, Service};
use super::azure::app_limits;
use crate::name::{CloudName, EnvironmentName, FunctionName, ServiceName, Slot};

const LAMBDA_NAME_MAX: usize = 64;
/// A host name's label is 63 long; the slot's name takes a part of it.
const APP_NAME_MAX: usize = 43;
/// Azure's host takes as many characters of an app's name for the id of its locks and keys.
const HOST_ID_LEN: usize = 32;
/// The load balancer before each Function App gives up here.
const AZURE_ANSWER_MAX_SECONDS: u64 = 230;

/// What is wrong with a service in one environment.
pub(in crate::manifest) struct Limit {
    pub(in crate::manifest) of: Subject,
    pub(in crate::manifest) is_error: bool,
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: String,
}

/// Where to point.
pub(in crate::manifest) enum Subject {
    Service,
    /// The service's `azure`.
    App,
    Function(FunctionName),
}

pub(in crate::manifest) fn app_name(
    azure: &AzureTarget,
    environment: &EnvironmentName,
    service: &ServiceName,
) -> String {
    format!("{}-{environment}-{service}", azure.prefix)
}

/// What a manifest says that the Function App is called.
pub(in crate::manifest) fn app_given(service: &Service) -> Option<&str> {
    service.azure.as_ref()?.name.as_deref()
}

/// The Function App's name, given or ours.
pub(in crate::manifest) fn app_called(
    azure: &AzureTarget,
    environment: &EnvironmentName,
    service: &Service,
) -> String {
    let ours = || app_name(azure, environment, &service.name);
    app_given(service).map_or_else(ours, str::to_owned)
}

/// What a manifest says that a Lambda function is called.
pub(in crate::manifest) fn lambda_given<'a>(
    service: &'a Service,
    function: &FunctionName,
) -> Option<&'a str> {
    let aws = service.functions.get(function)?.aws.as_ref();
    aws?.name.as_deref()
}

/// A Lambda function's name, given or ours.
pub(in crate::manifest) fn lambda_called(
    environment: &Environment,
    service: &Service,
    function: &FunctionName,
) -> String {
    let ours = || format!("{}-{}-{function}", environment.name, service.name);
    lambda_given(service, function).map_or_else(ours, str::to_owned)
}

/// The id that Azure's host makes of an app's name.
pub(in crate::manifest) fn host_id(app: &str) -> &str {
    let end = app.floor_char_boundary(HOST_ID_LEN);
    app[..end].trim_end_matches('-')
}

pub(in crate::manifest) fn limits(service: &Service, environment: &Environment) -> Vec<Limit> {
    let mut limits = unshared(service, environment);
    limits.extend(unequal(service, environment));
    if environment.aws.is_some() {
        limits.extend(lambda_names(service, environment));
    }
    if let Some(azure) = &environment.azure {
        limits.extend(app_limit(service, environment, azure));
        limits.extend(plan_limits(service, &azure.plan));
        limits.extend(app_limits(service, azure));
    }
    limits
}

/// What only one of the clouds can do is told with the nearest that the other can.
fn unequal(service: &Service, environment: &Environment) -> Vec<Limit> {
    let app = service.azure.as_deref();
    let gaps = gaps(&service.functions, app, &environment.targets()).into_iter();
    let told = |gap: Gap| Limit {
        message: gap.told(),
        help: gap.nearest.to_owned(),
        of: match gap.asker {
            Asker::Function(name) => Subject::Function(name),
            Asker::Service => Subject::App,
        },
        is_error: false,
    };
    gaps.map(told).collect()
}

/// A canary that a cloud cannot have is told now, and not when it moves.
fn unshared(service: &Service, environment: &Environment) -> Vec<Limit> {
    let targets = environment.targets();
    let whole = service.rollout.moved_at_once(&targets);
    let help = match whole.len() == targets.len() {
        true => "no cloud takes a share here: the steps are waits and gates against green",
        false => "its steps still wait and ask their gates before that",
    };
    let told = |(_, message): (CloudName, String)| Limit {
        of: Subject::Service,
        is_error: false,
        message,
        help: help.to_owned(),
    };
    whole.into_iter().map(told).collect()
}

fn lambda_names<'a>(
    service: &'a Service,
    environment: &'a Environment,
) -> impl Iterator<Item = Limit> + 'a {
    // What is written was looked at where it stands.
    let is_ours = |function: &&FunctionName| lambda_given(service, function).is_none();
    let functions = service.functions.keys().filter(is_ours);
    functions.filter_map(|function| {
        let name = lambda_called(environment, service, function);
        let excess = name.len().checked_sub(LAMBDA_NAME_MAX + 1)? + 1;
        Some(Limit {
            of: Subject::Function(function.clone()),
            is_error: true,
            message: format!(
                "the Lambda function `{name}` would have a name of {} characters, and {LAMBDA_NAME_MAX} are allowed",
                name.len()
            ),
            help: format!("shorten service or function by {excess}"),
        })
    })
}

fn app_limit(service: &Service, environment: &Environment, azure: &AzureTarget) -> Option<Limit> {
    let name = app_called(azure, &environment.name, service);
    let is_given = app_given(service).is_some();
    let len = name.len();
    if len > APP_NAME_MAX && !is_given {
        let excess = len - APP_NAME_MAX;
        return Some(Limit {
            of: Subject::Service,
            is_error: true,
            message: format!(
                "the Function App `{name}` would have a name of {len} characters, and {APP_NAME_MAX} are allowed"
            ),
            help: format!("shorten the service or the environment's prefix by {excess}"),
        });
    }
    let (one, other, both) = match azure.plan.is_flex() {
        true => {
            let both = format!("the Function Apps `{name}-a` and `{name}-b`");
            (format!("{name}-a"), format!("{name}-b"), both)
        }
        false => {
            let both = format!("the Function App `{name}` and its slot `green`");
            (name.clone(), format!("{name}-{}", Slot::Green), both)
        }
    };
    if host_id(&one) != host_id(&other) {
        return None;
    }
    // One less than the id has place for, since a hyphen at its end does not count.
    let excess = len.saturating_sub(HOST_ID_LEN - 2);
    Some(Limit {
        of: Subject::Service,
        is_error: false,
        message: format!(
            "{both} agree in their first {HOST_ID_LEN} characters, so Azure's host gives both one id"
        ),
        help: match is_given {
            true => "an app cannot be renamed: watch its schedules, which may run in one slot only"
                .to_owned(),
            false => format!("shorten the service or the environment's prefix by {excess}"),
        },
    })
}

/// What one instance of a plan has, in MiB, where it is less than Lambda's most; and its longest run, in seconds.
fn plan_sizes(plan: &AzurePlan) -> (Option<u32>, Option<u64>) {
    match plan.0.as_str() {
        "Y1" => (Some(1536), Some(600)),
        "FC1" => (Some(4096), None),
        "EP1" => (Some(3584), None),
        "EP2" => (Some(7168), None),
        "S1" => (Some(1792), None),
        "S2" | "P1v2" => (Some(3584), None),
        "S3" | "P2v2" => (Some(7168), None),
        "P0v3" => (Some(4096), None),
        "P1v3" | "I1v2" => (Some(8192), None),
        _ => (None, None),
    }
}

fn plan_limits<'a>(service: &'a Service, plan: &'a AzurePlan) -> impl Iterator<Item = Limit> + 'a {
    let (memory, time) = plan_sizes(plan);
    service.functions.iter().flat_map(move |(name, function)| {
        let seconds = function.timeout.as_secs();
        let told = |message: String| Limit {
            of: Subject::Function(name.clone()),
            is_error: false,
            message,
            help: "the clouds will differ here".to_owned(),
        };
        let memory = memory.filter(|most| *most < function.memory.0).map(|most| {
            let wanted = function.memory.0;
            told(format!("asks for {wanted} MiB; an instance of {plan} on Azure has {most} MiB", plan = plan.0))
        });
        let time = time.filter(|most| *most < seconds).map(|most| {
            told(format!("may run {seconds}s; {plan} on Azure stops it after {most}s", plan = plan.0))
        });
        let is_long = function.http.is_some() && seconds > AZURE_ANSWER_MAX_SECONDS;
        let answer = is_long.then(|| {
            told(format!(
                "may take {seconds}s to answer; Azure gives up on a request after {AZURE_ANSWER_MAX_SECONDS}s"
            ))
        });
        [memory, time, answer].into_iter().flatten().collect::<Vec<_>>()
    })
}
