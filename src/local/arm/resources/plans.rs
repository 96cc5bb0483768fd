//! Plans and storage accounts: control plane only, since nothing of ours runs on them.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::local::arm::{
    cloud::{Cloud, State},
    model::{Key, Resource},
    operations::{Links, begin_done},
    queues::{door as queues, keys::keys_of, store},
    resources::{blobs, groups},
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

const PLAN: &str = "Microsoft.Web/serverfarms";
const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";

// === plans ===

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let plan = resource(call, call.plan_id(), call.arg("plan"))?;
    let body = render_plan(&state, &plan);
    state.world.plans.insert(Key::of(&plan.id), plan);
    cloud.changed();
    Ok(Answer::ok(body))
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    let plan = state.world.plans.get(&Key::of(&call.plan_id()));
    let plan = plan.ok_or_else(|| no_plan(call.arg("plan"), call))?;
    Ok(Answer::ok(render_plan(&state, plan)))
}

pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let key = Key::of(&call.plan_id());
    if sites_on(&state, &key) > 0 {
        return Err(ArmError::Conflict(format!(
            "Server farm '{}' cannot be deleted because it has web app(s) assigned to it.",
            call.arg("plan")
        )));
    }
    let status = match state.world.plans.remove(&key) {
        Some(_) => StatusCode::OK,
        None => StatusCode::NO_CONTENT,
    };
    cloud.changed();
    Ok(Answer::empty(status))
}

pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let parent = if call.arg("group").is_empty() {
        Key::of(&call.subscription_id())
    } else {
        groups::require(&state, call)?;
        Key::of(&call.group_id())
    };
    let plans = state.world.plans.iter();
    let all = plans.filter(|(key, _)| key.is_under(&parent));
    page::answer(cloud, call, all, |(_, plan)| render_plan(&state, plan))
}

/// The plan that a site asks for by id; a consumption plan is made for one that asks for none.
pub(in crate::local::arm) fn for_site(
    state: &mut State,
    call: &Call,
    asked: Option<&str>,
    location: &str,
) -> Result<String, ArmError> {
    if let Some(id) = asked {
        // A bare name, as the az command line sends it, is a plan of the site's own group.
        let id = if id.contains('/') {
            id
        } else {
            &format!("{}/providers/{PLAN}/{id}", call.group_id())
        };
        let plan = state.world.plans.get(&Key::of(id));
        let name = id.rsplit('/').next().unwrap_or(id);
        return Ok(plan.ok_or_else(|| no_plan(name, call))?.id.clone());
    }
    let name = format!("{}Plan", location.replace(' ', ""));
    let id = format!("{}/providers/{PLAN}/{name}", call.group_id());
    let rest =
        json!({"sku": {"name": "Y1"}, "kind": "functionapp", "properties": {"reserved": true}});
    let plan = Resource {
        id: id.clone(),
        name,
        location: location.to_owned(),
        tags: Default::default(),
        rest: rest.as_object().cloned().unwrap_or_default(),
    };
    state.world.plans.entry(Key::of(&id)).or_insert(plan);
    Ok(id)
}

/// Slots, production included, that a plan of this size has room for.
pub(in crate::local::arm) fn slots_max(sku: &str) -> usize {
    match sku.get(..1).unwrap_or_default() {
        "Y" => 2,
        "E" => 3,
        "S" => 5,
        "P" | "I" => 20,
        // Free, shared, basic, and Flex Consumption.
        _ => 1,
    }
}

pub(in crate::local::arm) fn sku_of(plan: Option<&Resource>) -> &str {
    plan.and_then(|plan| plan.rest.get("sku")?.get("name")?.as_str())
        .unwrap_or("Y1")
}

/// The tier that a sku's name stands for.
pub(in crate::local::arm) fn tier(sku: &str) -> &'static str {
    match sku.get(..1).unwrap_or_default() {
        "Y" => "Dynamic",
        "E" => "ElasticPremium",
        "S" => "Standard",
        "P" => "PremiumV3",
        "I" => "IsolatedV2",
        "B" => "Basic",
        "F" if sku.starts_with("FC") => "FlexConsumption",
        _ => "Free",
    }
}

fn sites_on(state: &State, plan: &Key) -> usize {
    let sites = state.world.sites.values();
    let on_it = |site: &&crate::local::arm::model::Site| {
        site.slots.values().any(|slot| Key::of(&slot.plan) == *plan)
    };
    sites.filter(on_it).count()
}

fn no_plan(name: &str, call: &Call) -> ArmError {
    ArmError::NoResource {
        kind: PLAN,
        name: name.to_owned(),
        group: call.arg("group").to_owned(),
    }
}

fn render_plan(state: &State, plan: &Resource) -> Value {
    let sku = sku_of(Some(plan)).to_owned();
    let mut body = render(plan, PLAN);
    let properties = plan.rest.get("properties").and_then(Value::as_object);
    let mut properties = properties.cloned().unwrap_or_default();
    let computed = json!({
        "status": "Ready",
        "provisioningState": "Succeeded",
        "numberOfSites": sites_on(state, &Key::of(&plan.id)),
        "resourceGroup": plan.id.split('/').nth(4),
        "subscription": plan.id.split('/').nth(2),
        "geoRegion": plan.location,
    });
    properties.extend(computed.as_object().cloned().unwrap_or_default());
    body["properties"] = Value::Object(properties);
    let kind = plan.rest.get("kind").and_then(Value::as_str);
    body["kind"] = json!(kind.unwrap_or("functionapp"));
    body["sku"] = json!({
        "name": sku,
        "tier": tier(&sku),
        "size": sku,
        "family": sku.get(..1),
        "capacity": plan.rest.get("sku").and_then(|sku| sku.get("capacity")).cloned().unwrap_or(json!(0)),
    });
    body
}

// === storage accounts ===

pub(in crate::local::arm) fn check_account_name(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let name = call.required("name")?;
    let state = cloud.state();
    let mut accounts = state.world.accounts.values();
    if accounts.any(|account| account.name.eq_ignore_ascii_case(name)) {
        return Ok(Answer::ok(json!({
            "nameAvailable": false,
            "reason": "AlreadyExists",
            "message": format!("The storage account named {name} is already taken."),
        })));
    }
    Ok(Answer::ok(json!({"nameAvailable": true})))
}

pub(in crate::local::arm) fn put_account(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let account = resource(call, call.account_id(), call.arg("account"))?;
    let key = Key::of(&account.id);
    let mut others = state.world.accounts.iter();
    if others.any(|(other, known)| *other != key && known.name == account.name) {
        return Err(ArmError::Coded {
            status: StatusCode::CONFLICT,
            code: "StorageAccountAlreadyTaken",
            message: format!(
                "The storage account named {} is already taken.",
                account.name
            ),
        });
    }
    let (body, region) = (render_account(&account, call), account.location.clone());
    let was = state.world.accounts.insert(key.clone(), account);
    cloud.changed();
    if was.is_some() {
        return Ok(Answer::ok(body));
    }
    let what = format!("creation of account {}", call.arg("account"));
    let id = begin_done(cloud, &mut state, &key, what);
    let (location, status) = (creation(call, &region, &id), None);
    Ok(Links { location, status }.accepted())
}

fn creation(call: &Call, region: &str, id: &str) -> String {
    let (base, subscription) = (&call.base, call.subscription_id());
    format!(
        "{base}{subscription}/providers/Microsoft.Storage/locations/{region}/asyncoperations/{id}?monitor=true&api-version=2025-08-01"
    )
}

/// How the creation of an account ended: with the account.
pub(in crate::local::arm) fn account_made(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let id = call.arg("operation");
    let operation = state.operations.asked(id, call)?;
    let location = creation(call, call.arg("location"), id);
    operation.result(location, || {
        let account = state.world.accounts.get(&operation.on);
        let account = account.ok_or_else(|| call.no_operation())?;
        Ok(Answer::ok(render_account(account, call)))
    })
}

pub(in crate::local::arm) fn get_account(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    Ok(Answer::ok(render_account(
        require_account(&state, call)?,
        call,
    )))
}

pub(in crate::local::arm) fn delete_account(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let id = Key::of(&call.account_id());
    let status = match state.world.accounts.remove(&id) {
        Some(_) => StatusCode::OK,
        None => StatusCode::NO_CONTENT,
    };
    // What it held goes with it.
    state.world.containers.retain(|key, _| !key.is_under(&id));
    let blobs = format!("{}/", call.arg("account").to_ascii_lowercase());
    let world = &mut state.world;
    world.blobs.retain(|name, _| !name.starts_with(&blobs));
    store::keep_of(&mut world.queues, &world.accounts);
    cloud.changed();
    Ok(Answer::empty(status))
}

/// The two keys, with which whoever has no token asks its queues.
pub(in crate::local::arm) fn account_keys(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let account = require_account(&state, call)?;
    let keys = keys_of(account)
        .map(|(name, value)| json!({"keyName": name, "value": value, "permissions": "FULL"}));
    Ok(Answer::ok(json!({ "keys": keys })))
}

pub(super) fn require_account<'a>(state: &'a State, call: &Call) -> Result<&'a Resource, ArmError> {
    let account = state.world.accounts.get(&Key::of(&call.account_id()));
    account.ok_or_else(|| ArmError::NoResource {
        kind: ACCOUNT,
        name: call.arg("account").to_owned(),
        group: call.arg("group").to_owned(),
    })
}

fn render_account(account: &Resource, call: &Call) -> Value {
    let mut body = render(account, ACCOUNT);
    let endpoint = |service: &str| format!("https://{}.{service}.core.local/", account.name);
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["primaryEndpoints"] = json!({
        // What is here is where emulators have it: an account is a folder.
        "blob": format!("{}{}/{}/", call.base, blobs::ROOT, account.name),
        "queue": format!("{}{}/{}/", call.base, queues::ROOT, account.name),
        "table": endpoint("table"),
        "file": endpoint("file"),
    });
    body["properties"]["primaryLocation"] = json!(account.location);
    body["properties"]["statusOfPrimary"] = json!("available");
    body
}

// === both ===

pub(in crate::local::arm) fn resource(
    call: &Call,
    id: String,
    name: &str,
) -> Result<Resource, ArmError> {
    let location = call.required("location")?.to_owned();
    let mut rest: Map<String, Value> = call.body.as_object().cloned().unwrap_or_default();
    for computed in ["id", "name", "type", "location", "tags"] {
        rest.remove(computed);
    }
    Ok(Resource {
        id,
        name: name.to_owned(),
        location,
        tags: call.tags()?.unwrap_or_default(),
        rest,
    })
}

pub(in crate::local::arm) fn render(resource: &Resource, kind: &str) -> Value {
    let Resource {
        id,
        name,
        location,
        tags,
        rest,
    } = resource;
    let mut body = Value::Object(rest.clone());
    for (member, value) in [
        ("id", id.as_str()),
        ("name", name),
        ("type", kind),
        ("location", location),
    ] {
        body[member] = json!(value);
    }
    body["tags"] = json!(tags);
    if !body["properties"].is_object() {
        body["properties"] = json!({});
    }
    body
}
