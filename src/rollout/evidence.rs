//! What gates found when they asked the world. Gates make these; verdicts judge them; people read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::figures::{LoadEvidence, MetricEvidence, ParityEvidence};
use crate::name::{CloudName, Timestamp};

/// One asking of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// `None` where the gate asks about all targets at once.
    pub target: Option<CloudName>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: Outcome,
    pub evidence: Evidence,
}

impl Measurement {
    /// The same, as asked of one target.
    #[must_use]
    pub fn on(self, target: CloudName) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// The same with long texts cut to about `max` bytes, for records that hold many of them.
    #[must_use]
    pub fn shortened(mut self, max: usize) -> Self {
        match &mut self.evidence {
            Evidence::Http(http) => http.shorten(max / (http.earlier.len() + 1)),
            Evidence::Command(CommandEvidence { output, .. }) => cut_start(output, max),
            Evidence::Load(load) => load.shorten(max),
            Evidence::Parity(parity) => parity.shorten(max),
            Evidence::Metric(metric) => metric.shorten(max),
            Evidence::None => {}
        }
        self
    }
}

/// Four different things. An Error says something about us or the world between; only Failed says something about the release.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub enum Outcome {
    Successful,
    /// The release answered, and wrongly.
    Failed {
        why: String,
    },
    /// There was nothing to judge.
    Error {
        why: String,
    },
    /// There was an answer that allows no judgement.
    Inconclusive {
        why: String,
    },
}

impl Outcome {
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Successful => None,
            Self::Failed { why } | Self::Error { why } | Self::Inconclusive { why } => Some(why),
        }
    }
}

impl Evidence {
    /// The figures of gates that measure, in one line for people; None where the outcome says it all.
    pub fn summary(&self) -> Option<String> {
        match self {
            Self::Load(load) => Some(load.summary()),
            Self::Parity(parity) => Some(parity.summary()),
            Self::Metric(metric) => Some(metric.summary()),
            Self::Http(_) | Self::Command(_) | Self::None => None,
        }
    }
}

/// What there is to show for an outcome. Bounded, and without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Evidence {
    Http(HttpEvidence),
    Command(CommandEvidence),
    Load(LoadEvidence),
    Parity(ParityEvidence),
    Metric(MetricEvidence),
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpEvidence {
    /// Of the request in its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub request: HttpRequest,
    /// Of the last try; `None` where there was none.
    pub answer: Option<HttpAnswer>,
    pub checks: Vec<Check>,
    /// How often it was asked within this measurement.
    pub tries: u32,
    /// What the answer left for later requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, serde_json::Value>,
    /// The requests of the chain before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Self>,
}

impl HttpEvidence {
    fn shorten(&mut self, max: usize) {
        self.request
            .body
            .iter_mut()
            .for_each(|body| cut_end(body, max));
        self.answer
            .iter_mut()
            .for_each(|answer| cut_end(&mut answer.body, max));
        self.earlier
            .iter_mut()
            .for_each(|earlier| earlier.shorten(max));
    }

    /// Every text that was sent or came back.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        let Self {
            name: _,
            request,
            answer,
            checks,
            tries: _,
            captured: _,
            earlier,
        } = self;
        change(&mut request.url);
        request.headers.values_mut().for_each(&mut *change);
        request.body.iter_mut().for_each(&mut *change);
        if let Some(answer) = answer {
            answer.headers.values_mut().for_each(&mut *change);
            change(&mut answer.body);
        }
        for check in checks {
            change(&mut check.wanted);
            change(&mut check.got);
        }
        earlier
            .iter_mut()
            .for_each(|earlier| earlier.each_text(change));
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// Its beginning.
    pub body: String,
    /// Whether there was more of it than is kept here.
    pub is_cut: bool,
    /// From the first byte sent to the last byte read.
    pub latency_ms: u64,
}

/// One thing that an answer must be like.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `status`, `header content-type`, `json /items/0/sku`, `latency`, `successCondition`.
    pub what: String,
    pub wanted: String,
    pub got: String,
    pub passed: bool,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandEvidence {
    pub run: String,
    /// `None` where it did not end by itself.
    pub exit: Option<i32>,
    /// The end of what it wrote to both outputs.
    pub output: String,
    /// Whether it wrote more than is kept here.
    pub is_cut: bool,
    pub timed_out: bool,
    /// What conditions made of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// Keeps the beginning, whole characters only.
pub fn cut_end(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

/// Keeps the end, whole characters only.
pub fn cut_start(text: &mut String, max: usize) {
    let start = text.ceil_char_boundary(text.len().saturating_sub(max));
    text.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_reads_as_people_expect() {
        let measurement = Measurement {
            target: Some(CloudName::Azure),
            started_at: Timestamp::from_millis(0),
            finished_at: Timestamp::from_millis(1500),
            outcome: Outcome::Failed {
                why: "exit code 3".to_owned(),
            },
            evidence: Evidence::Command(CommandEvidence {
                run: "tests/smoke.sh".to_owned(),
                exit: Some(3),
                output: "no stock".to_owned(),
                is_cut: false,
                timed_out: false,
                checks: Vec::new(),
            }),
        };
        let json = serde_json::to_string(&measurement).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"target":"azure","startedAt":"1970-01-01T00:00:00.000Z","finishedAt":"1970-01-01T00:00:01.500Z","#,
                r#""outcome":{"phase":"Failed","why":"exit code 3"},"evidence":{"kind":"command","#,
                r#""run":"tests/smoke.sh","exit":3,"output":"no stock","isCut":false,"timedOut":false}}"#
            )
        );
        assert_eq!(
            serde_json::from_str::<Measurement>(&json).unwrap(),
            measurement
        );
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let cut = |max| {
            let (mut start, mut end) = ("aéz".to_owned(), "aéz".to_owned());
            cut_start(&mut start, max);
            cut_end(&mut end, max);
            (start, end)
        };
        assert_eq!(cut(2), ("z".to_owned(), "a".to_owned()));
        assert_eq!(cut(3), ("éz".to_owned(), "aé".to_owned()));
        assert_eq!(cut(9), ("aéz".to_owned(), "aéz".to_owned()));
    }
}
