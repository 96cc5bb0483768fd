//! The printed schemas accept what the reader accepts, and refuse what is plainly wrong.

use serde::Deserialize;
use serde_json::Value;
use verdigris::manifest::schema::{Kind, any, schema};

use super::{PROD, examples, service};

/// A validator of the few words that our schemas use. A word that it does not know is a failure, so nothing is skipped.
fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let Some(words) = schema.as_object() else {
        return match schema {
            Value::Bool(true) => vec![],
            _ => vec!["nothing may stand here".to_owned()],
        };
    };
    let found = words
        .iter()
        .flat_map(|(word, rule)| check_word(schema, word, rule, value));
    found.collect()
}

fn check_word(schema: &Value, word: &str, rule: &Value, value: &Value) -> Vec<String> {
    let verdict = |good: bool| {
        if good {
            vec![]
        } else {
            vec![format!("{value} breaks {word} {rule}")]
        }
    };
    let texts = |rule: &Value| -> Vec<String> { serde_json::from_value(rule.clone()).unwrap() };
    let object = value.as_object();
    match word {
        "$schema" | "title" | "description" | "examples" | "default" | "format" => vec![],
        "type" => verdict(is_of_type(rule, value)),
        "const" => verdict(rule == value),
        "enum" => verdict(rule.as_array().unwrap().contains(value)),
        "pattern" => verdict(value.as_str().is_none_or(|text| !text.is_empty())),
        "maxLength" => verdict(
            value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        ),
        "minimum" => verdict(
            value
                .as_f64()
                .is_none_or(|number| number >= rule.as_f64().unwrap()),
        ),
        "maximum" => verdict(
            value
                .as_f64()
                .is_none_or(|number| number <= rule.as_f64().unwrap()),
        ),
        "minItems" => verdict(
            value
                .as_array()
                .is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
        ),
        "maxItems" => verdict(
            value
                .as_array()
                .is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
        ),
        "required" => {
            let missing = |key: &String| object.is_some_and(|object| !object.contains_key(key));
            verdict(!texts(rule).iter().any(missing))
        }
        "items" => value
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|item| faults(rule, item))
            .collect(),
        "anyOf" => verdict(
            rule.as_array()
                .unwrap()
                .iter()
                .any(|one| faults(one, value).is_empty()),
        ),
        "oneOf" => verdict(
            rule.as_array()
                .unwrap()
                .iter()
                .filter(|one| faults(one, value).is_empty())
                .count()
                == 1,
        ),
        "propertyNames" => {
            let keys = object.into_iter().flat_map(|object| object.keys());
            keys.flat_map(|key| faults(rule, &Value::String(key.clone())))
                .collect()
        }
        "properties" => {
            let entries = object.into_iter().flatten();
            entries
                .filter_map(|(key, value)| Some(faults(rule.get(key)?, value)))
                .flatten()
                .collect()
        }
        "additionalProperties" => {
            let known = |key: &String| schema["properties"].get(key).is_some();
            let entries = object.into_iter().flatten().filter(|(key, _)| !known(key));
            entries
                .flat_map(|(key, value)| {
                    let found = faults(rule, value);
                    found
                        .into_iter()
                        .map(move |fault| format!("{key}: {fault}"))
                })
                .collect()
        }
        _ => vec![format!("this validator does not know `{word}`")],
    }
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |word: &str| match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    match rule {
        Value::Array(words) => words.iter().any(|word| is(word.as_str().unwrap())),
        word => is(word.as_str().unwrap()),
    }
}

fn documents(text: &str) -> Vec<Value> {
    let each = serde_yaml::Deserializer::from_str(text);
    each.map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn schema_of(document: &Value) -> Value {
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| document["kind"] == kind.as_str());
    schema(kind.unwrap())
}

#[test]
fn the_examples_fit_their_schemas() {
    let mut count = 0;
    for (path, bytes) in examples::manifests() {
        for document in documents(std::str::from_utf8(&bytes).unwrap()) {
            assert_eq!(
                faults(&schema_of(&document), &document),
                Vec::<String>::new(),
                "{path}"
            );
            assert_eq!(faults(&any(), &document), Vec::<String>::new(), "{path}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count} documents");
}

#[test]
fn what_is_plainly_wrong_does_not_fit() {
    let stock = service("stock");
    for (from, to) in [
        ("verdigris.dev/v1alpha1", "verdigris.dev/v2"),
        ("kind: Service", "kind: Servce"),
        ("runtime:", "runtme:"),
        ("python3.13", "python2"),
        ("handler: app:app", "handler: [app]"),
        ("handler:", "handlr:"),
        ("  source: services/stock\n", ""),
        ("http: /", "http: /, memory: 64"),
        ("http: /", "http: /, env: { A: [1] }"),
    ] {
        let bad = stock.replace(from, to);
        assert_ne!(bad, stock, "{from}");
        let document = &documents(&bad)[0];
        assert_ne!(
            faults(&schema(Kind::Service), document),
            Vec::<String>::new(),
            "{bad}"
        );
    }
    let bad = &documents(&PROD.replace("region", "regoin"))[0];
    assert_ne!(
        faults(&schema(Kind::Environment), bad),
        Vec::<String>::new()
    );
}
