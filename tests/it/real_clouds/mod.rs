//! The contract of every cloud on the real ones, for a person who asks and pays for it: CONTRIBUTING.md tells how, below "On real clouds".
//!
//! What a run makes carries the run's own name, and is deleted at its end, however it ends. That this is so is tried in every run of the
//! tests, on servers that stand in for the clouds.

mod aws;
mod azure;
mod budget;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use verdigris::{cloud::Cloud, observed::Scope};

use self::budget::Budget;
use crate::cloud_contract::{Server, Subject, holds_on};

/// Where the contract is tried.
#[async_trait]
trait Account {
    fn subject(&self) -> Arc<dyn Subject>;

    /// Deletes what this run made; names what is still there.
    async fn clean_up(&self) -> Vec<String>;
}

/// How the cases ended.
enum Ended {
    Held,
    Failed(String),
    /// They would have cost more than was allowed.
    TooLong,
    /// By Ctrl-C.
    Stopped,
}

/// How often what is left is looked for: a call that was under way when the cases were ended may have come after.
const SWEEPS: usize = 2;

async fn try_the_contract(account: &dyn Account, server: Server, budget: Budget) {
    let ended = ended(account, server, budget).await;
    let mut left = Vec::new();
    for _ in 0..SWEEPS {
        left = account.clean_up().await;
    }
    assert!(left.is_empty(), "delete by hand:\n{}", left.join("\n"));
    match ended {
        Ended::Held => {}
        Ended::Failed(told) => panic!("{told}"),
        Ended::TooLong => panic!("the run was ended {budget}; nothing is left of it"),
        Ended::Stopped => panic!("the run was stopped; nothing is left of it"),
    }
}

async fn ended(account: &dyn Account, server: Server, budget: Budget) -> Ended {
    let cases = AssertUnwindSafe(holds_on(server, account.subject())).catch_unwind();
    tokio::select! {
        ended = cases => match ended {
            Ok(()) => Ended::Held,
            Err(panic) => Ended::Failed(
                panic.downcast::<String>().map_or_else(|_| "a case failed".to_owned(), |told| *told),
            ),
        },
        () = tokio::time::sleep(budget.lasts) => Ended::TooLong,
        _ = tokio::signal::ctrl_c() => Ended::Stopped,
    }
}

/// Everything of ours, by our own way of taking it away; names what could not be.
async fn prune_all(cloud: &dyn Cloud) -> Vec<String> {
    let owned = match cloud.inventory().await {
        Ok(owned) => owned,
        Err(error) => return vec![format!("what carries our tags: {error}")],
    };
    let mut left = Vec::new();
    for it in owned {
        let scope = Scope {
            service: it.service,
            functions: it.functions,
            called: Default::default(),
        };
        if let Err(error) = cloud.prune(&scope).await {
            left.push(format!("{}: {error}", scope.service));
        }
    }
    left
}

/// A name that no earlier run had; all of them begin alike.
fn run_name() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("vgcontract{}", &random[..6])
}

/// What the environment says. An empty variable is none.
fn variables() -> BTreeMap<String, String> {
    std::env::vars()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// A variable that must be there, and what it is for.
fn needed(variables: &BTreeMap<String, String>, name: &str, what: &str) -> Result<String, String> {
    let value = variables.get(name).cloned();
    value.ok_or_else(|| format!("{name} is not set: it says {what}"))
}
