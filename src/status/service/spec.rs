//! What is asked for, in short. Values of variables are never told: they may be secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rollout::stage;
use crate::{
    desired::{DesiredService, Release, ReleaseContent},
    manifest::{
        aws::AwsFunction,
        azure::AzureApp,
        differences::differences,
        spec::{Across, DriftMode, Function, Gate, RolloutSpec},
    },
    name::{FunctionName, GateName, GroupName, ServiceName},
};

/// What Git asks for, or asked for last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecReport {
    pub runtime: String,
    /// A folder of the repository.
    pub source: String,
    pub build: Option<String>,
    pub functions: Vec<FunctionReport>,
    /// What is asked of Azure alone, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub azure: BTreeMap<String, String>,
    /// Names only.
    pub env: Vec<String>,
    pub gates: Vec<GateSpec>,
    /// `together`, or the order of the clouds.
    pub across: String,
    /// `blueGreen`, or the steps of the canary.
    #[serde(default)]
    pub strategy: String,
    pub bake_seconds: u64,
    /// When it may be promoted: the environment's windows, then its own.
    #[serde(default)]
    pub windows: Vec<String>,
    /// Services of the same environment that must be live first.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<ServiceName>,
    /// Services of one group are promoted together or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// `enforce` or `observe`.
    #[schema(value_type = String)]
    pub drift: DriftMode,
    /// Fields whose drift is left to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift_ignored: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FunctionReport {
    pub name: FunctionName,
    pub handler: String,
    /// `GET /stock/{sku}`.
    pub http: Option<String>,
    pub queue: Option<String>,
    pub schedule: Option<String>,
    pub memory_mib: u32,
    pub timeout_seconds: u64,
    /// What is asked of AWS alone, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aws: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateSpec {
    pub name: GateName,
    #[serde(rename = "type")]
    pub kind: String,
    pub after: String,
}

pub(super) fn spec(desired: &DesiredService) -> SpecReport {
    let DesiredService {
        release,
        environment,
        rollout,
        depends_on,
        drift,
    } = desired;
    let Release {
        service: _,
        digest: _,
        revision: _,
        content,
    } = release;
    let ReleaseContent {
        runtime,
        source,
        source_tree: _,
        build,
        functions,
        env,
        role: _,
        azure,
    } = &**content;
    let RolloutSpec {
        gates,
        bake,
        across,
        windows,
        group,
        strategy,
    } = rollout;
    SpecReport {
        runtime: runtime.to_string(),
        source: source.to_string(),
        build: build.clone(),
        functions: functions.iter().map(function).collect(),
        azure: app(azure.as_deref()),
        env: env.keys().cloned().collect(),
        gates: gates.iter().map(gate).collect(),
        across: match across {
            Across::Together => "together".to_owned(),
            Across::InOrder { first, soak } => format!("{first} first, {}s soak", soak.as_secs()),
        },
        strategy: strategy.told(),
        bake_seconds: bake.as_secs(),
        windows: environment
            .windows
            .iter()
            .chain(windows)
            .map(ToString::to_string)
            .collect(),
        depends_on: depends_on.clone(),
        group: group.clone(),
        drift: drift.mode,
        drift_ignored: drift.ignore.iter().map(ToString::to_string).collect(),
    }
}

fn function((name, function): (&FunctionName, &Arc<Function>)) -> FunctionReport {
    let Function {
        handler,
        http,
        queue,
        schedule,
        memory,
        timeout,
        env: _,
        aws,
    } = &**function;
    let route = http.as_ref().map(|http| {
        let methods = match http.methods.is_empty() {
            true => "ANY".to_owned(),
            false => http.methods.join("|"),
        };
        format!("{methods} {}", http.path.0)
    });
    FunctionReport {
        name: name.clone(),
        handler: handler.clone(),
        http: route,
        queue: queue.clone(),
        schedule: schedule.clone(),
        memory_mib: memory.0,
        timeout_seconds: timeout.as_secs(),
        aws: settings(aws.as_deref()),
    }
}

fn settings(aws: Option<&AwsFunction>) -> BTreeMap<String, String> {
    let asked = differences("aws", None, aws).into_iter();
    asked.map(|it| (it.path, it.to)).collect()
}

fn app(azure: Option<&AzureApp>) -> BTreeMap<String, String> {
    let told = azure.map(AzureApp::told);
    let asked = differences("azure", None, told.as_ref()).into_iter();
    asked.map(|it| (it.path, it.to)).collect()
}

fn gate(gate: &Gate) -> GateSpec {
    GateSpec {
        name: gate.name.clone(),
        kind: gate.kind.word().to_owned(),
        after: stage(gate.after).to_owned(),
    }
}
