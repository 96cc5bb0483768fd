//! Requests to AWS's other services, signed and sent: those of which we use so few operations that a client of their own would be
//! heavier than all the rest.

pub(super) mod json;
pub(super) mod query;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use tokio::sync::Mutex;
use url::Url;

use super::{
    AccountLimits, Calls,
    account::{
        assumed::{Role, role_in},
        errors::causes,
        limits::Class,
    },
};
use crate::{
    clock::{Clock as _, SystemClock},
    cloud::{CloudError, aws::told::deeds::AGENT, turns::Heard, unseen::Unseen},
    name::CloudName,
    observed::talk::Signable,
};

/// Nothing that is asked for here is large; a package goes at 1 MB/s or better.
const PATIENCE: Duration = Duration::from_secs(300);

/// Keys are not used so shortly before their end: a call takes a while to arrive, and clocks differ.
const SPARE: Duration = Duration::from_secs(60);

/// Signs as the same person as the vendor's client does, and counts in the same book.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Signed {
    http: reqwest::Client,
    credentials: Option<SharedCredentialsProvider>,
    /// Keys that end, until they do: whoever gives them is not asked before each call.
    kept: Arc<Mutex<Option<Credentials>>>,
    region: String,
    endpoint: Option<Url>,
    calls: Calls,
    limits: Arc<AccountLimits>,
    patience: Duration,
    pub(super) unseen: Unseen,
}

/// One request.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Asking<'a> {
    /// `events`, `s3`.
    pub(in crate::cloud::aws) service: &'a str,
    pub(in crate::cloud::aws) operation: &'a str,
    /// For people.
    pub(in crate::cloud::aws) resource: &'a str,
    pub(in crate::cloud::aws) method: reqwest::Method,
    /// From the service's root on, with its query.
    pub(in crate::cloud::aws) path: String,
    pub(in crate::cloud::aws) headers: Vec<(&'static str, String)>,
    pub(in crate::cloud::aws) body: Bytes,
}

impl<'a> Asking<'a> {
    /// Of a service that takes every operation at its root.
    pub(super) fn at_root(
        (service, operation, resource): (&'a str, &'a str, &'a str),
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Self {
        Self {
            service,
            operation,
            resource,
            method: reqwest::Method::POST,
            path: "/".to_owned(),
            headers,
            body: body.into(),
        }
    }
}

/// What a service said.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Said {
    pub(in crate::cloud::aws) status: u16,
    pub(in crate::cloud::aws) text: String,
}

impl Signed {
    pub(super) fn new(
        config: &SdkConfig,
        endpoint: Option<Url>,
        calls: Calls,
        limits: Arc<AccountLimits>,
    ) -> Self {
        Self {
            http: http_client(),
            credentials: config.credentials_provider(),
            kept: Arc::default(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            endpoint,
            calls,
            limits,
            patience: PATIENCE,
            unseen: Unseen::default(),
        }
    }

    /// The same, and no request is under way for longer.
    pub(super) fn within(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The same in another region.
    pub(super) fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }

    /// The same in the region that IAM is in.
    pub(super) fn at_home_of_iam(&self) -> Self {
        self.in_region(home_of_iam(&self.region))
    }

    /// Where a service is, and the region that a signature names. A local endpoint serves all of them.
    fn place(&self, service: &str) -> (String, &str) {
        let region = match service {
            "iam" => home_of_iam(&self.region),
            _ => &self.region,
        };
        let root = match &self.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None if service == "iam" && region == "us-east-1" => {
                "https://iam.amazonaws.com".to_owned()
            }
            None if service == "iam" && region == "us-gov-west-1" => {
                "https://iam.us-gov.amazonaws.com".to_owned()
            }
            None => {
                let china = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{service}.{region}.amazonaws.com{china}")
            }
        };
        (root, region)
    }

    /// Waits until the account's quota has room for one more call of a service.
    pub(in crate::cloud::aws) async fn turn(&self, service: &str) {
        self.limits.turn(Class::Service(service)).await;
    }

    /// # Errors
    ///
    /// As [`Self::ask_at_once`].
    pub(in crate::cloud::aws) async fn ask(&self, asking: Asking<'_>) -> Result<Said, CloudError> {
        self.turn(asking.service).await;
        self.ask_at_once(asking).await
    }

    /// For who waited for the turn before.
    ///
    /// # Errors
    ///
    /// `Unreachable` where nothing came back, and `Denied` where there are no credentials. What the service refuses is an answer.
    pub(in crate::cloud::aws) async fn ask_at_once(
        &self,
        asking: Asking<'_>,
    ) -> Result<Said, CloudError> {
        let Asking {
            service,
            operation,
            resource,
            method,
            path,
            headers,
            body,
        } = asking;
        self.calls.count(operation);
        let lost = |message: String| CloudError::Unreachable {
            cloud: CloudName::Aws,
            operation: format!("{operation} of `{resource}`"),
            message,
        };
        let (root, region) = self.place(service);
        let url = format!("{root}{path}");
        let signing = Signing {
            service,
            region,
            method: method.as_str(),
            url: &url,
            body: &body,
        };
        let signed = self.sign(signing, &headers, operation).await?;
        let mut request = self.http.request(method, &url).timeout(self.patience);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|fault| lost(fault.without_url().to_string()))?;
        let status = answer.status().as_u16();
        let wait = told_to_wait(answer.headers());
        let text = answer.text().await;
        let text = text.map_err(|fault| lost(fault.without_url().to_string()))?;
        if status != 200 && text.contains("ExpiredToken") {
            *self.kept.lock().await = None;
        }
        let class = Class::Service(service);
        match is_too_many(status, &text) {
            true => self.limits.heard(class, Heard::TooMany(wait)),
            false if status < 300 => self.limits.heard(class, Heard::Taken),
            false => {}
        }
        Ok(Said { status, text })
    }

    /// What a function's own address wants to be shown.
    ///
    /// # Errors
    ///
    /// `Denied` where there are no credentials.
    pub(in crate::cloud::aws) async fn headers(
        &self,
        request: &Signable<'_>,
    ) -> Result<Vec<(String, String)>, CloudError> {
        let Signable { method, url, body } = *request;
        let signing = Signing {
            service: "lambda",
            region: &self.region,
            method,
            url: url.as_str(),
            body,
        };
        self.sign(signing, &[], "to sign a request").await
    }

    async fn sign(
        &self,
        signing: Signing<'_>,
        headers: &[(&'static str, String)],
        operation: &str,
    ) -> Result<Vec<(String, String)>, CloudError> {
        let denied = |message: String| CloudError::Denied {
            cloud: CloudName::Aws,
            operation: operation.to_owned(),
            message: format!("{message}; give the daemon an AWS profile or role"),
        };
        let Some(provider) = &self.credentials else {
            return Err(denied("there are no credentials".to_owned()));
        };
        let now = now();
        let keys = self.keys(provider, now).await;
        let keys = keys.map_err(|fault| match role_in(&fault) {
            Some(Role::Refused(message)) => CloudError::Denied {
                cloud: CloudName::Aws,
                operation: operation.to_owned(),
                message,
            },
            Some(Role::Lost) => CloudError::Unreachable {
                cloud: CloudName::Aws,
                operation: operation.to_owned(),
                message: causes(&fault),
            },
            None => denied(causes(&fault)),
        })?;
        let identity = keys.into();
        let mut settings = SigningSettings::default();
        if signing.service == "s3" {
            // S3 wants its paths as they are, and the digest of what is sent in a header.
            settings.percent_encoding_mode = aws_sigv4::http_request::PercentEncodingMode::Single;
            settings.payload_checksum_kind =
                aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(signing.region)
            .name(signing.service)
            .time(now)
            .settings(settings)
            .build();
        let params = params.map_err(|fault| denied(fault.to_string()))?.into();
        let told = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let Signing {
            service: _,
            region: _,
            method,
            url,
            body,
        } = signing;
        let signable = SignableRequest::new(method, url, told, SignableBody::Bytes(body));
        let signable = signable.map_err(|fault| denied(fault.to_string()))?;
        let output = sign(signable, &params).map_err(|fault| denied(fault.to_string()))?;
        let (instructions, _) = output.into_parts();
        let added = instructions.headers();
        Ok(added
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

impl Signed {
    async fn keys(
        &self,
        provider: &SharedCredentialsProvider,
        now: SystemTime,
    ) -> Result<Credentials, CredentialsError> {
        let mut kept = self.kept.lock().await;
        if let Some(keys) = kept.as_ref().filter(|keys| is_good(keys.expiry(), now)) {
            return Ok(keys.clone());
        }
        let keys = provider.provide_credentials().await?;
        *kept = Some(keys.clone());
        Ok(keys)
    }
}

/// Whether a service refused a call as one too many: each has a word of its own, and few a status.
fn is_too_many(status: u16, text: &str) -> bool {
    const WORDS: [&str; 6] = [
        "ThrottlingException",
        "TooManyRequestsException",
        ">Throttling<",
        ">Throttled<",
        ">SlowDown<",
        ">RequestLimitExceeded<",
    ];
    status == 429 || (status >= 400 && WORDS.iter().any(|word| text.contains(word)))
}

fn told_to_wait(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let told = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    told.trim().parse().ok().map(Duration::from_secs)
}

/// Keys without an end come from this machine, and may be changed there at any time.
fn is_good(ends: Option<SystemTime>, now: SystemTime) -> bool {
    ends.is_some_and(|ends| now + SPARE < ends)
}

fn now() -> SystemTime {
    let millis = u64::try_from(SystemClock.now().millis()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The log of calls tells by the agent which were ours.
fn http_client() -> reqwest::Client {
    let named = reqwest::Client::builder().user_agent(AGENT).build();
    named.unwrap_or_default()
}

/// What a signature is over.
struct Signing<'a> {
    service: &'a str,
    region: &'a str,
    method: &'a str,
    url: &'a str,
    body: &'a [u8],
}

/// IAM is one for all regions of a partition, and signed for in one of them.
/// <https://docs.aws.amazon.com/general/latest/gr/iam-service.html>
fn home_of_iam(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "cn-north-1",
        _ if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_until_shortly_before_they_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        for (ends, good) in [(None, false), (after(59), false), (after(61), true)] {
            assert_eq!(is_good(ends, now), good, "{ends:?}");
        }
    }

    #[test]
    fn a_call_too_many_is_known_by_the_word_of_each_service() {
        for (status, text, too_many) in [
            (429, "", true),
            (503, "<Error><Code>SlowDown</Code></Error>", true),
            (400, "<Error><Code>Throttling</Code></Error>", true),
            (
                400,
                r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
                true,
            ),
            (400, r#"{"__type":"ValidationException"}"#, false),
            (
                200,
                r#"{"Events":[{"CloudTrailEvent":"ThrottlingException"}]}"#,
                false,
            ),
        ] {
            assert_eq!(is_too_many(status, text), too_many, "{text}");
        }
    }
}
