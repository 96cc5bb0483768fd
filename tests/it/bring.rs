//! What a cloud holds already becomes manifests, and no secret becomes one with it.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{
        ApplicationLogLevel, Cors as SdkCors, Environment, Filter, FilterCriteria, FunctionCode,
        FunctionUrlAuthType, LogFormat, LoggingConfig, Runtime, ScalingConfig, VpcConfig,
    },
};
use serde_json::json;
use verdigris::{
    cloud::{Cloud as _, aws::AwsCloud},
    import::{
        clouds::{Found, FoundFunction, clouds},
        report::{Entry, Verdict},
    },
    name::CloudName,
};

use crate::{
    cloud_aws::{aws, duties::Local},
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
          aws: { name: Orders_API, role: arn:aws:iam::123456789012:role/orders }
      env:
        DB_PASSWORD: { secret: orders-api-db-password }
        LOG_LEVEL: debug
    ");
    insta::assert_snapshot!(imported.report.text(), @r"
    eu-west-1 (AWS): 11 keys: 6 taken over, 2 not needed, 2 changed, 1 not possible

    Left to do
      - put the code of each service into the folder that `source` names, in the form that the runtime
        asks for
      - describe the environments: accounts, regions, subscriptions
      - once the daemon knows the services: `verdigris adopt SERVICE` shows what becomes of what runs
        now, and takes it over with `--yes`; without `name` a service gets functions of its own beside
        it
      - put these secrets into each cloud's own store, since none was copied: orders-api-db-password

    Not possible
      Orders_API.triggers
          whoever calls it by rights of their own (EventBridge Scheduler, Step Functions, other
          functions) is not listed with it: have them call `blue`

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
      Orders_API.name → spec.functions.orders-api.aws.name
      Orders_API.role → spec.functions.orders-api.aws.role
      Orders_API.env.LOG_LEVEL → spec.env.LOG_LEVEL
    ");
    let both = format!("{}{}", imported.manifests, imported.report.text());
    assert!(!both.contains("hunter2"));
    is_valid(&imported.manifests);
}

/// What is written passes our own rules beside an environment.
fn is_valid(manifests: &str) -> verdigris::manifest::set::Set {
    let set = crate::manifests::read(&[
        ("brought.yaml", manifests),
        ("prod.yaml", crate::manifests::PROD),
    ]);
    let wrong: Vec<_> = set.faults.iter().filter(|fault| fault.is_error()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{manifests}");
    set
}

const ORDERS: &str = "arn:aws:sqs:eu-west-1:123456789012:Orders_Incoming";

/// Everything that somebody may have put on a function, by hand and by names that are none of ours.
async fn make_much_of_it(hand: &Client) {
    let name = "Orders_API";
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:Orders_API";
    let tags = hand.tag_resource().resource(arn);
    tags.tags("Team", "shop").send().await.unwrap();
    let network = VpcConfig::builder()
        .subnet_ids("subnet-1")
        .security_group_ids("sg-1")
        .ipv6_allowed_for_dual_stack(true);
    let logs = LoggingConfig::builder()
        .log_format(LogFormat::Json)
        .application_log_level(ApplicationLogLevel::Debug)
        .log_group("/shop/orders");
    let configured = hand.update_function_configuration().function_name(name);
    let configured = configured
        .vpc_config(network.build())
        .logging_config(logs.build());
    configured.description("takes orders").send().await.unwrap();
    let reserved = hand.put_function_concurrency().function_name(name);
    reserved
        .reserved_concurrent_executions(7)
        .send()
        .await
        .unwrap();
    let later = hand.put_function_event_invoke_config().function_name(name);
    let later = later
        .maximum_retry_attempts(1)
        .maximum_event_age_in_seconds(120);
    later.send().await.unwrap();
    let cors = SdkCors::builder()
        .allow_origins("https://shop.example")
        .allow_methods("GET")
        .max_age(60);
    let url = hand.create_function_url_config().function_name(name);
    let url = url.auth_type(FunctionUrlAuthType::AwsIam);
    url.cors(cors.build()).send().await.unwrap();
    let filter = Filter::builder()
        .pattern(r#"{"body":{"kind":["order"]}}"#)
        .build();
    let read = hand.create_event_source_mapping().function_name(name);
    let read = read
        .event_source_arn(ORDERS)
        .batch_size(5)
        .maximum_batching_window_in_seconds(3)
        .scaling_config(ScalingConfig::builder().maximum_concurrency(4).build())
        .filter_criteria(FilterCriteria::builder().filters(filter).build());
    read.send().await.unwrap();
    let off = hand
        .create_event_source_mapping()
        .function_name(name)
        .enabled(false);
    off.event_source_arn(ORDERS.replace("Incoming", "Old"))
        .send()
        .await
        .unwrap();
    for (id, who, of) in [
        (
            "gateway",
            "apigateway.amazonaws.com",
            "arn:aws:execute-api:eu-west-1:123456789012:a/*",
        ),
        (
            "clock",
            "events.amazonaws.com",
            "arn:aws:events:eu-west-1:123456789012:rule/nightly",
        ),
    ] {
        let call = hand.add_permission().function_name(name).statement_id(id);
        let call = call.principal(who).action("lambda:InvokeFunction");
        call.source_arn(of).send().await.unwrap();
    }
    let call = hand
        .add_permission()
        .function_name(name)
        .statement_id("org");
    let call = call.principal("*").action("lambda:InvokeFunction");
    call.principal_org_id("o-abcdefghij").send().await.unwrap();
}

#[tokio::test]
async fn what_somebody_put_on_a_function_by_hand_is_taken_over_or_told() {
    let local = Local::at_once().await;
    make_theirs(&local).await;
    make_much_of_it(&hand(&local)).await;
    let rule =
        json!({"Name": "nightly", "ScheduleExpression": "cron(0 3 * * ? *)", "State": "ENABLED"});
    local.ask("AWSEvents.PutRule", rule).await;
    let function = "arn:aws:lambda:eu-west-1:123456789012:function:Orders_API";
    let target = json!({"Rule": "nightly", "Targets": [{"Id": "1", "Arn": function}]});
    local.ask("AWSEvents.PutTargets", target).await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let found = cloud.operate().unwrap().found().await.unwrap();
    let imported = clouds(CloudName::Aws, "eu-west-1", &found);
    let set = is_valid(&imported.manifests);
    let service = &set.services.values().next().unwrap().service;
    let (_, function) = service.functions.iter().next().unwrap();
    let aws = function.aws.as_deref().unwrap();
    let told = json!({
        "queue": function.queue,
        "schedule": function.schedule,
        "http": function.http.is_some(),
        "read": aws.queue,
        "url": aws.url,
        "asynchronous": aws.asynchronous,
        "concurrency": aws.concurrency,
        "logs": aws.logs,
        "tags": aws.tags,
        "ipv6": aws.vpc.as_ref().map(|it| it.ipv6),
        "permissions": aws.permissions.keys().collect::<Vec<_>>(),
    });
    let seconds = |seconds: u64| json!({ "secs": seconds, "nanos": 0 });
    let wanted = json!({
        "queue": "orders-incoming",
        "schedule": "0 3 * * *",
        "http": true,
        "read": {
            "arn": ORDERS, "batch": 5, "window": seconds(3), "maxConcurrency": 4,
            "filters": [r#"{"body":{"kind":["order"]}}"#],
        },
        "url": {
            "auth": "iam",
            "cors": { "origins": ["https://shop.example"], "methods": ["GET"], "maxAge": seconds(60) },
        },
        "asynchronous": { "retries": 1, "maxAge": seconds(120) },
        "concurrency": { "reserved": 7 },
        "logs": { "format": "json", "level": "debug", "group": "/shop/orders" },
        "tags": { "Team": "shop" },
        "ipv6": true,
        "permissions": ["gateway"],
    });
    assert_eq!(told, wanted, "{}", imported.manifests);
    let report = imported.report;
    for (path, verdict) in [
        ("description".to_owned(), Verdict::Changed),
        ("schedule.nightly".to_owned(), Verdict::Changed),
        (
            format!("events.{}", ORDERS.replace("Incoming", "Old")),
            Verdict::Changed,
        ),
        ("permissions.gateway".to_owned(), Verdict::Changed),
        ("permissions.org".to_owned(), Verdict::NotPossible),
    ] {
        let path = format!("Orders_API.{path}");
        let is_told = |entry: &Entry| entry.path == path && entry.verdict == verdict;
        assert!(
            report.entries.iter().any(is_told),
            "{path}: {}",
            report.text()
        );
    }
}

/// With more time than a function may have, a file system outside any network, and a tag that no cloud takes.
fn odd(name: &str, http: &str) -> FoundFunction {
    let files = "{ accessPoint: \"arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-1\", mount: /mnt/a }";
    let tags = "{ ok: fine, bad#: x }";
    FoundFunction {
        name: name.to_owned(),
        handler: "app.handler".to_owned(),
        http: Some(http.to_owned()),
        timeout: Some(2_000),
        aws: vec![
            ("fileSystem", serde_yaml::from_str(files).unwrap()),
            ("tracing", true.into()),
            ("tags", serde_yaml::from_str(tags).unwrap()),
        ],
        ..FoundFunction::default()
    }
}

#[test]
fn what_our_rules_refuse_is_left_out_and_told() {
    let mut found = Found {
        id: "arn:x".to_owned(),
        name: "Odd".to_owned(),
        runtime: "python3.13".to_owned(),
        variables: [("AWS_REGION", "x"), ("A", "${env:HOME}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Found::default()
    };
    found.functions = vec![
        odd("Get_Stock", "GET /stock/{id}"),
        odd("get-stock", "GET /stock/{sku}"),
    ];
    let empty = Found {
        id: "arn:y".to_owned(),
        name: "Empty".to_owned(),
        runtime: "python3.13".to_owned(),
        ..Found::default()
    };
    let imported = clouds(CloudName::Aws, "eu-west-1", &[found, empty]);
    insta::assert_snapshot!(imported.manifests, @r#"
    # from aws: arn:x
    apiVersion: verdigris.dev/v1alpha1
    kind: Service
    metadata: { name: odd }
    spec:
      runtime: python3.13
      source: services/odd
      functions:
        get-stock:
          handler: app:handler
          http: GET /stock/{id}
          aws:
            tags: { ok: fine }
            tracing: true
        get-stock-2:
          handler: app:handler
          aws:
            tags: { ok: fine }
            tracing: true
      env: { A: "$${env:HOME}" }
    "#);
    let set = is_valid(&imported.manifests);
    assert_eq!(set.services.len(), 1);
    let report = imported.report;
    for path in [
        "Odd.Get_Stock.timeout",
        "Odd.Get_Stock.fileSystem",
        "Odd.get-stock.http",
        "Odd.env.AWS_REGION",
        "Empty",
    ] {
        let is_told = |entry: &Entry| entry.path == path && entry.verdict == Verdict::NotPossible;
        assert!(
            report.entries.iter().any(is_told),
            "{path}: {}",
            report.text()
        );
    }
}
