//! Members of a configuration that nothing here acts on: checked as Lambda checks them, kept and shown.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::local::lambda::wire::ApiError;

pub(super) type Carried = BTreeMap<String, Value>;

const LAYERS_MAX: usize = 5;

/// Takes in what a request says of a member: all of it, but for logging, of which it may say a part.
pub(super) fn take(carried: &mut Carried, name: String, value: Value) {
    let is_logging = name == "LoggingConfig";
    match (carried.get_mut(&name), value) {
        (Some(Value::Object(old)), Value::Object(new)) if is_logging => {
            // Levels are of JSON alone.
            if new.get("LogFormat").is_some_and(|format| format == "Text") {
                old.retain(|key, _| !key.ends_with("LogLevel"));
            }
            old.extend(new);
        }
        (_, value) => drop(carried.insert(name, value)),
    }
}

/// What is emptied is gone, but for a network, which is shown as empty from then on.
pub(super) fn tidy(carried: &mut Carried) {
    carried.retain(|name, value| match name.as_str() {
        "DeadLetterConfig" => is_filled(&value["TargetArn"]),
        "KMSKeyArn" => is_filled(value),
        "Layers" | "FileSystemConfigs" => value.as_array().is_some_and(|it| !it.is_empty()),
        _ => !value.is_null(),
    });
}

fn is_filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// The rules that hold between these members, and with the runtime.
pub(super) fn check(carried: &Carried, runtime: &str, storage: u32) -> Result<(), ApiError> {
    let get = |name: &str| carried.get(name).unwrap_or(&Value::Null);
    if let Some(layers) = get("Layers").as_array() {
        check_layers(layers)?;
    }
    one_of(
        &get("TracingConfig")["Mode"],
        "tracingConfig.mode",
        &["Active", "PassThrough"],
    )?;
    one_of(
        &get("SnapStart")["ApplyOn"],
        "snapStart.applyOn",
        &["PublishedVersions", "None"],
    )?;
    check_logging(get("LoggingConfig"))?;
    check_network(get("VpcConfig"))?;
    if let Some(target) = get("DeadLetterConfig")["TargetArn"].as_str() {
        let is_known = [":sqs:", ":sns:"].iter().any(|it| target.contains(it));
        if !is_known {
            return Err(ApiError::invalid(format!(
                "The provided target ARN {target} is invalid: a dead letter goes to a queue or a topic"
            )));
        }
    }
    let has_files = carried.contains_key("FileSystemConfigs");
    if has_files && !is_in_network(get("VpcConfig")) {
        return Err(ApiError::invalid(
            "Function must be configured to execute in a VPC to reference access point.",
        ));
    }
    let snaps = get("SnapStart")["ApplyOn"] == "PublishedVersions";
    let can_snap = [
        "java11",
        "java17",
        "java21",
        "java25",
        "python3.12",
        "python3.13",
        "python3.14",
        "dotnet8",
        "dotnet10",
    ];
    if snaps && !can_snap.contains(&runtime) {
        return Err(ApiError::invalid(format!(
            "{runtime} is not supported for SnapStart enabled functions."
        )));
    }
    if snaps && storage > 512 {
        return Err(ApiError::invalid(
            "EphemeralStorage larger than 512 MB is not supported for SnapStart enabled functions.",
        ));
    }
    Ok(())
}

fn check_layers(layers: &[Value]) -> Result<(), ApiError> {
    if layers.len() > LAYERS_MAX {
        return Err(ApiError::invalid("Cannot reference more than 5 layers."));
    }
    for layer in layers.iter().filter_map(Value::as_str) {
        let parts: Vec<&str> = layer.split(':').collect();
        let is_version = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_layer = parts.len() == 8
            && parts[2] == "lambda"
            && parts[5] == "layer"
            && is_version(&parts[7]);
        if !is_layer {
            let rule = r"Member must satisfy constraint: [Member must have length less than or equal to 140, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), Member must not be null]";
            return Err(ApiError::validation(&format!("[{layer}]"), "layers", rule));
        }
    }
    let mut names: Vec<&str> = layers
        .iter()
        .filter_map(|it| it.as_str()?.rsplit_once(':'))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    if names.len() != all {
        return Err(ApiError::invalid(
            "Two different versions of the same layer are not allowed to be referenced in the same function.",
        ));
    }
    Ok(())
}

/// Whether a function is in a network, and not taken out of it again.
pub(super) fn is_in_network(vpc: &Value) -> bool {
    vpc["SubnetIds"].as_array().is_some_and(|it| !it.is_empty())
}

/// Holds the names to their pattern. Whether something of that name exists is for EC2 to know, which is not here.
fn check_network(vpc: &Value) -> Result<(), ApiError> {
    let lower = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let names = [
        ("SubnetIds", "subnetIds", "subnet-", "subnet-[0-9a-z]*"),
        (
            "SecurityGroupIds",
            "securityGroupIds",
            "sg-",
            "sg-[0-9a-zA-Z]*",
        ),
    ];
    for (member, at, prefix, pattern) in names {
        let ids: Vec<&str> = vpc[member]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let legal = |c: char| lower(c) || (prefix == "sg-" && c.is_ascii_uppercase());
        let fits = |id: &&str| {
            let rest = id.strip_prefix(prefix).filter(|_| id.len() <= 1024);
            rest.is_some_and(|rest| rest.chars().all(legal))
        };
        if !ids.iter().all(fits) {
            let rule = format!(
                "Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: {pattern}]"
            );
            let (value, at) = (format!("[{}]", ids.join(", ")), format!("vpcConfig.{at}"));
            return Err(ApiError::validation(&value, &at, &rule));
        }
    }
    Ok(())
}

fn check_logging(logging: &Value) -> Result<(), ApiError> {
    one_of(
        &logging["LogFormat"],
        "loggingConfig.logFormat",
        &["JSON", "Text"],
    )?;
    let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    one_of(
        &logging["ApplicationLogLevel"],
        "loggingConfig.applicationLogLevel",
        &levels,
    )?;
    one_of(
        &logging["SystemLogLevel"],
        "loggingConfig.systemLogLevel",
        &["DEBUG", "INFO", "WARN"],
    )?;
    let has_level =
        !logging["ApplicationLogLevel"].is_null() || !logging["SystemLogLevel"].is_null();
    if has_level && logging["LogFormat"] != "JSON" {
        return Err(ApiError::invalid(
            "To use ApplicationLogLevel or SystemLogLevel, you must set LogFormat to JSON.",
        ));
    }
    Ok(())
}

fn one_of(value: &Value, at: &str, known: &[&str]) -> Result<(), ApiError> {
    match value.as_str() {
        Some(text) if !known.contains(&text) => {
            let rule = format!("Member must satisfy enum value set: [{}]", known.join(", "));
            Err(ApiError::validation(text, at, &rule))
        }
        Some(_) | None => Ok(()),
    }
}
