//! What a cloud holds already becomes manifests, and no secret becomes one with it.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{Environment, FunctionCode, Runtime},
};
use verdigris::{
    cloud::{Cloud as _, aws::AwsCloud},
    import::clouds::clouds,
    name::CloudName,
};

use crate::{
    cloud_aws::aws,
    cloud_aws_duties::Local,
    cloud_contract::release::{Fixture, zip},
};

fn hand(local: &Local) -> Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(local.endpoint.url.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("AKIAEVE", "secret", None, None, "test"));
    Client::from_conf(config.build())
}

/// A function that somebody made, with a password in its variables.
async fn make_theirs(local: &Local) {
    let environment = Environment::builder()
        .variables("LOG_LEVEL", "debug")
        .variables("DB_PASSWORD", "hunter2")
        .build();
    let code = FunctionCode::builder().zip_file(Blob::new(zip("theirs", &[], "")));
    let made = hand(local)
        .create_function()
        .function_name("Orders_API")
        .runtime(Runtime::Python311)
        .handler("app/main.handler")
        .role("arn:aws:iam::123456789012:role/orders")
        .memory_size(512)
        .timeout(20)
        .environment(environment)
        .code(code.build());
    made.send().await.unwrap();
}

#[tokio::test]
async fn a_function_that_is_not_ours_becomes_a_service_and_its_secrets_stay_where_they_are() {
    let local = Local::at_once().await;
    make_theirs(&local).await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let fixture = Fixture::new(0);
    let ours = fixture.release("one");
    cloud.stage(&ours.release, &ours.package).await.unwrap();
    let found = cloud.operate().unwrap().found().await.unwrap();
    let imported = clouds(CloudName::Aws, "eu-west-1", &found);
    insta::assert_snapshot!(imported.manifests, @r"
    # from aws: arn:aws:lambda:eu-west-1:123456789012:function:Orders_API
    apiVersion: verdigris.dev/v1alpha1
    kind: Service
    metadata: { name: orders-api }
    spec:
      runtime: python3.11
      source: services/orders-api
      functions:
        orders-api:
          handler: app.main:handler
          memory: 512Mi
          timeout: 20s
          aws: { role: arn:aws:iam::123456789012:role/orders }
      env:
        DB_PASSWORD: { secret: orders-api-db-password }
        LOG_LEVEL: debug
    ");
    insta::assert_snapshot!(imported.report.text(), @r"
    eu-west-1 (AWS): 10 keys: 5 taken over, 2 not needed, 2 changed, 1 not possible

    Left to do
      - put the code of each service into the folder that `source` names, in the form that the runtime
        asks for
      - describe the environments: accounts, regions, subscriptions
      - put these secrets into each cloud's own store, since none was copied: orders-api-db-password

    Not possible
      Orders_API.triggers
          schedules, topics, buckets and gateways that call it are not listed with it: write them by
          hand

    Changed
      Orders_API.handler
          names module and attribute, as `module:attribute`; its code is an ASGI application, in the
          place of one that takes the cloud's event
      Orders_API.env.DB_PASSWORD
          reads like a secret, and was not copied: `orders-api-db-password` of each cloud's own store

    Not needed
      prod-shop0-reorder, prod-shop0-stock
          carries our tags: its manifest is in Git

    Taken over
      Orders_API.runtime → spec.runtime
      Orders_API.memory → spec.functions.orders-api.memory
      Orders_API.timeout → spec.functions.orders-api.timeout
      Orders_API.aws → spec.functions.orders-api.aws
      Orders_API.env.LOG_LEVEL → spec.env.LOG_LEVEL
    ");
    let both = format!("{}{}", imported.manifests, imported.report.text());
    assert!(!both.contains("hunter2"));
    let set = crate::manifests::read(&[
        ("brought.yaml", &imported.manifests),
        ("prod.yaml", crate::manifests::PROD),
    ]);
    let wrong: Vec<_> = set.faults.iter().filter(|fault| fault.is_error()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
