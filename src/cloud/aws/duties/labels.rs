//! What a function and its log group are marked with, as the release on blue asks for: tags, and how long logs are kept.
//!
//! Neither is part of a version, so that they move with blue; else what green asks for would look like drift of blue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{super::AwsCloud, Duties};
use crate::{cloud::CloudError, manifest::aws::Logs};

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
    /// Tags were told with the function; how long logs are kept costs one call, where it is asked for.
    pub(super) async fn find_labels(
        &self,
        name: &str,
        tags: &BTreeMap<String, String>,
        asked: &Duties,
        found: &mut Duties,
    ) -> Result<(), CloudError> {
        let is_asked = |tag: &&String| asked.tags.contains_key(*tag);
        let asked_tags = tags.iter().filter(|(tag, _)| is_asked(tag));
        found.tags = asked_tags.map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(kept) = &asked.kept {
            let days = self.log_groups.kept(&kept.group(name)).await?;
            let group = kept.group.clone();
            found.kept = days.map(|days| Kept { group, days });
        }
        Ok(())
    }

    /// Quiet where nothing differs. Tags that no release of ours asks for are left alone.
    pub(super) async fn settle_labels(
        &self,
        name: &str,
        found: &Duties,
        wanted: &Duties,
    ) -> Result<(), CloudError> {
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
                let group = wanted.group(name);
                self.log_groups.create(&group).await?;
                self.log_groups.keep_for(&group, wanted.days).await
            }
            (Some(found), None) => self.log_groups.keep_for_ever(&found.group(name)).await,
            (_, Some(_)) | (None, None) => Ok(()),
        }
    }
}
