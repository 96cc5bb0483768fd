//! What stands around Lambda: queues of SQS, rules of EventBridge, topics of SNS and buckets of S3, as far as functions are called by
//! them, and roles of IAM.
//!
//! They are on the endpoint's own port, so that the vendor's clients find them there: the first two speak JSON with the operation in a
//! header, SNS and IAM take forms and answer in XML, S3 has paths and is known by the signature.
//!
//! # Caveats
//!
//! Queues, topics and buckets come into being when they are first named. Queues keep their messages in memory.
//! Rules know schedules, not event patterns.

mod buckets;
mod cron;
mod deliver;
pub(super) mod forms;
mod logs;
mod messages;
mod objects;
mod queues;
mod roles;
mod rules;
mod topics;
mod trail;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

pub(super) use self::{
    buckets::{Asked, Buckets, carry_out as carry_out_on_bucket, refused as refused_by_bucket},
    deliver::deliver,
    logs::LogGroup,
    messages::Queues,
    objects::{Contents, content},
    roles::Roles,
    rules::Rules,
    topics::Topics,
    trail::{Trail, of_call},
};
use super::{Lambda, keep::Keep, past::Touch, stacks};
use crate::local::lag::Subject;

/// What of it outlives the endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    rules: Rules,
    roles: Roles,
    topics: Topics,
    buckets: Buckets,
}

impl Kept {
    pub(super) fn read(keep: &Keep) -> io::Result<Self> {
        Ok(Self {
            rules: keep.rules()?,
            roles: keep.roles()?,
            topics: keep.topics()?,
            buckets: keep.buckets()?,
        })
    }

    /// Whether Lambda may run as this role. One that Verdigris makes must be there; any other is taken as given.
    pub(super) fn may_assume(&self, arn: &str) -> bool {
        self.roles.may_assume(arn)
    }
}

/// The state of all of them.
#[derive(Debug, Default)]
pub(super) struct Around {
    queues: Mutex<Queues>,
    rules: Mutex<Rules>,
    roles: Mutex<Roles>,
    topics: Mutex<Topics>,
    buckets: Mutex<Buckets>,
    /// By name. What functions log is kept with their processes, and not by days.
    log_groups: Mutex<BTreeMap<String, LogGroup>>,
    trail: Mutex<Trail>,
}

impl Around {
    pub(super) fn new(kept: Kept) -> Self {
        let Kept {
            rules,
            roles,
            topics,
            buckets,
        } = kept;
        Self {
            queues: Mutex::default(),
            rules: Mutex::new(rules),
            roles: Mutex::new(roles),
            topics: Mutex::new(topics),
            buckets: Mutex::new(buckets),
            log_groups: Mutex::default(),
            trail: Mutex::default(),
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roles(&self) -> MutexGuard<'_, Roles> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, once it is known everywhere.
    pub(super) fn may_assume(&self, arn: &str) -> bool {
        self.roles().may_assume(arn)
    }

    pub(super) fn kept(&self) -> Kept {
        Kept {
            rules: self.rules().clone(),
            roles: self.roles().clone(),
            topics: self.topics().clone(),
            buckets: self.buckets().clone(),
        }
    }

    pub(super) fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation that is named in a header: `AmazonSQS.SendMessage`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    service: Service,
    pub(super) operation: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Service {
    Queues,
    Rules,
    LogGroups,
    Roles,
    Topics,
    Trail,
    Registry,
    Stacks,
}

/// Whether a request is to a service that takes forms.
pub(super) fn is_form(request: &axum::http::request::Parts) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
    request.uri.path() == "/" && kind.starts_with("application/x-www-form-urlencoded")
}

impl Target {
    /// None where the header names a service that is not here.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (service, operation) = header.rsplit_once('.')?;
        let service = match service {
            "AmazonSQS" => Service::Queues,
            "AWSEvents" => Service::Rules,
            "Logs_20140328" => Service::LogGroups,
            "CloudTrail_20131101" | "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" => {
                Service::Trail
            }
            "AmazonEC2ContainerRegistry_V20150921" => Service::Registry,
            _ => return None,
        };
        Some(Self {
            service,
            operation: operation.to_owned(),
        })
    }

    /// Of the services that take forms, CloudFormation is known by the version of its interface; IAM and SNS share no operation. None for
    /// the one question to STS.
    pub(super) fn of_form(body: &[u8]) -> Option<Self> {
        let form = forms::read(body);
        let operation = form.get("Action").cloned().unwrap_or_default();
        let is_stacks = form.get("Version").is_some_and(|it| it == stacks::VERSION);
        let service = match topics::is_known(&operation) {
            _ if is_stacks => Service::Stacks,
            _ if operation == "GetCallerIdentity" => return None,
            true => Service::Topics,
            false => Service::Roles,
        };
        Some(Self { service, operation })
    }

    /// A refusal that somebody asked for.
    pub(super) fn failing(&self, status: StatusCode, code: &str, message: &str) -> Response {
        let namespace = match self.service {
            Service::Roles => roles::NAMESPACE,
            Service::Topics => topics::NAMESPACE,
            Service::Stacks => stacks::NAMESPACE,
            Service::Queues
            | Service::Rules
            | Service::LogGroups
            | Service::Trail
            | Service::Registry => {
                let body = json!({"__type": code, "message": message});
                let mut response = Response::new(Body::from(body.to_string()));
                *response.status_mut() = status;
                return response;
            }
        };
        forms::refused(namespace, status, code, message)
    }

    /// Each service says in its own words that it is asked too much.
    pub(super) fn throttled(&self) -> Response {
        let (status, code) = match self.service {
            Service::Roles | Service::Stacks => (StatusCode::BAD_REQUEST, "Throttling"),
            Service::Topics => (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
            Service::Queues => (StatusCode::BAD_REQUEST, "RequestThrottled"),
            Service::Rules | Service::LogGroups | Service::Trail | Service::Registry => {
                (StatusCode::BAD_REQUEST, "ThrottlingException")
            }
        };
        self.failing(status, code, "Rate exceeded")
    }
}

/// A refusal in the words of these two services.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

fn refused<T>(kind: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        status: StatusCode::BAD_REQUEST,
        kind,
        message: message.into(),
    })
}

/// A text that a request must have.
fn needed<'r>(request: &'r Value, name: &str) -> Result<&'r str, Refusal> {
    match request[name].as_str() {
        Some(text) => Ok(text),
        None => refused(
            "ValidationException",
            format!("The request must contain the parameter {name}."),
        ),
    }
}

/// What an operation touches that others may hear of late.
fn touch<'a>(
    service: Service,
    operation: &'a str,
    request: &Value,
    body: &[u8],
) -> Option<Touch<'a>> {
    let form = || json!(forms::read(body));
    let (kind, request, mark) = match service {
        Service::Rules => ("rule", request.clone(), "NextToken"),
        Service::Roles => ("role", form(), "Marker"),
        Service::Topics if operation != "Publish" => ("topic", form(), "NextToken"),
        Service::Topics
        | Service::Queues
        | Service::LogGroups
        | Service::Trail
        | Service::Registry
        | Service::Stacks => return None,
    };
    let member = |name: &str| request[name].as_str().map(str::to_owned);
    let of_arn = || Some(member("ResourceARN")?.rsplit('/').next()?.to_owned());
    let topic = || Some(member("SubscriptionArn")?.rsplit_once(':')?.0.to_owned());
    let name = match kind {
        "rule" => member("Rule").or_else(|| member("Name")).or_else(of_arn),
        "role" => member("RoleName"),
        _ => member("TopicArn").or_else(topic).or_else(|| member("Name")),
    };
    let subject = name.map_or_else(|| Subject::all(kind), |name| Subject::one(kind, name));
    Some(Touch::of_json(operation, subject, &request, mark))
}

/// Carries out one operation.
pub(super) async fn carry_out(
    lambda: &Arc<Lambda>,
    target: Target,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let Target { service, operation } = target;
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let lambda = &lambda.as_told(|| touch(service, &operation, &request, body));
    let done = match service {
        Service::Queues => queues::carry_out(lambda, &operation, &request).await,
        Service::Rules => {
            let done = rules::carry_out(lambda, &operation, &request);
            let made = trail::of_other("events.amazonaws.com", &operation, headers, &request);
            lambda.note(made.filter(|_| done.is_ok()));
            done
        }
        Service::LogGroups => logs::carry_out(lambda, &operation, &request),
        Service::Trail => trail::carry_out(lambda, &operation, &request),
        Service::Roles => {
            let response = roles::carry_out(lambda, &operation, body);
            let request = json!(forms::read(body));
            let made = trail::of_other("iam.amazonaws.com", &operation, headers, &request);
            lambda.note(made.filter(|_| response.status().is_success()));
            return response;
        }
        Service::Topics => return topics::carry_out(lambda, &operation, body),
        Service::Stacks => return stacks::carry_out(lambda, &operation, body),
        // There are no images here, and so no repositories of them.
        Service::Registry => refused(
            "RepositoryNotFoundException",
            "The repository does not exist in the registry",
        ),
    };
    let (status, body, kind) = match done {
        Ok(body) => (StatusCode::OK, body, None),
        Err(Refusal {
            status,
            kind,
            message,
        }) => {
            let body = json!({"__type": kind, "message": message});
            (status, body, Some(kind))
        }
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let version = match service {
        Service::Queues => "application/x-amz-json-1.0",
        Service::Rules
        | Service::LogGroups
        | Service::Roles
        | Service::Topics
        | Service::Trail
        | Service::Registry
        | Service::Stacks => "application/x-amz-json-1.1",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(version));
    if let (Some(kind), Service::Queues) = (kind, service) {
        // Older clients read the name from here.
        let old = format!("{};Sender", kind.replace("com.amazonaws.sqs#", ""));
        if let Ok(old) = HeaderValue::from_str(&old) {
            headers.insert("x-amzn-query-error", old);
        }
    }
    response
}
