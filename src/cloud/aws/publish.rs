//! Publishes a version that is as wanted, where there is none yet.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_lambda::types::{
    FunctionConfiguration, LastUpdateStatus, LastUpdateStatusReasonCode, PackageType, State,
    StateReasonCode,
};
use tokio::time::{Instant, sleep};

use super::{
    AwsCloud,
    lambda::{Change, Function, of_states, with_help},
    memory::{Details, Memory, Versions},
    own_roles,
    settings::Settings,
    stage::wanted_tags,
    survey::{Standing, standing},
};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    manifest::aws::Logs,
    name::{CloudName, FunctionName},
};

const POLL_MIN: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(2);

/// A version that is as wanted, and how many there were before it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) version: String,
    pub(super) others: usize,
    /// Of a function that was there.
    pub(super) standing: Option<Standing>,
}

/// What it takes to publish one function of a release.
#[derive(Debug)]
pub(super) struct Publication<'a> {
    pub(super) release: &'a Release,
    pub(super) package: &'a Package,
    /// Instead of the package.
    pub(super) image: Option<&'a str>,
    /// There was no such function a moment ago.
    pub(super) is_missing: bool,
    pub(super) function: &'a FunctionName,
    pub(super) name: &'a str,
    pub(super) wanted: &'a Settings,
    pub(super) description: String,
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

impl AwsCloud {
    /// With the role that it runs as before, and the place of its logs after it.
    pub(super) async fn publish(&self, work: &Publication<'_>) -> Result<Published, CloudError> {
        let has_own_role = self.make_role(work.release, work.function).await?;
        let published = self.publication(work).await;
        let published = published.map_err(|error| match has_own_role {
            true => own_roles::not_yet(error, work.name),
            false => error,
        })?;
        self.settled(work.name, Some(&published.version)).await?;
        let asked = work.release.content.functions.get(work.function);
        let logs = asked.and_then(|it| it.aws.as_ref()?.logs.as_ref());
        self.keep_logs(work.name, logs, work.is_missing).await?;
        Ok(published)
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
        let version = match newest_serving(&versions, work.wanted) {
            Some(version) => version,
            None => {
                let version = self.publish_anew(work, latest.config).await?;
                work.note(&self.memory, &version);
                version
            }
        };
        Ok(Published {
            version,
            others,
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
            Progress::Waiting
            | Progress::Failed {
                code: _,
                message: _,
            } => self.settled(work.name, None).await?,
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

    /// A log group is there once it is named; Lambda would make one that keeps everything for ever.
    /// How long that of a function keeps that serves users already is blue's, and moves with it.
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
                image: _,
            }) = self.lambda.function(name, version).await?
            {
                match progress(&config) {
                    Progress::Done => return Ok(config),
                    Progress::Failed { code, message } => {
                        return Err(failed(name, &code, message));
                    }
                    Progress::Waiting => {}
                }
            } else if pause == POLL_MAX {
                return Err(CloudError::Busy {
                    cloud: CloudName::Aws,
                    resource: name.to_owned(),
                    message: "it is gone: somebody deleted it".to_owned(),
                });
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

fn newest_serving(versions: &Versions, wanted: &Settings) -> Option<String> {
    let wanted = wanted.fingerprint();
    let mut newest_first = versions.iter().rev();
    let serving = newest_first.find(|(_, fingerprint)| **fingerprint == wanted);
    serving.map(|(number, _)| number.to_string())
}

enum Progress {
    Done,
    Waiting,
    Failed { code: String, message: String },
}

/// The release is not at fault where a quota or a right is missing.
fn failed(name: &str, code: &str, message: String) -> CloudError {
    let cloud = CloudName::Aws;
    match of_states(code) {
        Some(help) => CloudError::Denied {
            cloud,
            operation: format!("to start function `{name}`"),
            message: with_help(format!("{code}: {message}"), Some(help)),
        },
        None => CloudError::Unhealthy {
            cloud,
            message: format!("function `{name}`: {message}"),
        },
    }
}

/// `Inactive` is a function that AWS put to sleep: it wakes at the next call. A state that is not told is a settled one.
fn progress(config: &FunctionConfiguration) -> Progress {
    let reason = |told: Option<&str>| told.unwrap_or("no reason was given").to_owned();
    if config.state() == Some(&State::Failed) {
        let code = config.state_reason_code().map(StateReasonCode::as_str);
        return Progress::Failed {
            code: code.unwrap_or_default().to_owned(),
            message: reason(config.state_reason()),
        };
    }
    if config.last_update_status() == Some(&LastUpdateStatus::Failed) {
        let code = config.last_update_status_reason_code();
        let code = code.map(LastUpdateStatusReasonCode::as_str);
        return Progress::Failed {
            code: code.unwrap_or_default().to_owned(),
            message: reason(config.last_update_status_reason()),
        };
    }
    let waiting = config.state() == Some(&State::Pending)
        || config.last_update_status() == Some(&LastUpdateStatus::InProgress);
    if waiting {
        Progress::Waiting
    } else {
        Progress::Done
    }
}
