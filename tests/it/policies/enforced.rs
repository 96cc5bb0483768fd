//! With nothing but what `deploy/` gives it the daemon does all that it does, and without one statement of it says what is missing.
//!
//! The guard that stands before each server is told the policy as somebody would fill it in. moto can guard itself, too, but knows of most
//! calls no resource, so that a policy which names some allows nothing, and takes the signatures of reading calls of Lambda for wrong.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use url::Url;

use super::aws::{NAMED_GROUPS, around, filled, life};
use crate::{
    cloud_aws::{
        duties::Local,
        {OnAws, aws},
    },
    cloud_contract::{Server, holds_on, peers},
    peers::model::Checker,
};

/// Statements that are needed for what goes through a bucket only.
const OF_PACKAGES: &str = "LargePackages";

/// Lives that are led at once.
const AT_ONCE: usize = 3;

fn file(name: &str) -> Value {
    let text = std::fs::read_to_string(format!("deploy/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// With the one of the extras that our own calls need.
fn policy() -> Value {
    let (mut policy, extras) = (file("aws-policy"), file("aws-policy-extras"));
    let mut extras = extras["Statement"].as_array().unwrap().iter();
    let named_groups = extras.find(|it| it["Sid"] == NAMED_GROUPS).unwrap();
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.push(named_groups.clone());
    policy
}

fn names() -> Vec<String> {
    let policy = policy();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let names = statements.map(|it| it["Sid"].as_str().unwrap().to_owned());
    names.collect()
}

/// In front of a server, with the policy as it is but for one statement.
async fn guard(upstream: &Url, without: Option<&str>) -> Checker {
    let mut policy = policy();
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.retain(|it| it["Sid"].as_str() != without);
    Checker::guarding(upstream, &filled(&policy)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_on_moto_with_nothing_but_our_policy() {
    let peer = peers::moto().await;
    let guard = guard(&peer.endpoint, None).await;
    let on = OnAws::with(aws(&guard.address, Duration::ZERO), &peer.endpoint).await;
    holds_on(Server::Moto, Arc::new(on)).await;
    assert!(guard.end().await.len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_needs_nothing_but_our_policy() {
    let local = Local::at_once().await;
    let before = guard(&local.endpoint.url, None).await;
    life(&before.address, &local.endpoint.url).await;
    assert!(before.end().await.len() > 100);
    let peer = peers::moto().await;
    peers::create_bucket(&peer.endpoint, "packages").await;
    let before = guard(&peer.endpoint, None).await;
    around(&before.address).await;
    assert!(!before.end().await.is_empty());
}

/// What the life says where it ends early.
async fn ends_with(life: impl Future<Output = ()>) -> Option<String> {
    let ended = AssertUnwindSafe(life).catch_unwind().await.err()?;
    let told = ended.downcast::<String>();
    told.ok().map(|it| *it)
}

async fn told_without(statement: &str) -> Option<String> {
    if statement == OF_PACKAGES {
        let peer = peers::moto().await;
        peers::create_bucket(&peer.endpoint, "packages").await;
        let guard = guard(&peer.endpoint, Some(statement)).await;
        return ends_with(around(&guard.address)).await;
    }
    let local = Local::at_once().await;
    let guard = guard(&local.endpoint.url, Some(statement)).await;
    let life = Box::pin(life(&guard.address, &local.endpoint.url));
    ends_with(life).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_statement_the_daemon_says_what_is_missing() {
    let names = names();
    let lives = names
        .iter()
        .map(async |name| (name, Box::pin(told_without(name)).await));
    let told: Vec<_> = stream::iter(lives).buffered(AT_ONCE).collect().await;
    assert!(told.len() >= 13);
    for (name, told) in told {
        let told = told.unwrap_or_else(|| panic!("nobody misses {name}"));
        let says = |part: &str| assert!(told.contains(part), "without {name}: {told}");
        says("Denied {");
        match name.as_str() {
            NAMED_GROUPS => says("`deploy/aws-policy-extras.json` has "),
            _ => says("`deploy/aws-policy.json` has "),
        }
    }
}
