//! Half of all targets hang: what that costs the others from a commit to live. The real loop, store and Git over clouds that take their
//! time; every other round all of them answer.
//!
//! `VERDIGRIS_BENCH_ENVIRONMENTS` changes how many environments there are, each with two targets and five services.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use kit::{
    Figure,
    fleet::{Fleet, QuickWorld},
    ratio, setting, title,
};
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{SharedCloud, fake::FakeCloud},
    daemon::config::{Config, Repository},
    desired::Release,
    git::author::Author,
    manifest::spec::{Environment, Gate},
    name::{CloudName, ServiceKey, Timestamp},
    plan::state::PackageRecord,
    reconcile::world::{Question, World},
    rollout::{evidence::Measurement, intent::Failure},
};

const SERVICES: usize = 5;

/// How long each call to a cloud takes.
const LATENCY: Duration = Duration::from_millis(20);

const ROUNDS: usize = 5;

/// Each environment has clouds of its own; those of every other one may hang.
struct Halves {
    quick: QuickWorld,
    clouds: BTreeMap<(String, CloudName), Arc<FakeCloud>>,
}

impl Halves {
    fn new(environments: usize, hang: bool) -> Self {
        let mut clouds = BTreeMap::new();
        for number in 0..environments {
            for name in CloudName::ALL {
                let cloud = FakeCloud::new(name);
                cloud.slow(LATENCY);
                cloud.hang(hang && number % 2 == 1);
                clouds.insert((environment(number), name), Arc::new(cloud));
            }
        }
        Self {
            quick: QuickWorld::fake(),
            clouds,
        }
    }
}

#[async_trait]
impl World for Halves {
    async fn cloud(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure> {
        let key = (environment.name.to_string(), cloud);
        Ok(self.clouds[&key].clone())
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        self.quick.build(release).await
    }

    async fn measure(&self, gate: &Gate, question: &Question) -> Vec<Measurement> {
        self.quick.measure(gate, question).await
    }
}

fn environment(number: usize) -> String {
    format!("e{number:02}")
}

fn service(number: usize) -> String {
    format!("svc-{number}")
}

/// A repository whose services run in every environment.
fn repository(author: &Author, environments: usize) -> Repository {
    for number in 0..environments {
        let name = environment(number);
        let text = format!(
            "apiVersion: verdigris.dev/v1alpha1\nkind: Environment\nmetadata: {{ name: {name} }}\nspec:\n  \
             aws: {{ region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }}\n  azure:\n    \
             subscription: 11111111-2222-3333-4444-555555555555\n    resourceGroup: {name}\n    \
             location: westeurope\n    plan: EP1\n    prefix: {name}\n"
        );
        author.write(&format!("{name}.yaml"), text).unwrap();
    }
    for number in 0..SERVICES {
        let name = service(number);
        let text = format!(
            "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  \
             runtime: python3.13\n  source: {name}\n  functions:\n    \
             greet: {{ handler: 'app:app', http: 'GET /greet' }}\n  rollout: {{ bake: 0s }}\n"
        );
        author.write(&format!("{name}.yaml"), text).unwrap();
        author
            .write(&format!("{name}/app.py"), "async def app(): ...\n")
            .unwrap();
    }
    author.commit("first").unwrap();
    let url = format!("file://{}", author.folder().display());
    let config = Config::for_repository(&url, "main", "").unwrap();
    config.repositories.into_iter().next().unwrap()
}

/// From the start of following to live, for each service of the environments that always answer.
async fn round(environments: usize, hang: bool) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let author = Author::init(&folder.path().join("origin")).unwrap();
    let repository = repository(&author, environments);
    let store = Fleet::store(folder.path());
    let world = Halves::new(environments, hang);
    let hung: Vec<Arc<FakeCloud>> = world.clouds.values().cloned().collect();
    let fleet = Fleet::start(folder.path(), store, world).await;
    let began = SystemClock.now();
    fleet.follow(&repository);
    let mut took = Vec::new();
    for number in (0..environments).step_by(2) {
        for name in 0..SERVICES {
            let key = format!("{}/{}", environment(number), service(name));
            let live = live_at(&fleet, &key.parse().unwrap()).await;
            took.push(live.since(began));
        }
    }
    for cloud in hung {
        cloud.hang(false);
    }
    fleet.stop().await;
    took
}

async fn live_at(fleet: &Fleet, key: &ServiceKey) -> Timestamp {
    loop {
        if let Some(rollout) = fleet.handle.rollout(key).await
            && rollout.phase.word() == "Live"
        {
            return rollout.transitions.last().unwrap().at;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::main]
async fn main() {
    let environments = setting("VERDIGRIS_BENCH_ENVIRONMENTS", 20);
    title(&format!(
        "from the first commit to live: {} services, each call takes {} ms",
        environments / 2 * SERVICES,
        LATENCY.as_millis()
    ));
    let mut all_answer = Figure::new("all targets answer");
    let mut half_hang = Figure::new("half of all targets hang: the others");
    for _ in 0..ROUNDS {
        for took in round(environments, false).await {
            all_answer.add(took);
        }
        for took in round(environments, true).await {
            half_hang.add(took);
        }
    }
    all_answer.print();
    half_hang.print();
    ratio(
        "… against that, medians",
        half_hang.median(),
        all_answer.median(),
    );
}
