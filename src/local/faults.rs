//! Faults on request: what a real cloud does to us on a bad day, on the day we choose. Also counts the calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::process::LogLine;

/// Longer waits are cut: no client waits this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// What goes wrong, for which operation, how often.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// An operation's name, or `*` for all.
    pub operation: String,
    #[serde(default)]
    pub latency_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RuleError>,
    /// Answers as the cloud does when it is asked too much.
    #[serde(default)]
    pub throttle: bool,
    /// Does the work, then closes the connection without an answer.
    #[serde(default)]
    pub lose_reply: bool,
    /// Takes the work in, and fails at it afterwards: where the cloud has such states, what was asked for ends in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_later: Option<Failure>,
    /// So many reads of each kind after a write answer what was so before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_reads: Option<u32>,
    /// How many calls are left to hit; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Share of calls that are hit, 0 to 1; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// The error that a rule answers with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleError {
    pub status: u16,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How work ends that was taken in and failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

/// What to do with one call, after its latency was waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    Proceed,
    Fail {
        status: StatusCode,
        code: String,
        message: String,
    },
    Throttle,
    /// Do the work, then answer with [`crate::local::listen::lost_reply`].
    LoseReply,
}

/// The rules of one endpoint and its count of calls. Clones share both.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Inner>>);

struct Inner {
    rules: Vec<Rule>,
    calls: BTreeMap<String, u64>,
    chance: fastrand::Rng,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Faults {
    /// No rules yet. With a `seed`, the dice of `probability` fall the same way each time.
    pub fn new(seed: Option<u64>) -> Self {
        let chance = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self(Arc::new(Mutex::new(Inner {
            rules: Vec::new(),
            calls: BTreeMap::new(),
            chance,
        })))
    }

    /// Replaces all rules.
    pub fn set(&self, rules: Vec<Rule>) {
        self.inner().rules = rules;
    }

    /// The rules with what is left of their `times`.
    pub fn list(&self) -> Vec<Rule> {
        self.inner().rules.clone()
    }

    pub fn clear(&self) {
        self.inner().rules.clear();
    }

    /// Calls so far, by operation.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.inner().calls.clone()
    }

    /// Counts the call, waits as long as the rules say, and tells how to go on.
    ///
    /// Rules that only wait add up; the first that does more decides.
    pub async fn before(&self, operation: &str) -> Verdict {
        let (latency, verdict) = self.inner().judge(operation);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        verdict
    }

    /// How the work of a call will end that was taken in; none where it succeeds.
    pub fn later(&self, operation: &str) -> Option<Failure> {
        self.inner().end(operation)
    }

    /// How many reads of this operation are late after each write; none where no rule hits.
    pub(super) fn late(&self, operation: &str) -> Option<u32> {
        self.inner().lateness(operation)
    }

    /// Whether any rule makes reads late.
    pub(super) fn any_late(&self) -> bool {
        let inner = self.inner();
        inner.rules.iter().any(|rule| rule.stale_reads.is_some())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn judge(&mut self, operation: &str) -> (Duration, Verdict) {
        *self.calls.entry(operation.to_owned()).or_insert(0) += 1;
        let mut latency = Duration::ZERO;
        let Self {
            rules,
            chance,
            calls: _,
        } = self;
        let now = rules.iter_mut().filter(|rule| rule.acts_at_once());
        for rule in now {
            if !rule.hits(operation, chance) {
                continue;
            }
            latency = (latency + Duration::from_millis(rule.latency_ms)).min(LATENCY_MAX);
            let verdict = rule.verdict();
            if verdict != Verdict::Proceed {
                return (latency, verdict);
            }
        }
        (latency, Verdict::Proceed)
    }

    fn end(&mut self, operation: &str) -> Option<Failure> {
        let Self {
            rules,
            chance,
            calls: _,
        } = self;
        let mut later = rules.iter_mut().filter(|rule| rule.fails_later.is_some());
        let rule = later.find_map(|rule| rule.hits(operation, chance).then_some(rule));
        rule.and_then(|rule| rule.fails_later.clone())
    }

    fn lateness(&mut self, operation: &str) -> Option<u32> {
        let Self {
            rules,
            chance,
            calls: _,
        } = self;
        let mut late = rules.iter_mut().filter(|rule| rule.stale_reads.is_some());
        let rule = late.find_map(|rule| rule.hits(operation, chance).then_some(rule));
        rule.and_then(|rule| rule.stale_reads)
    }
}

impl Rule {
    /// A rule for `operation` that does nothing yet: fill in what should go wrong.
    pub fn of(operation: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            latency_ms: 0,
            error: None,
            throttle: false,
            lose_reply: false,
            fails_later: None,
            stale_reads: None,
            times: None,
            probability: None,
        }
    }

    fn acts_at_once(&self) -> bool {
        self.fails_later.is_none() && self.stale_reads.is_none()
    }

    /// Whether it is this call's turn, which is counted.
    fn hits(&mut self, operation: &str, chance: &mut fastrand::Rng) -> bool {
        let named = self.operation == "*" || self.operation.eq_ignore_ascii_case(operation);
        let left = self.times != Some(0);
        let hit = named && left && self.probability.is_none_or(|share| chance.f64() < share);
        if hit {
            self.times = self.times.map(|times| times - 1);
        }
        hit
    }

    fn verdict(&self) -> Verdict {
        if let Some(RuleError {
            status,
            code,
            message,
        }) = &self.error
        {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let message = message
                .clone()
                .unwrap_or_else(|| "a fault that was asked for".to_owned());
            Verdict::Fail {
                status,
                code: code.clone(),
                message,
            }
        } else if self.throttle {
            Verdict::Throttle
        } else if self.lose_reply {
            Verdict::LoseReply
        } else {
            Verdict::Proceed
        }
    }
}

/// Kept output by the name of a function or site; `None` where there is no such name.
pub type LogSource = Arc<dyn Fn(&str) -> Option<Vec<LogLine>> + Send + Sync>;

#[derive(Clone)]
struct Admin {
    faults: Faults,
    logs: LogSource,
}

/// `/_verdigris/faults`, `/_verdigris/calls` and `/_verdigris/logs/<name>`; merge it into an endpoint's own routes.
pub fn admin_routes(faults: Faults, logs: LogSource) -> Router {
    Router::new()
        .route("/_verdigris/faults", get(list).put(replace).delete(clear))
        .route("/_verdigris/calls", get(calls))
        .route("/_verdigris/logs/{*name}", get(show_logs))
        .with_state(Admin { faults, logs })
}

async fn list(State(admin): State<Admin>) -> Json<Vec<Rule>> {
    Json(admin.faults.list())
}

async fn replace(State(admin): State<Admin>, Json(rules): Json<Vec<Rule>>) -> Json<Vec<Rule>> {
    admin.faults.set(rules);
    Json(admin.faults.list())
}

async fn clear(State(admin): State<Admin>) -> StatusCode {
    admin.faults.clear();
    StatusCode::NO_CONTENT
}

async fn calls(State(admin): State<Admin>) -> Json<BTreeMap<String, u64>> {
    Json(admin.faults.calls())
}

async fn show_logs(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match (admin.logs)(&name) {
        Some(lines) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            text.into_response()
        }
        None => (
            StatusCode::NOT_FOUND,
            format!("nothing here is called `{name}`\n"),
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rule_hits_its_operation_as_often_as_it_says() {
        let faults = Faults::default();
        let throttle = Rule {
            throttle: true,
            times: Some(2),
            ..Rule::of("UpdateAlias")
        };
        let lose = Rule {
            lose_reply: true,
            times: Some(1),
            ..Rule::of("*")
        };
        faults.set(vec![throttle, lose]);
        let mut told = Vec::new();
        for operation in ["UpdateAlias", "GetAlias", "UpdateAlias", "UpdateAlias"] {
            told.push(faults.before(operation).await);
        }
        use Verdict::{LoseReply, Proceed, Throttle};
        assert_eq!(told, [Throttle, LoseReply, Throttle, Proceed]);
        assert_eq!(
            faults.calls(),
            [("GetAlias".to_owned(), 1), ("UpdateAlias".to_owned(), 3)].into()
        );
    }

    #[tokio::test]
    async fn waits_add_up_and_the_first_other_fault_decides() {
        let faults = Faults::default();
        let rules = r#"[{"operation":"*","latencyMs":30},
            {"operation":"slotsswap","latencyMs":20,"error":{"status":500,"code":"Broken"}}]"#;
        faults.set(serde_json::from_str(rules).unwrap());
        let start = tokio::time::Instant::now();
        let verdict = faults.before("slotsswap").await;
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert!(matches!(
            verdict,
            Verdict::Fail {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn what_fails_later_is_taken_in_first() {
        let faults = Faults::default();
        let rules = r#"[{"operation":"PutThing","times":1,"failsLater":{"code":"NoRoom","message":"full"}}]"#;
        faults.set(serde_json::from_str(rules).unwrap());
        assert_eq!(faults.before("PutThing").await, Verdict::Proceed);
        assert_eq!(faults.later("GetThing"), None);
        let told = faults.later("PutThing").map(|it| it.code);
        assert_eq!(told.as_deref(), Some("NoRoom"));
        assert_eq!(faults.later("PutThing"), None);
    }

    #[tokio::test]
    async fn the_same_seed_throws_the_same_dice() {
        let throw = || async {
            let faults = Faults::new(Some(7));
            faults.set(vec![Rule {
                throttle: true,
                probability: Some(0.5),
                ..Rule::of("*")
            }]);
            let mut told = Vec::new();
            for _ in 0..20 {
                told.push(faults.before("x").await);
            }
            told
        };
        let first = throw().await;
        assert_eq!(first, throw().await);
        assert!(first.contains(&Verdict::Proceed) && first.contains(&Verdict::Throttle));
    }
}
