//! A function's configuration: how it is asked for, what is refused, what is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::carried;
use crate::local::lambda::wire::ApiError;

/// Runtimes that Lambda knows and accepts no more, as far as it was seen to say so.
const RETIRED: &[&str] = &[
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs12.x",
    "nodejs14.x",
    "provided",
    "python3.7",
    "ruby2.7",
];

/// Runtimes that Lambda accepts today, in the order in which it lists them.
const RUNTIMES: &[&str] = &[
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "java17",
    "nodejs16.x",
    "dotnet10",
    "dotnet8",
    "java11",
    "dotnet6",
    "nodejs18.x",
    "provided.al2",
    "java8.al2",
];

const ENVIRONMENT_MAX: usize = 4 * 1024;

/// Members that are kept and shown as they came, because nothing here acts on them.
const CARRIED: &[&str] = &[
    "DeadLetterConfig",
    "FileSystemConfigs",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "SnapStart",
    "TracingConfig",
    "VpcConfig",
];

/// What a version runs with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(in crate::local::lambda) struct Config {
    pub(in crate::local::lambda) runtime: String,
    pub(in crate::local::lambda) role: String,
    pub(in crate::local::lambda) handler: String,
    pub(in crate::local::lambda) description: String,
    /// Seconds.
    pub(in crate::local::lambda) timeout: u32,
    /// Mebibytes.
    pub(in crate::local::lambda) memory: u32,
    /// `None` where no `Environment` was ever given: answers then leave it out.
    pub(in crate::local::lambda) variables: Option<BTreeMap<String, String>>,
    pub(in crate::local::lambda) architecture: String,
    /// Mebibytes of `/tmp`; shown, not enforced.
    pub(in crate::local::lambda) storage: u32,
    pub(in crate::local::lambda) carried: BTreeMap<String, Value>,
}

/// The members that CreateFunction and UpdateFunctionConfiguration share.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::local::lambda) struct ConfigRequest {
    runtime: Option<String>,
    role: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout: Option<u32>,
    memory_size: Option<u32>,
    environment: Option<EnvironmentRequest>,
    architectures: Option<Vec<String>>,
    ephemeral_storage: Option<StorageRequest>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EnvironmentRequest {
    variables: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StorageRequest {
    size: u32,
}

impl ConfigRequest {
    /// A new function's configuration.
    pub(in crate::local::lambda) fn create(self) -> Result<Config, ApiError> {
        let needed = |value: &Option<String>, at| match value {
            Some(_) => Ok(()),
            None => Err(ApiError::missing(at)),
        };
        needed(&self.role, "role")?;
        if self.runtime.is_none() {
            return Err(ApiError::invalid(
                "Runtime is mandatory if the deployment package is a .zip archive.",
            ));
        }
        if self.handler.is_none() {
            return Err(ApiError::invalid(
                "Handler is mandatory if the deployment package is a .zip archive.",
            ));
        }
        self.apply(&Config {
            runtime: String::new(),
            role: String::new(),
            handler: String::new(),
            description: String::new(),
            timeout: 3,
            memory: 128,
            variables: None,
            architecture: "x86_64".to_owned(),
            storage: 512,
            carried: BTreeMap::new(),
        })
    }

    /// `old` with what was asked for; what was not mentioned stays.
    pub(in crate::local::lambda) fn apply(self, old: &Config) -> Result<Config, ApiError> {
        let Self {
            runtime,
            role,
            handler,
            description,
            timeout,
            memory_size,
            environment,
            architectures,
            ephemeral_storage,
            rest,
        } = self;
        let mut carried = old.carried.clone();
        for (name, value) in rest {
            if CARRIED.contains(&name.as_str()) {
                carried::take(&mut carried, name, value);
            }
        }
        carried::tidy(&mut carried);
        let variables = match environment {
            Some(EnvironmentRequest { variables }) => Some(variables.unwrap_or_default()),
            None => old.variables.clone(),
        };
        let config = Config {
            runtime: runtime.unwrap_or_else(|| old.runtime.clone()),
            role: role.unwrap_or_else(|| old.role.clone()),
            handler: handler.unwrap_or_else(|| old.handler.clone()),
            description: description.unwrap_or_else(|| old.description.clone()),
            timeout: timeout.unwrap_or(old.timeout),
            memory: memory_size.unwrap_or(old.memory),
            variables,
            architecture: architecture(architectures)?.unwrap_or_else(|| old.architecture.clone()),
            storage: ephemeral_storage.map_or(old.storage, |StorageRequest { size }| size),
            carried,
        };
        config.check()?;
        Ok(config)
    }
}

pub(in crate::local::lambda) fn architecture(
    asked: Option<Vec<String>>,
) -> Result<Option<String>, ApiError> {
    let Some(asked) = asked else { return Ok(None) };
    let text = format!("[{}]", asked.join(", "));
    match asked.as_slice() {
        [one] if one == "x86_64" || one == "arm64" => Ok(Some(one.clone())),
        [_] => Err(ApiError::validation(
            &text,
            "architectures",
            "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        )),
        [] => Err(ApiError::validation(
            &text,
            "architectures",
            "Member must have length greater than or equal to 1",
        )),
        [..] => Err(ApiError::validation(
            &text,
            "architectures",
            "Member must have length less than or equal to 1",
        )),
    }
}

impl Config {
    fn check(&self) -> Result<(), ApiError> {
        if !is_role(&self.role) {
            let rule = r"Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+";
            return Err(ApiError::validation(&self.role, "role", rule));
        }
        if RETIRED.contains(&self.runtime.as_str()) {
            return Err(ApiError::invalid(format!(
                "The runtime parameter of {} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
                self.runtime
            )));
        }
        if !RUNTIMES.contains(&self.runtime.as_str()) {
            return Err(ApiError::invalid(format!(
                "Value {} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be a valid ARN",
                self.runtime,
                RUNTIMES.join(", ")
            )));
        }
        in_range(self.timeout, "timeout", 1, 900)?;
        in_range(self.memory, "memorySize", 128, 10_240)?;
        in_range(self.storage, "ephemeralStorage.size", 512, 10_240)?;
        carried::check(&self.carried, &self.runtime, self.storage)?;
        in_range(
            u32::try_from(self.description.len()).unwrap_or(u32::MAX),
            "description",
            0,
            256,
        )?;
        if self.handler.is_empty()
            || self.handler.len() > 128
            || self.handler.contains(char::is_whitespace)
        {
            let rule = r"Member must satisfy regular expression pattern: [^\s]+";
            return Err(ApiError::validation(&self.handler, "handler", rule));
        }
        self.variables.as_ref().map_or(Ok(()), check_variables)
    }
}

fn is_role(role: &str) -> bool {
    let mut parts = role.splitn(6, ':');
    let partition =
        parts.next() == Some("arn") && parts.next().is_some_and(|p| p.starts_with("aws"));
    let service = parts.next() == Some("iam") && parts.next() == Some("");
    let account = parts
        .next()
        .is_some_and(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()));
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    let name = parts.next().and_then(|rest| rest.strip_prefix("role"));
    partition && service && account && name.is_some_and(|n| n.len() > 1 && n.chars().all(legal))
}

fn in_range(value: u32, at: &str, least: u32, most: u32) -> Result<(), ApiError> {
    if value < least {
        let rule = format!("Member must have value greater than or equal to {least}");
        return Err(ApiError::validation(&value.to_string(), at, &rule));
    }
    if value > most {
        let rule = format!("Member must have value less than or equal to {most}");
        return Err(ApiError::validation(&value.to_string(), at, &rule));
    }
    Ok(())
}

/// Names that Lambda keeps for itself, sizes that it does not carry. The values stay out of the message.
fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), ApiError> {
    const RESERVED: &[&str] = &[
        "_HANDLER",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
    ];
    for name in variables.keys() {
        if RESERVED.contains(&name.as_str()) {
            return Err(ApiError::invalid(format!(
                "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {name}"
            )));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let lettered = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if name.len() < 2 || !lettered || !name.chars().all(legal) {
            let rule = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]";
            return Err(ApiError::validation(name, "environment.variables", rule));
        }
    }
    let measured = serde_json::to_string(variables).map_or(usize::MAX, |text| text.len());
    if measured > ENVIRONMENT_MAX {
        return Err(ApiError::invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_from_other_text() {
        let cases = [
            ("arn:aws:iam::111122223333:role/functions", true),
            ("arn:aws:iam::111122223333:role/service/functions", true),
            ("r1", false),
            ("arn:aws:iam::1:role/functions", false),
            ("arn:aws:iam::111122223333:user/x", false),
        ];
        for (role, expected) in cases {
            assert_eq!(is_role(role), expected, "{role}");
        }
    }
}
