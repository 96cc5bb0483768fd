//! JSON Schemas of every kind, for editors and other checkers. Made from the records that the reader reads.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::raw::{EnvironmentDocument, GateDocument, ServiceDocument};

/// The kinds of documents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Service,
    Environment,
    Gate,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Service, Self::Environment, Self::Gate];

    /// As it is written behind `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Environment => "Environment",
            Self::Gate => "Gate",
        }
    }
}

/// The schema (draft 2020-12) of one kind. It refuses less than `check` does: what depends on two fields is not in it.
pub fn schema(kind: Kind) -> Value {
    let mut schema = match kind {
        Kind::Service => of::<ServiceDocument>(),
        Kind::Environment => of::<EnvironmentDocument>(),
        Kind::Gate => of::<GateDocument>(),
    };
    if let Some(property) = schema.pointer_mut("/properties/kind") {
        *property = json!({ "const": kind.as_str() });
    }
    schema["title"] = kind.as_str().into();
    if let (Kind::Service | Kind::Environment, Some(Value::Object(spec))) =
        (kind, schema.pointer_mut("/properties/spec/properties"))
    {
        let values = spec.iter_mut().filter(|(key, _)| *key != "params");
        values.for_each(|(_, value)| accept_variables(value));
    }
    schema
}

/// Text that asks for something, which stands for a value of any kind.
const VARIABLE: &str = r"\$\{(env|param|file|git)[:(]";

/// Lets a variable stand wherever a value may.
fn accept_variables(schema: &mut Value) {
    let Value::Object(keys) = schema else {
        return;
    };
    for (key, below) in keys.iter_mut() {
        match (key.as_str(), below) {
            ("properties", Value::Object(named)) => named.values_mut().for_each(accept_variables),
            ("anyOf" | "prefixItems", Value::Array(each)) => {
                each.iter_mut().for_each(accept_variables);
            }
            ("items" | "additionalProperties", below) => accept_variables(below),
            _ => {}
        }
    }
    let is_word = ["enum", "const", "oneOf"]
        .iter()
        .any(|key| keys.contains_key(*key));
    if is_word {
        let words = std::mem::take(schema);
        *schema = json!({ "anyOf": [words, { "type": "string", "pattern": VARIABLE }] });
        return;
    }
    let pattern = keys
        .get("pattern")
        .and_then(Value::as_str)
        .map(str::to_owned);
    match keys.get("type").and_then(Value::as_str) {
        Some("string") => {
            if let Some(pattern) = pattern {
                keys.insert(
                    "pattern".to_owned(),
                    format!("({pattern})|{VARIABLE}").into(),
                );
            }
        }
        // A pattern says something of texts only.
        Some(kind) => {
            let kind = kind.to_owned();
            keys.insert("type".to_owned(), json!([kind, "string"]));
            keys.insert("pattern".to_owned(), VARIABLE.into());
        }
        None => {}
    }
}

/// A schema for a file with documents of any kind.
pub fn any() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "oneOf": Kind::ALL.map(schema),
    })
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let inline = settings.with(|settings| settings.inline_subschemas = true);
    inline
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use super::*;
    use crate::manifest::raw;

    /// The keys of the object schema at a pointer.
    fn keys(kind: Kind, pointer: &str) -> Vec<String> {
        let schema = schema(kind);
        let object = schema
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer} in {schema:#}"));
        assert_eq!(object["additionalProperties"], false, "{pointer}");
        let mut keys: Vec<String> = object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        keys.sort();
        keys
    }

    const METADATA: &str = "/properties/metadata";
    const SPEC: &str = "/properties/spec";
    const FUNCTION: &str = "/properties/functions/additionalProperties";
    const SECRET: &str = "/properties/env/additionalProperties/anyOf/1";
    const ACROSS: &str = "/properties/rollout/properties/across/anyOf/2";
    const WINDOW: &str = "/properties/rollout/properties/windows/items";
    const STRATEGY: &str = "/properties/rollout/properties/strategy/anyOf/1";
    const CANARY: &str = "/properties/canary";
    const GATE: &str = "/properties/rollout/properties/gates/items";

    #[track_caller]
    fn check(kind: Kind, pointer: &[&str], known: &[&str]) {
        let mut known: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
        known.sort();
        assert_eq!(keys(kind, &pointer.concat()), known, "{pointer:?}");
    }

    #[test]
    fn schemas_and_readers_know_the_same_keys() {
        let service = |pointer: &[&str], known| check(Kind::Service, pointer, known);
        service(&[], raw::ServiceDocument::KEYS);
        service(&[METADATA], raw::Metadata::<()>::KEYS);
        service(&[SPEC], raw::ServiceSpec::KEYS);
        service(&[SPEC, FUNCTION], raw::FunctionSpec::KEYS);
        service(&[SPEC, SECRET], raw::SecretText::KEYS);
        service(&[SPEC, "/properties/rollout"], raw::RolloutText::KEYS);
        service(&[SPEC, ACROSS], raw::AcrossLong::KEYS);
        service(&[SPEC, STRATEGY], raw::StrategyLong::KEYS);
        let canary = |pointer: &str, known| service(&[SPEC, STRATEGY, CANARY, pointer], known);
        canary("/anyOf/1", raw::CanaryLong::KEYS);
        canary("/anyOf/0/items/anyOf/2", raw::StepLong::KEYS);
        const PAUSE: &str = "/anyOf/0/items/anyOf/2/properties/pause/anyOf/1";
        canary(PAUSE, raw::PauseLong::KEYS);
        service(&[SPEC, GATE], raw::GateSpec::KEYS);
        service(&[SPEC, WINDOW], raw::WindowText::KEYS);
        let environment = |pointer: &[&str], known| check(Kind::Environment, pointer, known);
        environment(&[], raw::EnvironmentDocument::KEYS);
        environment(&[SPEC], raw::EnvironmentSpec::KEYS);
        let follows = "/properties/follows/anyOf/1";
        environment(&[SPEC, follows], raw::FollowsLong::KEYS);
        environment(&[SPEC, "/properties/aws"], raw::AwsText::KEYS);
        environment(&[SPEC, "/properties/azure"], raw::AzureText::KEYS);
        let insights = "/properties/azure/properties/insights";
        environment(&[SPEC, insights], raw::InsightsText::KEYS);
        const APP: &str = "/properties/azure";
        let app = |pointer: &str, known| service(&[SPEC, APP, pointer], known);
        app("", raw::AzureAppText::KEYS);
        app(
            "/properties/sticky/additionalProperties",
            raw::StickyText::KEYS,
        );
        app("/properties/cors", raw::AzureCorsText::KEYS);
        app("/properties/auth", raw::AuthText::KEYS);
        app("/properties/network", raw::NetworkText::KEYS);
        app("/properties/scale", raw::ScaleText::KEYS);
        app(
            "/properties/roles/additionalProperties",
            raw::RoleText::KEYS,
        );
        app("/properties/api", raw::ApiText::KEYS);
        app("/properties/api/properties/token", raw::TokenText::KEYS);
        let header = "/properties/api/properties/headers/additionalProperties";
        app(header, raw::HeaderRuleText::KEYS);
        let gate = |pointer: &[&str], known| check(Kind::Gate, pointer, known);
        gate(&[], raw::GateDocument::KEYS);
        let parameter = "/properties/parameters/additionalProperties/anyOf/1";
        gate(&[parameter], raw::ParameterText::KEYS);
        gate(&[SPEC], raw::GateSpec::KEYS);
        gate(&[SPEC, "/properties/http"], raw::HttpText::KEYS);
        let request = "/properties/http/properties/requests/items";
        gate(&[SPEC, request], raw::RequestText::KEYS);
        let expect = "/properties/http/properties/expect";
        gate(&[SPEC, expect], raw::ExpectText::KEYS);
        gate(
            &[SPEC, "/properties/command/anyOf/1"],
            raw::CommandLong::KEYS,
        );
        gate(&[SPEC, "/properties/approval"], raw::ApprovalText::KEYS);
        gate(&[SPEC, "/properties/load"], raw::LoadText::KEYS);
        gate(&[SPEC, "/properties/parity"], raw::ParityText::KEYS);
        let replace = "/properties/parity/properties/replace/items";
        gate(&[SPEC, replace], raw::ReplaceText::KEYS);
        const METRIC: &str = "/properties/metric";
        gate(&[SPEC, METRIC], raw::MetricText::KEYS);
        let metric = |pointer: &str, known| gate(&[SPEC, METRIC, pointer], known);
        metric("/properties/prometheus", raw::PrometheusText::KEYS);
        metric("/properties/cloudwatch", raw::CloudWatchText::KEYS);
        metric("/properties/azureMonitor", raw::AzureMonitorText::KEYS);
    }

    #[test]
    fn every_kind_of_a_document_has_a_schema() {
        assert_eq!(Kind::ALL.map(Kind::as_str), raw::KINDS);
    }
}
