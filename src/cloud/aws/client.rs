//! The vendor's client, held to the account's quota, with its errors sorted by what happens next.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_lambda::{
    Client,
    config::{
        BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
        http::HttpResponse,
        interceptors::{BeforeTransmitInterceptorContextRef, InterceptorContext},
        retry::{ClassifyRetry, RetryAction, RetryConfig},
        timeout::TimeoutConfig,
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::{
    orchestrator::Metadata, retries::classifiers::RetryClassifierPriority,
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{cloud::CloudError, name::CloudName};

/// Who we are to AWS.
#[derive(Clone, Debug)]
pub enum AwsCredentials {
    /// The vendor's own chain: environment, profile files, web identity, container, instance.
    Chain { profile: Option<String> },
    /// For a local endpoint, which checks nothing.
    Fixed {
        access_key_id: String,
        secret_access_key: SecretString,
    },
}

/// Calls a second that an account grants in one region. AWS does not raise them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quotas {
    /// `GetFunction` has a bucket of its own.
    pub get_function: NonZeroU32,
    /// All other control-plane operations together.
    pub other: NonZeroU32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            get_function: NonZeroU32::MIN.saturating_add(99),
            other: NonZeroU32::MIN.saturating_add(14),
        }
    }
}

/// The token buckets of one account and region, shared by every target in it.
pub struct AccountLimits {
    get_function: DefaultDirectRateLimiter,
    other: DefaultDirectRateLimiter,
}

impl AccountLimits {
    /// A bucket holds a fifth of a second's calls (at least one), so that a burst stays below what AWS counts in any second.
    pub fn new(quotas: Quotas) -> Self {
        let Quotas {
            get_function,
            other,
        } = quotas;
        Self {
            get_function: bucket(get_function),
            other: bucket(other),
        }
    }
}

fn bucket(per_second: NonZeroU32) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new(per_second.get() / 5).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst))
}

impl fmt::Debug for AccountLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountLimits").finish_non_exhaustive()
    }
}

/// Which bucket an operation is taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    GetFunction,
    Other,
}

/// How often each operation was sent, further attempts included.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<BTreeMap<String, u64>>>);

impl Calls {
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, operation: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(operation.to_owned()).or_default() += 1;
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(operation) = config.load::<Metadata>() {
            self.count(operation.name());
        }
        Ok(())
    }
}

/// A 429 goes up at once: the vendor's retries would ignore its `Retry-After`.
#[derive(Debug)]
struct ThrottlingIsOurs;

impl ClassifyRetry for ThrottlingIsOurs {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().map(|answer| answer.status().as_u16()) {
            Some(429) => RetryAction::RetryForbidden,
            Some(_) | None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ThrottlingIsOurs"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// The client and the account's quota.
#[derive(Clone, Debug)]
pub(super) struct Lambda {
    pub(super) sdk: Client,
    limits: Arc<AccountLimits>,
    pub(super) calls: Calls,
}

impl Lambda {
    pub(super) async fn new(
        region: String,
        endpoint: Option<Url>,
        credentials: AwsCredentials,
        limits: Arc<AccountLimits>,
    ) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts());
        loader = match credentials {
            AwsCredentials::Chain { profile: None } => loader,
            AwsCredentials::Chain {
                profile: Some(profile),
            } => loader.profile_name(profile),
            AwsCredentials::Fixed {
                access_key_id,
                secret_access_key,
            } => {
                let secret = secret_access_key.expose_secret();
                loader.credentials_provider(Credentials::new(
                    access_key_id,
                    secret,
                    None,
                    None,
                    "configuration",
                ))
            }
        };
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let calls = Calls::default();
        let config = aws_sdk_lambda::config::Builder::from(&loader.load().await)
            .interceptor(calls.clone())
            .retry_classifier(ThrottlingIsOurs)
            .build();
        Self {
            sdk: Client::from_conf(config),
            limits,
            calls,
        }
    }

    /// Waits until the account's quota has room for one more call.
    pub(super) async fn turn(&self, class: Class) {
        match class {
            Class::GetFunction => self.limits.get_function.until_ready().await,
            Class::Other => self.limits.other.until_ready().await,
        };
    }
}

/// An upload of 50 MB at 1 MB/s fits in an attempt; everything else is answered in milliseconds.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(60))
        .operation_timeout(Duration::from_secs(150))
        .build()
}

/// What a call concerns, for its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) operation: &'a str,
    pub(super) resource: &'a str,
}

/// Whether the answer was "there is no such thing".
pub(super) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(404)
}

/// Whether the answer was "there is one already", or "not now".
pub(super) fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(409)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// Sorts an error of the vendor's client by what happens next.
pub(super) fn sorted<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(failed) => refused(asked, failed.err(), failed.raw()),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => unsent(asked, error),
        SdkError::TimeoutError(_) => unreachable(asked, "no answer in time".to_owned()),
        // Only `ResponseError` is left: an answer that could not be read.
        other => unreachable(asked, causes(other)),
    }
}

fn refused<E: ProvideErrorMetadata>(
    asked: Asked<'_>,
    error: &E,
    answer: &HttpResponse,
) -> CloudError {
    let cloud = CloudName::Aws;
    let operation = format!("{} of `{}`", asked.operation, asked.resource);
    let resource = asked.resource.to_owned();
    let code = error.code().unwrap_or("Unknown");
    let message = format!("{code}: {}", error.message().unwrap_or("no message"));
    match answer.status().as_u16() {
        429 => CloudError::Throttled {
            cloud,
            retry_after: retry_after(answer),
        },
        // 404: it went away since we looked. 409: an update runs. 412: somebody changed it since we looked. All: look again.
        404 | 409 | 412 => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        401 | 403 => CloudError::Denied {
            cloud,
            operation,
            message,
        },
        400 if needs_person(code, &message) => CloudError::Denied {
            cloud,
            operation,
            message,
        },
        500.. => unreachable(asked, message),
        _ => CloudError::Invalid {
            cloud,
            operation,
            message,
        },
    }
}

/// Refusals that Lambda words as a bad request, though a change of quota or permission is what helps.
fn needs_person(code: &str, message: &str) -> bool {
    code == "CodeStorageExceededException"
        || (message.contains("role") && message.contains("assume"))
}

fn retry_after(answer: &HttpResponse) -> Duration {
    let seconds = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.trim().parse().ok());
    seconds.map_or(Duration::from_secs(1), Duration::from_secs)
}

/// No request left this machine: the network is down, or the vendor's chain found no credentials.
fn unsent<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let message = causes(error);
    if message.contains("credential") || message.contains("identity") {
        return CloudError::Denied {
            cloud: CloudName::Aws,
            operation: format!("{} of `{}`", asked.operation, asked.resource),
            message: format!("{message}; give the daemon an AWS profile or role"),
        };
    }
    unreachable(asked, message)
}

fn unreachable(asked: Asked<'_>, message: String) -> CloudError {
    CloudError::Unreachable {
        cloud: CloudName::Aws,
        operation: format!("{} of `{}`", asked.operation, asked.resource),
        message,
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
