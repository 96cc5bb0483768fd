//! Services: runtime and handlers, routes, variables, rollout.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    super::{
        raw::{
            AcrossText, At, DriftLong, DriftText, FunctionSpec, Named, Report, RolloutText,
            ServiceDocument, ServiceSpec,
        },
        spec::{Across, Drift, Functions, Gate, RolloutSpec, Runtime, Service},
        yaml::Place,
    },
    aws::{Written, check_events, check_logs},
    azure::azure,
    filled,
    function::{self, Defaults},
    gate::{GateDraft, gates},
    strategy::{step_gates, strategy},
    value,
    window::windows,
};
use crate::name::{CloudName, EnvironmentName, FunctionName, ServiceName};

/// A service whose own document is right, and what must be compared with other documents.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct ServiceDraft {
    pub(in crate::manifest) name: At<ServiceName>,
    /// Its gates stand in `gates` until references can be followed; they are in here already where there are none.
    pub(in crate::manifest) service: Arc<Service>,
    pub(in crate::manifest) gates: Vec<GateDraft>,
    pub(in crate::manifest) environments: Vec<At<EnvironmentName>>,
    pub(in crate::manifest) depends_on: Vec<At<ServiceName>>,
    pub(in crate::manifest) functions: BTreeMap<FunctionName, Place>,
    pub(in crate::manifest) source: Place,
    /// Where it says what is asked of Azure alone.
    pub(in crate::manifest) azure: Option<Place>,
    /// What it is in environments where its variables stand for something else.
    pub(in crate::manifest) variants: BTreeMap<EnvironmentName, Self>,
}

impl ServiceDraft {
    pub(in crate::manifest) fn in_environment(&self, name: &EnvironmentName) -> &Self {
        self.variants.get(name).unwrap_or(self)
    }
}

pub(in crate::manifest) fn service(
    document: &ServiceDocument,
    report: &mut Report,
) -> Option<ServiceDraft> {
    let name = document.metadata.as_ref()?.value.name.clone();
    let spec = &document.spec.as_ref()?.value;
    let ServiceSpec {
        environments,
        runtime,
        source,
        build,
        functions,
        memory,
        timeout,
        env,
        depends_on,
        rollout,
        drift,
        aws,
        azure: written_azure,
        _params: _,
    } = spec;
    let defaults = Defaults::of(memory, timeout, aws, report);
    let azure = azure(written_azure, report);
    let env = function::env(env, report);
    let named = functions.as_ref();
    let checked = named.and_then(|named| checked_functions(named, runtime, &defaults, report));
    let build = build.as_ref().map(|build| filled(build, report));
    let rollout = rollout_of(rollout, report);
    let environments = distinct_environments(environments, report);
    let depends_on = depends_on.as_ref();
    let depends_on = depends_on.map_or_else(Vec::new, |written| distinct(&written.value, report));
    let (functions, name, source) = (checked?, name?, source.clone()?);
    function::check_routes(&functions, named?, report);
    function::check_env_sizes(&functions, &env, named?, report);
    let written = Written {
        service: aws,
        functions: named?,
    };
    check_events(&functions, &written, report);
    check_logs(&functions, &written, report);
    let (gates, rollout) = rollout?;
    let service = Service {
        name: name.value.clone(),
        environments: environments.iter().map(|at| at.value.clone()).collect(),
        runtime: value(runtime)?,
        source: source.value,
        build: match build {
            None => None,
            Some(written) => Some(written?),
        },
        functions,
        env,
        depends_on: depends_on.iter().map(|at| at.value.clone()).collect(),
        rollout,
        drift: drift_of(drift),
        azure: azure.filter(|app| !app.is_empty()).map(Box::new),
    };
    let places = named?.value.0.iter();
    Some(ServiceDraft {
        name,
        service: Arc::new(service),
        gates,
        environments,
        depends_on,
        functions: places
            .map(|(name, at)| (name.value.clone(), at.place.clone()))
            .collect(),
        source: source.place,
        azure: written_azure.as_ref().map(|at| at.place.clone()),
        variants: BTreeMap::new(),
    })
}

fn checked_functions(
    named: &At<Named<FunctionName, FunctionSpec>>,
    runtime: &Option<At<Runtime>>,
    defaults: &Defaults,
    report: &mut Report,
) -> Option<Functions> {
    if named.value.0.is_empty() && !report.has_fault_below(&named.place) {
        let help = "add one, such as `api: { handler: app:app, http: / }`";
        report.fault(
            &named.place.key(),
            "a service has at least one function",
            help,
        );
        return None;
    }
    let runtime = runtime.as_ref().map(|at| &at.value);
    let mut functions = BTreeMap::new();
    let mut all_good = true;
    for (name, spec) in &named.value.0 {
        match function::function(spec, runtime, defaults, report) {
            Some(function) => {
                functions.insert(name.value.clone(), Arc::new(function));
            }
            None => all_good = false,
        }
    }
    all_good.then_some(functions)
}

fn distinct_environments(
    environments: &Option<At<Vec<At<EnvironmentName>>>>,
    report: &mut Report,
) -> Vec<At<EnvironmentName>> {
    let Some(written) = environments else {
        return Vec::new();
    };
    if written.value.is_empty() && !report.has_fault_below(&written.place) {
        let help = "remove the key to run in every environment";
        report.fault(&written.place.key(), "names no environment", help);
    }
    distinct(&written.value, report)
}

/// Names that must not stand in a list twice.
fn distinct<N: Clone + PartialEq>(written: &[At<N>], report: &mut Report) -> Vec<At<N>> {
    let mut kept: Vec<At<N>> = Vec::new();
    for name in written {
        if kept.iter().any(|known| known.value == name.value) {
            report.fault(&name.place, "stands here twice", "keep one");
        } else {
            kept.push(name.clone());
        }
    }
    kept
}

fn rollout_of(
    rollout: &Option<At<RolloutText>>,
    report: &mut Report,
) -> Option<(Vec<GateDraft>, RolloutSpec)> {
    let written = rollout.as_ref().map(|at| &at.value);
    let way = written.and_then(|text| text.strategy.as_ref());
    let specs = written.and_then(|text| text.gates.as_ref());
    let mut specs = specs.map_or_else(Vec::new, |specs| specs.value.clone());
    let plain = specs.len();
    specs.extend(step_gates(way));
    let drafts = gates(&specs, report);
    let named = drafts.as_deref().unwrap_or_default().iter().skip(plain);
    let strategy = strategy(way, named.map(GateDraft::name).cloned().collect(), report);
    let across = match written.and_then(|text| text.across.as_ref()) {
        None => Some(Across::Together),
        Some(across) => across_of(across, report),
    };
    let bake = written.and_then(|text| value(&text.bake));
    let no_windows = None;
    let windows = windows(written.map_or(&no_windows, |text| &text.windows), report);
    let drafts = drafts?;
    let mut spec = RolloutSpec {
        gates: own_gates(&drafts).unwrap_or_default(),
        bake: bake.map_or(Duration::ZERO, |length| length.0),
        across: across?,
        windows: windows?,
        strategy: strategy?,
        group: written.and_then(|text| value(&text.group)),
    };
    spec.claim_gates();
    Some((drafts, spec))
}

/// None where there are references.
fn own_gates(drafts: &[GateDraft]) -> Option<Vec<Gate>> {
    let own = |draft: &GateDraft| match draft {
        GateDraft::Own(gate) => Some((**gate).clone()),
        GateDraft::Shared(_) => None,
    };
    drafts.iter().map(own).collect()
}

fn drift_of(written: &Option<At<DriftText>>) -> Drift {
    match written.as_ref().map(|at| &at.value) {
        None => Drift::default(),
        Some(DriftText::Mode(mode)) => (*mode).into(),
        Some(DriftText::Long(DriftLong { mode, ignore })) => {
            let named = ignore.iter().flat_map(|named| &named.value);
            Drift {
                mode: value(mode).unwrap_or_default(),
                ignore: named.map(|at| at.value.clone()).collect(),
            }
        }
    }
}

fn across_of(across: &At<AcrossText>, report: &mut Report) -> Option<Across> {
    let (order, soak) = match &across.value {
        AcrossText::Word(_) => return Some(Across::Together),
        AcrossText::List(order) => (order, Duration::ZERO),
        AcrossText::Long(long) => {
            let soak = long.soak.as_ref().map_or(Duration::ZERO, |at| at.value.0);
            (&long.order.as_ref()?.value, soak)
        }
    };
    let clouds: Vec<CloudName> = order.iter().map(|at| at.value).collect();
    match clouds[..] {
        [first, second] if first != second => Some(Across::InOrder { first, soak }),
        _ => {
            if !report.has_fault_below(&across.place) {
                let help = "write `[aws, azure]`, `[azure, aws]` or `together`";
                report.fault(&across.place, "must name both clouds once", help);
            }
            None
        }
    }
}
