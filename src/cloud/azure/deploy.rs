//! Sends a package to a slot's own deployment service, follows it to its end, and waits until green answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    AzureCloud,
    arm::{
        Answer, Call, End, Payload, chain_of, deployment_progress, link_at,
        operation::{self, Operation},
        pause, quote, unreachable,
    },
    names::GREEN,
    observe::SlotView,
    settings,
};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    manifest::spec::HttpRoute,
    name::{CloudName, Slot},
};

/// Lines of a failed deployment's log that are told.
const LOG_LINES: usize = 12;

/// The header by which a package says which release answers.
const RELEASE_HEADER: &str = "x-verdigris-release";

const LATEST: &str = "/api/deployments/latest";

// === impl AzureCloud ===

impl AzureCloud {
    /// # Errors
    ///
    /// [`CloudError::Busy`] while another deployment runs; [`CloudError::Unhealthy`] with the log where this one fails.
    pub(super) async fn deploy(
        &self,
        app: &str,
        slot: &SlotView,
        package: &Package,
    ) -> Result<(), CloudError> {
        let Some(scm) = &slot.scm else {
            let message = format!("slot `{}` of `{app}` names no deployment host", slot.slot);
            return Err(unreachable(operation::ZIPDEPLOY, message));
        };
        let bytes = tokio::fs::read(&package.path).await.map_err(|error| {
            let path = package.path.display();
            unreachable(operation::ZIPDEPLOY, format!("package `{path}`: {error}"))
        })?;
        let address = "/api/zipdeploy?isAsync=true";
        let mut call = self.scm_call(operation::ZIPDEPLOY, scm, address, app)?;
        call.payload = Payload::Package(Bytes::from(bytes));
        call.deadline = self.arm.limits.deploy;
        let started = self.arm.ask(call).await?;
        let mut look = self.scm_call(operation::DEPLOYMENTS_GET, scm, LATEST, app)?;
        if let Some(status) = started.follow.and_then(|address| scm.join(&address).ok()) {
            // Behind a gateway the service may name itself otherwise: the host that the site named is the one to ask.
            look.url.set_path(status.path());
            look.url.set_query(status.query());
        }
        let bound = self.arm.limits.deploy;
        let watched = self
            .arm
            .watch(look, operation::ZIPDEPLOY, deployment_progress, bound);
        match watched.await? {
            End::Done => Ok(()),
            End::Failed { message, answer } => {
                Err(self.deployment_fault(app, scm, &answer, message).await)
            }
        }
    }

    fn scm_call<'a>(
        &'a self,
        operation: Operation,
        scm: &'a Url,
        address: &str,
        app: &'a str,
    ) -> Result<Call<'a>, CloudError> {
        Ok(Call {
            operation,
            url: link_at(scm, operation, address)?,
            origin: scm,
            resource: app,
            payload: Payload::Nothing,
            deadline: self.arm.limits.call,
        })
    }

    /// A failed deployment, with the end of its log where it can be had.
    async fn deployment_fault(
        &self,
        app: &str,
        scm: &Url,
        status: &Answer,
        text: String,
    ) -> CloudError {
        let body = status.json();
        let id = body["id"].as_str().unwrap_or("latest");
        let address = format!("/api/deployments/{id}/log");
        let log = match self.scm_call(operation::DEPLOYMENTS_LOG, scm, &address, app) {
            Ok(call) => self.arm.ask(call).await.map(|answer| answer.json()),
            Err(error) => Err(error),
        };
        let lines = log.map(|log| log_lines(&log)).unwrap_or_default();
        let told: Vec<&str> = [text.as_str(), lines.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let told = told.join(": ");
        unhealthy(format!("the package was not deployed to `{app}`: {told}"))
    }

    /// Green has the functions of the release, and its host answers.
    pub(super) async fn until_green_answers(
        &self,
        release: &Release,
        green: &SlotView,
    ) -> Result<(), CloudError> {
        let app = self.names.app(&release.service.service);
        let end = Instant::now() + self.arm.limits.start;
        let mut looks = 0;
        loop {
            let reason = match self.missing_functions(&app, release).await? {
                Some(reason) => reason,
                None => match self.silence(green, release).await {
                    Some(reason) => reason,
                    None => return Ok(()),
                },
            };
            if Instant::now() >= end {
                let bound = self.arm.limits.start.as_secs();
                return Err(unhealthy(format!("after {bound}s {reason}")));
            }
            sleep(pause(looks)).await;
            looks += 1;
        }
    }

    /// How the functions that green lists differ from those of the release.
    async fn missing_functions(
        &self,
        app: &str,
        release: &Release,
    ) -> Result<Option<String>, CloudError> {
        let part = "/functions";
        let listed = match self
            .list(operation::FUNCTIONS_LIST, app, Slot::Green, part)
            .await
        {
            Ok(listed) => listed,
            // A host that restarts cannot say.
            Err(CloudError::Unreachable { message, .. }) => {
                return Ok(Some(format!(
                    "slot `{GREEN}` does not list its functions: {message}"
                )));
            }
            Err(error) => return Err(error),
        };
        let found: BTreeSet<&str> = listed
            .iter()
            .filter_map(|function| function["name"].as_str()?.rsplit('/').next())
            .collect();
        let triggers = settings::triggers(release);
        let wanted: BTreeSet<&str> = triggers.keys().map(String::as_str).collect();
        if found == wanted {
            return Ok(None);
        }
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Some(format!(
            "slot `{GREEN}` lists the functions [{}] and not [{}]",
            list(found),
            list(wanted)
        )))
    }

    /// Why a slot gives no answer of the release's own. An answer of the release counts whatever its status; one that names no release
    /// is the platform's. Where no function answers GET, nothing of ours can be asked without effect, and the platform's word counts.
    async fn silence(&self, slot: &SlotView, release: &Release) -> Option<String> {
        let Some(host) = &slot.host else {
            return Some(format!("slot `{}` has no host name", slot.slot));
        };
        let mut url = host.clone();
        let probe = probe(release);
        url.set_path(probe.as_deref().unwrap_or("/"));
        let asked = self.arm.http.get(url.clone()).timeout(self.arm.limits.call);
        let mut answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => return Some(format!("{url}: {}", chain_of(&error))),
        };
        let status = answer.status().as_u16();
        let wanted = release.digest.to_string();
        match answer.headers().get(RELEASE_HEADER) {
            Some(answering) if *answering == *wanted => None,
            Some(_) => Some(format!("{url} is still answered by another release")),
            None if probe.is_none() && !matches!(status, 502..=504) => None,
            None => {
                let start = answer.chunk().await.ok().flatten().unwrap_or_default();
                let text = String::from_utf8_lossy(&start).into_owned();
                let whose = "which names no release and so is the platform's";
                Some(format!("{url} answers {status}, {whose}: {}", quote(&text)))
            }
        }
    }
}

/// The path of a function that answers GET, with a word for each of its parameters.
fn probe(release: &Release) -> Option<String> {
    let functions = release.content.functions.values();
    let mut routes = functions.filter_map(|function| function.http.as_ref());
    let answers_get = |route: &&HttpRoute| {
        route.methods.is_empty() || route.methods.iter().any(|method| method == "GET")
    };
    let route = routes.find(answers_get)?;
    let word = |part| match part {
        part if str::starts_with(part, "{") => "verdigris-probe",
        part => part,
    };
    let words: Vec<_> = route.path.0.split('/').map(word).collect();
    Some(words.join("/"))
}

fn log_lines(log: &Value) -> String {
    let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
    let last = &entries[entries.len().saturating_sub(LOG_LINES)..];
    let lines = last.iter().filter_map(|entry| entry["message"].as_str());
    quote(&lines.collect::<Vec<_>>().join(" | "))
}

fn unhealthy(message: String) -> CloudError {
    CloudError::Unhealthy {
        cloud: CloudName::Azure,
        message,
    }
}
