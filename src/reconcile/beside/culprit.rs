//! Names who caused drift, as far as the cloud's own log tells. Beside the loop: nothing waits for it, and nothing is decided by it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::super::{Shared, pass::job::failure};
use crate::{
    manifest::spec::Environment,
    name::{Actor, CloudName, FunctionName, Timestamp},
    observed::{Deed, Scope},
    plan::{
        state::{EventRecord, ServiceState, Severity},
        step::drift::drift_of,
    },
    rollout::intent::{Failure, Response},
};

/// Waits before each question: the clouds write their logs minutes late.
const ASKED_AFTER: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];

/// Longest time for one question.
const QUESTION_MAX: Duration = Duration::from_secs(30);

/// The cloud's clock and ours differ.
const SLACK: Duration = Duration::from_secs(60);

/// No deed further back is asked for.
const BACK_MAX: Duration = Duration::from_secs(60 * 60);

/// Deeds that an event names.
const NAMED_MAX: usize = 3;

/// Drift that was not there at the look before.
pub(in crate::reconcile) struct Case {
    scope: Scope,
    environment: Arc<Environment>,
    target: CloudName,
    /// The drift, in its words.
    about: String,
    /// When all was well still.
    since: Timestamp,
}

/// What drifted on a target, in its words; nothing while a rollout moves what is there.
pub(in crate::reconcile) fn about(state: &ServiceState, target: CloudName) -> Option<String> {
    if state.active().is_some() {
        return None;
    }
    let (_, reason) = drift_of(state, target, state.memory.promoted?)?;
    Some(reason.to_string())
}

impl Case {
    /// None where nothing new drifted.
    pub(in crate::reconcile) fn open(
        state: &ServiceState,
        target: CloudName,
        before: Option<&str>,
        seen_before: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let about = about(state, target).filter(|about| Some(about.as_str()) != before)?;
        let drift = state.drift(target).into_iter();
        let named: BTreeSet<FunctionName> = drift
            .filter_map(|drift| drift.field.split('.').next()?.parse().ok())
            .collect();
        let mut scope = state.scope();
        let known: BTreeSet<_> = scope.functions.intersection(&named).cloned().collect();
        if !known.is_empty() {
            scope.functions = known;
        }
        Some(Self {
            scope,
            environment: state.environment()?.clone(),
            target,
            about,
            since: seen_before.max(now.before(BACK_MAX)).before(SLACK),
        })
    }
}

impl Shared {
    /// Asks the cloud's log until it names somebody, or says that we may not look. Ends with the daemon.
    pub(in crate::reconcile) async fn inquire(self: Arc<Self>, case: Case) {
        let mut waited = Duration::ZERO;
        for after in ASKED_AFTER {
            let pause = tokio::time::sleep(after.saturating_sub(waited));
            if self.stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
            waited = after;
            match self.deeds(&case).await {
                Ok(None) => return,
                Ok(Some(deeds)) if deeds.is_empty() => {}
                Ok(Some(deeds)) => return self.tell_of_case(&case, named(&deeds)).await,
                Err(failure) if failure.response == Response::CallPerson => {
                    let message = format!("nobody is named: {}", failure.message);
                    return self.tell_of_case(&case, message).await;
                }
                Err(failure) => {
                    tracing::debug!(target = %case.target, message = failure.message, "the log of a cloud was not read");
                }
            }
        }
        let message = "nobody is named by the cloud's log".to_owned();
        self.tell_of_case(&case, message).await;
    }

    /// None where the cloud keeps no log.
    async fn deeds(&self, case: &Case) -> Result<Option<Vec<Deed>>, Failure> {
        let cloud = self.world.cloud(&case.environment, case.target).await?;
        let Some(operate) = cloud.operate() else {
            return Ok(None);
        };
        let question = operate.deeds(&case.scope, case.since);
        match tokio::time::timeout(QUESTION_MAX, question).await {
            Ok(told) => told.map(Some).map_err(|error| failure(&error)),
            Err(_) => Ok(Some(Vec::new())),
        }
    }

    async fn tell_of_case(&self, case: &Case, told: String) {
        let event = EventRecord {
            seq: 0,
            at: self.clock.now(),
            severity: Severity::Warning,
            service: Some(case.scope.service.clone()),
            reason: "DriftCause".to_owned(),
            message: format!("{} ({}): {told}", case.target, case.about),
            actor: Actor::daemon(),
            revision: None,
            rollout: None,
        };
        if let Err(error) = self.tell_all(vec![event]).await {
            tracing::warn!(%error, "who caused drift could not be written down");
        }
    }
}

fn named(deeds: &[Deed]) -> String {
    let told: Vec<String> = deeds.iter().take(NAMED_MAX).map(Deed::to_string).collect();
    let more = deeds.len().saturating_sub(NAMED_MAX);
    match more {
        0 => told.join(", "),
        more => format!("{}, and {more} more before", told.join(", ")),
    }
}
