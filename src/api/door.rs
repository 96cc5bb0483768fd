//! Who may come in, and what every answer carries.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tracing::Instrument;

use super::{Site, act::tokens, problem::Problem};

/// Longest time until an answer begins; a stream may go on for longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The same where a function is called, which may take fifteen minutes itself: whoever gave up earlier would call it twice.
const CALL_MAX: Duration = Duration::from_secs(15 * 60 + 45);

/// Where functions are called.
pub(super) const CALLS: &str = "/api/v1/services/{environment}/{name}/invoke";

/// How long an answer of a route may take, and what is said when it takes longer.
fn bound(route: &str) -> (Duration, fn() -> Problem) {
    match route {
        CALLS => (CALL_MAX, Problem::too_slow_a_call),
        _ => (ANSWER_MAX, Problem::too_slow),
    }
}

/// Which hosts are served, and whether reading takes a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Doors {
    /// Listens beyond this machine: reading takes a token too.
    pub public: bool,
    /// Host names that are served beside `localhost`, `127.0.0.1` and `[::1]`, without port. Empty and public means any.
    pub hosts: Vec<String>,
}

impl Doors {
    /// For a listener that only this machine reaches.
    pub fn loopback() -> Self {
        Self::default()
    }

    /// A page of another site could otherwise point its own name at this machine and read on.
    fn serves(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let is_known = |known: &String| known.eq_ignore_ascii_case(host);
        matches!(host, "127.0.0.1" | "[::1]")
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(is_known)
            || (self.public && self.hosts.is_empty())
    }
}

/// `[::1]:80` → `[::1]`, `localhost:80` → `localhost`
fn host_of(authority: &str) -> &str {
    let end_of_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[end_of_address..].find(':') {
        Some(colon) => &authority[..end_of_address + colon],
        None => authority,
    }
}

/// Checks every request before anything reads it, and marks every answer.
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    // Paths that lead nowhere share one label, since there is no end to them.
    let route = route.map_or("none", |route| route.as_str()).to_owned();
    let span = tracing::debug_span!("request", id, %method, route);
    let (answer_max, too_slow) = bound(&route);
    let mut response = match check(&site, &request) {
        Ok(()) => tokio::time::timeout(answer_max, next.run(request).instrument(span))
            .await
            .unwrap_or_else(|_| too_slow().into_response()),
        Err(problem) => problem.into_response(),
    };
    count(&method, route, &response);
    mark(response.headers_mut(), &id);
    response
}

fn check(site: &Site, request: &Request) -> Result<(), Problem> {
    let doors = &site.api.doors;
    let host = authority(request).unwrap_or_default();
    if !doors.serves(host) {
        return Err(Problem::misdirected(
            "ask for localhost or 127.0.0.1, or add the name to the configured hosts",
        ));
    }
    if !is_safe(request.method()) && is_cross_origin(request.headers(), host) {
        return Err(Problem::forbidden(
            "cross-origin",
            "pages of other sites may not act here",
        ));
    }
    let is_read = request.uri().path().starts_with("/api/") || request.uri().path() == "/metrics";
    if doors.public && is_read && is_safe(request.method()) {
        tokens::actor(&site.api.tokens, request.headers())?;
    }
    Ok(())
}

fn authority(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST);
    match header {
        Some(host) => host.to_str().ok(),
        None => request
            .uri()
            .authority()
            .map(|authority| authority.as_str()),
    }
}

fn is_safe(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD || *method == Method::OPTIONS
}

/// Browsers say where a request comes from; other programs do not, and need no protection from themselves.
fn is_cross_origin(headers: &HeaderMap, host: &str) -> bool {
    let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = told("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    match told("origin") {
        Some(origin) => origin.split_once("://").map(|(_, from)| from) != Some(host),
        None => false,
    }
}

fn count(method: &Method, route: String, response: &Response) {
    // Methods are a closed set here: anybody may invent more.
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let status = response.status().as_u16().to_string();
    metrics::counter!("verdigris_http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
}

/// Nothing but our own files runs in a page of ours, and no other page may show or read it.
const MARKS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

fn mark(headers: &mut HeaderMap, id: &str) {
    for (name, value) in MARKS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    let fresh = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(fresh);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest function that a manifest may ask for is waited for, and by the command line for longer still.
    #[test]
    fn a_call_may_take_as_long_as_the_longest_function() {
        let longest = Duration::from_secs(900);
        assert!(bound(CALLS).0 > longest);
        assert_eq!(bound("/api/v1/services").0, ANSWER_MAX);
    }

    #[test]
    fn only_names_of_this_machine_are_served_on_loopback() {
        let doors = Doors {
            public: false,
            hosts: vec!["deploy.example.com".to_owned()],
        };
        for host in [
            "localhost",
            "LOCALHOST:7654",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "deploy.example.com:443",
        ] {
            assert!(doors.serves(host), "{host}");
        }
        for host in [
            "",
            "evil.test",
            "evil.test:7654",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "[::2]:80",
            "]",
        ] {
            assert!(!doors.serves(host), "{host}");
        }
    }
}
