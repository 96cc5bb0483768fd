//! What `blue` has now.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::EventSourceMappingConfiguration as Mapping;

use super::{
    super::{
        AwsCloud,
        lambda::{Policy, Subscribed, is_of_url},
    },
    Account, Duties, Kept, Source, rule_name, short_arn, statement_name, told,
};
use crate::{
    cloud::CloudError,
    manifest::aws::{Bucket, Permission},
    name::{FunctionName, ServiceKey},
    observed::Fields,
};

/// What was found, of what any release known to us asks for, and of what nobody asks for where it was told with it; and what it takes to
/// change it.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud::aws) struct Found {
    pub(in crate::cloud::aws) duties: Duties,
    /// Ids of mappings, by the ARN of their source.
    pub(super) mappings: BTreeMap<String, String>,
    /// Our statements in the policy of `blue`.
    pub(super) statements: Policy,
    /// Why nothing is kept warm, where it should be.
    pub(super) cold: Option<String>,
    /// Why what comes from a source does not reach the function, in AWS's words, by the source's ARN.
    pub(super) ailing: BTreeMap<String, String>,
    /// Statements of others that let everyone in, by their names.
    pub(super) open: BTreeMap<String, Permission>,
    /// Expressions of our rules that are there at all, whole or not.
    pub(super) rules: BTreeSet<String>,
    /// Subscriptions of `blue` that are there at all, by topic.
    pub(super) subscriptions: BTreeMap<String, Subscribed>,
    /// What buckets tell `blue` at all: by bucket and the event's name.
    pub(super) notices: BTreeMap<(String, String), Bucket>,
}

impl Found {
    /// Whether all is there that is wanted, and nothing that is not.
    pub(in crate::cloud::aws) fn serves(&self, wanted: &Duties) -> bool {
        let bare = |duties: &Duties| Duties {
            sources: BTreeMap::new(),
            ..duties.clone()
        };
        let sources = &self.duties.sources;
        let same = |(arn, source): (&String, &Source)| {
            wanted.sources.get(arn).is_some_and(|it| source.serves(it))
        };
        bare(&self.duties) == bare(wanted)
            && self.open.is_empty()
            && self.cold.is_none()
            && self.rules == wanted.schedules
            && self.subscriptions.keys().eq(wanted.topics.keys())
            && self.notices.len() == wanted.buckets.len()
            && sources.len() == wanted.sources.len()
            && sources.iter().all(same)
    }

    /// Names by which CloudTrail tells of what calls `blue`, where they do not hold the function's own.
    pub(in crate::cloud::aws) fn callers(&self, name: &str, asked: &Duties) -> BTreeSet<String> {
        let rules = asked.schedules.iter().map(|it| rule_name(name, it));
        let buckets = asked.buckets.values().map(|it| caller_bucket(&it.name));
        let subscriptions = self.subscriptions.values().map(|it| it.arn.clone());
        let ids = self.mappings.values().cloned();
        ids.chain(subscriptions)
            .chain(rules)
            .chain(buckets)
            .collect()
    }

    /// What AWS says goes wrong with what is as asked for: a sentence each, with the way out.
    pub(in crate::cloud::aws) fn ailing(&self, function: &FunctionName) -> Vec<String> {
        let sentence = |(arn, problem): (&String, &String)| {
            let source = short_arn(arn);
            let way = way_out(problem);
            format!("{function} gets nothing of {source}, AWS says: {problem}; {way}")
        };
        self.ailing.iter().map(sentence).collect()
    }

    /// In a form that can be compared and shown, below the function's name.
    pub(in crate::cloud::aws) fn fields(&self, function: &FunctionName) -> Fields {
        let mut fields = self.duties.fields(function);
        if let Some(why) = &self.cold {
            let why = why.trim_end_matches('.');
            fields.insert(
                format!("{function}.concurrency.provisioned"),
                format!("failed ({why}): keep less warm, or see in its logs why it does not start"),
            );
        }
        for (id, permission) in &self.open {
            fields.insert(format!("{function}.policy.{id}"), told(permission));
        }
        fields
    }
}

impl Found {
    /// What is asked for, and what else feeds `blue`; whoever was switched off feeds nobody.
    fn note_mapping(&mut self, mapping: &Mapping, asked: &Duties, blue: &str) {
        let (Some(arn), Some(id)) = (mapping.event_source_arn(), mapping.uuid()) else {
            return;
        };
        let source = Source::read(mapping);
        // Some servers list mappings of other aliases, too.
        let is_further = mapping.function_arn() == Some(blue) && source.is_on();
        let counts = asked.sources.contains_key(arn) || is_further;
        if counts && mapping.state() != Some("Deleting") {
            self.mappings.insert(arn.to_owned(), id.to_owned());
            // What is switched off is not tried: what is told of it is long ago, and that it is off is told already.
            if source.is_on()
                && let Some(problem) = problem(mapping)
            {
                self.ailing.insert(arn.to_owned(), problem.to_owned());
            }
            self.duties.sources.insert(arn.to_owned(), source);
        }
    }

    /// Statements of others are theirs, but for those that let everyone in.
    fn note_policy(&mut self, policy: &Policy, asked: &Duties, is_public: bool) {
        for (id, statement) in policy {
            if id.starts_with(super::STATEMENT) {
                self.statements.insert(id.clone(), statement.clone());
            } else if statement.is_open(is_public) && !is_of_url(id) {
                self.open.insert(id.clone(), statement.permission());
            }
        }
        for (own, permission) in &asked.permissions {
            let statement = self.statements.get(&statement_name(own, permission));
            let said = statement.map(|it| match it.is(permission) {
                true => permission.clone(),
                false => it.permission(),
            });
            let said = said.map(|it| (own.clone(), it));
            self.duties.permissions.extend(said);
        }
    }
}

/// What AWS says of the last try to read the source, where that did not go well.
fn problem(mapping: &Mapping) -> Option<&str> {
    let told = mapping.last_processing_result()?;
    let problem = told.strip_prefix("PROBLEM")?;
    Some(problem.trim_start_matches([':', ' ']).trim_end_matches('.'))
}

/// AWS tries again by itself.
fn way_out(problem: &str) -> &'static str {
    let says = |parts: &[&str]| parts.iter().any(|part| problem.contains(part));
    if says(&["Function call failed", "function error", "timed out"]) {
        "what the function says of it is in its log: `verdigris logs`"
    } else if says(&[
        "ermission",
        "Cannot access",
        "ccess denied",
        "not authorized",
        "assume",
    ]) {
        "let the role of the function read it (`aws.allow` gives the function one of its own that may)"
    } else if says(&["does not exist", "not found"]) {
        "make it again, or take it out of the manifest"
    } else if says(&["onnection", "network"]) {
        "let the function's network reach it"
    } else {
        "look at the source, and at the function's log (`verdigris logs`)"
    }
}

/// Apart from other names: only what a bucket tells concerns the function.
pub(in crate::cloud::aws) fn caller_bucket(name: &str) -> String {
    format!("bucket {name}")
}

/// What is known of a function before it is asked for its duties.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Known<'a> {
    pub(in crate::cloud::aws) service: &'a ServiceKey,
    pub(in crate::cloud::aws) name: &'a str,
    /// Everything that the releases in the slots ask for. What none of them asks for is not looked at.
    pub(in crate::cloud::aws) asked: &'a Duties,
    /// How long the release on blue wants its logs to be kept.
    pub(in crate::cloud::aws) kept: Option<&'a Kept>,
    pub(in crate::cloud::aws) reserved: Option<i32>,
    /// All tags of the function.
    pub(in crate::cloud::aws) tags: &'a BTreeMap<String, String>,
    /// Of `blue`.
    pub(in crate::cloud::aws) policy: &'a Policy,
    /// Everyone may call it by its URL, as asked for.
    pub(in crate::cloud::aws) is_public: bool,
}

impl Duties {
    /// Whether the policy must be read.
    pub(in crate::cloud::aws) fn permits(&self) -> bool {
        let Self {
            sources: _,
            topics,
            buckets,
            schedules,
            asynchronous: _,
            reserved: _,
            provisioned: _,
            permissions,
            tags: _,
            kept: _,
        } = self;
        let is_called = !topics.is_empty() || !buckets.is_empty() || !schedules.is_empty();
        is_called || !permissions.is_empty()
    }

    /// Calls that it takes to find them, beside that for the policy. Where there are many, mappings come from a list of all.
    pub(in crate::cloud::aws) fn price(&self) -> u64 {
        let Self {
            sources: _,
            topics,
            buckets,
            schedules,
            asynchronous,
            reserved: _,
            provisioned,
            permissions: _,
            tags: _,
            kept,
        } = self;
        let buckets: BTreeSet<_> = buckets.values().map(|it| &it.name).collect();
        let kinds = [
            asynchronous.is_some(),
            provisioned.is_some(),
            kept.is_some(),
        ];
        let kinds = kinds.into_iter().filter(|is_asked| *is_asked).count();
        // A rule and its targets are two; so are the list of a topic's subscriptions and what one of them filters.
        let all = kinds + 2 * topics.len() + buckets.len() + 2 * schedules.len();
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// What this or the other asks for.
    pub(in crate::cloud::aws) fn and(&self, other: &Self) -> Self {
        let mut all = self.clone();
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
        } = other.clone();
        all.sources.extend(sources);
        all.topics.extend(topics);
        extend(&mut all.buckets, buckets);
        all.schedules.extend(schedules);
        all.asynchronous = all.asynchronous.or(asynchronous);
        all.reserved = all.reserved.or(reserved);
        all.provisioned = all.provisioned.or(provisioned);
        all.tags.extend(tags);
        all.kept = all.kept.or(kept);
        extend(&mut all.permissions, permissions);
        all
    }
}

/// Both releases may mean other things by one name.
fn extend<T: PartialEq>(all: &mut BTreeMap<String, T>, more: BTreeMap<String, T>) {
    for (name, one) in more {
        let is_taken = all.get(&name).is_some_and(|it| *it != one);
        let name = match is_taken {
            true => format!("{name}-before"),
            false => name,
        };
        all.insert(name, one);
    }
}

impl AwsCloud {
    pub(in crate::cloud::aws) fn account(&self) -> Account {
        Account::of(&self.options.target)
    }

    /// One call for each kind that is asked for.
    pub(in crate::cloud::aws) async fn found(&self, known: Known<'_>) -> Result<Found, CloudError> {
        let Known {
            service: _,
            name,
            asked,
            kept: _,
            reserved,
            tags: _,
            policy,
            is_public,
        } = known;
        let account = self.account();
        let mut found = Found::default();
        if !asked.sources.is_empty() {
            let blue = account.blue(name);
            for mapping in self.mappings_of(name, &blue).await? {
                found.note_mapping(&mapping, asked, &blue);
            }
        }
        if !asked.schedules.is_empty() {
            self.find_rules(known, &account, &mut found).await?;
        }
        self.find_topics(known, &mut found).await?;
        self.find_notices(known, &mut found).await?;
        if asked.asynchronous.is_some() {
            found.duties.asynchronous = self.lambda.asynchronous(name).await?;
        }
        // Zero, which somebody may set in a hurry, switches the function off.
        found.duties.reserved = reserved.and_then(|it| u32::try_from(it).ok());
        if asked.provisioned.is_some() {
            let warm = self.lambda.provisioned(name).await?;
            found.duties.provisioned = warm.as_ref().and_then(|it| it.asked);
            found.cold = warm.and_then(|it| it.failure);
        }
        self.find_labels(known, &mut found.duties).await?;
        found.note_policy(policy, asked, is_public);
        Ok(found)
    }

    /// A rule counts where it is enabled, has `blue` as its target, and may call it.
    async fn find_rules(
        &self,
        known: Known<'_>,
        account: &Account,
        found: &mut Found,
    ) -> Result<(), CloudError> {
        let name = known.name;
        let blue = account.blue(name);
        for expression in &known.asked.schedules {
            let rule = rule_name(name, expression);
            let Some(seen) = self.events.rule(&rule).await? else {
                continue;
            };
            found.rules.insert(expression.clone());
            let only = Duties {
                schedules: BTreeSet::from([expression.clone()]),
                ..Duties::default()
            };
            let permitted = only.statements(name, account);
            let is_said = |(id, wanted): (&String, &Permission)| {
                let statement = known.policy.get(id);
                statement.is_some_and(|it| it.is(wanted))
            };
            let is_permitted = permitted.iter().all(is_said);
            let is_whole = seen.is_enabled
                && seen.expression == *expression
                && self.events.targets(&rule).await?.contains(&blue);
            if is_whole && is_permitted {
                found.duties.schedules.insert(expression.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";
    const BLUE: &str = "arn:aws:lambda:eu-west-1:123456789012:function:stock:blue";

    /// What is told of a mapping to blue in this state, whose last try failed.
    fn ailing(state: &str) -> usize {
        let mapping = Mapping::builder()
            .uuid("id")
            .event_source_arn(QUEUE)
            .function_arn(BLUE)
            .state(state)
            .last_processing_result("PROBLEM: Function call failed");
        let mapping = mapping.build();
        let asked = Duties {
            sources: BTreeMap::from([(QUEUE.to_owned(), Source::read(&mapping))]),
            ..Duties::default()
        };
        let mut found = Found::default();
        found.note_mapping(&mapping, &asked, BLUE);
        found.ailing.len()
    }

    #[test]
    fn what_is_switched_off_has_no_problem_any_more() {
        let states = ["Enabled", "Updating", "Disabling", "Disabled", "Deleting"];
        assert_eq!(states.map(ailing), [1, 1, 0, 0, 0]);
    }
}
