//! The rules of an API as API Management reads them, and its operations. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    cloud::{azure::duties::Api, xml::escaped},
    manifest::azure::{ApiFront, AzureCors, HeaderRule, TokenRule},
};

/// What a function without methods of its own answers.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// What a caller is answered whose header does not say what it must.
const HEADER_STATUS: u32 = 401;

/// All rules, in the order in which they are checked: which pages may ask, from where, with what, and who.
pub(in crate::cloud::azure) fn xml(front: &ApiFront) -> String {
    let ApiFront {
        path: _,
        cors,
        token,
        addresses,
        headers,
        subscription: _,
    } = front;
    let mut rules = String::new();
    rules.extend(cors.as_ref().map(cors_rule));
    if !addresses.is_empty() {
        let each: String = addresses.iter().map(|it| address(it)).collect();
        rules.push_str(&format!("<ip-filter action=\"allow\">{each}</ip-filter>"));
    }
    rules.extend(headers.iter().map(|(name, rule)| header_rule(name, rule)));
    rules.extend(token.as_ref().map(token_rule));
    format!(
        "<policies><inbound><base />{rules}</inbound><backend><base /></backend><outbound><base /></outbound><on-error><base /></on-error></policies>"
    )
}

fn cors_rule(cors: &AzureCors) -> String {
    let origins = each("origin", &cors.origins);
    format!(
        "<cors allow-credentials=\"{}\"><allowed-origins>{origins}</allowed-origins><allowed-methods><method>*</method></allowed-methods><allowed-headers><header>*</header></allowed-headers></cors>",
        cors.credentials
    )
}

fn address(text: &str) -> String {
    match text.split_once('-') {
        None => format!("<address>{}</address>", escaped(text)),
        Some((from, to)) => format!(
            "<address-range from=\"{}\" to=\"{}\" />",
            escaped(from),
            escaped(to)
        ),
    }
}

fn header_rule(name: &str, rule: &HeaderRule) -> String {
    let HeaderRule { values, status } = rule;
    let name = escaped(name);
    let status = status.unwrap_or(HEADER_STATUS);
    format!(
        "<check-header name=\"{name}\" failed-check-httpcode=\"{status}\" failed-check-error-message=\"header {name} is missing or wrong\" ignore-case=\"false\">{}</check-header>",
        each("value", values)
    )
}

fn token_rule(rule: &TokenRule) -> String {
    let TokenRule {
        openid,
        audiences,
        issuers,
    } = rule;
    let list = |outer: &str, inner: &str, all: &std::collections::BTreeSet<String>| {
        let some = format!("<{outer}>{}</{outer}>", each(inner, all));
        if all.is_empty() { String::new() } else { some }
    };
    format!(
        "<validate-jwt header-name=\"Authorization\" require-scheme=\"Bearer\" failed-validation-httpcode=\"401\"><openid-config url=\"{}\" />{}{}</validate-jwt>",
        escaped(openid),
        list("audiences", "audience", audiences),
        list("issuers", "issuer", issuers)
    )
}

fn each(tag: &str, texts: &std::collections::BTreeSet<String>) -> String {
    let one = |text: &String| format!("<{tag}>{}</{tag}>", escaped(text));
    texts.iter().map(one).collect()
}

/// Every operation by its id: one for each function and method.
pub(super) fn operations(api: &Api) -> BTreeMap<String, Value> {
    let each = api
        .operations
        .iter()
        .flat_map(|(function, (methods, path))| {
            let methods: Vec<&str> = match methods.is_empty() {
                true => METHODS.to_vec(),
                false => methods.iter().map(String::as_str).collect(),
            };
            let one = |method: &str| {
                let id = format!("{function}-{}", method.to_ascii_lowercase());
                (id, operation(function, method, path))
            };
            methods.into_iter().map(one).collect::<Vec<_>>()
        });
    each.collect()
}

/// API Management writes the rest of a path as `{*name}`, and wants each parameter told.
fn operation(function: &str, method: &str, path: &str) -> Value {
    let rest = |part: &str| {
        part.strip_prefix('{')?
            .strip_suffix("+}")
            .map(str::to_owned)
    };
    let names: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name.trim_end_matches('+'), "type": "string", "required": true })
        })
        .collect();
    let parts: Vec<String> = path
        .split('/')
        .map(|part| rest(part).map_or_else(|| part.to_owned(), |name| format!("{{*{name}}}")))
        .collect();
    json!({ "properties": {
        "displayName": format!("{method} {function}"),
        "method": method,
        "urlTemplate": parts.join("/"),
        "templateParameters": names,
    }})
}

#[cfg(test)]
pub(in crate::cloud::azure) mod tests {
    use super::*;

    /// An API with a rule of each kind.
    pub(in crate::cloud::azure) fn shop() -> ApiFront {
        let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        ApiFront {
            path: "shop".to_owned(),
            cors: Some(AzureCors {
                origins: all(&["https://shop.example"]),
                credentials: true,
            }),
            token: Some(TokenRule {
                openid: "https://login.example/a?b=1&c=2".to_owned(),
                audiences: all(&["api://stock"]),
                issuers: all(&["https://login.example/a"]),
            }),
            addresses: all(&["203.0.113.1-203.0.113.9", "203.0.113.77"]),
            headers: BTreeMap::from([(
                "x-tenant".to_owned(),
                HeaderRule {
                    values: all(&["a<b"]),
                    status: Some(403),
                },
            )]),
            subscription: false,
        }
    }

    #[test]
    fn rules_stand_in_the_order_in_which_they_are_checked() {
        let written = xml(&shop());
        let rules = [
            "<cors allow-credentials=\"true\"><allowed-origins><origin>https://shop.example</origin></allowed-origins>",
            "<ip-filter action=\"allow\"><address-range from=\"203.0.113.1\" to=\"203.0.113.9\" /><address>203.0.113.77</address></ip-filter>",
            "<check-header name=\"x-tenant\" failed-check-httpcode=\"403\" failed-check-error-message=\"header x-tenant is missing or wrong\" ignore-case=\"false\"><value>a&lt;b</value></check-header>",
            "<openid-config url=\"https://login.example/a?b=1&amp;c=2\" /><audiences><audience>api://stock</audience></audiences><issuers><issuer>https://login.example/a</issuer></issuers></validate-jwt></inbound>",
        ];
        let places = rules.map(|rule| {
            let place = written.find(rule);
            place.unwrap_or_else(|| panic!("{rule} is not in {written}"))
        });
        assert!(places.is_sorted(), "{written}");
    }

    #[test]
    fn each_function_and_method_is_an_operation() {
        let api = Api {
            front: ApiFront::default(),
            operations: BTreeMap::from([
                (
                    "stock".to_owned(),
                    (vec!["GET".to_owned()], "/stock/{sku}".to_owned()),
                ),
                (
                    "files".to_owned(),
                    (Vec::new(), "/files/{path+}".to_owned()),
                ),
            ]),
        };
        let all = operations(&api);
        assert_eq!(all.len(), 8);
        let one = &all["stock-get"]["properties"];
        assert_eq!(one["urlTemplate"], "/stock/{sku}");
        assert_eq!(one["templateParameters"][0]["name"], "sku");
        assert_eq!(
            all["files-post"]["properties"]["urlTemplate"],
            "/files/{*path}"
        );
    }
}
