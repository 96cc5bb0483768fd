//! The AWS cloud and the fake, held to the contract; and what only AWS promises.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{FunctionCode, Runtime},
};
use url::Url;
use verdigris::{
    cloud::{
        Cloud,
        aws::{AccountLimits, AwsCloud, AwsCredentials, AwsOptions, Quotas},
        fake::{FakeCloud, HandEdit, Operation},
    },
    manifest::spec::AwsTarget,
    name::{CloudName, EnvironmentName, FunctionName, ServiceKey, Slot},
};

use crate::cloud_contract::{
    Edit, Subject, holds_on,
    peers::{self, Peer},
    release::{ENVIRONMENT, Fixture, ROLE, stock},
};

const REGION: &str = "eu-west-1";

pub(crate) fn aws(endpoint: &Url, details_for: Duration) -> AwsOptions {
    let target = AwsTarget {
        region: REGION.to_owned(),
        role: ROLE.to_owned(),
    };
    let plenty = NonZeroU32::new(10_000).unwrap();
    let limits = Arc::new(AccountLimits::new(Quotas {
        get_function: plenty,
        other: plenty,
    }));
    let environment = EnvironmentName::new(ENVIRONMENT).unwrap();
    AwsOptions {
        endpoint: Some(endpoint.clone()),
        credentials: AwsCredentials::Fixed {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned().into(),
        },
        details_for,
        ..AwsOptions::new(environment, target, limits)
    }
}

/// The AWS cloud against some Lambda server.
struct OnAws {
    cloud: AwsCloud,
    hand: Client,
    known_wrong: &'static [(&'static str, &'static str)],
    _peer: Peer,
}

impl OnAws {
    async fn new(peer: Peer, known_wrong: &'static [(&'static str, &'static str)]) -> Self {
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(peer.endpoint.as_str().trim_end_matches('/'))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        Self {
            cloud: AwsCloud::new(aws(&peer.endpoint, Duration::from_secs(300))).await,
            hand: Client::from_conf(config.build()),
            known_wrong,
            _peer: peer,
        }
    }

    async fn make_foreign(&self, name: &str) {
        let zip = FunctionCode::builder().zip_file(Blob::new(
            *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ));
        let made = self
            .hand
            .create_function()
            .function_name(name)
            .runtime(Runtime::Python311)
            .handler("theirs.handler")
            .role(ROLE)
            .code(zip.build())
            .send();
        made.await.unwrap();
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
        writes(&self.cloud.calls())
    }

    fn known_wrong(&self) -> &'static [(&'static str, &'static str)] {
        self.known_wrong
    }
}

/// Operations that are not plainly reading.
fn writes(calls: &BTreeMap<String, u64>) -> u64 {
    let reads = |name: &str| name.starts_with("Get") || name.starts_with("List");
    let writing = calls.iter().filter(|(name, _)| !reads(name));
    writing.map(|(_, count)| count).sum()
}

/// The fake: its hand edits are its own.
struct OnFake(FakeCloud);

#[async_trait]
impl Subject for OnFake {
    fn cloud(&self) -> &dyn Cloud {
        &self.0
    }

    async fn edit(&self, service: &ServiceKey, edit: Edit) {
        self.0.edit(
            service,
            match edit {
                Edit::GreenOnBlue(_) => HandEdit::Swap,
                Edit::LoseOnBlue(function) => HandEdit::Tear {
                    slot: Slot::Blue,
                    function,
                },
                Edit::Foreign(function) => HandEdit::Foreign(function),
            },
        );
    }

    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool {
        let scope = verdigris::observed::Scope {
            service: service.clone(),
            functions: [function.clone()].into(),
        };
        !self.0.observe(&scope).await.unwrap().foreign.is_empty()
    }

    fn writes(&self) -> u64 {
        self.0.counts().changes
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    for name in CloudName::ALL {
        holds_on(Arc::new(OnFake(FakeCloud::new(name)))).await;
    }
}

#[tokio::test]
async fn aws_keeps_the_contract_on_moto() {
    let subject = OnAws::new(peers::moto().await, MOTO_IS_WRONG);
    holds_on(Arc::new(subject.await)).await;
}

#[tokio::test]
async fn aws_keeps_the_contract_on_ministack() {
    let subject = OnAws::new(peers::ministack().await, &[]);
    holds_on(Arc::new(subject.await)).await;
}

const MOTO_IS_WRONG: &[(&str, &str)] = &[];

#[tokio::test]
async fn looking_again_costs_two_calls_a_function() {
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
    assert_eq!(after, BTreeMap::from([("GetFunction".to_owned(), 2)]));
}

#[tokio::test]
async fn the_fake_counts_what_was_asked_of_it() {
    let fake = FakeCloud::new(CloudName::Aws);
    let fixture = Fixture::new(0);
    fake.observe(&fixture.scope()).await.unwrap();
    assert_eq!(
        fake.counts().calls,
        BTreeMap::from([(Operation::Observe, 1)])
    );
}
