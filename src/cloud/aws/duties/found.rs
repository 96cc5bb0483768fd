//! What `blue` has now.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{AwsCloud, lambda::Subscribed},
    Account, Duties, Source, rule_name, statement_name,
};
use crate::{cloud::CloudError, manifest::aws::Bucket};

/// What was found, of what any release known to us asks for; and what it takes to change it.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud::aws) struct Found {
    pub(in crate::cloud::aws) duties: Duties,
    /// Ids of mappings, by the ARN of their source.
    pub(super) mappings: BTreeMap<String, String>,
    /// Our statements in the policy of `blue`.
    pub(super) statements: BTreeSet<String>,
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
            && self.rules == wanted.schedules
            && self.subscriptions.keys().eq(wanted.topics.keys())
            && self.notices.len() == wanted.buckets.len()
            && sources.len() == wanted.sources.len()
            && sources.iter().all(same)
    }
}

/// What is known of a function before it is asked for its duties.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Known<'a> {
    pub(in crate::cloud::aws) name: &'a str,
    /// Everything that the releases in the slots ask for. What none of them asks for is not looked at.
    pub(in crate::cloud::aws) asked: &'a Duties,
    pub(in crate::cloud::aws) reserved: Option<i32>,
    /// All tags of the function.
    pub(in crate::cloud::aws) tags: &'a BTreeMap<String, String>,
    /// All statements of the policy of `blue`.
    pub(in crate::cloud::aws) statements: &'a BTreeSet<String>,
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
            name,
            asked,
            reserved,
            tags,
            statements,
        } = known;
        let account = self.account();
        let mut found = Found::default();
        if !asked.sources.is_empty() {
            for mapping in self.mappings_of(name, &account.blue(name)).await? {
                let (Some(arn), Some(id)) = (mapping.event_source_arn(), mapping.uuid()) else {
                    continue;
                };
                if asked.sources.contains_key(arn) && mapping.state() != Some("Deleting") {
                    found.mappings.insert(arn.to_owned(), id.to_owned());
                    let source = Source::read(&mapping);
                    found.duties.sources.insert(arn.to_owned(), source);
                }
            }
        }
        if !asked.schedules.is_empty() {
            self.find_rules(name, &account, asked, statements, &mut found)
                .await?;
        }
        self.find_topics(known, &mut found).await?;
        self.find_notices(known, &mut found).await?;
        if asked.asynchronous.is_some() {
            found.duties.asynchronous = self.lambda.asynchronous(name).await?;
        }
        if asked.reserved.is_some() {
            found.duties.reserved = reserved.and_then(|it| u32::try_from(it).ok());
        }
        if asked.provisioned.is_some() {
            found.duties.provisioned = self.lambda.provisioned(name).await?;
        }
        self.find_labels(name, tags, asked, &mut found.duties)
            .await?;
        let own = statements
            .iter()
            .filter(|it| it.starts_with(super::STATEMENT));
        found.statements = own.cloned().collect();
        for (own, permission) in &asked.permissions {
            if found.statements.contains(&statement_name(own, permission)) {
                let (own, permission) = (own.clone(), permission.clone());
                found.duties.permissions.insert(own, permission);
            }
        }
        Ok(found)
    }

    /// A rule counts where it is enabled, has `blue` as its target, and may call it.
    async fn find_rules(
        &self,
        name: &str,
        account: &Account,
        asked: &Duties,
        statements: &BTreeSet<String>,
        found: &mut Found,
    ) -> Result<(), CloudError> {
        let blue = account.blue(name);
        for expression in &asked.schedules {
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
            let is_permitted = permitted.keys().all(|it| statements.contains(it));
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
