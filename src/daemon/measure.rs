//! Every kind of gate, asked with what the daemon has: addresses, commits, clouds, monitoring.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures_util::future::join_all;

use super::{config::PrometheusAccess, world::DaemonWorld};
use crate::{
    cloud::MetricQuestion,
    gates::{
        address, command, http,
        load::{self, Room},
        metric::{
            self, BlueReading, Reading, Subject,
            prometheus::{Server, ServerError},
        },
        parity,
    },
    git::tree::{ReadLimits, Snapshot},
    manifest::{
        gates::{LoadGate, MetricGate, MetricSource, ParityGate, PrometheusQuery},
        spec::{CommandGate, Gate, GateKind, GateStage, HttpGate},
    },
    name::{CloudName, ReleaseDigest, Slot},
    reconcile::world::{Question, World as _},
    rollout::evidence::{Evidence, Measurement, Outcome},
};

/// What gates are asked with.
pub struct Gates {
    pub client: http::Client,
    /// For all loads together.
    pub room: Room,
    pub prometheus: BTreeMap<String, Server>,
}

/// The clients of all configured servers.
///
/// # Errors
///
/// Certificate authorities that cannot be used.
pub(super) fn servers(
    configured: &BTreeMap<String, PrometheusAccess>,
) -> Result<BTreeMap<String, Server>, ServerError> {
    let server = |(name, access): (&String, &PrometheusAccess)| {
        let PrometheusAccess {
            url,
            access,
            ca_file,
        } = access;
        let server = Server::new(url.clone(), access.clone(), ca_file.as_deref())?;
        Ok((name.clone(), server))
    };
    configured.iter().map(server).collect()
}

impl DaemonWorld {
    pub(super) async fn ask_gate(&self, gate: &Gate, question: &Question) -> Vec<Measurement> {
        let targets = question.targets.iter().copied();
        match &gate.kind {
            GateKind::Http(http) => {
                join_all(targets.map(|target| self.ask(gate, http, question, target))).await
            }
            GateKind::Load(load) => {
                join_all(targets.map(|target| self.load(gate, load, question, target))).await
            }
            GateKind::Metric(metric) if metric.asks_each_target() => {
                let read = targets.map(|target| self.metric(gate, metric, question, Some(target)));
                join_all(read).await
            }
            GateKind::Metric(metric) => vec![self.metric(gate, metric, question, None).await],
            GateKind::Command(command) => vec![self.run(gate, command, question).await],
            GateKind::Parity(parity) => vec![self.parity(gate, parity, question).await],
            GateKind::Approval(_) => Vec::new(),
        }
    }

    async fn ask(
        &self,
        gate: &Gate,
        http: &HttpGate,
        question: &Question,
        target: CloudName,
    ) -> Measurement {
        let Some(addresses) = question.slots.get(&target) else {
            return self.unasked(no_slot(target)).on(target);
        };
        let content = &question.release.content;
        let route = |method: &str, path: &str| {
            address::of_request(method, path, content, addresses).cloned()
        };
        let asked = http::Question {
            gate: http,
            route: &route,
            timeout: gate.measure.timeout,
            release: Some(question.release.digest),
        };
        let client = self.client_for(question).await;
        http::measure(&client, &asked, &*self.clock)
            .await
            .on(target)
    }

    async fn load(
        &self,
        gate: &Gate,
        load: &LoadGate,
        question: &Question,
        target: CloudName,
    ) -> Measurement {
        let Some(addresses) = question.slots.get(&target) else {
            return self.unasked(no_slot(target)).on(target);
        };
        let asked = load::Question {
            gate: load,
            content: &question.release.content,
            addresses,
            timeout: gate.measure.timeout,
            release: question.release.digest,
        };
        let client = self.client_for(question).await;
        load::measure(&client, &self.gates.room, &asked, &*self.clock)
            .await
            .on(target)
    }

    async fn run(&self, gate: &Gate, command: &CommandGate, question: &Question) -> Measurement {
        // A script that finds no address for a target might pass without having asked there.
        if let Some(target) = without_slot(question) {
            return self.unasked(no_slot(target));
        }
        let Ok(folder) = tempfile::tempdir() else {
            return self.unasked("there is no room for a temporary folder".to_owned());
        };
        let into = folder.path().join("repository");
        let target = into.clone();
        let export = move |snapshot: &Snapshot| {
            snapshot
                .export("", &target, &ReadLimits::SERVICE)
                .map(|_| ())
        };
        if let Err(failure) = self.at_commit(&question.revision.commit, export).await {
            return self.unasked(failure.message);
        }
        let mut env = command.env.clone();
        env.extend(command::environment(
            &question.release.service,
            question.release.digest,
            &question.revision,
            &question.slots,
        ));
        let timeout = gate.measure.timeout;
        let script = command::Script {
            run: &command.run,
            folder: &into,
            env: &env,
            timeout,
            secrets: &[],
        };
        command::measure(&script, &*self.clock).await
    }

    async fn parity(&self, gate: &Gate, parity: &ParityGate, question: &Question) -> Measurement {
        if let Some(target) = without_slot(question) {
            return self.unasked(no_slot(target));
        }
        let file = match self.file(parity, question).await {
            Ok(file) => file,
            Err(why) => return self.unasked(why),
        };
        let asked = parity::Question {
            gate: parity,
            file: &file,
            content: &question.release.content,
            release: question.release.digest,
            slot: slot_of(question.after),
            slots: &question.slots,
            blue: &question.blue,
            timeout: gate.measure.timeout,
        };
        let client = self.client_for(question).await;
        parity::measure(&client, &asked, &*self.clock).await
    }

    /// The requests of a parity gate, at the rollout's commit.
    async fn file(&self, parity: &ParityGate, question: &Question) -> Result<String, String> {
        let path = parity.requests.as_str();
        let found = std::sync::Arc::new(Mutex::new(None));
        let (into, wanted) = (found.clone(), path.to_owned());
        let read = move |snapshot: &Snapshot| {
            let file = snapshot.file(&wanted, parity::requests::FILE_MAX)?;
            *into.lock().unwrap_or_else(PoisonError::into_inner) = file;
            Ok(())
        };
        let commit = &question.revision.commit;
        let done = self.at_commit(commit, read).await;
        done.map_err(|failure| failure.message)?;
        let file = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = file.ok_or_else(|| {
            let commit = commit.short();
            format!("`{path}` is not in commit {commit}: add the file, or correct `requests`")
        })?;
        String::from_utf8(bytes).map_err(|_| format!("`{path}` is no text in UTF-8"))
    }

    async fn metric(
        &self,
        gate: &Gate,
        metric: &MetricGate,
        question: &Question,
        target: Option<CloudName>,
    ) -> Measurement {
        let started_at = self.clock.now();
        let read = tokio::time::timeout(
            gate.measure.timeout,
            self.readings(gate, metric, question, target),
        );
        let late = || format!("no answer within {:?}", gate.measure.timeout);
        let (outcome, evidence) = match read.await.unwrap_or_else(|_| Err(late())) {
            Ok((query, reading, blue)) => {
                let (outcome, evidence) = metric::judge(metric, query, &reading, blue);
                (outcome, Evidence::Metric(evidence))
            }
            Err(why) => (Outcome::Error { why }, Evidence::None),
        };
        Measurement {
            target,
            started_at,
            finished_at: self.clock.now(),
            outcome,
            evidence,
        }
    }

    /// Green's number and, where the gate wants it, blue's of the same moment.
    async fn readings(
        &self,
        gate: &Gate,
        metric: &MetricGate,
        question: &Question,
        target: Option<CloudName>,
    ) -> Result<(String, Reading, BlueReading), String> {
        let cloud = target.or(match &metric.source {
            MetricSource::Prometheus(_) => None,
            MetricSource::CloudWatch(_) => Some(CloudName::Aws),
            MetricSource::AzureMonitor(_) => Some(CloudName::Azure),
        });
        let slot = slot_of(question.after);
        let asked = |release: ReleaseDigest, slot: Slot| {
            let subject = Subject {
                service: &question.release.service,
                release,
                revision: &question.revision,
                slot,
                cloud,
            };
            (metric::fill(&metric.source, &subject), slot)
        };
        let own = asked(question.release.digest, slot);
        let on_blue = match cloud {
            Some(cloud) => question.blue.get(&cloud),
            None => question.blue.values().next(),
        };
        let other = on_blue.filter(|held| held.release != question.release.digest);
        let at = self.clock.now();
        let reading = self.reading(gate, question, &own, at);
        let blue = async {
            match (&metric.baseline, other) {
                (None, _) => Ok(BlueReading::NotAsked),
                (Some(_), None) => Ok(BlueReading::NoBlue),
                (Some(_), Some(held)) => {
                    let asked = asked(held.release, Slot::Blue);
                    let reading = self.reading(gate, question, &asked, at).await;
                    Ok(BlueReading::Read {
                        query: metric::told(&asked.0),
                        reading: reading.map_err(|why| format!("blue: {why}"))?,
                    })
                }
            }
        };
        let (reading, blue) = futures_util::future::try_join(reading, blue).await?;
        Ok((metric::told(&own.0), reading, blue))
    }

    async fn reading(
        &self,
        gate: &Gate,
        question: &Question,
        (source, slot): &(MetricSource, Slot),
        at: crate::name::Timestamp,
    ) -> Result<Reading, String> {
        let cloud = match source {
            MetricSource::Prometheus(query) => {
                let server = self.server(query)?;
                return server.query(&query.query, at, gate.measure.timeout).await;
            }
            MetricSource::CloudWatch(_) => CloudName::Aws,
            MetricSource::AzureMonitor(_) => CloudName::Azure,
        };
        let unknown = || "its environment is not known any more".to_owned();
        let environment = question.environment.as_ref().ok_or_else(unknown)?;
        let reached = self.cloud(environment, cloud).await;
        let called = question.release.content.called();
        let asked = MetricQuestion {
            source,
            service: &question.release.service.service,
            called: &called,
            slot: *slot,
            until: at,
        };
        let cloud = reached.map_err(|failure| failure.message)?;
        match cloud.metric(&asked).await {
            Ok(Some(number)) => Ok(Reading::of(number)),
            Ok(None) => Ok(Reading::nothing("the cloud has no data of that time")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn server(&self, query: &PrometheusQuery) -> Result<&Server, String> {
        let known = &self.gates.prometheus;
        match (&query.server, known.len()) {
            (Some(name), _) => known.get(name).ok_or_else(|| {
                format!("the daemon's configuration has no `gates.prometheus` called `{name}`")
            }),
            (None, 0) => Err("the daemon's configuration names no `gates.prometheus`".to_owned()),
            // There is one, so there is a first.
            (None, 1) => known.values().next().ok_or_else(String::new),
            (None, _) => {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                let names = names.join(", ");
                Err(format!("the gate must name its `server`: one of {names}"))
            }
        }
    }

    /// There was nothing to ask: an error, which says nothing about the release.
    fn unasked(&self, why: String) -> Measurement {
        let now = self.clock.now();
        Measurement {
            target: None,
            started_at: now,
            finished_at: now,
            outcome: Outcome::Error { why },
            evidence: Evidence::None,
        }
    }
}

fn slot_of(after: GateStage) -> Slot {
    match after {
        GateStage::Staging | GateStage::Canary => Slot::Green,
        GateStage::Promotion => Slot::Blue,
    }
}

fn no_slot(target: CloudName) -> String {
    format!("no slot on {target} holds the release")
}

fn without_slot(question: &Question) -> Option<CloudName> {
    let mut targets = question.targets.iter().copied();
    targets.find(|target| !question.slots.contains_key(target))
}
