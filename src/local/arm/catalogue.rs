//! Answers that never change: regions and runtime stacks.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

/// Regions that clients may name: a few of Azure's, as both kinds of name.
const REGIONS: [(&str, &str); 8] = [
    ("westeurope", "West Europe"),
    ("northeurope", "North Europe"),
    ("eastus", "East US"),
    ("eastus2", "East US 2"),
    ("westus2", "West US 2"),
    ("uksouth", "UK South"),
    ("germanywestcentral", "Germany West Central"),
    ("southeastasia", "Southeast Asia"),
];

/// Linux runtimes that command lines look up before they create an app: name, versions, text in front of a version.
const STACKS: [(&str, &str, &[&str]); 4] = [
    ("python", "Python", &["3.13", "3.12", "3.11"]),
    ("node", "Node", &["24", "22", "20"]),
    ("dotnet-isolated", "DOTNET-ISOLATED", &["8.0"]),
    ("custom", "", &["1.0"]),
];

pub(super) fn locations(_: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let subscription = call.subscription_id();
    let region = |(name, display): &(&str, &str)| {
        json!({
            "id": format!("{subscription}/locations/{name}"),
            "name": name,
            "displayName": display,
            "regionalDisplayName": display,
        })
    };
    let regions: Vec<Value> = REGIONS.iter().map(region).collect();
    Ok(Answer::ok(json!({"value": regions})))
}

pub(super) fn geo_regions(_: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let subscription = call.subscription_id();
    let region = |(_, display): &(&str, &str)| {
        json!({
            "id": format!("{subscription}/providers/Microsoft.Web/geoRegions/{display}"),
            "name": display,
            "type": "Microsoft.Web/geoRegions",
            "properties": {
                "name": display,
                "description": "",
                "displayName": display,
                "orgDomain": "PUBLIC;FUNCTIONS;DYNAMIC;LINUX;LINUXDYNAMIC;ELASTICPREMIUM;ELASTICLINUX",
            },
        })
    };
    let regions: Vec<Value> = REGIONS.iter().map(region).collect();
    Ok(Answer::ok(json!({"value": regions})))
}

pub(super) fn stacks(_: &Arc<Cloud>, _: &Call) -> Result<Answer, ArmError> {
    let stacks: Vec<Value> = STACKS
        .iter()
        .map(|(name, prefix, versions)| stack(name, prefix, versions))
        .collect();
    Ok(Answer::ok(json!({"value": stacks, "nextLink": null})))
}

fn stack(name: &str, prefix: &str, versions: &[&str]) -> Value {
    let minor: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(at, version)| minor_version(name, prefix, version, at == 0))
        .collect();
    json!({
        "id": null,
        "name": name,
        "type": "Microsoft.Web/functionAppStacks",
        "properties": {
            "displayText": name,
            "value": name,
            "preferredOs": "linux",
            "majorVersions": [{"displayText": name, "value": name, "minorVersions": minor}],
        },
    })
}

fn minor_version(name: &str, prefix: &str, version: &str, is_default: bool) -> Value {
    let runtime = if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}|{version}")
    };
    let shown = if runtime.is_empty() {
        version
    } else {
        &runtime
    };
    json!({
        "displayText": format!("{name} {version}"),
        "value": version,
        "stackSettings": {"linuxRuntimeSettings": {
            "runtimeVersion": shown,
            "remoteDebuggingSupported": false,
            "isDefault": is_default,
            "appInsightsSettings": {"isSupported": true},
            "gitHubActionSettings": {"isSupported": true, "supportedVersion": version},
            "appSettingsDictionary": {"FUNCTIONS_WORKER_RUNTIME": name},
            "siteConfigPropertiesDictionary": {"use32BitWorkerProcess": false, "linuxFxVersion": runtime},
            "supportedFunctionsExtensionVersions": ["~4"],
            "supportedFunctionsExtensionVersionsInfo": [
                {"version": "~4", "isDeprecated": false, "isDefault": true},
            ],
            "endOfLifeDate": "2030-01-01T00:00:00Z",
        }},
    })
}
