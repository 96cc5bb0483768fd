//! Services that all change at once, on local clouds that refuse every call beyond the published limits: how much of what the limits
//! allow is used, and how many calls were one too many.
//!
//! The endpoints have threads of their own, and every release is packed before: else whoever counts calls would stand still while a
//! thousand packages are made, and count those in a bunch that were sent in their time. It fails where one call was refused, or less than
//! 95 % of what is allowed was used: on Azure that takes some hundred services, since a swap is waited for after the last call.
//!
//! And how many calls it takes to look at a fleet in which nothing happens, as the daemon does again and again.
//!
//! `VERDIGRIS_BENCH_CHANGED` (1000), `VERDIGRIS_BENCH_SWEPT` (10000) and `VERDIGRIS_BENCH_CHANGED_AZURE` (150) say how many; `0` leaves
//! that out.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;
#[expect(dead_code, reason = "the contract's cases use the rest of it")]
#[path = "../it/cloud_contract/release.rs"]
mod release;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use kit::{line, setting, title};
use release::{ENVIRONMENT, Fixture, Made, ROLE, reorder};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    cloud::{
        Cloud, CloudError,
        aws::{AccountLimits, AwsCloud, AwsCredentials, AwsOptions, Quotas},
        azure::{
            AzureCloud, AzureLimiter, AzureLimits, AzureOptions, AzureRates, CredentialChoice,
        },
    },
    local::{
        arm::{self, ArmOptions, RateLimits},
        lambda::{self, CallQuotas, LambdaOptions},
    },
    manifest::spec::{AwsTarget, AzurePlan, AzureTarget, Role},
    name::EnvironmentName,
    observed::Scope,
    rollout::intent::Response,
};

/// For what is not measured.
const UNLIMITED: Quotas = Quotas {
    get_function: PLENTY,
    other: PLENTY,
};

const PLENTY: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

#[tokio::main]
async fn main() {
    let stop = CancellationToken::new();
    let changed = setting("VERDIGRIS_BENCH_CHANGED", 1_000);
    if changed > 0 {
        aws(changed, &stop).await;
    }
    let looked_at = setting("VERDIGRIS_BENCH_SWEPT", 10_000);
    if looked_at > 0 {
        swept(looked_at, &stop).await;
    }
    let changed = setting("VERDIGRIS_BENCH_CHANGED_AZURE", 150);
    if changed > 0 {
        azure(changed, &stop).await;
    }
    stop.cancel();
}

/// Asks again as the daemon does, and counts how often the cloud asked to slow down.
async fn patiently<F: Future<Output = Result<(), CloudError>>>(ask: impl Fn() -> F) -> u64 {
    let mut throttled = 0;
    loop {
        let Err(error) = ask().await else {
            return throttled;
        };
        throttled += u64::from(matches!(error, CloudError::Throttled { .. }));
        match error.response() {
            Response::RetryAfter(wait) => tokio::time::sleep(wait).await,
            Response::Retry => tokio::time::sleep(Duration::from_millis(500)).await,
            Response::CallPerson | Response::Reject => panic!("{error}"),
        }
    }
}

/// One release of each service.
fn releases(fixtures: &[Fixture], body: &str) -> Vec<Made> {
    let releases = fixtures.iter();
    releases
        .map(|it| it.release_of(body, &[reorder()]))
        .collect()
}

/// Stages and promotes one release of each service, all at once; tells how often the cloud asked to slow down.
async fn change(cloud: Arc<dyn Cloud>, releases: Vec<Made>) -> u64 {
    let mut all = JoinSet::new();
    for made in releases {
        let cloud = cloud.clone();
        all.spawn(async move {
            let scope = Scope {
                service: made.release.service.clone(),
                functions: [reorder()].into(),
                called: Default::default(),
            };
            // As the daemon does before every order.
            let look = || async { cloud.observe(&scope).await.map(drop) };
            patiently(&look).await;
            let staged = patiently(|| cloud.stage(&made.release, &made.package)).await;
            let release = made.release.digest;
            patiently(&look).await;
            staged + patiently(|| cloud.promote(&scope, release)).await
        });
    }
    all.join_all().await.into_iter().sum()
}

fn fixtures(services: usize) -> Vec<Fixture> {
    (0..services).map(Fixture::new).collect()
}

/// Starts an endpoint on threads of its own, which end with the process.
fn apart<T: Send + 'static>(start: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            sender.send(start.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

/// Our Lambda, on threads of its own.
fn local_aws(stop: &CancellationToken) -> lambda::LambdaEndpoint {
    let options = LambdaOptions {
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        ..LambdaOptions::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let started = lambda::start(address, options, Arc::new(SystemClock), stop.clone());
    apart(started).unwrap()
}

/// What a bucket that is full at the beginning allows in this time.
fn allowed(per_second: u32, at_once: u32, took: Duration) -> f64 {
    f64::from(at_once) + f64::from(per_second) * took.as_secs_f64()
}

/// Returns how much of what is allowed was used, in percent.
fn tell(calls: u64, allowed: f64, took: Duration, throttled: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
    let share = calls as f64 / allowed * 100.0;
    line("seconds until all are live", &took.as_secs().to_string());
    line(
        "calls of the class that is the narrowest",
        &calls.to_string(),
    );
    line(
        "… of those that it allows, in percent",
        &format!("{share:.1}"),
    );
    line("calls that were one too many", &throttled.to_string());
    assert_eq!(throttled, 0, "calls were one too many");
    share
}

async fn on_aws(endpoint: &lambda::LambdaEndpoint, quotas: Quotas) -> Arc<AwsCloud> {
    let target = AwsTarget {
        region: "eu-west-1".to_owned(),
        role: Role::Given(ROLE.to_owned()),
        assume: None,
    };
    let environment = EnvironmentName::new(ENVIRONMENT).unwrap();
    let options = AwsOptions {
        endpoint: Some(endpoint.url.clone()),
        credentials: AwsCredentials::Fixed {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned().into(),
        },
        ..AwsOptions::new(environment, target, Arc::new(AccountLimits::new(quotas)))
    };
    Arc::new(AwsCloud::new(options).await)
}

async fn aws(services: usize, stop: &CancellationToken) {
    title(&format!(
        "{services} services change at once on AWS: 15 calls a second, 100 of GetFunction"
    ));
    let endpoint = local_aws(stop);
    let fixtures = fixtures(services);
    let before = on_aws(&endpoint, UNLIMITED).await;
    change(before, releases(&fixtures, "one")).await;
    let releases = releases(&fixtures, "two");
    endpoint.limit(Some(CallQuotas::AWS));
    let cloud = on_aws(&endpoint, Quotas::default()).await;
    let start = Instant::now();
    change(cloud.clone(), releases).await;
    let took = start.elapsed();
    let calls: BTreeMap<String, u64> = cloud.calls();
    let narrow = calls.iter().filter(|(name, _)| *name != "GetFunction");
    let narrow = narrow.map(|(_, count)| count).sum();
    let share = tell(narrow, allowed(15, 0, took), took, endpoint.refused());
    assert!(share >= 95.0, "{share:.1} % of what is allowed was used");
}

/// Where calls are counted, and not made to wait.
async fn swept(services: usize, stop: &CancellationToken) {
    title(&format!("a look at {services} services on AWS"));
    let endpoint = local_aws(stop);
    let cloud = on_aws(&endpoint, UNLIMITED).await;
    let mut scopes = Vec::new();
    // Not all packages at once.
    for first in (0..services).step_by(200) {
        let numbers = first..services.min(first + 200);
        let fixtures: Vec<_> = numbers.map(Fixture::new).collect();
        change(cloud.clone(), releases(&fixtures, "one")).await;
        scopes.extend(fixtures.iter().map(|it| Scope {
            service: it.service.clone(),
            functions: [reorder()].into(),
            called: Default::default(),
        }));
    }
    let sweep = async |cloud: &Arc<AwsCloud>| {
        let before = cloud.calls();
        let mut looks = JoinSet::new();
        for scope in scopes.clone() {
            let cloud = cloud.clone();
            looks.spawn(async move { cloud.observe(&scope).await.map(drop) });
        }
        for looked in looks.join_all().await {
            looked.unwrap();
        }
        let told = cloud.calls().into_iter().filter_map(|(name, count)| {
            let new = count - before.get(&name).copied().unwrap_or_default();
            (new > 0).then(|| format!("{new} {name}"))
        });
        told.collect::<Vec<_>>().join(", ")
    };
    let fresh = on_aws(&endpoint, UNLIMITED).await;
    line("the first after a start", &sweep(&fresh).await);
    line("every further one", &sweep(&fresh).await);
}

fn on_azure(endpoint: &arm::ArmEndpoint, rates: AzureRates) -> Arc<AzureCloud> {
    let cloud = AzureCloud::new(AzureOptions {
        environment: EnvironmentName::new(ENVIRONMENT).unwrap(),
        target: AzureTarget {
            subscription: "00000000-0000-0000-0000-000000000001".to_owned(),
            resource_group: "shop".to_owned(),
            location: "westeurope".to_owned(),
            plan: AzurePlan("EP1".to_owned()),
            prefix: "vg".to_owned(),
            shared: verdigris::manifest::azure::AzureShared::default(),
        },
        endpoint: Some(endpoint.url.parse().unwrap()),
        authority: None,
        credential: CredentialChoice::Token("bench".into()),
        ca_file: None,
        limiter: Arc::new(AzureLimiter::new(rates)),
        limits: AzureLimits::default(),
    });
    Arc::new(cloud.unwrap())
}

/// The same releases without secrets, which people would have to put into a vault first.
fn open_releases(fixtures: &[Fixture], body: &str) -> Vec<Made> {
    let mut all = releases(fixtures, body);
    for made in &mut all {
        let content = Arc::make_mut(&mut made.release.content);
        content.env.remove("DB");
        made.release.digest = content.digest();
    }
    all
}

async fn azure(services: usize, stop: &CancellationToken) {
    title(&format!(
        "{services} services change at once on Azure: 10 writes a second after 200"
    ));
    let options = ArmOptions {
        idle_timeout: Some(Duration::from_secs(5)),
        // All start on this machine, and what is measured is the calls.
        start_timeout: Duration::from_secs(180),
        ..ArmOptions::default()
    };
    let any = "127.0.0.1:0".parse().unwrap();
    let started = arm::start(any, None, options, Arc::new(SystemClock), stop.clone());
    let endpoint = apart(started).unwrap();
    let fixtures = fixtures(services);
    let unlimited = AzureRates {
        reads_per_second: PLENTY,
        reads_at_once: PLENTY,
        writes_per_second: PLENTY,
        writes_at_once: PLENTY,
    };
    let before = on_azure(&endpoint, unlimited);
    // Their hosts start on this machine, which has no room for all at once.
    let mut first = open_releases(&fixtures, "one");
    while !first.is_empty() {
        let some = first.split_off(first.len().saturating_sub(20));
        change(before.clone(), some).await;
    }
    let releases = open_releases(&fixtures, "two");
    endpoint.limit(Some(RateLimits::AZURE));
    let cloud = on_azure(&endpoint, AzureRates::default());
    let start = Instant::now();
    change(cloud.clone(), releases).await;
    let took = start.elapsed();
    // A POST that reads counts as a write, as for Azure; packages go to another host.
    let calls = cloud.calls();
    let is_write = |name: &str| {
        let ends = ["put", "slotsswap", "start", "appsettings.list"];
        ends.iter().any(|end| name.ends_with(end))
    };
    let writes = calls.iter().filter(|(name, _)| is_write(name));
    let writes = writes.map(|(_, count)| count).sum();
    let share = tell(writes, allowed(10, 200, took), took, endpoint.refused());
    assert!(share >= 95.0, "{share:.1} % of what is allowed was used");
}
