//! Clouds, builds and gates, as the daemon has them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{clouds::Clouds, measure::Gates, packages::Packages};
use crate::{
    build::{
        BuildError,
        recipe::{Entry, HttpRoute, Recipe, Runtime},
    },
    clock::Clock,
    cloud::SharedCloud,
    desired::Release,
    git::{
        GitError,
        mirror::Mirror,
        tree::{ReadLimits, Snapshot},
    },
    manifest::spec::{self, Environment, Function, Gate},
    name::{CloudName, ObjectId, RepositoryName},
    plan::state::PackageRecord,
    reconcile::world::{Question, World},
    rollout::{
        evidence::Measurement,
        intent::{Failure, Response},
    },
};

/// The mirrors of all repositories, shared with those who poll them.
pub type Mirrors = Arc<Mutex<BTreeMap<RepositoryName, Mirror>>>;

/// The world as it is.
pub struct DaemonWorld {
    pub clouds: Arc<Clouds>,
    pub packages: Arc<Packages>,
    pub mirrors: Mirrors,
    pub gates: Gates,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl World for DaemonWorld {
    async fn cloud(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure> {
        self.clouds.target(environment, cloud).await
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        let recipe = recipe(release);
        let builder = &self.packages.builder;
        let _turn = self.packages.turn.read().await;
        if let Some(built) = builder.cached(&recipe).await {
            return Ok(self.packages.lend(built));
        }
        let workspace = builder.workspace().map_err(|error| failed(&error))?;
        let (source, folder) = (release.content.source.clone(), workspace.source());
        let export = move |snapshot: &Snapshot| {
            snapshot
                .export(source.as_str(), &folder, &ReadLimits::SERVICE)
                .map(|_| ())
        };
        self.at_commit(&release.revision.commit, export).await?;
        let built = builder
            .build(&recipe, workspace)
            .await
            .map_err(|error| failed(&error))?;
        Ok(self.packages.lend(built))
    }

    async fn measure(&self, gate: &Gate, question: &Question) -> Vec<Measurement> {
        self.ask_gate(gate, question).await
    }
}

impl DaemonWorld {
    /// Reads a commit from whichever mirror holds it.
    pub(super) async fn at_commit<F>(&self, commit: &ObjectId, read: F) -> Result<(), Failure>
    where
        F: Fn(&Snapshot) -> Result<(), GitError> + Clone + Send + 'static,
    {
        let mirrors: Vec<Mirror> = self
            .mirrors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        let mut first_error = None;
        for mirror in mirrors {
            match mirror.read(commit, read.clone()).await {
                Ok(()) => return Ok(()),
                Err(GitError::NoSuchCommit { .. }) => {}
                // A mirror that is broken says nothing about what another one holds.
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.map_or_else(|| commit_missing(commit), |error| git_failure(&error)))
    }
}

/// What a release's packages are made from.
fn recipe(release: &Release) -> Recipe {
    let content = &release.content;
    let entry = |function: &Function| Entry {
        handler: function.handler.clone(),
        http: function.http.as_ref().map(|route| HttpRoute {
            methods: route.methods.clone(),
            path: route.path.0.clone(),
        }),
        queue: function.queue.clone(),
        schedule: function.schedule.clone(),
    };
    Recipe {
        service: release.service.service.clone(),
        runtime: match &content.runtime {
            spec::Runtime::Python(version) => Runtime::Python {
                version: version.clone(),
            },
            spec::Runtime::Node(version) => Runtime::Node {
                version: version.clone(),
            },
            spec::Runtime::Executable => Runtime::Executable,
        },
        build: content.build.clone(),
        functions: content
            .functions
            .iter()
            .map(|(name, function)| (name.clone(), entry(function)))
            .collect(),
        source_tree: content.source_tree.clone(),
        environment: BTreeMap::new(),
        host: content
            .azure
            .as_ref()
            .map(|azure| azure.host.clone())
            .unwrap_or_default(),
    }
}

fn failed(error: &BuildError) -> Failure {
    let response = match error {
        BuildError::Command(_)
        | BuildError::Handler(_)
        | BuildError::Files(_)
        | BuildError::Zip(_) => Response::Reject,
        BuildError::Shelf(_) | BuildError::Workspace { .. } | BuildError::Stopped => {
            Response::Retry
        }
    };
    Failure {
        reason: "BuildFailed".to_owned(),
        message: chain(error),
        response,
    }
}

/// It may be fetched again: this says nothing about the release.
fn commit_missing(commit: &ObjectId) -> Failure {
    Failure {
        reason: "CommitMissing".to_owned(),
        message: format!(
            "commit {} is in no repository that is followed",
            commit.short()
        ),
        response: Response::Retry,
    }
}

fn git_failure(error: &GitError) -> Failure {
    let response = if error.may_pass() {
        Response::Retry
    } else {
        Response::Reject
    };
    Failure {
        reason: error.reason().to_owned(),
        message: chain(error),
        response,
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        source = cause.source();
    }
    told
}
