//! What the provider has before its apps in API Management, as an API of the service: `spec.azure.api`.
//!
//! A rule that is lost lets somebody in whom it kept out, so each is told among what is left to do, too.

use serde_yaml::{Mapping, Value};

use crate::{
    import::{
        Job,
        tree::{At, filled, map, put},
    },
    manifest,
};

const API: &str = "spec.azure.api";

/// Where Serverless puts an API that is called nothing else.
const PATH: &str = "api";

/// Parts of a token's rule that say how it is to be read, and the one way in which it is read here.
const READ_SO: [(&str, &str); 4] = [
    ("headerName", "authorization"),
    ("scheme", "bearer"),
    ("failedStatusCode", "401"),
    ("requireSignedTokens", "true"),
];

/// The API in front of a service; none where nothing stands there.
pub(super) fn api(job: &mut Job<'_>, root: &At<'_>) -> Option<Value> {
    let apim = root.get("provider")?.get("apim")?;
    if apim.is_false() {
        job.ledger.taken(&apim, "no API stands in front");
        return None;
    }
    let first = first_api(job, &apim);
    let needs_key = first
        .as_ref()
        .and_then(|api| api.get("subscriptionRequired"));
    if let Some(at) = &needs_key {
        job.ledger.taken(at, format!("{API}.subscription"));
    }
    job.ledger.changed(
        &apim,
        format!(
            "{API}: its operations are the functions that answer HTTP, on green and blue alike"
        ),
    );
    let path = path(job, first.as_ref());
    map([
        ("path", Some(path.into())),
        ("cors", apim.get("cors").and_then(|at| cors(job, &at))),
        (
            "token",
            apim.get("jwtValidate").and_then(|at| token(job, &at)),
        ),
        ("addresses", addresses(job, &apim)),
        ("headers", headers(job, &apim)),
        (
            "subscription",
            needs_key.filter(At::is_true).map(|_| true.into()),
        ),
    ])
}

/// One API stands before a service: the first that the file names.
fn first_api<'v>(job: &mut Job<'_>, apim: &At<'v>) -> Option<At<'v>> {
    let listed = apim.get("apis");
    let mut all = listed.iter().flat_map(At::items).chain(apim.get("api"));
    let first = all.next();
    for other in all {
        job.ledger.impossible(
            &other,
            "one API stands before a service: put functions that need another into a service of their own",
        );
    }
    let guarded = first.as_ref().and_then(|api| api.get("authorization"));
    if let Some(at) = guarded {
        match at.text().as_deref() {
            Some("none") => job.ledger.taken(&at, "whoever passes the rules may call"),
            _ => lost(
                job,
                &at,
                "an authorization server of API Management is not set up: nearest is `token`",
            ),
        }
    }
    first
}

fn path(job: &mut Job<'_>, api: Option<&At<'_>>) -> String {
    let Some(at) = api.and_then(|api| api.get("path")) else {
        return PATH.to_owned();
    };
    let text = at.text().unwrap_or_default();
    let text = text.trim_matches('/');
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.is_empty() || !text.chars().all(is_part) || text.contains("//") {
        job.ledger.changed(
            &at,
            format!("{API}.path is `{PATH}`: this one is no path below a gateway's address"),
        );
        return PATH.to_owned();
    }
    job.ledger.taken(&at, format!("{API}.path"));
    text.to_owned()
}

fn cors(job: &mut Job<'_>, at: &At<'_>) -> Option<Value> {
    let listed = at.get("allowedOrigins")?;
    let mut origins: Vec<String> = Vec::new();
    for origin in listed.items() {
        let text = origin.text().unwrap_or_default();
        let text = text.trim_end_matches('/');
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        match text == "*" || host.is_some_and(|it| !it.is_empty() && !it.contains('/')) {
            true => origins.push(text.to_owned()),
            false => job
                .ledger
                .impossible(&origin, "is no origin: scheme and host, or `*`"),
        }
    }
    job.ledger.taken(&listed, format!("{API}.cors.origins"));
    for key in ["allowedMethods", "allowedHeaders", "exposeHeaders"] {
        if let Some(at) = at.get(key) {
            job.ledger.changed(
                &at,
                "pages of these origins may use every method and header",
            );
        }
    }
    let everybody = origins.iter().any(|origin| origin == "*");
    let credentials = at.get("allowCredentials");
    let credentials = credentials.map(|at| {
        match at.is_true() && everybody {
            true => job.ledger.impossible(
                &at,
                "no browser sends credentials to whoever trusts everybody: name the origins",
            ),
            false => job.ledger.taken(&at, format!("{API}.cors.credentials")),
        }
        at.is_true() && !everybody
    });
    if origins.is_empty() {
        return None;
    }
    map([
        ("origins", Some(origins.into())),
        ("credentials", credentials.filter(|it| *it).map(Value::from)),
    ])
}

/// A rule that is not taken over keeps nobody out any more.
fn lost(job: &mut Job<'_>, at: &At<'_>, why: &str) {
    job.ledger.impossible(at, why);
    job.ledger.todo(format!(
        "`{}` is not taken over: whom it kept out comes in now. Check the caller in the function, or keep that API by hand",
        at.path
    ));
}

fn token(job: &mut Job<'_>, at: &At<'_>) -> Option<Value> {
    let address = at.get("openId").and_then(|at| at.get("metadataUrl"));
    let url = address.as_ref().and_then(At::text).unwrap_or_default();
    let is_good = url
        .strip_prefix("https://")
        .is_some_and(|it| !it.is_empty());
    let Some(address) = address.filter(|_| is_good && is_plain(&url)) else {
        lost(
            job,
            at,
            "tokens are checked by the issuer's OpenID configuration (`openId.metadataUrl`, over https)",
        );
        return None;
    };
    job.ledger.taken(&address, format!("{API}.token.openid"));
    if at.get("scheme").is_none() {
        job.ledger.changed(
            at,
            "without a `scheme` the header is the token; now it must read `Authorization: Bearer`, and callers that leave that word out are refused",
        );
    }
    for (key, value) in at.entries() {
        let read = READ_SO.iter().find(|(name, _)| *name == key);
        let text = value.text().unwrap_or_default().to_lowercase();
        match (key.as_str(), read) {
            ("openId" | "audiences" | "issuers", _) => {}
            ("failedErrorMessage" | "outputTokenVariableName", _) => {
                job.ledger.unneeded(&value, "callers get the gateway's own message, and functions the token itself");
            }
            ("requireExpirationTime", _) if value.is_true() => {
                job.ledger.taken(&value, format!("{API}.token"));
            }
            (_, Some((_, only))) if text == *only => job.ledger.taken(&value, format!("{API}.token")),
            ("requiredClaims", _) => lost(job, &value, "claims are not looked at: check them in the function"),
            _ => job.ledger.impossible(
                &value,
                "a token comes as `Authorization: Bearer`, is signed by a key of its issuer, and is refused with 401",
            ),
        }
    }
    map([
        ("openid", Some(url.into())),
        (
            "audiences",
            words(job, at.get("audiences"), "token.audiences"),
        ),
        ("issuers", words(job, at.get("issuers"), "token.issuers")),
    ])
}

/// API Management takes what starts with `@` or `{{` for a program or a variable of its own.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_graphic() || c == ' ';
    !text.is_empty() && !text.starts_with('@') && !text.contains("{{") && text.chars().all(is_word)
}

fn words(job: &mut Job<'_>, at: Option<At<'_>>, field: &str) -> Option<Value> {
    let at = at?;
    let mut words: Vec<String> = Vec::new();
    for item in at.items() {
        let text = item.text().unwrap_or_default();
        match is_plain(&text) {
            true => words.push(text),
            false => job.ledger.impossible(
                &item,
                "is a program or a variable of API Management: write the value",
            ),
        }
    }
    match words.is_empty() {
        true => lost(job, &at, "none of it can be compared here"),
        false => job.ledger.taken(&at, format!("{API}.{field}")),
    }
    (!words.is_empty()).then(|| words.into())
}

fn addresses(job: &mut Job<'_>, apim: &At<'_>) -> Option<Value> {
    let filters = apim.get("ipFilters");
    let filters = apim
        .get("ipFilter")
        .into_iter()
        .chain(filters.iter().flat_map(At::items));
    let mut all: Vec<String> = Vec::new();
    for filter in filters {
        let action = filter.get("action").and_then(|at| at.text());
        if action.as_deref() != Some("allow") {
            lost(
                job,
                &filter,
                "whoever is not let in by `addresses` is kept out; nobody else is",
            );
            continue;
        }
        let single = filter.get("addresses");
        let range = filter.get("addressRange");
        let ends = range
            .as_ref()
            .map(|at| ["from", "to"].map(|key| at.get(key).and_then(|at| at.text())));
        let range = match ends {
            Some([Some(from), Some(to)]) => Some(format!("{from}-{to}")),
            Some([_, _]) | None => None,
        };
        let single = single.iter().flat_map(At::items).filter_map(|at| at.text());
        let (good, bad): (Vec<String>, Vec<String>) = single
            .chain(range)
            .partition(|text| manifest::is_address_range(text));
        for text in bad {
            job.ledger.todo(format!(
                "`{}`: `{text}` is no IPv4 address and no range, and is let in no more",
                filter.path
            ));
        }
        match good.is_empty() {
            true => lost(job, &filter, "none of its addresses can be told apart here"),
            false => job.ledger.taken(&filter, format!("{API}.addresses")),
        }
        all.extend(good);
    }
    (!all.is_empty()).then(|| all.into())
}

fn headers(job: &mut Job<'_>, apim: &At<'_>) -> Option<Value> {
    let listed = apim.get("checkHeaders");
    let one = apim.get("checkHeader");
    let mut headers = Mapping::new();
    for rule in listed.iter().flat_map(At::items).chain(one) {
        let name = rule
            .get("headerName")
            .and_then(|at| at.text())
            .unwrap_or_default();
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(is_part) {
            lost(job, &rule, "`headerName` names no header");
            continue;
        }
        if let Some(at) = rule.get("ignoreCase").filter(At::is_true) {
            job.ledger
                .changed(&at, "capitals count: name each way in which it is written");
        }
        if let Some(at) = rule.get("failedErrorMessage") {
            job.ledger
                .unneeded(&at, "callers are told which header is missing or wrong");
        }
        let status = rule.get("failedStatusCode");
        let status = status
            .as_ref()
            .and_then(At::number)
            .filter(|it| (400..=499).contains(it));
        let field = format!("headers.{name}.values");
        let rule_here = map([
            ("values", words(job, rule.get("values"), &field)),
            ("status", status.map(Value::from)),
        ]);
        job.ledger.taken(&rule, format!("{API}.headers"));
        put(
            &mut headers,
            &name.to_ascii_lowercase(),
            rule_here.or(Some(Mapping::new().into())),
        );
    }
    filled(headers)
}
