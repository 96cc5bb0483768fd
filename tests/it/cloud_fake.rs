//! The fake keeps the contract, and misbehaves as told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};
use url::Url;
use verdigris::{
    cloud::{
        Cloud, CloudError,
        fake::{FakeCloud, Fault, HandEdit, Operation},
    },
    name::{CloudName, FunctionName, ServiceKey, Slot},
    observed::{Scope, SlotContent},
};

use crate::cloud_contract::{
    Edit, Server, Subject, holds_on,
    release::{Fixture, stock},
};

/// The fake: its hand edits are its own.
struct OnFake(FakeCloud);

#[async_trait]
impl Subject for OnFake {
    fn cloud(&self) -> &dyn Cloud {
        &self.0
    }

    async fn edit(&self, service: &ServiceKey, edit: Edit) {
        let edit = match edit {
            Edit::GreenOnBlue(_) => HandEdit::Swap,
            Edit::LoseOnBlue(function) => HandEdit::Tear {
                slot: Slot::Blue,
                function,
            },
            Edit::Foreign(function) => HandEdit::Foreign(function),
        };
        self.0.edit(service, edit);
    }

    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool {
        let scope = Scope {
            service: service.clone(),
            functions: [function.clone()].into(),
            called: Default::default(),
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
        let server = match name {
            CloudName::Aws => Server::Fake,
            CloudName::Azure => Server::FakeOfSlots,
        };
        holds_on(server, Arc::new(OnFake(FakeCloud::new(name)))).await;
    }
}

#[tokio::test]
async fn the_chosen_call_goes_wrong_and_no_other() {
    let (fake, fixture) = (FakeCloud::new(CloudName::Aws), Fixture::new(0));
    let scope = fixture.scope();
    let wait = Duration::from_secs(3);
    fake.fault(Operation::Observe, 2, Fault::Throttle(wait));
    fake.fault(
        Operation::Observe,
        3,
        Fault::Fail(CloudError::Denied {
            cloud: CloudName::Aws,
            operation: "observe".to_owned(),
            message: "no".to_owned(),
        }),
    );
    let mut reasons = Vec::new();
    for _ in 0..4 {
        let seen = fake.observe(&scope).await;
        reasons.push(seen.map_or_else(|error| error.reason(), |_| "fine"));
    }
    assert_eq!(reasons, ["fine", "Throttled", "AccessDenied", "fine"]);
    fake.inventory().await.unwrap();
    let counts = BTreeMap::from([(Operation::Observe, 4), (Operation::Inventory, 1)]);
    assert_eq!(fake.counts().calls, counts);
    assert_eq!(fake.counts().changes, 0);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_work_done() {
    let (fake, fixture) = (FakeCloud::new(CloudName::Azure), Fixture::new(0));
    let one = fixture.release("one");
    fake.fault(Operation::Stage, 1, Fault::LoseReply);
    let staged = fake.stage(&one.release, &one.package).await;
    assert!(matches!(staged, Err(CloudError::Unreachable { .. })));
    let green = fake.observe(&fixture.scope()).await.unwrap().green;
    assert!(green.holds(one.release.digest));
}

#[tokio::test]
async fn hung_and_slow_calls_wait() {
    let (fake, fixture) = (FakeCloud::new(CloudName::Azure), Fixture::new(0));
    let scope = fixture.scope();
    let a_while = Duration::from_millis(100);
    fake.hang(true);
    assert!(timeout(a_while, fake.observe(&scope)).await.is_err());
    fake.hang(false);
    fake.slow(Duration::from_millis(20));
    fake.fault(
        Operation::Observe,
        1,
        Fault::Slow(Duration::from_millis(50)),
    );
    let start = Instant::now();
    fake.observe(&scope).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(70));
    fake.fault(Operation::Observe, 1, Fault::Hang);
    assert!(timeout(a_while, fake.observe(&scope)).await.is_err());
}

#[tokio::test]
async fn a_promotion_can_undo_itself_after_a_while() {
    let (fake, fixture) = (FakeCloud::new(CloudName::Azure), Fixture::new(0));
    let (one, scope) = (fixture.release("one"), fixture.scope());
    fake.revert_promotions_after(Some(Duration::from_secs(2)));
    fake.stage(&one.release, &one.package).await.unwrap();
    fake.promote(&scope, one.release.digest).await.unwrap();
    let blue = fake.observe(&scope).await.unwrap().blue;
    assert!(blue.holds(one.release.digest));
    sleep(Duration::from_secs(2)).await;
    let seen = fake.observe(&scope).await.unwrap();
    assert_eq!(seen.blue, SlotContent::Empty);
    assert!(seen.green.holds(one.release.digest));
}

#[tokio::test]
async fn fields_and_addresses_are_as_told() {
    let (fake, fixture) = (FakeCloud::new(CloudName::Aws), Fixture::new(0));
    let (one, scope) = (fixture.release("one"), fixture.scope());
    let address = Url::parse("http://127.0.0.1:9/").unwrap();
    fake.answer_at(Slot::Green, address.clone());
    fake.stage(&one.release, &one.package).await.unwrap();
    fake.edit(
        &fixture.service,
        HandEdit::Field {
            slot: Slot::Green,
            path: "stock.memory".to_owned(),
            value: Some("512".to_owned()),
        },
    );
    let green = fake.observe(&scope).await.unwrap().green;
    let holding = green.holding().unwrap();
    assert_eq!(holding.fields["stock.memory"], "512");
    assert_eq!(holding.addresses, [(stock(), address)].into());
}
