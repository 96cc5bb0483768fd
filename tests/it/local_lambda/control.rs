//! States, conflicts, revisions, versions, paging: as the real service answers.

use aws_sdk_lambda::{
    primitives::Blob,
    types::{FunctionVersion, LastUpdateStatus, State},
};

use super::{Cloud, echo, options, refusal};

#[tokio::test]
async fn a_function_is_pending_before_it_is_active_under_another_revision() {
    let cloud = Cloud::start(options()).await;
    let created = echo("a")
        .request(&cloud.client, "stock")
        .publish(true)
        .send()
        .await
        .unwrap();
    assert_eq!(created.state(), Some(&State::Pending));
    assert_eq!(created.last_update_status(), None);
    assert_eq!(created.version(), Some("1"));
    assert_eq!(
        created.function_arn(),
        Some("arn:aws:lambda:us-east-1:111122223333:function:stock")
    );
    let early = cloud.client.invoke().function_name("stock").send().await;
    assert_eq!(refusal(early).0, 409);
    let update = cloud
        .client
        .update_function_configuration()
        .function_name("stock")
        .send()
        .await;
    assert_eq!(refusal(update).1, "ResourceConflictException");
    cloud.settle("stock").await;
    let active = cloud
        .client
        .get_function_configuration()
        .function_name("stock")
        .send()
        .await
        .unwrap();
    assert_ne!(active.revision_id(), created.revision_id());
    assert_eq!(
        active.last_update_status(),
        Some(&LastUpdateStatus::Successful)
    );
    let again = echo("a").request(&cloud.client, "stock").send().await;
    assert_eq!(
        refusal(again),
        (
            409,
            "ResourceConflictException".into(),
            "Function already exist: stock".into()
        )
    );
}

#[tokio::test]
async fn one_update_runs_at_a_time_and_the_old_code_serves_meanwhile() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &echo("old")).await;
    let update = || {
        let request = cloud.client.update_function_code().function_name("stock");
        request.zip_file(Blob::new(echo("new").zip)).publish(true)
    };
    let told = update().send().await.unwrap();
    assert_eq!(
        (told.version(), told.state()),
        (Some("1"), Some(&State::Pending))
    );
    assert!(told.function_arn().unwrap().ends_with(":stock:1"));
    let busy = "The operation cannot be performed at this time. An update is in progress for resource: arn:aws:lambda:us-east-1:111122223333:function:stock";
    let expected = (409, "ResourceConflictException".to_owned(), busy.to_owned());
    assert_eq!(refusal(update().send().await), expected);
    assert_eq!(
        refusal(
            cloud
                .client
                .publish_version()
                .function_name("stock")
                .send()
                .await
        ),
        expected
    );
    assert_eq!(cloud.invoke("stock", "{}").await.0, "\"old\"");
    cloud.settle("stock").await;
    assert_eq!(cloud.invoke("stock", "{}").await.0, "\"new\"");
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &echo("a")).await;
    let client = &cloud.client;
    let version = cloud.publish("stock").await;
    cloud.alias("stock", "blue", &version).await;
    let stale = "stale";
    let codes = [
        client
            .update_function_code()
            .function_name("stock")
            .zip_file(Blob::new(echo("b").zip))
            .revision_id(stale)
            .send()
            .await
            .map_err(|e| refusal::<(), _>(Err(e)))
            .unwrap_err(),
        client
            .update_function_configuration()
            .function_name("stock")
            .revision_id(stale)
            .send()
            .await
            .map_err(|e| refusal::<(), _>(Err(e)))
            .unwrap_err(),
        client
            .publish_version()
            .function_name("stock")
            .revision_id(stale)
            .send()
            .await
            .map_err(|e| refusal::<(), _>(Err(e)))
            .unwrap_err(),
        client
            .update_alias()
            .function_name("stock")
            .name("blue")
            .revision_id(stale)
            .send()
            .await
            .map_err(|e| refusal::<(), _>(Err(e)))
            .unwrap_err(),
    ];
    for (status, code, _) in codes {
        assert_eq!(
            (status, code.as_str()),
            (412, "PreconditionFailedException")
        );
    }
}

#[tokio::test]
async fn publishing_the_same_again_makes_no_version() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &echo("a")).await;
    let publish = || cloud.client.publish_version().function_name("stock");
    let first = publish().send().await.unwrap();
    let second = publish().send().await.unwrap();
    assert_eq!(
        (first.version(), first.revision_id()),
        (second.version(), second.revision_id())
    );
    let wrong = refusal(publish().code_sha256("wrong").send().await);
    assert_eq!(
        (wrong.0, wrong.1.as_str()),
        (400, "InvalidParameterValueException")
    );
    assert!(
        wrong
            .2
            .starts_with("CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST (")
    );
    let describe = cloud
        .client
        .update_function_configuration()
        .function_name("stock");
    describe.description("other").send().await.unwrap();
    cloud.settle("stock").await;
    assert_eq!(cloud.publish("stock").await, "2");
    // A number is never used twice.
    cloud
        .client
        .delete_function()
        .function_name("stock")
        .qualifier("2")
        .send()
        .await
        .unwrap();
    assert_eq!(cloud.publish("stock").await, "3");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let cloud = Cloud::start(options()).await;
    for index in 0..5 {
        echo("a")
            .request(&cloud.client, &format!("f{index}"))
            .publish(true)
            .send()
            .await
            .unwrap();
    }
    let names = |all: bool, size: i32| {
        let version = all.then_some(FunctionVersion::All);
        let request = cloud.client.list_functions().set_function_version(version);
        let pages = request.into_paginator().page_size(size).items().send();
        async move {
            let functions = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
            let arn = |f: &aws_sdk_lambda::types::FunctionConfiguration| {
                f.function_arn().unwrap()[47..].to_owned()
            };
            functions.iter().map(arn).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(false, 2).await, ["f0", "f1", "f2", "f3", "f4"]);
    let all = names(true, 3).await;
    assert_eq!(all.len(), 10);
    assert_eq!(all[..4], ["f0:$LATEST", "f0:1", "f1:$LATEST", "f1:1"]);
}
