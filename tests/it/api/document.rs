//! The document says what the router does: no more, no less.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};
use verdigris::{api, status::service::phase::ServicePhase};

use super::rig::{Rig, TOKEN, answers, desired, read, request};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// A path that the router answers, in place of its pattern.
fn filled(path: &str) -> String {
    path.replace("{environment}", "prod")
        .replace("{name}", "inventory")
        .replace("{provider}", "github")
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_path_is_a_route() {
    let document = serde_json::to_value(api::openapi::told()).unwrap();
    let documented: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let routed: BTreeSet<&str> = api::paths().into_iter().collect();
    assert_eq!(documented, routed);
    let rig = Rig::new().await;
    rig.bring(
        desired("prod/inventory", 1, vec![answers()]),
        ServicePhase::Live,
    )
    .await;
    for path in routed {
        for method in METHODS {
            let is_documented = !document["paths"][path][method.as_str().to_lowercase()].is_null();
            let request = request(method.clone(), &filled(path), None, None);
            let status = rig.send(request).await.status();
            let is_routed = status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_routed, is_documented, "{method} {path} answers {status}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_fields_that_the_document_requires_of_it() {
    let rig = Rig::new().await;
    rig.bring(
        desired("prod/inventory", 1, vec![answers()]),
        ServicePhase::Live,
    )
    .await;
    let (_, document) = rig.get("/openapi.json").await;
    for path in api::paths() {
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        if schema.is_null() {
            continue;
        }
        let request = request(Method::GET, &filled(path), Some(TOKEN), None);
        let (status, answer) = read(rig.send(request).await).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        fits(&document, schema, &answer, path);
    }
}

/// Whether a value has the type and the required fields of its schema, and no field that the schema does not know.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return fits(document, target, value, place);
    }
    if let Some(all) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let other = all.iter().find(|it| it["type"] != "null");
        if value.is_null() {
            return assert!(all.iter().any(|it| it["type"] == "null"), "{place}");
        }
        return fits(document, other.unwrap_or(&Value::Null), value, place);
    }
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().unwrap()),
                    "{place} has no {name}"
                );
            }
            for (name, field) in fields {
                let known = &schema["properties"][name];
                if known.is_object() {
                    fits(document, known, field, &format!("{place}.{name}"));
                }
            }
        }
        Value::Array(items) => {
            assert!(
                is(schema, "array"),
                "{place} is an array, not {}",
                schema["type"]
            );
            for item in items {
                fits(document, &schema["items"], item, &format!("{place}[]"));
            }
        }
        Value::String(_) => assert!(
            is(schema, "string"),
            "{place} is a text, not {}",
            schema["type"]
        ),
        Value::Number(_) => assert!(
            is(schema, "integer"),
            "{place} is a number, not {}",
            schema["type"]
        ),
        Value::Bool(_) => assert!(
            is(schema, "boolean"),
            "{place} is a truth, not {}",
            schema["type"]
        ),
        Value::Null => assert!(
            is(schema, "null"),
            "{place} is null, not {}",
            schema["type"]
        ),
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    let told = &schema["type"];
    told.is_null()
        || *told == kind
        || told
            .as_array()
            .is_some_and(|all| all.contains(&json!(kind)))
}

#[test]
fn no_path_query_or_body_makes_it_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::new());
    let text = || "[ -~]{0,24}";
    let places = prop::sample::select(api::paths());
    let any = (places, text(), text(), any::<Vec<u8>>(), any::<bool>());
    proptest!(ProptestConfig::with_cases(400), |((path, name, query, body, is_post) in any)| {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = path.replace("{environment}", "prod").replace("{name}", &encode(&name)).replace("{provider}", &encode(&name));
        let names = ["limit", "continue", "after", "since", "search", "phase", "before", "service"];
        let query = format!("{}={}", names[query.len() % names.len()], encode(&query));
        let method = if is_post { Method::POST } else { Method::GET };
        let mut request = request(method, &format!("{path}?{query}"), Some(TOKEN), Some(json!(null)));
        *request.body_mut() = axum::body::Body::from(body);
        let response = runtime.block_on(rig.send(request));
        let status = response.status();
        prop_assert!(status.as_u16() < 500 || status == StatusCode::SERVICE_UNAVAILABLE, "{path}?{query} answers {status}");
        let kind = response.headers()["content-type"].to_str().unwrap_or_default().to_owned();
        if status.is_client_error() {
            prop_assert_eq!(kind, "application/problem+json");
            let (_, problem) = runtime.block_on(read(response));
            prop_assert!(problem["code"].is_string());
        }
    });
}
