//! An account of AWS: its functions and one queue.

use std::{
    collections::BTreeMap, num::NonZeroU32, panic::AssertUnwindSafe, process::Stdio, sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::Client;
use futures_util::FutureExt as _;
use tokio::process::Command;
use url::Url;
use verdigris::{
    cloud::aws::{AccountLimits, AwsCredentials, AwsOptions, Quotas},
    manifest::spec::{AwsTarget, Role},
    name::EnvironmentName,
};

use super::{
    Account, Budget, budget::Price, needed, prune_all, run_name, try_the_contract, variables,
};
use crate::{
    cloud_aws::OnAws,
    cloud_contract::{
        Server, Subject,
        peers::{self, ACCOUNT},
        release::{Place, ROLE},
    },
    peers::program,
};

/// Functions that nobody calls cost nothing; what polls their queues does: <https://aws.amazon.com/sqs/pricing/>.
const PRICE: Price = Price {
    once: 0.05,
    hourly: 0.05,
};

/// Where, and as whom.
struct Wanted {
    region: String,
    role: String,
    /// Of what stands in for the cloud.
    stand_in: Option<Url>,
}

impl Wanted {
    fn read(variables: &BTreeMap<String, String>) -> Result<Self, String> {
        Ok(Self {
            region: needed(
                variables,
                "VERDIGRIS_REAL_AWS_REGION",
                "where the functions are made: eu-west-1",
            )?,
            role: needed(
                variables,
                "VERDIGRIS_REAL_AWS_ROLE",
                "the ARN of the role that the functions get: it has AWSLambdaSQSQueueExecutionRole",
            )?,
            stand_in: None,
        })
    }
}

struct OnAccount {
    on: Arc<OnAws>,
    wanted: Wanted,
    place: Place,
}

impl OnAccount {
    /// The one queue that the functions of this run read is made here: an account has others, with somebody's messages.
    async fn new(wanted: Wanted, quotas: Quotas) -> Self {
        let name = run_name();
        let place = Place {
            environment: name.clone(),
            role: wanted.role.clone(),
            queue: name.clone(),
        };
        let target = AwsTarget {
            region: wanted.region.clone(),
            role: Role::Given(wanted.role.clone()),
            assume: None,
        };
        let environment = EnvironmentName::new(name).unwrap();
        let limits = Arc::new(AccountLimits::new(quotas));
        let mut options = AwsOptions::new(environment, target, limits);
        options.details_for = Duration::ZERO;
        if let Some(stand_in) = &wanted.stand_in {
            options.endpoint = Some(stand_in.clone());
            options.credentials = AwsCredentials::Fixed {
                access_key_id: ACCOUNT.to_owned(),
                secret_access_key: "test".to_owned().into(),
            };
        }
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(wanted.region.clone()));
        if let Some(stand_in) = &wanted.stand_in {
            let credentials =
                aws_sdk_lambda::config::Credentials::new(ACCOUNT, "test", None, None, "test");
            config = config
                .endpoint_url(stand_in.as_str().trim_end_matches('/'))
                .credentials_provider(credentials);
        }
        let hand = Client::new(&config.load().await);
        let account = Self {
            on: Arc::new(OnAws::of(options, hand, place.clone()).await),
            wanted,
            place,
        };
        let queue = &account.place.queue;
        let asked = ["sqs", "create-queue", "--queue-name", queue];
        let made = account.command_line(&asked).await;
        assert!(made.is_some(), "the queue `{queue}` could not be made");
        account
    }

    /// What the vendor's command line says; nothing where it fails.
    async fn command_line(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program("aws"));
        command
            .args(arguments)
            .args(["--region", &self.wanted.region, "--output", "text"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        if let Some(stand_in) = &self.wanted.stand_in {
            command
                .args(["--endpoint-url", stand_in.as_str()])
                .env("AWS_ACCESS_KEY_ID", ACCOUNT)
                .env("AWS_SECRET_ACCESS_KEY", "test");
        }
        let output = command.output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// Functions of this run, whoever made them.
    async fn functions(&self) -> Vec<String> {
        let pages = self.on.hand.list_functions().into_paginator().items();
        let all = pages.send().collect::<Result<Vec<_>, _>>().await.unwrap();
        let prefix = format!("{}-", self.place.environment);
        let names = all.into_iter().filter_map(|it| it.function_name);
        names.filter(|name| name.starts_with(&prefix)).collect()
    }

    async fn queues(&self) -> Vec<String> {
        let queue = &self.place.queue;
        let asked = ["sqs", "list-queues", "--queue-name-prefix", queue];
        self.listed(&asked, "QueueUrls[]").await
    }

    /// Lambda makes one for each function that somebody calls.
    async fn log_groups(&self) -> Vec<String> {
        let prefix = format!("/aws/lambda/{}-", self.place.environment);
        let option = "--log-group-name-prefix";
        let asked = ["logs", "describe-log-groups", option, &prefix];
        self.listed(&asked, "logGroups[].logGroupName").await
    }

    /// The names below `query`; where they cannot be listed, what was asked stands for them.
    async fn listed(&self, asked: &[&str], query: &str) -> Vec<String> {
        let asked = [asked, &["--query", query]].concat();
        let told = self.command_line(&asked);
        let told = told.await.unwrap_or_else(|| asked.join("-"));
        let words = told.split_whitespace();
        words
            .filter(|it| *it != "None")
            .map(str::to_owned)
            .collect()
    }
}

#[async_trait]
impl Account for OnAccount {
    fn subject(&self) -> Arc<dyn Subject> {
        self.on.clone()
    }

    async fn clean_up(&self) -> Vec<String> {
        let mut left = prune_all(self.on.cloud()).await;
        for name in self.functions().await {
            let deleted = self.on.hand.delete_function().function_name(&name).send();
            left.extend(deleted.await.err().map(|error| format!("{name}: {error}")));
        }
        for url in self.queues().await {
            let asked = ["sqs", "delete-queue", "--queue-url", &url];
            self.command_line(&asked).await;
        }
        for name in self.log_groups().await {
            let asked = ["logs", "delete-log-group", "--log-group-name", &name];
            self.command_line(&asked).await;
        }
        left.extend(self.functions().await);
        left.extend(self.queues().await);
        left.extend(self.log_groups().await);
        left
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "asks a real account and costs money: see CONTRIBUTING.md"]
async fn the_contract_holds_on_aws() {
    let variables = variables();
    let budget = Budget::read(&variables, PRICE).unwrap_or_else(|told| panic!("{told}"));
    let wanted = Wanted::read(&variables).unwrap_or_else(|told| panic!("{told}"));
    let account = OnAccount::new(wanted, Quotas::default()).await;
    try_the_contract(&account, Server::Aws, budget).await;
}

async fn on_moto(peer: &peers::Peer) -> OnAccount {
    let plenty = NonZeroU32::new(10_000).unwrap();
    let wanted = Wanted {
        region: "eu-west-1".to_owned(),
        role: ROLE.to_owned(),
        stand_in: Some(peer.endpoint.clone()),
    };
    let quotas = Quotas {
        get_function: plenty,
        other: plenty,
    };
    OnAccount::new(wanted, quotas).await
}

async fn is_empty(account: &OnAccount) -> bool {
    account.functions().await.is_empty() && account.queues().await.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_an_account_leaves_nothing_behind() {
    let peer = peers::moto().await;
    let account = on_moto(&peer).await;
    assert!(!is_empty(&account).await, "the queue was made");
    let budget = Budget::of(Duration::from_secs(600));
    try_the_contract(&account, Server::Aws, budget).await;
    assert!(is_empty(&account).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_an_account_that_is_ended_leaves_nothing_behind() {
    let peer = peers::moto().await;
    let account = on_moto(&peer).await;
    // Not enough for a single case on each of its services.
    let budget = Budget::of(Duration::from_millis(500));
    let tried = AssertUnwindSafe(try_the_contract(&account, Server::Aws, budget));
    let told = tried.catch_unwind().await.unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    assert!(told.contains("the run was ended after 500ms"), "{told}");
    assert!(is_empty(&account).await);
}

#[test]
fn what_a_run_on_aws_needs_is_told_by_name() {
    let told = Wanted::read(&BTreeMap::new()).err().unwrap();
    assert!(
        told.starts_with("VERDIGRIS_REAL_AWS_REGION is not set"),
        "{told}"
    );
}
