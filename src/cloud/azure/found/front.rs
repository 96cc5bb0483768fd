//! The API that stands before an app in API Management, as a manifest asks for it. Pure.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};
use serde_json::Value;

use crate::manifest::azure::{ApiFront, AzureCors, HeaderRule, TokenRule};

/// Rules that a manifest can ask for.
const RULES: [&str; 4] = ["cors", "ip-filter", "check-header", "validate-jwt"];

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
    left.extend(shortened(properties));
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

/// A backend below the app's root spares callers a part of each path. An API of ours has the functions' own paths.
fn shortened(properties: &Value) -> Option<(String, String)> {
    let backend = properties["serviceUrl"].as_str()?;
    let (_, below) = backend.split_once("://")?.1.split_once('/')?;
    let below = below.trim_matches('/');
    let api = properties["path"].as_str().unwrap_or_default();
    (!below.is_empty()).then(|| {
        let why = format!(
            "its backend is `/{below}` of the app, so that callers leave that out: write the paths of the functions without `/{below}`, and they ask as before; else they must ask `/{}/{below}/…`",
            api.trim_matches('/')
        );
        ("azure.api.serviceUrl".to_owned(), why)
    })
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
            let is_taken = place == "inbound" && take(rule, front);
            let told = |why: &str| (format!("azure.api.policy.{place}.{name}"), why.to_owned());
            if is_taken {
                left.extend(narrowed(rule).map(told));
            } else if name != "base" {
                let why = match RULES.contains(&name) {
                    true => {
                        "no key says all of it, and none of it was taken over: write what a key says, and check the rest in the function"
                    }
                    false => "no key says so: do it in the function",
                };
                left.push(told(why));
            }
        }
    }
}

/// What is taken over and lets in fewer than it did: without a scheme, API Management reads the header as the token.
fn narrowed(rule: Node<'_, '_>) -> Option<&'static str> {
    let has_any_scheme = rule.has_tag_name("validate-jwt") && !rule.has_attribute("require-scheme");
    has_any_scheme.then_some(
        "it was taken over, and asks for `Authorization: Bearer` besides, which it did not (`require-scheme`): callers that send a token without that word must send it",
    )
}

/// Takes a rule over; false where a manifest cannot ask for it, or not for all that it says of who may call. The words of a refusal are ours.
fn take(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    // An expression is not what it stands for.
    if rule.descendants().any(is_expression) {
        return false;
    }
    match rule.tag_name().name() {
        "cors" => cors(rule, front),
        "ip-filter" => filter(rule, front),
        "check-header" => header(rule, front),
        "validate-jwt" => token(rule, front),
        _ => false,
    }
}

/// What a rule may say: attributes, with the value that ours have where there is only one, and elements.
type Known<'a> = (&'a [(&'a str, Option<&'a str>)], &'a [&'a str]);

fn says_only(rule: Node<'_, '_>, (attributes, elements): Known<'_>) -> bool {
    let is_known = |name: &str, told: &str| {
        let known = attributes.iter().find(|(known, _)| *known == name);
        known.is_some_and(|(_, value)| value.is_none_or(|it| it.eq_ignore_ascii_case(told)))
    };
    let mut children = rule.children().filter(Node::is_element);
    rule.attributes().all(|it| is_known(it.name(), it.value()))
        && children.all(|it| elements.contains(&it.tag_name().name()))
}

/// Ours let pages use every method and every header; one that lets them use less is another rule.
fn cors(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    let known: Known<'_> = (
        &[
            ("allow-credentials", None),
            ("terminate-unmatched-request", Some("true")),
        ],
        &["allowed-origins", "allowed-methods", "allowed-headers"],
    );
    let every = BTreeSet::from(["*".to_owned()]);
    let lets_all = texts(rule, "allowed-methods", "method") == every
        && texts(rule, "allowed-headers", "header") == every;
    if front.cors.is_some() || !lets_all || !says_only(rule, known) {
        return false;
    }
    let credentials = rule.attribute("allow-credentials");
    front.cors = Some(AzureCors {
        origins: texts(rule, "allowed-origins", "origin"),
        credentials: credentials.is_some_and(|it| it.eq_ignore_ascii_case("true")),
    });
    true
}

/// Of two filters a caller must pass both, so that they are not one list.
fn filter(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    let known: Known<'_> = (&[("action", Some("allow"))], &["address", "address-range"]);
    let all = addresses(rule);
    let is_ours = rule.has_attribute("action") && says_only(rule, known);
    if !is_ours || all.is_empty() || !front.addresses.is_empty() {
        return false;
    }
    front.addresses = all;
    true
}

fn header(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    let known: Known<'_> = (
        &[
            ("name", None),
            ("failed-check-httpcode", None),
            ("failed-check-error-message", None),
            ("ignore-case", Some("false")),
        ],
        &["value"],
    );
    let status = rule.attribute("failed-check-httpcode");
    let status: Option<u32> = status.and_then(|status| status.parse().ok());
    let name = rule.attribute("name").filter(|name| {
        let mut taken = front.headers.keys();
        !taken.any(|taken| taken.eq_ignore_ascii_case(name))
    });
    let Some(name) = name.filter(|_| says_only(rule, known)) else {
        return false;
    };
    let values = inner(rule, "value");
    let header = HeaderRule { values, status };
    front.headers.insert(name.to_owned(), header);
    true
}

fn token(rule: Node<'_, '_>, front: &mut ApiFront) -> bool {
    let known: Known<'_> = (
        &[
            ("header-name", Some("Authorization")),
            ("require-scheme", Some("Bearer")),
            ("require-expiration-time", Some("true")),
            ("require-signed-tokens", Some("true")),
            ("failed-validation-httpcode", Some("401")),
            ("failed-validation-error-message", None),
        ],
        &["openid-config", "audiences", "issuers"],
    );
    let is_ours = rule.has_attribute("header-name") && says_only(rule, known);
    let mut openid = rule
        .children()
        .filter(|it| it.has_tag_name("openid-config"));
    let (Some(only), None) = (openid.next(), openid.next()) else {
        return false;
    };
    let Some(openid) = only
        .attribute("url")
        .filter(|_| is_ours && front.token.is_none())
    else {
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
    use serde_json::json;

    use super::*;
    use crate::cloud::azure::front::policy::{self, tests::shop};

    #[test]
    fn rules_that_we_write_are_read_again() {
        let written = ApiFront {
            subscription: true,
            ..shop()
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

    #[test]
    fn a_backend_below_the_root_of_its_app_is_told() {
        let told = |backend: &str| {
            let api = json!({"properties": {"path": "/shop", "serviceUrl": backend}});
            front(&api, &[], None).1
        };
        for root in ["https://app.example", "https://app.example/", ""] {
            assert_eq!(told(root), Vec::new(), "{root}");
        }
        let [(path, why)] = &told("https://app.example/api/")[..] else {
            panic!("it is told once");
        };
        assert_eq!(path, "azure.api.serviceUrl");
        assert!(why.contains("without `/api`"), "{why}");
        assert!(why.ends_with("they must ask `/shop/api/…`"), "{why}");
    }

    /// A rule that lets in fewer than ours would, or others, is not taken for ours.
    #[test]
    fn no_rule_is_taken_over_that_would_let_in_more() {
        let pages = "<allowed-origins><origin>https://shop.example</origin></allowed-origins>";
        let methods = "<allowed-methods><method>*</method></allowed-methods>";
        let headers = "<allowed-headers><header>*</header></allowed-headers>";
        let openid = "<openid-config url='https://login.example' />";
        let jwt = "validate-jwt header-name='Authorization'";
        for rule in [
            format!("<cors>{pages}{headers}</cors>"),
            format!("<cors>{pages}{methods}</cors>"),
            format!("<cors>{pages}{headers}<allowed-methods><method>GET</method></allowed-methods></cors>"),
            format!("<cors>{pages}{methods}{headers}<expose-headers><header>x</header></expose-headers></cors>"),
            format!("<cors terminate-unmatched-request='false'>{pages}{methods}{headers}</cors>"),
            "<ip-filter action='allow' />".to_owned(),
            "<ip-filter action='allow'><address>10.0.0.1</address></ip-filter>".repeat(2),
            "<check-header name='x' failed-check-httpcode='401' ignore-case='true'><value>a</value></check-header>".to_owned(),
            "<check-header name='x' ignore-case='false'><value>a</value></check-header>".repeat(2),
            format!("<validate-jwt header-name='x-token'>{openid}</validate-jwt>"),
            format!("<validate-jwt query-parameter-name='token'>{openid}</validate-jwt>"),
            format!("<{jwt} require-scheme='DPoP'>{openid}</validate-jwt>"),
            format!("<{jwt}>{openid}{openid}</validate-jwt>"),
            format!("<{jwt}>{openid}<required-claims><claim name='a' /></required-claims></validate-jwt>"),
        ] {
            let text = format!("<policies><inbound>{rule}</inbound></policies>");
            let (_, left) = front(&json!({}), &[], Some(&text));
            assert_eq!(left.len(), 1, "{rule}");
        }
        let said = format!(
            "<policies><inbound><cors allow-credentials='True'>{pages}{methods}{headers}</cors><{jwt} require-scheme='bearer' failed-validation-error-message='no'>{openid}</validate-jwt></inbound></policies>"
        );
        let (read, left) = front(&json!({}), &[], Some(&said));
        assert!(left.is_empty() && read.token.is_some());
        assert!(read.cors.is_some_and(|cors| cors.credentials));
    }

    /// It is taken over, since letting in fewer keeps everybody out that it kept out.
    #[test]
    fn a_token_without_a_scheme_is_taken_over_with_one_and_that_is_told() {
        let text = "<policies><inbound><validate-jwt header-name='Authorization'><openid-config url='https://login.example' /></validate-jwt></inbound></policies>";
        let (read, left) = front(&json!({}), &[], Some(text));
        assert!(read.token.is_some());
        let [(path, why)] = left.as_slice() else {
            panic!("{left:?}");
        };
        assert_eq!(path, "azure.api.policy.inbound.validate-jwt");
        assert!(why.contains("`require-scheme`"), "{why}");
    }
}
