//! What users write: raw format, checked spec, faults.
//!
//! Parsing has two steps. `raw` is as close to the text as it can be and still know where everything stands; `check` turns it into the
//! types of `spec` and `gates`, which cannot be wrong, or into faults that name file, line, column, field and what to write instead. Later code
//! never checks again. `set` puts the files of one commit together.

pub mod aws;
pub mod azure;
mod check;
pub mod differences;
mod drift;
pub mod fault;
pub mod gates;
pub mod parity;
mod raw;
pub mod schema;
pub mod set;
pub mod spec;
pub mod strategy;
pub mod template;
pub mod variables;
mod window;
mod yaml;

/// Reads a duration as manifests write it: `300ms`, `30s`, `10m`, `1h30m`.
///
/// # Errors
///
/// Says what is wrong and what to write instead.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    raw::plain_duration(text)
}

/// Whether both clouds take a name for a variable of a function.
pub fn is_variable_name(text: &str) -> bool {
    raw::is_variable_name(text)
}

/// Whether a text is a route as manifests write it: `GET /stock/{sku}`.
pub fn is_route(text: &str) -> bool {
    raw::is_route(text)
}

/// Whether a text is a schedule as manifests write it: five fields.
pub fn is_schedule(text: &str) -> bool {
    raw::is_schedule(text)
}

/// Whether a text is an IPv4 address, or a range of them: `203.0.113.1-203.0.113.9`.
pub fn is_address_range(text: &str) -> bool {
    check::is_address_range(text)
}

/// The plan of Azure Functions that a text names, as manifests write it; none where it has no slots or is not known.
pub fn plan(text: &str) -> Option<&'static str> {
    check::plan(text)
}

/// A key as a part of a fault's field.
pub fn field_part(key: &str) -> String {
    yaml::shown(key)
}

/// Whether a text is an ARN of one of these services of AWS.
pub fn is_arn(text: &str, services: &[&str]) -> bool {
    check::is_arn(text, services)
}

/// Whether people may set an application setting of this name on Azure.
pub fn is_setting(name: &str) -> bool {
    check::is_setting(name)
}

/// Whether a text is an action that a function may be allowed: `dynamodb:GetItem`, `s3:Get*`.
pub fn is_action(text: &str) -> bool {
    check::is_action(text)
}

/// Whether a text is what a function may be allowed an action on: an ARN, with `*` where many are meant.
pub fn is_resource(text: &str) -> bool {
    check::is_resource(text)
}

/// Whether the value of a variable of this name is probably a secret: `DB_PASSWORD`, `apiToken`.
pub fn looks_secret(name: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "TOKEN",
        "CREDENTIAL",
        "APIKEY",
        "PRIVATEKEY",
        "ACCESSKEY",
        "CONNECTIONSTRING",
        "SASKEY",
        "ACCOUNTKEY",
    ];
    let plain = name.to_ascii_uppercase().replace(['_', '-', '.'], "");
    SIGNS.iter().any(|sign| plain.contains(sign))
}

/// Writes a duration as manifests write it.
pub fn duration_text(length: std::time::Duration) -> String {
    window::length_text(length)
}
