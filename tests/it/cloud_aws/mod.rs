//! The AWS cloud, held to the contract on servers that are not ours; and what only AWS promises.

mod added;
mod called;
mod calls;
mod deeds;
pub(crate) mod duties;
mod events;
mod faults;
mod limits;
mod memory;
mod parts;
pub(crate) mod roles;
mod spare_roles;
mod tags;
mod updates;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{AliasRoutingConfiguration, FunctionCode, Runtime},
};
use tokio_util::sync::CancellationToken;
use url::Url;
use verdigris::{
    cloud::{
        Cloud,
        aws::{AccountLimits, AwsCloud, AwsCredentials, AwsOptions, Quotas},
    },
    local::lambda::LambdaOptions,
    manifest::spec::{AwsTarget, Role},
    name::{EnvironmentName, FunctionName, ServiceKey},
};

use crate::{
    cloud_contract::{
        Edit, Server, Subject, holds_on,
        patient::Patient,
        peers,
        release::{ENVIRONMENT, Fixture, Place, ROLE, stock, zip},
    },
    peers::model::tapped,
};

const REGION: &str = "eu-west-1";

pub(crate) fn aws(endpoint: &Url, details_for: Duration) -> AwsOptions {
    let plenty = NonZeroU32::new(10_000).unwrap();
    let quotas = Quotas {
        get_function: plenty,
        other: plenty,
    };
    within(quotas, endpoint, details_for)
}

fn within(quotas: Quotas, endpoint: &Url, details_for: Duration) -> AwsOptions {
    let target = AwsTarget {
        region: REGION.to_owned(),
        role: Role::Given(ROLE.to_owned()),
        assume: None,
    };
    let limits = Arc::new(AccountLimits::new(quotas));
    let environment = EnvironmentName::new(ENVIRONMENT).unwrap();
    AwsOptions {
        endpoint: Some(endpoint.clone()),
        credentials: AwsCredentials::Fixed {
            access_key_id: peers::ACCOUNT.to_owned(),
            secret_access_key: "test".to_owned().into(),
        },
        details_for,
        ..AwsOptions::new(environment, target, limits)
    }
}

/// The AWS cloud against some Lambda server, and a hand that edits past us.
pub(crate) struct OnAws {
    cloud: Patient<AwsCloud>,
    pub(crate) hand: Client,
    place: Place,
}

impl OnAws {
    /// With everything read anew each time, so that each case sees what is there.
    pub(crate) async fn at(endpoint: &Url) -> Self {
        Self::with(aws(endpoint, Duration::ZERO), endpoint).await
    }

    /// The hand needs nobody between itself and the endpoint.
    pub(crate) async fn with(options: AwsOptions, endpoint: &Url) -> Self {
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(endpoint.as_str().trim_end_matches('/'))
            .credentials_provider(Credentials::new(peers::ACCOUNT, "test", None, None, "test"));
        Self::of(options, Client::from_conf(config.build()), Place::default()).await
    }

    pub(crate) async fn of(options: AwsOptions, hand: Client, place: Place) -> Self {
        Self {
            cloud: Patient(AwsCloud::new(options).await),
            hand,
            place,
        }
    }

    async fn make_foreign(&self, name: &str) {
        let zip = FunctionCode::builder().zip_file(Blob::new(zip("theirs", &[], "")));
        let made = self
            .hand
            .create_function()
            .function_name(name)
            .runtime(Runtime::Python311)
            .handler("theirs.handler")
            .role(&self.place.role)
            .code(zip.build())
            .send();
        made.await.unwrap();
    }

    async fn split_blue(&self, name: &str) {
        let green = self.hand.get_alias().function_name(name).name("green");
        let version = green.send().await.unwrap().function_version.unwrap();
        let weights = AliasRoutingConfiguration::builder().additional_version_weights(version, 0.1);
        let blue = self.hand.update_alias().function_name(name).name("blue");
        let blue = blue.routing_config(weights.build());
        blue.send().await.unwrap();
    }

    async fn take_url_away(&self, name: &str) {
        let gone = self.hand.delete_function_url_config().function_name(name);
        gone.qualifier("blue").send().await.unwrap();
    }

    async fn take_permission_away(&self, name: &str, statement: &str) {
        let gone = self.hand.remove_permission().function_name(name);
        let gone = gone.qualifier("blue").statement_id(statement);
        gone.send().await.unwrap();
    }

    async fn put_green_on_blue(&self, name: &str) {
        let green = self.hand.get_alias().function_name(name).name("green");
        let version = green.send().await.unwrap().function_version.unwrap();
        let blue = self.hand.update_alias().function_name(name).name("blue");
        blue.function_version(version).send().await.unwrap();
    }
}

fn lambda_name(service: &ServiceKey, function: &FunctionName) -> String {
    format!("{}-{}-{function}", service.environment, service.service)
}

#[async_trait]
impl Subject for OnAws {
    fn cloud(&self) -> &dyn Cloud {
        &self.cloud
    }

    async fn edit(&self, service: &ServiceKey, edit: Edit) {
        match edit {
            Edit::GreenOnBlue(functions) => {
                for function in functions {
                    self.put_green_on_blue(&lambda_name(service, &function))
                        .await;
                }
            }
            Edit::LoseOnBlue(function) => {
                let name = lambda_name(service, &function);
                let gone = self.hand.delete_alias().function_name(name).name("blue");
                gone.send().await.unwrap();
            }
            Edit::Foreign(function) => self.make_foreign(&lambda_name(service, &function)).await,
        }
    }

    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool {
        let name = lambda_name(service, function);
        let found = self.hand.get_function().function_name(name).send().await;
        found.is_ok()
    }

    fn writes(&self) -> u64 {
        writes(&self.cloud.0.calls())
    }

    fn place(&self) -> Place {
        self.place.clone()
    }
}

/// Operations that are not plainly reading.
fn writes(calls: &BTreeMap<String, u64>) -> u64 {
    let reads = |name: &str| name.starts_with("Get") || name.starts_with("List");
    let writing = calls.iter().filter(|(name, _)| !reads(name));
    writing.map(|(_, count)| count).sum()
}

async fn keeps_the_contract(server: Server, peer: peers::Peer) {
    let on = OnAws::at(&peer.endpoint).await;
    holds_on(server, Arc::new(on)).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_moto() {
    keeps_the_contract(Server::Moto, peers::moto().await).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_ministack() {
    keeps_the_contract(Server::MiniStack, peers::ministack().await).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_localstack() {
    keeps_the_contract(Server::LocalStack, peers::localstack().await).await;
}

/// Lambda's own quota in front of each server, and our own knowledge of it in front of that.
async fn keeps_the_contract_within_the_quota(server: Server, peer: peers::Peer) {
    let front = peers::haproxy(&peer.endpoint).await;
    let options = within(Quotas::default(), &front.endpoint, Duration::ZERO);
    // A person's hand is not held to the quota: it must not use up what the case under test may spend.
    let on = OnAws::with(options, &peer.endpoint).await;
    holds_on(server, Arc::new(on)).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_moto_within_the_quota() {
    keeps_the_contract_within_the_quota(Server::Moto, peers::moto().await).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_ministack_within_the_quota() {
    keeps_the_contract_within_the_quota(Server::MiniStack, peers::ministack().await).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_localstack_within_the_quota() {
    keeps_the_contract_within_the_quota(Server::LocalStack, peers::localstack().await).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_our_local_lambda() {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let quick = LambdaOptions {
        pending: Duration::from_millis(100),
        ..LambdaOptions::default()
    };
    let (ours, _tap) = tapped(quick, stop).await;
    holds_on(Server::LocalLambda, Arc::new(OnAws::at(&ours.url).await)).await;
}

/// One release live, somebody's hand, and what must be seen before the repair and not after it.
#[tokio::test]
async fn edits_of_an_alias_are_seen_and_repaired() {
    let peer = peers::ministack().await;
    let on = OnAws::at(&peer.endpoint).await;
    let fixture = Fixture::new(0);
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    for made in [&one, &two] {
        let scope = fixture.scope();
        on.cloud.stage(&made.release, &made.package).await.unwrap();
        on.cloud.promote(&scope, made.release.digest).await.unwrap();
    }
    let name = lambda_name(&fixture.service, &stock());
    for (path, seen) in [("stock.traffic", Some("split")), ("stock.url", None)] {
        match path {
            "stock.url" => on.take_url_away(&name).await,
            _ => on.split_blue(&name).await,
        }
        let blue = on.cloud.observe(&fixture.scope()).await.unwrap().blue;
        let fields = &blue.holding().unwrap().fields;
        assert_eq!(fields.get(path).map(String::as_str), seen);
        let repair = on.cloud.repair(&two.release, &two.package);
        repair.await.unwrap();
        let blue = on.cloud.observe(&fixture.scope()).await.unwrap().blue;
        let expected = on.cloud.expected(&two.release, two.package.code);
        assert_eq!(blue.holding().unwrap().fields, expected);
    }
}

/// The URL is there and answers everyone with 403: nobody but its users would know.
#[tokio::test]
async fn a_permission_taken_away_is_seen_and_given_again() {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let options = LambdaOptions {
        pending: Duration::ZERO,
        ..LambdaOptions::default()
    };
    let (ours, _tap) = tapped(options, stop).await;
    let on = OnAws::at(&ours.url).await;
    let fixture = Fixture::new(0);
    let (one, scope) = (fixture.release("one"), fixture.scope());
    on.cloud.stage(&one.release, &one.package).await.unwrap();
    on.cloud.promote(&scope, one.release.digest).await.unwrap();
    let expected = on.cloud.expected(&one.release, one.package.code);
    let name = lambda_name(&fixture.service, &stock());
    let look = async || {
        let blue = on.cloud.observe(&scope).await.unwrap().blue;
        let holding = blue.holding().unwrap().clone();
        let url = holding.addresses[&stock()].join("stock/42").unwrap();
        let status = reqwest::get(url).await.unwrap().status().as_u16();
        (holding.fields, status)
    };
    assert_eq!(look().await, (expected.clone(), 200));
    for statement in ["verdigris-url-blue", "verdigris-invoke-blue"] {
        on.take_permission_away(&name, statement).await;
        let (fields, status) = look().await;
        assert_eq!(fields["stock.url"], "without permission", "{statement}");
        assert_eq!(status, 403, "{statement}");
        let repair = on.cloud.repair(&one.release, &one.package);
        repair.await.unwrap();
        assert_eq!(look().await, (expected.clone(), 200), "{statement}");
    }
}

#[tokio::test]
async fn each_slot_answers_with_its_own_release() {
    let peer = peers::ministack().await;
    let on = OnAws::at(&peer.endpoint).await;
    let fixture = Fixture::new(0);
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    on.cloud.stage(&one.release, &one.package).await.unwrap();
    let scope = fixture.scope();
    on.cloud.promote(&scope, one.release.digest).await.unwrap();
    on.cloud.stage(&two.release, &two.package).await.unwrap();
    let observed = on.cloud.observe(&scope).await.unwrap();
    for (slot, made, body) in [
        (&observed.blue, &one, "one"),
        (&observed.green, &two, "two"),
    ] {
        let url = &slot.holding().unwrap().addresses[&stock()];
        // The server routes by host name, and only the real cloud has that name in the DNS.
        let request = reqwest::Client::new()
            .get(peer.endpoint.join("/stock/42").unwrap())
            .header("host", url.host_str().unwrap());
        let answer = request.send().await.unwrap();
        let release = answer.headers()["x-verdigris-release"].to_str().unwrap();
        assert_eq!(release, made.release.digest.to_string());
        assert_eq!(answer.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn old_versions_go_and_those_in_use_stay() {
    let peer = peers::ministack().await;
    let options = AwsOptions {
        keep_versions: 2,
        ..aws(&peer.endpoint, Duration::from_secs(300))
    };
    let cloud = AwsCloud::new(options).await;
    let on = OnAws::at(&peer.endpoint).await;
    let fixture = Fixture::new(0);
    let mut scope = fixture.scope();
    scope.functions = [stock()].into();
    for round in 0..6 {
        let made = fixture.release_of(&format!("round {round}"), &[stock()]);
        cloud.stage(&made.release, &made.package).await.unwrap();
        if round < 2 {
            let release = made.release.digest;
            cloud.promote(&scope, release).await.unwrap();
        }
    }
    let name = lambda_name(&fixture.service, &stock());
    let listed = on.hand.list_versions_by_function().function_name(name);
    let versions = listed.send().await.unwrap().versions.unwrap();
    let numbers = versions.iter().filter_map(|it| it.version()?.parse().ok());
    // This server lists $LATEST under the number that was published last.
    let numbers: BTreeSet<u64> = numbers.collect();
    // Blue is at 2 and came from 1; the newest two are 5 and 6.
    assert_eq!(numbers, BTreeSet::from([1, 2, 5, 6]));
}

#[tokio::test]
async fn looking_again_costs_one_call_a_function() {
    let peer = peers::moto().await;
    let cloud = AwsCloud::new(aws(&peer.endpoint, Duration::from_secs(300))).await;
    let fixture = Fixture::new(0);
    let one = fixture.release_of("one", &[stock()]);
    cloud.stage(&one.release, &one.package).await.unwrap();
    let mut scope = fixture.scope();
    scope.functions = [stock()].into();
    cloud.promote(&scope, one.release.digest).await.unwrap();
    cloud.observe(&scope).await.unwrap();
    let before = cloud.calls();
    cloud.observe(&scope).await.unwrap();
    let mut after = cloud.calls();
    for (operation, count) in before {
        *after.entry(operation).or_default() -= count;
    }
    after.retain(|_, count| *count > 0);
    assert_eq!(after, BTreeMap::from([("GetFunction".to_owned(), 1)]));
}

#[tokio::test]
async fn calls_keep_to_the_quota_of_the_account() {
    let peer = peers::moto().await;
    let ten = NonZeroU32::new(10).unwrap();
    let options = AwsOptions {
        limits: Arc::new(AccountLimits::new(Quotas {
            get_function: ten,
            other: ten,
        })),
        ..aws(&peer.endpoint, Duration::ZERO)
    };
    // Two targets in one account share its quota.
    let clouds = [
        AwsCloud::new(options.clone()).await,
        AwsCloud::new(options).await,
    ];
    let start = tokio::time::Instant::now();
    for _ in 0..5 {
        let lists = clouds.iter().map(|cloud| cloud.inventory());
        futures_util::future::try_join_all(lists).await.unwrap();
    }
    // Ten calls: a burst of two, and eight at a tenth of a second each.
    assert!(start.elapsed() >= Duration::from_millis(780));
}
