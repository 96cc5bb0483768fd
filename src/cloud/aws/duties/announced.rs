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
//! S3 takes all that a bucket tells at once, and refuses nobody who was slower. So one of this process waits for another; nothing is
//! waited for between reading and writing; and what stands there afterwards is read until it is what was there before, with ours. Where
//! somebody else wrote after us and had not seen ours, theirs stays and ours is added to it again. What nobody can see is a change that
//! arrives in the milliseconds between our reading and our writing: it is gone, and only CloudTrail's `PutBucketNotification` tells of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    super::{
        AwsCloud,
        lambda::{Policy, Subscribed},
    },
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

/// So often others may be faster.
const WRITES: usize = 3;

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

fn is_let((name, permission): &(String, Permission), policy: &Policy) -> bool {
    let statement = policy.get(&statement_name(name, permission));
    statement.is_some_and(|it| it.is(permission))
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
            if is_let(&of_topic(topic), known.policy) {
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
                if is_let(&of_bucket(&bucket, &account), known.policy) {
                    found.duties.buckets.insert(event.clone(), bucket.clone());
                }
                found.notices.insert((name.clone(), event), bucket);
            }
        }
        Ok(())
    }

    async fn notices(&self, bucket: &str) -> Result<Option<Notices>, CloudError> {
        let told = self.buckets.notifications(bucket).await?;
        told.map(|text| read(bucket, &text)).transpose()
    }

    /// What a bucket tells this function, whoever arranged it. Nothing where there is no such bucket.
    pub(in crate::cloud::aws) async fn told_by(
        &self,
        bucket: &str,
        function: &str,
    ) -> Result<Vec<Bucket>, CloudError> {
        let told = self.notices(bucket).await?;
        Ok(told.map(|it| it.to(function)).unwrap_or_default())
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

    /// Has a bucket tell ours as wanted, and all else as before. Whoever comes next waits until S3 tells it so, too.
    async fn tell(
        &self,
        bucket: &str,
        mine: Mine<'_>,
        wanted: &BTreeMap<&str, &Bucket>,
    ) -> Result<(), CloudError> {
        let _alone = self.options.limits.notifications().await;
        for _ in 0..WRITES {
            let before = self.buckets.exchange(bucket, |text| match text {
                None if wanted.is_empty() => Ok((None, None)),
                None => Err(no_bucket(bucket)),
                Some(text) => {
                    let told = read(bucket, &text)?;
                    match told.is_as(mine, wanted) {
                        true => Ok((None, None)),
                        false => {
                            let all = told.with(mine, wanted);
                            Ok((Some(told), Some(all)))
                        }
                    }
                }
            });
            let Some(before) = before.await? else {
                return Ok(());
            };
            if self.is_told(bucket, mine, wanted, &before).await? {
                return Ok(());
            }
            tracing::warn!(
                bucket,
                function = mine.lambda,
                "somebody else changed in the same moment what the bucket tells: theirs stays, and ours is added again"
            );
        }
        Err(CloudError::Busy {
            cloud: CloudName::Aws,
            resource: bucket.to_owned(),
            message: "somebody else changes what it tells again and again".to_owned(),
        })
    }

    /// Reads what a bucket tells until it is ours as wanted. False where somebody wrote after us without it.
    async fn is_told(
        &self,
        bucket: &str,
        mine: Mine<'_>,
        wanted: &BTreeMap<&str, &Bucket>,
        before: &Notices,
    ) -> Result<bool, CloudError> {
        for look in 0..LOOKS {
            let Some(now) = self.notices(bucket).await? else {
                return Err(no_bucket(bucket));
            };
            if now.is_as(mine, wanted) {
                return Ok(true);
            }
            if now.others(mine) != before.others(mine) {
                return Ok(false);
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

fn read(bucket: &str, text: &str) -> Result<Notices, CloudError> {
    Notices::read(bucket, text).ok_or_else(|| CloudError::Unreachable {
        cloud: CloudName::Aws,
        operation: format!("what bucket `{bucket}` tells"),
        message: "the answer is none of S3's".to_owned(),
    })
}

fn no_bucket(bucket: &str) -> CloudError {
    CloudError::Denied {
        cloud: CloudName::Aws,
        operation: format!("notifications of bucket `{bucket}`"),
        message: "there is no such bucket: make it, or name another one".to_owned(),
    }
}
