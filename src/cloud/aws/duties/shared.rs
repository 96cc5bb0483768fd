//! One list of all mappings for many functions: AWS lists them for a whole account, a hundred a page.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_lambda::types::EventSourceMappingConfiguration as Mapping;
use tokio::time::Instant;

use super::super::AwsCloud;
use crate::cloud::{CloudError, line::in_line};

/// How long a list stands for what is there. Most functions of a sweep come in this time, and it is what a person waits at most beyond
/// the sweep itself.
const STANDS: Duration = Duration::from_secs(60);

/// As many as AWS puts on a page.
const PAGE: usize = 100;

/// The last list, and whether another one would be worth its pages.
#[derive(Debug, Default)]
pub(in crate::cloud::aws) struct SharedList {
    listed: Option<Listed>,
    /// Functions that were asked for alone, and since when.
    alone: usize,
    since: Option<Instant>,
    /// Of the last list.
    pages: usize,
}

#[derive(Debug)]
struct Listed {
    at: Instant,
    /// By the ARN of what they call.
    mappings: BTreeMap<String, Vec<Mapping>>,
}

impl SharedList {
    /// One page costs what one function costs: once as many asked alone as there were pages, all of them are asked for together. So it
    /// never takes more than twice the least.
    fn is_worth_it(&mut self) -> bool {
        if self.since.is_none_or(|since| since.elapsed() >= STANDS) {
            self.alone = 0;
            self.since = Some(Instant::now());
        }
        self.alone += 1;
        self.alone > self.pages.max(1)
    }
}

impl Listed {
    fn of(&self, blue: &str) -> Option<Vec<Mapping>> {
        // Some servers do not tell which alias a mapping calls.
        let (function, _) = blue.rsplit_once(':')?;
        let is_told = !self.mappings.contains_key(function);
        is_told.then(|| self.mappings.get(blue).cloned().unwrap_or_default())
    }
}

impl AwsCloud {
    /// Mappings that call `blue`. Where we changed nothing of the function lately, and many are asked for, from a list of all.
    pub(super) async fn mappings_of(
        &self,
        name: &str,
        blue: &str,
    ) -> Result<Vec<Mapping>, CloudError> {
        if self.options.details_for.is_zero() {
            return self.lambda.sources(blue).await;
        }
        let changed = self.memory.changed_at(name);
        let is_lately = changed.is_some_and(|changed| changed.elapsed() < STANDS);
        if is_lately {
            // A list that came after the change is seldom there, and a rollout does not wait for the pages of one.
            return self.lambda.sources(blue).await;
        }
        let mut shared = in_line(self.mappings.lock()).await;
        // So it is younger than the change, too.
        let is_good = |it: &&Listed| it.at.elapsed() < STANDS;
        let listed = shared.listed.as_ref().filter(is_good);
        if let Some(mappings) = listed.and_then(|it| it.of(blue)) {
            return Ok(mappings);
        }
        if !shared.is_worth_it() {
            drop(shared);
            return self.lambda.sources(blue).await;
        }
        let at = Instant::now();
        let all = self.lambda.all_sources().await?;
        shared.pages = all.len().div_ceil(PAGE);
        shared.alone = 0;
        let mut listed = Listed {
            at,
            mappings: BTreeMap::new(),
        };
        for mapping in all {
            let called = mapping.function_arn().unwrap_or_default().to_owned();
            listed.mappings.entry(called).or_default().push(mapping);
        }
        let own = listed.of(blue);
        shared.listed = Some(listed);
        drop(shared);
        match own {
            Some(own) => Ok(own),
            None => self.lambda.sources(blue).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        cloud::aws::{AccountLimits, AwsCredentials, AwsOptions, Quotas},
        manifest::spec::{AwsTarget, Role},
        name::EnvironmentName,
    };

    #[tokio::test]
    async fn who_was_changed_lately_does_not_wait_for_the_list_of_all() {
        let target = AwsTarget {
            region: "eu-west-1".to_owned(),
            role: Role::Given("arn:aws:iam::123456789012:role/functions".to_owned()),
            assume: None,
        };
        let environment = EnvironmentName::new("prod").expect("a name");
        let limits = Arc::new(AccountLimits::new(Quotas::default()));
        let cloud = AwsCloud::new(AwsOptions {
            // Nobody is there.
            endpoint: Some("http://127.0.0.1:9".parse().expect("an address")),
            credentials: AwsCredentials::Fixed {
                access_key_id: "nobody".to_owned(),
                secret_access_key: "none".to_owned().into(),
            },
            ..AwsOptions::new(environment, target, limits)
        })
        .await;
        let name = "prod-shop-reorder";
        let blue = cloud.account().blue(name);
        let listing = cloud.mappings.lock().await;
        cloud.memory.look_again(name);
        let asked = cloud.mappings_of(name, &blue);
        let asked = tokio::time::timeout(Duration::from_secs(60), asked).await;
        assert!(asked.expect("it asks while others list").is_err());
        drop(listing);
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_asked_for_once_as_many_asked_alone_as_a_list_has_pages() {
        let mut shared = SharedList {
            pages: 3,
            ..SharedList::default()
        };
        let asked: Vec<_> = (0..4).map(|_| shared.is_worth_it()).collect();
        assert_eq!(asked, [false, false, false, true]);
        shared.alone = 0;
        assert!(!shared.is_worth_it());
        // Those who came long ago do not count.
        tokio::time::advance(STANDS).await;
        let asked: Vec<_> = (0..4).map(|_| shared.is_worth_it()).collect();
        assert_eq!(asked, [false, false, false, true]);
    }
}
