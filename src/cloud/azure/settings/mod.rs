//! Application settings: what a slot is given, and what is read out of it. Pure.
//!
//! Settings move with the code in a swap, so they say which release a slot holds. `VERDIGRIS_RELEASE` and `VERDIGRIS_CODE` are set
//! last, when the package is there: until then `VERDIGRIS_STAGING` names the release, so that no program that was there before
//! answers in its name. `VERDIGRIS_SETTINGS` tells whether somebody changed a setting after us. Only `AzureWebJobs.<function>.Disabled`
//! stays with its slot, so that queues and schedules reach blue alone, and what the service itself wants to stay.

mod fields;
mod kept;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::{
    fields::seal,
    triggers::{folder_of, read, written},
};
pub(super) use self::{
    fields::{elsewhere, fields, is_same, is_sealed},
    kept::{stays_and_goes, tell_kept, with_own},
    triggers::{Trigger, Triggers, disabled, exclusive, triggers},
};
use super::{duties::Duties, names::Names};
use crate::{
    desired::Release,
    manifest::spec::EnvValue,
    name::{CodeDigest, ReleaseDigest, Revision, Slot},
    observed::Fields,
};

const RELEASE: &str = "VERDIGRIS_RELEASE";
const REVISION: &str = "VERDIGRIS_REVISION";
const CODE: &str = "VERDIGRIS_CODE";
/// In the place of the release while its package is on the way.
const STAGING: &str = "VERDIGRIS_STAGING";
/// A digest of all that was set together with it.
const SETTINGS: &str = "VERDIGRIS_SETTINGS";
/// `stock:http,reorder:queue`: the functions of the package and what triggers each.
const FUNCTIONS: &str = "VERDIGRIS_FUNCTIONS";
/// What the place of the slot has beside settings, as JSON. Not set where nothing is asked for.
const DUTIES: &str = "VERDIGRIS_DUTIES";
const RESERVED: &str = "VERDIGRIS_";

/// Where an app tells Application Insights how it is; the component gives it.
pub(super) const INSIGHTS: &str = "APPLICATIONINSIGHTS_CONNECTION_STRING";
/// Two slots of one app may name one share only where they are one app.
const CONTENT_SHARE: &str = "WEBSITE_CONTENTSHARE";

/// Settings of ours that are the same for every release.
const FIXED: [(&str, &str); 4] = [
    ("FUNCTIONS_EXTENSION_VERSION", "~4"),
    ("FUNCTIONS_WORKER_RUNTIME", "custom"),
    // What is deployed is what was built: nothing is built again on the way.
    ("SCM_DO_BUILD_DURING_DEPLOYMENT", "false"),
    (RUN_FROM, "1"),
];
/// Where the package is: `1` where it was sent to the app, else its address.
const RUN_FROM: &str = "WEBSITE_RUN_FROM_PACKAGE";
/// Who reads it there.
const RUN_AS: &str = "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID";
/// Stands for the storage account's own address until that is known.
const BLOBS: &str = "https://blobs/";
/// How the host reaches its storage: by an identity, and never by a key.
const STORAGE_START: &str = "AzureWebJobsStorage__";

/// What the platform and its portal add by themselves. Kept when we write, and never taken for drift.
const PLATFORM: [&str; 12] = [
    "APPINSIGHTS_",
    "APPLICATIONINSIGHTS_",
    "ApplicationInsightsAgent_",
    "AzureWebJobs",
    "DIAGNOSTICS_",
    "DOCKER_",
    "FUNCTIONS_",
    "MACHINEKEY_",
    "SCM_",
    "WEBSITE_",
    "WEBSITES_",
    "XDT_",
];

pub(super) type Settings = BTreeMap<String, String>;

/// What a slot's settings say it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Marks {
    pub(super) release: ReleaseDigest,
    pub(super) revision: Option<Revision>,
    /// Missing while the package is on its way.
    pub(super) code: Option<CodeDigest>,
    pub(super) triggers: Triggers,
    pub(super) duties: Duties,
}

/// Why a release cannot be put into settings.
pub(super) fn fault(release: &Release) -> Option<String> {
    let content = &release.content;
    let mut known: BTreeMap<&String, &EnvValue> = content.env.iter().collect();
    for (name, function) in &content.functions {
        for (variable, value) in &function.env {
            let shared = known.insert(variable, value);
            let is_own = !content.env.contains_key(variable);
            if is_own && shared.is_some_and(|shared| shared != value) {
                return Some(format!(
                    "variable `{variable}` of function `{name}` has another value in another function, and a function app shares its settings: give it one value or two names"
                ));
            }
        }
    }
    let app = content.azure.as_deref();
    let own = app.map(|app| app.settings.keys().chain(app.sticky.keys()));
    if let Some(twice) = own
        .into_iter()
        .flatten()
        .find(|name| known.contains_key(name))
    {
        return Some(format!(
            "`{twice}` is a variable and stands in `azure` too: keep one"
        ));
    }
    let reserved = known.into_keys().find(|name| is_reserved(name));
    reserved.map(|name| format!("variable `{name}` is set by the platform or by us: rename it"))
}

/// Why two slots would be one app: both say that their files lie in one share, and the last package of either would be both's.
pub(super) fn shared_share(blue: &Settings, green: &Settings) -> Option<String> {
    let (one, other) = (blue.get(CONTENT_SHARE)?, green.get(CONTENT_SHARE)?);
    one.eq_ignore_ascii_case(other).then(|| one.clone())
}

fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED) || name.starts_with("AzureWebJobs") || is_fixed(name)
}

/// Whether the name is one that nobody but us gives a value.
fn is_fixed(name: &str) -> bool {
    name == RUN_AS || FIXED.iter().any(|(fixed, _)| *fixed == name)
}

/// What a slot has before any release.
pub(super) fn bare(names: &Names, identity: Option<&str>) -> Settings {
    // Without slots the platform says these itself, and takes no app that says them too.
    let is_unsaid = |name: &str| names.is_flex() || names.runs_from_url() && name == RUN_FROM;
    let fixed = FIXED.iter().filter(|(name, _)| !is_unsaid(name));
    let mut settings: Settings = fixed
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let storage = |part: &str| format!("{STORAGE_START}{part}");
    settings.insert(storage("accountName"), names.account());
    if names.runs_from_url() {
        let reader = identity.unwrap_or("SystemAssigned");
        settings.insert(RUN_AS.to_owned(), reader.to_owned());
    }
    if let Some(identity) = identity {
        settings.insert(storage("credential"), "managedidentity".to_owned());
        settings.insert(storage("managedIdentityResourceId"), identity.to_owned());
    }
    settings
}

/// Everything that moves with a release whose package is `code`.
pub(super) fn moving(names: &Names, release: &Release, code: CodeDigest) -> Settings {
    let mut settings = common(names, release);
    settings.insert(RELEASE.to_owned(), release.digest.to_string());
    settings.insert(CODE.to_owned(), code.to_string());
    if names.runs_from_url() {
        let name = package_name(&names.app(&release.service.service), code);
        settings.insert(RUN_FROM.to_owned(), format!("{BLOBS}{name}"));
    }
    let mut on_blue = staying(&settings, Slot::Blue);
    on_blue.extend(settings.clone());
    let seal = seal(&on_blue, Slot::Blue);
    settings.insert(SETTINGS.to_owned(), seal);
    settings
}

/// A package by its container and its digest.
pub(super) fn package_name(app: &str, code: CodeDigest) -> String {
    format!("{app}/{}.zip", code.hex())
}

/// The packages that a slot's settings name, as blobs are called: the one that it runs, and the one of its release.
pub(super) fn packages(settings: &Settings) -> BTreeSet<String> {
    let address = settings.get(RUN_FROM);
    let address = address.and_then(|address| address.split('?').next()?.rsplit('/').next());
    let code = marks(settings).and_then(|marks| marks.code);
    let own = code.map(|code| format!("{}.zip", code.hex()));
    address.map(str::to_owned).into_iter().chain(own).collect()
}

/// Settings whose package is at the storage account of this address.
pub(super) fn at(mut settings: Settings, blobs: &str) -> Settings {
    if let Some(address) = settings.get_mut(RUN_FROM)
        && let Some(name) = address.strip_prefix(BLOBS)
    {
        *address = format!("{blobs}{name}");
    }
    settings
}

/// The fields of a slot that holds a release.
pub(super) fn expected(names: &Names, release: &Release, code: CodeDigest) -> Fields {
    let moving = moving(names, release, code);
    fields(&for_blue(moving, &Settings::new()), Slot::Blue)
}

/// The same while the package is on the way: what runs meanwhile is not the release and does not know its name.
pub(super) fn arriving(names: &Names, release: &Release) -> Settings {
    let mut settings = common(names, release);
    settings.insert(STAGING.to_owned(), release.digest.to_string());
    settings
}

fn common(names: &Names, release: &Release) -> Settings {
    let duties = Duties::wanted(names, release);
    let mut settings = variables(names, release);
    if let Some(app) = release.content.azure.as_deref() {
        settings.extend(app.settings.clone());
    }
    settings.extend(bare(names, duties.identity.as_deref()));
    settings.extend(duties.written().map(|text| (DUTIES.to_owned(), text)));
    settings.insert(REVISION.to_owned(), release.revision.to_string());
    settings.insert(FUNCTIONS.to_owned(), written(&triggers(release)));
    settings
}

/// The service's variables, then each function's. A secret becomes a reference that the platform resolves.
pub(super) fn variables(names: &Names, release: &Release) -> Settings {
    let content = &release.content;
    let mut env = content.env.clone();
    for function in content.functions.values() {
        env.extend(function.env.clone());
    }
    env.into_iter()
        .map(|(name, given)| (name, names.setting(&given)))
        .collect()
}

/// What green is given: what moves, the switches that stay, and what the platform added by itself.
pub(super) fn for_green(
    moving: Settings,
    only_blue: &BTreeSet<String>,
    existing: &Settings,
) -> Settings {
    let mut settings = kept(existing);
    settings.extend(
        only_blue
            .iter()
            .map(|folder| (disabled(folder), "true".to_owned())),
    );
    settings.extend(staying(&moving, Slot::Green));
    settings.extend(moving);
    settings
}

/// What blue is given in a repair: no switch is off there.
pub(super) fn for_blue(moving: Settings, existing: &Settings) -> Settings {
    let mut settings = kept(existing);
    settings.extend(staying(&moving, Slot::Blue));
    settings.extend(moving);
    settings
}

/// What a release wants to stay with a slot.
fn staying(moving: &Settings, slot: Slot) -> Settings {
    let marks = marks(moving);
    marks
        .map(|marks| marks.duties.sticky_on(slot))
        .unwrap_or_default()
}

/// The same release on the other slot: its switches, and what it wants to stay, as that slot has them.
pub(super) fn in_part(settings: &Settings, slot: Slot) -> Settings {
    let Some(marks) = marks(settings) else {
        return settings.clone();
    };
    let mut turned = settings.clone();
    turned.retain(|name, _| folder_of(name).is_none() && !marks.duties.sticky.contains_key(name));
    turned.extend(marks.duties.sticky_on(slot));
    let off = exclusive(&marks.triggers).filter(|_| slot == Slot::Green);
    turned.extend(off.map(|folder| (disabled(folder), "true".to_owned())));
    turned
}

/// Blue's settings with what another release wants to stay there; none where they have it all already.
pub(super) fn with_sticky(blue: &Settings, old: &Duties, new: &Duties) -> Option<Settings> {
    let mut settings = blue.clone();
    for name in old.sticky.keys() {
        settings.remove(name);
    }
    settings.extend(new.sticky_on(Slot::Blue));
    (settings != *blue).then_some(settings)
}

/// The settings of a slot without those that a preview lent it.
pub(super) fn without_preview(mut settings: Settings, slot: Slot) -> Settings {
    let duties = marks(&settings)
        .map(|marks| marks.duties)
        .unwrap_or_default();
    for name in duties.sticky.keys() {
        settings.remove(name);
    }
    settings.extend(duties.sticky_on(slot));
    settings
}

fn kept(existing: &Settings) -> Settings {
    let duties = marks(existing)
        .map(|marks| marks.duties)
        .unwrap_or_default();
    let platform = existing.iter().filter(|(name, _)| {
        let is_asked = duties.set.contains(*name) || duties.sticky.contains_key(*name);
        let is_ours = is_asked || is_fixed(name) || name.starts_with(STORAGE_START);
        is_platform(name) && folder_of(name).is_none() && !is_ours
    });
    platform
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_platform(name: &str) -> bool {
    PLATFORM.iter().any(|start| name.starts_with(start))
}

/// What the settings say a slot holds; nothing where they name no release. A release on its way counts before one that is there.
pub(super) fn marks(settings: &Settings) -> Option<Marks> {
    let mark = |name| settings.get(name);
    let staging = mark(STAGING);
    let code = mark(CODE).filter(|_| staging.is_none());
    Some(Marks {
        release: staging.or_else(|| mark(RELEASE))?.parse().ok()?,
        revision: mark(REVISION).and_then(|text| text.parse().ok()),
        code: code.and_then(|text| text.parse().ok()),
        triggers: mark(FUNCTIONS).map(|text| read(text)).unwrap_or_default(),
        duties: mark(DUTIES)
            .map(|text| Duties::read(text))
            .unwrap_or_default(),
    })
}

/// The map in an answer of `config/appsettings/list`.
pub(super) fn from_answer(answer: &Value) -> Settings {
    let properties = answer.get("properties").and_then(Value::as_object);
    let text = |value: &Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    properties
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[cfg(test)]
mod tests;
