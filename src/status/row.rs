//! A service in one line of a list, and all services in a few numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    condition::{ConditionKind, Truth},
    service::{
        ServiceReport,
        phase::ServicePhase,
        rollout::GateCount,
        target::{Health, SlotReport, SlotState, Sync, TargetReport},
    },
};
use crate::name::{CloudName, EnvironmentName, Revision, ServiceName, Timestamp};

/// Bytes of the sentence in a row; the whole of it is in the report.
const WHY_MAX: usize = 240;

/// One service in short: what a list or a dashboard shows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRow {
    pub environment: EnvironmentName,
    pub name: ServiceName,
    pub generation: u64,
    pub resource_version: u64,
    pub phase: ServicePhase,
    pub ready: Truth,
    pub reason: String,
    /// One sentence: why the newest commit is not live, or that it is.
    pub why: String,
    pub attention: bool,
    pub suspended: bool,
    pub desired: Option<Revision>,
    pub live: Option<Revision>,
    pub targets: BTreeMap<CloudName, TargetRow>,
    /// Of the newest rollout.
    pub gates: GateCount,
    /// When `ready` changed last.
    pub since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TargetRow {
    pub health: Health,
    pub sync: Sync,
    pub blue: SlotRow,
    pub green: SlotRow,
}

/// A slot in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SlotRow {
    pub state: SlotState,
    /// Twelve digits of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `main@4f2a9c1`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

impl ServiceRow {
    pub fn of(report: &ServiceReport) -> Self {
        let ready = report.condition(ConditionKind::Ready);
        let status = &report.status;
        let mut why = status.why.clone();
        why.truncate(why.floor_char_boundary(WHY_MAX));
        Self {
            environment: report.metadata.environment.clone(),
            name: report.metadata.name.clone(),
            generation: report.metadata.generation,
            resource_version: report.metadata.resource_version,
            phase: status.phase,
            ready: report.ready(),
            reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            why,
            attention: status.attention,
            suspended: status.suspension.is_some(),
            desired: status.revisions.desired.clone(),
            live: status.revisions.live.clone(),
            targets: status.targets.iter().map(target).collect(),
            gates: status
                .rollout
                .as_ref()
                .map(|rollout| rollout.gates)
                .unwrap_or_default(),
            since: ready.map(|ready| ready.last_transition_time),
        }
    }
}

fn target(target: &TargetReport) -> (CloudName, TargetRow) {
    let row = TargetRow {
        health: target.health,
        sync: target.sync,
        blue: slot(&target.blue),
        green: slot(&target.green),
    };
    (target.cloud, row)
}

fn slot(slot: &SlotReport) -> SlotRow {
    SlotRow {
        state: slot.state,
        release: slot.release.map(|release| release.short()),
        revision: slot.revision.as_ref().map(Revision::short),
    }
}

/// All services in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub services: usize,
    pub attention: usize,
    /// Repositories that cannot be read.
    #[serde(default)]
    pub sources_failing: usize,
    /// Services of which the newest commit is live.
    pub ready: usize,
    /// Rollouts under way.
    pub rolling: usize,
    pub suspended: usize,
    pub phases: BTreeMap<ServicePhase, usize>,
    pub environments: BTreeMap<EnvironmentName, usize>,
    /// Targets of each cloud by their health.
    pub clouds: BTreeMap<CloudName, BTreeMap<Health, usize>>,
}

/// Counts. What is gone is not counted.
pub fn summary<'a>(reports: impl IntoIterator<Item = &'a ServiceReport>) -> Summary {
    let mut summary = Summary::default();
    for report in reports {
        if report.status.phase != ServicePhase::Removed {
            summary.add(report);
        }
    }
    summary
}

impl Summary {
    fn add(&mut self, report: &ServiceReport) {
        let status = &report.status;
        let is_rolling = status
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.active);
        self.services += 1;
        self.attention += usize::from(status.attention);
        self.ready += usize::from(report.ready() == Truth::True);
        self.rolling += usize::from(is_rolling);
        self.suspended += usize::from(status.suspension.is_some());
        *self.phases.entry(status.phase).or_default() += 1;
        let environment = report.metadata.environment.clone();
        *self.environments.entry(environment).or_default() += 1;
        for target in &status.targets {
            let cloud = self.clouds.entry(target.cloud).or_default();
            *cloud.entry(target.health).or_default() += 1;
        }
    }
}
