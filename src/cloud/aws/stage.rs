//! Brings a release into published versions, and points green at them.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_lambda::types::{FunctionConfiguration, LastUpdateStatus, PackageType, State};
use tokio::time::{Instant, sleep};

use super::{
    AwsCloud,
    lambda::{Change, Function},
    roles,
    settings::{Marks, Settings, image},
    survey::{Seen, Standing, all, standing, tags},
};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    manifest::aws::Logs,
    name::{CloudName, FunctionName, Slot},
};

const POLL_MIN: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(2);

/// A function whose version of the release is published and active.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) seen: Seen,
    pub(super) version: String,
    pub(super) marks: Marks,
    /// A version was looked for or made to get there; so many others are there.
    published: Option<usize>,
}

impl AwsCloud {
    pub(super) async fn stage_release(
        &self,
        release: &Release,
        package: &Package,
    ) -> Result<(), CloudError> {
        let ready = self.ready(release, package, Slot::Green).await?;
        all(ready
            .iter()
            .map(|ready| self.show_on_green(release, ready))
            .collect())
        .await
        .map(drop)
    }

    /// Every function of the release with a version to point at. `slot` is looked at first.
    pub(super) async fn ready(
        &self,
        release: &Release,
        package: &Package,
        slot: Slot,
    ) -> Result<Vec<Ready>, CloudError> {
        let functions = release.content.functions.keys();
        all(functions
            .map(|function| self.ready_one(release, package, function, slot))
            .collect())
        .await
    }

    async fn ready_one(
        &self,
        release: &Release,
        package: &Package,
        function: &FunctionName,
        slot: Slot,
    ) -> Result<Ready, CloudError> {
        let seen = self.survey_one(&release.service, function).await?;
        let seen = seen.not_foreign()?;
        let wanted = Settings::wanted(release, function, package.code, &self.options.target);
        // `function` is a key of the release's functions.
        let wanted = wanted.expect("a function of the release");
        let marks = wanted.marks();
        let shown = seen.slot(slot).filter(|it| it.settings.serves(&wanted));
        let (version, published) = match shown {
            Some(pointer) => (pointer.version.clone(), None),
            None => {
                let asked = release.content.functions.get(function);
                let image = image(asked.and_then(|it| it.aws.as_deref()));
                let work = Publication {
                    release,
                    package,
                    image,
                    is_missing: seen.standing == Standing::Missing,
                    function,
                    name: &seen.name,
                    wanted: &wanted,
                    description: description(release),
                };
                let has_own_role = self.make_role(release, function).await?;
                let published = self.publication(&work).await;
                self.forget(&seen.name);
                let Published { version, others } =
                    published.map_err(|error| match has_own_role {
                        true => roles::not_yet(error, &seen.name),
                        false => error,
                    })?;
                self.settled(&seen.name, Some(&version)).await?;
                let logs = asked.and_then(|it| it.aws.as_ref()?.logs.as_ref());
                self.keep_logs(&seen.name, logs, work.is_missing).await?;
                (version, Some(others))
            }
        };
        Ok(Ready {
            seen,
            version,
            marks,
            published,
        })
    }

    async fn show_on_green(&self, release: &Release, ready: &Ready) -> Result<(), CloudError> {
        let Ready {
            seen,
            version,
            marks,
            published,
        } = ready;
        self.point(seen, Slot::Green, version, marks).await?;
        self.tag_release(release, seen).await?;
        if published.is_some_and(|others| others >= self.options.keep_versions) {
            self.delete_old_versions(seen, version).await;
        }
        Ok(())
    }

    /// A new function got its tags when it was made; those that the user asks for move with blue.
    async fn tag_release(&self, release: &Release, seen: &Seen) -> Result<(), CloudError> {
        let wanted = release.digest.to_string();
        match &seen.standing {
            Standing::Ours { arn, staged } if staged.as_ref() != Some(&wanted) => {
                let tags = tags::of(&release.service, release.digest);
                self.forget(&seen.name);
                self.lambda.tag(arn, tags).await
            }
            Standing::Ours { arn: _, staged: _ }
            | Standing::Missing
            | Standing::Foreign { arn: _ } => Ok(()),
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
            return Ok(Published { version, others: 0 });
        };
        if let Standing::Foreign { arn } = standing(&work.release.service, &latest) {
            return Err(CloudError::NotOurs {
                cloud: CloudName::Aws,
                resource: arn,
            });
        }
        let versions = self.lambda.versions(work.name).await?;
        let others = versions.len();
        let version = match newest_serving(&versions, work.wanted) {
            Some(version) => version,
            None => self.publish_anew(work, latest.config).await?,
        };
        Ok(Published { version, others })
    }

    async fn create(&self, work: &Publication<'_>) -> Result<String, CloudError> {
        let code = self.code(work.package, work.image).await?;
        self.lambda
            .create(work.change(None), code, work.tags())
            .await
    }

    /// Configuration first, then code: so that one release makes one version.
    async fn publish_anew(
        &self,
        work: &Publication<'_>,
        seen: FunctionConfiguration,
    ) -> Result<String, CloudError> {
        let mut latest = match progress(&seen) {
            Progress::Done => seen,
            Progress::Waiting | Progress::Failed(_) => self.settled(work.name, None).await?,
        };
        work.check_kind(&latest)?;
        if !Settings::read(&latest).configured_as(work.wanted) {
            self.lambda.configure(work.change(Some(&latest))).await?;
            latest = self.settled(work.name, None).await?;
        }
        let change = work.change(Some(&latest));
        if latest.code_sha256() == Some(work.wanted.code.as_str()) {
            return self.lambda.publish(change).await;
        }
        let code = self.code(work.package, work.image).await?;
        self.lambda.upload(change, code).await
    }

    /// A log group is there once it is named; Lambda would make one that keeps everything for ever. How long that of a function keeps that
    /// serves users already is blue's, and moves with it.
    async fn keep_logs(
        &self,
        name: &str,
        logs: Option<&Logs>,
        is_new: bool,
    ) -> Result<(), CloudError> {
        let Some((logs, days)) = logs.and_then(|it| Some((it, it.retention?))) else {
            return Ok(());
        };
        let own = format!("/aws/lambda/{name}");
        let group = logs.group.as_deref().unwrap_or(&own);
        self.log_groups.create(group).await?;
        match is_new {
            true => self.log_groups.keep_for(group, days).await,
            false => Ok(()),
        }
    }

    /// Waits, by state, until the function or one of its versions can be used.
    async fn settled(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<FunctionConfiguration, CloudError> {
        let deadline = Instant::now() + self.options.settle_within;
        let mut pause = POLL_MIN;
        loop {
            if let Some(Function {
                config,
                tags: _,
                reserved: _,
            }) = self.lambda.function(name, version).await?
            {
                match progress(&config) {
                    Progress::Done => return Ok(config),
                    Progress::Failed(message) => {
                        return Err(CloudError::Unhealthy {
                            cloud: CloudName::Aws,
                            message: format!("function `{name}`: {message}"),
                        });
                    }
                    Progress::Waiting => {}
                }
            }
            if Instant::now() >= deadline {
                return Err(CloudError::Busy {
                    cloud: CloudName::Aws,
                    resource: name.to_owned(),
                    message: format!("not ready after {}s", self.options.settle_within.as_secs()),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    }
}

/// A version that is as wanted, and how many there were before it.
#[derive(Debug)]
struct Published {
    version: String,
    others: usize,
}

/// What it takes to publish one function of a release.
#[derive(Debug)]
struct Publication<'a> {
    release: &'a Release,
    package: &'a Package,
    /// Instead of the package.
    image: Option<&'a str>,
    /// There was no such function a moment ago.
    is_missing: bool,
    function: &'a FunctionName,
    name: &'a str,
    wanted: &'a Settings,
    description: String,
}

/// The user's, and ours, which win.
fn wanted_tags(release: &Release, function: &FunctionName) -> BTreeMap<String, String> {
    let asked = release.content.functions.get(function);
    let asked = asked.and_then(|it| it.aws.as_ref());
    let mut tags = asked.map(|it| it.tags.clone()).unwrap_or_default();
    tags.extend(tags::of(&release.service, release.digest));
    tags
}

impl Publication<'_> {
    fn tags(&self) -> BTreeMap<String, String> {
        wanted_tags(self.release, self.function)
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

    fn change(&self, latest: Option<&FunctionConfiguration>) -> Change<'_> {
        Change {
            name: self.name,
            wanted: self.wanted,
            description: &self.description,
            before: latest
                .map(|it| Settings::read(it).extras)
                .unwrap_or_default(),
            revision_id: latest.and_then(|it| it.revision_id().map(str::to_owned)),
        }
    }
}

/// For people who look at the function in the vendor's console.
fn description(release: &Release) -> String {
    let text = format!(
        "{} release {} of {}",
        release.service,
        release.digest.short(),
        release.revision.short()
    );
    // Lambda takes 256 characters; a branch may have a longer name.
    text.chars().take(256).collect()
}

fn newest_serving(versions: &[FunctionConfiguration], wanted: &Settings) -> Option<String> {
    let serving = versions
        .iter()
        .filter(|version| Settings::read(version).serves(wanted))
        .filter(|version| version.state() != Some(&State::Failed));
    let numbers = serving.filter_map(|version| version.version()?.parse::<u64>().ok());
    numbers.max().map(|number| number.to_string())
}

enum Progress {
    Done,
    Waiting,
    Failed(String),
}

/// `Inactive` is a function that AWS put to sleep: it wakes at the next call. A state that is not told is a settled one.
fn progress(config: &FunctionConfiguration) -> Progress {
    let reason = |told: Option<&str>| told.unwrap_or("no reason was given").to_owned();
    if config.state() == Some(&State::Failed) {
        return Progress::Failed(reason(config.state_reason()));
    }
    if config.last_update_status() == Some(&LastUpdateStatus::Failed) {
        return Progress::Failed(reason(config.last_update_status_reason()));
    }
    let waiting = config.state() == Some(&State::Pending)
        || config.last_update_status() == Some(&LastUpdateStatus::InProgress);
    if waiting {
        Progress::Waiting
    } else {
        Progress::Done
    }
}
