//! The services of one story, and what Git may ask of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use fastrand::Rng;
use verdigris::{
    desired::{DesiredService, Release},
    manifest::{
        set::{assemble, parse_file},
        spec::{
            Across, DriftMode, EnvValue, Environment, Follows, Gate, GateKind, GateStage, Service,
            Window, WindowEffect,
        },
        strategy::{CanaryStep, Strategy},
    },
    name::{
        CloudName, GroupName, ObjectId, Percent, ReleaseDigest, Revision, ServiceKey, ServiceName,
    },
};

pub(crate) const ENVIRONMENTS: [&str; 2] = ["prod", "staging"];

/// What the value of a variable begins with. Values may be secret: records of releases keep those that manifests write in plain words,
/// and nothing else tells any.
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
      - { name: rush, load: { rate: 50/s, for: 20s, p95: 300ms, errors: 0.1% } }
      - { name: alike, parity: { requests: tests/golden.http } }
      - { name: figures, metric: { prometheus: { query: 'sum(errors)' }, max: 0.01 } }
      - { name: each, metric: { prometheus: { query: 'errors{cloud="${cloud}"}' }, max: 0.01 } }
      - { name: people, approval: { by: [ana, bo], quorum: 1 } }
      - { name: watch, after: promotion, http: { path: /stock/42 } }
      - { name: vigil, after: promotion, metric: { prometheus: { query: 'sum(errors)' }, max: 0.01 } }
"#;

/// The gate whose metric each target has a number of.
pub(crate) const EACH: &str = "each";

/// What the manifests say, read once.
struct Template {
    environments: Vec<Arc<Environment>>,
    service: Service,
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
        Template {
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
    /// Members of one line have one manifest: the same service, here and in the environment that follows.
    pub(crate) line: usize,
    /// Members of its environment that it may depend on.
    needs: BTreeSet<ServiceName>,
    /// It may be of its environment's group.
    may_join: bool,
    place: Environment,
    service: Service,
}

/// Services of a seed: a few, in two environments.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
}

const NAMES: [&str; 3] = ["cart", "mail", "stock"];

impl Fleet {
    pub(crate) fn any(chance: &mut Rng) -> Self {
        let template = template();
        let mut members = Vec::new();
        let mut counts = [chance.usize(1..4), chance.usize(0..3)];
        let follows = (chance.u32(0..4) == 0).then(|| Duration::from_secs(chance.u64(0..60)));
        if follows.is_some() {
            counts[1] = counts[1].max(1);
            counts[0] = counts[0].min(counts[1]);
        }
        for (index, environment) in template.environments.iter().enumerate() {
            let mut place = Environment::clone(environment);
            // Now and then the second environment has one cloud only.
            if index == 1 && chance.u32(0..4) == 0 {
                place.azure = None;
            }
            if index == 0 {
                place.follows = follows.map(|after| Follows {
                    environment: ENVIRONMENTS[1].parse().unwrap(),
                    after,
                });
            }
            let ties = Ties::any(chance, counts[index]);
            for (number, name) in NAMES[..counts[index]].iter().enumerate() {
                let service = Service {
                    name: name.parse().unwrap(),
                    ..template.service.clone()
                };
                let is_one_line = follows.is_some() && number < counts[0];
                members.push(Member {
                    key: ServiceKey {
                        environment: place.name.clone(),
                        service: service.name.clone(),
                    },
                    environment: index,
                    targets: place.targets(),
                    line: if is_one_line { number } else { members.len() },
                    needs: ties.needs[number].clone(),
                    may_join: ties.group.contains(&number),
                    place: place.clone(),
                    service,
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

/// Who needs whom in an environment, and who is promoted with whom.
struct Ties {
    needs: Vec<BTreeSet<ServiceName>>,
    group: BTreeSet<usize>,
}

impl Ties {
    /// A service needs only those before it. Either nobody outside a group needs a member, or no member needs anybody outside: else a group
    /// could wait for what waits for the group.
    fn any(chance: &mut Rng, count: usize) -> Self {
        let is_tied = chance.u32(0..3) == 0;
        let has_group = count > 1 && chance.u32(0..3) == 0;
        let group: BTreeSet<usize> = match has_group {
            true if count > 2 && chance.bool() => [chance.usize(0..2), 2].into(),
            true => (0..count).collect(),
            false => BTreeSet::new(),
        };
        let is_first = chance.bool();
        let mut may_need = |who: usize, other: usize| {
            let (joins, other_joins) = (group.contains(&who), group.contains(&other));
            let is_apart = joins != other_joins && joins == is_first;
            is_tied && !is_apart && chance.u32(0..2) == 0
        };
        let needs = (0..count).map(|who| {
            let others = (0..who).filter(|other| may_need(who, *other));
            others.map(|other| NAMES[other].parse().unwrap()).collect()
        });
        Self {
            needs: needs.collect(),
            group,
        }
    }
}

/// A window of the story: on every so many minutes of the hour it opens for so many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Calendar {
    pub(crate) allows: bool,
    pub(crate) every: u64,
    pub(crate) minutes: u64,
}

impl Calendar {
    fn any(chance: &mut Rng) -> Self {
        let every = [5, 10, 20][chance.usize(0..3)];
        Self {
            allows: chance.bool(),
            every,
            minutes: chance.u64(1..every),
        }
    }

    fn window(self) -> Window {
        let Self {
            allows,
            every,
            minutes,
        } = self;
        Window {
            effect: match allows {
                true => WindowEffect::Allow,
                false => WindowEffect::Deny,
            },
            schedule: format!("*/{every} * * * *"),
            length: Duration::from_secs(60 * minutes),
            time_zone: "Europe/Brussels".to_owned(),
            reason: None,
        }
    }
}

/// How a release gets there, as some commit says.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    gates: Vec<Gate>,
    bake: Duration,
    across: Across,
    strategy: Strategy,
    pub(crate) calendar: Option<Calendar>,
    drift: DriftMode,
    is_grouped: bool,
    /// It depends on what it may.
    is_needy: bool,
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
            (GateKind::Load(_) | GateKind::Parity(_) | GateKind::Metric(_), _) => {
                chance.u32(0..8) == 0
            }
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
            if gate.after == GateStage::Promotion && chance.u32(0..8) == 0 {
                // It goes on until the bake ends.
                (gate.measure.count, gate.measure.success_limit) = (None, None);
                gate.measure.failure_limit = Some(0);
            }
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
            calendar: (chance.u32(0..8) == 0).then(|| Calendar::any(chance)),
            drift: match chance.u32(0..8) {
                0 => DriftMode::Observe,
                _ => DriftMode::Enforce,
            },
            is_grouped: chance.u32(0..10) > 0,
            is_needy: chance.u32(0..10) > 0,
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
        let calendar = self.calendar.map(|it| format!("; {}", it.window()));
        format!(
            "gates {gates}; bake {:?}; {:?}; {strategy}; drift {:?}{}",
            self.bake,
            self.across,
            self.drift,
            calendar.unwrap_or_default()
        )
    }
}

impl Member {
    /// The service at a version, as a commit asks for it.
    pub(crate) fn at(&self, version: u64, commit: u64, way: &Way) -> DesiredService {
        let tree = ObjectId::new(format!(
            "{:040x}",
            ((self.line as u128 + 1) << 64) | u128::from(version)
        ));
        let revision = Revision {
            reference: "main".to_owned(),
            commit: ObjectId::new(format!("{commit:040x}")).unwrap(),
        };
        let mut service = self.service.clone();
        let key = EnvValue::Plain(format!("{SECRET}-{version}"));
        service.env.insert("API_KEY".to_owned(), key);
        let release = Release::new(&service, &self.place, tree.unwrap(), revision);
        let mut rollout = self.service.rollout.clone();
        rollout.gates = way.gates.clone();
        rollout.bake = way.bake;
        rollout.across = way.across.clone();
        rollout.strategy = way.strategy.clone();
        rollout.windows = way.calendar.map(Calendar::window).into_iter().collect();
        rollout.group = self.group(way);
        DesiredService {
            release,
            environment: Arc::new(self.place.clone()),
            rollout,
            depends_on: match way.is_needy {
                true => self.needs.clone(),
                false => BTreeSet::new(),
            },
            drift: way.drift.into(),
        }
    }

    fn group(&self, way: &Way) -> Option<GroupName> {
        let joins = self.may_join && way.is_grouped;
        joins.then(|| "shop".parse().unwrap())
    }

    /// How long its releases must have been live where they are proven first.
    pub(crate) fn follows(&self) -> Option<Duration> {
        self.place.follows.as_ref().map(|it| it.after)
    }

    /// Whether the two may be promoted together.
    pub(crate) fn is_mate_of(&self, other: &Self) -> bool {
        self.may_join && other.may_join && self.environment == other.environment
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
