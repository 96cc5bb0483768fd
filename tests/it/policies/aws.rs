//! IAM policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{
        Cloud, MetricQuestion,
        aws::{AwsCloud, AwsOptions},
    },
    manifest::{
        aws::{
            AwsFunction, Cors, EventSource, LogFormat, Logs, QueueOptions, Rights, Topic, UrlAuth,
            UrlOptions,
        },
        gates::{CloudWatchQuery, MetricSource},
        spec::Megabytes,
    },
    name::{Percent, Slot, Timestamp},
    observed::talk::{Input, Invocation, LogsWanted},
};

use super::{all_were_seen, is_written, named_in};
use crate::{
    cloud_aws::{
        aws,
        duties::{Local, full},
        roles::{iam, role_of},
    },
    cloud_contract::{
        patient::Patient,
        peers,
        release::{Fixture, Made, reorder, stock},
    },
    peers::{
        model::{Call, Checker, is_clean},
        python, succeeds,
    },
};

/// Everything that our code may ask of AWS, by the names that it gives to the calls. What a colon follows is a member of a request.
const OPERATIONS: &str = r#""((?:Add|Create|Delete|Describe|Filter|Get|Head|Invoke|List|Lookup|Publish|Put|Remove|Set|Start|Subscribe|Tag|Unsubscribe|Untag|Update)(?:[A-Z][A-Za-z]+)?)"[^:]"#;

/// Members of requests, and refusals, that read like operations.
const MEMBERS: [&str; 6] = [
    "DeleteConflict",
    "FilterPolicy",
    "FilterPolicyLimitExceeded",
    "FilterRule",
    "LookupAttributes",
    "StartTime",
];

const FUNCTIONS: &str = "arn:aws:lambda:REGION:ACCOUNT:function:ENVIRONMENT-*";

const MAPPINGS: &str = "arn:aws:lambda:REGION:ACCOUNT:event-source-mapping:*";

const RULES: &str = "arn:aws:events:REGION:ACCOUNT:rule/ENVIRONMENT-*";

const GROUPS: &str = "arn:aws:logs:REGION:ACCOUNT:log-group:/aws/lambda/ENVIRONMENT-*";

const NAMED_GROUP: &str = "arn:aws:logs:REGION:ACCOUNT:log-group:LOG_GROUP";

const ROLES: &str = "arn:aws:iam::ACCOUNT:role/verdigris/ENVIRONMENT/*";

/// A log group that a manifest names.
const GROUP: &str = "/shop/stock";

/// The statement that only those need who name log groups: it stands among the extras.
pub(super) const NAMED_GROUPS: &str = "NamedLogGroups";

/// Actions on the same resources.
#[derive(Default)]
struct Statement {
    actions: BTreeSet<String>,
    resource: &'static str,
    condition: Option<Value>,
}

/// Where an operation is allowed: the statement's name, the resources and what else must hold.
fn place(call: &Call) -> (&'static str, &'static str, Option<Value>) {
    let operation = call.operation.as_deref().unwrap();
    let about = call.about.as_deref().unwrap_or_default();
    let is_ours = |start: &str| assert!(about.starts_with(start), "{call:?}");
    match (call.service.as_str(), operation) {
        ("lambda", "ListFunctions" | "ListEventSourceMappings")
        | ("monitoring" | "cloudtrail", _)
        | ("iam", "ListRoles") => ("Look", "*", None),
        // What is not there yet has no name that IAM would know.
        ("lambda", "CreateEventSourceMapping") => (
            "NewEventSources",
            "*",
            Some(json!({"ArnLike": {"lambda:FunctionArn": FUNCTIONS}})),
        ),
        ("lambda", operation) if operation.ends_with("EventSourceMapping") => (
            "EventSources",
            MAPPINGS,
            Some(json!({"ArnLike": {"lambda:FunctionArn": FUNCTIONS}})),
        ),
        ("lambda", _) => {
            // By name, or by ARN where tags are meant.
            let name = about.rsplit(":function:").next().unwrap_or_default();
            assert!(name.starts_with("prod-"), "{call:?}");
            ("Functions", FUNCTIONS, None)
        }
        ("events", _) => {
            is_ours("prod-");
            ("Schedules", RULES, None)
        }
        // It takes no name of a group.
        ("logs", "DescribeLogGroups") => ("Look", "*", None),
        ("logs", _) if about.ends_with(GROUP) => (NAMED_GROUPS, NAMED_GROUP, None),
        ("logs", _) => {
            is_ours("/aws/lambda/prod-");
            ("LogGroups", GROUPS, None)
        }
        ("iam", _) => {
            is_ours("prod-");
            ("RolesOfTheirOwn", ROLES, None)
        }
        // Topics and buckets are the users', by whatever name.
        ("sns", "ListSubscriptionsByTopic" | "Subscribe") => {
            ("Topics", "arn:aws:sns:*:ACCOUNT:*", None)
        }
        // IAM knows no resources for these.
        ("sns", _) => ("Subscriptions", "*", None),
        ("s3", operation) if operation.ends_with("NotificationConfiguration") => {
            ("Buckets", "arn:aws:s3:::*", None)
        }
        ("s3", _) => {
            is_ours("/packages/verdigris/");
            ("LargePackages", "arn:aws:s3:::BUCKET/verdigris/*", None)
        }
        other => panic!("{other:?} has no place in the policy yet"),
    }
}

/// IAM's name of what a call needs.
fn action(call: &Call) -> String {
    let operation = call.operation.as_deref().unwrap();
    match (call.service.as_str(), operation) {
        ("monitoring", operation) => format!("cloudwatch:{operation}"),
        ("lambda", "Invoke") => "lambda:InvokeFunction".to_owned(),
        // There is no right to ask for an object's head alone.
        ("s3", "HeadObject") => "s3:GetObject".to_owned(),
        ("s3", operation) if operation.ends_with("Configuration") => {
            format!("s3:{}", operation.trim_end_matches("Configuration"))
        }
        (service, operation) => format!("{service}:{operation}"),
    }
}

/// What a call is about, by its ARN, in the account and the environment of the tests.
fn resource(call: &Call) -> String {
    let about = call.about.as_deref().unwrap_or_default();
    let path = about.trim_start_matches('/');
    let place = "eu-west-1:123456789012";
    match place_name(call) {
        "Functions" => {
            let name = about.rsplit(":function:").next().unwrap_or_default();
            let name = name.split(':').next().unwrap_or_default();
            format!("arn:aws:lambda:{place}:function:{name}")
        }
        "EventSources" => format!("arn:aws:lambda:{place}:event-source-mapping:{about}"),
        "Schedules" => format!("arn:aws:events:{place}:rule/{about}"),
        // By name, or by ARN where tags are meant.
        "LogGroups" | NAMED_GROUPS => {
            let name = about.rsplit(":log-group:").next().unwrap_or_default();
            format!("arn:aws:logs:{place}:log-group:{name}")
        }
        "RolesOfTheirOwn" => format!("arn:aws:iam::123456789012:role/verdigris/prod/{about}"),
        "Topics" => about.to_owned(),
        "Buckets" | "LargePackages" => format!("arn:aws:s3:::{path}"),
        "Look" | "NewEventSources" | "Subscriptions" => "*".to_owned(),
        other => panic!("{other} has no resource yet"),
    }
}

fn place_name(call: &Call) -> &'static str {
    place(call).0
}

/// What must be allowed and what must not, as the judge reads it.
fn cases(calls: &[Call]) -> String {
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let function = |name: &str| format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
    let group = |name: &str| format!("arn:aws:logs:eu-west-1:123456789012:log-group:{name}");
    let mapping = "arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:new".to_owned();
    let rule = "arn:aws:events:eu-west-1:123456789012:rule/prod-a".to_owned();
    let seen = calls
        .iter()
        .map(|call| (true, action(call), resource(call)));
    let beside = [
        (true, "iam:PassRole", role("functions")),
        (true, "iam:PassRole", role("verdigris/prod/inventory-stock")),
        (true, "iam:TagRole", role("verdigris/prod/inventory-stock")),
        (true, "lambda:ListTags", function("prod-inventory-stock")),
        (true, "lambda:TagResource", mapping),
        (true, "events:TagResource", rule),
        (true, "logs:TagResource", group("/aws/lambda/prod-a")),
        (true, "logs:TagResource", group(GROUP)),
        (false, "logs:TagResource", group("/payroll")),
        (false, "iam:PassRole", role("admin")),
        (false, "iam:CreateRole", role("admin")),
        (
            false,
            "iam:PutRolePolicy",
            role("verdigris/staging/inventory-stock"),
        ),
        (
            false,
            "iam:AttachRolePolicy",
            role("verdigris/prod/inventory-stock"),
        ),
        (
            false,
            "lambda:UpdateFunctionCode",
            function("staging-inventory-stock"),
        ),
        (false, "lambda:DeleteFunction", function("payroll")),
        (
            false,
            "s3:PutObject",
            "arn:aws:s3:::packages/others".to_owned(),
        ),
        (
            false,
            "s3:DeleteObject",
            "arn:aws:s3:::packages/verdigris/a".to_owned(),
        ),
        (false, "logs:DeleteLogGroup", group("/aws/lambda/prod-a")),
    ];
    let beside = beside.map(|(must, action, resource)| (must, action.to_owned(), resource));
    let cases: BTreeSet<_> = seen.chain(beside).collect();
    let lines = cases.iter().map(|case| json!(case).to_string() + "\n");
    lines.collect()
}

/// The policy as somebody would fill it in.
pub(super) fn filled(policy: &Value) -> String {
    let mut text = policy.to_string();
    for (blank, value) in [
        ("\"ROLE\"", "\"arn:aws:iam::123456789012:role/functions\""),
        ("REGION", "eu-west-1"),
        ("ACCOUNT", "123456789012"),
        ("ENVIRONMENT", "prod"),
        ("BUCKET", "packages"),
        ("LOG_GROUP", GROUP),
    ] {
        text = text.replace(blank, value);
    }
    text
}

/// By what others know of IAM.
async fn is_judged_right(policy: &Value, calls: &[Call]) {
    let folder = tempfile::tempdir().unwrap();
    let (of_policy, of_cases) = (folder.path().join("policy"), folder.path().join("cases"));
    std::fs::write(&of_policy, filled(policy)).unwrap();
    std::fs::write(&of_cases, cases(calls)).unwrap();
    let mut judge = python("iam_judge.py");
    judge.arg(of_policy).arg(of_cases);
    succeeds(judge).await;
}

/// What AWS asks for beside the right to make a call: with which call, what, on what, and under which condition.
fn beside() -> [(&'static str, &'static str, Statement); 8] {
    let one = |action: &str, resource, condition| Statement {
        actions: BTreeSet::from([action.to_owned()]),
        resource,
        condition,
    };
    let tagged = json!({"StringEquals": {"aws:RequestTag/verdigris:owner": "verdigris"}});
    let passed = json!({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}});
    [
        (
            "CreateFunction",
            "RoleOfFunctions",
            one("iam:PassRole", "ROLE", Some(passed.clone())),
        ),
        (
            "CreateRole",
            "RolesOfTheirOwnArePassed",
            one("iam:PassRole", ROLES, Some(passed)),
        ),
        // What follows is made with its tags.
        (
            "CreateEventSourceMapping",
            "NewEventSourcesAreTagged",
            one("lambda:TagResource", MAPPINGS, Some(tagged)),
        ),
        (
            "PutRule",
            "Schedules",
            one("events:TagResource", RULES, None),
        ),
        (
            "CreateLogGroup",
            "LogGroups",
            one("logs:TagResource", GROUPS, None),
        ),
        (
            "CreateLogGroup",
            NAMED_GROUPS,
            one("logs:TagResource", NAMED_GROUP, None),
        ),
        (
            "CreateRole",
            "RolesOfTheirOwn",
            one("iam:TagRole", ROLES, None),
        ),
        // Without it the answer comes without tags, and nothing would be known as ours.
        (
            "GetFunction",
            "Functions",
            one("lambda:ListTags", FUNCTIONS, None),
        ),
    ]
}

fn policy(calls: &[Call]) -> Value {
    let mut statements: BTreeMap<&str, Statement> = BTreeMap::new();
    for call in calls {
        let (name, resource, condition) = place(call);
        let statement = statements.entry(name).or_insert_with(|| Statement {
            resource,
            condition,
            ..Statement::default()
        });
        statement.actions.insert(action(call));
    }
    for (with, name, needed) in beside() {
        let is_sent = |call: &Call| call.operation.as_deref() == Some(with);
        assert!(calls.iter().any(is_sent), "{with}");
        let statement = statements.entry(name).or_insert_with(|| Statement {
            resource: needed.resource,
            condition: needed.condition,
            ..Statement::default()
        });
        statement.actions.extend(needed.actions);
    }
    let statements = statements.into_iter().map(|(name, it)| {
        let resource = match name {
            // Some operations are judged by what is in the group.
            NAMED_GROUPS => json!([it.resource, format!("{}:*", it.resource)]),
            _ => json!(it.resource),
        };
        let mut told =
            json!({"Sid": name, "Effect": "Allow", "Action": it.actions, "Resource": resource});
        if let Some(condition) = it.condition {
            told["Condition"] = condition;
        }
        told
    });
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

/// What only some manifests need, taken out of what was drawn.
fn taken_out(drawn: &mut Value) -> Value {
    let statements = drawn["Statement"].as_array_mut().unwrap();
    let is_named = |it: &Value| it["Sid"] == NAMED_GROUPS;
    let place = statements.iter().position(is_named).unwrap();
    statements.remove(place)
}

/// What only some manifests ask for, and AWS then asks of whoever makes or changes the function. No call of ours shows it, but for what
/// log groups need that have names of their own.
fn extras(named_groups: Value) -> Value {
    let allow = |name: &str, actions: &[&str], resource: &str| json!({"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource});
    let mut keys = allow(
        "KeysOfVariables",
        &["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt"],
        "KEY",
    );
    keys["Condition"] = json!({"StringEquals": {"kms:ViaService": "lambda.REGION.amazonaws.com"}});
    json!({"Version": "2012-10-17", "Statement": [
        // Of what the daemon is before it assumes it.
        allow("Assume", &["sts:AssumeRole"], "arn:aws:iam::ACCOUNT:role/ROLE"),
        allow("FileSystems", &["elasticfilesystem:DescribeMountTargets"], "*"),
        allow(
            "Images",
            &[
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:GetRepositoryPolicy",
                "ecr:SetRepositoryPolicy",
            ],
            "arn:aws:ecr:REGION:ACCOUNT:repository/REPOSITORY",
        ),
        keys,
        allow("Layers", &["lambda:GetLayerVersion"], "arn:aws:lambda:REGION:*:layer:*:*"),
        named_groups,
        allow(
            "Networks",
            &["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"],
            "*",
        ),
        // Of gates that ask functions with `auth: iam`.
        allow(
            "SignedGates",
            &["lambda:InvokeFunctionUrl"],
            "arn:aws:lambda:REGION:ACCOUNT:function:ENVIRONMENT-*",
        ),
    ]})
}

/// A release with other options of its address and its queue, and with a log group.
fn other(fixture: &Fixture) -> Made {
    fixture.release_with("other", &[stock(), reorder()], |name, function| {
        let mut aws = AwsFunction {
            logs: Some(Logs {
                format: LogFormat::Text,
                retention: Some(30),
                ..Logs::default()
            }),
            tags: [("team".to_owned(), "shop".to_owned())].into(),
            ..AwsFunction::default()
        };
        if *name == stock() {
            aws.url = Some(UrlOptions {
                auth: UrlAuth::Iam,
                stream: false,
                cors: Some(Cors::default()),
            });
        } else {
            let mut queue = QueueOptions::default();
            queue.batch.batch = Some(7);
            aws.queue = Some(queue);
            let arn = "arn:aws:sns:eu-west-1:123456789012:news".to_owned();
            let topic = EventSource::Topic(Topic { arn, filter: None });
            aws.events = [("news".to_owned(), topic)].into();
        }
        function.aws = Some(Box::new(aws));
    })
}

async fn live(cloud: &impl Cloud, fixture: &Fixture, made: &Made) {
    cloud.stage(&made.release, &made.package).await.unwrap();
    let release = made.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
    cloud.observe(&fixture.scope()).await.unwrap();
}

/// A service gets all that can be asked for, loses it again, and goes.
pub(super) async fn life(endpoint: &url::Url, hand: &url::Url) {
    let options = AwsOptions {
        keep_versions: 0,
        ..aws(endpoint, Duration::ZERO)
    };
    let cloud = Patient(AwsCloud::new(options).await);
    let fixture = Fixture::new(0);
    let scope = fixture.scope();
    let plain = fixture.release("plain");
    live(&cloud, &fixture, &plain).await;
    let retracted = cloud.retract(&scope, plain.release.digest).await;
    retracted.unwrap();
    live(&cloud, &fixture, &plain).await;
    talk(&cloud, &fixture).await;
    live(&cloud, &fixture, &full(&fixture, "full")).await;
    live(&cloud, &fixture, &other(&fixture)).await;
    // Settings alone: the code is what was sent last.
    let larger = fixture.release_with("other", &[stock(), reorder()], |_, function| {
        function.memory = Megabytes(512);
    });
    cloud.stage(&larger.release, &larger.package).await.unwrap();
    for percent in [20, 0] {
        let share = Percent::new(percent).unwrap();
        let shifted = cloud.shift(&scope, larger.release.digest, share).await;
        shifted.unwrap();
    }
    live(&cloud, &fixture, &larger).await;
    with_named_groups(&cloud, &fixture).await;
    // Roles of their own, which come and go.
    let allowed = fixture.release_with("other", &[stock(), reorder()], |_, function| {
        let rights = Rights {
            actions: ["dynamodb:GetItem".to_owned()].into(),
            on: ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders".to_owned()].into(),
        };
        let allow = [("orders".to_owned(), rights)].into();
        function.aws = Some(Box::new(AwsFunction {
            allow,
            ..AwsFunction::default()
        }));
    });
    live(&cloud, &fixture, &allowed).await;
    let role = role_of(hand, &fixture, &stock()).await;
    let role = ("RoleName", role.as_str());
    let anybody = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    for (operation, what, value) in [
        (
            "AttachRolePolicy",
            "PolicyArn",
            "arn:aws:iam::aws:policy/Admin",
        ),
        ("UpdateAssumeRolePolicy", "PolicyDocument", &anybody),
    ] {
        let (status, told) = iam(hand, operation, &[role, (what, value)]).await;
        assert_eq!(status, 200, "{told}");
    }
    let repaired = cloud.repair(&allowed.release, &allowed.package).await;
    repaired.unwrap();
    // Nothing over HTTP any more.
    let silent = fixture.release_with("silent", &[stock(), reorder()], |_, function| {
        function.http = None;
    });
    live(&cloud, &fixture, &silent).await;
    // And one function less.
    live(&cloud, &fixture, &fixture.release_of("few", &[stock()])).await;
    cloud.inventory().await.unwrap();
    cloud.prune(&scope).await.unwrap();
}

/// A log group with a name of its own, one that keeps otherwise, and then one that keeps for ever.
async fn with_named_groups(cloud: &impl Cloud, fixture: &Fixture) {
    for retention in [Some(30), Some(14), None] {
        let named = fixture.release_with("other", &[stock(), reorder()], |_, function| {
            function.aws = Some(Box::new(AwsFunction {
                logs: Some(Logs {
                    group: Some(GROUP.to_owned()),
                    retention,
                    ..Logs::default()
                }),
                ..AwsFunction::default()
            }));
        });
        live(cloud, fixture, &named).await;
        talk(cloud, fixture).await;
    }
}

/// What people ask, and the daemon when something drifts.
async fn talk(cloud: &impl Cloud, fixture: &Fixture) {
    let operate = cloud.operate().unwrap();
    let since = SystemClock.now().before(Duration::from_secs(600));
    operate.deeds(&fixture.scope(), since).await.unwrap();
    let call = Invocation {
        called: Default::default(),
        service: fixture.service.clone(),
        function: stock(),
        slot: Slot::Blue,
        input: Input::Message("hello".to_owned()),
    };
    operate.invoke(&call).await.unwrap();
    let wanted = LogsWanted {
        called: Default::default(),
        service: fixture.service.clone(),
        function: stock(),
        since,
        containing: Some("REPORT".to_owned()),
        lines_max: 10,
    };
    operate.logs(&wanted).await.unwrap();
}

/// What our own endpoint does not have, on a server that is not ours.
pub(super) async fn around(endpoint: &url::Url) {
    let options = AwsOptions {
        bucket: Some("packages".to_owned()),
        ..aws(endpoint, Duration::ZERO)
    };
    let cloud = AwsCloud::new(options).await;
    let fixture = Fixture::new(1);
    let noise = "x".repeat(51 << 20);
    let handler = "def handler(event, context): pass";
    let large = fixture.release_of_code(&noise, &[stock()], handler);
    cloud.stage(&large.release, &large.package).await.unwrap();
    let source = MetricSource::CloudWatch(CloudWatchQuery {
        namespace: "AWS/Lambda".to_owned(),
        metric: "Errors".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
        over: Duration::from_secs(300),
    });
    let question = MetricQuestion {
        called: &Default::default(),
        source: &source,
        service: &fixture.service.service,
        slot: Slot::Green,
        until: "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap(),
    };
    // This server does not speak the vendor's newest protocol; what counts is what it was asked.
    drop(cloud.metric(&question).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_allows_what_we_ask_of_aws_and_nothing_else() {
    let local = Local::at_once().await;
    let checker = Checker::before(&local.endpoint.url).await;
    life(&checker.address, &local.endpoint.url).await;
    let mut calls = checker.end().await;
    is_clean(&calls, 38);
    let peer = peers::moto().await;
    peers::create_bucket(&peer.endpoint, "packages").await;
    let checker = Checker::before(&peer.endpoint).await;
    around(&checker.address).await;
    calls.extend(checker.end().await);
    let seen = calls.iter().filter_map(|it| it.operation.clone()).collect();
    let mut named = named_in("src/cloud/aws", OPERATIONS);
    named.retain(|name| !MEMBERS.contains(&name.as_str()));
    all_were_seen(&named, &seen, "the life of an AWS service");
    let mut drawn = policy(&calls);
    is_judged_right(&drawn, &calls).await;
    let named_groups = taken_out(&mut drawn);
    is_written("aws-policy.json", &drawn);
    is_written("aws-policy-extras.json", &extras(named_groups));
}
