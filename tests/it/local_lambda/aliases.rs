//! Aliases and their weights, as the real service answers.

use aws_sdk_lambda::types::AliasRoutingConfiguration;

use super::{Cloud, Package, echo, options, refusal};

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
