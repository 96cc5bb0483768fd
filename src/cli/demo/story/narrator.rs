//! What every step needs: commits, rollouts told as they move, both blues asked, users at work.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Result, Twist, check};
use crate::{
    cli::{
        demo::{
            ask,
            example::Shown,
            stage::Stage,
            teller::Teller,
            traffic::{Tally, Traffic},
        },
        screen::Tone,
    },
    name::{CloudName, ObjectId, ServiceKey},
    rollout::{Rollout, RolloutId},
    status::{
        ServiceReport,
        service::rollout::{GatePhase, detail},
    },
};

/// The longest wait for anything. The slowest step takes seconds; a busy machine takes its time.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at what nobody announces.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// The environment of the example.
const ENVIRONMENT: &str = "prod";

pub(super) struct Narrator<'a> {
    pub(super) stage: &'a Stage,
    pub(super) teller: &'a Teller<'a>,
    /// The service that the story is about, and what is asked of it.
    pub(super) hero: Shown,
    pub(super) key: ServiceKey,
    users: Option<Traffic>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(stage: &'a Stage, teller: &'a Teller<'a>) -> Result<Self> {
        let hero = stage.shown.first().cloned();
        let hero = hero.ok_or_else(|| Twist::new("there is a service to show", "none"))?;
        Ok(Self {
            stage,
            teller,
            key: key_of(&hero)?,
            hero,
            users: None,
        })
    }

    pub(super) fn line(&self, tone: Tone, subject: &str, text: &str) {
        self.teller.line(tone, subject, text);
    }

    // === people ===

    /// Changes a file: each pair is what stands there once, and what shall.
    pub(super) fn edit(&self, path: &str, changes: &[(&str, &str)]) -> Result {
        let file = self.stage.author.folder().join(path);
        let expected = || format!("{path} can be changed");
        let broken = |why: String| Twist::new(expected(), why);
        let mut text = std::fs::read_to_string(&file).map_err(|error| broken(error.to_string()))?;
        for (from, to) in changes {
            let count = text.matches(from).count();
            check(count == 1, expected(), || {
                format!("`{from}` stands there {count} times")
            })?;
            text = text.replace(from, to);
        }
        let written = self.stage.author.write(path, text);
        written.map_err(|error| broken(error.to_string()))
    }

    /// Commits, and rings the controller's bell as a webhook does.
    pub(super) fn commit(&self, message: &str) -> Result<ObjectId> {
        let commit = self.stage.author.commit(message);
        let commit =
            commit.map_err(|error| Twist::new("the change is committed", error.to_string()))?;
        self.line(
            Tone::Strong,
            "commit",
            &format!("{} \"{message}\"", commit.short()),
        );
        self.stage.daemon.sources.wake_all();
        Ok(commit)
    }

    /// Asks the controller to act on the hero, over its API.
    pub(super) async fn act(&self, verb: &str) -> Result {
        let expected = || format!("the API takes `{verb}`");
        let token = std::fs::read_to_string(&self.stage.site.token_file)
            .map_err(|error| Twist::new("the token can be read", error.to_string()))?;
        let url = format!(
            "{}/api/v1/services/{}/{verb}",
            self.stage.server(),
            self.key
        );
        let request = self.stage.http.post(url).bearer_auth(token.trim());
        let answer = ask::send(request.json(&json!({}))).await;
        let answer = answer.map_err(|why| Twist::new(expected(), why))?;
        check(answer.status == 202, expected(), || answer.short())
    }

    /// Sets the faults of a cloud by its admin endpoint, as anybody may.
    pub(super) async fn misbehave(&self, endpoint: &str, rules: Value) -> Result {
        let url = format!("{endpoint}/_verdigris/faults");
        let answer = ask::send(self.stage.http.put(url).json(&rules)).await;
        let expected = "the cloud takes the faults";
        let answer = answer.map_err(|why| Twist::new(expected, why))?;
        check(answer.status == 200, expected, || answer.short())
    }

    // === the controller ===

    pub(super) fn report(&self, key: &ServiceKey) -> Result<Arc<ServiceReport>> {
        let report = self.stage.daemon.handle.report(key);
        report.ok_or_else(|| Twist::new(format!("the controller knows {key}"), "it does not"))
    }

    /// The number of the newest rollout.
    pub(super) async fn newest_rollout(&self) -> Option<RolloutId> {
        let rollout = self.stage.daemon.handle.rollout(&self.key).await?;
        Some(rollout.id)
    }

    /// Waits for the end of the hero's next rollout after `before`, and tells its moves as they happen.
    pub(super) async fn rollout_after(&self, before: Option<RolloutId>) -> Result<Rollout> {
        let mut told = 0;
        let follow = async {
            loop {
                let mut changes = self.stage.daemon.handle.changes();
                let newest = self.stage.daemon.handle.rollout(&self.key).await;
                if let Some(rollout) = newest.filter(|rollout| Some(rollout.id) > before) {
                    for step in rollout.transitions.iter().skip(told) {
                        self.tell_move(&step.phase, &rollout);
                    }
                    told = rollout.transitions.len();
                    if !rollout.is_active() {
                        return rollout;
                    }
                }
                // Whether something changed or not: it is looked again.
                drop(timeout(4 * LOOK, changes.changed()).await);
            }
        };
        match timeout(PATIENCE, follow).await {
            Ok(rollout) => Ok(rollout),
            Err(_) => Err(Twist::new(
                format!("the rollout of {} ends within {PATIENCE:?}", self.key),
                self.standing(),
            )),
        }
    }

    fn tell_move(&self, phase: &str, rollout: &Rollout) {
        match phase {
            "Building" if !rollout.trigger.is_rollback() => {
                self.line(Tone::Quiet, "build", "one package for each cloud");
            }
            "Gating" if !rollout.trigger.is_rollback() => {
                self.line(
                    Tone::Green,
                    "green",
                    "holds it on both clouds, users do not see it",
                );
            }
            "Promoting" => {
                let gates = passed_gates(rollout);
                if !gates.is_empty() {
                    self.line(
                        Tone::Quiet,
                        "gates",
                        &format!("passed: {}", gates.join(", ")),
                    );
                }
                self.line(Tone::Blue, "blue", "moves on both clouds");
            }
            "Baking" if !rollout.trigger.is_rollback() => {
                self.line(Tone::Quiet, "bake", "blue is watched for a while");
            }
            "RollingBack" => {
                self.line(Tone::Busy, "blue", "goes back on both clouds");
            }
            // Told by the step itself, or too quick to be worth a line.
            _ => {}
        }
    }

    /// Where the hero stands, in one sentence.
    pub(super) fn standing(&self) -> String {
        match self.stage.daemon.handle.report(&self.key) {
            Some(report) => {
                let status = &report.status;
                format!("{} is {}: {}", self.key, status.phase.as_str(), status.why)
            }
            None => format!("nothing is known of {}", self.key),
        }
    }

    /// Waits until a report shows what is expected.
    pub(super) async fn until(
        &self,
        key: &ServiceKey,
        expected: &str,
        is_so: impl Fn(&ServiceReport) -> bool,
    ) -> Result<Arc<ServiceReport>> {
        let wait = async {
            loop {
                let mut changes = self.stage.daemon.handle.changes();
                let report = self.stage.daemon.handle.report(key);
                if let Some(report) = report.filter(|report| is_so(report)) {
                    return report;
                }
                drop(timeout(4 * LOOK, changes.changed()).await);
            }
        };
        let why = || match self.stage.daemon.handle.report(key) {
            Some(report) => report.status.why.clone(),
            None => format!("nothing is known of {key}"),
        };
        let report = timeout(PATIENCE, wait).await;
        report.map_err(|_| Twist::new(format!("{expected} within {PATIENCE:?}"), why()))
    }

    // === users ===

    /// Sends users to both blues of the hero.
    pub(super) fn send_users(&mut self) -> Result {
        let blues = self.stage.blues(&self.key, &self.hero);
        check(
            blues.len() == CloudName::ALL.len(),
            "both blues have addresses",
            || format!("{blues:?}"),
        )?;
        self.users = Some(Traffic::start(&self.stage.http, &blues));
        Ok(())
    }

    pub(super) async fn send_users_home(&mut self) {
        if let Some(users) = self.users.take() {
            users.end().await;
        }
    }

    /// What users got since the last time.
    pub(super) fn tally(&self) -> Tally {
        self.users.as_ref().map(Traffic::take).unwrap_or_default()
    }

    /// Tells what users got, which must be an answer each time.
    pub(super) fn tell_users(&self, tally: &Tally) -> Result {
        let Tally {
            asked,
            failed,
            failure,
            ..
        } = tally;
        let tone = if *failed == 0 { Tone::Good } else { Tone::Bad };
        let text = format!(
            "{} requests to both blues meanwhile, {failed} failed",
            grouped(*asked)
        );
        self.line(tone, "users", &text);
        check(*asked > 0, "users asked both blues", || {
            "they did not".to_owned()
        })?;
        check(*failed == 0, "no request of a user fails", || {
            format!(
                "{failed} failed; the first: {}",
                failure.clone().unwrap_or_default()
            )
        })
    }
}

pub(super) fn key_of(shown: &Shown) -> Result<ServiceKey> {
    let key = format!("{ENVIRONMENT}/{}", shown.name);
    key.parse().map_err(|error: crate::name::BadName| {
        Twist::new("the example has good names", error.to_string())
    })
}

/// Names of the gates before a promotion that have passed.
fn passed_gates(rollout: &Rollout) -> Vec<String> {
    let gates = detail(rollout).gates_detail;
    let passed = gates
        .iter()
        .filter(|gate| gate.after == "staging" && gate.phase == GatePhase::Successful);
    passed.map(|gate| gate.name.to_string()).collect()
}

/// `1,234`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_in_groups_of_three() {
        for (number, told) in [
            (0, "0"),
            (999, "999"),
            (1234, "1,234"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), told);
        }
    }
}
