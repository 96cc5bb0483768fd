//! Manifests as written: every key that may stand in a file, and nothing that depends on two of them.
//!
//! A record is declared once: its struct, its reader and its JSON Schema come from the same lines and cannot disagree. Every field may
//! be missing here, so that one fault does not hide the next; the reader has told of it where it must not.

mod figure;
mod form;
mod read;
mod scalar;
mod short;

use std::collections::BTreeMap;

use schemars::JsonSchema;

use self::read::{Entries, Read};
pub(super) use self::{
    form::suggest,
    http::{CaptureLong, ExpectText, HttpText, RequestText},
    measured::{
        AzureMonitorText, CloudWatchText, LoadText, MetricText, ParityText, PrometheusText,
        ReplaceText,
    },
    read::{At, Draft, Named, Report},
    scalar::{ApiVersion, Cron, FailureLimit, Label, Length, MethodWord, VariableName},
    short::{AcrossText, CaptureText, CommandText, EnvText, FollowsText, ParameterForm},
    steps::{
        CanaryLong, CanaryText, PauseLong, PauseText, Share, StepLong, StepText, StrategyLong,
        StrategyText, StrategyWord,
    },
    window::WindowText,
};
use super::{
    spec::{GateStage, HttpRoute, Megabytes, RepoPath, Runtime},
    yaml::{Node, Place},
};
use crate::name::{CloudName, EnvironmentName, FunctionName, GateName, GroupName, ServiceName};

/// Declares a record: `"key" field: Type`, and which keys must be there.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident needs [$($needed:literal),*] {
        $($(#[$field_doc:meta])* $key:literal $field:ident: $kind:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, JsonSchema)]
        #[schemars(deny_unknown_fields, extend("required" = [$($needed),*]))]
        pub(in crate::manifest) struct $name {
            $($(#[$field_doc])* #[schemars(rename = $key, required)] pub(in crate::manifest) $field: Option<At<$kind>>,)*
        }

        impl $name {
            pub(in crate::manifest) const KEYS: &[&str] = &[$($key),*];
            const NEEDED: &[&str] = &[$($needed),*];
        }

        impl Read for $name {
            fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
                let entries = Entries::open(node, place, report)?;
                entries.check_keys(Self::KEYS, Self::NEEDED, report);
                Some(Self { $($field: entries.get($key, report),)* })
            }
        }
    };
}

/// Below the macro that they use.
mod aws;
mod azure;
mod drift;
mod http;
mod measured;
mod steps;
mod window;

pub(super) use self::aws::{
    AssumeText, AsynchronousText, ConcurrencyText, CorsText, EventText, FileSystemText,
    FunctionAwsText, LogsText, PermissionText, QueueText, RightsText, UrlText, VpcText,
};
pub(super) use self::azure::{
    ApiText, AuthText, AzureAppText, AzureCorsText, AzureText, HeaderRuleText, InsightsText,
    NetworkText, RoleText, ScaleText, StickyText, TokenText,
};
pub(super) use self::drift::{DriftLong, DriftText};

record! {
    /// A set of functions that are deployed, promoted and rolled back as one, on every cloud of its environments.
    ServiceDocument needs ["apiVersion", "kind", "metadata", "spec"] {
        "apiVersion" _api_version: ApiVersion,
        "kind" _kind: String,
        "metadata" metadata: Metadata<ServiceName>,
        "spec" spec: ServiceSpec,
    }
}

record! {
    /// Where services run: one account and region of AWS, one subscription, resource group and location of Azure, or one of the two.
    EnvironmentDocument needs ["apiVersion", "kind", "metadata", "spec"] {
        "apiVersion" _api_version: ApiVersion,
        "kind" _kind: String,
        "metadata" metadata: Metadata<EnvironmentName>,
        "spec" spec: EnvironmentSpec,
    }
}

record! {
    /// What whoever uses a shared gate may say.
    ParameterText needs [] {
        /// Its value where nothing is said. Without it: it must be said.
        "default" default: serde_json::Value,
        /// For people.
        "description" _description: String,
    }
}

record! {
    /// A gate with a name, for many services.
    GateDocument needs ["apiVersion", "kind", "metadata", "spec"] {
        "apiVersion" _api_version: ApiVersion,
        "kind" _kind: String,
        "metadata" metadata: Metadata<GateName>,
        /// What stands as `${NAME}` in `spec`, and is said `with` each use: a default, or `{ default, description }`.
        "parameters" parameters: Named<String, ParameterForm>,
        "spec" spec: GateSpec,
    }
}

/// What a document is called. Labels and annotations are for people and other tools.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "{N}Metadata", extend("required" = ["name"]))]
pub(super) struct Metadata<N> {
    #[schemars(required)]
    pub(super) name: Option<At<N>>,
    /// Short words to find it by.
    #[schemars(required, rename = "labels")]
    _labels: Option<At<Named<String, Label>>>,
    /// Anything else that people want to write down.
    #[schemars(required, rename = "annotations")]
    _annotations: Option<At<Named<String, String>>>,
}

impl<N> Metadata<N> {
    pub(super) const KEYS: &[&str] = &["name", "labels", "annotations"];
}

impl<N: Read> Read for Metadata<N> {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let entries = Entries::open(node, place, report)?;
        entries.check_keys(Self::KEYS, &["name"], report);
        Some(Self {
            name: entries.get("name", report),
            _labels: entries.get("labels", report),
            _annotations: entries.get("annotations", report),
        })
    }
}

record! {
    ServiceSpec needs ["runtime", "source", "functions"] {
        /// Environments that it runs in. Without it: all that the repository defines.
        "environments" environments: Vec<At<EnvironmentName>>,
        "runtime" runtime: Runtime,
        /// Folder of this repository with the code, relative to the root.
        "source" source: RepoPath,
        /// Shell command that runs in a copy of the source folder; what it leaves there is deployed.
        "build" build: String,
        "functions" functions: Named<FunctionName, FunctionSpec>,
        /// Memory of every function that does not say otherwise: `256Mi`, `256MB` or a number of MiB.
        "memory" memory: Megabytes,
        /// Longest run of every function that does not say otherwise.
        "timeout" timeout: Length,
        /// Variables of every function.
        "env" env: Named<VariableName, EnvText>,
        /// Services of the same environment that must be live at what Git asks for before a release of this one goes to green.
        "dependsOn" depends_on: Vec<At<ServiceName>>,
        "rollout" rollout: RolloutText,
        /// `enforce` (the default) repairs what was changed by hand, `observe` only tells; or `{ mode: enforce, ignore: [stock.memory] }`.
        "drift" drift: DriftText,
        "aws" aws: FunctionAwsText,
        "azure" azure: AzureAppText,
        /// What `${param:NAME}` stands for: in an environment of that name, and by `default`.
        "params" _params: Named<String, Named<String, serde_json::Value>>,
    }
}

record! {
    /// One function, and what calls it.
    FunctionSpec needs ["handler"] {
        /// Python: `module:attribute`. Node: `file.mjs:export`. Executable: path of a program in the package.
        "handler" handler: String,
        /// `GET /stock/{sku}`, `GET,POST /stock`, `ANY /stock` or `/stock`.
        "http" http: HttpRoute,
        /// Name of a queue; its messages call the function.
        "queue" queue: String,
        /// Cron expression of five fields, in UTC.
        "schedule" schedule: Cron,
        "memory" memory: Megabytes,
        "timeout" timeout: Length,
        /// Variables of this function; they win over the service's.
        "env" env: Named<VariableName, EnvText>,
        "aws" aws: FunctionAwsText,
    }
}

record! {
    SecretText needs ["secret"] {
        /// Name of the secret.
        "secret" secret: String,
    }
}

record! {
    /// How a release reaches blue.
    RolloutText needs [] {
        /// Tests that green must pass, in this order.
        "gates" gates: Vec<At<GateSpec>>,
        /// How long blue is watched after a promotion.
        "bake" bake: Length,
        /// `together` (the default), `[aws, azure]` (first one, then the other) or `{ order: [aws, azure], soak: 10m }`.
        "across" across: AcrossText,
        /// When the service may be promoted. Outside of them builds, staging and gates go on, and the promotion waits.
        "windows" windows: Vec<At<WindowText>>,
        /// `blueGreen` (the default: all at once), `{ canary: [10, 5m, 50, 5m] }`, or a name of CodeDeploy's such as
        /// `Canary10Percent5Minutes`.
        "strategy" strategy: StrategyText,
        /// Services of one group in one environment are promoted together or not at all.
        "group" group: GroupName,
    }
}

record! {
    AcrossLong needs ["order"] {
        "order" order: Vec<At<CloudName>>,
        /// How long the first cloud is watched before the second follows.
        "soak" soak: Length,
    }
}

record! {
    /// A gate: exactly one of `http`, `load`, `parity`, `metric`, `command`, `approval` and `gate`, and how it is measured.
    GateSpec needs [] {
        "http" http: HttpText,
        /// A command, or `{ run: command }`: run by `sh -c` in the repository's root. Exit code 0 passes.
        "command" command: CommandText,
        "approval" approval: ApprovalText,
        "load" load: LoadText,
        "parity" parity: ParityText,
        "metric" metric: MetricText,
        /// Name of a `Gate` document, which is used as it is.
        "gate" gate: GateName,
        /// Values for the parameters of that document.
        "with" with: Named<String, serde_json::Value>,
        /// Name in status and history. Without it: made from the kind.
        "name" name: GateName,
        /// `staging` (the default): green is asked before any promotion. `promotion`: blue is asked while it bakes.
        "after" after: GateStage,
        /// Measurements that are made, errors not counted. 1 without it, or as many as the bake has room for where `after: promotion` has
        /// an `interval`; 0 says that one, too.
        "count" count: u32,
        /// Time between two measurements.
        "interval" interval: Length,
        /// Time before the first measurement.
        "initialDelay" initial_delay: Length,
        /// Longest time that one measurement may take; for a `load` what it takes by itself.
        "timeout" timeout: Length,
        /// Failed measurements that are forgiven; -1 forgives any number, where `successLimit` says what is enough.
        "failureLimit" failure_limit: FailureLimit,
        /// Consecutive errors that are forgiven.
        "errorLimit" error_limit: u32,
        /// Measurements without a clear result that are forgiven.
        "inconclusiveLimit" inconclusive_limit: u32,
        /// Consecutive successes that are enough.
        "successLimit" success_limit: u32,
        /// Its verdict is told and not acted on.
        "dryRun" dry_run: bool,
        /// CEL that must be true of what was found, such as `json.left > 0 && latencyMs < 300`.
        "successCondition" success_condition: String,
        /// CEL that must not be true of what was found. Where both are written and neither holds, the measurement is inconclusive.
        "failureCondition" failure_condition: String,
    }
}

record! {
    CommandLong needs ["run"] {
        "run" run: String,
    }
}

record! {
    /// Waits for people.
    ApprovalText needs [] {
        /// Who may approve, by the name of their token. Without it and without `roles`: everyone whose token may act.
        "by" by: Vec<At<String>>,
        /// Who may approve, by a role of their token.
        "roles" roles: Vec<At<String>>,
        /// How many of them must; 1 without it.
        "quorum" quorum: u32,
        /// The rollout is rejected when nobody has approved by then. Without it: it waits.
        "expires" expires: Length,
    }
}

record! {
    EnvironmentSpec needs [] {
        "aws" aws: AwsText,
        "azure" azure: AzureText,
        /// When anything in this environment may be promoted.
        "windows" windows: Vec<At<WindowText>>,
        /// An environment, or `{ environment: staging, after: 30m }`: releases come here once they were live there for that long.
        "follows" follows: FollowsText,
        /// What `${param:NAME}` stands for in services here, unless the service says it itself.
        "params" _params: Named<String, serde_json::Value>,
    }
}

record! {
    FollowsLong needs ["environment"] {
        "environment" environment: EnvironmentName,
        /// How long a release must have been live there; without it, it follows at once.
        "after" after: Length,
    }
}

record! {
    /// A region and an account: that of `role`, or `account`.
    AwsText needs ["region"] {
        "region" region: String,
        /// ARN of the role that the functions run as, where they do not say it themselves.
        "role" role: String,
        /// Twelve digits, in quotes, instead of `role`: each function gets a role of its own, with the rights that it asks for.
        "account" account: String,
        /// A role that the daemon assumes here, from whatever it is otherwise.
        "assume" assume: AssumeText,
    }
}

/// Entries in the order of the text; a map for those who only need to look up.
impl<K: Clone + Ord, V: Clone> Named<K, V> {
    pub(super) fn to_map(&self) -> BTreeMap<K, V> {
        let plain = |(key, value): &(At<K>, At<V>)| (key.value.clone(), value.value.clone());
        self.0.iter().map(plain).collect()
    }
}

/// The kinds of documents, as written.
pub(super) const KINDS: [&str; 3] = ["Service", "Environment", "Gate"];

/// Reads a whole document. None means that the fault is reported.
pub(super) fn read_record<T: Read>(node: &Node, root: &Place, report: &mut Report) -> Option<T> {
    T::read(node, root, report)
}

record! {
    /// What every document starts with.
    Header needs ["apiVersion", "kind"] {
        "apiVersion" _api_version: ApiVersion,
        "kind" kind: String,
        "metadata" _metadata: serde_json::Value,
        "spec" _spec: serde_json::Value,
    }
}

/// Tells what is wrong with the head of a document whose kind is not one of ours.
pub(super) fn unknown_kind(node: &Node, root: &Place, report: &mut Report) {
    let header = Header::read(node, root, report);
    let Some(kind) = header.and_then(|header| header.kind) else {
        return;
    };
    let help = match form::suggest(&kind.value, KINDS.into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known kinds: {}", KINDS.join(", ")),
    };
    report.fault(
        &kind.place,
        format!("unknown kind `{}`", form::shorten(&kind.value)),
        help,
    );
}

/// A duration outside a manifest, with its fault as one sentence.
pub(super) fn plain_duration(text: &str) -> Result<std::time::Duration, String> {
    form::duration(text).map_err(|(message, help)| format!("{message}: {help}"))
}

pub(super) fn is_variable_name(text: &str) -> bool {
    form::variable(text).is_ok()
}

pub(super) fn is_route(text: &str) -> bool {
    form::route(text).is_ok()
}

pub(super) fn is_schedule(text: &str) -> bool {
    form::cron(text).is_ok()
}
