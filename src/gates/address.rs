//! Where a gate asks: the address of a slot, and the gate's path on it.

use url::Url;

use crate::{desired::ReleaseContent, observed::Addresses};

/// Why a gate cannot be asked anywhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    #[error("path `{path}` {rule}")]
    Path { path: String, rule: &'static str },
    #[error("no function of the release answers {method} {path}")]
    NoFunction { method: String, path: String },
    #[error("function `{function}` has no address in this slot")]
    NoAddress { function: String },
}

/// The slot's address of the function that answers a request.
///
/// # Errors
///
/// Says which function is missing, in the release or in the slot.
pub fn of_request<'a>(
    method: &str,
    path: &str,
    content: &ReleaseContent,
    addresses: &'a Addresses,
) -> Result<&'a Url, AddressError> {
    let path = path.split('?').next().unwrap_or_default();
    let function = content.route(method, path);
    let function = function.ok_or_else(|| AddressError::NoFunction {
        method: method.to_owned(),
        path: path.to_owned(),
    })?;
    let address = addresses.get(function);
    address.ok_or_else(|| AddressError::NoAddress {
        function: function.to_string(),
    })
}

/// The gate's path and query on a slot's address, byte for byte where a URL allows it.
///
/// # Errors
///
/// Refuses paths that could be read as another host, and characters that parsers disagree about.
pub fn join(address: &Url, path: &str) -> Result<Url, AddressError> {
    if let Some(rule) = broken_rule(path) {
        let path = path.to_owned();
        return Err(AddressError::Path { path, rule });
    }
    let (path_only, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = address.clone();
    let base = address.path().trim_end_matches('/');
    url.set_path(&format!("{base}{path_only}"));
    url.set_query(query);
    url.set_fragment(None);
    if url.origin() == address.origin() {
        Ok(url)
    } else {
        let (path, rule) = (path.to_owned(), "leaves the slot's address");
        Err(AddressError::Path { path, rule })
    }
}

fn broken_rule(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("must start with `/`: the host is always the slot's")
    } else if path.starts_with("//") {
        Some("must not start with `//`: that names another host")
    } else if path.contains('\\') {
        Some("must not hold backslashes: some read them as `/`")
    } else if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some("must not hold spaces or control characters: write them as %20 and the like")
    } else if path.contains('#') {
        Some("must not hold `#`: what follows it is never sent")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_on_the_slots_host() {
        let table = [
            (
                "http://127.0.0.1:8080/",
                "/stock/42",
                "http://127.0.0.1:8080/stock/42",
            ),
            (
                "https://a.example/base/",
                "/x?y=1&z=%2F",
                "https://a.example/base/x?y=1&z=%2F",
            ),
            (
                "https://a.example/",
                "/a%2Fb//c",
                "https://a.example/a%2Fb//c",
            ),
            ("https://a.example/", "/../../x", "https://a.example/x"),
            (
                "https://a.example/",
                "/@evil.example/",
                "https://a.example/@evil.example/",
            ),
            (
                "https://a.example/",
                "/?u=http://evil.example",
                "https://a.example/?u=http://evil.example",
            ),
        ];
        for (address, path, wanted) in table {
            let url = join(&address.parse().unwrap(), path).unwrap();
            assert_eq!(url.as_str(), wanted);
        }
        let bad = [
            "",
            "x",
            "http://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\n/x",
            "/ x",
            "@evil.example",
            ":80/",
            "/x#y",
            "?x",
        ];
        for path in bad {
            let url = join(&"https://a.example/".parse().unwrap(), path);
            assert!(url.is_err(), "{path}");
        }
    }
    proptest::proptest! {
        #[test]
        fn no_path_leaves_the_slot(path in "(/|\\\\|//|http:|@|:|\\.|%2e|\\?|#|[a-z]|\\PC|\t){0,12}") {
            let address: Url = "https://a.example:8443/base/".parse().unwrap();
            if let Ok(url) = join(&address, &path) {
                proptest::prop_assert_eq!(url.origin(), address.origin());
                proptest::prop_assert_eq!(url.username(), "");
            }
        }
    }
}
