//! `adopt`, `invoke` and `logs` as people reach them: the real program, a whole daemon, both local clouds, and functions on both that were
//! there before under names of their own.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Ran,
    daemon::{Running, Stage, app, clouds},
};
use crate::stage::real::{ENVIRONMENT, SERVICE};

/// Two busy cores need a while.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often is asked in this time.
const TRIES: u32 = 600;

/// A zip without a file.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

#[test]
fn what_was_there_is_adopted_called_and_read_by_whoever_has_the_token() {
    let (clouds, mut stage) = clouds();
    strangers_stand_there(&stage);
    stage.write("environment.yaml", ENVIRONMENT);
    stage.write("hello.yaml", &named("Hello_Legacy"));
    stage.write("services/hello/app.py", &app(200));
    stage.commit("first");
    let repository = format!("file://{}", stage.path("repo").display());
    let mut run = stage.program();
    run.args(["run", "--repo", &repository, "--listen", "127.0.0.1:0"])
        .args(["--aws-endpoint", &stage.aws])
        .args(["--azure-endpoint", &stage.azure])
        .args(["--log-format", "json"]);
    let daemon = Running::start(&mut run, "follows");
    stage.server = daemon.word_after("dashboard");

    is_adopted(&stage);
    is_called(&stage);
    is_read(&stage);
    is_followed(&stage);
    is_refused_by_the_clouds(&stage);
    keeps_its_names(&stage);

    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(clouds.stop(), Some(0));
}

/// The service with the names of what was there; no rule of ours would give them.
fn named(function: &str) -> String {
    let asks = format!("http: GET /greet, aws: {{ name: {function} }} }}");
    let named = SERVICE.replace("http: GET /greet }", &asks);
    named.replace("  rollout:", "  azure: { name: Legacy-Hello }\n  rollout:")
}

/// Asks one of the local clouds, as other people's programs do.
fn ask(method: &str, url: &str, body: &Value) -> Value {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().request(method.parse().unwrap(), url);
        let answer = request.bearer_auth("local").json(body).send().await;
        let answer = answer.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    })
}

fn on_aws(stage: &Stage, path: &str) -> String {
    format!("{}/{path}", stage.aws.trim_end_matches('/'))
}

fn on_azure(stage: &Stage, below: &str, version: &str) -> String {
    let group = "/subscriptions/6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab/resourceGroups/shop";
    format!(
        "{}{group}{below}?api-version={version}",
        stage.azure.trim_end_matches('/')
    )
}

/// A Lambda function and a Function App without our tags.
fn strangers_stand_there(stage: &Stage) {
    let function = json!({
        "FunctionName": "Hello_Legacy",
        "Runtime": "python3.13",
        "Role": "arn:aws:iam::123456789012:role/functions",
        "Handler": "app.handler",
        "Code": { "ZipFile": EMPTY_ZIP },
    });
    ask("POST", &on_aws(stage, "2015-03-31/functions"), &function);
    let group = json!({ "location": "westeurope" });
    ask("PUT", &on_azure(stage, "", "2025-04-01"), &group);
    let plans = "/providers/Microsoft.Web/serverfarms/theirs";
    let plan = json!({
        "location": "westeurope",
        "kind": "elastic",
        "sku": { "name": "EP1", "tier": "ElasticPremium" },
        "properties": { "reserved": true },
    });
    let plan = ask("PUT", &on_azure(stage, plans, "2025-05-01"), &plan);
    let app = json!({
        "location": "westeurope",
        "kind": "functionapp,linux",
        "properties": { "reserved": true, "serverFarmId": plan["id"] },
    });
    let path = "/providers/Microsoft.Web/sites/Legacy-Hello";
    ask("PUT", &on_azure(stage, path, "2025-05-01"), &app);
}

/// Names of the Lambda functions and the Function Apps that there are.
fn names(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let all = |answer: &Value, list: &str, name: &str| -> Vec<String> {
        let listed = answer[list].as_array().unwrap().iter();
        let names = listed.map(|one| one[name].as_str().unwrap().to_owned());
        names.collect()
    };
    let functions = ask("GET", &on_aws(stage, "2015-03-31/functions"), &json!({}));
    let apps = on_azure(stage, "/providers/Microsoft.Web/sites", "2025-05-01");
    let apps = ask("GET", &apps, &json!({}));
    (
        all(&functions, "Functions", "FunctionName"),
        all(&apps, "value", "name"),
    )
}

/// By somebody who has no token.
fn without_token(stage: &Stage, args: &[&str]) -> Ran {
    let mut command = stage.program();
    command.env("VERDIGRIS_DATA", stage.path("nowhere"));
    super::finish(command.args(args))
}

#[track_caller]
fn is_refused(ran: &Ran) {
    assert_eq!(ran.code, 3, "{}", ran.shown());
    assert!(ran.err.contains("--token-file"), "{}", ran.shown());
}

/// Asks again until it ends so: the first commit is read by and by.
pub(super) fn until_code(stage: &Stage, args: &[&str], code: i32) -> Ran {
    until(stage, args, |ran| ran.code == code)
}

/// Asks again until the answer is as wanted.
pub(super) fn until(stage: &Stage, args: &[&str], wanted: impl Fn(&Ran) -> bool) -> Ran {
    for _ in 0..TRIES {
        let ran = stage.run(args);
        if wanted(&ran) {
            return ran;
        }
        std::thread::sleep(PATIENCE / TRIES);
    }
    panic!("{}", stage.run(args).shown());
}

fn is_adopted(stage: &Stage) {
    let plan = until_code(stage, &["adopt", "hello"], 2);
    insta::assert_snapshot!("adopt_plan", plan.shown());
    let ids = plan
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("+ adopt "));
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    let [id, app] = ids.as_slice() else {
        panic!("{}", plan.shown());
    };
    // Anybody on this machine may look, and nobody may do it without the token.
    is_refused(&without_token(stage, &["adopt", "hello", "--yes"]));
    let other = stage.run(&["adopt", "hello", "--resource", "arn:of:another", "--yes"]);
    assert_eq!(other.code, 0, "{}", other.shown());
    assert!(other.err.contains("has nothing to adopt"));
    let told = stage.run(&["adopt", "hello", "-o", "json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["resources"][0]["resource"], *id);
    // The one by its name, the other by its whole id.
    for id in ["Hello_Legacy", app] {
        let done = stage.run(&["adopt", "hello", "--resource", id, "--yes"]);
        assert_eq!(done.code, 0, "{}", done.shown());
        assert!(done.err.contains("1 adopted by prod/hello"));
    }
    let live = stage.run(&["wait", "hello", "--timeout", "180s"]);
    assert_eq!(live.code, 0, "{}", live.shown());
    let nothing = stage.run(&["adopt", "hello"]);
    assert_eq!(nothing.code, 0, "{}", nothing.shown());
}

fn is_called(stage: &Stage) {
    let call = |cloud: &str, request: &str| {
        stage.run(&["invoke", "hello", "--cloud", cloud, "--http", request])
    };
    for cloud in ["aws", "azure"] {
        let ran = call(cloud, "GET /greet");
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert_eq!(ran.out, "hello\n");
        let head = ran.err.lines().next().unwrap_or_default();
        assert!(head.starts_with(cloud), "{}", ran.shown());
        assert!(head.ends_with("  200"), "{}", ran.shown());
    }
    // Nothing answers there.
    let ran = call("azure", "GET /nothing/here");
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.err.contains("  404"), "{}", ran.shown());
    is_refused(&without_token(
        stage,
        &["invoke", "hello", "--http", "GET /greet"],
    ));
    let ran = call("aws", "greet");
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.err.contains("GET /stock/42"), "{}", ran.shown());
    let ran = stage.run(&["invoke", "hello"]);
    assert_eq!(ran.code, 3, "{}", ran.shown());
    assert!(ran.err.contains("`message`"), "{}", ran.shown());
}

fn is_read(stage: &Stage) {
    let logs = |more: &[&str]| stage.run(&[&["logs", "hello", "--cloud", "aws"], more].concat());
    let ran = logs(&["--containing", "REPORT"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(!lines.is_empty(), "{}", ran.shown());
    for line in &lines {
        assert!(line.contains(" aws/greet  REPORT"), "{line}");
    }
    // The newest one.
    let ran = logs(&["--containing", "REPORT", "-n", "1"]);
    let newest: Vec<_> = ran.out.lines().collect();
    assert_eq!(newest.len(), 1, "{}", ran.shown());
    assert!(newest >= lines[lines.len() - 1..].to_vec(), "{newest:?}");
    let ran = logs(&["-o", "json", "--function", "greet"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["problems"], json!([]));
    assert!(told["lines"].as_array().unwrap().len() >= lines.len());
    is_refused(&without_token(stage, &["logs", "hello"]));
    let ran = stage.run(&["logs", "nobody"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
}

/// A line that comes while somebody looks is shown, and every line once.
fn is_followed(stage: &Stage) {
    let mut command = stage.program();
    let args = ["logs", "hello", "--cloud", "aws", "--containing", "REPORT"];
    command.args(args).arg("-f");
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(follower.stdout.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let next = |lines: &Receiver<String>| lines.recv_timeout(PATIENCE).unwrap();
    let before = stage.run(&args).out.lines().count();
    let mut shown: Vec<_> = (0..before).map(|_| next(&lines)).collect();
    for _ in 0..2 {
        let called = stage.run(&["invoke", "hello", "--cloud", "aws", "--http", "GET /greet"]);
        assert_eq!(called.code, 0, "{}", called.shown());
        shown.push(next(&lines));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let now = stage.run(&args);
    let now: BTreeSet<_> = now.out.lines().map(str::to_owned).collect();
    let once: BTreeSet<_> = shown.iter().cloned().collect();
    assert_eq!(once.len(), shown.len(), "{shown:?}");
    assert!(once.is_subset(&now), "{shown:?}");
}

/// What the clouds do not let us do is told as that, by each of the verbs.
fn is_refused_by_the_clouds(stage: &Stage) {
    let refuse = |url: &str, operations: &[&str], code: &str| {
        let rule = |operation: &&str| {
            json!({
                "operation": operation,
                "error": { "status": 403, "code": code, "message": "no right to do this" },
            })
        };
        let rules: Vec<Value> = operations.iter().map(rule).collect();
        let url = format!("{}/_verdigris/faults", url.trim_end_matches('/'));
        ask("PUT", &url, &json!(rules));
    };
    let aws = ["Invoke", "FilterLogEvents"];
    refuse(&stage.aws, &aws, "AccessDeniedException");
    refuse(&stage.azure, &["insights.query"], "AuthorizationFailed");
    for (name, args) in [
        (
            "invoke_denied",
            &["invoke", "hello", "--cloud", "aws", "--http", "GET /greet"][..],
        ),
        ("logs_denied", &["logs", "hello"]),
        ("logs_nobody", &["logs", "nobody"]),
        (
            "invoke_no_function",
            &[
                "invoke",
                "hello",
                "--function",
                "nothing",
                "--http",
                "GET /",
            ],
        ),
        ("adopt_nobody", &["adopt", "nobody"]),
    ] {
        insta::assert_snapshot!(name, stage.run(args).shown());
    }
    refuse(&stage.aws, &[], "");
    refuse(&stage.azure, &[], "");
}

/// Another name would be another function: it is refused, what runs stays, and it is destroyed by the names that it has.
fn keeps_its_names(stage: &Stage) {
    let both = (
        vec!["Hello_Legacy".to_owned()],
        vec!["Legacy-Hello".to_owned()],
    );
    assert_eq!(names(stage), both);
    stage.write("hello.yaml", &named("hello-renamed"));
    stage.commit("another name");
    stage.run(&["reconcile", "hello"]);
    let why = until(stage, &["why", "hello"], |ran| {
        ran.out.contains("none can be renamed to `hello-renamed`")
    });
    assert!(
        why.out.contains("write `aws: { name: Hello_Legacy }`"),
        "{}",
        why.shown()
    );
    // Nor does another key take what stands: it would be seen as both, and cleared away as the first.
    stage.write(
        "hello.yaml",
        &named("Hello_Legacy").replace("    greet:", "    index:"),
    );
    stage.commit("another key");
    stage.run(&["reconcile", "hello"]);
    until(stage, &["why", "hello"], |ran| {
        let told = "`index` would be the Lambda function `Hello_Legacy`, which is `greet`";
        ran.out.contains(told)
    });
    assert_eq!(names(stage), both);
    let gone = stage.type_in("prod/hello\nit moved\n", &["destroy", "hello", "--wait"]);
    assert_eq!(gone.code, 0, "{}", gone.shown());
    assert_eq!(names(stage), (Vec::new(), Vec::new()));
}
