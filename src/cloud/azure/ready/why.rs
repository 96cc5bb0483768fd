//! What a host that does not serve says of itself, and what its program said last.

use serde_json::Value;
use url::Url;

use crate::cloud::azure::{
    AzureCloud,
    arm::{operation, quote},
    observe::{SlotView, app_in},
};

/// Lines of a program's output that are told.
const LOG_LINES: usize = 8;

impl AzureCloud {
    /// What host and program say of themselves, as far as they can be asked.
    pub(super) async fn why(&self, green: &SlotView) -> String {
        let (host, log) = tokio::join!(self.host_errors(green), self.last_lines(green));
        let told = |what: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
            Some(text) => format!("; {what}: {text}"),
            None => String::new(),
        };
        format!(
            "{}{}",
            told("the host says", host),
            told("its log ends", log)
        )
    }

    /// The host's own word: its state where it does not run, and its errors.
    async fn host_errors(&self, green: &SlotView) -> Option<String> {
        let part = "/hostruntime/admin/host/status";
        let status = self
            .get(operation::HOST_STATUS, &green.id, part)
            .await
            .ok()??;
        let state = status["state"].as_str().filter(|state| *state != "Running");
        let errors = status["errors"].as_array().into_iter().flatten();
        let errors = errors.filter_map(Value::as_str);
        let told: Vec<&str> = state.into_iter().chain(errors).collect();
        Some(quote(&told.join(": ")))
    }

    /// The end of what the program wrote, by the deployment service.
    async fn last_lines(&self, green: &SlotView) -> Option<String> {
        let app = app_in(&green.id);
        let scm = green.scm.as_ref()?;
        let call = self
            .scm_call(operation::LOGS_LIST, scm, "/api/logs/docker", app)
            .ok()?;
        let files = self.arm.ask(call).await.ok()?.json();
        let files = files.as_array()?.iter();
        // Names end with `default_docker.log` for the program, `docker.log` for the platform around it.
        let newest = files.max_by_key(|file| {
            let path = file["path"].as_str().unwrap_or_default();
            let written = file["lastUpdated"].as_str().unwrap_or_default().to_owned();
            (path.contains("default_docker"), written)
        })?;
        let address = Url::parse(newest["href"].as_str()?).ok()?;
        // Behind a gateway the service may name itself otherwise: the host that the site named is the one to ask.
        let call = self
            .scm_call(operation::LOGS_GET, scm, address.path(), app)
            .ok()?;
        let body = self.arm.ask(call).await.ok()?.body;
        let text = String::from_utf8_lossy(&body);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        Some(quote(&last.join(" | ")))
    }
}
