//! What people do: commits, actions, edits by hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use verdigris::{
    cloud::fake::HandEdit,
    desired::DesiredService,
    name::{CloudName, FunctionName, ReleaseDigest, ServiceKey, Slot, Timestamp},
    plan::act::Action,
    reconcile::handle::Asked,
};

use super::{
    Play,
    fleet::{Calendar, Quality, SECRET, Way},
    realm::site_of,
};

/// The beginning of a hash that no plan has, but once in many lifetimes.
const WRONG_PLAN: &str = "sha256:0123456789";

pub(crate) const PEOPLE: [&str; 3] = ["ana", "bo", "cy"];

/// What the repository holds.
pub(crate) struct Git {
    /// What each service of the story is asked for; none where no manifest names it.
    manifests: Vec<Option<Manifest>>,
    pub(crate) is_whole: bool,
    versions: Vec<u64>,
    commits: u64,
}

#[derive(Clone)]
enum Manifest {
    /// With its version, and when it may be promoted.
    Right(Arc<DesiredService>, u64, Option<Calendar>),
    Wrong(String),
}

impl Git {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            manifests: vec![None; count],
            is_whole: true,
            versions: vec![0; count],
            commits: 0,
        }
    }
}

impl Play {
    /// A commit, mostly about one service.
    pub(crate) async fn commit(&mut self) {
        let service = self.any_service();
        let what = self.realm.chance().u32(0..20);
        match what {
            0 if self.git.manifests.iter().flatten().count() > 1 => self.drop_manifest(service),
            1 => self.break_manifest(service),
            2..8 => self.write_group(service),
            _ => self.write_manifest(service),
        }
        self.tell_git().await;
    }

    /// One commit about a service and all that may be promoted with it.
    fn write_group(&mut self, service: usize) {
        let members = &self.realm.fleet.members;
        let is_of =
            |other: &usize| *other == service || members[service].is_mate_of(&members[*other]);
        let group: Vec<usize> = (0..members.len()).filter(is_of).collect();
        for service in group {
            self.write_manifest(service);
        }
    }

    /// A right manifest, of a new version or an old one, with another way to get there.
    pub(crate) fn write_manifest(&mut self, service: usize) {
        self.git.commits += 1;
        let line = self.realm.fleet.members[service].line;
        let (version, quality) = self.any_version(line);
        for service in 0..self.realm.fleet.members.len() {
            if self.realm.fleet.members[service].line == line {
                self.write_as(service, version, quality);
            }
        }
    }

    fn any_version(&mut self, line: usize) -> (u64, Quality) {
        let mut chance = self.realm.chance();
        let newest = &mut self.git.versions[line];
        let is_old = *newest > 1 && chance.u32(0..5) == 0;
        let version = if is_old {
            chance.u64(1..*newest)
        } else {
            *newest += 1;
            *newest
        };
        let quality = match chance.u32(0..20) {
            _ if version == 1 => Quality::Good,
            0..2 => Quality::Bad,
            2..4 => Quality::BadLater,
            4 => Quality::Unclear,
            5..7 => Quality::Flaky,
            7 => Quality::Unbuildable,
            8 => Quality::Unhealthy,
            _ => Quality::Good,
        };
        (version, quality)
    }

    fn write_as(&mut self, service: usize, version: u64, quality: Quality) {
        let way = Way::any(&mut self.realm.chance());
        let member = &self.realm.fleet.members[service];
        let desired = member.at(version, self.git.commits, &way);
        let release = desired.release.digest;
        self.realm.qualities().put(release, quality);
        self.realm.step("commit", || {
            let quality = self.realm.qualities().of(release);
            format!(
                "{} version {version} ({}, {quality:?}), {}",
                member.key,
                release.short(),
                way.told()
            )
        });
        self.git.manifests[service] =
            Some(Manifest::Right(Arc::new(desired), version, way.calendar));
    }

    fn break_manifest(&mut self, service: usize) {
        self.git.commits += 1;
        let key = &self.realm.fleet.members[service].key;
        self.realm
            .step("commit", || format!("the manifest of {key} is wrong"));
        let fault = format!("line {}: `handlr` is not known", self.git.commits);
        self.git.manifests[service] = Some(Manifest::Wrong(fault));
    }

    fn drop_manifest(&mut self, service: usize) {
        self.git.commits += 1;
        let key = &self.realm.fleet.members[service].key;
        self.realm
            .step("commit", || format!("the manifest of {key} is removed"));
        self.git.manifests[service] = None;
    }

    /// Wrong manifests are made right.
    pub(crate) fn mend_manifests(&mut self) {
        for service in 0..self.git.manifests.len() {
            if matches!(self.git.manifests[service], Some(Manifest::Wrong(_))) {
                self.write_manifest(service);
            }
        }
    }

    /// The daemon reads the newest commit.
    pub(crate) async fn tell_git(&mut self) {
        let mut asked: BTreeMap<ServiceKey, Asked> = BTreeMap::new();
        for (service, manifest) in self.git.manifests.iter().enumerate() {
            let key = self.realm.fleet.members[service].key.clone();
            let mut checker = self.realm.checker();
            match manifest {
                Some(Manifest::Right(desired, version, calendar)) => {
                    checker.asked(service, desired, *version, *calendar);
                    asked.insert(key, Asked::Wanted(desired.clone()));
                }
                Some(Manifest::Wrong(fault)) => {
                    checker.asked_wrongly(service);
                    asked.insert(key, Asked::Invalid(vec![fault.clone()]));
                }
                None if self.git.is_whole => checker.no_longer_asked(service),
                None => {}
            }
        }
        self.daemon.ask(&asked, self.git.is_whole).await;
    }

    /// Somebody asks for something.
    pub(crate) async fn act(&mut self) {
        let service = self.any_service();
        let key = &self.realm.fleet.members[service].key;
        let reports = self.daemon.handle.report(key);
        let rejected = reports.and_then(|it| it.status.rejected.first().map(|it| it.release));
        let now = self.realm.now();
        let (action, who) = self.any_action(rejected, now);
        self.act_so(service, action, who).await;
    }

    fn any_action(
        &self,
        rejected: Option<ReleaseDigest>,
        now: Timestamp,
    ) -> (Action, &'static str) {
        let mut chance = self.realm.chance();
        let until = chance
            .bool()
            .then(|| now.after(Duration::from_secs(chance.u64(10..600))));
        let action = match chance.u32(0..26) {
            0..3 => Action::Abort { reason: None },
            3..7 => Action::Rollback { to: None },
            7 => Action::Rollback { to: rejected },
            8..10 => Action::Retry,
            10 => Action::Suspend {
                reason: "a walk".to_owned(),
                until,
            },
            11..13 => Action::Resume,
            13..15 => Action::Promote {
                full: chance.u32(0..3) == 0,
            },
            15..17 => Action::Approve { plan: None },
            17 => Action::Approve {
                plan: Some(WRONG_PLAN.to_owned()),
            },
            18..20 => Action::Pause { reason: None },
            20 => Action::Pin {
                to: None,
                reason: "a fair".to_owned(),
            },
            21..23 => Action::Unpin,
            23 => Action::Override {
                reason: "a fire".to_owned(),
            },
            _ => Action::Reconcile { token: None },
        };
        (action, PEOPLE[chance.usize(0..PEOPLE.len())])
    }

    pub(crate) async fn act_so(&mut self, service: usize, action: Action, who: &str) {
        let realm = self.realm.clone();
        let key = &realm.fleet.members[service].key;
        let word = action.word();
        let done = self.daemon.act(key, action.clone(), who).await;
        realm.step("action", || {
            let told = match &done {
                Some(Ok(())) => "taken".to_owned(),
                Some(Err(error)) => error.clone(),
                None => "no answer".to_owned(),
            };
            format!("{who}: {word} {key}: {told}")
        });
        let is_refused = matches!(&done, Some(Err(error)) if !error.contains("told to fail"));
        let is_sure = matches!(done, Some(Ok(())));
        if matches!(action, Action::Resume) || !is_refused {
            self.granted(service, &action, who, is_sure);
        }
    }

    /// An action that was taken, or may have been.
    fn granted(&self, service: usize, action: &Action, who: &str, is_sure: bool) {
        let mut checker = self.realm.checker();
        match action {
            Action::Promote { full: _ } => {
                checker.cut_short(service);
                checker.approved(service, who);
            }
            Action::Abort { .. } => checker.aborted(service, is_sure),
            Action::Retry => checker.retried(service, is_sure),
            Action::Rollback { .. } | Action::Pin { .. } => checker.rolled_back(service),
            Action::Suspend { until, .. } => checker.suspended(service, *until, is_sure),
            Action::Pause { .. } if is_sure => checker.paused(service),
            Action::Resume => checker.resumed(service, true),
            Action::Unpin => checker.resumed(service, false),
            Action::Approve { plan: None } => checker.approved(service, who),
            Action::Approve { plan: Some(_) } if is_sure => {
                let told = format!(
                    "a word for another plan is taken for {}",
                    self.realm.fleet.members[service].key
                );
                drop(checker);
                self.realm
                    .broke("approvals are for the plan as it is", told);
            }
            Action::Override { .. } => checker.opened(service),
            _ => {}
        }
    }

    /// Somebody goes past us to a cloud.
    pub(crate) fn edit(&mut self) {
        let service = self.any_service();
        let member = &self.realm.fleet.members[service];
        let mut chance = self.realm.chance();
        let cloud = member.targets[chance.usize(0..member.targets.len())];
        let function: FunctionName = "stock".parse().unwrap();
        let edit = match chance.u32(0..7) {
            0 => HandEdit::Empty(Slot::Green),
            1 => HandEdit::Empty(Slot::Blue),
            2 => HandEdit::Tear {
                slot: if chance.bool() {
                    Slot::Blue
                } else {
                    Slot::Green
                },
                function,
            },
            3 => HandEdit::Swap,
            _ => HandEdit::Field {
                slot: Slot::Blue,
                path: "stock.memory".to_owned(),
                value: Some(chance.u32(300..999).to_string()),
            },
        };
        drop(chance);
        self.realm
            .step("by hand", || format!("{} on {cloud}: {edit:?}", member.key));
        self.realm.checker().edited(service);
        let site = &self.realm.sites[site_of(member.environment, cloud)];
        site.cloud.edit(&member.key, edit);
        let blue = site.cloud.held(&member.key, Slot::Blue);
        self.realm.checker().holds(service, cloud, blue);
    }

    /// No record and no report tells a secret, but for records of what manifests say.
    pub(crate) async fn keeps_secrets(&self) {
        if let Some(tree) = self.daemon.disk.tells(SECRET).await {
            self.realm.broke(
                "secrets are kept",
                format!("a record of {} tells one", tree.name()),
            );
        }
        for member in &self.realm.fleet.members {
            let report = self.daemon.handle.report(&member.key);
            // A report always has a JSON form.
            let text = serde_json::to_string(&report.as_deref()).unwrap();
            let plan = self.daemon.handle.plan(&member.key).await;
            if text.contains(SECRET) || format!("{plan:?}").contains(SECRET) {
                self.realm.broke(
                    "secrets are kept",
                    format!("the status of {} tells one", member.key),
                );
            }
        }
    }

    pub(crate) fn any_service(&self) -> usize {
        let count = self.realm.fleet.members.len();
        self.realm.chance().usize(0..count)
    }

    pub(crate) fn any_target(&self) -> (usize, CloudName) {
        let site = self.realm.chance().usize(0..self.realm.sites.len());
        (site, self.realm.sites[site].name)
    }
}
