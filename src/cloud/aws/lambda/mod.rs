//! The vendor's client, held to the account's quota.

/// Every item of a list, page after page, each in its turn.
macro_rules! pages {
    ($lambda:expr, $call:expr, $items:ident) => {{
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            $lambda.turn(Class::Other).await;
            match $call().set_marker(marker).send().await {
                Ok(page) => {
                    all.extend(page.$items.unwrap_or_default());
                    marker = page.next_marker.filter(|marker| !marker.is_empty());
                    if marker.is_none() {
                        break Ok(all);
                    }
                }
                Err(error) => break Err(error),
            }
        }
    }};
}

mod account;
mod aliases;
mod beside;
mod concurrency;
mod functions;
mod invoke;
mod policies;
mod signed;
mod sources;
mod statement;
mod urls;
mod written;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_lambda::{
    Client,
    config::{
        AppName, BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
        interceptors::{
            BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
        },
        retry::{ClassifyRetry, RetryAction, RetryConfig},
        timeout::TimeoutConfig,
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::{
    orchestrator::Metadata,
    retries::{RequestAttempts, classifiers::RetryClassifierPriority},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub use self::account::limits::{AccountLimits, Quotas};
use self::account::{errors::told_to_wait, limits::Class};
pub(super) use self::{
    account::{
        errors::{has_run_out, run_out},
        ways_out::{of_states, with_help},
    },
    aliases::{Pointing, Share},
    beside::{
        buckets::Buckets,
        events::Events,
        log_groups::LogGroups,
        monitoring::Monitoring,
        roles::{Role, Roles},
        topics::{Subscribed, Topics},
        trail::Trail,
    },
    functions::{Change, Code, Function},
    invoke::Answered,
    policies::{is_of_url, permit_url},
    signed::{Asking, Said, Signed},
    statement::{Policy, Sayable, Statement, texts},
    urls::Address,
};
use super::told::deeds::AGENT;
use crate::{
    cloud::{turns::Heard, unseen::Unseen},
    manifest::spec::Assume,
};

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

/// What the vendor's client sends again by itself waits for no turn; it takes one, so that those who come later wait for it. And every
/// answer teaches.
#[derive(Debug)]
struct Attempts(Arc<AccountLimits>);

impl Attempts {
    fn class(config: &ConfigBag) -> Option<Class<'_>> {
        config
            .load::<Metadata>()
            .and_then(|it| Class::of(it.name()))
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = config.load::<RequestAttempts>();
        if let Some(class) = Self::class(config)
            && attempts.is_some_and(|it| it.attempts() > 1)
        {
            self.0.take(class);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some((class, answer)) = Self::class(config).zip(context.response()) else {
            return Ok(());
        };
        match answer.status().as_u16() {
            429 => self.0.heard(class, Heard::TooMany(told_to_wait(answer))),
            200..=299 => self.0.heard(class, Heard::Taken),
            _ => {}
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
    sdk: Client,
    limits: Arc<AccountLimits>,
    pub(super) calls: Calls,
    signed: Signed,
    /// Of Lambda itself; what stands around it has the same in its clients.
    unseen: Unseen,
}

impl Lambda {
    pub(super) async fn new(
        region: String,
        endpoint: Option<Url>,
        credentials: AwsCredentials,
        assume: Option<&Assume>,
        limits: Arc<AccountLimits>,
    ) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts());
        // The log of calls tells by it which were ours.
        if let Ok(name) = AppName::new(AGENT) {
            loader = loader.app_name(name);
        }
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
        if let Some(endpoint) = &endpoint {
            loader = loader.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let calls = Calls::default();
        let base = loader.load().await;
        let shared = match assume {
            None => base,
            Some(assume) => account::assumed::assumed(base, assume).await,
        };
        let signed = Signed::new(&shared, endpoint, calls.clone(), Arc::clone(&limits));
        let config = aws_sdk_lambda::config::Builder::from(&shared)
            .interceptor(calls.clone())
            .interceptor(Attempts(Arc::clone(&limits)))
            .retry_classifier(ThrottlingIsOurs)
            .build();
        Self {
            sdk: Client::from_conf(config),
            limits,
            calls,
            signed,
            unseen: Unseen::default(),
        }
    }

    /// Any other service, as the same person.
    pub(super) fn signed(&self) -> Signed {
        self.signed.clone()
    }

    /// EventBridge, as the same person.
    pub(super) fn events(&self) -> Events {
        Events(self.signed.clone())
    }

    /// SNS, as the same person.
    pub(super) fn topics(&self) -> Topics {
        Topics(self.signed.clone())
    }

    /// S3, as the same person.
    pub(super) fn buckets(&self) -> Buckets {
        Buckets(self.signed.clone())
    }

    /// IAM, as the same person.
    pub(super) fn roles(&self) -> Roles {
        Roles(self.signed.clone())
    }

    /// CloudTrail, as the same person.
    pub(super) fn trail(&self) -> Trail {
        Trail(self.signed.clone())
    }

    /// CloudWatch, as the same person.
    pub(super) fn monitoring(&self) -> Monitoring {
        Monitoring(self.signed.clone())
    }

    /// CloudWatch Logs, as the same person.
    pub(super) fn log_groups(&self) -> LogGroups {
        LogGroups(self.signed.clone())
    }

    /// Waits until the account's quota has room for one more call.
    async fn turn(&self, class: Class<'_>) {
        self.limits.turn(class).await;
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
