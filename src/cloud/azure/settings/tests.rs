//! Settings, as slots have them.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    desired::ReleaseContent,
    manifest::azure::AzureShared,
    manifest::spec::{
        AzurePlan, AzureTarget, Function, HttpRoute, Megabytes, PathPattern, RepoPath, Runtime,
    },
    name::{EnvironmentName, FunctionName, ObjectId, ServiceKey},
};

fn names() -> Names {
    Names {
        called: None,
        environment: EnvironmentName::new("prod").unwrap(),
        target: AzureTarget {
            subscription: "s".to_owned(),
            resource_group: "rg".to_owned(),
            location: "westeurope".to_owned(),
            plan: AzurePlan("EP1".to_owned()),
            prefix: "shop".to_owned(),
            shared: AzureShared::default(),
        },
    }
}

fn plain(pairs: &[(&str, &str)]) -> BTreeMap<String, EnvValue> {
    let pair =
        |(name, value): &(&str, &str)| ((*name).to_owned(), EnvValue::Plain((*value).to_owned()));
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
            .map(|(name, function)| (FunctionName::new(name).unwrap(), Arc::new(function)))
            .collect(),
        env: plain(env),
        role: None,
        azure: None,
    };
    Release {
        service: "prod/inventory".parse::<ServiceKey>().unwrap(),
        digest: content.digest(),
        revision: format!("main@sha1:{}", "a".repeat(40)).parse().unwrap(),
        content: Arc::new(content),
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
    assert_eq!(
        drift(RUN_AS, "SystemAssigned").as_deref(),
        Some("setting.WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID")
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
    let written = for_blue(bare(&names(), None), &existing);
    assert!(written.contains_key("APPINSIGHTS_INSTRUMENTATIONKEY"));
    assert!(!written.contains_key("EXTRA"));
    assert!(!written.contains_key("AzureWebJobs.gone.Disabled"));
}

#[test]
fn secrets_are_references() {
    let mut release = inventory();
    let secret = EnvValue::Secret("inventory-db".to_owned());
    let content = Arc::make_mut(&mut release.content);
    content.env.insert("DB".to_owned(), secret);
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
    for name in ["VERDIGRIS_RELEASE", RUN_FROM, RUN_AS] {
        let told = fault(&release(Vec::new(), &[(name, "x")])).unwrap();
        let start = format!("variable `{name}` is set");
        assert!(told.starts_with(&start), "{told}");
    }
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
    assert_eq!(marks(&bare(&names(), None)), None);
}

#[test]
fn a_package_elsewhere_is_told_without_what_gives_access_to_it() {
    let settings = |address: &str| Settings::from([(RUN_FROM.to_owned(), address.to_owned())]);
    let told = |address| elsewhere(&settings(address), "https://ours.blob.example/");
    for address in ["1", "https://ours.blob.example/app/one.zip"] {
        assert_eq!(told(address), None, "{address}");
    }
    let (path, text) = told("https://me:pass@theirs.example/app/one.zip?sig=a/b").unwrap();
    assert_eq!(path, "setting.WEBSITE_RUN_FROM_PACKAGE");
    assert_eq!(text, "app/one.zip?… at theirs.example");
}
