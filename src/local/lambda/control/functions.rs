//! Functions: created, seen, listed, deleted.

use std::{collections::BTreeMap, sync::Arc};

use axum::{http::StatusCode, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tags::check_tags;
use crate::local::lambda::{
    Lambda, around,
    record::{
        Code, Config, ConfigRequest, Content, Function, LATEST, Phase, Version, listed, shown,
    },
    wire::{ApiError, Call, Reference, answer, no_content, page},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateRequest {
    function_name: String,
    #[serde(default)]
    code: CodeRequest,
    #[serde(default)]
    publish: bool,
    tags: Option<BTreeMap<String, String>>,
    package_type: Option<String>,
    #[serde(flatten)]
    config: ConfigRequest,
}

/// Where code comes from.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CodeRequest {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
    image_uri: Option<String>,
}

impl CodeRequest {
    /// The bytes of the zip; the only kind of code that this endpoint takes.
    pub(super) fn zip(self, lambda: &Lambda) -> Result<Bytes, ApiError> {
        let Self {
            zip_file,
            s3_bucket,
            s3_key,
            image_uri,
        } = self;
        if let Some(bucket) = s3_bucket {
            let content = around::content(lambda, &bucket, &s3_key.unwrap_or_default());
            return content.map_err(|(_, code, message)| {
                ApiError::invalid(format!(
                    "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
                ))
            });
        }
        if image_uri.is_some() {
            return Err(ApiError::invalid(
                "Container images do not run on this endpoint: give a ZipFile.",
            ));
        }
        let text = zip_file
            .ok_or_else(|| ApiError::invalid("Please provide a source for function code."))?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes
            .map(Bytes::from)
            .map_err(|_| ApiError::unreadable("ZipFile is not valid base64"))
    }
}

pub(super) async fn create(lambda: &Arc<Lambda>, call: &Call) -> Result<Response, ApiError> {
    let CreateRequest {
        function_name,
        code,
        publish,
        tags,
        package_type,
        config,
    } = call.json()?;
    let reference = Reference::parse_new(&function_name)?;
    reference.check_place(&lambda.place)?;
    if package_type.is_some_and(|kind| kind != "Zip") {
        return Err(ApiError::invalid(
            "Container images do not run on this endpoint: use PackageType Zip.",
        ));
    }
    let tags = tags.unwrap_or_default();
    check_tags(&tags)?;
    let config = config.create()?;
    check_role(lambda, &config)?;
    refuse_twin(&lambda.functions(), &reference.name)?;
    let code = lambda.packages.keep(code.zip(lambda)?).await?;
    let mut function = fresh(lambda, reference.name, config, code, tags);
    let phase = function.latest.phase.clone();
    let version = publish.then(|| function.publish(None, phase, lambda.clock.now()));
    let mut body = shown(&lambda.place, &function, &function.latest, None);
    if let Some(version) = version {
        body["Version"] = json!(version.label);
    }
    let mut functions = lambda.functions();
    // Somebody may have been quicker while the package was unpacked.
    refuse_twin(&functions, &function.name)?;
    lambda.save(&function)?;
    functions.insert(function.name.clone(), function);
    Ok(answer(StatusCode::CREATED, &body))
}

/// In the words that a role gets which is not there, or not there yet.
pub(super) fn check_role(lambda: &Lambda, config: &Config) -> Result<(), ApiError> {
    if lambda.may_assume(&config.role) {
        return Ok(());
    }
    Err(ApiError::invalid(
        "The role defined for the function cannot be assumed by Lambda.",
    ))
}

fn refuse_twin(functions: &BTreeMap<String, Function>, name: &str) -> Result<(), ApiError> {
    if functions.contains_key(name) {
        return Err(ApiError::conflict(format!(
            "Function already exist: {name}"
        )));
    }
    Ok(())
}

fn fresh(
    lambda: &Lambda,
    name: String,
    config: Config,
    code: Code,
    tags: BTreeMap<String, String>,
) -> Function {
    Function {
        name,
        latest: Version {
            label: LATEST.to_owned(),
            content: Content { config, code },
            revision: Uuid::new_v4(),
            modified: lambda.clock.now(),
            phase: Phase::Pending {
                until: lambda.until(),
                end: lambda.faults.later("CreateFunction"),
            },
        },
        versions: BTreeMap::new(),
        last_number: 0,
        published: None,
        aliases: BTreeMap::new(),
        urls: BTreeMap::new(),
        policies: BTreeMap::new(),
        tags,
        reserved: None,
        provisioned: BTreeMap::new(),
        asynchronous: BTreeMap::new(),
    }
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let body = lambda.see(&reference, |function| {
        let version = qualified(lambda, function, &reference)?;
        let mut location = lambda.base.clone();
        location.set_path(&format!("/_verdigris/packages/{}", version.content.code.digest.hex()));
        let mut body = json!({
            "Configuration": shown(&lambda.place, function, version, reference.qualifier.as_deref()),
            "Code": {"RepositoryType": "S3", "Location": location},
        });
        if !function.tags.is_empty() {
            body["Tags"] = json!(function.tags);
        }
        if let Some(reserved) = function.reserved {
            body["Concurrency"] = json!({"ReservedConcurrentExecutions": reserved});
        }
        Ok(body)
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn get_configuration(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let body = lambda.see(&reference, |function| {
        let version = qualified(lambda, function, &reference)?;
        Ok(shown(
            &lambda.place,
            function,
            version,
            reference.qualifier.as_deref(),
        ))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

fn qualified<'f>(
    lambda: &Lambda,
    function: &'f Function,
    reference: &Reference,
) -> Result<&'f Version, ApiError> {
    let version = function.qualified(reference.qualifier.as_deref());
    version.ok_or_else(|| lambda.missing(reference))
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let all = match call.query("FunctionVersion") {
        None => false,
        Some("ALL") => true,
        Some(other) => {
            let rule = "Member must satisfy enum value set: [ALL]";
            return Err(ApiError::validation(other, "functionVersion", rule));
        }
    };
    let functions = lambda.functions();
    let items = functions.values().flat_map(|function| {
        let versions = if all {
            Some(function.versions.values())
        } else {
            None
        };
        let latest = std::iter::once((all.then_some(LATEST), &function.latest));
        let numbered = versions
            .into_iter()
            .flatten()
            .map(|version| (Some(version.label.as_str()), version));
        latest.chain(numbered).map(move |(qualifier, version)| {
            (key(function, version), (function, version, qualifier))
        })
    });
    page(
        call,
        "Functions",
        items,
        |(function, version, qualifier)| listed(&lambda.place, function, version, qualifier),
    )
}

/// Sorts versions as numbers, after `$LATEST`. The space sorts before any character of a name.
fn key(function: &Function, version: &Version) -> String {
    let number: u64 = version.label.parse().unwrap_or(0);
    format!("{} {number:020}", function.name)
}

pub(super) fn list_versions(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.see(&reference, |function| {
        let versions = std::iter::once(&function.latest).chain(function.versions.values());
        let items = versions.map(|version| (key(function, version), version));
        page(call, "Versions", items, |version: &Version| -> Value {
            listed(&lambda.place, function, version, Some(&version.label))
        })
    })
}

pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let Some(label) = &reference.qualifier else {
        lambda.see(&reference, |_| Ok(()))?;
        lambda.forget(&reference.name)?;
        lambda.functions().remove(&reference.name);
        lambda.urls.close_function(&reference.name);
        return Ok(no_content());
    };
    if label == LATEST {
        return Err(ApiError::invalid(
            "$LATEST version cannot be deleted without deleting the function.",
        ));
    }
    // What no alias can be called is taken for a version.
    let number: Option<u64> = label.parse().ok();
    if number.is_none() && !label.contains('$') {
        return Err(ApiError::invalid(
            "Deletion of aliases is not currently supported.",
        ));
    }
    let number = number.unwrap_or_default();
    // The words for a missing function leave the version out.
    lambda.known(
        &reference,
        &format!(
            "Function not found: {}",
            lambda.place.arn(&reference.name, None)
        ),
    )?;
    lambda.change(&reference, |function| {
        let aliases = function.aliases_of(label);
        if !aliases.is_empty() {
            let arn = lambda.place.arn(&function.name, Some(label));
            return Err(ApiError::conflict(format!(
                "Version {arn} cannot be deleted because it is currently referenced by alias(es): {}",
                aliases.join(", ")
            )));
        }
        function.policies.remove(label);
        function.versions.remove(&number).map(|_| ()).ok_or_else(|| lambda.missing(&reference))
    })?;
    Ok(no_content())
}
