//! Application settings: what a slot is given, and what is read out of it. Pure.
//!
//! Settings move with the code in a swap, so they say which release a slot holds. `VERDIGRIS_RELEASE` and `VERDIGRIS_CODE` are set
//! last, when the package is there: until then `VERDIGRIS_STAGING` names the release, so that no program that was there before
//! answers in its name. `VERDIGRIS_SETTINGS` tells whether somebody changed a setting after us. Only `AzureWebJobs.<function>.Disabled` stays with its
//! slot, so that queues and schedules reach blue alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::names::Names;
use crate::{
    desired::Release,
    manifest::spec::{EnvValue, Function},
    name::{CodeDigest, FunctionName, ReleaseDigest, Revision, Slot},
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
const RESERVED: &str = "VERDIGRIS_";

const DISABLED_START: &str = "AzureWebJobs.";
const DISABLED_END: &str = ".Disabled";

/// Settings of ours that are the same for every release.
const FIXED: [(&str, &str); 4] = [
    ("FUNCTIONS_EXTENSION_VERSION", "~4"),
    ("FUNCTIONS_WORKER_RUNTIME", "custom"),
    // What is deployed is what was built: nothing is built again on the way.
    ("SCM_DO_BUILD_DURING_DEPLOYMENT", "false"),
    ("WEBSITE_RUN_FROM_PACKAGE", "1"),
];
const STORAGE: &str = "AzureWebJobsStorage__accountName";

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

/// The field of [`SETTINGS`].
const SEAL: &str = "seal";

/// What triggers one function of a package; Azure gives each function exactly one trigger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trigger {
    Http,
    Queue,
    Schedule,
}

/// The functions of a package, by folder.
pub(super) type Triggers = BTreeMap<String, Trigger>;

/// What a slot's settings say it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Marks {
    pub(super) release: ReleaseDigest,
    pub(super) revision: Option<Revision>,
    /// Missing while the package is on its way.
    pub(super) code: Option<CodeDigest>,
    pub(super) triggers: Triggers,
}

impl Trigger {
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Queue => "queue",
            Self::Schedule => "schedule",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::Http, Self::Queue, Self::Schedule];
        all.into_iter().find(|trigger| trigger.word() == word)
    }

    /// Whether only one slot may have it: a message read by green is lost to blue.
    fn is_exclusive(self) -> bool {
        match self {
            Self::Http => false,
            Self::Queue | Self::Schedule => true,
        }
    }
}

/// The functions of a release as its package lays them out: the first trigger keeps the function's name, each further one adds
/// `_queue` or `_schedule`.
pub(super) fn triggers(release: &Release) -> Triggers {
    let functions = &release.content.functions;
    functions
        .iter()
        .flat_map(|(name, function)| triggers_of(name, function))
        .collect()
}

fn triggers_of(name: &FunctionName, function: &Function) -> Vec<(String, Trigger)> {
    let given = [
        (function.http.is_some(), Trigger::Http),
        (function.queue.is_some(), Trigger::Queue),
        (function.schedule.is_some(), Trigger::Schedule),
    ];
    let named = |(index, trigger): (usize, Trigger)| match index {
        0 => (name.to_string(), trigger),
        _ => (format!("{name}_{}", trigger.word()), trigger),
    };
    given
        .into_iter()
        .filter_map(|(is_given, trigger)| is_given.then_some(trigger))
        .enumerate()
        .map(named)
        .collect()
}

/// The folders that only blue may run.
pub(super) fn exclusive(triggers: &Triggers) -> impl Iterator<Item = &str> {
    let only_blue = triggers
        .iter()
        .filter(|(_, trigger)| trigger.is_exclusive());
    only_blue.map(|(folder, _)| folder.as_str())
}

/// The name of the setting that keeps a function from running in its slot.
pub(super) fn disabled(folder: &str) -> String {
    format!("{DISABLED_START}{folder}{DISABLED_END}")
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
    let reserved = known.into_keys().find(|name| is_reserved(name));
    reserved.map(|name| format!("variable `{name}` is set by the platform or by us: rename it"))
}

fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
        || name.starts_with("AzureWebJobs")
        || FIXED.iter().any(|(fixed, _)| *fixed == name)
}

/// What a slot has before any release.
pub(super) fn bare(names: &Names) -> Settings {
    let fixed = FIXED.iter();
    let mut settings: Settings = fixed
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    settings.insert(STORAGE.to_owned(), names.account());
    settings
}

/// Everything that moves with a release whose package is `code`.
pub(super) fn moving(names: &Names, release: &Release, code: CodeDigest) -> Settings {
    let mut settings = common(names, release);
    settings.insert(RELEASE.to_owned(), release.digest.to_string());
    settings.insert(CODE.to_owned(), code.to_string());
    let seal = seal(&settings, Slot::Blue);
    settings.insert(SETTINGS.to_owned(), seal);
    settings
}

/// The same while the package is on the way: what runs meanwhile is not the release and does not know its name.
pub(super) fn arriving(names: &Names, release: &Release) -> Settings {
    let mut settings = common(names, release);
    settings.insert(STAGING.to_owned(), release.digest.to_string());
    settings
}

fn common(names: &Names, release: &Release) -> Settings {
    let mut settings = variables(names, release);
    settings.extend(bare(names));
    settings.insert(REVISION.to_owned(), release.revision.to_string());
    settings.insert(FUNCTIONS.to_owned(), written(&triggers(release)));
    settings
}

/// A digest of a slot's comparable form, the same on either slot. The seal itself is no part of it.
fn seal(settings: &Settings, slot: Slot) -> String {
    let fields = fields(settings, slot);
    let lines = fields.iter().filter(|(path, _)| *path != SEAL);
    let lines = lines.map(|(path, value)| format!("{path}={value}\n"));
    CodeDigest::of(lines.collect::<String>().as_bytes()).to_string()
}

/// Whether a slot still has all that it was given with its release, and nothing beside it.
pub(super) fn is_sealed(settings: &Settings, slot: Slot) -> bool {
    settings.get(SETTINGS) == Some(&seal(settings, slot))
}

/// The service's variables, then each function's. A secret becomes a reference that the platform resolves.
fn variables(names: &Names, release: &Release) -> Settings {
    let content = &release.content;
    let mut env = content.env.clone();
    for function in content.functions.values() {
        env.extend(function.env.clone());
    }
    let value = |value| match value {
        EnvValue::Plain(value) => value,
        EnvValue::Secret(secret) => format!(
            "@Microsoft.KeyVault(VaultName={};SecretName={secret})",
            names.vault()
        ),
    };
    env.into_iter()
        .map(|(name, given)| (name, value(given)))
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
    settings.extend(moving);
    settings
}

/// What blue is given in a repair: no switch is off there.
pub(super) fn for_blue(moving: Settings, existing: &Settings) -> Settings {
    let mut settings = kept(existing);
    settings.extend(moving);
    settings
}

fn kept(existing: &Settings) -> Settings {
    let platform = existing
        .iter()
        .filter(|(name, _)| is_platform(name) && folder_of(name).is_none());
    platform
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_platform(name: &str) -> bool {
    PLATFORM.iter().any(|start| name.starts_with(start))
}

/// The function that a switch belongs to.
fn folder_of(name: &str) -> Option<&str> {
    name.strip_prefix(DISABLED_START)?
        .strip_suffix(DISABLED_END)
}

/// Whether two sets of settings ask for the same; the commit that asked first does not matter.
pub(super) fn is_same(one: &Settings, other: &Settings) -> bool {
    let matters = |name: &&String| name.as_str() != REVISION;
    let names = one.keys().chain(other.keys()).filter(matters);
    let mut differing = names.filter(|name| one.get(*name) != other.get(*name));
    differing.next().is_none()
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
    })
}

fn written(triggers: &Triggers) -> String {
    let pairs = triggers.iter();
    let pairs = pairs.map(|(folder, trigger)| format!("{folder}:{}", trigger.word()));
    pairs.collect::<Vec<_>>().join(",")
}

fn read(text: &str) -> Triggers {
    let pair = |part: &str| {
        let (folder, word) = part.split_once(':')?;
        Some((folder.to_owned(), Trigger::parse(word)?))
    };
    text.split(',').filter_map(pair).collect()
}

/// A slot's settings in comparable form. What the platform adds by itself is left out; what a person added is not.
pub(super) fn fields(settings: &Settings, slot: Slot) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in settings {
        if let Some((path, value)) = field(name, value) {
            fields.insert(path, value);
        }
    }
    for (folder, trigger) in marks(settings).into_iter().flat_map(|marks| marks.triggers) {
        let is_off = settings.get(&disabled(&folder)).is_some_and(|value| {
            matches!(value.as_str(), "1") || value.eq_ignore_ascii_case("true")
        });
        let place = place(trigger, slot, is_off);
        fields.insert(format!("{folder}.{}", trigger.word()), place.to_owned());
    }
    fields
}

fn field(name: &str, value: &str) -> Option<(String, String)> {
    let is_ours = name == STORAGE || FIXED.iter().any(|(fixed, _)| *fixed == name);
    match name {
        RELEASE | REVISION => None,
        CODE => Some(("package".to_owned(), value.to_owned())),
        FUNCTIONS => Some(("functions".to_owned(), value.to_owned())),
        SETTINGS => Some((SEAL.to_owned(), value.to_owned())),
        _ if is_ours => Some((format!("setting.{name}"), value.to_owned())),
        _ if is_platform(name) => None,
        _ => {
            let digest = CodeDigest::of(value.as_bytes());
            Some((format!("env.{name}"), digest.short()))
        }
    }
}

/// Where a function runs, as far as one slot can tell. In order, both slots tell the same.
fn place(trigger: Trigger, slot: Slot, is_off: bool) -> &'static str {
    match (trigger.is_exclusive(), slot, is_off) {
        (true, Slot::Blue, false) | (true, Slot::Green, true) => "on blue only",
        (true, Slot::Green, false) => "on green too",
        (false, Slot::Blue | Slot::Green, false) => "on both slots",
        (true, Slot::Blue, true) | (false, Slot::Blue | Slot::Green, true) => "switched off",
    }
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        desired::ReleaseContent,
        manifest::spec::{
            AzurePlan, AzureTarget, HttpRoute, Megabytes, PathPattern, RepoPath, Runtime,
        },
        name::{EnvironmentName, ObjectId, ServiceKey},
    };

    fn names() -> Names {
        Names {
            environment: EnvironmentName::new("prod").unwrap(),
            target: AzureTarget {
                subscription: "s".to_owned(),
                resource_group: "rg".to_owned(),
                location: "westeurope".to_owned(),
                plan: AzurePlan("EP1".to_owned()),
                prefix: "shop".to_owned(),
            },
        }
    }

    fn plain(pairs: &[(&str, &str)]) -> BTreeMap<String, EnvValue> {
        let pair = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), EnvValue::Plain((*value).to_owned()))
        };
        pairs.iter().map(pair).collect()
    }

    fn function(http: bool, queue: bool, env: &[(&str, &str)]) -> Function {
        Function {
            handler: "app:app".to_owned(),
            http: http.then(|| HttpRoute {
                methods: Vec::new(),
                path: PathPattern("/x".to_owned()),
            }),
            queue: queue.then(|| "orders".to_owned()),
            schedule: None,
            aws: None,
            memory: Megabytes(128),
            timeout: Duration::from_secs(3),
            env: plain(env),
        }
    }

    fn release(functions: Vec<(&str, Function)>, env: &[(&str, &str)]) -> Release {
        let functions = functions.into_iter();
        let content = ReleaseContent {
            runtime: Runtime::Executable,
            source: RepoPath::default(),
            source_tree: ObjectId::new("0".repeat(40)).unwrap(),
            build: None,
            functions: functions
                .map(|(name, function)| (FunctionName::new(name).unwrap(), function))
                .collect(),
            env: plain(env),
            role: None,
        };
        Release {
            service: "prod/inventory".parse::<ServiceKey>().unwrap(),
            digest: content.digest(),
            revision: format!("main@sha1:{}", "a".repeat(40)).parse().unwrap(),
            content,
        }
    }

    fn inventory() -> Release {
        let both = function(true, true, &[]);
        let functions = vec![
            ("stock", function(true, false, &[])),
            ("reorder", function(false, true, &[("RETRIES", "3")])),
            ("both", both),
        ];
        release(functions, &[("LOG_LEVEL", "info")])
    }

    fn code() -> CodeDigest {
        CodeDigest::of(b"package")
    }

    #[test]
    fn each_trigger_is_a_function_of_its_own() {
        let triggers = triggers(&inventory());
        assert_eq!(
            written(&triggers),
            "both:http,both_queue:queue,reorder:queue,stock:http"
        );
        assert_eq!(read(&written(&triggers)), triggers);
        let exclusive: Vec<_> = exclusive(&triggers).collect();
        assert_eq!(exclusive, ["both_queue", "reorder"]);
    }

    #[test]
    fn a_slot_with_everything_has_the_expected_fields_on_either_side() {
        let release = inventory();
        let moving = moving(&names(), &release, code());
        let expected = fields(&moving, Slot::Blue);
        let only_blue = BTreeSet::from(["both_queue", "reorder"].map(str::to_owned));
        let green = for_green(moving.clone(), &only_blue, &Settings::new());
        assert_eq!(fields(&green, Slot::Green), expected);
        assert_eq!(expected["reorder.queue"], "on blue only");
        assert_eq!(expected["stock.http"], "on both slots");
        assert_eq!(expected["package"], code().to_string());
        let mark = marks(&green).unwrap();
        assert_eq!((mark.release, mark.code), (release.digest, Some(code())));
    }

    #[test]
    fn what_people_change_is_drift_and_what_the_platform_adds_is_not() {
        let moving = moving(&names(), &inventory(), code());
        let expected = fields(&moving, Slot::Blue);
        let drift = |name: &str, value: &str| {
            let mut settings = moving.clone();
            settings.insert(name.to_owned(), value.to_owned());
            let found = fields(&settings, Slot::Blue);
            let mut changed = found.into_iter();
            changed
                .find(|(path, value)| expected.get(path) != Some(value))
                .map(|(path, _)| path)
        };
        assert_eq!(
            drift("LOG_LEVEL", "debug").as_deref(),
            Some("env.LOG_LEVEL")
        );
        assert_eq!(drift("EXTRA", "1").as_deref(), Some("env.EXTRA"));
        assert_eq!(
            drift("FUNCTIONS_WORKER_RUNTIME", "node").as_deref(),
            Some("setting.FUNCTIONS_WORKER_RUNTIME")
        );
        assert_eq!(
            drift("AzureWebJobs.reorder.Disabled", "1").as_deref(),
            Some("reorder.queue")
        );
        assert_eq!(
            drift("AzureWebJobs.stock.Disabled", "true").as_deref(),
            Some("stock.http")
        );
        assert_eq!(drift("WEBSITE_HTTPLOGGING_RETENTION_DAYS", "3"), None);
        assert_eq!(drift("APPLICATIONINSIGHTS_CONNECTION_STRING", "x"), None);
        assert_eq!(drift("VERDIGRIS_REVISION", "other"), None);
    }

    #[test]
    fn what_people_change_breaks_the_seal_and_what_the_platform_adds_does_not() {
        let sealed = moving(&names(), &inventory(), code());
        assert!(is_sealed(&sealed, Slot::Blue));
        let only_blue = BTreeSet::from(["both_queue", "reorder"].map(str::to_owned));
        let green = for_green(sealed, &only_blue, &Settings::new());
        for (name, value, holds) in [
            ("LOG_LEVEL", "debug", false),
            ("EXTRA", "1", false),
            (SETTINGS, "other", false),
            (FUNCTIONS, "stock:http", false),
            ("AzureWebJobs.reorder.Disabled", "false", false),
            ("WEBSITE_HTTPLOGGING_RETENTION_DAYS", "3", true),
            (REVISION, "other", true),
        ] {
            let mut edited = green.clone();
            edited.insert(name.to_owned(), value.to_owned());
            assert_eq!(is_sealed(&edited, Slot::Green), holds, "{name}");
        }
        let mut bare = green.clone();
        bare.remove(SETTINGS);
        assert!(!is_sealed(&bare, Slot::Green));
    }

    #[test]
    fn writing_keeps_what_the_platform_added_and_nothing_else() {
        let existing = Settings::from(
            [
                ("APPINSIGHTS_INSTRUMENTATIONKEY", "key"),
                ("EXTRA", "by hand"),
                ("AzureWebJobs.gone.Disabled", "true"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let written = for_blue(bare(&names()), &existing);
        assert!(written.contains_key("APPINSIGHTS_INSTRUMENTATIONKEY"));
        assert!(!written.contains_key("EXTRA"));
        assert!(!written.contains_key("AzureWebJobs.gone.Disabled"));
    }

    #[test]
    fn secrets_are_references() {
        let mut release = inventory();
        let secret = EnvValue::Secret("inventory-db".to_owned());
        release.content.env.insert("DB".to_owned(), secret);
        let settings = moving(&names(), &release, code());
        assert_eq!(
            settings["DB"],
            "@Microsoft.KeyVault(VaultName=shop-prod;SecretName=inventory-db)"
        );
    }

    #[test]
    fn what_one_app_cannot_hold_is_told() {
        let clash = vec![
            ("a", function(true, false, &[("MODE", "1")])),
            ("b", function(true, false, &[("MODE", "2")])),
        ];
        let told = fault(&release(clash, &[])).unwrap();
        assert!(
            told.starts_with("variable `MODE` of function `b`"),
            "{told}"
        );
        let reserved = release(Vec::new(), &[("VERDIGRIS_RELEASE", "x")]);
        let told = fault(&reserved).unwrap();
        assert!(
            told.starts_with("variable `VERDIGRIS_RELEASE` is set"),
            "{told}"
        );
        assert_eq!(fault(&inventory()), None);
    }

    #[test]
    fn a_slot_without_the_package_mark_is_in_the_middle_of_something() {
        let mut settings = moving(&names(), &inventory(), code());
        settings.remove(CODE);
        assert_eq!(marks(&settings).and_then(|marks| marks.code), None);
        let settings = arriving(&names(), &inventory());
        let mark = marks(&settings).unwrap();
        assert_eq!((mark.release, mark.code), (inventory().digest, None));
        assert!(!settings.contains_key(RELEASE), "no program may claim it");
        let mut both = moving(&names(), &inventory(), code());
        both.extend(settings);
        assert_eq!(marks(&both).and_then(|marks| marks.code), None);
        assert_eq!(marks(&bare(&names())), None);
    }
}
