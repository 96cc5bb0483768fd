//! Builds and gates, which fail as they do.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use tokio::time::sleep;
use verdigris::{
    cloud::SharedCloud,
    desired::Release,
    manifest::spec::{Environment, Gate, GateKind, GateStage},
    name::{CloudName, CodeDigest, ReleaseDigest, ServiceKey, Slot},
    plan::state::PackageRecord,
    reconcile::world::{Question, World},
    rollout::{
        evidence::{Evidence, Measurement, Outcome},
        intent::{Failure, Response},
    },
};

use super::{
    cloud::Door,
    disk::Disk,
    fleet::{EACH, ENVIRONMENTS, Quality},
    realm::{Life, Realm, forever, site_of},
};

/// The world as one life of the daemon reaches it.
pub(crate) struct Outside {
    doors: Vec<SharedCloud>,
    realm: Arc<Realm>,
    life: Arc<Life>,
}

impl Outside {
    pub(crate) fn new(realm: &Arc<Realm>, life: &Arc<Life>, disk: &Arc<Disk>) -> Self {
        let door = |site| -> SharedCloud {
            Arc::new(Door {
                realm: realm.clone(),
                site,
                life: life.clone(),
                disk: disk.clone(),
            })
        };
        Self {
            doors: (0..realm.sites.len()).map(door).collect(),
            realm: realm.clone(),
            life: life.clone(),
        }
    }

    /// What one asking of a gate finds on a target.
    fn outcome(&self, key: &ServiceKey, question: &Question, target: CloudName) -> Outcome {
        let release = question.release.digest;
        let environment = self.realm.fleet.members[self.realm.fleet.place(key)].environment;
        let site = &self.realm.sites[site_of(environment, target)];
        let is_down = site.hang.is_so() || site.mood.lock().unwrap().outage.is_some();
        let holds = |slot| site.cloud.held(key, slot) == Some(release);
        let is_there = match question.after {
            GateStage::Staging | GateStage::Canary => holds(Slot::Green) || holds(Slot::Blue),
            GateStage::Promotion => holds(Slot::Blue),
        };
        if is_down || !is_there || !question.slots.contains_key(&target) {
            return Outcome::Error {
                why: "no answer, or another release's".to_owned(),
            };
        }
        self.judged(release, question.after)
    }

    fn judged(&self, release: ReleaseDigest, after: GateStage) -> Outcome {
        let failed = || Outcome::Failed {
            why: "status is 500, not 200".to_owned(),
        };
        match (self.realm.qualities().of(release), after) {
            (Quality::Bad, _) | (Quality::BadLater, GateStage::Promotion) => failed(),
            (Quality::Unclear, _) => Outcome::Inconclusive {
                why: "too few answers".to_owned(),
            },
            (Quality::Flaky, _) => match self.realm.chance().u32(0..6) {
                0 => failed(),
                1 => Outcome::Error {
                    why: "no answer in time".to_owned(),
                },
                _ => Outcome::Successful,
            },
            (Quality::Good | Quality::BadLater | Quality::Unbuildable | Quality::Unhealthy, _) => {
                Outcome::Successful
            }
        }
    }

    fn tell(&self, gate: &Gate, question: &Question, measurement: &Measurement) {
        let key = &question.release.service;
        let service = self.realm.fleet.place(key);
        self.realm.checker().measured(
            service,
            question.release.digest,
            gate,
            measurement.target,
            &measurement.outcome,
        );
        self.realm.step("measured", || {
            let Measurement {
                target, outcome, ..
            } = measurement;
            let target = target.map(|it| it.to_string()).unwrap_or_default();
            let release = question.release.digest.short();
            format!(
                "{key} gate {} of {release} {target}: {outcome:?}",
                gate.name
            )
        });
    }

    async fn wait(&self, millis: std::ops::Range<u64>) {
        let time = self.realm.millis(millis);
        sleep(time).await;
        if self.life.is_dead() {
            forever::<()>().await;
        }
    }
}

fn asks_each(gate: &Gate) -> bool {
    match &gate.kind {
        GateKind::Http(_) | GateKind::Load(_) => true,
        GateKind::Command(_) | GateKind::Parity(_) | GateKind::Approval(_) => false,
        GateKind::Metric(_) => gate.name.as_str() == EACH,
    }
}

#[async_trait]
impl World for Outside {
    async fn cloud(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure> {
        let name = environment.name.as_str();
        let place = ENVIRONMENTS.iter().position(|it| *it == name);
        let place = place.expect("the environments of a story are known");
        Ok(self.doors[site_of(place, cloud)].clone())
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        self.wait(50..4_000).await;
        let service = self.realm.fleet.place(&release.service);
        self.realm.checker().built(service);
        let is_bad = self.realm.qualities().of(release.digest) == Quality::Unbuildable;
        let is_failing = self.realm.builds_fail.load(Ordering::Relaxed);
        self.realm.step("built", || {
            let told = if is_bad || is_failing {
                "fails"
            } else {
                "is built"
            };
            format!("{} {} {told}", release.service, release.digest.short())
        });
        if is_bad || is_failing {
            self.realm.checker().trouble(service, "a build failed");
            return Err(Failure {
                reason: "BuildFailed".to_owned(),
                message: "exit code 1".to_owned(),
                response: if is_bad {
                    Response::Reject
                } else {
                    Response::Retry
                },
            });
        }
        let package = |cloud: CloudName| PackageRecord {
            code: CodeDigest::of(format!("{cloud} {}", release.content.source_tree).as_bytes()),
            path: "/dev/null".into(),
            size: 0,
        };
        Ok(CloudName::ALL.map(|cloud| (cloud, package(cloud))).into())
    }

    async fn measure(&self, gate: &Gate, question: &Question) -> Vec<Measurement> {
        let key = &question.release.service;
        let started_at = self.realm.now();
        self.wait(5..2_000).await;
        let finished_at = self.realm.now();
        let measurement = |target: Option<CloudName>, outcome: Outcome| Measurement {
            target,
            started_at,
            finished_at,
            outcome,
            evidence: Evidence::None,
        };
        let targets = question.targets.iter();
        let mut found = targets.map(|target| (Some(*target), self.outcome(key, question, *target)));
        let measurements: Vec<Measurement> = match &gate.kind {
            // One answer for all of them: the first that is no success.
            _ if !asks_each(gate) => {
                let worst = found.find(|(_, outcome)| *outcome != Outcome::Successful);
                let outcome = worst.map_or(Outcome::Successful, |(_, outcome)| outcome);
                vec![measurement(None, outcome)]
            }
            _ => found
                .map(|(target, outcome)| measurement(target, outcome))
                .collect(),
        };
        for measurement in &measurements {
            self.tell(gate, question, measurement);
        }
        measurements
    }
}
