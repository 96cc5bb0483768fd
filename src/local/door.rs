//! Keeps web pages away from what changes things: a browser on this machine reaches loopback too.
//!
//! A page may send simple requests to any address without asking, and may give its own name this machine's address (DNS rebinding).
//! Clients of the clouds send neither what browsers say about the page nor a host name that is not this machine.

use std::net::IpAddr;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};

/// Refuses with 403, before anything is looked at, what a web page sends and what was sent to another host name.
pub(super) fn guarded(router: Router) -> Router {
    router.layer(middleware::from_fn(check))
}

async fn check(request: Request, next: Next) -> Response {
    match refusal(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
    }
}

fn refusal(uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    if headers.contains_key(header::ORIGIN) {
        return Some("web pages may not use this endpoint: the request has an Origin header");
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if !sites.all(|site| site == "none" || site == "same-origin") {
        return Some("web pages may not use this endpoint: Sec-Fetch-Site names another site");
    }
    let named = headers.get_all(header::HOST).iter();
    let mut named = named.map(|host| host.to_str().ok().and_then(host_of));
    let asked = uri.host().map(bare);
    let is_ours = asked.is_none_or(is_loopback) && named.all(|host| host.is_some_and(is_loopback));
    (!is_ours).then_some("this endpoint answers to loopback names only: use 127.0.0.1 or localhost")
}

/// The name in a `Host` header, without its port.
fn host_of(value: &str) -> Option<&str> {
    if let Some(rest) = value.strip_prefix('[') {
        return rest.split_once(']').map(|(address, _)| address);
    }
    value.split(':').next()
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_let_in() {
        for (host, is_let_in) in [
            ("127.0.0.1:4566", true),
            ("127.1.2.3", true),
            ("localhost:4566", true),
            ("LOCALHOST.", true),
            ("lambda.localhost:80", true),
            ("[::1]:4567", true),
            ("evil.example:4566", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("notlocalhost", false),
            ("10.0.0.1:4566", false),
            ("[::2]:1", false),
            ("[::1", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let refused = refusal(&Uri::from_static("/x"), &headers);
            assert_eq!(refused.is_none(), is_let_in, "{host}");
        }
        let named = Uri::from_static("http://evil.example/x");
        assert!(refusal(&named, &HeaderMap::new()).is_some());
        let named = Uri::from_static("http://[::1]:80/x");
        assert!(refusal(&named, &HeaderMap::new()).is_none());
    }

    #[test]
    fn what_browsers_say_of_a_page_keeps_it_out() {
        for (name, value, is_let_in) in [
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("user-agent", "Boto3/1.40", true),
        ] {
            let name = header::HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
            let refused = refusal(&Uri::from_static("/x"), &headers);
            assert_eq!(refused.is_none(), is_let_in, "{name}: {value}");
        }
    }
}
