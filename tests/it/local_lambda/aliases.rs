//! Aliases and their weights, as the real service answers.

use aws_sdk_lambda::types::AliasRoutingConfiguration;

use super::{Cloud, Package, echo, options, refusal, told};

/// Name, version and weights of an alias | what is told.
const REFUSED: &str = "
a 1 1=0.5 | 400 InvalidParameterValueException: Invalid function version 1. Function version 1 is already included in routing configuration.
a 1 2=0.1,3=0.1 | 400 InvalidParameterValueException: Number of items in AdditionalVersionWeights cannot be greater than 1
a 1 2=2 | 400 ValidationException: 1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights'
a 1 2=-1 | 400 ValidationException: 1 validation error detected: Value '{2=-1.0}' at 'routingConfig.additionalVersionWeights'
a 1 $LATEST=0.5 | 400 ValidationException: 1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights'
a $LATEST 1=0.5 | 400 InvalidParameterValueException: $LATEST is not supported for an alias pointing to more than 1 version
a 10 - | 404 ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:111122223333:function:stock:10
a 1 10=0.5 | 404 ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:111122223333:function:stock:10
12 1 - | 400 ValidationException: 1 validation error detected: Value '12' at 'name'
blue 1 - | 409 ResourceConflictException: Alias already exists: arn:aws:lambda:us-east-1:111122223333:function:stock:blue
";

/// `stock` with the versions 1 and 2, and the alias `blue` for the first.
async fn two_versions(package: &Package) -> Cloud {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", package).await;
    cloud.publish("stock").await;
    cloud.describe("stock", "other").await;
    cloud.publish("stock").await;
    cloud.alias("stock", "blue", "1").await;
    cloud
}

fn routing(weights: &str) -> AliasRoutingConfiguration {
    let pairs = weights.split(',').filter_map(|pair| pair.split_once('='));
    let weights = pairs.map(|(version, weight)| (version.to_owned(), weight.parse().unwrap()));
    AliasRoutingConfiguration::builder()
        .set_additional_version_weights(Some(weights.collect()))
        .build()
}

#[tokio::test]
async fn aliases_are_checked_as_the_real_ones_are() {
    let cloud = two_versions(&echo("a")).await;
    for line in REFUSED.trim().lines() {
        let (alias, expected) = line.split_once(" | ").unwrap();
        let [name, version, weights] = alias.split(' ').collect::<Vec<_>>()[..] else {
            panic!("three words, not {alias}");
        };
        let request = cloud
            .client
            .create_alias()
            .function_name("stock")
            .name(name);
        let request = request
            .function_version(version)
            .routing_config(routing(weights));
        let told = told(request.send().await);
        assert!(told.starts_with(expected), "{alias}: {told}");
    }
}

#[tokio::test]
async fn an_alias_holds_its_version_and_is_deleted_twice() {
    let cloud = two_versions(&echo("a")).await;
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:stock";
    let get = cloud
        .client
        .get_function()
        .function_name("stock")
        .qualifier("blue");
    let seen = get.send().await.unwrap().configuration.unwrap();
    assert_eq!(seen.function_arn(), Some(format!("{arn}:blue").as_str()));
    assert_eq!(seen.version(), Some("1"));
    let used = cloud
        .client
        .delete_function()
        .function_name("stock")
        .qualifier("1");
    assert_eq!(refusal(used.send().await).0, 409);
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
    let get = cloud.client.get_alias().function_name("stock").name("blue");
    let gone = format!("404 ResourceNotFoundException: Cannot find alias arn: {arn}:blue");
    assert_eq!(told(get.send().await), gone);
}

#[tokio::test]
async fn weights_share_the_calls() {
    let code = "def handler(event, context):\n    return context.function_version\n";
    let cloud = two_versions(&Package::python(code)).await;
    for (weights, least, most) in [("2=0.5", 20, 80), ("2=1", 100, 100), ("", 0, 0)] {
        let update = cloud
            .client
            .update_alias()
            .function_name("stock")
            .name("blue");
        update
            .routing_config(routing(weights))
            .send()
            .await
            .unwrap();
        let mut second = 0;
        for _ in 0..100 {
            let (version, _) = cloud.invoke("stock:blue", "{}").await;
            second += u32::from(version == "\"2\"");
        }
        assert!(
            (least..=most).contains(&second),
            "{second} of 100 with {weights}"
        );
    }
}
