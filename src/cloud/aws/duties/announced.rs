//! Topics and buckets, which call `blue` by themselves: each needs a statement in its policy, and each is told whom to call.
//!
//! # Guarantees
//!
//! The statement is there before anything calls and goes after it. A subscription that stays is changed where it is, and what a bucket
//! tells is exchanged in one call, so that nothing is lost or told twice between the old and the new. What is not ours in a bucket is
//! written back as it was read.
//!
//! # Caveats
//!
//! S3 has no guard against others who change the same bucket in the same moment: one of this process waits for another, but for a
//! person's change in the second between reading and writing nobody can.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    super::{AwsCloud, lambda::Subscribed},
    Account, Duties, Found, Known,
    notices::{Mine, Notices},
    source::pattern,
    statement_name,
};
use crate::{
    cloud::CloudError,
    manifest::aws::{Bucket, Permission},
    name::CloudName,
};

/// What S3 tells follows what it was given, if not at once.
const LOOKS: u32 = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// By whom `blue` is called, and for which resource of theirs.
fn calls(service: &str, arn: String, account: Option<&str>) -> Permission {
    Permission {
        principal: format!("{service}.amazonaws.com"),
        action: "lambda:InvokeFunction".to_owned(),
        source_arn: Some(arn),
        source_account: account.map(str::to_owned),
    }
}

fn of_topic(topic: &str) -> (String, Permission) {
    ("topic".to_owned(), calls("sns", topic.to_owned(), None))
}

/// A bucket's ARN names no account, and whoever is first may take the name of a bucket that is gone.
fn of_bucket(bucket: &Bucket, account: &Account) -> (String, Permission) {
    let arn = account.bucket(&bucket.name);
    ("bucket".to_owned(), calls("s3", arn, Some(&account.id)))
}

fn is_named((name, permission): &(String, Permission), statements: &BTreeSet<String>) -> bool {
    statements.contains(&statement_name(name, permission))
}

impl Duties {
    /// What the policy must say for topics and buckets.
    pub(super) fn announced(&self, account: &Account) -> Vec<(String, Permission)> {
        let topics = self.topics.keys().map(|topic| of_topic(topic));
        let buckets = self.buckets.values().map(|it| of_bucket(it, account));
        topics.chain(buckets).collect()
    }
}

impl AwsCloud {
    /// One call for each topic that is asked for, and one for each subscription. A topic counts where it may call.
    pub(super) async fn find_topics(
        &self,
        known: Known<'_>,
        found: &mut Found,
    ) -> Result<(), CloudError> {
        let blue = self.account().blue(known.name);
        for topic in known.asked.topics.keys() {
            let Some(subscribed) = self.topics.subscription(topic, &blue).await? else {
                continue;
            };
            if is_named(&of_topic(topic), known.statements) {
                let filter = subscribed.filter.as_deref().map(pattern);
                found.duties.topics.insert(topic.clone(), filter);
            }
            found.subscriptions.insert(topic.clone(), subscribed);
        }
        Ok(())
    }

    /// One call for each bucket that is asked for. What it tells counts where it may call.
    pub(super) async fn find_notices(
        &self,
        known: Known<'_>,
        found: &mut Found,
    ) -> Result<(), CloudError> {
        let account = self.account();
        let blue = account.blue(known.name);
        let mine = Mine {
            lambda: known.name,
            blue: &blue,
        };
        let buckets: BTreeSet<_> = known.asked.buckets.values().map(|it| &it.name).collect();
        for name in buckets {
            let Some(told) = self.notices(name).await? else {
                continue;
            };
            for (event, bucket) in told.of(mine) {
                if is_named(&of_bucket(&bucket, &account), known.statements) {
                    found.duties.buckets.insert(event.clone(), bucket.clone());
                }
                found.notices.insert((name.clone(), event), bucket);
            }
        }
        Ok(())
    }

    async fn notices(&self, bucket: &str) -> Result<Option<Notices>, CloudError> {
        let Some(text) = self.buckets.notifications(bucket).await? else {
            return Ok(None);
        };
        let told = Notices::read(bucket, &text);
        told.map(Some).ok_or_else(|| CloudError::Unreachable {
            cloud: CloudName::Aws,
            operation: format!("what bucket `{bucket}` tells"),
            message: "the answer is none of S3's".to_owned(),
        })
    }

    pub(super) async fn settle_topics(
        &self,
        name: &str,
        found: &Found,
        wanted: &Duties,
        account: &Account,
    ) -> Result<(), CloudError> {
        let blue = account.blue(name);
        for (topic, filter) in &wanted.topics {
            let filter = filter.as_deref();
            match found.subscriptions.get(topic) {
                None => self.topics.subscribe(topic, &blue, filter).await?,
                Some(Subscribed { arn, filter: now }) => {
                    if now.as_deref().map(pattern).as_deref() != filter {
                        self.topics.change(arn, filter).await?;
                    }
                }
            }
        }
        for (topic, Subscribed { arn, filter: _ }) in &found.subscriptions {
            if !wanted.topics.contains_key(topic) {
                self.topics.unsubscribe(arn).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn settle_notices(
        &self,
        name: &str,
        found: &Found,
        wanted: &Duties,
        account: &Account,
    ) -> Result<(), CloudError> {
        let blue = account.blue(name);
        let mine = Mine {
            lambda: name,
            blue: &blue,
        };
        let told = found.notices.keys().map(|(bucket, _)| bucket.as_str());
        let asked = wanted.buckets.values().map(|it| it.name.as_str());
        for bucket in told.chain(asked).collect::<BTreeSet<_>>() {
            let now = found.notices.iter().filter(|((it, _), _)| it == bucket);
            let now = now.map(|((_, event), it)| (event.as_str(), it));
            let then = wanted.buckets.iter().filter(|(_, it)| it.name == bucket);
            let then = then.map(|(event, it)| (event.as_str(), it)).collect();
            if now.collect::<BTreeMap<_, _>>() != then {
                self.tell(bucket, mine, &then).await?;
            }
        }
        Ok(())
    }

    /// Reads what a bucket tells, and writes it with ours as wanted. Whoever comes next waits until S3 tells it so, too.
    async fn tell(
        &self,
        bucket: &str,
        mine: Mine<'_>,
        wanted: &BTreeMap<&str, &Bucket>,
    ) -> Result<(), CloudError> {
        let missing = || CloudError::Denied {
            cloud: CloudName::Aws,
            operation: format!("notifications of bucket `{bucket}`"),
            message: "there is no such bucket: make it, or name another one".to_owned(),
        };
        let _alone = self.options.limits.notifications().await;
        let is_so = |told: &Notices| {
            let own = told.of(mine);
            own.iter()
                .map(|(name, it)| (name.as_str(), it))
                .eq(wanted.iter().map(|(name, it)| (*name, *it)))
        };
        let told = match self.notices(bucket).await? {
            None if wanted.is_empty() => return Ok(()),
            None => return Err(missing()),
            Some(told) if is_so(&told) => return Ok(()),
            Some(told) => told,
        };
        self.buckets.notify(bucket, told.with(mine, wanted)).await?;
        for look in 0..LOOKS {
            if self.notices(bucket).await?.is_some_and(|it| is_so(&it)) {
                return Ok(());
            }
            sleep(LOOK_AGAIN * 2_u32.pow(look)).await;
        }
        Err(CloudError::Busy {
            cloud: CloudName::Aws,
            resource: bucket.to_owned(),
            message: "S3 does not tell yet what it was given".to_owned(),
        })
    }
}
