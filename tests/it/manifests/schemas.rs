//! The printed schemas accept what the reader accepts, and refuse what is plainly wrong.

use serde::Deserialize;
use serde_json::Value;
use verdigris::manifest::schema::{Kind, any, schema};

use super::{PROD, examples, service};

/// A validator of the few words that our schemas use. A word that it does not know is a failure, so nothing is skipped.
fn faults(schema: &Value, value: &Value) -> Vec<String> {
    if let Some(words) = schema.as_object() {
        let found = words.iter().flat_map(|(word, rule)| match word.as_str() {
            "$schema" | "title" | "description" | "examples" | "format" => vec![],
            "items" | "propertyNames" | "properties" | "additionalProperties" => {
                below(schema, word, rule, value)
            }
            word if holds(word, rule, value) => vec![],
            word => vec![format!("{value} breaks {word} {rule}")],
        });
        found.collect()
    } else if schema == &Value::Bool(true) {
        vec![]
    } else {
        vec!["nothing may stand here".to_owned()]
    }
}

/// Words about the value itself. Those about one type hold for every other.
fn holds(word: &str, rule: &Value, value: &Value) -> bool {
    let rules = || rule.as_array().unwrap();
    let fit = |one: &&Value| faults(one, value).is_empty();
    let number = rule.as_f64();
    let is_at_most = |len: usize| len <= usize::try_from(rule.as_u64().unwrap()).unwrap();
    match word {
        "type" => match rule.as_array() {
            Some(kinds) => kinds
                .iter()
                .any(|kind| is_of_type(kind.as_str().unwrap(), value)),
            None => is_of_type(rule.as_str().unwrap(), value),
        },
        "const" => rule == value,
        "enum" => rules().contains(value),
        "anyOf" => rules().iter().any(|one| fit(&one)),
        "oneOf" => rules().iter().filter(fit).count() == 1,
        // Patterns are checked where names and durations are: no engine for them is worth its compile time here.
        // That of variables is, since it is all that lets a text stand for a number.
        "pattern" => value.as_str().is_none_or(|text| {
            let is_variable = rule.as_str().unwrap().starts_with("\\$\\{(env");
            !text.is_empty() && (!is_variable || text.contains("${"))
        }),
        "maxLength" => value
            .as_str()
            .is_none_or(|text| is_at_most(text.chars().count())),
        "minimum" => value.as_f64().is_none_or(|value| Some(value) >= number),
        "maximum" => value.as_f64().is_none_or(|value| Some(value) <= number),
        "maxItems" => value.as_array().is_none_or(|list| is_at_most(list.len())),
        "minItems" => value
            .as_array()
            .is_none_or(|list| !is_at_most(list.len()) || rule == list.len()),
        "required" => value.as_object().is_none_or(|object| {
            let has = |key: &Value| object.contains_key(key.as_str().unwrap());
            rules().iter().all(has)
        }),
        _ => false,
    }
}

/// Words about the parts of a value.
fn below(schema: &Value, word: &str, rule: &Value, value: &Value) -> Vec<String> {
    if word == "items" {
        let items = value.as_array().into_iter().flatten();
        return items.flat_map(|item| faults(rule, item)).collect();
    }
    let entries = value.as_object().into_iter().flatten();
    let found = entries.flat_map(|(key, part)| match word {
        "propertyNames" => faults(rule, &Value::String(key.clone())),
        "properties" => rule.get(key).map_or(vec![], |rule| faults(rule, part)),
        _ if schema["properties"].get(key).is_some() => vec![],
        _ => faults(rule, part),
    });
    found.collect()
}

fn is_of_type(word: &str, value: &Value) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => false,
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
fn every_runtime_that_is_read_fits() {
    let stock = service("stock");
    let numbers = (0..40).flat_map(|number| {
        let node = format!("nodejs{number}");
        [format!("python3.{number}"), format!("{node}.x"), node]
    });
    let words = numbers.chain(["executable".to_owned()]);
    let mut read = 0;
    for word in words {
        let written = stock.replace("python3.13", &word);
        let set = super::read(&[("a.yaml", &written), ("prod.yaml", PROD)]);
        let told = super::told(&set);
        let is_read = !told.contains("no runtime");
        let document = &documents(&written)[0];
        let fits = faults(&schema(Kind::Service), document).is_empty();
        assert_eq!(is_read, fits, "{word}");
        read += usize::from(is_read);
    }
    assert!(read >= 11, "{read} runtimes");
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
