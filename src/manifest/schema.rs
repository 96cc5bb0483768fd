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
    schema
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

    #[test]
    fn schemas_and_readers_know_the_same_keys() {
        const GATES: &str = "/properties/spec/properties/rollout/properties/gates/items";
        let gate = |below: &str| format!("{GATES}{below}");
        let table: Vec<(Kind, String, &[&str])> = vec![
            (Kind::Service, String::new(), raw::ServiceDocument::KEYS),
            (
                Kind::Service,
                "/properties/metadata".into(),
                raw::Metadata::<()>::KEYS,
            ),
            (
                Kind::Service,
                "/properties/spec".into(),
                raw::ServiceSpec::KEYS,
            ),
            (
                Kind::Service,
                "/properties/spec/properties/functions/additionalProperties".into(),
                raw::FunctionSpec::KEYS,
            ),
            (
                Kind::Service,
                "/properties/spec/properties/env/additionalProperties/anyOf/1".into(),
                raw::SecretText::KEYS,
            ),
            (
                Kind::Service,
                "/properties/spec/properties/rollout".into(),
                raw::RolloutText::KEYS,
            ),
            (
                Kind::Service,
                "/properties/spec/properties/rollout/properties/across/anyOf/2".into(),
                raw::AcrossLong::KEYS,
            ),
            (Kind::Service, gate(""), raw::GateSpec::KEYS),
            (Kind::Service, gate("/properties/http"), raw::HttpText::KEYS),
            (
                Kind::Service,
                gate("/properties/http/properties/expect"),
                raw::ExpectText::KEYS,
            ),
            (
                Kind::Service,
                gate("/properties/command/anyOf/1"),
                raw::CommandLong::KEYS,
            ),
            (
                Kind::Service,
                gate("/properties/approval"),
                raw::ApprovalText::KEYS,
            ),
            (Kind::Gate, String::new(), raw::GateDocument::KEYS),
            (Kind::Gate, "/properties/spec".into(), raw::GateSpec::KEYS),
            (
                Kind::Environment,
                String::new(),
                raw::EnvironmentDocument::KEYS,
            ),
            (
                Kind::Environment,
                "/properties/spec".into(),
                raw::EnvironmentSpec::KEYS,
            ),
            (
                Kind::Environment,
                "/properties/spec/properties/aws".into(),
                raw::AwsText::KEYS,
            ),
            (
                Kind::Environment,
                "/properties/spec/properties/azure".into(),
                raw::AzureText::KEYS,
            ),
        ];
        for (kind, pointer, known) in table {
            let mut known: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
            known.sort();
            assert_eq!(keys(kind, &pointer), known, "{} {pointer}", kind.as_str());
        }
    }

    #[test]
    fn every_kind_of_a_document_has_a_schema() {
        assert_eq!(Kind::ALL.map(Kind::as_str), raw::KINDS);
    }
}
