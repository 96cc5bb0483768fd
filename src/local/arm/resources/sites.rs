//! Function Apps and their slots.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::local::arm::{
    cloud::{Cloud, State},
    model::{Content, HostKeys, Key, PRODUCTION, Site, Slot, SlotKey, StickyNames},
    resources::{
        groups, plans,
        site_body::render,
        site_names::{check_free, check_rule},
    },
    slots::flex,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

/// Properties that we compute or keep elsewhere, and so do not hand back as they were sent.
const COMPUTED: [&str; 3] = ["siteConfig", "serverFarmId", "state"];

// === create and change ===

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let group = groups::require(&state, call)?.location.clone();
    let key = call.slot_key();
    state.idle(&key.site)?;
    // A body that cannot be taken must not leave an empty site behind.
    call.tags()?;
    site_settings(&call.body["properties"]["siteConfig"]["appSettings"])?;
    flex::check(&state, call)?;
    if state.site(&key).is_none() {
        create(cloud, &mut state, call, &group)?;
    }
    change(cloud, &mut state, call, Change::Replace)
}

pub(in crate::local::arm) fn patch(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let key = call.slot_key();
    state.site(&key).ok_or_else(|| call.no_site())?;
    state.idle(&key.site)?;
    change(cloud, &mut state, call, Change::Merge)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Change {
    /// What the body does not hold is taken away.
    Replace,
    Merge,
}

fn create(
    cloud: &Arc<Cloud>,
    state: &mut State,
    call: &Call,
    group_location: &str,
) -> Result<(), ArmError> {
    let key = call.slot_key();
    let asked = call.body["location"].as_str().unwrap_or(group_location);
    let location = asked.to_owned();
    let plan = call.body["properties"]["serverFarmId"].as_str();
    let mut site = if key.slot == PRODUCTION {
        call.required("location")?;
        check_free(state, call.arg("site"))?;
        new_site(call)
    } else {
        check_room(state, call)?
    };
    let plan = match (plan, site.slots.get(PRODUCTION)) {
        (None, Some(production)) => production.plan.clone(),
        (asked, _) => plans::for_site(state, call, asked, &location)?,
    };
    let mut slot = new_slot(cloud, call, location, plan);
    if let Some(production) = site.slots.get(PRODUCTION) {
        slot.kind = production.kind.clone();
    }
    let failed =
        |error: std::io::Error| ArmError::Internal(format!("No listener could be opened: {error}"));
    cloud.open_slot(&site, &mut slot).map_err(failed)?;
    site.slots.insert(key.slot, slot);
    state.world.sites.insert(key.site, site);
    Ok(())
}

fn check_room(state: &State, call: &Call) -> Result<Site, ArmError> {
    let key = call.slot_key();
    let site = state.world.sites.get(&key.site);
    let site =
        site.ok_or_else(|| ArmError::no_site(call.arg("group"), call.arg("site"), PRODUCTION))?;
    check_rule(call.slot())?;
    let plan = site.slots.get(PRODUCTION).map(|slot| Key::of(&slot.plan));
    let sku = plans::sku_of(plan.and_then(|plan| state.world.plans.get(&plan)));
    let max = plans::slots_max(sku);
    if site.slots.len() >= max {
        return Err(ArmError::Conflict(format!(
            "Cannot complete the operation because the site will exceed the number of slots allowed for the '{}' SKU ({max} with production).",
            plans::tier(sku)
        )));
    }
    Ok(site.clone())
}

fn new_site(call: &Call) -> Site {
    Site {
        id: call.site_id(),
        name: call.arg("site").to_owned(),
        subscription: call.arg("subscription").to_owned(),
        group: call.arg("group").to_owned(),
        sticky: StickyNames::default(),
        slots: BTreeMap::new(),
    }
}

fn new_slot(cloud: &Cloud, call: &Call, location: String, plan: String) -> Slot {
    let production = call.slot().eq_ignore_ascii_case(PRODUCTION);
    let id = if production {
        call.site_id()
    } else {
        format!("{}/slots/{}", call.site_id(), call.slot())
    };
    let now = cloud.clock.now();
    Slot {
        id,
        name: call.slot().to_owned(),
        location,
        kind: "functionapp,linux".to_owned(),
        tags: BTreeMap::new(),
        identity: None,
        plan,
        properties: Map::new(),
        running: true,
        keys: HostKeys {
            master: secret(),
            default: secret(),
        },
        password: secret(),
        front_port: 0,
        scm_port: 0,
        created: now,
        modified: now,
        last_swap: None,
        preview: None,
        auth: Value::Null,
        domains: BTreeSet::new(),
        content: Content::default(),
    }
}

/// Two random ids, which is more than anyone guesses.
pub(in crate::local::arm) fn secret() -> String {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    format!("{}{}", random(), random())
}

fn change(
    cloud: &Arc<Cloud>,
    state: &mut State,
    call: &Call,
    how: Change,
) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    let tags = call.tags()?;
    let settings = site_settings(&call.body["properties"]["siteConfig"]["appSettings"])?;
    let plan = match call.body["properties"]["serverFarmId"].as_str() {
        Some(id) => Some(plans::for_site(state, call, Some(id), "")?),
        None => None,
    };
    let now = cloud.clock.now();
    let slot = state.slot_mut(&key).ok_or_else(|| call.no_site())?;
    let before = slot.content.settings.clone();
    take_properties(slot, call, how);
    if let Some(tags) = tags {
        slot.tags = tags;
    } else if how == Change::Replace {
        slot.tags.clear();
    }
    if let Some(settings) = settings {
        slot.content.settings = settings;
    }
    slot.plan = plan.unwrap_or_else(|| slot.plan.clone());
    slot.modified = now;
    let restarts = slot.content.settings != before;
    cloud.changed();
    let (site, slot) = state.site(&key).ok_or_else(|| call.no_site())?;
    if restarts {
        cloud.restart(site, slot);
    }
    Ok(Answer::ok(render(cloud, state, site, slot)))
}

fn take_properties(slot: &mut Slot, call: &Call, how: Change) {
    if let Some(kind) = call.body["kind"].as_str() {
        slot.kind = kind.to_owned();
    }
    if !call.body["identity"].is_null() {
        slot.identity = Some(call.body["identity"].clone());
    }
    if how == Change::Replace {
        slot.properties.clear();
    }
    if let Some(properties) = call.body["properties"].as_object() {
        let kept = |(name, value): &(&String, &Value)| {
            !COMPUTED.contains(&name.as_str()) && !value.is_null()
        };
        let kept = properties.iter().filter(kept);
        slot.properties
            .extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(config) = call.body["properties"]["siteConfig"].as_object() {
        let kept = |(name, value): &(&String, &Value)| {
            !["appSettings", "connectionStrings"].contains(&name.as_str()) && !value.is_null()
        };
        let kept = config.iter().filter(kept);
        slot.content
            .config
            .extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// `siteConfig.appSettings`, a list of pairs; `None` where it is not given and the settings stay.
fn site_settings(given: &Value) -> Result<Option<BTreeMap<String, String>>, ArmError> {
    let Some(pairs) = given.as_array() else {
        return Ok(None);
    };
    let pair = |pair: &Value| {
        let name = pair["name"].as_str().ok_or_else(|| {
            ArmError::Invalid("Each of siteConfig.appSettings must have a name.".to_owned())
        })?;
        Ok((
            name.to_owned(),
            pair["value"].as_str().unwrap_or_default().to_owned(),
        ))
    };
    pairs.iter().map(pair).collect::<Result<_, _>>().map(Some)
}

// === read ===

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    if call.method == Method::HEAD {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    Ok(Answer::ok(render(cloud, &state, site, slot)))
}

pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let parent = if call.arg("group").is_empty() {
        Key::of(&call.subscription_id())
    } else {
        groups::require(&state, call)?;
        Key::of(&call.group_id())
    };
    let sites = state
        .world
        .sites
        .iter()
        .filter(|(key, _)| key.is_under(&parent));
    let production = sites.filter_map(|(_, site)| Some((site, site.slots.get(PRODUCTION)?)));
    page::answer(cloud, call, production, |(site, slot)| {
        render(cloud, &state, site, slot)
    })
}

pub(in crate::local::arm) fn list_slots(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    let site = state
        .world
        .sites
        .get(&Key::of(&call.site_id()))
        .ok_or_else(|| call.no_site())?;
    let slots = site.slots.iter().filter(|(name, _)| *name != PRODUCTION);
    page::answer(cloud, call, slots, |(_, slot)| {
        render(cloud, &state, site, slot)
    })
}

// === delete, start, stop ===

pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let key = call.slot_key();
    if state.site(&key).is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    state.idle(&key.site)?;
    let closed: Vec<String> = if key.slot == PRODUCTION {
        let site = state.world.sites.remove(&key.site);
        site.map(|site| site.slots.into_keys().collect())
            .unwrap_or_default()
    } else {
        let site = state.world.sites.get_mut(&key.site);
        site.and_then(|site| site.slots.remove(&key.slot));
        vec![key.slot.clone()]
    };
    for slot in closed {
        let site = key.site.clone();
        cloud.close_slot(&SlotKey { site, slot });
    }
    cloud.changed();
    Ok(Answer::empty(StatusCode::OK))
}

pub(in crate::local::arm) fn start(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    run(cloud, call, true)
}

pub(in crate::local::arm) fn stop(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    run(cloud, call, false)
}

fn run(cloud: &Arc<Cloud>, call: &Call, running: bool) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    let mut state = cloud.state();
    state.site(&key).ok_or_else(|| call.no_site())?;
    state.idle(&key.site)?;
    if let Some(slot) = state.slot_mut(&key) {
        slot.running = running;
    }
    restart_app(cloud, &state, call)
}

pub(in crate::local::arm) fn restart(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    restart_app(cloud, &state, call)
}

fn restart_app(cloud: &Arc<Cloud>, state: &State, call: &Call) -> Result<Answer, ArmError> {
    let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    cloud.restart(site, slot);
    cloud.changed();
    Ok(Answer::empty(StatusCode::OK))
}
