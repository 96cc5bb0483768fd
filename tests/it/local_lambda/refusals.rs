//! What is refused, and what hangs on a function: tags, policies, concurrency, mappings.

use aws_sdk_lambda::{error::ProvideErrorMetadata as _, primitives::Blob};

use super::{Cloud, echo, options, refusal};

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
