//! Functions themselves.

use std::io::{Cursor, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;

use super::{Asked, Live, Step, made as made_of, name_of, request::segment, tags, text, typed};
use crate::local::stacks::{
    Fault, fault,
    value::{Made, text_of},
};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Configuration by its name in a template and in a request, and what it is where nobody says.
const CONFIGURATION: &[(&str, &str, &str)] = &[
    (
        "DeadLetterConfig",
        "DeadLetterConfig",
        r#"{"TargetArn": ""}"#,
    ),
    ("Description", "Description", r#""""#),
    ("Environment", "Environment", r#"{"Variables": {}}"#),
    ("EphemeralStorage", "EphemeralStorage", r#"{"Size": 512}"#),
    ("FileSystemConfigs", "FileSystemConfigs", "[]"),
    ("Handler", "Handler", "null"),
    ("KmsKeyArn", "KMSKeyArn", r#""""#),
    ("Layers", "Layers", "[]"),
    ("LoggingConfig", "LoggingConfig", r#"{"LogFormat": "Text"}"#),
    ("MemorySize", "MemorySize", "128"),
    ("Role", "Role", "null"),
    ("Runtime", "Runtime", "null"),
    ("SnapStart", "SnapStart", r#"{"ApplyOn": "None"}"#),
    ("Timeout", "Timeout", "3"),
    (
        "TracingConfig",
        "TracingConfig",
        r#"{"Mode": "PassThrough"}"#,
    ),
    (
        "VpcConfig",
        "VpcConfig",
        r#"{"SubnetIds": [], "SecurityGroupIds": []}"#,
    ),
];

pub(super) fn create(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "FunctionName");
    let mut body = Map::new();
    body.insert("FunctionName".to_owned(), json!(name));
    body.insert("Code".to_owned(), code(asked.properties)?);
    for member in ["Architectures", "PackageType"] {
        body.extend(
            asked
                .properties
                .get(member)
                .map(|it| (member.to_owned(), it.clone())),
        );
    }
    let tags = tags(asked);
    if !tags.is_empty() {
        body.insert("Tags".to_owned(), json!(tags));
    }
    for (there, here, _) in CONFIGURATION {
        let value = asked.properties.get(*there);
        body.extend(value.map(|it| ((*here).to_owned(), configured(there, it))));
    }
    let created = Step::lambda("POST", FUNCTIONS.to_owned(), &Value::Object(body));
    let mut steps = vec![created.then_settled(&name)];
    steps.extend(reserved(asked.properties, &name));
    Ok(steps)
}

/// Texts in an environment, numbers where they are meant.
fn configured(name: &str, value: &Value) -> Value {
    match name {
        "Timeout" | "MemorySize" => typed(value),
        "Environment" => {
            let variables = value["Variables"].as_object().into_iter().flatten();
            let variables =
                variables.filter_map(|(name, it)| Some((name.clone(), json!(text_of(it)?))));
            json!({"Variables": variables.collect::<Map<_, _>>()})
        }
        "EphemeralStorage" => json!({"Size": typed(&value["Size"])}),
        _ => value.clone(),
    }
}

pub(super) fn made(asked: &Asked<'_>) -> Result<Made, Fault> {
    let name = name_of(asked, "FunctionName");
    // A whole ARN may stand for a name.
    let name = name.rsplit(':').next().unwrap_or_default();
    let (region, account) = (&asked.place.region, &asked.place.account);
    let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
    Ok(made_of(name, [("Arn", arn.as_str())]))
}

/// Where the code lies, or the code itself, which becomes a package with one file.
fn code(properties: &Value) -> Result<Value, Fault> {
    let code = &properties["Code"];
    let Some(inline) = code["ZipFile"].as_str() else {
        return Ok(code.clone());
    };
    let runtime = text(properties, "Runtime").unwrap_or_default();
    let file = match runtime.as_str() {
        it if it.starts_with("python") => "index.py",
        it if it.starts_with("nodejs") => "index.js",
        _ => {
            return fault(format!(
                "ZipFile takes code for nodejs and python only, and not for {runtime}"
            ));
        }
    };
    let package =
        zipped(file, inline).map_err(|why| Fault(format!("ZipFile cannot be packed: {why}")))?;
    Ok(json!({"ZipFile": STANDARD.encode(package)}))
}

fn zipped(file: &str, content: &str) -> zip::result::ZipResult<Vec<u8>> {
    let mut package = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // The same code is the same package, whenever it is packed.
    let options = SimpleFileOptions::default()
        .unix_permissions(0o644)
        .last_modified_time(zip::DateTime::default());
    package.start_file(file, options)?;
    package.write_all(content.as_bytes())?;
    Ok(package.finish()?.into_inner())
}

fn reserved(properties: &Value, name: &str) -> Option<Step> {
    let reserved = typed(properties.get("ReservedConcurrentExecutions")?);
    let body = json!({"ReservedConcurrentExecutions": reserved});
    let path = format!("/2017-10-31/functions/{}/concurrency", segment(name));
    Some(Step::lambda("PUT", path, &body))
}

/// Configuration first, then code, each waited for.
pub(super) fn update(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let (old, new) = (&live.properties, asked.properties);
    let name = &live.made.physical;
    let at = format!("{FUNCTIONS}/{}", segment(name));
    let differs = |member: &str| old.get(member) != new.get(member);
    let mut steps = Vec::new();
    let configuration = reconfigured(old, new);
    if !configuration.is_empty() {
        let step = Step::lambda(
            "PUT",
            format!("{at}/configuration"),
            &Value::Object(configuration),
        );
        steps.push(step.then_settled(name));
    }
    if differs("Code") || differs("Architectures") {
        let mut body = code(new)?;
        body["Architectures"] = new
            .get("Architectures")
            .cloned()
            .unwrap_or_else(|| json!(["x86_64"]));
        let step = Step::lambda("PUT", format!("{at}/code"), &body);
        steps.push(step.then_settled(name));
    }
    if differs("ReservedConcurrentExecutions") {
        let none = || {
            let path = format!("/2017-10-31/functions/{}/concurrency", segment(name));
            Step::lambda("DELETE", path, &Value::Null)
        };
        steps.push(reserved(new, name).unwrap_or_else(none));
    }
    steps.extend(retagged(asked, live));
    Ok(steps)
}

fn reconfigured(old: &Value, new: &Value) -> Map<String, Value> {
    let changed = CONFIGURATION
        .iter()
        .filter(|(there, _, _)| old.get(there) != new.get(there));
    let changed = changed.filter_map(|(there, here, none)| {
        let none = || {
            serde_json::from_str(none)
                .ok()
                .filter(|it: &Value| !it.is_null())
        };
        let value = new
            .get(there)
            .map(|it| configured(there, it))
            .or_else(none)?;
        Some(((*here).to_owned(), value))
    });
    changed.collect()
}

fn retagged(asked: &Asked<'_>, live: &Live) -> Vec<Step> {
    let before = super::pairs(&live.properties["Tags"]);
    let after = tags(asked);
    let path = format!("/2017-03-31/tags/{}", segment(&live.made.attributes["Arn"]));
    let mut steps = Vec::new();
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone: Vec<_> = gone
        .map(|key| format!("tagKeys={}", segment(key)))
        .collect();
    if !gone.is_empty() {
        steps.push(Step::lambda(
            "DELETE",
            format!("{path}?{}", gone.join("&")),
            &Value::Null,
        ));
    }
    if live.properties.get("Tags") != asked.properties.get("Tags") && !after.is_empty() {
        steps.push(Step::lambda("POST", path, &json!({"Tags": after})));
    }
    steps
}

pub(super) fn delete(live: &Live) -> Vec<Step> {
    let path = format!("{FUNCTIONS}/{}", segment(&live.made.physical));
    vec![Step::lambda("DELETE", path, &Value::Null)]
}
