//! What hangs on blue and nobody asked for: seen where it is told with what is asked, and taken away.

use std::time::Duration;

use aws_sdk_lambda::{Client, types::FunctionUrlAuthType};
use verdigris::{
    cloud::{Cloud as _, aws::AwsCloud},
    diff,
    name::{FunctionName, Slot},
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, fields, full, go_live, hand, lambda_name},
    },
    cloud_contract::{
        patient::Patient,
        release::{Fixture, Made, reorder, stock},
    },
};

struct Scene {
    local: Local,
    cloud: Patient<AwsCloud>,
    hand: Client,
    fixture: Fixture,
}

impl Scene {
    async fn new() -> Self {
        let local = Local::at_once().await;
        Self {
            cloud: Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await),
            hand: hand(&local.endpoint.url),
            fixture: Fixture::new(0),
            local,
        }
    }

    fn name(&self, function: &FunctionName) -> String {
        lambda_name(&self.fixture, function)
    }

    /// What blue has otherwise than the release asks for.
    async fn drift(&self, made: &Made) -> Vec<String> {
        let expected = self.cloud.expected(&made.release, made.package.code);
        let seen = fields(&self.cloud, &self.fixture, Slot::Blue).await;
        let drift = diff::fields(&expected, &seen);
        drift.iter().map(ToString::to_string).collect()
    }

    /// Told so, repaired, and quiet afterwards.
    async fn assert_seen_and_repaired(&self, made: &Made, told: &str) {
        let drift = self.drift(made).await;
        assert_eq!(drift, [told]);
        let repair = self.cloud.repair(&made.release, &made.package);
        repair.await.unwrap();
        assert_eq!(self.drift(made).await, [""; 0], "after {told}");
        let before = writes(&self.cloud);
        let repair = self.cloud.repair(&made.release, &made.package);
        repair.await.unwrap();
        assert_eq!(writes(&self.cloud), before, "twice {told}");
    }

    async fn permit(&self, function: &FunctionName, id: &str, principal: &str, is_url: bool) {
        let call = self
            .hand
            .add_permission()
            .function_name(self.name(function));
        let call = call.qualifier("blue").statement_id(id).principal(principal);
        let call = match is_url {
            true => call
                .action("lambda:InvokeFunctionUrl")
                .function_url_auth_type(FunctionUrlAuthType::None),
            false => call.action("lambda:InvokeFunction"),
        };
        call.send().await.unwrap();
    }
}

fn writes(cloud: &Patient<AwsCloud>) -> u64 {
    let reads = |name: &str| {
        ["Get", "List", "Describe"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    let calls = cloud.0.calls();
    let writing = calls.iter().filter(|(name, _)| !reads(name));
    writing.map(|(_, count)| count).sum()
}

#[tokio::test]
async fn a_function_that_was_switched_off_is_switched_on() {
    let scene = Scene::new().await;
    let plain = scene.fixture.release("plain");
    go_live(&scene.cloud, &scene.fixture, &plain).await;
    let off = scene.hand.put_function_concurrency();
    let off = off.function_name(scene.name(&stock()));
    off.reserved_concurrent_executions(0).send().await.unwrap();
    let told = "stock.concurrency.reserved is 0, and nobody asked for it";
    scene.assert_seen_and_repaired(&plain, told).await;
}

#[tokio::test]
async fn a_further_queue_is_taken_off_blue() {
    let scene = Scene::new().await;
    let plain = scene.fixture.release("plain");
    go_live(&scene.cloud, &scene.fixture, &plain).await;
    let queue = "arn:aws:sqs:eu-west-1:123456789012:theirs";
    let blue = format!("{}:blue", scene.name(&reorder()));
    for (function, is_on) in [(scene.name(&reorder()), true), (blue.clone(), false)] {
        let other = scene.hand.create_event_source_mapping();
        let other = other.function_name(function).event_source_arn(queue);
        other.enabled(is_on).send().await.unwrap();
        // One feeds nobody, and the other not blue.
        assert_eq!(scene.drift(&plain).await, [""; 0]);
    }
    let second = "arn:aws:sqs:eu-west-1:123456789012:second";
    let further = scene.hand.create_event_source_mapping();
    let further = further.function_name(blue).event_source_arn(second);
    further.send().await.unwrap();
    let told = "reorder.event.sqs.second is {\"batch\":10}, and nobody asked for it";
    scene.assert_seen_and_repaired(&plain, told).await;
}

#[tokio::test]
async fn whoever_may_call_blue_is_compared_by_all_that_the_policy_says() {
    let scene = Scene::new().await;
    let full = full(&scene.fixture, "full");
    go_live(&scene.cloud, &scene.fixture, &full).await;
    let name = scene.name(&reorder());
    // Somebody else's own trigger is theirs.
    scene
        .permit(&reorder(), "theirs", "apigateway.amazonaws.com", false)
        .await;
    assert_eq!(scene.drift(&full).await, [""; 0]);
    scene.permit(&reorder(), "open", "*", false).await;
    let told = r#"reorder.policy.open is {"principal":"*","action":"lambda:InvokeFunction"}, and nobody asked for it"#;
    scene.assert_seen_and_repaired(&full, told).await;
    // Nobody asked for a public address of a function that signs.
    scene.permit(&stock(), "url", "*", true).await;
    let told = r#"stock.policy.url is {"principal":"*","action":"lambda:InvokeFunctionUrl if lambda:functionurlauthtype is NONE"}, and nobody asked for it"#;
    scene.assert_seen_and_repaired(&full, told).await;
    let policy = scene.hand.get_policy().function_name(&name);
    let policy = policy.qualifier("blue").send().await.unwrap();
    let policy: serde_json::Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
    let own = policy["Statement"].as_array().unwrap().iter();
    let own = own.filter_map(|it| it["Sid"].as_str());
    let own: Vec<_> = own.filter(|it| it.contains("-bucket-")).collect();
    assert!(!own.is_empty(), "{policy}");
    for id in own {
        let gone = scene.hand.remove_permission().function_name(&name);
        gone.qualifier("blue")
            .statement_id(id)
            .send()
            .await
            .unwrap();
        scene.permit(&reorder(), id, "999999999999", false).await;
    }
    let drift = scene.drift(&full).await;
    let theirs = r#"reorder.permission.bucket is {"principal":"arn:aws:iam::999999999999:root","action":"lambda:InvokeFunction"}, not {"#;
    assert!(drift.iter().any(|it| it.starts_with(theirs)), "{drift:?}");
    let event = "reorder.event.s3.uploads is missing";
    assert!(drift.iter().any(|it| it.starts_with(event)), "{drift:?}");
    let repair = scene.cloud.repair(&full.release, &full.package);
    repair.await.unwrap();
    assert_eq!(scene.drift(&full).await, [""; 0]);
    drop(scene.local);
}

/// A function that answers HTTP no more lets nobody in by a URL that somebody makes later.
#[tokio::test]
async fn an_address_that_goes_takes_its_statements_along() {
    let scene = Scene::new().await;
    let public = scene.fixture.release("public");
    let inner = scene
        .fixture
        .release_with("inner", &[stock(), reorder()], |_, function| {
            function.http = None;
        });
    go_live(&scene.cloud, &scene.fixture, &public).await;
    let policy = || {
        let call = scene.hand.get_policy().function_name(scene.name(&stock()));
        call.qualifier("blue").send()
    };
    assert!(policy().await.is_ok());
    go_live(&scene.cloud, &scene.fixture, &inner).await;
    let left = policy().await.ok().and_then(|it| it.policy);
    let left = left.unwrap_or_default();
    assert!(!left.contains("verdigris-"), "{left}");
    assert_eq!(scene.drift(&inner).await, [""; 0]);
}

/// It leaves blue with the first release that does not have it, is the way back for one more, and goes with the next.
#[tokio::test]
async fn a_function_that_no_slot_needs_is_deleted_and_comes_back() {
    let scene = Scene::new().await;
    let one = scene.fixture.release("one");
    let less = |body: &str| scene.fixture.release_of(body, &[stock()]);
    let (two, three) = (less("two"), less("three"));
    let is_there = async || {
        let asked = scene.hand.get_function();
        let asked = asked.function_name(scene.name(&reorder())).send();
        asked.await.is_ok()
    };
    go_live(&scene.cloud, &scene.fixture, &one).await;
    for _ in 0..2 {
        go_live(&scene.cloud, &scene.fixture, &two).await;
        assert!(is_there().await, "it is the way back");
    }
    go_live(&scene.cloud, &scene.fixture, &three).await;
    assert!(!is_there().await, "nothing needs it");
    assert_eq!(scene.drift(&three).await, [""; 0]);
    let scope = scene.fixture.scope();
    let back = scene.cloud.promote(&scope, two.release.digest);
    back.await.unwrap();
    assert_eq!(scene.drift(&two).await, [""; 0]);
    go_live(&scene.cloud, &scene.fixture, &one).await;
    assert!(is_there().await, "it is made again");
    assert_eq!(scene.drift(&one).await, [""; 0]);
}
