//! The targets of every environment, with the clients and the rate limits that they share.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{sync::Mutex, time::Instant};
use url::{Host, Url};

use super::config::{AwsAccess, AwsCalls, AwsOwn, AzureAccess, AzureCalls};
use crate::{
    cloud::{
        SharedCloud,
        aws::{AccountLimits, AwsCloud, AwsCredentials, AwsOptions, Quotas},
        azure::{
            AzureCloud, AzureIdentity, AzureLimiter, AzureLimits, AzureOptions, AzureRates,
            CredentialChoice,
        },
    },
    manifest::spec::{Assume, AwsTarget, AzureTarget, Environment},
    name::{CloudName, EnvironmentName},
    rollout::intent::{Failure, Response},
};

/// What a local endpoint is given instead of credentials; it checks nothing.
const LOCAL_SECRET: &str = "local";

/// Calls a second where the quotas of the real clouds do not hold.
const LOCAL_RATE: u32 = 1000;

/// A target that nobody asked for in this time goes, with what it remembers: its environment is gone, or is another target by now. Every
/// service asks at each of its looks, once a minute unless the configuration says otherwise.
const UNASKED_MAX: Duration = Duration::from_secs(60 * 60);

/// Clients are made once per target, and kept as long as somebody asks for them.
#[derive(Debug)]
pub struct Clouds {
    aws: AwsAccess,
    azure: AzureAccess,
    identity: AzureIdentity,
    targets: Mutex<BTreeMap<TargetKey, Kept>>,
    accounts: std::sync::Mutex<BTreeMap<String, Arc<AccountLimits>>>,
    subscriptions: std::sync::Mutex<BTreeMap<String, Arc<AzureLimiter>>>,
}

/// An environment that moves to another region is another target.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum TargetKey {
    Aws(EnvironmentName, AwsTarget),
    Azure(EnvironmentName, Box<AzureTarget>),
}

#[derive(Debug)]
struct Kept {
    cloud: SharedCloud,
    asked_at: Instant,
}

impl Clouds {
    pub fn new(aws: AwsAccess, azure: AzureAccess, identity: AzureIdentity) -> Self {
        Self {
            aws,
            azure,
            identity,
            targets: Mutex::default(),
            accounts: std::sync::Mutex::default(),
            subscriptions: std::sync::Mutex::default(),
        }
    }

    /// The target of an environment on a cloud.
    ///
    /// # Errors
    ///
    /// An environment without that cloud, or access that is not usable.
    pub async fn target(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure> {
        let name = environment.name.clone();
        let key = match cloud {
            CloudName::Aws => environment
                .aws
                .clone()
                .map(|target| TargetKey::Aws(name, target)),
            CloudName::Azure => environment
                .azure
                .clone()
                .map(|target| TargetKey::Azure(name, Box::new(target))),
        };
        let key = key
            .ok_or_else(|| unusable(format!("environment {} has no {cloud}", environment.name)))?;
        let mut targets = self.targets.lock().await;
        let asked_at = Instant::now();
        targets.retain(|it, kept| *it == key || asked_at - kept.asked_at < UNASKED_MAX);
        if let Some(kept) = targets.get_mut(&key) {
            kept.asked_at = asked_at;
            return Ok(kept.cloud.clone());
        }
        let cloud = match key.clone() {
            TargetKey::Aws(environment, target) => self.new_aws(environment, target).await,
            TargetKey::Azure(environment, target) => self.new_azure(environment, *target)?,
        };
        let kept = Kept {
            cloud: cloud.clone(),
            asked_at,
        };
        targets.insert(key, kept);
        Ok(cloud)
    }

    async fn new_aws(&self, environment: EnvironmentName, target: AwsTarget) -> SharedCloud {
        let AwsOwn { profile, bucket } = self.aws.of(&environment);
        let endpoint = self.aws.endpoint.clone();
        let account = account_of(&target, profile.as_deref());
        let limits = self.account(account, &target.region, endpoint.as_ref());
        let mut options = AwsOptions::new(environment, target, limits);
        // A profile that somebody chose counts everywhere.
        options.credentials = if profile.is_none() && endpoint.as_ref().is_some_and(is_local) {
            let secret_access_key = SecretString::from(LOCAL_SECRET);
            AwsCredentials::Fixed {
                access_key_id: LOCAL_SECRET.to_owned(),
                secret_access_key,
            }
        } else {
            AwsCredentials::Chain { profile }
        };
        options.endpoint = endpoint;
        options.bucket = bucket;
        options.keep_versions = self.aws.keep_versions;
        Arc::new(AwsCloud::new(options).await)
    }

    fn new_azure(
        &self,
        environment: EnvironmentName,
        target: AzureTarget,
    ) -> Result<SharedCloud, Failure> {
        let chosen = self.azure.source(&environment);
        let AzureAccess {
            endpoint,
            authority,
            ca_file,
            identity: _,
            identities: _,
            calls: _,
        } = self.azure.clone();
        let is_local_http = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.scheme() == "http" && is_local(endpoint));
        let credential = match chosen {
            Some(source) => CredentialChoice::Only(source),
            None if is_local_http => CredentialChoice::Token(SecretString::from(LOCAL_SECRET)),
            None => CredentialChoice::Chain(self.identity.clone()),
        };
        let authority = authority.or_else(|| self.identity.authority.clone());
        let limiter = self.subscription(&target.subscription, endpoint.as_ref());
        let limits = AzureLimits::default();
        let options = AzureOptions {
            environment,
            target,
            endpoint,
            authority,
            credential,
            ca_file,
            limiter,
            limits,
        };
        let cloud = AzureCloud::new(options).map_err(|error| unusable(error.to_string()))?;
        Ok(Arc::new(cloud))
    }

    fn account(&self, account: &str, region: &str, endpoint: Option<&Url>) -> Arc<AccountLimits> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let quotas = || {
            let published = match (endpoint, NonZeroU32::new(LOCAL_RATE)) {
                (Some(endpoint), Some(rate)) if is_local(endpoint) => Quotas {
                    get_function: rate,
                    other: rate,
                },
                (_, _) => Quotas::default(),
            };
            let AwsCalls {
                get_function,
                other,
            } = self.aws.calls;
            Quotas {
                get_function: get_function.unwrap_or(published.get_function),
                other: other.unwrap_or(published.other),
            }
        };
        accounts
            .entry(format!("{account}/{region}"))
            .or_insert_with(|| Arc::new(AccountLimits::new(quotas())))
            .clone()
    }

    fn subscription(&self, subscription: &str, endpoint: Option<&Url>) -> Arc<AzureLimiter> {
        let mut subscriptions = self
            .subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rates = || match (endpoint, NonZeroU32::new(LOCAL_RATE)) {
            (Some(endpoint), Some(rate)) if is_local(endpoint) => AzureRates {
                reads_per_second: rate,
                reads_at_once: rate,
                writes_per_second: rate,
                writes_at_once: rate,
            },
            (_, _) => AzureRates::default(),
        };
        let rates = || chosen(rates(), self.azure.calls);
        subscriptions
            .entry(subscription.to_owned())
            .or_insert_with(|| Arc::new(AzureLimiter::new(rates())))
            .clone()
    }
}

/// Who may call less often may call less often at once, too.
fn chosen(published: AzureRates, calls: AzureCalls) -> AzureRates {
    let AzureRates {
        reads_per_second,
        reads_at_once,
        writes_per_second,
        writes_at_once,
    } = published;
    let share = |at_once: NonZeroU32, rate: NonZeroU32, of: NonZeroU32| {
        let part = u64::from(at_once.get()) * u64::from(rate.get()) / u64::from(of.get());
        let part = u32::try_from(part).ok().and_then(NonZeroU32::new);
        part.unwrap_or(NonZeroU32::MIN).min(at_once)
    };
    let reads = calls.reads.unwrap_or(reads_per_second);
    let writes = calls.writes.unwrap_or(writes_per_second);
    AzureRates {
        reads_per_second: reads,
        reads_at_once: share(reads_at_once, reads, reads_per_second),
        writes_per_second: writes,
        writes_at_once: share(writes_at_once, writes, writes_per_second),
    }
}

/// What the functions' quota is counted by: their account, by whatever way the daemon comes to it.
fn account_of<'a>(target: &'a AwsTarget, profile: Option<&'a str>) -> &'a str {
    let assumed = target.assume.as_ref().map(Assume::account);
    let told = [Some(target.account()), assumed, profile];
    let mut told = told.into_iter().flatten();
    told.find(|it| !it.is_empty()).unwrap_or_default()
}

/// An endpoint on this machine.
fn is_local(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn unusable(message: String) -> Failure {
    Failure {
        reason: "CloudNotConfigured".to_owned(),
        message,
        response: Response::CallPerson,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::spec::Role;

    fn clouds() -> Clouds {
        let aws = AwsAccess {
            endpoint: Some("http://127.0.0.1:9".parse().expect("an address")),
            ..AwsAccess::default()
        };
        Clouds::new(aws, AzureAccess::default(), AzureIdentity::default())
    }

    fn environment(name: &str, role: &str, assume: Option<&str>) -> Environment {
        let assume = assume.map(|role| Assume {
            role: role.to_owned(),
            external_id: None,
            session: None,
        });
        Environment {
            name: EnvironmentName::new(name).expect("a name"),
            aws: Some(AwsTarget {
                region: "eu-west-1".to_owned(),
                role: Role::Given(role.to_owned()),
                assume,
            }),
            azure: None,
            windows: Vec::new(),
            follows: None,
        }
    }

    #[tokio::test]
    async fn one_account_has_one_quota_however_the_daemon_comes_to_it() {
        let clouds = clouds();
        let functions = "arn:aws:iam::111111111111:role/functions";
        let daemon = "arn:aws:iam::111111111111:role/daemon";
        let other = "arn:aws:iam::222222222222:role/functions";
        let environments = [
            environment("dev", functions, None),
            environment("prod", functions, Some(daemon)),
            environment("other", other, None),
        ];
        for environment in &environments {
            let made = clouds.target(environment, CloudName::Aws).await;
            made.expect("a target");
        }
        let accounts = clouds.accounts.lock().expect("no panic");
        let accounts: Vec<_> = accounts.keys().map(String::as_str).collect();
        assert_eq!(
            accounts,
            ["111111111111/eu-west-1", "222222222222/eu-west-1"]
        );
    }

    #[test]
    fn who_leaves_calls_to_others_leaves_them_of_a_burst_too() {
        let calls = AzureCalls {
            reads: NonZeroU32::new(5),
            writes: None,
        };
        let standard = AzureRates::default();
        let AzureRates {
            reads_per_second,
            reads_at_once,
            writes_per_second,
            writes_at_once,
        } = chosen(standard, calls);
        assert_eq!((reads_per_second.get(), reads_at_once.get()), (5, 40));
        assert_eq!(writes_per_second, standard.writes_per_second);
        assert_eq!(writes_at_once, standard.writes_at_once);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_nobody_asks_for_goes() {
        let clouds = clouds();
        let ask = async |role: &str| {
            let environment = environment("prod", role, None);
            let made = clouds.target(&environment, CloudName::Aws).await;
            made.expect("a target");
            clouds.targets.lock().await.len()
        };
        let (before, after) = ("arn:aws:iam::1:role/before", "arn:aws:iam::1:role/after");
        ask(before).await;
        // Services move one after the other.
        assert_eq!(ask(after).await, 2);
        assert_eq!(ask(before).await, 2);
        for _ in 0..2 {
            tokio::time::advance(UNASKED_MAX / 2).await;
            ask(after).await;
        }
        assert_eq!(ask(after).await, 1);
    }
}
