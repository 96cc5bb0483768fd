//! Roles that functions have of their own, with the rights that the manifest asks for and no others. Pure.
//!
//! A role is named by what it may do and is never changed: a version keeps the name of its role, so going back to a release gives back
//! its rights, and nobody's rights are taken while others still use them. A role goes when no version of its function uses it any more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    duties::{Account, short_digest},
    survey::{Pointer, Seen},
};
use crate::{
    desired::Release,
    manifest::{
        aws::{AwsFunction, EventSource},
        spec::{AwsTarget, EnvValue, Function, Role},
    },
    name::{FunctionName, ServiceKey},
    observed::Fields,
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
    let asked = release.content.functions.get(function);
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

fn own(
    release: &Release,
    function: &FunctionName,
    asked: Option<&Function>,
    account: &Account,
) -> OwnRole {
    let ServiceKey {
        environment,
        service,
    } = &release.service;
    let lambda = format!("{environment}-{service}-{function}");
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
    let start: String = lambda.chars().take(NAME_MAX - digest.len() - 1).collect();
    let name = format!("{start}-{digest}");
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

/// The name of a role of ours in its ARN.
pub(super) fn name_in<'a>(arn: &'a str, service: &ServiceKey) -> Option<&'a str> {
    let (_, name) = arn.split_once(&format!(":role{}", path_of(service)))?;
    Some(name)
}

/// Whoever Lambda runs as it must be let.
pub(super) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// Who may be a role of ours.
const TRUSTED: &str = "lambda.amazonaws.com";

/// What was found of a role of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RoleFound {
    /// A digest of what our policy in it allows, as the role's name has it; `none` where it allows nothing, or is gone.
    pub(super) policy: String,
    /// Who may be it.
    pub(super) trust: String,
    /// Managed policies, which we never attach.
    pub(super) attached: BTreeSet<String>,
    /// Policies in it that are not ours.
    pub(super) further: BTreeSet<String>,
}

impl RoleFound {
    /// As it was made.
    fn untouched(digest: &str) -> Self {
        Self {
            policy: digest.to_owned(),
            trust: TRUSTED.to_owned(),
            attached: BTreeSet::new(),
            further: BTreeSet::new(),
        }
    }

    pub(super) fn serves(&self, wanted: &OwnRole) -> bool {
        *self == Self::untouched(&wanted.digest)
    }

    fn fields(&self, function: &FunctionName) -> Fields {
        let Self {
            policy,
            trust,
            attached,
            further,
        } = self;
        let mut fields = Fields::new();
        let mut put = |path: &str, value: &str| {
            let told: &mut String = fields.entry(format!("{function}.role.{path}")).or_default();
            // Two policies may have one name, of AWS and of the account.
            let comma = if told.is_empty() { "" } else { ", " };
            *told += &format!("{comma}{value}");
        };
        put("policy", policy);
        put("trust", trust);
        for arn in attached {
            let name = arn.rsplit('/').next().unwrap_or_default();
            put(&format!("attached.{name}"), arn);
        }
        for name in further {
            put(&format!("inline.{name}"), "there");
        }
        fields
    }
}

/// Lambda alone, or whom the policy names, and a digest of it.
pub(super) fn trusted(document: Option<&str>) -> String {
    let Some(document) = document else {
        return "nobody".to_owned();
    };
    let told: Value = serde_json::from_str(document).unwrap_or_default();
    let ours: Value = serde_json::from_str(TRUST).unwrap_or_default();
    let told = plain(told);
    if told == plain(ours) {
        return TRUSTED.to_owned();
    }
    let mut named = BTreeSet::new();
    let statements = &told["Statement"];
    let many = statements.as_array().map(Vec::as_slice);
    for statement in many.unwrap_or(std::slice::from_ref(statements)) {
        texts(&statement["Principal"], &mut named);
    }
    let named = named.into_iter().collect::<Vec<_>>().join(", ");
    format!("{named} (policy {})", short_digest(&[&told.to_string()]))
}

/// A list of one is that one: IAM takes both.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(mut all) if all.len() == 1 => plain(all.remove(0)),
        Value::Array(all) => all.into_iter().map(plain).collect(),
        Value::Object(all) => {
            let plain = all.into_iter().map(|(name, it)| (name, plain(it)));
            Value::Object(plain.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(all) => all.iter().for_each(|it| texts(it, found)),
        Value::Object(all) => all.values().for_each(|it| texts(it, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the role of a function should be, where it has one of its own.
pub(super) fn expected(runs_as: &RunsAs, function: &FunctionName) -> Fields {
    match runs_as {
        RunsAs::Given(_) => Fields::new(),
        RunsAs::Own(own) => RoleFound::untouched(&own.digest).fields(function),
    }
}

/// What it is. What was not read is as its name says.
pub(super) fn fields(seen: &Seen, pointer: &Pointer) -> Fields {
    let Some(name) = name_in(&pointer.settings.role, &seen.service) else {
        return Fields::new();
    };
    match &pointer.detail.role {
        Some(found) => found.fields(&seen.function),
        None => {
            let digest = name.rsplit('-').next().unwrap_or_default();
            RoleFound::untouched(digest).fields(&seen.function)
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_be_a_role_besides_lambda_is_named() {
        let with = |principal: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":["sts:AssumeRole"]}}}}"#
            )
        };
        let service = r#"{"Service": ["lambda.amazonaws.com"]}"#;
        let table = [
            (TRUST.to_owned(), TRUSTED),
            // As somebody else may write it.
            (with(service), TRUSTED),
            (with(r#""*""#), "* (policy "),
            (
                with(r#"{"AWS": "arn:aws:iam::1:root", "Service": "lambda.amazonaws.com"}"#),
                "arn:aws:iam::1:root, lambda.amazonaws.com (policy ",
            ),
            (
                with(service).replace("Allow", "Deny"),
                "lambda.amazonaws.com (policy ",
            ),
            ("no policy".to_owned(), " (policy "),
        ];
        for (document, told) in table {
            let found = trusted(Some(&document));
            let same = match told == TRUSTED {
                true => found == told,
                false => found.starts_with(told),
            };
            assert!(same, "{document}: {found}");
        }
        assert_eq!(trusted(None), "nobody");
    }
}
