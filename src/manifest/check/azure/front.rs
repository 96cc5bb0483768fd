//! What stands before an app in API Management.

use std::collections::BTreeMap;

use super::super::{
    super::{
        azure::{ApiFront, HeaderRule, TokenRule},
        raw::{ApiText, At, HeaderRuleText, Named, Report, TokenText},
    },
    value,
};
use super::{parts, words};

pub(super) fn api(written: &At<ApiText>, report: &mut Report) -> Option<ApiFront> {
    let ApiText {
        path,
        cors,
        token,
        addresses,
        headers,
        subscription,
    } = &written.value;
    let path = path.as_ref().and_then(|at| path_of(at, report));
    Some(ApiFront {
        cors: cors.as_ref().map(|at| parts::cors(at, report)),
        token: token.as_ref().and_then(|at| token_of(at, report)),
        addresses: words(
            addresses,
            is_address_range,
            "is no IPv4 address and no range",
            "such as `203.0.113.7` or `203.0.113.1-203.0.113.9`",
            report,
        ),
        headers: headers_of(headers, report),
        subscription: value(subscription).unwrap_or_default(),
        path: path?,
    })
}

fn path_of(written: &At<String>, report: &mut Report) -> Option<String> {
    let path = written.value.trim_matches('/');
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !path.is_empty() && path.chars().all(is_part) && !path.contains("//") {
        return Some(path.to_owned());
    }
    let help = "such as `shop/stock`";
    report.fault(&written.place, "is no path below a gateway's address", help);
    None
}

fn token_of(written: &At<TokenText>, report: &mut Report) -> Option<TokenRule> {
    let TokenText {
        openid,
        audiences,
        issuers,
    } = &written.value;
    let openid = openid.as_ref()?;
    let is_good = url::Url::parse(&openid.value)
        .is_ok_and(|url| url.scheme() == "https" && url.has_host() && is_plain(&openid.value));
    if !is_good {
        let help = "such as `https://login.microsoftonline.com/TENANT/v2.0/.well-known/openid-configuration`";
        report.fault(
            &openid.place,
            "is no address of an OpenID configuration",
            help,
        );
    }
    Some(TokenRule {
        openid: openid.value.clone(),
        audiences: words(audiences, is_plain, "is no audience", "", report),
        issuers: words(issuers, is_plain, "is no issuer", "", report),
    })
}

/// API Management takes what starts with `@` or `{{` for a program or a variable of its own.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('@')
        && !text.contains("{{")
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

pub(in crate::manifest) fn is_address_range(text: &str) -> bool {
    let ends: Vec<Option<[u8; 4]>> = text.split('-').map(ipv4).collect();
    match ends[..] {
        [Some(_)] => true,
        [Some(first), Some(last)] => first <= last,
        _ => false,
    }
}

fn ipv4(text: &str) -> Option<[u8; 4]> {
    let parts: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

fn headers_of(
    written: &Option<At<Named<String, HeaderRuleText>>>,
    report: &mut Report,
) -> BTreeMap<String, HeaderRule> {
    let mut checked = BTreeMap::new();
    for (name, text) in written.iter().flat_map(|at| &at.value.0) {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.value.is_empty() || !name.value.bytes().all(is_part) {
            report.fault(&name.place, "is no name of a header", "");
        }
        let HeaderRuleText { values, status } = &text.value;
        if let Some(at) = status
            .as_ref()
            .filter(|at| !(400..=499).contains(&at.value))
        {
            let help = "401 without the key; 403 and 404 are usual too";
            report.fault(&at.place, "is no status that refuses a request", help);
        }
        let rule = HeaderRule {
            values: words(
                values,
                is_plain,
                "is no value that can be compared",
                "",
                report,
            ),
            status: value(status),
        };
        checked.insert(name.value.to_ascii_lowercase(), rule);
    }
    checked
}
