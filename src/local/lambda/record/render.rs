//! Records as Lambda shows them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Alias, Code, Config, Function, LATEST, Phase, UrlConfig, Version, carried::is_in_network,
};
use crate::{local::lambda::wire::Place, name::Timestamp};

const CREATING: &str = "The function is being created.";

/// The digest as Lambda writes it.
pub(in crate::local::lambda) fn code_sha256(code: &Code) -> String {
    STANDARD.encode(code.digest.as_bytes())
}

/// A version with its states. `qualifier` is what the ARN ends with: answers differ in that.
pub(in crate::local::lambda) fn shown(
    place: &Place,
    function: &Function,
    version: &Version,
    qualifier: Option<&str>,
) -> Value {
    let mut value = listed(place, function, version, qualifier);
    value["RuntimeVersionConfig"] =
        json!({"RuntimeVersionArn": runtime_arn(place, &version.content.config)});
    match &version.phase {
        Phase::Pending { .. } => {
            value["State"] = json!("Pending");
            value["StateReason"] = json!(CREATING);
            value["StateReasonCode"] = json!("Creating");
        }
        Phase::Active => {
            value["State"] = json!("Active");
            value["LastUpdateStatus"] = json!("Successful");
        }
        Phase::Updating { .. } => {
            value["State"] = json!("Active");
            value["LastUpdateStatus"] = json!("InProgress");
            value["LastUpdateStatusReason"] = json!(CREATING);
            value["LastUpdateStatusReasonCode"] = json!("Creating");
        }
        Phase::Failed { why } => {
            value["State"] = json!("Failed");
            value["StateReason"] = json!(why.message);
            value["StateReasonCode"] = json!(why.code);
        }
        Phase::Unchanged { why, serving: _ } => {
            value["State"] = json!("Active");
            value["LastUpdateStatus"] = json!("Failed");
            value["LastUpdateStatusReason"] = json!(why.message);
            value["LastUpdateStatusReasonCode"] = json!(why.code);
        }
    }
    value
}

/// A version without its states, as lists show it.
pub(in crate::local::lambda) fn listed(
    place: &Place,
    function: &Function,
    version: &Version,
    qualifier: Option<&str>,
) -> Value {
    let Version {
        label,
        content,
        revision,
        modified,
        phase: _,
    } = version;
    let config = &content.config;
    let mut value = json!({
        "Architectures": [config.architecture],
        "CodeSha256": code_sha256(&content.code),
        "CodeSize": content.code.size,
        "Description": config.description,
        "EphemeralStorage": {"Size": config.storage},
        "FunctionArn": place.arn(&function.name, qualifier),
        "FunctionName": function.name,
        "Handler": config.handler,
        "LastModified": moment(*modified),
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", function.name)},
        "MemorySize": config.memory,
        "PackageType": "Zip",
        "RevisionId": revision.to_string(),
        "Role": config.role,
        "Runtime": config.runtime,
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "Timeout": config.timeout,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": label,
    });
    if let Some(variables) = &config.variables {
        value["Environment"] = json!({"Variables": variables});
    }
    for (name, given) in &config.carried {
        carry(place, &mut value, name, given);
    }
    value
}

/// Members that nothing here acts on, in the shape of answers, which is not always that of requests.
fn carry(place: &Place, value: &mut Value, name: &str, given: &Value) {
    match name {
        "SnapStart" => value[name]["ApplyOn"] = given["ApplyOn"].clone(),
        "LoggingConfig" => {
            if given["LogFormat"] == "JSON" {
                value[name]["ApplicationLogLevel"] = json!("INFO");
                value[name]["SystemLogLevel"] = json!("INFO");
            }
            for (key, inner) in given.as_object().into_iter().flatten() {
                value[name][key] = inner.clone();
            }
        }
        "Layers" => {
            let arns = given.as_array().into_iter().flatten();
            value[name] = arns.map(|arn| json!({"Arn": arn, "CodeSize": 0})).collect();
        }
        "VpcConfig" => value[name] = network(place, given),
        _ => value[name] = given.clone(),
    }
}

/// An account has one network here, and every subnet is in it.
fn network(place: &Place, given: &Value) -> Value {
    let mut shown = json!({
        "Ipv6AllowedForDualStack": false,
        "SecurityGroupIds": [],
        "SubnetIds": [],
        "VpcId": "",
    });
    let members = given.as_object().into_iter().flatten();
    for (key, inner) in members.filter(|(_, inner)| !inner.is_null()) {
        shown[key] = inner.clone();
    }
    if is_in_network(given) {
        shown["VpcId"] = json!(format!("vpc-{:0>17}", place.account));
    }
    shown
}

/// Stands for the runtime's build; equal for equal runtimes, as on the real service.
fn runtime_arn(place: &Place, config: &Config) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, config.runtime.as_bytes())
        .simple()
        .to_string();
    format!("arn:aws:lambda:{}::runtime:{id}{id}", place.region)
}

pub(in crate::local::lambda) fn alias_json(
    place: &Place,
    function: &str,
    name: &str,
    alias: &Alias,
) -> Value {
    let Alias {
        version,
        description,
        weights,
        revision,
    } = alias;
    let mut value = json!({
        "AliasArn": place.arn(function, Some(name)),
        "Description": description,
        "FunctionVersion": version,
        "Name": name,
        "RevisionId": revision.to_string(),
    });
    if !weights.is_empty() {
        value["RoutingConfig"] = json!({"AdditionalVersionWeights": weights});
    }
    value
}

/// `qualifier` is empty for the function itself. Only some answers show `modified` and the mode.
pub(in crate::local::lambda) fn url_json(
    place: &Place,
    function: &str,
    qualifier: &str,
    url: &UrlConfig,
) -> Value {
    let UrlConfig {
        auth,
        mode,
        cors,
        created,
        modified,
        port,
    } = url;
    let qualifier = Some(qualifier).filter(|name| !name.is_empty() && *name != LATEST);
    let mut value = json!({
        "AuthType": auth,
        "CreationTime": moment(*created),
        "FunctionArn": place.arn(function, qualifier),
        "FunctionUrl": format!("http://127.0.0.1:{port}/"),
        "InvokeMode": mode,
        "LastModifiedTime": moment(*modified),
    });
    if let Some(cors) = cors {
        value["Cors"] = cors.clone();
    }
    value
}

/// `2026-11-21T10:00:00.000+0000`, as Lambda writes moments.
pub(in crate::local::lambda) fn moment(at: Timestamp) -> String {
    at.to_string().replace('Z', "+0000")
}

/// Seconds since 1970, as event source mappings write moments.
pub(in crate::local::lambda) fn epoch(at: Timestamp) -> Value {
    let (seconds, millis) = (at.millis().div_euclid(1000), at.millis().rem_euclid(1000));
    // A decimal with three places always reads as a number.
    serde_json::from_str(&format!("{seconds}.{millis:03}")).unwrap_or_default()
}
