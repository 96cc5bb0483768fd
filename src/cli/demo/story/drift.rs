//! Step 6: somebody edits a function by hand in one cloud. It is seen, told and repaired.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::{sync::broadcast, time::timeout};

use super::{
    Result, Twist, check,
    narrator::{Narrator, PATIENCE},
};
use crate::{
    cli::{
        demo::{ask, stage::RESYNC},
        screen::Tone,
    },
    name::{CloudName, ReleaseDigest},
    plan::state::EventRecord,
};

const API: &str = "api-version=2024-04-01";

pub(super) async fn tell(narrator: &Narrator<'_>, live: ReleaseDigest) -> Result {
    narrator
        .teller
        .chapter(6, "Somebody edits a function by hand");
    let mut events = narrator.stage.daemon.handle.subscribe();
    let site = site(narrator).await?;
    let mut settings = settings(narrator, &site).await?;
    settings.insert("CURRENCY".to_owned(), "USD".to_owned());
    let body = json!({ "properties": settings });
    let put = narrator
        .stage
        .http
        .put(format!("{site}/config/appsettings?{API}"));
    let answer = arm(put.json(&body)).await?;
    check(answer.status == 200, "Azure takes the edit", || {
        answer.short()
    })?;
    narrator.line(
        Tone::Strong,
        "a person",
        "sets CURRENCY to USD in Azure's portal",
    );
    let is_edited = |answer: &ask::Answer| answer.value("/currency") == "USD";
    let before = event(&mut events, "DriftDetected");
    let ((), ()) = tokio::try_join!(
        async {
            let edited =
                narrator.until_blue(CloudName::Azure, "Azure answers as edited", is_edited);
            // A repair that is quicker than the restart of the function leaves nothing to see.
            if let Ok(Ok(_)) = timeout(RESYNC, edited).await {
                narrator.line(Tone::Busy, "Azure", "users there are quoted dollars");
            }
            Ok(())
        },
        async {
            let seen = before.await?;
            narrator.line(Tone::Busy, "drift", &seen.message);
            Ok(())
        },
    )?;
    let repaired = event(&mut events, "DriftRepaired").await?;
    narrator.line(Tone::Quiet, "repair", &repaired.message);
    let is_right = |answer: &ask::Answer| answer.value("/currency") == "EUR";
    narrator
        .until_blue(
            CloudName::Azure,
            "Azure answers as Git says again",
            is_right,
        )
        .await?;
    narrator
        .check_blues(&narrator.hero, live, &[("/currency", "EUR".into())])
        .await?;
    let key = narrator.key.clone();
    let is_clean = |report: &crate::status::ServiceReport| {
        let mut targets = report.status.targets.iter();
        targets.all(|target| target.drift.is_empty())
    };
    narrator.until(&key, "no drift is left", is_clean).await?;
    narrator.line(Tone::Good, "price", "both clouds quote euros, as Git says");
    Ok(())
}

/// The address of the hero's site, found as a person finds it: in the list, by its tag.
async fn site(narrator: &Narrator<'_>) -> Result<String> {
    let state = narrator.stage.daemon.handle.state(&narrator.key).await;
    let environment = state.and_then(|state| state.memory.environment);
    let azure = environment.and_then(|environment| environment.azure.clone());
    let azure = azure.ok_or_else(|| Twist::new("the environment is on Azure", "it is not"))?;
    let base = narrator.stage.azure_url();
    let subscription = azure.subscription;
    let url = format!("{base}/subscriptions/{subscription}/providers/Microsoft.Web/sites?{API}");
    let answer = arm(narrator.stage.http.get(url)).await?;
    let sites = answer.value("/value");
    let is_ours = |site: &&Value| site["tags"]["verdigris-service"] == narrator.hero.name;
    let site = sites
        .as_array()
        .and_then(|sites| sites.iter().find(is_ours));
    let id = site.and_then(|site| site["id"].as_str());
    let id = id.ok_or_else(|| Twist::new("Azure lists the site of price", answer.short()))?;
    Ok(format!("{base}{id}"))
}

async fn settings(narrator: &Narrator<'_>, site: &str) -> Result<BTreeMap<String, String>> {
    let list = narrator
        .stage
        .http
        .post(format!("{site}/config/appsettings/list?{API}"));
    let answer = arm(list).await?;
    let settings = serde_json::from_value(answer.value("/properties"));
    settings.map_err(|_| Twist::new("Azure lists the settings of price", answer.short()))
}

async fn arm(request: RequestBuilder) -> Result<ask::Answer> {
    let answer = ask::send(request.bearer_auth("local")).await;
    answer.map_err(|why| Twist::new("Azure's resource manager answers", why))
}

/// Waits for an event by its word.
async fn event(
    events: &mut broadcast::Receiver<Arc<EventRecord>>,
    reason: &str,
) -> Result<Arc<EventRecord>> {
    let wait = async {
        loop {
            match events.recv().await {
                Ok(event) if event.reason == reason => return Some(event),
                // One that lagged has missed some, and waits for the next.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    };
    let expected = || format!("the controller tells of {reason} within {PATIENCE:?}");
    let event = timeout(PATIENCE, wait).await;
    event
        .ok()
        .flatten()
        .ok_or_else(|| Twist::new(expected(), "no such event"))
}
