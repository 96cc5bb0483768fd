//! Webhooks of Git hosts. They carry no news: whatever they say, every repository is looked at.

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State, rejection::BytesRejection},
    routing::{MethodRouter, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::api::{
    Site,
    extract::unread,
    problem::{Problem, ProblemDocument},
};

/// Git hosts send at most 25 MB, and nobody needs to read more than this to learn that something was pushed.
const HOOK_MAX: usize = 1024 * 1024;

pub(in crate::api) fn route() -> MethodRouter<Site> {
    post(hook).layer(DefaultBodyLimit::max(HOOK_MAX))
}

/// Who sends, which decides where the proof stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Provider {
    Generic,
    Github,
    Gitlab,
    Bitbucket,
    AzureDevops,
    Gitea,
}

impl Provider {
    const ALL: [Self; 6] = [
        Self::Generic,
        Self::Github,
        Self::Gitlab,
        Self::Bitbucket,
        Self::AzureDevops,
        Self::Gitea,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::AzureDevops => "azuredevops",
            Self::Gitea => "gitea",
        }
    }

    /// Whether the sender knows the secret.
    fn proves(self, secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = |name: &str| header(name).is_some_and(|given| is_signed(secret, given, body));
        let told = |given: Option<&str>| given.is_some_and(|given| is_same(secret, given));
        match self {
            Self::Generic => {
                let bearer = header("authorization").and_then(|it| it.strip_prefix("Bearer "));
                signed("x-signature") || told(bearer)
            }
            Self::Github => signed("x-hub-signature-256"),
            Self::Gitlab => told(header("x-gitlab-token")),
            Self::Bitbucket => signed("x-hub-signature"),
            Self::AzureDevops => {
                let password = header("authorization").and_then(password);
                told(password.as_deref())
            }
            Self::Gitea => signed("x-gitea-signature"),
        }
    }
}

/// The password of basic authentication.
fn password(authorization: &str) -> Option<String> {
    let decoded = STANDARD
        .decode(authorization.strip_prefix("Basic ")?)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}

fn is_same(secret: &SecretString, given: &str) -> bool {
    bool::from(secret.expose_secret().as_bytes().ct_eq(given.as_bytes()))
}

/// `sha256=<hex>` or `<hex>`: HMAC-SHA256 of the body. The comparison takes the same time whatever was sent.
fn is_signed(secret: &SecretString, given: &str, body: &[u8]) -> bool {
    let hex = given.strip_prefix("sha256=").unwrap_or(given);
    let Some(signature) = unhex(hex) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (hex.len() == 64).then(|| pairs.map(byte).collect())?
}

#[utoipa::path(
    post,
    path = "/hooks/{provider}",
    summary = "Something was pushed: look at every repository now.",
    description = "The body is not read for news, only for its signature. Where a secret is configured, the sender must prove that it knows it, the way its provider does.",
    tag = "webhooks",
    params(("provider" = String, Path, description = "generic, github, gitlab, bitbucket, azuredevops or gitea")),
    request_body(content = serde_json::Value, description = "whatever the provider sends, up to 1 MiB"),
    responses(
        (status = 202, description = "the repositories will be looked at"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn hook(
    State(site): State<Site>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|bad| unread(&bad, HOOK_MAX))?;
    let known = Provider::ALL
        .into_iter()
        .find(|known| known.word() == provider);
    let Some(provider) = known else {
        let detail = "known are generic, github, gitlab, bitbucket, azuredevops and gitea";
        return Err(Problem::not_found("provider-not-found", detail));
    };
    let outcome = admit(&site, provider, &headers, &body);
    let result = if outcome.is_ok() { "taken" } else { "refused" };
    metrics::counter!("verdigris_webhook_deliveries_total", "provider" => provider.word(), "result" => result)
        .increment(1);
    outcome?;
    (site.api.wake_sources)();
    Ok(StatusCode::ACCEPTED)
}

fn admit(site: &Site, provider: Provider, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    match &site.api.hook_secret {
        Some(secret) if provider.proves(secret, headers, body) => Ok(()),
        Some(_) => Err(Problem::forbidden(
            "signature-invalid",
            "the delivery does not prove that its sender knows the configured secret",
        )),
        None if site.api.doors.public => Err(Problem::forbidden(
            "secret-required",
            "configure a secret for webhooks: without one they are taken on loopback only",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    /// The body and signature of the example in GitHub's own documentation of webhooks.
    #[test]
    fn signatures_are_those_of_the_providers() {
        let secret = SecretString::from("It's a Secret to Everybody");
        let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let body = b"Hello, World!";
        let proves = |provider: Provider, name, value: &str| {
            provider.proves(&secret, &headers(name, value), body)
        };
        assert!(proves(
            Provider::Github,
            "x-hub-signature-256",
            &format!("sha256={hex}")
        ));
        assert!(proves(Provider::Gitea, "x-gitea-signature", hex));
        assert!(proves(
            Provider::Bitbucket,
            "x-hub-signature",
            &format!("sha256={hex}")
        ));
        assert!(proves(
            Provider::Generic,
            "x-signature",
            &format!("sha256={hex}")
        ));
        assert!(proves(
            Provider::Gitlab,
            "x-gitlab-token",
            "It's a Secret to Everybody"
        ));
        let basic = format!(
            "Basic {}",
            STANDARD.encode("hook:It's a Secret to Everybody")
        );
        assert!(proves(Provider::AzureDevops, "authorization", &basic));
        for provider in Provider::ALL {
            for name in [
                "x-hub-signature-256",
                "x-gitea-signature",
                "x-hub-signature",
                "x-signature",
                "x-gitlab-token",
                "authorization",
            ] {
                for wrong in [
                    "",
                    "sha256=",
                    "sha256=zz",
                    &"0".repeat(64),
                    "Basic !",
                    "Bearer x",
                    "é",
                ] {
                    let mut given = HeaderMap::new();
                    if let Ok(value) = wrong.parse() {
                        given.insert(name, value);
                    }
                    assert!(
                        !provider.proves(&secret, &given, body),
                        "{provider:?} {name} {wrong}"
                    );
                }
            }
        }
    }
}
