//! What a daemon does around its loop: repositories that come, go and break; restarts; its configuration; its folders.

mod example;
mod keeping;
mod repositories;
mod restarts;
mod settings;

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use verdigris::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        config::Config,
        run::{self, Daemon, Options},
        site,
        sources::SourceState,
    },
    git::author::Author,
    name::{RepositoryName, ServiceKey, Timestamp},
    plan::state::ServiceState,
    status::source::SourceReport,
};

const PATIENCE: Duration = Duration::from_secs(60);

const ENVIRONMENT: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
";

fn manifest(name: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  \
         runtime: python3.13\n  source: app\n  functions:\n    \
         greet: {{ handler: 'app:app', http: GET /greet }}\n"
    )
}

/// Repositories, and a data folder that outlives daemons.
struct Yard {
    folder: TempDir,
}

impl Yard {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// A repository with one service of the same name.
    fn repository(&self, name: &str) -> Author {
        let author = Author::init(&self.folder.path().join(name)).unwrap();
        author.write("environment.yaml", ENVIRONMENT).unwrap();
        author.write("service.yaml", manifest(name)).unwrap();
        author
            .write("app/app.py", "async def app(): pass\n")
            .unwrap();
        author.commit("first").unwrap();
        author
    }

    /// A line of configuration for one of the repositories here.
    fn follows(&self, name: &str) -> String {
        let url = format!("file://{}", self.folder.path().join(name).display());
        follows(name, &url, "")
    }

    /// A daemon whose clouds answer nobody.
    async fn daemon(&self, repositories: &[String]) -> Daemon {
        let options = Options {
            config: config(repositories),
            config_file: None,
            data: self.folder.path().join("data"),
            identity: AzureIdentity::default(),
            search_path: None,
            clock: Arc::new(SystemClock),
            env: |_| None,
        };
        run::start(options).await.unwrap()
    }
}

fn follows(name: &str, url: &str, more: &str) -> String {
    format!("  - {{ name: {name}, url: {url:?}, interval: 1s{more} }}\n")
}

fn text(repositories: &[String]) -> String {
    format!(
        "clouds:\n  aws: {{ endpoint: 'http://127.0.0.1:9/' }}\nrepositories:\n{}",
        repositories.concat()
    )
}

fn config(repositories: &[String]) -> Config {
    Config::parse(Path::new("verdigris.yaml"), &text(repositories), &|_| None).unwrap()
}

fn key(name: &str) -> ServiceKey {
    format!("prod/{name}").parse().unwrap()
}

fn named(name: &str) -> RepositoryName {
    RepositoryName::new(name).unwrap()
}

/// Waits until something is there.
async fn some<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} never came");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn service(
    daemon: &Daemon,
    name: &str,
    what: &str,
    is_so: impl Fn(&ServiceState) -> bool,
) -> ServiceState {
    let key = key(name);
    let look = || async { daemon.handle.state(&key).await.filter(|state| is_so(state)) };
    some(what, look).await
}

async fn source(
    daemon: &Daemon,
    name: &str,
    what: &str,
    is_so: impl Fn(&SourceState) -> bool,
) -> SourceState {
    let (name, states) = (named(name), daemon.sources.watch());
    let look = || {
        let state = states.borrow().get(&name).cloned();
        let found = state.filter(|state| is_so(state));
        async { found }
    };
    some(what, look).await
}

/// What people read of the repositories.
fn reports(daemon: &Daemon) -> Vec<SourceReport> {
    let states = daemon.sources.watch();
    let states = states.borrow();
    site::tell(&states, &[], Timestamp::default())
}

async fn reasons(daemon: &Daemon) -> Vec<String> {
    let events = daemon.handle.last_events(1000).await.unwrap();
    events.into_iter().map(|event| event.reason).collect()
}
