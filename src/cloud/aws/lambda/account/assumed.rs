//! The role that somebody is on AWS, and what is told where AWS does not give it.
//!
//! The vendor's chain asks STS for roles by itself, deep inside of its first call; of a refusal it says which service and no more.

use std::error::Error;

use aws_config::{SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_sts::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    },
};

use super::super::AGENT;
use super::{
    errors::has_run_out,
    ways_out::{of_people, with_help},
};
use crate::manifest::spec::Assume;

const OTHERS: &str =
    "the credentials that ask for it have run out: sign in again, or give the daemon others";
const TRUST: &str = "the role's trust policy must name that identity (and the external id that it is asked with), and the identity must be let do `sts:AssumeRole` on the role (`deploy/aws-policy-extras.json` has it)";
const NO_STS: &str = "enable STS there, in the account settings of IAM";
const TOKEN: &str = "the role's trust policy must name the issuer of the token (`AWS_WEB_IDENTITY_TOKEN_FILE`), and its conditions must fit the token's audience and subject";
const NEW_TOKEN: &str =
    "the token (`AWS_WEB_IDENTITY_TOKEN_FILE`) must be written anew by whoever issues it";

/// Whoever is the base, in a role of its.
#[derive(Debug)]
struct Assumed {
    role: String,
    inner: AssumeRoleProvider,
}

/// Which role the vendor's error is about, which does not say so itself.
#[derive(Debug, thiserror::Error)]
#[error("role `{role}` is not given")]
struct NotGiven {
    role: String,
    source: CredentialsError,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let asked = async {
            let given = self.inner.provide_credentials().await;
            let role = self.role.clone();
            given.map_err(|source| CredentialsError::provider_error(NotGiven { role, source }))
        };
        future::ProvideCredentials::new(asked)
    }
}

/// The same as somebody else: STS is asked when the first call is made, and again shortly before what it gave ends.
pub(in crate::cloud::aws::lambda) async fn assumed(base: SdkConfig, assume: &Assume) -> SdkConfig {
    let Assume {
        role,
        external_id,
        session,
    } = assume;
    let session = session.as_deref().unwrap_or(AGENT);
    let mut asking = AssumeRoleProvider::builder(role).session_name(session);
    if let Some(id) = external_id {
        asking = asking.external_id(id);
    }
    let provider = Assumed {
        role: role.clone(),
        inner: asking.configure(&base).build().await,
    };
    let provider = SharedCredentialsProvider::new(provider);
    base.into_builder().credentials_provider(provider).build()
}

/// How STS was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Keys,
    WebToken,
}

/// What became of a role that was asked for on the way to an error.
#[derive(Debug)]
pub(in crate::cloud::aws::lambda) enum Role {
    /// With the way out.
    Refused(String),
    /// STS could not be reached, or had a fault of its own.
    Lost,
}

/// Whether an error is, at its bottom, about a role that STS did not give.
pub(in crate::cloud::aws::lambda) fn role_in(error: &(dyn Error + 'static)) -> Option<Role> {
    let mut role = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(NotGiven {
            role: told,
            source: _,
        }) = cause.downcast_ref()
        {
            role = Some(told.as_str());
        }
        let by_keys = cause
            .downcast_ref()
            .map(|it: &SdkError<AssumeRoleError>| judged(By::Keys, role, it));
        let by_token = cause
            .downcast_ref()
            .map(|it: &SdkError<AssumeRoleWithWebIdentityError>| judged(By::WebToken, role, it));
        if let Some(judged) = by_keys.or(by_token).flatten() {
            return Some(judged);
        }
        next = cause.source();
    }
    None
}

/// None where STS was not asked: whoever asks for the role is nobody, or in a role that was not given.
fn judged<E: ProvideErrorMetadata>(
    by: By,
    role: Option<&str>,
    error: &SdkError<E>,
) -> Option<Role> {
    match error {
        SdkError::ServiceError(failed) => {
            let (code, message) = (failed.err().code(), failed.err().message());
            let said = (code.unwrap_or("Unknown"), message.unwrap_or("no message"));
            let status = failed.raw().status();
            let is_lost =
                status.is_server_error() || status.as_u16() == 429 || said.0 == "Throttling";
            Some(match is_lost {
                true => Role::Lost,
                false => Role::Refused(refusal(by, role, said)),
            })
        }
        SdkError::DispatchFailure(failed) if !failed.is_io() && !failed.is_timeout() => None,
        SdkError::ConstructionFailure(_) => None,
        // The vendor may add kinds: of those nothing is known.
        SdkError::DispatchFailure(_)
        | SdkError::TimeoutError(_)
        | SdkError::ResponseError(_)
        | _ => Some(Role::Lost),
    }
}

/// Which role, to whom, and the way out. STS names both where keys are shown, and neither where a token is.
fn refusal(by: By, role: Option<&str>, (code, message): (&str, &str)) -> String {
    let named = message.strip_prefix("User: ").and_then(|rest| {
        let (who, rest) =
            rest.split_once(" is not authorized to perform: sts:AssumeRole on resource: ")?;
        Some((who, rest.split_whitespace().next()?))
    });
    let role = role.or(named.map(|(_, role)| role));
    let what = role.map_or("a role".to_owned(), |role| format!("role `{role}`"));
    let who = match (named, by) {
        (Some((who, _)), _) => format!("`{who}`"),
        (None, By::Keys) => "the credentials of the daemon".to_owned(),
        (None, By::WebToken) => "the web token of the daemon".to_owned(),
    };
    let said = match named.is_some() && !message.contains("explicit deny") {
        true => code.to_owned(),
        false => format!("{code}: {message}"),
    };
    with_help(
        format!("{what} is not given to {who} ({said})"),
        Some(&way_out(by, code, message)),
    )
}

fn way_out(by: By, code: &str, message: &str) -> String {
    let is_denied = code == "AccessDenied" && !message.contains("explicit deny");
    match by {
        By::WebToken if has_run_out(code) => NEW_TOKEN.to_owned(),
        By::Keys if has_run_out(code) => OTHERS.to_owned(),
        _ if code == "RegionDisabledException" => NO_STS.to_owned(),
        By::WebToken => TOKEN.to_owned(),
        By::Keys if is_denied => TRUST.to_owned(),
        By::Keys => of_people(code, message).unwrap_or_else(|| TRUST.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_not_given_is_told_with_whom_it_is_not_given_to_and_the_way_out() {
        let user = "arn:aws:iam::1:user/verdigris";
        let role = "arn:aws:iam::2:role/deploy";
        let refused = format!(
            "User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}"
        );
        let forbidden = format!("{refused} with an explicit deny in a service control policy");
        let table = [
            (
                (By::Keys, None, "AccessDenied", refused.as_str()),
                format!("role `{role}` is not given to `{user}` (AccessDenied); {TRUST}"),
            ),
            (
                (By::Keys, Some(role), "AccessDenied", "Access denied"),
                format!(
                    "role `{role}` is not given to the credentials of the daemon (AccessDenied: Access denied); {TRUST}"
                ),
            ),
            (
                (By::Keys, Some(role), "AccessDenied", forbidden.as_str()),
                format!(
                    "role `{role}` is not given to `{user}` (AccessDenied: {forbidden}); a policy of the account or of its organization forbids it: ask whoever wrote that"
                ),
            ),
            (
                (By::Keys, Some(role), "ExpiredToken", "It is expired."),
                format!(
                    "role `{role}` is not given to the credentials of the daemon (ExpiredToken: It is expired.); {OTHERS}"
                ),
            ),
            (
                (
                    By::Keys,
                    Some(role),
                    "InvalidClientTokenId",
                    "It is invalid.",
                ),
                format!(
                    "role `{role}` is not given to the credentials of the daemon (InvalidClientTokenId: It is invalid.); AWS does not know the access key: give the daemon another one, or another profile or role"
                ),
            ),
            (
                (
                    By::WebToken,
                    None,
                    "AccessDenied",
                    "Not authorized to perform sts:AssumeRoleWithWebIdentity",
                ),
                format!(
                    "a role is not given to the web token of the daemon (AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity); {TOKEN}"
                ),
            ),
        ];
        for ((by, role, code, message), told) in table {
            assert_eq!(refusal(by, role, (code, message)), told);
        }
    }
}
