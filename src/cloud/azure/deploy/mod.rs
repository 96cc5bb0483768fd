//! Sends a package to a slot's own deployment service, and follows it to its end.

mod from_url;
mod gone;
mod old;

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use self::gone::Lies;
pub(super) use self::gone::is_gone;
use super::{
    AzureCloud,
    arm::{
        Answer, Call, End, Judge, Payload, link_at,
        operation::{self, Operation},
        quote, unreachable,
    },
    observe::SlotView,
};
use crate::{
    cloud::{CloudError, Package},
    name::CloudName,
};

/// Lines of a failed deployment's log that are told.
const LOG_LINES: usize = 12;

const ZIPDEPLOY: &str = "/api/zipdeploy?isAsync=true";

/// One Deploy, which puts the package into the app's own container. Nothing is built again on the way.
const PUBLISH: &str = "/api/publish?RemoteBuild=false&Deployer=Verdigris";

/// What a platform says that may not read an app's container: of a role that was given a moment ago.
const NO_STORAGE: [&str; 2] = ["InaccessibleStorage", "StorageAccessibleCheck"];

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
            let message = format!("{} of `{app}` names no deployment host", slot.label);
            return Err(unreachable(operation::ZIPDEPLOY, message));
        };
        let bytes = tokio::fs::read(&package.path).await.map_err(|error| {
            let path = package.path.display();
            unreachable(operation::ZIPDEPLOY, format!("package `{path}`: {error}"))
        })?;
        let (way, address, kind) = match self.names.is_flex() {
            true => (operation::PUBLISH, PUBLISH, "application/zip"),
            false => (operation::ZIPDEPLOY, ZIPDEPLOY, "application/octet-stream"),
        };
        let mut call = self.scm_call(way, scm, address, app)?;
        call.payload = Payload::Package(Bytes::from(bytes), kind);
        call.deadline = self.arm.limits.deploy;
        let started = self.arm.ask(call).await?;
        let mut look = self.scm_call(operation::DEPLOYMENTS_GET, scm, LATEST, app)?;
        let status = started.links.result;
        if let Some(status) = status.and_then(|address| scm.join(&address).ok()) {
            // Behind a gateway the service may name itself otherwise: the host that the site named is the one to ask.
            look.url.set_path(status.path());
            look.url.set_query(status.query());
        }
        let bound = self.arm.limits.deploy;
        let watched = self.arm.watch(look, way, Judge::Deployment, bound);
        match watched.await? {
            End::Done => {
                if self.names.is_flex() {
                    let key = Lies::by_the_platform(app).key();
                    self.seldom.packages.note(&key, true);
                }
                Ok(())
            }
            End::Failed { message, answer } => {
                Err(self.deployment_fault(app, scm, &answer, message).await)
            }
        }
    }

    pub(super) fn scm_call<'a>(
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
            if_match: None,
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
        if NO_STORAGE.iter().any(|word| told.contains(word)) {
            let message = format!("a role that was given counts after some minutes: {told}");
            return unreachable(operation::PUBLISH, message);
        }
        unhealthy(format!("the package was not deployed to `{app}`: {told}"))
    }
}

fn log_lines(log: &Value) -> String {
    let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
    let last = &entries[entries.len().saturating_sub(LOG_LINES)..];
    let lines = last.iter().filter_map(|entry| entry["message"].as_str());
    quote(&lines.collect::<Vec<_>>().join(" | "))
}

pub(super) fn unhealthy(message: String) -> CloudError {
    CloudError::Unhealthy {
        cloud: CloudName::Azure,
        message,
    }
}
