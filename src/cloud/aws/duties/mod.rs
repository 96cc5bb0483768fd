//! What the alias `blue` of a function has besides a version: who calls it, how, and how often at once.
//!
//! A version remembers, in a variable, what its alias should have; so a promotion and a rollback know it without asking anybody, and
//! what a release asks for goes and comes with it. Everything is attached to the alias and not to a version: when the alias moves,
//! queues, streams, topics, buckets and schedules follow it at once, and no message is lost or taken twice for it.

mod announced;
mod cron;
mod found;
mod labels;
mod notices;
mod settle;
mod shared;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(super) use self::{
    found::{Found, Known, caller_bucket},
    labels::Kept,
    settle::Settlement,
    shared::SharedList,
    source::{Source, SourceParts},
};
use crate::{
    manifest::{
        aws::{Asynchronous, Bucket, EventSource, Permission},
        spec::{AwsTarget, Function, Role},
    },
    name::{FunctionName, Slot},
    observed::Fields,
};

/// Statements with these names are ours: what stands behind it is the statement's own name and a digest of what it says.
pub(super) const STATEMENT: &str = "verdigris-on-";

/// Everything that `blue` has. Equal duties need no call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Duties {
    /// By the ARN of the queue or stream.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sources: BTreeMap<String, Source>,
    /// By the ARN of the topic: its filter policy, where there is one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) topics: BTreeMap<String, Option<String>>,
    /// By the event's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) buckets: BTreeMap<String, Bucket>,
    /// Expressions of EventBridge.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) schedules: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asynchronous: Option<Asynchronous>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reserved: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provisioned: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) permissions: BTreeMap<String, Permission>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
    /// Of its log group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<Kept>,
}

/// Where the functions of a target are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Account {
    partition: String,
    region: String,
    id: String,
}

impl Account {
    /// A given role's account is the functions'.
    pub(super) fn of(target: &AwsTarget) -> Self {
        let region = target.region.clone();
        let partition = match &target.role {
            Role::Given(arn) => arn.split(':').nth(1).unwrap_or("aws"),
            Role::Own { account: _ } => partition(&region),
        };
        Self {
            partition: partition.to_owned(),
            region,
            id: target.account().to_owned(),
        }
    }

    /// Roles are of an account and of no region.
    pub(super) fn role(&self, path_and_name: &str) -> String {
        let Self {
            partition,
            region: _,
            id,
        } = self;
        format!("arn:{partition}:iam::{id}:role{path_and_name}")
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn queue(&self, name: &str) -> String {
        self.arn("sqs", name)
    }

    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let Self {
            partition,
            region,
            id,
        } = self;
        format!("arn:{partition}:{service}:{region}:{id}:{resource}")
    }

    /// The alias that everything is attached to.
    pub(super) fn blue(&self, lambda: &str) -> String {
        let resource = format!("function:{lambda}:{}", super::settings::alias(Slot::Blue));
        self.arn("lambda", &resource)
    }

    /// Buckets are of no account and no region by their names.
    fn bucket(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", self.partition)
    }

    fn rule(&self, name: &str) -> String {
        self.arn("events", &format!("rule/{name}"))
    }
}

/// Regions of China and of the US government are worlds of their own.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The name of the rule of one schedule. Lambda's and EventBridge's names may both have 64 characters; a schedule that changes gets
/// another rule, so that the old one can go once the new one is there.
pub(super) fn rule_name(lambda: &str, expression: &str) -> String {
    let start: String = lambda.chars().take(50).collect();
    format!("{start}-{}", short_digest(&[lambda, expression]))
}

pub(super) fn short_digest(texts: &[&str]) -> String {
    let digest = Sha256::digest(texts.join("\n"));
    let digits = digest.iter().take(6).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

impl Duties {
    /// What one function of a release asks for.
    pub(super) fn wanted(function: &Function, account: &Account) -> Self {
        let aws = function.aws.as_deref();
        let mut sources = BTreeMap::new();
        let mut topics = BTreeMap::new();
        let mut buckets = BTreeMap::new();
        if let Some(queue) = &function.queue {
            let options = aws.and_then(|it| it.queue.clone()).unwrap_or_default();
            let arn = options.arn.clone();
            let arn = arn.unwrap_or_else(|| account.arn("sqs", queue));
            sources.insert(arn, Source::queue(&options));
        }
        for (name, event) in aws.into_iter().flat_map(|it| &it.events) {
            match event {
                EventSource::Stream(stream) => {
                    sources.insert(stream.arn.clone(), Source::stream(stream));
                }
                EventSource::Topic(topic) => {
                    let filter = topic.filter.as_deref().map(source::pattern);
                    topics.insert(topic.arn.clone(), filter);
                }
                EventSource::Bucket(bucket) => {
                    buckets.insert(name.to_string(), bucket.clone());
                }
            }
        }
        let concurrency = aws.and_then(|it| it.concurrency.as_ref());
        Self {
            sources,
            topics,
            buckets,
            schedules: function
                .schedule
                .iter()
                .flat_map(|cron| cron::expressions(cron))
                .collect(),
            asynchronous: aws.and_then(|it| it.asynchronous.clone()),
            reserved: concurrency.and_then(|it| it.reserved),
            provisioned: concurrency.and_then(|it| it.provisioned),
            permissions: aws.map(|it| it.permissions.clone()).unwrap_or_default(),
            tags: aws.map(|it| it.tags.clone()).unwrap_or_default(),
            kept: aws.and_then(|it| Kept::wanted(it.logs.as_ref()?)),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Every statement that `blue`'s policy needs, by its name.
    fn statements(&self, lambda: &str, account: &Account) -> BTreeMap<String, Permission> {
        let own = self.permissions.iter();
        let own = own.map(|(name, it)| (name.clone(), it.clone()));
        let schedules = self.schedules.iter().map(|expression| {
            let permission = Permission {
                principal: "events.amazonaws.com".to_owned(),
                action: "lambda:InvokeFunction".to_owned(),
                source_arn: Some(account.rule(&rule_name(lambda, expression))),
                source_account: None,
            };
            ("schedule".to_owned(), permission)
        });
        let announced = self.announced(account);
        let all = own.chain(schedules).chain(announced);
        all.map(|(name, it)| (statement_name(&name, &it), it))
            .collect()
    }

    /// In a form that can be compared and shown, below the function's name.
    pub(super) fn fields(&self, function: &FunctionName) -> Fields {
        let Self {
            sources,
            topics,
            buckets,
            schedules,
            asynchronous,
            reserved,
            provisioned,
            permissions,
            tags,
            kept,
        } = self;
        let mut fields = Fields::new();
        let mut put = |path: String, value: String| {
            fields.insert(format!("{function}.{path}"), value);
        };
        for (arn, source) in sources {
            put(format!("event.{}", short_arn(arn)), source.told());
        }
        for (arn, filter) in topics {
            let filter = filter.as_deref().unwrap_or("all").to_owned();
            put(format!("event.{}", short_arn(arn)), filter);
        }
        for (name, bucket) in buckets {
            put(format!("event.s3.{name}"), told(bucket));
        }
        for expression in schedules {
            put(format!("schedule.{expression}"), "enabled".to_owned());
        }
        if let Some(asynchronous) = asynchronous {
            put("asynchronous".to_owned(), told(asynchronous));
        }
        if let Some(reserved) = reserved {
            put("concurrency.reserved".to_owned(), reserved.to_string());
        }
        if let Some(provisioned) = provisioned {
            put(
                "concurrency.provisioned".to_owned(),
                provisioned.to_string(),
            );
        }
        for (name, permission) in permissions {
            put(format!("permission.{name}"), told(permission));
        }
        for (tag, value) in tags {
            put(format!("tag.{tag}"), value.clone());
        }
        if let Some(kept) = kept {
            put("logs.retention".to_owned(), kept.days.to_string());
        }
        fields
    }
}

/// A name that says all, since a statement cannot be changed: another one is added, then the old one goes.
fn statement_name(name: &str, permission: &Permission) -> String {
    format!("{STATEMENT}{name}-{}", short_digest(&[&told(permission)]))
}

/// `sqs.orders` of a queue's ARN.
fn short_arn(arn: &str) -> String {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    format!("{service}.{resource}")
}

fn told<T: Serialize>(value: &T) -> String {
    // Cannot fail: every key is a string and every value has a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_what_event_bridge_takes() {
        let lambda = "a".repeat(64);
        let name = rule_name(&lambda, "cron(0 3 * * ? *)");
        assert!(name.len() <= 64, "{name}");
        assert_ne!(name, rule_name(&lambda, "cron(0 4 * * ? *)"));
    }

    #[test]
    fn an_account_is_the_roles() {
        let target = AwsTarget {
            region: "eu-west-1".to_owned(),
            role: Role::Given("arn:aws:iam::123456789012:role/functions".to_owned()),
            assume: None,
        };
        let account = Account::of(&target);
        assert_eq!(
            account.blue("prod-shop-stock"),
            "arn:aws:lambda:eu-west-1:123456789012:function:prod-shop-stock:blue"
        );
        let own = AwsTarget {
            region: "cn-north-1".to_owned(),
            role: Role::Own {
                account: "123456789012".to_owned(),
            },
            assume: None,
        };
        assert_eq!(
            Account::of(&own).role("/verdigris/x"),
            "arn:aws-cn:iam::123456789012:role/verdigris/x"
        );
    }
}
