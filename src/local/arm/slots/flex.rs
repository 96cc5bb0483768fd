//! What is special to Flex Consumption: one app for each plan, a configuration of its own instead of some settings, and packages that
//! are put into a container which the app's identity must be able to reach.

use serde_json::Value;

use crate::local::arm::{
    cloud::{Cloud, State},
    model::{Key, PRODUCTION, Slot},
    resources::{blobs, containers, plans},
    wire::{answer::ArmError, call::Call},
};

/// Settings that say what `functionAppConfig` says there.
const REFUSED: [&str; 14] = [
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_VNET_ROUTE_ALL",
];

/// Parts of `siteConfig` that are said elsewhere there, or not at all.
const NO_CONFIG: [&str; 5] = [
    "linuxFxVersion",
    "alwaysOn",
    "functionAppScaleLimit",
    "minimumElasticInstanceCount",
    "preWarmedInstanceCount",
];

const RUNTIMES: [&str; 6] = [
    "custom",
    "dotnet-isolated",
    "java",
    "node",
    "powershell",
    "python",
];

const SIZES: [u64; 3] = [512, 2048, 4096];

const INSTANCES_MAX: u64 = 1000;

/// Roles that let an identity read and write blobs.
pub(in crate::local::arm) const BLOB_ROLES: [&str; 2] = [
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
];

/// Whether a plan is of this kind.
pub(in crate::local::arm) fn is_flex(state: &State, plan: &str) -> bool {
    let plan = state.world.plans.get(&Key::of(plan));
    plans::sku_of(plan).starts_with("FC")
}

/// Refuses a site that cannot be on its plan. Quiet about other plans.
pub(in crate::local::arm) fn check(state: &State, call: &Call) -> Result<(), ArmError> {
    let key = call.slot_key();
    let known = state.site(&key).map(|(_, slot)| slot.plan.as_str());
    let asked = call.body["properties"]["serverFarmId"].as_str();
    let Some(plan) = asked.or(known).filter(|plan| is_flex(state, plan)) else {
        return Ok(());
    };
    let is_other = |other: &Key| *other != key.site;
    let mut sites = state.world.sites.iter();
    let crowded = sites.any(|(site, one)| {
        let production = one.slots.get(PRODUCTION);
        is_other(site) && production.is_some_and(|slot| Key::of(&slot.plan) == Key::of(plan))
    });
    if crowded {
        let told = "A plan of Flex Consumption can host one app only.".to_owned();
        return Err(ArmError::Conflict(told));
    }
    let site_config = &call.body["properties"]["siteConfig"];
    if let Some(name) = NO_CONFIG.iter().find(|name| !site_config[**name].is_null()) {
        return Err(ArmError::Invalid(format!(
            "Site.SiteConfig.{name} is not valid for Flex Consumption sites."
        )));
    }
    let settings = site_config["appSettings"].as_array().into_iter().flatten();
    check_settings(settings.filter_map(|pair| pair["name"].as_str()))?;
    check_config(&call.body["properties"]["functionAppConfig"])
}

/// Refuses settings that are said elsewhere.
pub(in crate::local::arm) fn check_settings<'a>(
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), ArmError> {
    match names.find(|name| REFUSED.contains(name)) {
        None => Ok(()),
        Some(name) => Err(ArmError::Invalid(format!(
            "The following app setting (Site.SiteConfig.AppSettings.{name}) for Flex Consumption sites is invalid. Please remove or rename it before retrying."
        ))),
    }
}

fn check_config(config: &Value) -> Result<(), ArmError> {
    let invalid = |what: &str| {
        Err(ArmError::Invalid(format!(
            "Site.FunctionAppConfig.{what} is invalid."
        )))
    };
    let storage = &config["deployment"]["storage"];
    if storage["type"] != "blobContainer" || storage["value"].as_str().is_none() {
        return invalid("Deployment.Storage");
    }
    if storage["authentication"]["type"].as_str().is_none() {
        return invalid("Deployment.Storage.Authentication");
    }
    let runtime = config["runtime"]["name"].as_str().unwrap_or_default();
    if !RUNTIMES.contains(&runtime) || config["runtime"]["version"].as_str().is_none() {
        return invalid("Runtime");
    }
    let scale = &config["scaleAndConcurrency"];
    let memory = scale["instanceMemoryMB"].as_u64();
    if !memory.is_some_and(|memory| SIZES.contains(&memory)) {
        return invalid("ScaleAndConcurrency.InstanceMemoryMB");
    }
    let most = scale["maximumInstanceCount"].as_u64();
    if !most.is_some_and(|most| (1..=INSTANCES_MAX).contains(&most)) {
        return invalid("ScaleAndConcurrency.MaximumInstanceCount");
    }
    Ok(())
}

/// Why the app cannot take a package, in the deployment service's words.
pub(in crate::local::arm) fn no_storage(
    cloud: &Cloud,
    state: &State,
    slot: &Slot,
) -> Option<String> {
    if !is_flex(state, &slot.plan) {
        return None;
    }
    let storage = &slot.properties.get("functionAppConfig")?["deployment"]["storage"];
    let address = storage["value"].as_str().unwrap_or_default();
    let failed = |why: &str| {
        Some(format!(
            "[StorageAccessibleCheck] Error while checking access to storage account using Uri: {address}: InaccessibleStorageException: {why}"
        ))
    };
    let Some(account) = containers::account_of(state, address) else {
        return failed("The specified container does not exist.");
    };
    match may_read(cloud, slot, &account) {
        true => None,
        false => failed("This request is not authorized to perform this operation."),
    }
}

/// Where the platform keeps the package that an app was sent, as blobs are called.
pub(in crate::local::arm) fn kept_as(state: &State, slot: &Slot) -> Option<String> {
    if !is_flex(state, &slot.plan) {
        return None;
    }
    let storage = &slot.properties.get("functionAppConfig")?["deployment"]["storage"];
    let url = url::Url::parse(storage["value"].as_str()?).ok()?;
    let container = url.path().strip_prefix(blobs::ROOT)?.trim_matches('/');
    Some(format!("{container}/released-package.zip").to_ascii_lowercase())
}

/// Whether the identity of an app may read the blobs of an account.
pub(in crate::local::arm) fn may_read(cloud: &Cloud, slot: &Slot, account: &str) -> bool {
    cloud.may(slot, &BLOB_ROLES, account)
}

/// Whether a plan takes packages by their address only.
pub(in crate::local::arm) fn is_consumption(state: &State, plan: &str) -> bool {
    let plan = state.world.plans.get(&Key::of(plan));
    plans::sku_of(plan).eq_ignore_ascii_case("Y1")
}
