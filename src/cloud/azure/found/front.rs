//! The API that stands before an app in API Management, as a manifest asks for it. Pure.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};
use serde_json::Value;

use crate::manifest::azure::{ApiFront, AzureCors, HeaderRule, TokenRule};

/// An API, and what was not taken over of it.
pub(in crate::cloud::azure) type Read = (ApiFront, Vec<(String, String)>);

/// An API by its own answer, its operations and its policy.
pub(in crate::cloud::azure) fn front(
    api: &Value,
    operations: &[Value],
    policy: Option<&str>,
) -> Read {
    let properties = &api["properties"];
    let path = properties["path"].as_str().unwrap_or_default();
    let mut left = Vec::new();
    for operation in operations {
        left.extend(strange(&operation["properties"]));
    }
    let mut front = ApiFront {
        path: path.trim_matches('/').to_owned(),
        subscription: properties["subscriptionRequired"] == true,
        ..ApiFront::default()
    };
    if let Some(text) = policy {
        rules(text, &mut front, &mut left);
    }
    (front, left)
}

/// Operations follow the functions: one that says more than a method and a path says it in vain.
fn strange(operation: &Value) -> Option<(String, String)> {
    let has = |name: &str| {
        let value = &operation["request"][name];
        value.as_array().is_some_and(|all| !all.is_empty())
    };
    let says_more = has("queryParameters") || has("headers") || has("representations");
    let named = operation["displayName"].as_str().unwrap_or("an operation");
    says_more.then(|| {
        let path = format!("azure.api.operations.{named}");
        (
            path,
            "operations are the functions that answer HTTP: its parameters and forms are not described".to_owned(),
        )
    })
}

fn rules(text: &str, front: &mut ApiFront, left: &mut Vec<(String, String)>) {
    let Ok(document) = Document::parse(text) else {
        let why = "its policy holds expressions that are no XML: write the rules by hand";
        left.push(("azure.api.policy".to_owned(), why.to_owned()));
        return;
    };
    let sections = document.root_element().children();
    for section in sections.filter(Node::is_element) {
        let place = section.tag_name().name();
        for rule in section.children().filter(Node::is_element) {
            let name = rule.tag_name().name();
            if name != "base" && !(place == "inbound" && take(rule, front)) {
                left.push((
                    format!("azure.api.policy.{place}.{name}"),
                    "no key says so: do it in the function".to_owned(),
                ));
            }
        }
    }
}

/// Takes a rule over; false where a manifest cannot ask for it, or not for all that it says.
fn take(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    // An expression is not what it stands for.
    if rule.descendants().any(is_expression) {
        return false;
    }
    match rule.tag_name().name() {
        "cors" => {
            let credentials = rule.attribute("allow-credentials") == Some("true");
            let origins = texts(rule, "allowed-origins", "origin");
            front.cors = Some(AzureCors {
                origins,
                credentials,
            });
            true
        }
        "ip-filter" if rule.attribute("action") == Some("allow") => {
            front.addresses.extend(addresses(rule));
            true
        }
        "check-header" => match rule.attribute("name") {
            Some(name) => {
                let status = rule.attribute("failed-check-httpcode");
                let values = inner(rule, "value");
                let status = status.and_then(|status| status.parse().ok());
                let header = HeaderRule { values, status };
                front.headers.insert(name.to_owned(), header);
                true
            }
            None => false,
        },
        "validate-jwt" => token(rule, front),
        _ => false,
    }
}

fn token(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    let openid = rule
        .children()
        .find(|it| it.has_tag_name("openid-config"))
        .and_then(|it| it.attribute("url"));
    let known = ["openid-config", "audiences", "issuers"];
    let more = rule
        .children()
        .any(|it| it.is_element() && !known.contains(&it.tag_name().name()));
    let Some(openid) = openid.filter(|_| !more) else {
        return false;
    };
    front.token = Some(TokenRule {
        openid: openid.to_owned(),
        audiences: texts(rule, "audiences", "audience"),
        issuers: texts(rule, "issuers", "issuer"),
    });
    true
}

fn is_expression(node: Node<'_, '_>) -> bool {
    let holds = |text: &str| text.contains("@(") || text.contains("@{") || text.contains("{{");
    node.attributes().any(|it| holds(it.value())) || node.text().is_some_and(holds)
}

fn addresses(rule: Node<'_, '_>) -> BTreeSet<String> {
    let range = |node: Node<'_, '_>| {
        let (from, to) = (node.attribute("from")?, node.attribute("to")?);
        Some(format!("{from}-{to}"))
    };
    let mut all = inner(rule, "address");
    let ranges = rule
        .children()
        .filter(|it| it.has_tag_name("address-range"));
    all.extend(ranges.filter_map(range));
    all
}

fn texts(rule: Node<'_, '_>, outer: &str, name: &str) -> BTreeSet<String> {
    let list = rule.children().find(|it| it.has_tag_name(outer));
    list.map(|list| inner(list, name)).unwrap_or_default()
}

fn inner(node: Node<'_, '_>, name: &str) -> BTreeSet<String> {
    let all = node.children().filter(|it| it.has_tag_name(name));
    let texts = all.filter_map(|it| it.text());
    texts.map(|text| text.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::cloud::azure::front::policy;

    #[test]
    fn rules_that_we_write_are_read_again() {
        let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let written = ApiFront {
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
            subscription: true,
        };
        let api = json!({"properties": {"path": "/shop/", "subscriptionRequired": true}});
        let text = policy::xml(&written);
        assert_eq!(front(&api, &[], Some(&text)), (written, Vec::new()));
    }

    #[test]
    fn what_no_manifest_can_say_is_told() {
        let text = "<policies><inbound><base /><rate-limit calls='9' renewal-period='60' /><ip-filter action='forbid'><address>10.0.0.1</address></ip-filter><check-header name='x' failed-check-httpcode='@(401)' /></inbound><backend><base /></backend><outbound><set-header name='y' /></outbound></policies>";
        let api = json!({"properties": {"path": "shop"}});
        let (read, left) = front(&api, &[], Some(text));
        assert_eq!(read.path, "shop");
        assert_eq!((read.addresses.len(), read.headers.len()), (0, 0));
        let paths: Vec<&str> = left.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "azure.api.policy.inbound.rate-limit",
                "azure.api.policy.inbound.ip-filter",
                "azure.api.policy.inbound.check-header",
                "azure.api.policy.outbound.set-header",
            ]
        );
        let (_, left) = front(&api, &[], Some("<policies><inbound"));
        assert_eq!(left[0].0, "azure.api.policy");
    }
}
