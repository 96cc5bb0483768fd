//! What an answer means. Pure: an answer in, a decision or a [`CloudError`] out.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::{cloud::CloudError, name::CloudName};

/// Longest wait that we take a server's word for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Wait where a server asks us to slow down and does not say how long.
const RETRY_AFTER_UNSAID: Duration = Duration::from_secs(10);

/// Waits between two looks at something slow: short at first, since local and small things end soon.
const LOOK_FIRST: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Longest text of others that we repeat in a message.
const QUOTE_MAX: usize = 600;

/// What a storage account says in its own language.
const NO_CONTAINER: &str = "<Code>ContainerNotFound</Code>";

/// An answer, whatever its status.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud::azure) struct Answer {
    pub(in crate::cloud::azure) status: u16,
    pub(in crate::cloud::azure) retry_after: Option<Duration>,
    pub(in crate::cloud::azure) links: Links,
    /// The version that was answered, where the service tells it.
    pub(in crate::cloud::azure) etag: Option<String>,
    /// Calls of the same kind that the subscription has left, where the service tells it.
    pub(in crate::cloud::azure) calls_left: Option<u32>,
    pub(in crate::cloud::azure) body: Bytes,
}

/// Where an answer says that what it started is told of. Some services give one of these, some give both.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud::azure) struct Links {
    /// `Azure-AsyncOperation`: a page that says in words how it stands.
    pub(in crate::cloud::azure) status: Option<String>,
    /// `Location`: answers 202 until it is done, and then as whatever was started would.
    pub(in crate::cloud::azure) result: Option<String>,
}

impl Answer {
    /// Where to look for the end of what this answer started, and how; nothing where it is done.
    pub(in crate::cloud::azure) fn begun(&self) -> Option<(Judge, &str)> {
        let Links { status, result } = &self.links;
        match (self.status, status, result) {
            // What was replaced may still be on its way, too.
            (200..=202, Some(page), _) => Some((Judge::Status, page)),
            (201 | 202, None, Some(place)) => Some((Judge::Result, place)),
            _ => None,
        }
    }

    pub(in crate::cloud::azure) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null where it is none.
    pub(in crate::cloud::azure) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A resource that is not there, by the cloud's own word. A 404 of anybody else proves nothing.
    pub(in crate::cloud::azure) fn is_missing(&self) -> bool {
        const CODES: [&str; 6] = [
            "ContainerNotFound",
            "ResourceNotFound",
            "ResourceGroupNotFound",
            "NotFound",
            "SiteNotFound",
            "ParentResourceNotFound",
        ];
        let is_container = || String::from_utf8_lossy(&self.body).contains(NO_CONTAINER);
        let is_code = |(code, _): (String, String)| CODES.contains(&code.as_str());
        self.status == 404 && (arm_error(&self.json()).is_some_and(is_code) || is_container())
    }

    /// A fault of the server or of something between, that a second try may not meet.
    pub(in crate::cloud::azure) fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 500 | 502 | 504)
    }
}

/// Seconds of a `Retry-After`, no more than an hour. A date is not understood and taken for unsaid.
pub(in crate::cloud::azure) fn retry_after(header: &str) -> Option<Duration> {
    let seconds = header.trim().parse().ok().map(Duration::from_secs)?;
    Some(seconds.min(RETRY_AFTER_MAX))
}

/// Milliseconds of an `x-ms-retry-after-ms`, which Azure's clients prefer to the other where both are sent.
pub(in crate::cloud::azure) fn retry_after_ms(header: &str) -> Option<Duration> {
    let millis = header.trim().parse().ok().map(Duration::from_millis)?;
    Some(millis.min(RETRY_AFTER_MAX))
}

/// Code and message of a refusal: `{"error":{"code","message"}}` of the resource manager, `{"Code","Message"}` of App Service.
pub(in crate::cloud::azure) fn arm_error(body: &Value) -> Option<(String, String)> {
    let text = |value: &Value, names: [&str; 2]| {
        let found = names.iter().find_map(|name| value.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let error = body.get("error").unwrap_or(body);
    let code = text(error, ["code", "Code"])?;
    Some((
        code,
        text(error, ["message", "Message"]).unwrap_or_default(),
    ))
}

/// What a refusing answer means for whoever asked for `operation` on `resource`.
pub(in crate::cloud::azure) fn refusal(
    operation: &str,
    resource: &str,
    answer: &Answer,
) -> CloudError {
    let cloud = CloudName::Azure;
    let message = describe(answer);
    let (operation, resource) = (operation.to_owned(), resource.to_owned());
    let code = arm_error(&answer.json()).map(|(code, _)| code);
    match (answer.status, code.as_deref()) {
        (429 | 503, _) => CloudError::Throttled {
            cloud,
            retry_after: answer.retry_after.unwrap_or(RETRY_AFTER_UNSAID),
        },
        // Our token has run out: no refusal of what was asked for. A new one is got for the next try.
        (401, Some("ExpiredAuthenticationToken")) => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        (401, _) => CloudError::Denied {
            cloud,
            operation,
            message: not_let_in(answer),
        },
        (403, _) | (_, Some("SubscriptionNotFound" | "QuotaExceeded")) => CloudError::Denied {
            cloud,
            operation,
            message,
        },
        // What we were about to change is gone, or changing: the next pass looks again.
        (409 | 412 | 423, _) => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        (404, Some(_)) => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        (400..=499, _) if answer.status != 404 && answer.status != 408 => CloudError::Invalid {
            cloud,
            operation,
            message,
        },
        _ => CloudError::Unreachable {
            cloud,
            operation,
            message,
        },
    }
}

/// What is told of credentials that are no good, and what helps.
pub(in crate::cloud::azure) fn not_let_in(answer: &Answer) -> String {
    let message = describe(answer);
    let message = message.trim_end_matches('.');
    format!(
        "{message}; the credentials of the daemon were not accepted: their identity must be enabled and known to the tenant of the subscription, and this machine's clock must be right"
    )
}

/// The cloud's own words; else the status and the start of what came.
fn describe(answer: &Answer) -> String {
    match arm_error(&answer.json()) {
        Some((code, message)) if message.is_empty() => code,
        Some((code, message)) => format!("{code}: {}", quote(&message)),
        None if answer.body.is_empty() => format!("status {}", answer.status),
        None => {
            let text = String::from_utf8_lossy(&answer.body);
            format!("status {}: {}", answer.status, quote(text.trim()))
        }
    }
}

/// The start of a text of others, on one line.
pub(in crate::cloud::azure) fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(QUOTE_MAX).collect();
    if short.len() < line.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// Whether two addresses have scheme, host and port in common: what a token for one may be shown to.
pub(in crate::cloud::azure) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.has_host() && one.origin() == other.origin()
}

/// How far something slow has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::azure) enum Progress {
    Done,
    /// Look again after this.
    Under(Duration),
    Failed(String),
}

/// How something slow tells how far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::azure) enum Judge {
    /// A page that `Azure-AsyncOperation` names.
    Status,
    /// What `Location` names.
    Result,
    /// A package on its way.
    Deployment,
}

impl Judge {
    /// What an answer says after so many looks before it; nothing where it is a refusal.
    pub(in crate::cloud::azure) fn progress(self, answer: &Answer, looks: u32) -> Option<Progress> {
        match self {
            Self::Status => status_progress(answer, looks),
            Self::Result => result_progress(answer, looks),
            Self::Deployment => deployment_progress(answer, looks),
        }
    }

    /// Where to look the next time, where the answer says so: links are signed, and grow old.
    pub(in crate::cloud::azure) fn next(self, answer: &Answer) -> Option<&str> {
        match self {
            Self::Status => answer.links.status.as_deref(),
            Self::Result => answer.links.result.as_deref(),
            Self::Deployment => None,
        }
    }
}

/// Three words end an operation, and every other one says that it goes on.
fn status_progress(answer: &Answer, looks: u32) -> Option<Progress> {
    let body = answer.json();
    let Some(status) = body.get("status").and_then(Value::as_str) else {
        return result_progress(answer, looks);
    };
    if !answer.is_success() {
        return None;
    }
    let is = |word: &str| status.eq_ignore_ascii_case(word);
    Some(if is("Succeeded") {
        Progress::Done
    } else if ["Failed", "Canceled", "Cancelled", "TimedOut"]
        .into_iter()
        .any(is)
    {
        let reason = arm_error(&body).map(|(code, message)| format!("{code}: {message}"));
        Progress::Failed(quote(&reason.unwrap_or_else(|| body.to_string())))
    } else {
        Progress::Under(answer.retry_after.unwrap_or_else(|| pause(looks)))
    })
}

/// Here the number alone says it: a body is that of the resource, whatever words it has. Refused is what was started, and not the look.
fn result_progress(answer: &Answer, looks: u32) -> Option<Progress> {
    let wait = || answer.retry_after.unwrap_or_else(|| pause(looks));
    match (answer.status, arm_error(&answer.json())) {
        (202, _) => Some(Progress::Under(wait())),
        (400 | 409 | 412 | 422, Some(_)) => Some(Progress::Failed(describe(answer))),
        _ => answer.is_success().then_some(Progress::Done),
    }
}

/// What one look at a package deployment says: 4 is success, 3 is failure, anything else is under way. A new deployment may not be
/// listed yet.
fn deployment_progress(answer: &Answer, looks: u32) -> Option<Progress> {
    if !answer.is_success() && answer.status != 404 {
        return None;
    }
    let body = answer.json();
    Some(match body.get("status").and_then(Value::as_i64) {
        Some(4) => Progress::Done,
        Some(3) => {
            let text = body.get("status_text").and_then(Value::as_str);
            Progress::Failed(quote(text.unwrap_or_default()))
        }
        Some(_) | None => Progress::Under(answer.retry_after.unwrap_or_else(|| pause(looks))),
    })
}

/// The wait before the next look, where nobody said how long.
pub(in crate::cloud::azure) fn pause(looks: u32) -> Duration {
    LOOK_FIRST
        .saturating_mul(1_u32.checked_shl(looks / 2).unwrap_or(u32::MAX))
        .min(LOOK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            links: Links::default(),
            etag: None,
            calls_left: None,
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn refusals_are_sorted_by_what_happens_next() {
        let told = |status, body| refusal("sites.put", "shop", &answer(status, body)).to_string();
        let arm = r#"{"error":{"code":"Conflict","message":"Another operation is in progress."}}"#;
        let kudu = r#"{"Code":"BadRequest","Message":"location is missing"}"#;
        assert_eq!(
            told(409, arm),
            "azure is busy with `shop`: Conflict: Another operation is in progress."
        );
        assert_eq!(
            told(400, kudu),
            "azure does not accept sites.put: BadRequest: location is missing"
        );
        assert_eq!(told(403, ""), "azure refused sites.put: status 403");
        let stranger = r#"{"error":{"code":"InvalidAuthenticationTokenTenant","message":"The access token is from the wrong issuer."}}"#;
        assert_eq!(
            told(401, stranger),
            "azure refused sites.put: InvalidAuthenticationTokenTenant: The access token is from the wrong issuer; the credentials of the daemon were not accepted: their identity must be enabled and known to the tenant of the subscription, and this machine's clock must be right"
        );
        let expired = r#"{"error":{"code":"ExpiredAuthenticationToken","message":"Too late."}}"#;
        assert_eq!(
            told(401, expired),
            "azure is busy with `shop`: ExpiredAuthenticationToken: Too late."
        );
        assert_eq!(
            told(502, "<html>\n bad </html>"),
            "azure could not be reached for sites.put: status 502: <html> bad </html>"
        );
        assert_eq!(told(429, ""), "azure asked us to slow down for 10s");
        let unknown = r#"{"error":{"code":"SubscriptionNotFound","message":"no"}}"#;
        assert_eq!(
            told(404, unknown),
            "azure refused sites.put: SubscriptionNotFound: no"
        );
        assert_eq!(
            told(404, "nginx"),
            "azure could not be reached for sites.put: status 404: nginx"
        );
    }

    #[test]
    fn only_the_clouds_own_word_makes_a_resource_missing() {
        let missing = |status, body| answer(status, body).is_missing();
        assert!(missing(
            404,
            r#"{"error":{"code":"ResourceNotFound","message":"x"}}"#
        ));
        assert!(missing(404, r#"{"Code":"NotFound","Message":"x"}"#));
        assert!(!missing(404, "<html>not found</html>"));
        assert!(!missing(
            404,
            r#"{"error":{"code":"SubscriptionNotFound"}}"#
        ));
        assert!(!missing(200, r#"{"code":"NotFound"}"#));
    }

    #[test]
    fn a_retry_after_of_a_day_is_cut_to_an_hour() {
        assert_eq!(retry_after("86400"), Some(Duration::from_secs(3600)));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Fri, 01 Jan 2027 00:00:00 GMT"), None);
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after_ms("86400000"), Some(Duration::from_secs(3600)));
        assert_eq!(retry_after_ms("100"), Some(Duration::from_millis(100)));
        assert_eq!(retry_after_ms("0.5"), None);
    }

    #[test]
    fn a_token_is_shown_to_the_same_scheme_host_and_port_only() {
        let endpoint = Url::parse("https://management.azure.com").unwrap();
        let same = |url| is_same_origin(&endpoint, &Url::parse(url).unwrap());
        assert!(same("https://management.azure.com:443/subscriptions?x=1"));
        assert!(!same("http://management.azure.com/"));
        assert!(!same("https://management.azure.com.evil.example/"));
        assert!(!same("https://management.azure.com@evil.example/"));
        assert!(!same("https://management.azure.com:444/"));
        assert!(!same("data:text/plain,x"));
    }

    #[test]
    fn slow_operations_are_looked_at_until_their_end() {
        let look = |judge: Judge, status, body: &str| judge.progress(&answer(status, body), 0);
        let under = Some(Progress::Under(LOOK_FIRST));
        for judge in [Judge::Status, Judge::Result] {
            assert_eq!(look(judge, 202, ""), under);
            for ended in [200, 201, 204] {
                assert_eq!(look(judge, ended, ""), Some(Progress::Done));
            }
            assert_eq!(look(judge, 404, ""), None);
        }
        let failed = r#"{"status":"Failed","error":{"code":"SwapFailed","message":"no answer"}}"#;
        let told = Some(Progress::Failed("SwapFailed: no answer".to_owned()));
        assert_eq!(look(Judge::Status, 200, failed), told);
        // Words end it where words are given, and a resource's own words are none of these.
        for (word, status) in [
            ("Succeeded", Some(Progress::Done)),
            ("InProgress", under.clone()),
            ("ResolvingDns", under.clone()),
        ] {
            let body = format!(r#"{{"status":"{word}"}}"#);
            assert_eq!(look(Judge::Status, 200, &body), status);
            assert_eq!(look(Judge::Result, 200, &body), Some(Progress::Done));
        }
        assert_eq!(look(Judge::Result, 200, failed), Some(Progress::Done));
        let refused = r#"{"error":{"code":"Conflict","message":"no answer"}}"#;
        let told = Some(Progress::Failed("Conflict: no answer".to_owned()));
        assert_eq!(look(Judge::Result, 409, refused), told);
        for passes in [
            (409, ""),
            (403, refused),
            (404, refused),
            (429, refused),
            (500, refused),
        ] {
            assert_eq!(look(Judge::Result, passes.0, passes.1), None, "{passes:?}");
        }
    }

    #[test]
    fn what_an_answer_started_is_followed_by_the_page_that_says_it_in_words_and_else_by_its_place()
    {
        let begun = |status, page: bool, place: bool| {
            let answer = Answer {
                links: Links {
                    status: page.then(|| "page".to_owned()),
                    result: place.then(|| "place".to_owned()),
                },
                ..answer(status, "")
            };
            let found = answer.begun();
            found.map(|(judge, address)| (judge, address.to_owned()))
        };
        let page = Some((Judge::Status, "page".to_owned()));
        let place = Some((Judge::Result, "place".to_owned()));
        for status in [201, 202] {
            assert_eq!(begun(status, true, true), page);
            assert_eq!(begun(status, true, false), page);
            assert_eq!(begun(status, false, true), place);
            assert_eq!(begun(status, false, false), None);
        }
        assert_eq!(begun(200, true, true), page);
        assert_eq!(begun(200, false, true), None);
        assert_eq!(begun(204, true, true), None);
    }

    #[test]
    fn deployments_end_by_number() {
        let look = |body| {
            let told = Judge::Deployment.progress(&answer(200, body), 0);
            told.unwrap()
        };
        assert_eq!(look(r#"{"status":4}"#), Progress::Done);
        assert_eq!(
            look(r#"{"status":3,"status_text":"bad zip"}"#),
            Progress::Failed("bad zip".to_owned())
        );
        assert_eq!(look(r#"{"status":1}"#), Progress::Under(LOOK_FIRST));
        assert_eq!(look(""), Progress::Under(LOOK_FIRST));
    }

    #[test]
    fn looks_grow_apart_and_stop_growing() {
        assert_eq!(pause(0), LOOK_FIRST);
        assert_eq!(pause(4), LOOK_FIRST * 4);
        assert_eq!(pause(u32::MAX), LOOK_MAX);
    }
}
