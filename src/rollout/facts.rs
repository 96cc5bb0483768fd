//! What a gate found, as conditions read it, and what they make of it.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    evidence::{Check, CommandEvidence, Evidence, HttpAnswer, HttpEvidence, Measurement, Outcome},
    figures::{LoadEvidence, MetricEvidence, Pair, ParityEvidence},
};
use crate::{
    condition::{Condition, Facts, Judged, judge},
    manifest::spec::{Gate, Measure},
};

/// The variables that there are, and why others are not.
struct Found {
    facts: Facts,
    lacks: BTreeMap<&'static str, String>,
}

/// The measurement with what the gate's conditions make of it, by the rules of Argo Rollouts: what a `failureCondition` is true of has failed;
/// one condition alone decides; where there are two and neither holds, the measurement is Inconclusive.
///
/// Only what passed its other checks is judged. What cannot be judged is an Error, which says nothing about the release.
#[must_use]
pub fn judged(gate: &Gate, mut made: Measurement) -> Measurement {
    let measure = &gate.measure;
    if measure.success_condition.is_none() && measure.failure_condition.is_none() {
        return made;
    }
    let Some(found) = found(&made.evidence).filter(|_| is_open(measure, &made)) else {
        return made;
    };
    let success = measure.success_condition.as_ref();
    let success = success.map(|it| asked("successCondition", it, &found));
    let failure = measure.failure_condition.as_ref();
    let failure = failure.map(|it| asked("failureCondition", it, &found));
    made.outcome = outcome(success.as_ref(), failure.as_ref());
    note(&mut made.evidence, success.map(|it| it.check(true)));
    note(&mut made.evidence, failure.map(|it| it.check(false)));
    made
}

/// Whether it is for the conditions to say: nothing else spoke against it, or only the exit code, which they speak of themselves.
fn is_open(measure: &Measure, made: &Measurement) -> bool {
    match (&made.outcome, &made.evidence) {
        (Outcome::Successful, _) => true,
        (Outcome::Failed { .. }, Evidence::Command(command)) => {
            command.exit.is_some() && !command.timed_out && measure.speaks_of("exit")
        }
        (
            Outcome::Failed { .. },
            Evidence::Http(_)
            | Evidence::Load(_)
            | Evidence::Parity(_)
            | Evidence::Metric(_)
            | Evidence::None,
        )
        | (Outcome::Error { .. } | Outcome::Inconclusive { .. }, _) => false,
    }
}

/// One condition and what came of it.
struct Asked<'a> {
    word: &'static str,
    condition: &'a Condition,
    judged: Judged,
}

fn asked<'a>(word: &'static str, condition: &'a Condition, found: &Found) -> Asked<'a> {
    let mut judged = judge(condition, &found.facts);
    let lacks = found
        .lacks
        .iter()
        .find(|(name, _)| condition.speaks_of(name));
    if let (Err(why), Some((_, lack))) = (&mut judged.holds, lacks) {
        lack.clone_into(why);
    }
    Asked {
        word,
        condition,
        judged,
    }
}

impl Asked<'_> {
    fn named(&self) -> String {
        format!("{} `{}`", self.word, self.condition)
    }

    fn told(&self, what: &str) -> String {
        let named = self.named();
        match self.judged.found.as_str() {
            "" => format!("{named} {what}"),
            found => format!("{named} {what}; {found}"),
        }
    }

    fn check(self, wanted: bool) -> Check {
        let passed = self.judged.holds == Ok(wanted);
        let condition = self.condition;
        Check {
            what: self.word.to_owned(),
            wanted: if wanted {
                condition.to_string()
            } else {
                format!("not {condition}")
            },
            got: match (self.judged.holds, self.judged.found.as_str()) {
                (Err(why), _) => why,
                (Ok(_), "") => "nothing that it speaks of".to_owned(),
                (Ok(_), found) => found.to_owned(),
            },
            passed,
        }
    }
}

fn outcome(success: Option<&Asked>, failure: Option<&Asked>) -> Outcome {
    for asked in success.into_iter().chain(failure) {
        if let Err(why) = &asked.judged.holds {
            let why = asked.told(&format!("cannot be judged: {why}"));
            return Outcome::Error { why };
        }
    }
    let holds = |asked: &&Asked| asked.judged.holds == Ok(true);
    if let Some(failure) = failure.filter(holds) {
        let why = failure.told("holds");
        return Outcome::Failed { why };
    }
    match (success, failure) {
        (None, _) => Outcome::Successful,
        (Some(success), _) if holds(&success) => Outcome::Successful,
        (Some(success), None) => Outcome::Failed {
            why: success.told("does not hold"),
        },
        (Some(success), Some(failure)) => Outcome::Inconclusive {
            why: format!(
                "neither {} nor {} holds; {}",
                success.named(),
                failure.named(),
                success.judged.found
            ),
        },
    }
}

fn note(evidence: &mut Evidence, check: Option<Check>) {
    let checks = match evidence {
        Evidence::Http(http) => &mut http.checks,
        Evidence::Command(command) => &mut command.checks,
        Evidence::Load(load) => &mut load.checks,
        Evidence::Metric(metric) => &mut metric.checks,
        Evidence::Parity(parity) => {
            let told = check.map(|it| format!("{}: {} ({})", it.what, it.wanted, it.got));
            parity.notes.extend(told);
            return;
        }
        Evidence::None => return,
    };
    checks.extend(check);
}

fn found(evidence: &Evidence) -> Option<Found> {
    match evidence {
        Evidence::Http(http) => of_chain(http),
        Evidence::Command(CommandEvidence { exit, output, .. }) => {
            let facts = exit.map(|exit| json!({ "exit": exit, "output": output }));
            all(facts?)
        }
        Evidence::Load(load) => all(of_load(load)),
        Evidence::Parity(parity) => all(of_parity(parity)),
        Evidence::Metric(MetricEvidence {
            value, baseline, ..
        }) => all(json!({ "value": (*value)?, "baseline": baseline })),
        Evidence::None => None,
    }
}

fn all(facts: serde_json::Value) -> Option<Found> {
    let facts = facts.as_object().cloned()?;
    let lacks = BTreeMap::new();
    Some(Found { facts, lacks })
}

/// Times in milliseconds; `errors` is the share of requests that went wrong.
fn of_load(load: &LoadEvidence) -> serde_json::Value {
    let share = match load.count {
        0 => 0.0,
        count => load.errors as f64 / count as f64,
    };
    json!({
        "rate": load.rate, "achieved": load.achieved, "count": load.count, "errors": share,
        "errorCount": load.errors, "p50": load.p50_ms, "p95": load.p95_ms, "p99": load.p99_ms,
        "max": load.max_ms,
    })
}

fn of_parity(parity: &ParityEvidence) -> serde_json::Value {
    let sum = |number: fn(&Pair) -> u32| parity.pairs.iter().map(number).sum::<u32>();
    json!({
        "requests": parity.requests, "compared": sum(|pair| pair.compared),
        "different": sum(|pair| pair.different), "differences": parity.difference_count,
    })
}

/// The last answer, every answer as `steps`, and what they left.
fn of_chain(http: &HttpEvidence) -> Option<Found> {
    let mut last = http.answer.as_ref().map(of_answer)?;
    let each = http.earlier.iter().chain([http]);
    let step = |step: &HttpEvidence| {
        let mut facts = step.answer.as_ref().map(of_answer)?.facts;
        facts.insert(
            "name".to_owned(),
            json!(step.name.as_deref().unwrap_or_default()),
        );
        facts.entry("json").or_insert(json!(null));
        Some(json!(facts))
    };
    let steps: Vec<_> = each.clone().filter_map(step).collect();
    let captured: BTreeMap<_, _> = each.flat_map(|step| &step.captured).collect();
    last.facts.insert("steps".to_owned(), steps.into());
    last.facts.insert("captured".to_owned(), json!(captured));
    Some(last)
}

fn of_answer(answer: &HttpAnswer) -> Found {
    let HttpAnswer {
        status,
        headers,
        body,
        is_cut,
        latency_ms,
    } = answer;
    let mut facts = Facts::new();
    facts.insert("status".to_owned(), (*status).into());
    facts.insert("headers".to_owned(), json!(headers));
    facts.insert("body".to_owned(), body.as_str().into());
    facts.insert("latencyMs".to_owned(), (*latency_ms).into());
    let mut lacks = BTreeMap::new();
    match serde_json::from_str(body) {
        Ok(body) => {
            facts.insert("json".to_owned(), body);
        }
        Err(_) if *is_cut => {
            let kept = body.len();
            lacks.insert(
                "json",
                format!("the answer has more than the {kept} bytes that are kept"),
            );
        }
        Err(_) => {
            lacks.insert("json", "the answer is no JSON".to_owned());
        }
    }
    Found { facts, lacks }
}
