//! `adopt`, `invoke` and `logs` as people reach them: the real program, a whole daemon, both local clouds.

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
    a_stranger_stands_there(&stage);
    stage.write("environment.yaml", ENVIRONMENT);
    stage.write("hello.yaml", SERVICE);
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

    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(clouds.stop(), Some(0));
}

/// A Lambda function at the service's name, without our tags.
fn a_stranger_stands_there(stage: &Stage) {
    let body = json!({
        "FunctionName": "prod-hello-greet",
        "Runtime": "python3.13",
        "Role": "arn:aws:iam::123456789012:role/functions",
        "Handler": "app.handler",
        "Code": { "ZipFile": EMPTY_ZIP },
    });
    let url = format!("{}/2015-03-31/functions", stage.aws.trim_end_matches('/'));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = reqwest::Client::new().post(url).json(&body).send();
    let made = runtime.block_on(made).unwrap();
    assert!(made.status().is_success(), "{made:?}");
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
fn until_code(stage: &Stage, args: &[&str], code: i32) -> Ran {
    for _ in 0..TRIES {
        let ran = stage.run(args);
        if ran.code == code {
            return ran;
        }
        std::thread::sleep(PATIENCE / TRIES);
    }
    panic!("{}", stage.run(args).shown());
}

fn is_adopted(stage: &Stage) {
    let plan = until_code(stage, &["adopt", "hello"], 2);
    let id = plan
        .out
        .lines()
        .find_map(|line| line.strip_prefix("+ adopt "));
    let id = id.unwrap().to_owned();
    assert!(id.starts_with("arn:aws:lambda:eu-west-1:"), "{id}");
    assert!(id.ends_with(":function:prod-hello-greet"), "{id}");
    for said in [
        "gets our tags; the next release writes over its settings and code",
        "whoever calls it without an alias meets the new code at once",
    ] {
        assert!(plan.out.contains(said), "{}", plan.shown());
    }
    assert!(plan.err.contains("nothing was changed; --yes does it"));
    // Anybody on this machine may look, and nobody may do it without the token.
    is_refused(&without_token(stage, &["adopt", "hello", "--yes"]));
    let other = stage.run(&["adopt", "hello", "--resource", "arn:of:another", "--yes"]);
    assert_eq!(other.code, 0, "{}", other.shown());
    assert!(other.err.contains("has nothing to adopt"));
    let told = stage.run(&["adopt", "hello", "-o", "json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["resources"][0]["resource"], id);
    let done = stage.run(&["adopt", "hello", "--resource", &id, "--yes"]);
    assert_eq!(done.code, 0, "{}", done.shown());
    assert!(done.err.contains("1 adopted by prod/hello"));
    until_code(stage, &["wait", "hello", "--timeout", "60s"], 0);
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
