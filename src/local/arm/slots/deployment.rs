//! Deployments: from the bytes of a package to code in its slot, and how they are told about.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::local::arm::{
    cloud::Cloud,
    model::{Deployment, Outcome, SlotKey},
    operations::Progress,
    slots::flex,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

/// Deployments that a slot remembers.
const HISTORY_MAX: usize = 10;

/// A deployment that has begun and must be ended.
#[must_use = "a deployment that has begun keeps its site busy until it is ended"]
pub(in crate::local::arm) struct Begun {
    key: SlotKey,
    operation: String,
    pub deployment: String,
}

/// # Errors
///
/// 409 while something else runs on the site.
pub(in crate::local::arm) fn begin(
    cloud: &Arc<Cloud>,
    key: &SlotKey,
    deployer: String,
) -> Result<Begun, ArmError> {
    let mut state = cloud.state();
    state.idle(&key.site)?;
    let now = cloud.clock.now();
    let gone = || ArmError::Invalid("The site is gone.".to_owned());
    let slot = state.slot_mut(key).ok_or_else(gone)?;
    let deployment = uuid::Uuid::new_v4().to_string();
    let all = &mut slot.content.deployments;
    all.push(Deployment {
        id: deployment.clone(),
        received: now,
        ended: None,
        deployer,
        outcome: Outcome::Running,
    });
    let excess = all.len().saturating_sub(HISTORY_MAX);
    all.drain(..excess);
    let what = format!("deployment to slot {}", key.slot);
    Ok(Begun {
        operation: state.operations.begin(&key.site, what, now),
        key: key.clone(),
        deployment,
    })
}

/// Unpacks the package and puts it in its slot's place.
pub(in crate::local::arm) async fn finish(cloud: Arc<Cloud>, begun: Begun, zip: Bytes) {
    let earliest = Instant::now() + cloud.options.deploy_time;
    let disk = Arc::clone(&cloud);
    let unpacked = tokio::task::spawn_blocking(move || disk.disk.add(&zip)).await;
    sleep_until(earliest).await;
    match unpacked {
        Ok(Ok(package)) => end(&cloud, &begun, Ok(package.digest)),
        Ok(Err(error)) => end(&cloud, &begun, Err(error.to_string())),
        Err(error) => end(&cloud, &begun, Err(error.to_string())),
    }
}

/// Records how a deployment ended; its site is idle again.
pub(in crate::local::arm) fn end(
    cloud: &Cloud,
    begun: &Begun,
    outcome: Result<crate::name::CodeDigest, String>,
) {
    let Begun {
        key,
        operation,
        deployment,
    } = begun;
    let mut state = cloud.state();
    let now = cloud.clock.now();
    let progress = match &outcome {
        Ok(_) => Progress::Succeeded,
        Err(reason) => Progress::Failed(ArmError::Invalid(reason.clone())),
    };
    state.operations.end(operation, progress, now);
    let found = state.site(key);
    let kept_as = found.and_then(|(_, slot)| flex::kept_as(&state, slot));
    if let (Ok(digest), Some(name)) = (&outcome, kept_as) {
        state.world.blobs.insert(name, *digest);
    }
    let Some(slot) = state.slot_mut(key) else {
        return;
    };
    let all = &mut slot.content.deployments;
    if let Some(entry) = all.iter_mut().find(|one| one.id == *deployment) {
        entry.ended = Some(now);
        entry.outcome = match &outcome {
            Ok(_) => Outcome::Succeeded,
            Err(reason) => Outcome::Failed {
                reason: reason.clone(),
            },
        };
    }
    if let Ok(digest) = outcome {
        slot.content.package = Some(digest);
        slot.modified = now;
        if let Some((site, slot)) = state.site(key) {
            cloud.restart(site, slot);
        }
    }
    cloud.changed();
}

// === through the resource manager ===

/// Fetches the package that `properties.packageUri` names, and deploys it.
pub(in crate::local::arm) fn one_deploy(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    cloud.state().site(&key).ok_or_else(|| call.no_site())?;
    let uri = call.body["properties"]["packageUri"].as_str();
    let uri =
        uri.ok_or_else(|| ArmError::Invalid("The parameter packageUri is required.".to_owned()))?;
    let uri: url::Url = uri
        .parse()
        .map_err(|error| ArmError::Invalid(format!("packageUri: {error}")))?;
    let begun = begin(cloud, &key, "OneDeploy".to_owned())?;
    let worker = Arc::clone(cloud);
    cloud.tasks.spawn(async move {
        let stop = worker.stop.clone();
        match stop.run_until_cancelled(fetch(uri)).await {
            Some(Ok(zip)) => finish(worker, begun, zip).await,
            Some(Err(error)) => end(&worker, &begun, Err(format!("{error}"))),
            None => end(&worker, &begun, Err("the endpoint is stopping".to_owned())),
        }
    });
    last_deployment(cloud, call)
}

async fn fetch(uri: url::Url) -> Result<Bytes, reqwest::Error> {
    let response = reqwest::get(uri).await?.error_for_status()?;
    response.bytes().await
}

pub(in crate::local::arm) fn last_deployment(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    let last = slot.content.deployments.last();
    let properties = last.map_or(Value::Null, |one| render(&site.name, one, ""));
    Ok(Answer::ok(json!({
        "id": format!("{}/extensions/onedeploy", slot.id),
        "name": "onedeploy",
        "type": "Microsoft.Web/sites/extensions",
        "properties": properties,
    })))
}

pub(in crate::local::arm) fn arm_deployments(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    let all = slot.content.deployments.iter().rev();
    page::answer(cloud, call, all, |one| {
        json!({
            "id": format!("{}/deployments/{}", slot.id, one.id),
            "name": one.id,
            "type": "Microsoft.Web/sites/deployments",
            "properties": render(&site.name, one, ""),
        })
    })
}

pub(in crate::local::arm) fn deployment_status(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    let id = call.arg("deployment");
    let mut all = slot.content.deployments.iter();
    let one = all
        .find(|one| one.id == id)
        .ok_or_else(|| ArmError::NoResource {
            kind: "Microsoft.Web/sites/deploymentStatus",
            name: id.to_owned(),
            group: call.arg("group").to_owned(),
        })?;
    let (http, status) = match &one.outcome {
        Outcome::Running => (StatusCode::ACCEPTED, "BuildInProgress"),
        Outcome::Succeeded => (StatusCode::OK, "RuntimeSuccessful"),
        Outcome::Failed { .. } => (StatusCode::OK, "BuildFailed"),
    };
    let body = json!({
        "id": format!("{}/deploymentStatus/{id}", slot.id),
        "name": id,
        "type": "Microsoft.Web/sites/deploymentStatus",
        "properties": {"deploymentId": id, "status": status},
    });
    Ok(Answer::with(http, body))
}

/// A deployment in the words of the deployment service.
pub(in crate::local::arm) fn render(site: &str, deployment: &Deployment, base: &str) -> Value {
    let (status, text, state) = match &deployment.outcome {
        Outcome::Running => (1, String::new(), "InProgress"),
        Outcome::Succeeded => (4, String::new(), "Succeeded"),
        Outcome::Failed { reason } => (3, reason.clone(), "Failed"),
    };
    let ended = deployment.ended.map(|at| at.to_string());
    json!({
        "id": deployment.id,
        "status": status,
        "status_text": text,
        "provisioningState": state,
        "author_email": "N/A",
        "author": "N/A",
        "deployer": deployment.deployer,
        "message": "Created via a push deployment",
        "progress": "",
        "received_time": deployment.received.to_string(),
        "start_time": deployment.received.to_string(),
        "end_time": ended,
        "last_success_end_time": if status == 4 { ended.clone() } else { None },
        "complete": status != 1,
        "active": status == 4,
        "is_temp": false,
        "is_readonly": true,
        "url": format!("{base}/api/deployments/{}", deployment.id),
        "log_url": format!("{base}/api/deployments/{}/log", deployment.id),
        "site_name": site,
    })
}
