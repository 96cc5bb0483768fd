//! The `aws:` of services and functions.

use std::time::Duration;

use verdigris::manifest::{
    aws::{Architecture, AwsFunction, EventSource, Start, UrlAuth},
    differences::differences,
    fault::Fault,
};

use super::{PROD, read, told};

fn head(spec: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: {{ name: stock }}\nspec:\n  runtime: python3.13\n  source: services/stock{spec}"
    )
}

/// The `aws:` of the function `api`.
#[track_caller]
fn asked(spec: &str) -> AwsFunction {
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &head(spec))]);
    let mut faults = set.faults.iter();
    assert!(!faults.any(Fault::is_error), "{}", told(&set));
    let service = &set.services.values().next().unwrap().service;
    let api = service
        .functions
        .iter()
        .find(|(name, _)| name.as_str() == "api");
    api.unwrap().1.aws.as_deref().cloned().unwrap_or_default()
}

/// What is told of a service, without the place in the file, and without what the other cloud lacks: `parity` is about that.
fn faults(spec: &str) -> String {
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &head(spec))]);
    let told = told(&set);
    let bare = told
        .lines()
        .filter(|line| !line.contains("means nothing to azure"))
        .filter_map(|line| Some(line.split_once(": ")?.1));
    bare.collect::<Vec<_>>().join("\n")
}

const FULL: &str = r#"
  aws:
    architecture: arm64
    layers: ["arn:aws:lambda:eu-west-1:123456789012:layer:tools:7"]
    tags: { team: shop, cost: "17" }
    logs: { format: json, level: warn, retention: 14 }
    url: { auth: iam }
    queue: { batch: 5 }
    role: arn:aws:iam::123456789012:role/shop
  functions:
    api:
      handler: app:app
      http: /
      aws:
        ephemeralStorage: 1Gi
        architecture: x86_64
        vpc: { subnets: [subnet-0a1b], securityGroups: [sg-1] }
        fileSystem: { accessPoint: "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-1", mount: /mnt/data }
        deadLetter: arn:aws:sqs:eu-west-1:123456789012:dead
        asynchronous: { retries: 1, maxAge: 1h, onFailure: "arn:aws:sns:eu-west-1:123456789012:failed" }
        concurrency: { reserved: 10, provisioned: 2 }
        tracing: true
        kmsKey: arn:aws:kms:eu-west-1:123456789012:key/abc
        url: { cors: { origins: ["https://shop.example"], methods: [GET], maxAge: 5m } }
        permissions:
          bucket: { principal: s3.amazonaws.com, sourceAccount: "123456789012" }
        events:
          clicks: { kinesis: "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", from: oldest, batch: 50, filters: [{ data: { kind: [buy] } }] }
          news: { sns: "arn:aws:sns:eu-west-1:123456789012:news" }
          uploads: { s3: shop-uploads, on: ["s3:ObjectCreated:*"], suffix: .csv }
        tags: { team: api }
    reorder: { handler: app:reorder, queue: orders }
"#;

#[test]
fn a_function_asks_for_what_its_service_asks_for_and_for_more() {
    let aws = asked(FULL);
    assert_eq!(aws.architecture, Some(Architecture::X86));
    assert_eq!(aws.ephemeral_storage.unwrap().0, 1024);
    assert_eq!(aws.layers.as_ref().unwrap().len(), 1);
    assert_eq!(
        aws.role.as_deref(),
        Some("arn:aws:iam::123456789012:role/shop")
    );
    let tags: Vec<_> = aws.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["cost=17", "team=api"]);
    let url = aws.url.as_ref().unwrap();
    assert_eq!(
        url.auth,
        UrlAuth::None,
        "a function's key replaces the service's as a whole"
    );
    assert_eq!(
        url.cors.as_ref().unwrap().max_age,
        Some(Duration::from_secs(300))
    );
    // The service says how queues are read, and this function reads none.
    assert_eq!(aws.queue, None);
    let EventSource::Stream(clicks) = &aws.events["clicks"] else {
        panic!("{:?}", aws.events);
    };
    assert_eq!((clicks.from, clicks.batch.batch), (Start::Oldest, Some(50)));
    assert_eq!(clicks.batch.filters, [r#"{"data":{"kind":["buy"]}}"#]);
}

#[test]
fn what_is_kept_is_read_again() {
    let aws = asked(FULL);
    let json = serde_json::to_string(&aws).unwrap();
    assert_eq!(serde_json::from_str::<AwsFunction>(&json).unwrap(), aws);
    assert_eq!(
        serde_json::from_str::<AwsFunction>("{}").unwrap(),
        AwsFunction::default()
    );
}

#[test]
fn a_plan_tells_each_setting_that_differs() {
    let old = asked(FULL);
    let new = asked(
        &FULL
            .replace("reserved: 10", "reserved: 20")
            .replace("tracing: true", ""),
    );
    let told = differences("aws", Some(&old), Some(&new)).into_iter();
    let told: Vec<_> = told
        .map(|it| format!("{} {} to {}", it.path, it.from, it.to))
        .collect();
    assert_eq!(
        told,
        [
            "aws.concurrency.reserved 10 to 20",
            "aws.tracing true to none"
        ]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of refusals")]
fn every_refusal_says_what_to_write() {
    let api = |aws: &str| {
        format!("\n  functions:\n    api: {{ handler: app:app, http: /, aws: {{ {aws} }} }}\n")
    };
    let table = [
        (
            "architecture: arm",
            "spec.functions.api.aws.architecture: `arm` is not known (help: did you mean `arm64`?)",
        ),
        (
            "ephemeralStorage: 256Mi",
            "spec.functions.api.aws.ephemeralStorage: is less than 512Mi (help: Lambda gives every function that much)",
        ),
        (
            "layers: [tools]",
            "spec.functions.api.aws.layers[0]: is no ARN of a layer's version (help: such as `arn:aws:lambda:eu-west-1:123456789012:layer:tools:7`, with its version)",
        ),
        (
            "vpc: { subnets: [], securityGroups: [sg-1] }",
            "spec.functions.api.aws.vpc.subnets: is empty (help: name at least one, such as `subnet-0123abcd`)",
        ),
        (
            "deadLetter: dead",
            "spec.functions.api.aws.deadLetter: is no ARN of `sqs` or `sns` (help: such as `arn:aws:sqs:eu-west-1:123456789012:failed`)",
        ),
        (
            "asynchronous: { retries: 3 }",
            "spec.functions.api.aws.asynchronous.retries: is not from 0 to 2 (help: Lambda allows no other number)",
        ),
        (
            "concurrency: { reserved: 1, provisioned: 2 }",
            "spec.functions.api.aws.concurrency.provisioned: keeps 2 warm of 1 that may run (help: provision at most what is reserved)",
        ),
        (
            "logs: { level: debug }",
            "spec.functions.api.aws.logs.level: needs `format: json` (help: Lambda filters only logs that are JSON)",
        ),
        (
            "logs: { retention: 8 }",
            "spec.functions.api.aws.logs.retention: is no number of days that CloudWatch Logs keeps (help: one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)",
        ),
        (
            "url: { stream: true }",
            "spec.functions.api.aws: Lambda's own runtime for python3.13 answers in one piece (help: remove `stream`; Node and executables stream, and so does an image that brings a runtime which can)",
        ),
        (
            "url: { cors: { origins: ['*'], credentials: true } }",
            "spec.functions.api.aws.url.cors.credentials: does not go with the origin `*` (help: name the origins: browsers send credentials to nobody who trusts everybody)",
        ),
        (
            "events: { x: { kinesis: 'arn:aws:kinesis:eu-west-1:123456789012:stream/clicks', suffix: csv } }",
            "spec.functions.api.aws.events.x.suffix: `suffix` means nothing to a stream (help: remove it)",
        ),
        (
            "events: { x: { batch: 5 } }",
            "spec.functions.api.aws.events.x: has not exactly one source (help: give it one of `kinesis`, `dynamodb`, `sns` and `s3`)",
        ),
        (
            "allow: { orders: { actions: [getItem], on: ['*'] } }",
            "spec.functions.api.aws.allow.orders.actions[0]: is no action (help: a service and what is done there, such as `dynamodb:GetItem` or `s3:Get*`)",
        ),
        (
            "allow: { orders: { actions: ['dynamodb:GetItem'], on: [orders] } }",
            "spec.functions.api.aws.allow.orders.on[0]: is no resource (help: an ARN, such as `arn:aws:dynamodb:*:*:table/orders`; `*` alone where the action knows no resources)",
        ),
        (
            "role: 'arn:aws:iam::123456789012:role/shop', allow: { logs: { actions: ['s3:Get*'], on: ['*'] } }",
            "spec.functions.api.aws: `allow` is for functions with a role of their own (help: remove `role`, and the function gets one of its own; or remove `allow`, and give the role these rights)",
        ),
        (
            "image: shop:latest",
            "spec.functions.api.aws.image: is no image of ECR (help: such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:…`; Lambda runs images of ECR only)",
        ),
        (
            "image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:7",
            "spec.functions.api.aws.image: names no digest (help: write `@sha256:` and its 64 digits: a tag can be moved, and a release must stay what it is)",
        ),
        (
            "tags: { 'verdigris:owner': me }",
            "spec.functions.api.aws.tags.\"verdigris:owner\": is taken (help: tags that start with `aws:` are Amazon's, with `verdigris:` Verdigris's)",
        ),
        (
            "fileSystem: { accessPoint: 'arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/a', mount: /mnt/a }",
            "spec.functions.api.aws: a file system needs a network (help: add `vpc`)",
        ),
        (
            "queue: { batch: 3 }",
            "spec.functions.api.aws: `queue` below `aws` is for functions that read one (help: add `queue` to the function)",
        ),
        (
            "snapStart: true, ephemeralStorage: 1Gi",
            "spec.functions.api.aws: Lambda takes no snapshots with more than 512Mi of ephemeral storage (help: remove `snapStart`)",
        ),
        (
            "role: functions",
            "spec.functions.api.aws.role: is no ARN of `iam` (help: such as `arn:aws:iam::123456789012:role/functions`)",
        ),
        (
            "permissions: { s3: { principal: s3.amazonaws.com } }",
            "warning: spec.functions.api.aws.permissions.s3: lets anybody's resources call the function (help: add `sourceArn` or `sourceAccount`)",
        ),
    ];
    let mut wrong = Vec::new();
    for (aws, expected) in table {
        let told = faults(&api(aws));
        if told != expected {
            wrong.push(format!(
                "{aws}
  told {told}
  not  {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_runtime_but_lambdas_own_python_streams() {
    let image = "image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:DIGITS'"
        .replace("DIGITS", &"0".repeat(64));
    let table = [
        ("nodejs22", "app.mjs:default", "", ""),
        ("executable", "app", "", ""),
        ("python3.13", "app:app", image.as_str(), ""),
        (
            "python3.12",
            "app:app",
            "",
            "Lambda's own runtime for python3.12 answers in one piece",
        ),
    ];
    for (runtime, handler, more, expected) in table {
        let spec = format!(
            "\n  functions:\n    api: {{ handler: '{handler}', http: /, aws: {{ url: {{ stream: true }}, {more} }} }}\n"
        );
        let service = head(&spec).replace("python3.13", runtime);
        let told = told(&read(&[("prod.yaml", PROD), ("a.yaml", &service)]));
        let errors: Vec<_> = told
            .lines()
            .filter(|it| !it.contains("means nothing to azure"))
            .collect();
        assert_eq!(errors.is_empty(), expected.is_empty(), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_large_batch_of_a_queue_needs_a_window() {
    let told = faults(
        "\n  functions:\n    api: { handler: app:app, queue: orders, aws: { queue: { batch: 50 } } }\n",
    );
    let expected = "spec.functions.api.aws.queue: a batch above 10 needs a window (help: add `window: 1s` or more, or take at most 10)";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn two_events_that_a_cloud_would_take_for_one_are_refused() {
    let topic = "sns: 'arn:aws:sns:eu-west-1:123456789012:news'";
    let stream = "kinesis: 'arn:aws:kinesis:eu-west-1:123456789012:stream/clicks'";
    let uploads = "s3: uploads, on: ['s3:ObjectCreated:*']";
    let api = |events: String| {
        format!(
            "\n  functions:\n    api: {{ handler: app:app, http: /, aws: {{ events: {{ {events} }} }} }}\n"
        )
    };
    let of_topic = "spec.functions.api.aws.events.b: has the topic of `a` (help: a function subscribes to a topic once: let one event have both filters, or give the other to another function)";
    let table = [
        (
            api(format!(
                "a: {{ {topic}, filter: {{ kind: [x] }} }}, b: {{ {topic}, filter: {{ kind: [y] }} }}"
            )),
            of_topic,
        ),
        (
            api(format!(
                "a: {{ {stream} }}, b: {{ {stream}, from: oldest }}"
            )),
            "spec.functions.api.aws.events.b: reads the stream of `a` (help: a function reads a stream once: keep one of them, or give the other to another function)",
        ),
        (
            api(format!(
                "a: {{ {uploads} }}, b: {{ {uploads}, suffix: .csv }}"
            )),
            "spec.functions.api.aws.events.b: is told by its bucket what that tells `a` (help: S3 tells of each change once: let `on`, `prefix` or `suffix` keep them apart)",
        ),
        (
            api(format!(
                "a: {{ {uploads}, prefix: in/ }}, b: {{ {uploads}, prefix: out/ }}"
            )),
            "",
        ),
        (
            format!(
                "\n  aws: {{ events: {{ all: {{ {uploads} }}, news: {{ {topic} }} }} }}\n  functions:\n    api: {{ handler: app:app, http: / }}\n    other: {{ handler: app:app }}\n"
            ),
            "spec.aws.events.all: is told by its bucket what that tells `all` of `api` (help: S3 tells of each change once: let `on`, `prefix` or `suffix` keep them apart)",
        ),
        (
            format!(
                "\n  functions:\n    api: {{ handler: app:app, aws: {{ events: {{ a: {{ {topic} }} }} }} }}\n    other: {{ handler: app:app, aws: {{ events: {{ b: {{ {topic} }} }} }} }}\n"
            ),
            "",
        ),
    ];
    for (spec, expected) in table {
        assert_eq!(faults(&spec), expected, "{spec}");
    }
}

/// Gates sign as the daemon.
#[test]
fn gates_may_ask_what_answers_signed_requests_only() {
    for gate in [
        "http: { path: '/stock?all=1', status: 200 }",
        "load: { rate: 5/s, for: 5s, p95: 1s, path: /stock }",
        "parity: { requests: tests/golden.http }",
    ] {
        let told = faults(&format!(
            "
  functions:
    api: {{ handler: app:app, http: GET /stock, aws: {{ url: {{ auth: iam }} }} }}
  rollout:
    gates:
      - {gate}
"
        ));
        assert_eq!(told, "", "{gate}");
    }
}

#[test]
fn a_log_group_is_kept_for_one_time() {
    let with = |group: &str, days: u32| {
        format!(
            "\n  functions:\n    api: {{ handler: app:app, http: /a, aws: {{ logs: {{ group: shared, retention: 14 }} }} }}\n    other: {{ handler: app:app, http: /b, aws: {{ logs: {{ group: {group}, retention: {days} }} }} }}\n"
        )
    };
    let clash = "spec.functions.other: keeps log group `shared` for 30 days, and `api` keeps it for 14 (help: a group has one retention: write the same for both, or give one of them another group)";
    for (spec, expected) in [
        (with("shared", 30), clash),
        (with("shared", 14), ""),
        (with("other", 30), ""),
    ] {
        assert_eq!(faults(&spec), expected, "{spec}");
    }
}

/// What a version must remember of its tags, its logs and its queue stands in its variables, too.
#[test]
fn what_a_version_remembers_counts_among_its_variables() {
    let with = |rest: &str| {
        let value = "x".repeat(3700);
        format!(
            "\n  env: {{ LONG: {value} }}\n  functions:\n    api: {{ handler: app:app, {rest} }}\n"
        )
    };
    let tags: Vec<_> = (0..10).map(|it| format!("tag{it}: somebody{it}")).collect();
    let tags = format!("aws: {{ tags: {{ {} }} }}", tags.join(", "));
    for (rest, fits) in [
        ("http: /", true),
        (tags.as_str(), false),
        (
            "queue: a-queue-with-a-name-of-some-length-and-some-more-of-it-again",
            false,
        ),
    ] {
        let told = faults(&with(rest));
        assert_eq!(told.contains("its variables take"), !fits, "{rest}: {told}");
    }
}

#[test]
fn an_environment_names_the_role_that_the_daemon_assumes() {
    let with = |assume: &str| {
        let assumed = format!("role/functions', assume: {assume} }}");
        PROD.replace("role/functions' }", &assumed)
    };
    let role = "role: 'arn:aws:iam::210987654321:role/verdigris'";
    let good = with(&format!(
        "{{ {role}, externalId: shop/7, session: verdigris }}"
    ));
    let set = read(&[("prod.yaml", &good)]);
    assert_eq!(told(&set), "");
    let table = [
        (
            "{ role: verdigris }".to_owned(),
            "spec.aws.assume.role: is no ARN of a role (help: such as `arn:aws:iam::123456789012:role/verdigris`)",
        ),
        (
            format!("{{ {role}, externalId: 'a b' }}"),
            "spec.aws.assume.externalId: is no external id that AWS takes (help: 2 to 1224 letters, digits and `_+=,.@:/-`)",
        ),
        (
            format!("{{ {role}, session: a/b }}"),
            "spec.aws.assume.session: is no name of a session that AWS takes (help: 2 to 64 letters, digits and `_+=,.@-`)",
        ),
    ];
    for (assume, expected) in table {
        let told = told(&read(&[("prod.yaml", &with(&assume))]));
        assert!(told.trim_end().ends_with(expected), "{assume}: {told}");
    }
}
