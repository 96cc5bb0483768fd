//! The subscription's Activity Log: who wrote what, and when. In memory, the newest few thousand.

use std::{collections::VecDeque, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use crate::{
    local::arm::{
        cloud::Cloud,
        wire::{
            answer::{Answer, ArmError},
            call::Call,
        },
    },
    name::Timestamp,
};

/// Older ones are forgotten.
const KEPT: usize = 5000;

const PAGE: usize = 200;

/// How the log names a resource group: it has no provider in its path.
const A_GROUP: &str = "Microsoft.Resources/subscriptions/s/resourceGroups/g";

/// Newest first.
#[derive(Default)]
pub(in crate::local::arm) struct Activity(VecDeque<Entry>);

struct Entry {
    at: Timestamp,
    id: String,
    body: Value,
}

/// Who asks, as far as a token and a request say so.
pub(in crate::local::arm) struct Asker {
    who: String,
    request: Option<String>,
}

impl Asker {
    pub(in crate::local::arm) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let token = text(header::AUTHORIZATION.as_str()).and_then(|it| it.split_once(' '));
        let token = token.map_or("", |(_, token)| token.trim());
        Self {
            who: claimed(token).unwrap_or_else(|| "somebody".to_owned()),
            request: text("x-ms-client-request-id").map(str::to_owned),
        }
    }
}

/// The name that a token claims. One that is no token at all is taken for a name, where it reads like one.
fn claimed(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let Some(claims) = parts.nth(1) else {
        let is_name = |text: &&str| text.len() <= 64 && text.chars().all(char::is_alphanumeric);
        return Some(token).filter(is_name).map(str::to_owned);
    };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let names = ["upn", "unique_name", "appid", "oid"];
    let name = names.iter().find_map(|name| claims[*name].as_str());
    name.map(str::to_owned)
}

/// Notes a call that succeeded, if it wrote something.
pub(in crate::local::arm) fn note(cloud: &Cloud, asker: Asker, call: &Call) {
    let Some(operation) = operation_of(&call.method, &call.path) else {
        return;
    };
    let at = cloud.clock.now();
    let Asker { who, request } = asker;
    let is_action = call.method == Method::POST;
    let id = match call.path.rsplit_once('/') {
        Some((resource, _)) if is_action => resource,
        Some(_) | None => call.path.as_str(),
    };
    let body = json!({
        "caller": who,
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "channels": "Operation",
        "correlationId": uuid::Uuid::new_v4(),
        "eventDataId": uuid::Uuid::new_v4(),
        "eventTimestamp": at,
        "submissionTimestamp": at,
        "level": "Informational",
        "operationName": {"value": operation, "localizedValue": operation},
        "resourceGroupName": call.arg("group"),
        "resourceId": id,
        "subscriptionId": call.arg("subscription"),
        "status": {"value": "Succeeded", "localizedValue": "Succeeded"},
        "httpRequest": {
            "clientRequestId": request,
            "clientIpAddress": "127.0.0.1",
            "method": call.method.as_str(),
            "uri": format!("{}{}", call.base, call.path),
        },
    });
    let id = id.to_owned();
    let mut state = cloud.state();
    state.activity.0.push_front(Entry { at, id, body });
    state.activity.0.truncate(KEPT);
}

/// `Microsoft.Web/sites/config/write`; None for what only reads, by whichever method.
fn operation_of(method: &Method, path: &str) -> Option<String> {
    let provided = match path.rsplit_once("/providers/") {
        Some((_, provided)) => provided,
        None if path.to_ascii_lowercase().contains("/resourcegroups/") => A_GROUP,
        None => return None,
    };
    let mut parts = provided.split('/').filter(|part| !part.is_empty());
    let mut kind = vec![parts.next()?];
    kind.extend(parts.step_by(2));
    let kind = kind.join("/");
    let last = path.rsplit('/').next().unwrap_or_default();
    let last = last.to_ascii_lowercase();
    let reads = ["list", "check", "query"]
        .iter()
        .any(|word| last.starts_with(word));
    match method.as_str() {
        "PUT" | "PATCH" => Some(format!("{kind}/write")),
        "DELETE" => Some(format!("{kind}/delete")),
        "POST" if !reads => Some(format!("{kind}/action")),
        _ => None,
    }
}

/// What the log tells, newest first.
pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let wanted = Wanted::parse(call.query("$filter").unwrap_or_default())?;
    let start = call.query("$skipToken").unwrap_or("0");
    let start: usize = start
        .parse()
        .map_err(|_| ArmError::Invalid("The $skipToken is invalid.".to_owned()))?;
    let state = cloud.state();
    let subscription = call.arg("subscription");
    let entries = state.activity.0.iter();
    let fits = entries.filter(|entry| {
        let of = entry.body["subscriptionId"].as_str();
        of.is_some_and(|of| of.eq_ignore_ascii_case(subscription)) && wanted.fits(entry)
    });
    let mut rest = fits.skip(start);
    let page: Vec<&Value> = rest.by_ref().take(PAGE).map(|entry| &entry.body).collect();
    let mut body = json!({"value": page});
    if rest.next().is_some() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(call.query.iter().filter(|(name, _)| *name != "$skipToken"))
            .append_pair("$skipToken", &(start + PAGE).to_string())
            .finish();
        body["nextLink"] = format!("{}{}?{query}", call.base, call.path).into();
    }
    Ok(Answer::ok(body))
}

/// What a filter asks for. The service takes these fields and no others, joined by `and`.
#[derive(Default)]
struct Wanted {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    group: Option<String>,
    resource: Option<String>,
}

impl Wanted {
    fn parse(filter: &str) -> Result<Self, ArmError> {
        let refused = |what: &str| ArmError::Invalid(format!("The $filter is invalid: {what}"));
        let mut wanted = Self::default();
        for part in filter.split(" and ").filter(|part| !part.trim().is_empty()) {
            let mut words = part.trim().splitn(3, ' ');
            let (Some(field), Some(how), Some(value)) = (words.next(), words.next(), words.next())
            else {
                return Err(refused(part));
            };
            let value = value.trim_matches('\'');
            let moment = || value.parse::<Timestamp>().map_err(|_| refused(part));
            match (field, how) {
                ("eventTimestamp", "ge") => wanted.from = Some(moment()?),
                ("eventTimestamp", "le") => wanted.until = Some(moment()?),
                ("resourceGroupName", "eq") => wanted.group = Some(value.to_owned()),
                ("resourceUri" | "resourceId", "eq") => wanted.resource = Some(value.to_owned()),
                ("eventChannels" | "levels", "eq") => {}
                (_, _) => return Err(refused(part)),
            }
        }
        if wanted.from.is_none() {
            return Err(refused("eventTimestamp must have a beginning"));
        }
        Ok(wanted)
    }

    fn fits(&self, entry: &Entry) -> bool {
        let group = entry.body["resourceGroupName"].as_str().unwrap_or_default();
        let same = |wanted: &Option<String>, text: &str| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(text))
        };
        self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at <= until)
            && same(&self.group, group)
            && same(&self.resource, &entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_as_the_log_names_them() {
        let site = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/shop";
        let cases = [
            ("PUT", "", Some("Microsoft.Web/sites/write")),
            (
                "PUT",
                "/config/appsettings",
                Some("Microsoft.Web/sites/config/write"),
            ),
            (
                "DELETE",
                "/slots/green",
                Some("Microsoft.Web/sites/slots/delete"),
            ),
            (
                "POST",
                "/slots/green/slotsswap",
                Some("Microsoft.Web/sites/slots/slotsswap/action"),
            ),
            ("POST", "/stop", Some("Microsoft.Web/sites/stop/action")),
            ("POST", "/config/appsettings/list", None),
            ("GET", "", None),
        ];
        for (method, rest, expected) in cases {
            let method = method.parse().unwrap_or_default();
            let told = operation_of(&method, &format!("{site}{rest}"));
            assert_eq!(told.as_deref(), expected, "{method} {rest}");
        }
        let group = operation_of(&Method::PUT, "/subscriptions/s/resourceGroups/g");
        assert_eq!(
            group.as_deref(),
            Some("Microsoft.Resources/subscriptions/resourceGroups/write")
        );
    }

    #[test]
    fn a_token_says_who_asks() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"upn":"eve@example.com"}"#);
        assert_eq!(
            claimed(&format!("e30.{claims}.x")).as_deref(),
            Some("eve@example.com")
        );
        assert_eq!(claimed("local").as_deref(), Some("local"));
        assert_eq!(claimed("e30.!!.x"), None);
    }
}
