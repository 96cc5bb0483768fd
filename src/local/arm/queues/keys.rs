//! Who may use a storage account: whoever shows a token, or signs with one of its keys. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, header, request::Parts};
use sha2::Sha256;

use crate::{local::arm::model::Resource, name::CodeDigest};

/// Headers that are signed, in this order, before all that begin with `x-ms-`.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::local::arm) enum Stranger {
    SaysNothing,
    HasNoRight,
}

/// The two keys of an account, in base64. They are made of its id, so that a restart changes neither.
pub(in crate::local::arm) fn keys_of(account: &Resource) -> [(&'static str, String); 2] {
    ["key1", "key2"].map(|name| {
        let digest = CodeDigest::of(format!("{}/{name}", account.id).as_bytes());
        (name, STANDARD.encode(digest.as_bytes()))
    })
}

pub(super) fn check(account: &Resource, head: &Parts) -> Result<(), Stranger> {
    let shown = header_of(&head.headers, header::AUTHORIZATION.as_str());
    let Some((scheme, shown)) = shown.split_once(' ') else {
        return Err(Stranger::SaysNothing);
    };
    let is_let_in = match scheme {
        // Without a version a token is not understood.
        "Bearer" => !shown.is_empty() && head.headers.contains_key("x-ms-version"),
        "SharedKey" => shown.split_once(':').is_some_and(|(name, signature)| {
            name.eq_ignore_ascii_case(&account.name) && is_signed(account, name, head, signature)
        }),
        _ => false,
    };
    is_let_in.then_some(()).ok_or(Stranger::HasNoRight)
}

fn is_signed(account: &Resource, name: &str, head: &Parts, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let text = to_sign(name, head);
    keys_of(account).iter().any(|(_, key)| {
        let key = STANDARD.decode(key).unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
            return false;
        };
        mac.update(text.as_bytes());
        mac.verify_slice(&signature).is_ok()
    })
}

/// What a caller signs: the method, some headers, and what it asks for.
fn to_sign(account: &str, head: &Parts) -> String {
    let mut text = format!("{}\n", head.method);
    for name in SIGNED {
        let value = header_of(&head.headers, name);
        let is_left_out = name == "content-length" && value == "0";
        text += if is_left_out { "" } else { value };
        text.push('\n');
    }
    let named = head.headers.keys().map(http::HeaderName::as_str);
    let mut own: Vec<&str> = named.filter(|name| name.starts_with("x-ms-")).collect();
    own.sort_unstable();
    for name in own {
        text += &format!("{name}:{}\n", header_of(&head.headers, name).trim());
    }
    text += &format!("/{account}{}", head.uri.path());
    let query = head.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let mut query: Vec<_> = query.map(|(name, it)| (name.to_lowercase(), it)).collect();
    query.sort();
    for (name, value) in query {
        text += &format!("\n{name}:{value}");
    }
    text
}

fn header_of<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn account() -> Resource {
        Resource {
            id: "/accounts/shop".to_owned(),
            name: "shop".to_owned(),
            location: String::new(),
            tags: Default::default(),
            rest: Default::default(),
        }
    }

    fn asked(shown: &str) -> Parts {
        let request =
            Request::get("/queues/shop/orders/messages?visibilitytimeout=9&numofmessages=2")
                .header("x-ms-version", "2025-01-05")
                .header("x-ms-date", "Sat, 21 Nov 2026 10:00:00 GMT")
                .header("content-length", "0")
                .header("authorization", shown);
        request.body(()).unwrap().into_parts().0
    }

    /// As Microsoft's page on Shared Key writes it down.
    #[test]
    fn what_is_signed_is_what_is_asked_for() {
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Sat, 21 Nov 2026 10:00:00 GMT\nx-ms-version:2025-01-05\n\
                        /shop/queues/shop/orders/messages\nnumofmessages:2\nvisibilitytimeout:9";
        assert_eq!(to_sign("shop", &asked("")), expected);
    }

    #[test]
    fn only_the_accounts_own_keys_and_tokens_open_it() {
        let account = account();
        let signed = |key: &str| {
            let key = STANDARD.decode(key).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(to_sign("shop", &asked("")).as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        };
        let [(_, one), (_, two)] = keys_of(&account);
        let other = STANDARD.encode("another key");
        for (shown, expected) in [
            ("Bearer token".to_owned(), Ok(())),
            (format!("SharedKey shop:{}", signed(&one)), Ok(())),
            (format!("SharedKey shop:{}", signed(&two)), Ok(())),
            (
                format!("SharedKey shop:{}", signed(&other)),
                Err(Stranger::HasNoRight),
            ),
            (
                format!("SharedKey else:{}", signed(&one)),
                Err(Stranger::HasNoRight),
            ),
            ("Basic eDp5".to_owned(), Err(Stranger::HasNoRight)),
            (String::new(), Err(Stranger::SaysNothing)),
        ] {
            assert_eq!(check(&account, &asked(&shown)), expected, "{shown}");
        }
    }
}
