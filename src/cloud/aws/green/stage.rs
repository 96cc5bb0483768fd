//! Brings a release into published versions, and points green at them.

use std::collections::BTreeMap;

use super::super::{
    AwsCloud,
    blue::place::Place,
    settings::{Marks, Settings, image},
    survey::{AliasDetail, Standing, all},
    tags,
};
use super::publish::Publication;
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    name::{FunctionName, Slot},
};

/// A function whose version of the release is published and active.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Ready {
    pub(in crate::cloud::aws) name: String,
    pub(in crate::cloud::aws) version: String,
    pub(in crate::cloud::aws) marks: Marks,
    /// The alias of the slot that was meant.
    pub(in crate::cloud::aws) now: Option<AliasDetail>,
    standing: Standing,
    /// A version was looked for or made to get there; so many others are there.
    published: Option<usize>,
}

/// What is known of a function before anything is made for it.
#[derive(Debug)]
struct Before {
    standing: Standing,
    now: Option<AliasDetail>,
    /// The slot has a version that serves.
    version: Option<String>,
    /// There is a blue.
    has_blue: bool,
}

impl AwsCloud {
    pub(in crate::cloud::aws) async fn stage_release(
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
    pub(in crate::cloud::aws) async fn ready(
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
        let name = self.lambda_name(&release.service, function)?;
        let wanted = Settings::wanted(release, function, package.code, &self.options.target);
        // `function` is a key of the release's functions.
        let wanted = wanted.expect("a function of the release");
        let before = self.before(release, function, slot, &wanted).await?;
        let Before {
            mut standing,
            now,
            version,
            has_blue,
        } = before;
        let (version, published) = match version {
            Some(version) => (version, None),
            None => {
                let asked = release.content.functions.get(function);
                let image = image(asked.and_then(|it| it.aws.as_deref()));
                let work = Publication {
                    release,
                    package,
                    image,
                    is_missing: standing == Standing::Missing,
                    has_blue,
                    function,
                    name: &name,
                    wanted: &wanted,
                    description: description(release),
                };
                let published = self.publish(&work).await;
                let published = published.inspect_err(|_| self.forget(&name))?;
                standing = published.standing.unwrap_or(standing);
                (published.version, Some(published.others))
            }
        };
        Ok(Ready {
            marks: wanted.marks(),
            name,
            version,
            now,
            standing,
            published,
        })
    }

    /// Where we remember enough to see that there is work to do, nothing is asked: what is written is guarded, and whose the function
    /// is will be read before.
    async fn before(
        &self,
        release: &Release,
        function: &FunctionName,
        slot: Slot,
        wanted: &Settings,
    ) -> Result<Before, CloudError> {
        let name = self.lambda_name(&release.service, function)?;
        let remembered = self.memory.details(&name, self.details_for());
        if let Some(details) = remembered.filter(|it| it.standing.is_writable(&release.service)) {
            let now = details.aliases.get(&slot).cloned();
            let versions = self.memory.versions(&name);
            let serves = |it: &AliasDetail| {
                let number: u64 = it.version.parse().ok()?;
                let known = versions.as_ref()?.get(&number)?;
                Some(*known == wanted.fingerprint())
            };
            // What is not known to be otherwise could be there already.
            if now.as_ref().is_none_or(|it| serves(it) == Some(false)) {
                return Ok(Before {
                    standing: details.standing,
                    now,
                    version: None,
                    has_blue: details.aliases.contains_key(&Slot::Blue),
                });
            }
        }
        let seen = self.survey_one(&release.service, function).await?;
        let seen = seen.not_foreign()?;
        let shown = seen.slot(slot);
        let version = shown.filter(|it| it.settings.serves(wanted));
        Ok(Before {
            version: version.map(|it| it.version.clone()),
            now: shown.map(|it| it.detail.clone()),
            has_blue: seen.blue.is_some(),
            standing: seen.standing,
        })
    }

    async fn show_on_green(&self, release: &Release, ready: &Ready) -> Result<(), CloudError> {
        let place = Place {
            service: &release.service,
            name: &ready.name,
            now: ready.now.as_ref(),
            slot: Slot::Green,
            version: &ready.version,
            marks: &ready.marks,
            description: String::new(),
        };
        self.place(place).await?;
        self.tag_release(release, ready).await?;
        let others = ready.published;
        if others.is_some_and(|others| others >= self.options.keep_versions) {
            let (service, name) = (&release.service, &ready.name);
            self.delete_old_versions(service, name, &ready.version)
                .await;
        }
        Ok(())
    }

    /// A new function got its tags when it was made; those that the user asks for move with blue. What else is on it is somebody's.
    async fn tag_release(&self, release: &Release, ready: &Ready) -> Result<(), CloudError> {
        let wanted = tags::of(&release.service);
        match &ready.standing {
            Standing::Ours { arn, tags } => {
                let has = |(name, value): (&String, &String)| tags.get(name) == Some(value);
                if wanted.iter().all(has) {
                    return Ok(());
                }
                self.memory.look_again(&ready.name);
                self.lambda.tag(arn, wanted).await
            }
            Standing::Missing | Standing::Foreign { arn: _ } => Ok(()),
        }
    }
}

/// The user's, and ours, which win.
pub(in crate::cloud::aws) fn wanted_tags(
    release: &Release,
    function: &FunctionName,
) -> BTreeMap<String, String> {
    let asked = release.content.functions.get(function);
    let asked = asked.and_then(|it| it.aws.as_ref());
    let mut tags = asked.map(|it| it.tags.clone()).unwrap_or_default();
    tags.extend(tags::of(&release.service));
    tags
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
