//! Publishes a version that is as wanted, where there is none yet.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::{FunctionConfiguration, PackageType, State};

use super::super::{
    AwsCloud,
    lambda::Change,
    memory::{Details, Memory, Versions},
    roles::{self, own::Ended, own_role},
    settings::{Extras, Settings},
    survey::{Standing, standing},
};
use super::{outcome::Outcome, stage::wanted_tags};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    name::{CloudName, FunctionName},
};

/// A version that is as wanted, and how many there were before it.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Published {
    pub(in crate::cloud::aws) version: String,
    pub(in crate::cloud::aws) others: usize,
    /// It was there before.
    is_found: bool,
    /// Of a function that was there.
    pub(in crate::cloud::aws) standing: Option<Standing>,
}

/// What it takes to publish one function of a release.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Publication<'a> {
    pub(in crate::cloud::aws) release: &'a Release,
    pub(in crate::cloud::aws) package: &'a Package,
    /// Instead of the package.
    pub(in crate::cloud::aws) image: Option<&'a str>,
    /// There was no such function a moment ago.
    pub(in crate::cloud::aws) is_missing: bool,
    /// It serves users, or did.
    pub(in crate::cloud::aws) has_blue: bool,
    pub(in crate::cloud::aws) function: &'a FunctionName,
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) wanted: &'a Settings,
    pub(in crate::cloud::aws) description: String,
}

impl Publication<'_> {
    fn tags(&self) -> BTreeMap<String, String> {
        wanted_tags(self.release, self.function)
    }

    fn note(&self, memory: &Memory, version: &str) {
        if let Ok(number) = version.parse() {
            memory.note_version(self.name, number, self.wanted.fingerprint());
        }
    }

    /// Lambda takes no image for a function that was made of a zip, nor the other way around.
    fn check_kind(&self, latest: &FunctionConfiguration) -> Result<(), CloudError> {
        let is_image = latest.package_type() == Some(&PackageType::Image);
        if is_image == self.image.is_some() {
            return Ok(());
        }
        let (now, wanted) = match is_image {
            true => ("a container image", "a package"),
            false => ("a package", "a container image"),
        };
        Err(CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: format!("{wanted} for function `{}`", self.name),
            message: format!(
                "it was made of {now}, and Lambda lets nobody change that: give the function another name"
            ),
        })
    }

    /// Of a function that is new.
    fn first(&self) -> Change<'_> {
        self.change_from(Extras::default(), None)
    }

    fn change(&self, latest: &FunctionConfiguration) -> Change<'_> {
        self.change_from(Settings::read(latest).extras, revision(latest))
    }

    /// After a change that failed, and is shown nevertheless.
    fn change_again(&self, latest: &FunctionConfiguration) -> Change<'_> {
        let shown = Settings::read(latest).extras;
        self.change_from(self.wanted.extras.unsure(shown), revision(latest))
    }

    fn change_from(&self, before: Extras, revision_id: Option<String>) -> Change<'_> {
        Change {
            name: self.name,
            wanted: self.wanted,
            description: &self.description,
            before,
            revision_id,
        }
    }
}

impl AwsCloud {
    /// With the role that it runs as before, and the place of its logs after it.
    pub(in crate::cloud::aws) async fn publish(
        &self,
        work: &Publication<'_>,
    ) -> Result<Published, CloudError> {
        let published = self.with_role(work).await;
        let own_role = own_role(work.release, work.function, &self.options.target);
        let ended = Ended {
            own_role: own_role.as_ref().map(|it| it.name.as_str()),
            failed: published.as_ref().err(),
        };
        let service = &work.release.service;
        self.drop_spare_roles(service, work.name, ended).await;
        let published = published?;
        let asked = work.release.content.functions.get(work.function);
        let logs = asked.and_then(|it| it.aws.as_ref()?.logs.as_ref());
        self.begin_logs(service, work.name, logs, work.has_blue)
            .await?;
        Ok(published)
    }

    async fn with_role(&self, work: &Publication<'_>) -> Result<Published, CloudError> {
        let has_own_role = self.make_role(work.release, work.function).await?;
        let published = self.able(work).await;
        published.map_err(|error| match has_own_role {
            true => roles::own::not_yet(error, work.name),
            false => error,
        })
    }

    /// A version that is as wanted, and active. One that failed before is taken away: lists do not tell that it did, and the same cannot
    /// be published twice.
    async fn able(&self, work: &Publication<'_>) -> Result<Published, CloudError> {
        loop {
            let published = self.publication(work).await?;
            let version = &published.version;
            match self.outcome(work.name, Some(version), None).await? {
                Outcome::Ready(_) => return Ok(published),
                Outcome::Failed(_, failure) if !published.is_found => {
                    return Err(failure.told(work.name));
                }
                Outcome::Failed(_, _) => {
                    self.lambda.delete(work.name, Some(version)).await?;
                    let deleted = BTreeSet::from([version.clone()]);
                    self.memory.note_deleted(work.name, &deleted);
                }
            }
        }
    }

    /// The number of a version that is as wanted: one that is there, else a new one.
    async fn publication(&self, work: &Publication<'_>) -> Result<Published, CloudError> {
        // Whoever surveyed has just seen that there is none; one that came since is a conflict, and looked at again.
        let latest = match work.is_missing {
            true => None,
            false => self.lambda.function(work.name, None).await?,
        };
        let Some(latest) = latest else {
            let version = self.create(work).await?;
            // Nobody else can have attached anything yet.
            let resource = format!("function:{}", work.name);
            let made = Standing::Ours {
                arn: self.account().arn("lambda", &resource),
                tags: work.tags(),
            };
            self.memory.note_details(work.name, Details::bare(made));
            self.memory.note_versions(work.name, Versions::new());
            work.note(&self.memory, &version);
            return Ok(Published {
                version,
                others: 0,
                is_found: false,
                standing: None,
            });
        };
        let standing = standing(&work.release.service, &latest);
        if let Standing::Foreign { arn } = standing {
            return Err(CloudError::NotOurs {
                cloud: CloudName::Aws,
                resource: arn,
            });
        }
        let versions = self.versions(work.name).await?;
        let others = versions.len();
        let (version, is_found) = match newest_serving(&versions, work.wanted) {
            Some(version) => (version, true),
            None => {
                let version = self.publish_anew(work, latest.config).await?;
                work.note(&self.memory, &version);
                (version, false)
            }
        };
        Ok(Published {
            version,
            others,
            is_found,
            standing: Some(standing),
        })
    }

    /// Published versions that can serve. They are listed once: nobody else publishes what we ask for.
    async fn versions(&self, name: &str) -> Result<Versions, CloudError> {
        if let Some(versions) = self.memory.versions(name) {
            return Ok(versions);
        }
        let listed = self.lambda.versions(name).await?;
        let able = listed
            .iter()
            .filter(|version| version.state() != Some(&State::Failed));
        let versions: Versions = able
            .filter_map(|version| {
                let number = version.version()?.parse().ok()?;
                Some((number, Settings::read(version).fingerprint()))
            })
            .collect();
        self.memory.note_versions(name, versions.clone());
        Ok(versions)
    }

    async fn create(&self, work: &Publication<'_>) -> Result<String, CloudError> {
        let code = self.code(work.package, work.image).await?;
        self.lambda.create(work.first(), code, work.tags()).await
    }

    /// Configuration first, then code: so that one release makes one version.
    ///
    /// Where the last change failed, what is shown is what was asked for, and nobody knows which of it is there: all of it is sent again.
    async fn publish_anew(
        &self,
        work: &Publication<'_>,
        seen: FunctionConfiguration,
    ) -> Result<String, CloudError> {
        let (mut latest, has_failed) = match self.at_rest(work.name, seen).await? {
            Outcome::Ready(latest) => (latest, false),
            Outcome::Failed(latest, _) => (latest, true),
        };
        work.check_kind(&latest)?;
        let change = match has_failed {
            true => Some(work.change_again(&latest)),
            false if Settings::read(&latest).configured_as(work.wanted) => None,
            false => Some(work.change(&latest)),
        };
        if let Some(change) = change {
            self.lambda.configure(change).await?;
            latest = self.settled(work.name, latest).await?;
        }
        let change = work.change(&latest);
        if !has_failed && Settings::read(&latest).runs_as(work.wanted) {
            return self.lambda.publish(change).await;
        }
        let code = self.code(work.package, work.image).await?;
        self.lambda.upload(change, code).await
    }
}

fn revision(config: &FunctionConfiguration) -> Option<String> {
    config.revision_id().map(str::to_owned)
}

fn newest_serving(versions: &Versions, wanted: &Settings) -> Option<String> {
    let wanted = wanted.fingerprint();
    let mut newest_first = versions.iter().rev();
    let serving = newest_first.find(|(_, fingerprint)| **fingerprint == wanted);
    serving.map(|(number, _)| number.to_string())
}
