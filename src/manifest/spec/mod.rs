//! The checked form of every kind. A value of these types has passed every rule.

mod gate;
mod shape;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::gate::{
    ApprovalGate, Capture, CommandGate, Gate, GateKind, GateStage, HttpGate, HttpStep, Measure,
};
use super::{
    aws::AwsFunction,
    azure::{AzureApp, AzureShared},
    strategy::Strategy,
};
pub use super::{
    drift::{Drift, DriftMode, FieldPattern},
    window::{Times, Window, WindowEffect},
};
use crate::name::{CloudName, EnvironmentName, FunctionName, GroupName, ServiceName};

/// A folder or file of the repository: relative, `/`-separated, without `.`, `..` or empty parts. The root is empty.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

impl RepoPath {
    /// # Errors
    ///
    /// Refuses absolute paths, backslashes, NUL and the parts `.`, `..` and `.git`.
    pub fn new(path: impl Into<String>) -> Result<Self, BadPath> {
        let path = path.into();
        let trimmed = path
            .strip_prefix("./")
            .unwrap_or(&path)
            .trim_end_matches('/');
        let is_bad =
            |part: &str| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git");
        if path.starts_with('/')
            || path.contains(['\\', '\0'])
            || (!matches!(trimmed, "" | ".") && trimmed.split('/').any(is_bad))
        {
            return Err(BadPath { path });
        }
        Ok(Self(if trimmed == "." {
            String::new()
        } else {
            trimmed.to_owned()
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A path that leaves the repository or is not plainly written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "path `{path}` must be relative to the repository's root, without `.`, `..`, `.git` or backslashes"
)]
pub struct BadPath {
    pub path: String,
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for RepoPath {
    type Error = BadPath;

    fn try_from(path: String) -> Result<Self, BadPath> {
        Self::new(path)
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0
    }
}

/// What runs the code. The version is as users write it: `3.13`, `22`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "language", content = "version")]
pub enum Runtime {
    /// Written `python3.13`.
    Python(String),
    /// Written `nodejs22`.
    Node(String),
    /// Any program that serves HTTP on `$PORT`.
    Executable,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python(version) => write!(f, "python{version}"),
            Self::Node(version) => write!(f, "nodejs{version}"),
            Self::Executable => f.write_str("executable"),
        }
    }
}

/// A set of functions that are deployed, promoted and rolled back as one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub name: ServiceName,
    /// Where it runs; empty means every environment of the repository's path.
    pub environments: Vec<EnvironmentName>,
    pub runtime: Runtime,
    pub source: RepoPath,
    pub build: Option<String>,
    /// Never empty.
    pub functions: Functions,
    /// Variables of every function.
    pub env: BTreeMap<String, EnvValue>,
    /// Services of the same environment that must be live at what Git asks for before a release of this one goes to green.
    pub depends_on: BTreeSet<ServiceName>,
    pub rollout: RolloutSpec,
    pub drift: Drift,
    /// What is asked of Azure alone, for its app there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<Box<AzureApp>>,
}

/// The functions of a service, shared by every release that has them.
pub type Functions = BTreeMap<FunctionName, Arc<Function>>;

/// One function: one Lambda function, one entry of the Function App.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Meaning by runtime: `module:attribute`, `file.mjs:export`, path of a program.
    pub handler: String,
    pub http: Option<HttpRoute>,
    /// Name of the queue that it consumes.
    pub queue: Option<String>,
    /// Cron expression of five fields, in UTC.
    pub schedule: Option<String>,
    pub memory: Megabytes,
    pub timeout: Duration,
    /// Variables of this function only; they win over the service's. On Azure they are the app's, since an app shares its settings.
    pub env: BTreeMap<String, EnvValue>,
    /// What is asked of AWS alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Box<AwsFunction>>,
}

/// Memory in MiB, between 128 and 10,240 (the limits of Lambda).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Megabytes(pub u32);

/// `GET /stock/{sku}`: methods and a path pattern.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HttpRoute {
    /// Upper case; empty means any.
    pub methods: Vec<String>,
    pub path: PathPattern,
}

impl HttpRoute {
    /// Whether it answers a request, by method and path without query.
    pub fn answers(&self, method: &str, path: &str) -> bool {
        let Self {
            methods,
            path: pattern,
        } = self;
        (methods.is_empty() || methods.iter().any(|known| known == method)) && pattern.matches(path)
    }
}

/// A path with `{name}` for one segment and `{name+}` for the rest. Starts with `/`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathPattern(pub String);

impl PathPattern {
    /// Whether a request path (without query) belongs to this pattern.
    pub fn matches(&self, path: &str) -> bool {
        let mut wanted = self.0.trim_matches('/').split('/');
        let mut given = path.trim_matches('/').split('/');
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(part), Some(_)) if part.ends_with("+}") => return true,
                (Some(part), Some(segment)) if part.starts_with('{') && !segment.is_empty() => {}
                (Some(part), Some(segment)) if part == segment => {}
                _ => return false,
            }
        }
    }
}

/// The value of a variable.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvValue {
    Plain(String),
    /// The name of a secret in each cloud's own store, resolved there and never by us.
    Secret(String),
}

/// How a release reaches blue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RolloutSpec {
    /// References to `Gate` documents are resolved.
    pub gates: Vec<Gate>,
    /// How long blue is watched after a promotion.
    pub bake: Duration,
    pub across: Across,
    /// When it may be promoted, as far as the service says; its environment may say more.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Services of one group in one environment are promoted together or not at all.
    #[serde(default)]
    pub group: Option<GroupName>,
    /// How users come to it.
    #[serde(default)]
    pub strategy: Strategy,
}

/// The order of promotion over the clouds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Across {
    /// Both at once.
    Together,
    /// One, then a soak, then the other.
    InOrder { first: CloudName, soak: Duration },
}

/// Where services run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub name: EnvironmentName,
    /// At least one of the two clouds is there.
    pub aws: Option<AwsTarget>,
    pub azure: Option<AzureTarget>,
    /// When anything in it may be promoted.
    #[serde(default)]
    pub windows: Vec<Window>,
    #[serde(default)]
    pub follows: Option<Follows>,
}

/// A release comes here only after it was live elsewhere for a while.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Follows {
    pub environment: EnvironmentName,
    /// How long it must have been live there.
    pub after: Duration,
}

impl Environment {
    pub fn targets(&self) -> Vec<CloudName> {
        let has = |cloud: &CloudName| match cloud {
            CloudName::Aws => self.aws.is_some(),
            CloudName::Azure => self.azure.is_some(),
        };
        CloudName::ALL.into_iter().filter(has).collect()
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct AwsTarget {
    pub region: String,
    pub role: Role,
    /// As whom the daemon works here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume: Option<Assume>,
}

/// A role that the daemon assumes, from whatever it is otherwise.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assume {
    /// Its ARN.
    pub role: String,
    /// What the role's owner wants to hear. AWS counts it as no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// By which the account's log names the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl AwsTarget {
    /// The account that its functions are in. Empty where the role's ARN names none.
    pub fn account(&self) -> &str {
        match &self.role {
            Role::Given(arn) => account_in(arn),
            Role::Own { account } => account,
        }
    }
}

impl Assume {
    /// The account of the role.
    pub fn account(&self) -> &str {
        account_in(&self.role)
    }
}

fn account_in(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// What an environment's functions run as, where they do not say it themselves.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Role {
    /// ARN of a role that is there.
    Given(String),
    /// Each function has a role of its own, in this account, with the rights that its manifest asks for and no others.
    Own { account: String },
}

impl Role {
    pub fn given(&self) -> Option<&String> {
        match self {
            Self::Given(arn) => Some(arn),
            Self::Own { account: _ } => None,
        }
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct AzureTarget {
    pub subscription: String,
    pub resource_group: String,
    pub location: String,
    pub plan: AzurePlan,
    /// First part of each Function App's name, which must be unique in the world.
    pub prefix: String,
    /// What its services share, where it is not made with names of our own.
    #[serde(default)]
    pub shared: AzureShared,
}

/// A plan by its size. Consumption (`Y1`) has one slot beside production, `EP*` two, Dedicated more; Flex Consumption (`FC1`) has none, and a
/// service is two apps there.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AzurePlan(pub String);

impl AzurePlan {
    /// Elastic Premium, where instances may be kept ready.
    pub fn is_elastic(&self) -> bool {
        self.0.starts_with("EP")
    }

    /// Flex Consumption, which has no slots.
    pub fn is_flex(&self) -> bool {
        self.0 == "FC1"
    }

    /// Consumption, which has instances only while something runs.
    pub fn is_consumption(&self) -> bool {
        self.0 == "Y1"
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_segments_and_rests() {
        let matches = |pattern: &str, path: &str| PathPattern(pattern.to_owned()).matches(path);
        assert!(matches("/stock/{sku}", "/stock/42"));
        assert!(!matches("/stock/{sku}", "/stock"));
        assert!(!matches("/stock/{sku}", "/stock/42/x"));
        assert!(matches("/files/{path+}", "/files/a/b"));
        assert!(matches("/", "/"));
        assert!(!matches("/a", "/b"));
    }

    #[test]
    fn paths_stay_in_the_repository() {
        for bad in [
            "/etc",
            "../x",
            "a/../b",
            "a//b",
            "a/.git/config",
            "a\\b",
            ".GIT",
        ] {
            assert!(RepoPath::new(bad).is_err(), "{bad}");
        }
        assert_eq!(
            RepoPath::new("./services/a/").unwrap().as_str(),
            "services/a"
        );
        assert_eq!(RepoPath::new(".").unwrap().as_str(), "");
    }
}
