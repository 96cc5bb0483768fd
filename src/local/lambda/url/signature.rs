//! Signatures of requests to function URLs (Signature Version 4), checked as the service checks them: what was signed is what came.
//!
//! The key `local` has the secret `local`, as this program prints it. What other keys' secrets are is not known here: of theirs the form
//! counts, with what it was made for and when.

use axum::http::{HeaderMap, request::Parts};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::name::{Timestamp, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "lambda";

/// Key and secret that this program tells people to use.
const LOCAL: &str = "local";

/// How far the clocks of both sides may be apart.
const SKEW_MILLIS: i64 = 5 * 60 * 1000;

const DATE: &str = "x-amz-date";
const PAYLOAD: &str = "x-amz-content-sha256";

/// All but letters, digits and `-._~`.
const SIGNED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same of a path, whose slashes stay.
const SIGNED_PATH: &AsciiSet = &SIGNED.remove(b'/');

/// What the header `Authorization` says.
struct Told<'a> {
    key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
}

/// Whether a request is signed for this region's functions, now, and as far as can be known by whom it says.
pub(super) fn is_good(parts: &Parts, body: &[u8], region: &str, now: Timestamp) -> bool {
    let told = text(&parts.headers, "authorization").and_then(read);
    let made = text(&parts.headers, DATE);
    let (Some(told), Some(made)) = (told, made) else {
        return false;
    };
    let is_now = moment(made).is_some_and(|at| (now.millis() - at).abs() <= SKEW_MILLIS);
    let names = |wanted: &str| told.headers.contains(&wanted);
    is_now
        && made.starts_with(told.day)
        && (told.region, told.service) == (region, SERVICE)
        && names("host")
        && names(DATE)
        && (told.key != LOCAL || is_by(&told, LOCAL, made, parts, body))
}

fn read(header: &str) -> Option<Told<'_>> {
    let rest = header.strip_prefix(ALGORITHM)?.trim();
    let part = |name: &str| {
        let mut parts = rest.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let mut scope = part("Credential")?.rsplit('/');
    let end = scope.next()?;
    let (service, region, day, key) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
    let signature = part("Signature")?;
    let is_whole = end == "aws4_request" && scope.next().is_none() && signature.len() == 64;
    is_whole.then(|| Told {
        key,
        day,
        region,
        service,
        headers: part("SignedHeaders")
            .unwrap_or_default()
            .split(';')
            .collect(),
        signature,
    })
}

fn is_by(told: &Told<'_>, secret: &str, made: &str, parts: &Parts, body: &[u8]) -> bool {
    let Told {
        key: _,
        day,
        region,
        service,
        headers,
        signature,
    } = told;
    let request = sha256(canonical(parts, body, headers).as_bytes());
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{made}\n{scope}\n{request}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [*day, *region, *service, "aws4_request", &text] {
        key = mac(&key, part.as_bytes());
    }
    hex(&key) == *signature
}

/// A request in the one form that both sides sign.
fn canonical(parts: &Parts, body: &[u8], headers: &[&str]) -> String {
    let path = utf8_percent_encode(parts.uri.path(), SIGNED_PATH);
    let mut query: Vec<(String, String)> = parts.uri.query().map(pairs).unwrap_or_default();
    query.sort();
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let lines = headers.iter().map(|name| {
        let values = parts.headers.get_all(*name).iter();
        let values: Vec<String> = values
            .map(|value| {
                let value = String::from_utf8_lossy(value.as_bytes());
                value.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        format!("{name}:{}\n", values.join(","))
    });
    let lines: String = lines.collect();
    let payload = text(&parts.headers, PAYLOAD).map_or_else(|| sha256(body), str::to_owned);
    let (query, names) = (query.join("&"), headers.join(";"));
    format!(
        "{}\n{path}\n{query}\n{lines}\n{names}\n{payload}",
        parts.method
    )
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let coded = |text: &str| {
        let plain: Vec<u8> = percent_decode_str(text).collect();
        percent_encoding::percent_encode(&plain, SIGNED).to_string()
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (coded(name), coded(value))
    };
    parts.map(pair).collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // Cannot fail: a key may have any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// `20261122T041500Z`, in milliseconds.
fn moment(text: &str) -> Option<i64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let [date, time] = [digits.get(..8)?, digits.get(8..14)?];
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    let at: Timestamp = written.parse().ok()?;
    Some(at.millis())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// As the vendor's own Python client signed it.
    fn signed(edit: impl Fn(&mut Parts)) -> bool {
        let request = Request::builder()
            .method("POST")
            .uri("/stock/a%20b?x=1&a=%2F")
            .header("host", "127.0.0.1:4000")
            .header(DATE, "20261122T041500Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=local/20261122/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=54cba5573bc3275ff0835e885016f92adcb3478dc206ea7b6eb99f603e76e961",
            );
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        edit(&mut parts);
        let now: Timestamp = "2026-11-22T04:17:00Z".parse().unwrap();
        is_good(&parts, b"{}", "eu-west-1", now)
    }

    #[test]
    fn what_was_signed_is_what_came() {
        assert!(signed(|_| {}));
        assert!(!signed(|parts| parts.method = "PUT".parse().unwrap()));
        assert!(!signed(
            |parts| parts.uri = "/stock/a%20b?x=2&a=%2F".parse().unwrap()
        ));
        assert!(!signed(|parts| {
            parts
                .headers
                .insert("host", "127.0.0.1:4001".parse().unwrap());
        }));
        assert!(!signed(|parts| {
            parts
                .headers
                .insert(DATE, "20261122T040000Z".parse().unwrap());
        }));
        assert!(!signed(|parts| {
            parts.headers.remove("authorization");
        }));
    }
}
