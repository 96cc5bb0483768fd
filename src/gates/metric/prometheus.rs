//! Asks a Prometheus server for one number, by its HTTP API (`/api/v1/query`). Whatever speaks it too (Thanos, Mimir, VictoriaMetrics) will do.

use std::{fmt, path::Path, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::Reading;
use crate::{gates::http::no_answer, name::Timestamp};

/// Answers of one number are a few hundred bytes; one of many series is refused anyway.
const ANSWER_MAX: usize = 1 << 20;

/// A server, with what it takes to be let in.
#[derive(Clone)]
pub struct Server {
    /// Below which `/api/v1/query` is.
    url: Url,
    access: Access,
    client: reqwest::Client,
}

/// How a server lets us in.
#[derive(Clone, Debug, Default)]
pub enum Access {
    #[default]
    Open,
    Bearer(SecretString),
    Basic {
        username: String,
        password: SecretString,
    },
}

/// A server that can never be asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("failed to read certificate authorities `{path}`")]
    Authorities {
        path: String,
        source: std::io::Error,
    },
    #[error("failed to set up the client of a Prometheus server")]
    Client(#[from] reqwest::Error),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str();
        f.debug_struct("Server")
            .field("host", &host)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// # Errors
    ///
    /// Certificate authorities that cannot be read or used.
    pub fn new(url: Url, access: Access, authorities: Option<&Path>) -> Result<Self, ServerError> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("verdigris-gate/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = authorities {
            let read = std::fs::read(path);
            let pem = read.map_err(|source| ServerError::Authorities {
                path: path.display().to_string(),
                source,
            })?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build()?;
        Ok(Self {
            url,
            access,
            client,
        })
    }

    /// The value of a query at a moment.
    ///
    /// # Errors
    ///
    /// In words: no answer, one that is no answer of Prometheus, a query that it refuses, or one that gives more than one number.
    pub async fn query(
        &self,
        query: &str,
        at: Timestamp,
        timeout: Duration,
    ) -> Result<Reading, String> {
        let asked = self.ask(query, at);
        match tokio::time::timeout(timeout, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("prometheus gave no answer within {timeout:?}")),
        }
    }

    async fn ask(&self, query: &str, at: Timestamp) -> Result<Reading, String> {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/api/v1/query"));
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of centuries are exact"
        )]
        let seconds = at.millis() as f64 / 1000.0;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("time", &format!("{seconds:.3}"))
            .finish();
        let mut request = self
            .client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        request = match &self.access {
            Access::Open => request,
            Access::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Access::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
        };
        let sent = request.send().await;
        let response = sent.map_err(|error| format!("prometheus: {}", no_answer(&error)))?;
        let status = response.status().as_u16();
        let text = read(response).await?;
        match serde_json::from_slice::<Answer>(&text) {
            Ok(answer) => answer.reading(),
            Err(_) => Err(format!(
                "prometheus answered {status} with something that is no answer of Prometheus"
            )),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => return Ok(text),
            Err(error) => return Err(format!("prometheus: {}", no_answer(&error))),
        }
        if text.len() > ANSWER_MAX {
            return Err("prometheus answered with more than a mebibyte".to_owned());
        }
    }
}

// === the wire ===

#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Success {
        data: Data,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        error_type: String,
        error: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Sample),
    Matrix(#[expect(dead_code, reason = "its kind is enough")] serde_json::Value),
    String(#[expect(dead_code, reason = "its kind is enough")] serde_json::Value),
}

#[derive(Debug, Deserialize)]
struct Series {
    /// Native histograms have another field in its place.
    value: Option<Sample>,
}

/// A moment, and a number as text.
#[derive(Debug, Deserialize)]
struct Sample(
    #[expect(dead_code, reason = "part of the wire's form")] f64,
    String,
);

impl Answer {
    fn reading(self) -> Result<Reading, String> {
        match self {
            Self::Error { error_type, error } => Err(format!(
                "prometheus refuses the query: {error_type}: {error}"
            )),
            Self::Success { data } => data.reading(),
        }
    }
}

impl Data {
    fn reading(self) -> Result<Reading, String> {
        match self {
            Self::Scalar(sample) => sample.reading(),
            Self::Vector(series) => match &series[..] {
                [] => Ok(Reading::nothing("the query gives nothing")),
                [
                    Series {
                        value: Some(sample),
                    },
                ] => sample.reading(),
                [Series { value: None }] => {
                    Err("the query gives a histogram, and no number".to_owned())
                }
                [_, _, ..] => Err(format!(
                    "the query gives {} series: make it one number, with sum() for one",
                    series.len()
                )),
            },
            Self::Matrix(_) | Self::String(_) => {
                Err("the query gives no number for a moment: leave out the outer range".to_owned())
            }
        }
    }
}

impl Sample {
    /// `NaN`, `+Inf` and `-Inf` are numbers on this wire.
    fn reading(&self) -> Result<Reading, String> {
        let Self(_, text) = self;
        let number = text.parse::<f64>();
        let number = number.map_err(|_| "prometheus gives a value that is no number".to_owned())?;
        Ok(Reading::of(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> String {
        let answer: Answer = serde_json::from_str(json).unwrap();
        format!("{:?}", answer.reading())
    }

    #[test]
    fn answers_are_numbers_nothing_or_told() {
        for (json, wanted) in [
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1700000000.781,"0.25"]}]}}"#,
                "Ok(Number(0.25))",
            ),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"3"]}}"#,
                "Ok(Number(3.0))",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
                r#"Ok(Nothing { why: "the query gives nothing" })"#,
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}"#,
                r#"Ok(Nothing { why: "the value is NaN" })"#,
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}]}}"#,
                r#"Err("the query gives 2 series: make it one number, with sum() for one")"#,
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
                r#"Err("the query gives no number for a moment: leave out the outer range")"#,
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
                r#"Err("prometheus refuses the query: bad_data: parse error")"#,
            ),
        ] {
            assert_eq!(told(json), wanted);
        }
    }
}
