//! What is refused, and what hangs on a function: tags, policies, concurrency, mappings.

use aws_sdk_lambda::{
    primitives::Blob,
    types::{Environment, FunctionCode},
};

use super::{Cloud, echo, options, refusal, told};

#[tokio::test]
async fn what_lambda_refuses_is_refused_in_its_words() {
    let cloud = Cloud::start(options()).await;
    let sound = echo("a");
    let request = || sound.request(&cloud.client, "stock");
    let code = |zip: &[u8]| FunctionCode::builder().zip_file(Blob::new(zip)).build();
    let variables = |name: &str, value: String| {
        let variables = [(name.to_owned(), value)].into_iter().collect();
        Environment::builder()
            .set_variables(Some(variables))
            .build()
    };
    let large = code(&vec![0; 52_428_801]);
    let cases = [
        (
            request().role("r1"),
            "400 ValidationException: 1 validation error detected: Value 'r1' at 'role'",
        ),
        (
            request().runtime("python1".into()),
            "400 InvalidParameterValueException: Value python1 at 'runtime' failed",
        ),
        (
            request().memory_size(64),
            "400 ValidationException: 1 validation error detected: Value '64' at 'memorySize'",
        ),
        (
            request().timeout(901),
            "400 ValidationException: 1 validation error detected: Value '901' at 'timeout'",
        ),
        (
            request().code(code(b"not a zip")),
            "400 InvalidParameterValueException: Could not unzip uploaded file.",
        ),
        (
            request().code(large),
            "413 RequestEntityTooLargeException: Zipped size must be smaller than 52428800 bytes",
        ),
        (
            request().environment(variables("BIG", "x".repeat(5000))),
            "400 InvalidParameterValueException: Lambda was unable to configure",
        ),
        (
            request().environment(variables("AWS_REGION", "x".into())),
            "400 InvalidParameterValueException: Lambda was unable to configure",
        ),
        (
            request().environment(variables("X", "x".into())),
            "400 ValidationException: ",
        ),
        (
            request().function_name("a".repeat(65)),
            "400 InvalidParameterValueException: 1 validation error detected",
        ),
        (
            request().function_name("my-function!"),
            "400 ValidationException: 1 validation error detected: Value 'my-function!' at 'functionName'",
        ),
    ];
    for (request, expected) in cases {
        let told = told(request.send().await);
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains("xxxx"), "a value of the environment is told");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_by_its_arn() {
    let cloud = Cloud::start(options()).await;
    let get = |name: &str| cloud.client.get_function().function_name(name).send();
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:absent";
    let cases = [
        ("absent".to_owned(), format!("404 ResourceNotFoundException: Function not found: {arn}")),
        ("absent:blue".to_owned(), format!("404 ResourceNotFoundException: Function not found: {arn}:blue")),
        (arn.replace("1:1", "2:1"), "404 ResourceNotFoundException: Functions from 'us-east-2' are not reachable in this region ('us-east-1')".to_owned()),
    ];
    for (name, expected) in cases {
        assert_eq!(told(get(&name).await), expected, "{name}");
    }
}

#[tokio::test]
async fn tags_and_the_package_are_shown_as_they_are_kept() {
    let cloud = Cloud::start(options()).await;
    let client = &cloud.client;
    let request = echo("a")
        .request(client, "stock")
        .tags("verdigris:owner", "verdigris");
    request.send().await.unwrap();
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:stock";
    let tag = client
        .tag_resource()
        .resource(arn)
        .tags("verdigris:release", "sha256:1");
    tag.send().await.unwrap();
    let untag = client
        .untag_resource()
        .resource(arn)
        .tag_keys("verdigris:owner");
    untag.send().await.unwrap();
    let seen = client
        .get_function()
        .function_name(arn)
        .send()
        .await
        .unwrap();
    let tags: Vec<_> = seen.tags().unwrap().iter().collect();
    assert_eq!(
        tags,
        [(&"verdigris:release".to_owned(), &"sha256:1".to_owned())]
    );
    let location = seen.code().unwrap().location().unwrap();
    let zip = reqwest::get(location).await.unwrap().bytes().await.unwrap();
    assert_eq!(zip, echo("a").zip);
    let qualified = client
        .list_tags()
        .resource(format!("{arn}:blue"))
        .send()
        .await;
    assert!(told(qualified).contains("Tags on function aliases and versions are not supported."));
}

#[tokio::test]
async fn a_policy_hangs_on_one_alias_and_goes_with_its_last_statement() {
    let cloud = Cloud::start(options()).await;
    let client = &cloud.client;
    cloud.create("stock", &echo("a")).await;
    cloud.publish("stock").await;
    cloud.alias("stock", "blue", "1").await;
    cloud.open("stock", "blue").await;
    let get = || {
        client
            .get_policy()
            .function_name("stock")
            .qualifier("blue")
            .send()
    };
    let policy = get().await.unwrap();
    assert!(
        policy
            .policy()
            .unwrap()
            .contains("lambda:InvokedViaFunctionUrl")
    );
    let other = client.get_policy().function_name("stock").send().await;
    assert_eq!(refusal(other).0, 404);
    let remove = |id: &str| {
        let request = client
            .remove_permission()
            .function_name("stock")
            .qualifier("blue");
        request.statement_id(id).send()
    };
    remove("url").await.unwrap();
    let again = told(remove("url").await);
    assert_eq!(
        again,
        "404 ResourceNotFoundException: Statement url is not found in resource policy."
    );
    remove("call").await.unwrap();
    assert_eq!(refusal(get().await).0, 404);
}

#[tokio::test]
async fn reserved_concurrency_throttles() {
    let cloud = Cloud::start(options()).await;
    let client = &cloud.client;
    cloud.create("stock", &echo("a")).await;
    let put = client.put_function_concurrency().function_name("stock");
    put.reserved_concurrent_executions(0).send().await.unwrap();
    let throttled = refusal(client.invoke().function_name("stock").send().await);
    assert_eq!(
        (throttled.0, throttled.1.as_str()),
        (429, "TooManyRequestsException")
    );
    let delete = client.delete_function_concurrency().function_name("stock");
    delete.send().await.unwrap();
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
