//! Roles that functions have of their own, with the rights that the manifest asks for and no others. Pure.
//!
//! A role is named by what it may do and is never changed: a version keeps the name of its role, so going back to a release gives back
//! its rights, and nobody's rights are taken while others still use them. A role goes when no version of its function uses it any more.

pub(super) mod found;
pub(super) mod own;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    duties::{Account, short_digest},
    survey::name_of,
};
use crate::{
    desired::Release,
    manifest::{
        aws::{AwsFunction, EventSource},
        spec::{AwsTarget, EnvValue, Function, Role},
    },
    name::{FunctionName, ServiceKey},
};

/// IAM's longest name of a role.
const NAME_MAX: usize = 64;

/// What a function runs as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum RunsAs {
    /// The ARN of a role that is there.
    Given(String),
    Own(OwnRole),
}

impl RunsAs {
    pub(super) fn arn(self) -> String {
        match self {
            Self::Given(arn) => arn,
            Self::Own(own) => own.arn,
        }
    }
}

/// A role of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct OwnRole {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) policy: String,
    /// Of path and policy.
    pub(super) digest: String,
}

/// What one function of a release runs as: what it says itself, else a role of its own if it asks for rights, else the environment's.
pub(super) fn wanted(release: &Release, function: &FunctionName, target: &AwsTarget) -> RunsAs {
    let asked = release.content.functions.get(function).map(AsRef::as_ref);
    let aws = asked.and_then(|it| it.aws.as_deref());
    if let Some(arn) = aws.and_then(|it| it.role.clone()) {
        return RunsAs::Given(arn);
    }
    let asks = aws.is_some_and(|it| !it.allow.is_empty());
    match (&release.content.role, &target.role) {
        (Some(arn), _) | (None, Role::Given(arn)) if !asks => RunsAs::Given(arn.clone()),
        (Some(_) | None, Role::Given(_) | Role::Own { account: _ }) => {
            RunsAs::Own(own(release, function, asked, &Account::of(target)))
        }
    }
}

/// The role of its own, where it is to have one.
pub(super) fn own_role(
    release: &Release,
    function: &FunctionName,
    target: &AwsTarget,
) -> Option<OwnRole> {
    match wanted(release, function, target) {
        RunsAs::Own(own) => Some(own),
        RunsAs::Given(_) => None,
    }
}

fn own(
    release: &Release,
    function: &FunctionName,
    asked: Option<&Function>,
    account: &Account,
) -> OwnRole {
    let lambda = name_of(&release.content.called(), &release.service, function);
    let mut statements = Statements::default();
    let aws = asked.and_then(|it| it.aws.as_deref());
    statements.of_everyone(&lambda, aws, account);
    if let Some(function) = asked {
        statements.of_sources(function, account);
    }
    let env = release.content.env_of(function);
    statements.of_secrets(env.values(), account);
    statements.of_parts(aws);
    let policy = statements.policy();
    let path = path_of(&release.service);
    let digest = short_digest(&[&path, &policy]);
    let name = format!("{}-{digest}", start_of(&lambda, &digest));
    OwnRole {
        arn: account.role(&format!("{path}{name}")),
        path,
        name,
        policy,
        digest,
    }
}

pub(super) fn path_of(service: &ServiceKey) -> String {
    format!("/verdigris/{}/{}/", service.environment, service.service)
}

/// What the names of a function's roles begin with.
fn start_of(lambda: &str, digest: &str) -> String {
    let most = NAME_MAX.saturating_sub(digest.len() + 1);
    lambda.chars().take(most).collect()
}

/// Whether a role of ours is of a function, whatever it may do: by its name, which long names of functions may share.
pub(super) fn may_be_of(role: &str, lambda: &str) -> bool {
    let parts = role.rsplit_once('-');
    parts.is_some_and(|(start, digest)| start_of(lambda, digest) == start)
}

/// The name of a role of ours in its ARN.
pub(super) fn name_in<'a>(arn: &'a str, service: &ServiceKey) -> Option<&'a str> {
    let (_, name) = arn.split_once(&format!(":role{}", path_of(service)))?;
    Some(name)
}

/// Whoever Lambda runs as it must be let.
pub(super) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// What may be done, by where.
#[derive(Debug, Default)]
struct Statements(BTreeMap<BTreeSet<String>, BTreeSet<String>>);

impl Statements {
    fn allow(&mut self, actions: &[&str], on: impl IntoIterator<Item = String>) {
        let there = self.0.entry(on.into_iter().collect()).or_default();
        there.extend(actions.iter().map(|&action| action.to_owned()));
    }

    /// Logs, and nothing else.
    fn of_everyone(&mut self, lambda: &str, aws: Option<&AwsFunction>, account: &Account) {
        let own = format!("/aws/lambda/{lambda}");
        let logs = aws.and_then(|it| it.logs.as_ref()?.group.clone());
        let group = account.arn("logs", &format!("log-group:{}", logs.unwrap_or(own)));
        let streams = format!("{group}:*");
        self.allow(
            &[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
            ],
            [group, streams],
        );
    }

    /// Lambda reads queues and streams in the function's name.
    fn of_sources(&mut self, function: &Function, account: &Account) {
        let aws = function.aws.as_deref();
        if let Some(queue) = &function.queue {
            let named = aws.and_then(|it| it.queue.as_ref()?.arn.clone());
            let arn = named.unwrap_or_else(|| account.arn("sqs", queue));
            self.allow(
                &[
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ],
                [arn],
            );
        }
        for event in aws.into_iter().flat_map(|it| it.events.values()) {
            match event {
                EventSource::Stream(stream) => self.of_stream(&stream.arn),
                EventSource::Topic(_) | EventSource::Bucket(_) => {}
            }
        }
    }

    fn of_stream(&mut self, arn: &str) {
        let service = arn.split(':').nth(2).unwrap_or_default();
        let actions: &[&str] = match service {
            "kinesis" => &[
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
                "kinesis:SubscribeToShard",
            ],
            _ => &[
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ],
        };
        self.allow(actions, [arn.to_owned()]);
    }

    /// The name of a secret has six characters behind it in its ARN.
    fn of_secrets<'a>(&mut self, env: impl Iterator<Item = &'a EnvValue>, account: &Account) {
        for value in env {
            match value {
                EnvValue::Plain(_) => {}
                EnvValue::Secret(name) if name.starts_with("arn:") => {
                    self.allow(&["secretsmanager:GetSecretValue"], [name.clone()]);
                }
                EnvValue::Secret(name) => {
                    let arn = account.arn("secretsmanager", &format!("secret:{name}-??????"));
                    self.allow(&["secretsmanager:GetSecretValue"], [arn]);
                }
            }
        }
    }

    /// What the blocks below `aws` need, and what is asked for by name.
    fn of_parts(&mut self, aws: Option<&AwsFunction>) {
        let Some(aws) = aws else { return };
        let asynchronous = aws.asynchronous.as_ref();
        let targets = [
            aws.dead_letter.as_ref(),
            asynchronous.and_then(|it| it.on_success.as_ref()),
            asynchronous.and_then(|it| it.on_failure.as_ref()),
        ];
        for arn in targets.into_iter().flatten() {
            self.of_destination(arn);
        }
        for event in aws.events.values() {
            if let EventSource::Stream(stream) = event
                && let Some(arn) = &stream.on_failure
            {
                self.of_destination(arn);
            }
        }
        if aws.vpc.is_some() {
            self.of_network();
        }
        if let Some(system) = &aws.file_system {
            self.allow(
                &[
                    "elasticfilesystem:ClientMount",
                    "elasticfilesystem:ClientWrite",
                ],
                [system.access_point.clone()],
            );
        }
        if aws.tracing == Some(true) {
            self.allow(
                &["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
                ["*".to_owned()],
            );
        }
        if let Some(key) = &aws.kms_key {
            self.allow(&["kms:Decrypt"], [key.clone()]);
        }
        for rights in aws.allow.values() {
            let actions: Vec<&str> = rights.actions.iter().map(String::as_str).collect();
            self.allow(&actions, rights.on.iter().cloned());
        }
    }

    fn of_destination(&mut self, arn: &str) {
        let action = match arn.split(':').nth(2).unwrap_or_default() {
            "sns" => "sns:Publish",
            "lambda" => "lambda:InvokeFunction",
            "events" => "events:PutEvents",
            "s3" => "s3:PutObject",
            _ => "sqs:SendMessage",
        };
        // Objects are put into a bucket, not onto it.
        let on = match action {
            "s3:PutObject" => format!("{arn}/*"),
            _ => arn.to_owned(),
        };
        self.allow(&[action], [on]);
    }

    /// Network interfaces have no names beforehand.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html>
    fn of_network(&mut self) {
        self.allow(
            &[
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ],
            ["*".to_owned()],
        );
    }

    fn policy(self) -> String {
        let statements = self
            .0
            .into_iter()
            .map(|(on, actions)| json!({"Effect": "Allow", "Action": actions, "Resource": on}));
        let statements: Vec<Value> = statements.collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }
}
