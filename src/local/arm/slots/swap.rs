//! Slot swaps: warm up the source with the target's settings, then exchange both in one step.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep, sleep_until};

use crate::local::arm::{
    cloud::{Cloud, State},
    host::app::App,
    model::{Key, LastSwap, PRODUCTION, Site, Slot, SlotKey},
    operations::{Links, Progress},
    resources::site_body,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};
use crate::local::faults::Verdict;

/// A rule of this name makes a swap undo itself, after the rule's latency.
const REVERT: &str = "swap.revert";

/// A rule of this name makes a swap fail after the warm-up, before traffic moves.
const MIDWAY: &str = "swap.midway";

const API_VERSION: &str = "2025-05-01";

/// Two slots of one site. The source is never production, whichever way round it was asked for.
#[derive(Clone)]
struct Pair {
    source: SlotKey,
    target: SlotKey,
}

// === handlers ===

pub(in crate::local::arm) fn swap(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let pair = pair(&state, call)?;
    state.idle(&pair.source.site)?;
    let what = format!(
        "swap of slot {} into {}",
        pair.source.slot, pair.target.slot
    );
    let id = state
        .operations
        .begin(&pair.source.site, what, cloud.clock.now());
    let location = link(cloud, &state, call, &id)?;
    cloud.tasks.spawn(carry_out(Arc::clone(cloud), pair, id));
    let status = None;
    Ok(Links { location, status }.accepted())
}

/// First half of a swap with preview: the source runs with the target's sticky settings.
pub(in crate::local::arm) fn apply_config(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let Pair { source, target } = pair(&state, call)?;
    preview(cloud, &mut state, call, &source, Some(target.slot))
}

/// Takes the first half back.
pub(in crate::local::arm) fn reset_config(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let asked = call.slot_key();
    let site = state
        .world
        .sites
        .get(&asked.site)
        .ok_or_else(|| call.no_site())?;
    let previewing = site.slots.iter().find(|(_, slot)| slot.preview.is_some());
    let slot = match (asked.slot == PRODUCTION, previewing) {
        (true, Some((name, _))) => name.clone(),
        (true, None) | (false, _) => asked.slot,
    };
    let source = SlotKey {
        site: asked.site,
        slot,
    };
    preview(cloud, &mut state, call, &source, None)
}

fn preview(
    cloud: &Arc<Cloud>,
    state: &mut State,
    call: &Call,
    source: &SlotKey,
    target: Option<String>,
) -> Result<Answer, ArmError> {
    state.idle(&source.site)?;
    let slot = state.slot_mut(source).ok_or_else(|| call.no_site())?;
    slot.preview = target;
    if let Some((site, slot)) = state.site(source) {
        cloud.restart(site, slot);
    }
    cloud.changed();
    Ok(Answer::empty(StatusCode::OK))
}

/// In the end it is the site or slot that was asked to swap.
pub(in crate::local::arm) fn result(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let id = call.arg("operation");
    let operation = state.operations.asked(id, call)?;
    operation.result(link(cloud, &state, call, id)?, || {
        let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
        Ok(Answer::ok(site_body::render(cloud, &state, site, slot)))
    })
}

fn pair(state: &State, call: &Call) -> Result<Pair, ArmError> {
    let named = call.required("targetSlot")?.to_ascii_lowercase();
    let asked = call.slot_key();
    let other = SlotKey {
        site: asked.site.clone(),
        slot: named,
    };
    state.site(&asked).ok_or_else(|| call.no_site())?;
    let missing = || ArmError::no_site(call.arg("group"), call.arg("site"), &other.slot);
    state.site(&other).ok_or_else(missing)?;
    if asked == other {
        let text = "The source and the target of a swap must be two slots.".to_owned();
        return Err(ArmError::Invalid(text));
    }
    Ok(if asked.slot == PRODUCTION {
        Pair {
            source: other,
            target: asked,
        }
    } else {
        Pair {
            source: asked,
            target: other,
        }
    })
}

/// Another one each time, as it is signed there.
fn link(cloud: &Cloud, state: &State, call: &Call, id: &str) -> Result<String, ArmError> {
    let (_, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    let (base, now) = (&call.base, cloud.clock.now().millis());
    Ok(format!(
        "{base}{}/operationresults/{id}?api-version={API_VERSION}&t={now}",
        slot.id
    ))
}

// === the operation itself ===

async fn carry_out(cloud: Arc<Cloud>, pair: Pair, id: String) {
    let outcome = cloud
        .stop
        .run_until_cancelled(exchange(&cloud, &pair))
        .await;
    let progress = match outcome {
        Some(Ok(())) => Progress::Succeeded,
        Some(Err(error)) => Progress::Failed(error),
        None => Progress::Failed(ArmError::Internal("The endpoint is stopping.".to_owned())),
    };
    let swapped = progress == Progress::Succeeded;
    cloud
        .state()
        .operations
        .end(&id, progress, cloud.clock.now());
    if swapped && let Some(wait) = revert_wait(&cloud) {
        let reverting = Arc::clone(&cloud);
        cloud.tasks.spawn(async move {
            let stop = reverting.stop.clone();
            stop.run_until_cancelled(revert(&reverting, &pair, wait))
                .await;
        });
    }
}

/// # Guarantees
///
/// Until the exchange nothing has changed, so a failure leaves both slots as they were. The exchange is one step: every
/// request before it is answered by the old app, to its end, and every request after it by the new one, which is warm.
async fn exchange(cloud: &Arc<Cloud>, pair: &Pair) -> Result<(), ArmError> {
    let earliest = Instant::now() + cloud.options.swap_time;
    let warm = incoming(cloud, pair)?;
    if let Err(reason) = warm.warm_up().await {
        warm.stop().await;
        return Err(ArmError::Conflict(format!(
            "Cannot swap slots because the application in slot '{}' did not start with the settings of '{}': {reason}",
            pair.source.slot, pair.target.slot
        )));
    }
    sleep_until(earliest).await;
    if let Err(error) = midway(cloud).await {
        warm.stop().await;
        return Err(error);
    }
    let mut state = cloud.state();
    let now = cloud.clock.now();
    let site = state
        .world
        .sites
        .get_mut(&pair.source.site)
        .ok_or_else(gone)?;
    trade(site, pair, now)?;
    let source = site.slots.get(&pair.source.slot).ok_or_else(gone)?;
    let outgoing = cloud.app(site, source);
    cloud.replace(vec![
        (pair.target.clone(), warm),
        (pair.source.clone(), outgoing),
    ]);
    cloud.changed();
    Ok(())
}

/// The source's code with the settings and in the place of the target.
fn incoming(cloud: &Cloud, pair: &Pair) -> Result<Arc<App>, ArmError> {
    let state = cloud.state();
    let (site, source) = state.site(&pair.source).ok_or_else(gone)?;
    let (_, target) = state.site(&pair.target).ok_or_else(gone)?;
    let settings = site.settings_at(&source.content, &target.content);
    Ok(cloud.app_from(site, source, target, settings))
}

async fn midway(cloud: &Cloud) -> Result<(), ArmError> {
    let named = |operation: &str| {
        let rules = cloud.options.faults.list();
        rules
            .iter()
            .any(|rule| rule.operation == operation && rule.times != Some(0))
    };
    if !named(MIDWAY) {
        return Ok(());
    }
    match cloud.options.faults.before(MIDWAY).await {
        Verdict::Proceed => Ok(()),
        Verdict::Fail { message, .. } => Err(ArmError::Internal(message)),
        Verdict::Throttle | Verdict::LoseReply => {
            Err(ArmError::Internal("The swap was interrupted.".to_owned()))
        }
    }
}

/// Exchanges what moves; sticky names, tags, keys and addresses stay.
fn trade(site: &mut Site, pair: &Pair, now: crate::name::Timestamp) -> Result<(), ArmError> {
    let source = site.slots.get(&pair.source.slot).ok_or_else(gone)?;
    let target = site.slots.get(&pair.target.slot).ok_or_else(gone)?;
    let at_target = site.content_at(&source.content, &target.content);
    let at_source = site.content_at(&target.content, &source.content);
    let swap = LastSwap {
        at: now,
        source: source.name.clone(),
        destination: target.name.clone(),
    };
    let settle = |slot: &mut Slot, content| {
        slot.content = content;
        slot.preview = None;
        slot.modified = now;
        slot.last_swap = Some(swap.clone());
    };
    if let Some(slot) = site.slots.get_mut(&pair.target.slot) {
        settle(slot, at_target);
    }
    if let Some(slot) = site.slots.get_mut(&pair.source.slot) {
        settle(slot, at_source);
    }
    Ok(())
}

fn gone() -> ArmError {
    ArmError::Conflict("The site is gone.".to_owned())
}

// === swaps that undo themselves ===

fn revert_wait(cloud: &Cloud) -> Option<Duration> {
    let rules = cloud.options.faults.list();
    let rule = rules
        .iter()
        .find(|rule| rule.operation == REVERT && rule.times != Some(0));
    match rule {
        // The rule's own latency is waited for where it is judged.
        Some(_) => Some(Duration::ZERO),
        None => cloud.options.swap_reverts_after,
    }
}

async fn revert(cloud: &Arc<Cloud>, pair: &Pair, wait: Duration) {
    sleep(wait).await;
    // Judged for its wait and its count only: that it is there at all says what to do.
    cloud.options.faults.before(REVERT).await;
    let id = {
        let mut state = cloud.state();
        let site: &Key = &pair.source.site;
        if state.idle(site).is_err() || state.site(&pair.source).is_none() {
            return;
        }
        state
            .operations
            .begin(site, "a swap undoing itself".to_owned(), cloud.clock.now())
    };
    let progress = match exchange(cloud, pair).await {
        Ok(()) => Progress::Succeeded,
        Err(error) => Progress::Failed(error),
    };
    cloud
        .state()
        .operations
        .end(&id, progress, cloud.clock.now());
}
