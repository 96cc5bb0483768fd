//! What a function and its log group are marked with, as the release on blue asks for: tags, and how long logs are kept.
//!
//! Neither is part of a version, so that they move with blue; else what green asks for would look like drift of blue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    super::{AwsCloud, tags},
    Duties, Known, Settlement,
};
use crate::{cloud::CloudError, manifest::aws::Logs, name::ServiceKey};

/// How long a log group keeps what was written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::cloud::aws) struct Kept {
    /// Another one than Lambda's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    pub(super) days: u32,
}

impl Kept {
    pub(super) fn wanted(logs: &Logs) -> Option<Self> {
        let days = logs.retention?;
        let group = logs.group.clone();
        Some(Self { group, days })
    }

    /// Lambda's own.
    fn is_own(&self) -> bool {
        self.group.is_none()
    }

    fn group(&self, name: &str) -> String {
        let own = || format!("/aws/lambda/{name}");
        self.group.clone().unwrap_or_else(own)
    }
}

impl Duties {
    /// What stays where the alias goes: labels go with the function, and its log group keeps what was written for as long as was asked.
    pub(in crate::cloud::aws) fn without_callers(&self) -> Self {
        Self {
            tags: self.tags.clone(),
            kept: self.kept.clone(),
            ..Self::default()
        }
    }
}

impl AwsCloud {
    /// Tags were told with the function; how long logs are kept costs one call, where it is asked for, and another one where a group with
    /// a name of its own keeps them otherwise.
    pub(super) async fn find_labels(
        &self,
        known: Known<'_>,
        found: &mut Duties,
    ) -> Result<(), CloudError> {
        let Known {
            service,
            name,
            asked,
            kept,
            tags,
            reserved: _,
            policy: _,
            is_public: _,
        } = known;
        let is_asked = |tag: &&String| asked.tags.contains_key(*tag);
        let asked_tags = tags.iter().filter(|(tag, _)| is_asked(tag));
        found.tags = asked_tags.map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(asked) = &asked.kept {
            let days = self.log_groups.kept(&asked.group(name)).await?;
            let group = asked.group.clone();
            let seen = days.map(|days| Kept { group, days });
            let is_otherwise = seen.is_some() && seen.as_ref() != kept;
            found.kept = match is_otherwise && !self.is_ours(service, asked, name).await? {
                // Theirs is as it should be.
                true => kept.cloned(),
                false => seen,
            };
        }
        Ok(())
    }

    /// Quiet where nothing differs. Tags that no release of ours asks for are left alone.
    pub(super) async fn settle_labels(&self, work: Settlement<'_>) -> Result<(), CloudError> {
        let Settlement {
            service,
            name,
            found,
            wanted,
        } = work;
        let found = &found.duties;
        let arn = self.account().arn("lambda", &format!("function:{name}"));
        let is_new = |(tag, value): &(&String, &String)| found.tags.get(*tag) != Some(*value);
        let new = wanted.tags.iter().filter(is_new);
        let new: BTreeMap<String, String> = new.map(|(k, v)| (k.clone(), v.clone())).collect();
        if !new.is_empty() {
            self.lambda.tag(&arn, new).await?;
        }
        let is_old = |tag: &&String| !wanted.tags.contains_key(*tag);
        let old: Vec<String> = found.tags.keys().filter(is_old).cloned().collect();
        if !old.is_empty() {
            self.lambda.untag(&arn, old).await?;
        }
        match (&found.kept, &wanted.kept) {
            (found, Some(wanted)) if found.as_ref() != Some(wanted) => {
                self.keep_logs(service, name, wanted).await
            }
            (Some(found), None) if self.is_ours(service, found, name).await? => {
                self.log_groups.keep_for_ever(&found.group(name)).await
            }
            (_, Some(_) | None) => Ok(()),
        }
    }

    /// Makes the group where it is not there. One that somebody else made, and that keeps what is written as long as they want, is left
    /// alone.
    async fn keep_logs(
        &self,
        service: &ServiceKey,
        name: &str,
        wanted: &Kept,
    ) -> Result<(), CloudError> {
        let group = wanted.group(name);
        let is_made = self.make_log_group(service, name, wanted).await?;
        let is_free = is_made
            || wanted.is_own()
            || self.log_groups.kept(&group).await?.is_none()
            || self.is_ours(service, wanted, name).await?;
        match is_free {
            true => self.log_groups.keep_for(&group, wanted.days).await,
            false => Ok(()),
        }
    }

    /// False where it is there already.
    async fn make_log_group(
        &self,
        service: &ServiceKey,
        name: &str,
        wanted: &Kept,
    ) -> Result<bool, CloudError> {
        let group = wanted.group(name);
        self.log_groups.create(&group, &tags::of(service)).await
    }

    /// For what is published: a log group is there once it is named, since Lambda would make one that keeps everything for ever. How long
    /// that of a function keeps that serves users already is blue's, and moves with it. That it is there says nothing: it may have been made
    /// by a try whose answer was lost.
    pub(in crate::cloud::aws) async fn begin_logs(
        &self,
        service: &ServiceKey,
        name: &str,
        logs: Option<&Logs>,
        has_blue: bool,
    ) -> Result<(), CloudError> {
        let Some(wanted) = logs.and_then(Kept::wanted) else {
            return Ok(());
        };
        let is_made = self.make_log_group(service, name, &wanted).await?;
        match !has_blue && (is_made || wanted.is_own()) {
            true => {
                let group = wanted.group(name);
                self.log_groups.keep_for(&group, wanted.days).await
            }
            false => Ok(()),
        }
    }

    /// Lambda's own group of a function of ours is ours, and any other that this service made.
    async fn is_ours(
        &self,
        service: &ServiceKey,
        kept: &Kept,
        name: &str,
    ) -> Result<bool, CloudError> {
        if kept.is_own() {
            return Ok(true);
        }
        let resource = format!("log-group:{}", kept.group(name));
        let arn = self.account().arn("logs", &resource);
        let theirs = self.log_groups.tags(&arn).await?;
        let is_said = |(tag, value): (&String, &String)| theirs.get(tag) == Some(value);
        Ok(tags::of(service).iter().all(is_said))
    }
}
