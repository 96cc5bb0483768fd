//! What the newest commits ask for, read as the daemon reads them, into a folder that goes with the command.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        exit::{CliError, Result},
        screen::Screen,
    },
    unknown_name,
};
use crate::{
    daemon::{
        config::{Config, Repository},
        reader::{Reader, Reading},
    },
    desired::DesiredService,
    git::{GitError, mirror::Mirror},
    manifest::{set::Held, spec::Environment},
    name::{EnvironmentName, ServiceKey},
    plan::state::Ask,
};

/// What the commits of all repositories ask for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) services: BTreeMap<ServiceKey, Ask>,
    pub(super) environments: BTreeMap<EnvironmentName, Arc<Environment>>,
    /// Services that no manifest names are looked for only where everything could be read and was asked for.
    pub(super) is_whole: bool,
    pub(super) held: Vec<Held>,
    pub(super) faults: Vec<String>,
    /// Those whose plan is shown; all where nobody named any. The others are looked at because they matter to these.
    shown: Option<BTreeSet<ServiceKey>>,
}

/// Reads the newest commit of every repository.
pub(super) async fn read(config: &Config, screen: &Screen) -> Result<Asked> {
    let folder = tempfile::Builder::new()
        .prefix("verdigris-plan-")
        .tempdir()
        .map_err(|error| CliError::wrong(format!("failed to make a temporary folder: {error}")))?;
    let mut asked = Asked {
        is_whole: true,
        ..Asked::default()
    };
    for repository in &config.repositories {
        screen.progress(&format!("reading {}", repository.name));
        let reading = read_one(folder.path(), repository).await;
        screen.progress_done();
        asked.add(reading.map_err(|error| CliError::of(&error))?);
    }
    Ok(asked)
}

async fn read_one(folder: &std::path::Path, repository: &Repository) -> Result<Reading, GitError> {
    let mirror = Mirror::open(folder, &repository.name, repository.source.clone())?;
    let polled = mirror.poll().await?;
    let (path, revision) = (repository.path.clone(), polled.revision);
    let commit = revision.commit.clone();
    let env = repository.env.clone();
    let read = move |snapshot: &_| Reader::with_env(env).read(snapshot, &path, revision);
    mirror.read(&commit, read).await
}

impl Asked {
    fn add(&mut self, reading: Reading) {
        let Reading {
            revision: _,
            services,
            held,
            faults,
        } = reading;
        let errors = || faults.iter().filter(|fault| fault.is_error());
        for (key, desired) in Arc::unwrap_or_clone(services) {
            self.add_service(key, desired);
        }
        for service in &held.services {
            let told = errors().filter(|fault| fault.service.as_ref() == Some(service));
            let told: Vec<String> = told.map(ToString::to_string).collect();
            self.hold(service, &told);
        }
        self.is_whole &= held.unreadable.is_empty();
        self.faults.extend(errors().map(ToString::to_string));
        self.held.push(held);
    }

    fn add_service(&mut self, key: ServiceKey, desired: Arc<DesiredService>) {
        let environment = desired.environment.clone();
        self.environments
            .insert(key.environment.clone(), environment);
        let ask = match self.services.contains_key(&key) {
            false => Ask::Wanted(desired),
            true => {
                let fault = format!("two repositories ask for {key}: rename one");
                self.faults.push(fault.clone());
                invalid(vec![fault])
            }
        };
        self.services.insert(key, ask);
    }

    /// A service with a fault stands as it is in every environment that is known.
    fn hold(&mut self, service: &crate::name::ServiceName, faults: &[String]) {
        for environment in self.environments.keys() {
            let key = ServiceKey {
                environment: environment.clone(),
                service: service.clone(),
            };
            self.services
                .entry(key)
                .or_insert_with(|| invalid(faults.to_vec()));
        }
    }

    /// Leaves out everything that is neither named nor matters to what is.
    pub(super) fn only(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut wanted = BTreeSet::new();
        for name in names {
            let is_it =
                |key: &&ServiceKey| key.service.as_str() == name || key.to_string() == *name;
            let before = wanted.len();
            wanted.extend(self.services.keys().filter(is_it).cloned());
            if wanted.len() == before {
                return Err(unknown_name(name));
            }
        }
        let mut needed = wanted.clone();
        needed.extend(wanted.iter().flat_map(|key| self.around(key)));
        self.services.retain(|key, _| needed.contains(key));
        self.is_whole = false;
        self.shown = Some(wanted);
        Ok(())
    }

    /// What a service depends on, is promoted with, or follows.
    fn around(&self, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let Some(desired) = self.services.get(key).and_then(Ask::desired) else {
            return BTreeSet::new();
        };
        let at = |environment: &EnvironmentName, service| ServiceKey {
            environment: environment.clone(),
            service,
        };
        let follows = desired.environment.follows.as_ref();
        let followed = follows.map(|it| at(&it.environment, key.service.clone()));
        let needs = desired.depends_on.iter().cloned();
        let needs = needs.map(|service| at(&key.environment, service));
        let group = desired.rollout.group.as_ref();
        let is_mate = |(other, ask): &(&ServiceKey, &Ask)| {
            let theirs = ask.desired().and_then(|it| it.rollout.group.as_ref());
            group.is_some() && theirs == group && other.environment == key.environment
        };
        let mates = self.services.iter().filter(is_mate);
        let mates = mates.map(|(other, _)| other.clone());
        needs.chain(followed).chain(mates).collect()
    }

    /// Services whose plan is shown.
    pub(super) fn shown(&self) -> Option<&BTreeSet<ServiceKey>> {
        self.shown.as_ref()
    }

    /// Whether a service that no manifest names must be left alone.
    pub(super) fn keeps(&self, key: &ServiceKey) -> bool {
        self.services.contains_key(key) || self.held.iter().any(|held| held.keeps(key))
    }
}

fn invalid(faults: Vec<String>) -> Ask {
    Ask::Invalid {
        faults,
        last_good: None,
    }
}
