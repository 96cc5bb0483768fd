//! Questions over HTTP, as any user asks them.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::cli::exit::chain;

/// Long enough for a process that has to be started first on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The header by which every answer names its release.
const RELEASE: &str = "x-verdigris-release";

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Empty where none is named.
    pub(super) release: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn is_good(&self) -> bool {
        self.status == 200 && !self.release.is_empty()
    }

    /// The value at a place of the JSON body; null where it is not there.
    pub(super) fn value(&self, pointer: &str) -> Value {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body.pointer(pointer).cloned().unwrap_or_default()
    }

    /// `200 {"cents":1250}`, for people.
    pub(super) fn short(&self) -> String {
        format!("{} {}", self.status, self.body.trim())
    }
}

/// Follows no redirect, goes by no proxy: everything is on this machine.
///
/// # Errors
///
/// A client that cannot be made.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Sends a question. An error says why there was no answer.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, String> {
    let response = request.send().await.map_err(|error| chain(&error))?;
    let status = response.status().as_u16();
    let release = response.headers().get(RELEASE);
    let release = release.and_then(|release| release.to_str().ok());
    let release = release.unwrap_or_default().to_owned();
    let body = response.text().await.map_err(|error| chain(&error))?;
    Ok(Answer {
        status,
        release,
        body,
    })
}
