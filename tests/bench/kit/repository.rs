//! A bare repository with many services, written as trees: no working folder.

use std::path::{Path, PathBuf};

use git2::{FileMode, Oid, Repository, RepositoryInitOptions, Signature, build::TreeUpdateBuilder};
use verdigris::daemon::config::{self, Config};

const ENVIRONMENT: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  azure:
    subscription: 11111111-2222-3333-4444-555555555555
    resourceGroup: shop
    location: westeurope
    plan: EP1
    prefix: shop
---
apiVersion: verdigris.dev/v1alpha1
kind: Gate
metadata: { name: tells-version }
spec:
  http: { path: /version, latency: 5s, retries: 3 }
";

/// Services that one team has.
const TEAM: usize = 100;

pub(crate) struct Large {
    repository: Repository,
    folder: PathBuf,
}

impl Large {
    /// Makes one with this many services.
    pub(crate) fn new(folder: &Path, services: usize) -> Self {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).initial_head("main");
        let repository = Repository::init_opts(folder, &options).unwrap();
        let large = Self {
            repository,
            folder: folder.to_owned(),
        };
        let mut files = vec![("environment.yaml".to_owned(), ENVIRONMENT.to_owned())];
        for service in 0..services {
            files.push((
                format!("{}/service.yaml", path(service)),
                manifest(service, 256),
            ));
            files.push((format!("{}/app.py", path(service)), app(service, 1)));
        }
        large.commit(&files);
        large
    }

    /// A repository as the daemon is configured with it.
    pub(crate) fn configured(&self) -> config::Repository {
        let url = format!("file://{}", self.folder.display());
        let config = Config::for_repository(&url, "main", "").unwrap();
        config.repositories.into_iter().next().unwrap()
    }

    /// Commits new source of one service.
    pub(crate) fn change_source(&self, service: usize, version: usize) {
        self.commit(&[(format!("{}/app.py", path(service)), app(service, version))]);
    }

    /// Commits another manifest of one service.
    pub(crate) fn change_manifest(&self, service: usize, memory: usize) {
        self.commit(&[(
            format!("{}/service.yaml", path(service)),
            manifest(service, memory),
        )]);
    }

    fn commit(&self, files: &[(String, String)]) -> Oid {
        let repository = &self.repository;
        let parent = repository
            .refname_to_id("refs/heads/main")
            .ok()
            .map(|tip| repository.find_commit(tip).unwrap());
        let before = match &parent {
            Some(parent) => parent.tree().unwrap(),
            None => {
                let empty = repository.treebuilder(None).unwrap().write().unwrap();
                repository.find_tree(empty).unwrap()
            }
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, text) in files {
            let blob = repository.blob(text.as_bytes()).unwrap();
            update.upsert(path.as_str(), blob, FileMode::Blob);
        }
        let tree = update.create_updated(repository, &before).unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let author = Signature::now("Ana", "ana@example.com").unwrap();
        let parents: Vec<_> = parent.iter().collect();
        repository
            .commit(
                Some("refs/heads/main"),
                &author,
                &author,
                "change",
                &tree,
                &parents,
            )
            .unwrap()
    }
}

fn path(service: usize) -> String {
    format!(
        "teams/team-{:03}/services/{}",
        service / TEAM,
        name(service)
    )
}

pub(crate) fn name(service: usize) -> String {
    format!("svc-{service:05}")
}

fn app(service: usize, version: usize) -> String {
    format!(
        "# {} version {version}\nasync def app(scope, receive, send): ...\n",
        name(service)
    )
}

fn manifest(service: usize, memory: usize) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata:
  name: {name}
  labels: {{ team: team-{team:03} }}
spec:
  runtime: python3.13
  source: {path}
  memory: {memory}
  functions:
    read: {{ handler: \"app:app\", http: \"GET /{name}/{{id}}\" }}
    write: {{ handler: \"app:app\", http: \"POST /{name}\" }}
    refresh: {{ handler: \"app:refresh\", schedule: \"*/5 * * * *\" }}
  env:
    WAREHOUSE: Rotterdam
    LOG_LEVEL: info
  rollout:
    gates:
      - http: {{ path: /{name}/42, status: 200 }}
      - gate: tells-version
    bake: 0s
",
        name = name(service),
        team = service / TEAM,
        path = path(service),
    )
}
