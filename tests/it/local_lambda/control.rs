//! States, conflicts, revisions, versions, aliases, paging: as the real service answers.

use aws_sdk_lambda::{
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::{AliasRoutingConfiguration, FunctionVersion, LastUpdateStatus, State},
};

use super::{Cloud, Package, options, refusal};

fn echo(text: &str) -> Package {
    Package::python(&format!(
        "def handler(event, context):\n    return '{text}'\n"
    ))
}

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
async fn aliases_are_checked_as_the_real_ones_are() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &echo("a")).await;
    let first = cloud.publish("stock").await;
    let update = cloud
        .client
        .update_function_configuration()
        .function_name("stock")
        .description("x");
    update.send().await.unwrap();
    cloud.settle("stock").await;
    cloud.publish("stock").await;
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:stock";
    let cases: [(&str, &str, &[(&str, f64)], u16, &str, &str); 8] = [
        (
            "a",
            "1",
            &[("1", 0.5)],
            400,
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
        (
            "a",
            "1",
            &[("2", 0.1), ("3", 0.1)],
            400,
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            "a",
            "1",
            &[("2", 2.0)],
            400,
            "ValidationException",
            "Value '{2=2.0}'",
        ),
        (
            "a",
            "1",
            &[("$LATEST", 0.5)],
            400,
            "ValidationException",
            "Value '{$LATEST=0.5}'",
        ),
        (
            "a",
            "$LATEST",
            &[("1", 0.5)],
            400,
            "InvalidParameterValueException",
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        (
            "a",
            "10",
            &[],
            404,
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:111122223333:function:stock:10",
        ),
        (
            "a",
            "1",
            &[("10", 0.5)],
            404,
            "ResourceNotFoundException",
            "stock:10",
        ),
        (
            "12",
            "1",
            &[],
            400,
            "ValidationException",
            "Value '12' at 'name'",
        ),
    ];
    for (name, version, weights, status, code, message) in cases {
        let weights = weights
            .iter()
            .map(|(version, weight)| ((*version).to_owned(), *weight))
            .collect();
        let routing = AliasRoutingConfiguration::builder()
            .set_additional_version_weights(Some(weights))
            .build();
        let request = cloud
            .client
            .create_alias()
            .function_name("stock")
            .name(name);
        let told = refusal(
            request
                .function_version(version)
                .routing_config(routing)
                .send()
                .await,
        );
        assert_eq!((told.0, told.1.as_str()), (status, code), "{told:?}");
        assert!(told.2.contains(message), "{told:?}");
    }
    cloud.alias("stock", "blue", &first).await;
    let seen = cloud
        .client
        .get_function()
        .function_name("stock")
        .qualifier("blue")
        .send()
        .await
        .unwrap();
    assert_eq!(
        seen.configuration().unwrap().function_arn(),
        Some(format!("{arn}:blue").as_str())
    );
    assert_eq!(seen.configuration().unwrap().version(), Some("1"));
    let used = cloud
        .client
        .delete_function()
        .function_name("stock")
        .qualifier("1")
        .send()
        .await;
    assert_eq!(refusal(used).0, 409);
    let delete = || {
        cloud
            .client
            .delete_alias()
            .function_name("stock")
            .name("blue")
            .send()
    };
    delete().await.unwrap();
    delete().await.unwrap();
    let gone = refusal(
        cloud
            .client
            .get_alias()
            .function_name("stock")
            .name("blue")
            .send()
            .await,
    );
    assert_eq!(gone.2, format!("Cannot find alias arn: {arn}:blue"));
}

#[tokio::test]
async fn weights_share_the_calls() {
    let cloud = Cloud::start(options()).await;
    cloud
        .create(
            "stock",
            &Package::python(
                "import os\ndef handler(event, context):\n    return context.function_version\n",
            ),
        )
        .await;
    cloud.publish("stock").await;
    let update = cloud
        .client
        .update_function_configuration()
        .function_name("stock")
        .description("x");
    update.send().await.unwrap();
    cloud.settle("stock").await;
    cloud.publish("stock").await;
    cloud.alias("stock", "live", "1").await;
    let set = |weight: Option<f64>| {
        let weights = weight
            .map(|weight| ("2".to_owned(), weight))
            .into_iter()
            .collect();
        let routing = AliasRoutingConfiguration::builder()
            .set_additional_version_weights(Some(weights))
            .build();
        cloud
            .client
            .update_alias()
            .function_name("stock")
            .name("live")
            .routing_config(routing)
            .send()
    };
    for (weight, least, most) in [(Some(0.5), 20, 80), (Some(1.0), 100, 100), (None, 0, 0)] {
        set(weight).await.unwrap();
        let mut second = 0;
        for _ in 0..100 {
            let (version, _) = cloud.invoke("stock:live", "{}").await;
            second += u32::from(version == "\"2\"");
        }
        assert!(
            (least..=most).contains(&second),
            "{second} of 100 with {weight:?}"
        );
    }
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

#[tokio::test]
async fn what_lambda_refuses_is_refused_in_its_words() {
    let cloud = Cloud::start(options()).await;
    let sound = echo("a");
    let request = || sound.request(&cloud.client, "stock");
    let broken = aws_sdk_lambda::types::FunctionCode::builder()
        .zip_file(Blob::new("not a zip"))
        .build();
    let large = aws_sdk_lambda::types::FunctionCode::builder()
        .zip_file(Blob::new(vec![0; 52_428_801]))
        .build();
    let variables = [("BIG".to_owned(), "x".repeat(5000))].into_iter().collect();
    let big = aws_sdk_lambda::types::Environment::builder()
        .set_variables(Some(variables))
        .build();
    let cases = [
        (
            request().role("r1"),
            400,
            "ValidationException",
            "Value 'r1' at 'role'",
        ),
        (
            request().runtime("python1".into()),
            400,
            "InvalidParameterValueException",
            "Value python1 at 'runtime' failed",
        ),
        (
            request().memory_size(64),
            400,
            "ValidationException",
            "'memorySize'",
        ),
        (
            request().timeout(901),
            400,
            "ValidationException",
            "'timeout'",
        ),
        (
            request().code(broken),
            400,
            "InvalidParameterValueException",
            "Could not unzip uploaded file.",
        ),
        (
            request().code(large),
            413,
            "RequestEntityTooLargeException",
            "Zipped size must be smaller than 52428800 bytes",
        ),
        (
            request().environment(big),
            400,
            "InvalidParameterValueException",
            "exceeded the 4KB limit",
        ),
        (
            request().function_name("a".repeat(65)),
            400,
            "InvalidParameterValueException",
            "less than or equal to 64",
        ),
        (
            request().function_name("my-function!"),
            400,
            "ValidationException",
            "Value 'my-function!' at 'functionName'",
        ),
    ];
    for (request, status, code, message) in cases {
        let told = refusal(request.send().await);
        assert_eq!((told.0, told.1.as_str()), (status, code), "{told:?}");
        assert!(told.2.contains(message), "{told:?}");
        assert!(
            !told.2.contains("xxxx"),
            "a value of the environment is told"
        );
    }
    let missing = cloud
        .client
        .get_function()
        .function_name("absent")
        .send()
        .await
        .unwrap_err();
    let text = "Function not found: arn:aws:lambda:us-east-1:111122223333:function:absent";
    assert_eq!(missing.message(), Some(text));
}

#[tokio::test]
async fn tags_policies_and_concurrency_are_kept() {
    let cloud = Cloud::start(options()).await;
    let client = &cloud.client;
    echo("a")
        .request(client, "stock")
        .tags("verdigris:owner", "verdigris")
        .send()
        .await
        .unwrap();
    cloud.settle("stock").await;
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:stock";
    client
        .tag_resource()
        .resource(arn)
        .tags("verdigris:release", "sha256:1")
        .send()
        .await
        .unwrap();
    client
        .untag_resource()
        .resource(arn)
        .tag_keys("verdigris:owner")
        .send()
        .await
        .unwrap();
    let seen = client
        .get_function()
        .function_name(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(seen.tags().unwrap().len(), 1);
    assert_eq!(seen.tags().unwrap()["verdigris:release"], "sha256:1");
    let zip = reqwest::get(seen.code().unwrap().location().unwrap())
        .await
        .unwrap();
    assert_eq!(zip.bytes().await.unwrap(), echo("a").zip);

    client
        .publish_version()
        .function_name("stock")
        .send()
        .await
        .unwrap();
    cloud.alias("stock", "blue", "1").await;
    cloud.open("stock", "blue").await;
    let policy = client
        .get_policy()
        .function_name("stock")
        .qualifier("blue")
        .send()
        .await
        .unwrap();
    assert!(
        policy
            .policy()
            .unwrap()
            .contains("lambda:InvokedViaFunctionUrl")
    );
    let remove = client
        .remove_permission()
        .function_name("stock")
        .qualifier("blue");
    remove.clone().statement_id("url").send().await.unwrap();
    assert_eq!(
        refusal(remove.statement_id("url").send().await).2,
        "Statement url is not found in resource policy."
    );
    assert_eq!(
        refusal(client.get_policy().function_name("stock").send().await).0,
        404
    );

    client
        .put_function_concurrency()
        .function_name("stock")
        .reserved_concurrent_executions(0)
        .send()
        .await
        .unwrap();
    let throttled = refusal(client.invoke().function_name("stock").send().await);
    assert_eq!(
        (throttled.0, throttled.1.as_str()),
        (429, "TooManyRequestsException")
    );
    client
        .delete_function_concurrency()
        .function_name("stock")
        .send()
        .await
        .unwrap();
    assert_eq!(cloud.invoke("stock", "{}").await.0, "\"a\"");
}

#[tokio::test]
async fn an_event_source_mapping_follows_an_alias() {
    let cloud = Cloud::start(options()).await;
    let client = &cloud.client;
    cloud.create("stock", &echo("a")).await;
    cloud.publish("stock").await;
    cloud.alias("stock", "blue", "1").await;
    let queue = "arn:aws:sqs:us-east-1:111122223333:orders";
    let create = || {
        client
            .create_event_source_mapping()
            .event_source_arn(queue)
            .function_name("stock:blue")
    };
    let made = create().batch_size(5).send().await.unwrap();
    assert_eq!(made.state(), Some("Creating"));
    assert_eq!(refusal(create().send().await).0, 409);
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let id = made.uuid().unwrap();
    let update = client
        .update_event_source_mapping()
        .uuid(id)
        .enabled(false)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (update.state(), update.batch_size()),
        (Some("Updating"), Some(5))
    );
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let list = client
        .list_event_source_mappings()
        .function_name("stock:blue")
        .send()
        .await
        .unwrap();
    assert_eq!(list.event_source_mappings()[0].state(), Some("Disabled"));
    client
        .delete_event_source_mapping()
        .uuid(id)
        .send()
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(
        refusal(client.get_event_source_mapping().uuid(id).send().await).0,
        404
    );
}
