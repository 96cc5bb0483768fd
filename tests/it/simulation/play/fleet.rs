//! The services of one story, and what Git may ask of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use fastrand::Rng;
use verdigris::{
    desired::{self, DesiredService, Release},
    manifest::{
        set::{assemble, parse_file},
        spec::{Across, Environment, Gate, GateKind, GateStage, Service},
        strategy::{CanaryStep, Strategy},
    },
    name::{CloudName, ObjectId, Percent, ReleaseDigest, Revision, ServiceKey},
};

pub(crate) const ENVIRONMENTS: [&str; 2] = ["prod", "staging"];

/// The value behind the name of a secret: it stands on the clouds only, and nowhere else.
pub(crate) const SECRET: &str = "xyzzy-do-not-tell";

const MANIFESTS: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  azure: { subscription: 11111111-2222-3333-4444-555555555555, resourceGroup: shop, location: westeurope, plan: EP1, prefix: shop }
---
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: staging }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::210987654321:role/functions' }
  azure: { subscription: 11111111-2222-3333-4444-666666666666, resourceGroup: shop, location: westeurope, plan: EP1, prefix: try }
---
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  runtime: python3.13
  source: services/shop
  functions:
    stock: { handler: app:app, http: 'GET /stock/{sku}' }
    reorder: { handler: app:reorder, http: 'POST /reorder' }
  env:
    LOG_LEVEL: info
    DB_PASSWORD: { secret: inventory-db }
  rollout:
    gates:
      - { name: smoke, http: { path: /stock/42 } }
      - { name: script, command: ./check }
      - { name: people, approval: { by: [ana, bo], quorum: 1 } }
      - { name: watch, after: promotion, http: { path: /stock/42 } }
"#;

/// What the manifests say, read once.
struct Template {
    environments: Vec<Arc<Environment>>,
    service: Service,
    desired: DesiredService,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let file = Arc::new(parse_file("shop.yaml", MANIFESTS));
        let set = assemble(&BTreeMap::from([("shop.yaml".to_owned(), file)]));
        assert!(set.faults.is_empty(), "{:?}", set.faults);
        let environments =
            ENVIRONMENTS.map(|name| set.environments[&name.parse().unwrap()].clone());
        let service = &set.services[&"shop".parse().unwrap()].service;
        let tree = ObjectId::new("0".repeat(40)).unwrap();
        let revision = Revision {
            reference: "main".to_owned(),
            commit: tree.clone(),
        };
        let assembled = desired::assemble(&set, &|_| Some(tree.clone()), &revision).desired;
        let desired = assembled.services.into_values().next();
        Template {
            desired: DesiredService::clone(&desired.unwrap()),
            environments: environments.into(),
            service: Service::clone(service),
        }
    })
}

/// How a release behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quality {
    Good,
    /// No gate lets it through.
    Bad,
    /// Its fault shows only when it serves users.
    BadLater,
    /// Gates cannot say.
    Unclear,
    /// Every third answer is wrong, or none.
    Flaky,
    Unbuildable,
    /// It does not start on the cloud.
    Unhealthy,
}

pub(crate) struct Member {
    pub(crate) key: ServiceKey,
    pub(crate) environment: usize,
    pub(crate) targets: Vec<CloudName>,
    place: Environment,
    service: Service,
    desired: DesiredService,
}

/// Services of a seed: a few, in two environments.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
}

impl Fleet {
    pub(crate) fn any(chance: &mut Rng) -> Self {
        const NAMES: [&str; 3] = ["cart", "mail", "stock"];
        let template = template();
        let mut members = Vec::new();
        for (index, environment) in template.environments.iter().enumerate() {
            let mut place = Environment::clone(environment);
            // Now and then the second environment has one cloud only.
            if index == 1 && chance.u32(0..4) == 0 {
                place.azure = None;
            }
            let count = if index == 0 {
                chance.usize(1..4)
            } else {
                chance.usize(0..3)
            };
            for name in &NAMES[..count] {
                let service = Service {
                    name: name.parse().unwrap(),
                    ..template.service.clone()
                };
                members.push(Member {
                    key: ServiceKey {
                        environment: place.name.clone(),
                        service: service.name.clone(),
                    },
                    environment: index,
                    targets: place.targets(),
                    place: place.clone(),
                    service,
                    desired: template.desired.clone(),
                });
            }
        }
        Self { members }
    }

    pub(crate) fn place(&self, key: &ServiceKey) -> usize {
        let found = self.members.iter().position(|member| member.key == *key);
        found.expect("a call names a service of the story")
    }
}

/// How a release gets there, as some commit says.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    gates: Vec<Gate>,
    bake: Duration,
    across: Across,
    strategy: Strategy,
}

/// Steps of a canary, some of them, and the gate that one of them may ask.
fn canary(chance: &mut Rng, gates: &mut Vec<Gate>) -> Strategy {
    let mut steps = vec![CanaryStep::Weight(Percent::new(10).unwrap())];
    if chance.bool() {
        let length = Duration::from_secs(chance.u64(1..30));
        steps.push(CanaryStep::Pause((chance.u32(0..4) > 0).then_some(length)));
    }
    let watch = template().service.rollout.gates.last();
    if let Some(watch) = watch.filter(|_| chance.bool()) {
        let mut share = watch.clone();
        share.name = "share".parse().unwrap();
        share.after = GateStage::Canary;
        steps.push(CanaryStep::Gates(vec![share.name.clone()]));
        gates.push(share);
    }
    if chance.bool() {
        steps.push(CanaryStep::Weight(Percent::new(60).unwrap()));
    }
    Strategy::Canary { steps }
}

impl Way {
    pub(crate) fn any(chance: &mut Rng) -> Self {
        let mut gates = template().service.rollout.gates.clone();
        gates.retain(|gate| match (&gate.kind, gate.after) {
            (GateKind::Approval(_), _) => chance.u32(0..6) == 0,
            (GateKind::Http(_), GateStage::Staging) => chance.u32(0..10) > 0,
            _ => chance.u32(0..3) == 0,
        });
        let strategy = match chance.u32(0..4) {
            0 => canary(chance, &mut gates),
            _ => Strategy::BlueGreen,
        };
        for gate in &mut gates {
            let count = chance.u32(1..3);
            gate.measure.count = Some(count);
            // Limits that a manifest may ask for: a gate never passes without a success, and can have the successes that it asks for.
            let forgiven = u32::from(chance.u32(0..4) == 0);
            gate.measure.failure_limit = Some(forgiven.min(count - 1));
            let in_row = chance.u32(0..6) == 0;
            gate.measure.success_limit = in_row.then(|| chance.u32(1..3).min(count));
            gate.measure.dry_run = chance.u32(0..12) == 0;
            if let GateKind::Approval(approval) = &mut gate.kind {
                approval.quorum = chance.u32(1..3);
                gate.measure.dry_run = false;
            }
        }
        let first = CloudName::ALL[chance.usize(0..2)];
        let soak = Duration::from_secs(chance.u64(1..20));
        let across = if chance.u32(0..3) == 0 {
            Across::InOrder { first, soak }
        } else {
            Across::Together
        };
        Self {
            gates,
            bake: Duration::from_secs(chance.u64(0..40)),
            across,
            strategy,
        }
    }
}

impl Way {
    /// `smoke x2, bake 30s, Together`
    pub(crate) fn told(&self) -> String {
        let gate = |gate: &Gate| {
            let dry = if gate.measure.dry_run { " dry" } else { "" };
            format!(
                "{} x{}{dry}",
                gate.name,
                gate.measure.count.unwrap_or_default()
            )
        };
        let gates: Vec<String> = self.gates.iter().map(gate).collect();
        let (gates, strategy) = (gates.join(", "), self.strategy.told());
        format!(
            "gates {gates}; bake {:?}; {:?}; {strategy}",
            self.bake, self.across
        )
    }
}

impl Member {
    /// The service at a version, as a commit asks for it.
    pub(crate) fn at(&self, index: usize, version: u64, commit: u64, way: &Way) -> DesiredService {
        let tree = ObjectId::new(format!(
            "{:040x}",
            ((index as u128 + 1) << 64) | u128::from(version)
        ));
        let revision = Revision {
            reference: "main".to_owned(),
            commit: ObjectId::new(format!("{commit:040x}")).unwrap(),
        };
        let release = Release::new(&self.service, &self.place, tree.unwrap(), revision);
        let mut rollout = self.service.rollout.clone();
        rollout.gates = way.gates.clone();
        rollout.bake = way.bake;
        rollout.across = way.across.clone();
        rollout.strategy = way.strategy.clone();
        // What the story says nothing about is as the manifests leave it.
        DesiredService {
            release,
            environment: self.place.clone(),
            rollout,
            ..self.desired.clone()
        }
    }
}

/// Every release that was ever asked for, and how it behaves.
#[derive(Default)]
pub(crate) struct Qualities(BTreeMap<ReleaseDigest, Quality>);

impl Qualities {
    pub(crate) fn of(&self, release: ReleaseDigest) -> Quality {
        self.0.get(&release).copied().unwrap_or(Quality::Good)
    }

    pub(crate) fn put(&mut self, release: ReleaseDigest, quality: Quality) {
        self.0.entry(release).or_insert(quality);
    }
}
