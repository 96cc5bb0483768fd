//! Clouds that tell late what was written: our endpoints do so when they are told to, and what is ours comes to rest on them.

mod endpoints;
mod story;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use verdigris::{
    cloud::Cloud,
    local::faults::{Faults, Rule},
    name::{FunctionName, ServiceKey},
};

use crate::{
    cloud_aws::OnAws,
    cloud_azure,
    cloud_contract::{Edit, Server, Subject, holds_on, release},
    local_lambda,
    peers::model::tapped,
};

/// Each kind of read is late so often after each write.
fn late(reads: u32) -> Rule {
    Rule {
        stale_reads: Some(reads),
        ..Rule::of("*")
    }
}

/// A cloud on such an endpoint. What a person does by hand is known everywhere at once: nobody could tell it from what was before.
pub(crate) struct Late<S> {
    on: S,
    faults: Faults,
    reads: u32,
    hands: Mutex<()>,
}

impl<S> Late<S> {
    pub(crate) fn new(on: S, faults: Faults, reads: u32) -> Self {
        faults.set(vec![late(reads)]);
        Self {
            on,
            faults,
            reads,
            hands: Mutex::default(),
        }
    }

    async fn prompt<T>(&self, work: impl Future<Output = T>) -> T {
        let _alone = self.hands.lock().await;
        self.faults.clear();
        let done = work.await;
        self.faults.set(vec![late(self.reads)]);
        done
    }
}

#[async_trait]
impl<S: Subject> Subject for Late<S> {
    fn cloud(&self) -> &dyn Cloud {
        self.on.cloud()
    }

    async fn edit(&self, service: &ServiceKey, edit: Edit) {
        self.prompt(self.on.edit(service, edit)).await;
    }

    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool {
        self.prompt(self.on.foreign_is_there(service, function))
            .await
    }

    fn writes(&self) -> u64 {
        self.on.writes()
    }

    fn place(&self) -> release::Place {
        self.on.place()
    }
}

#[tokio::test]
async fn aws_keeps_the_contract_where_each_read_is_late_twice() {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let (ours, _tap) = tapped(local_lambda::options(), stop).await;
    let on = OnAws::at(&ours.url).await;
    let on = Late::new(on, ours.faults().clone(), 2);
    holds_on(Server::LocalLambda, Arc::new(on)).await;
    assert!(ours.stale_answers() > 100, "{}", ours.stale_answers());
}

#[tokio::test]
async fn azure_keeps_the_contract_where_each_read_is_late() {
    let told = cloud_azure::contract::holds_where_late("EP1", Server::LocalAzure).await;
    assert!(told > 50, "{told}");
}

#[tokio::test]
async fn two_apps_and_a_pointer_keep_the_contract_where_each_read_is_late() {
    let told = cloud_azure::contract::holds_where_late("FC1", Server::LocalFlex).await;
    assert!(told > 50, "{told}");
}

#[tokio::test]
async fn packages_at_an_address_keep_the_contract_where_each_read_is_late() {
    let told = cloud_azure::contract::holds_where_late("Y1", Server::LocalConsumption).await;
    assert!(told > 50, "{told}");
}
