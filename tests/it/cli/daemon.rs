//! The whole job by the command line: both local clouds, a repository, the daemon, and the verbs that ask it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{Ran, finish, program};
use crate::{
    cloud_azure::tap::Tap,
    stage::real::{ENVIRONMENT, SERVICE},
};

/// A started program that is told to stop, and must then end well.
pub(super) struct Running {
    child: Child,
    /// What it printed until it was ready.
    told: String,
}

impl Running {
    /// Starts it, and reads what it says up to a line that begins so.
    pub(super) fn start(command: &mut Command, ready: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("it ended before it was ready").unwrap();
            told.push_str(&line);
            told.push('\n');
            if line.starts_with(ready) {
                break;
            }
        }
        // Whoever does not read its output stops it once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, told }
    }

    /// The word after these ones.
    pub(super) fn word_after(&self, words: &str) -> String {
        let (_, rest) = self.told.split_once(words).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    pub(super) fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(super) struct Stage {
    folder: tempfile::TempDir,
    pub(super) aws: String,
    /// By way of a tap, where there is one.
    pub(super) azure: String,
    pub(super) server: String,
    _tap: Option<Tap>,
}

impl Stage {
    /// An empty folder, and somebody else's server in the place of AWS.
    pub(super) fn at(aws: &url::Url) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            aws: aws.to_string(),
            azure: String::new(),
            server: String::new(),
            _tap: None,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn program(&self) -> Command {
        let mut command = program(self.folder.path());
        command
            .env("VERDIGRIS_SERVER", &self.server)
            .env("VERDIGRIS_DATA", self.path("data"));
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        finish(self.program().args(args))
    }

    /// The same, and somebody types this.
    pub(super) fn type_in(&self, text: &str, args: &[&str]) -> Ran {
        let typed = self.path("typed");
        fs::write(&typed, text).unwrap();
        finish(
            self.program()
                .args(args)
                .stdin(fs::File::open(typed).unwrap()),
        )
    }

    /// With the words that differ from run to run replaced by their kinds.
    fn shown(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let folder = self.folder.path().display().to_string();
        ran.shown()
            .replace(&folder, "<folder>")
            .lines()
            .map(same)
            .collect()
    }

    fn plan(&self) -> Ran {
        self.plan_of(&[])
    }

    fn plan_of(&self, names: &[&str]) -> Ran {
        let repository = format!("file://{}", self.path("repo").display());
        let own = [
            "plan",
            "--repo",
            &repository,
            "--aws-endpoint",
            &self.aws,
            "--azure-endpoint",
            &self.azure,
        ];
        self.run(&[&own, names].concat())
    }

    pub(super) fn commit(&self, message: &str) {
        for args in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=ana",
                "-c",
                "user.email=ana@example.com",
                "commit",
                "--quiet",
                "--message",
                message,
            ],
        ] {
            let done = Command::new("git")
                .args(args)
                .current_dir(self.path("repo"))
                .status();
            assert!(done.unwrap().success());
        }
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path: &Path = &self.path("repo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A line with its words one blank apart, and those that differ from run to run replaced by their kinds.
fn same(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(word).collect();
    let indent = line.len() - line.trim_start().len();
    format!("{}{}\n", " ".repeat(indent), words.join(" "))
}

fn word(word: &str) -> String {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let is_age = |text: &str| {
        text.strip_suffix('s').is_some_and(|number| {
            number.contains(|c: char| c.is_ascii_digit())
                && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
    };
    let bare = word.trim_end_matches([',', ';', ')']);
    let rest = &word[bare.len()..];
    if is_age(bare) {
        format!("<age>{rest}")
    } else if bare.starts_with("http://127.0.0.1:") {
        format!("<address>{rest}")
    } else if bare.len() == 24 && bare.ends_with('Z') {
        format!("<time>{rest}")
    } else if bare.len() == 12 && is_hex(bare) {
        format!("<release>{rest}")
    } else if let Some((branch, commit)) = bare
        .split_once('@')
        .filter(|(_, commit)| commit.len() == 7 && is_hex(commit))
    {
        let _ = commit;
        format!("{branch}@<commit>{rest}")
    } else {
        word.to_owned()
    }
}

/// An ASGI application that answers with this status.
pub(super) fn app(status: u16) -> String {
    format!(
        "async def app(scope, receive, send):\n    \
         await send({{'type': 'http.response.start', 'status': {status}, 'headers': []}})\n    \
         await send({{'type': 'http.response.body', 'body': b'hello'}})\n"
    )
}

/// Both local clouds, and an empty folder for a repository.
pub(super) fn clouds() -> (Running, Stage) {
    let folder = tempfile::tempdir().unwrap();
    let clouds = Running::start(
        program(folder.path()).args([
            "local",
            "--aws",
            "127.0.0.1:0",
            "--azure",
            "127.0.0.1:0",
            "--azure-tls",
            "127.0.0.1:0",
        ]),
        "Nothing outlives",
    );
    let tap = Tap::before_process(&clouds.word_after("--azure-endpoint "));
    let stage = Stage {
        aws: clouds.word_after("--aws-endpoint "),
        azure: tap.url.clone(),
        server: String::new(),
        folder,
        _tap: Some(tap),
    };
    (clouds, stage)
}

#[test]
fn a_plan_of_one_service_knows_those_that_it_waits_for() {
    let (clouds, stage) = clouds();
    let named = |name: &str, more: &str| {
        let named = SERVICE.replace("{ name: hello }", &format!("{{ name: {name} }}"));
        named.replace("  rollout:\n", &format!("{more}  rollout:\n"))
    };
    let together =
        |name: &str| named(name, "").replace("rollout:\n", "rollout:\n    group: desk\n");
    stage.write("environment.yaml", ENVIRONMENT);
    stage.write("hello.yaml", SERVICE);
    stage.write("shop.yaml", &named("shop", "  dependsOn: [hello]\n"));
    stage.write("till.yaml", &together("till"));
    stage.write("bell.yaml", &together("bell"));
    stage.write("services/hello/app.py", &app(200));
    stage.commit("first");
    for (name, other) in [("shop", "hello"), ("till", "bell")] {
        let plan = stage.plan_of(&[name]);
        assert_eq!(plan.code, 2, "{}", plan.shown());
        let waits = format!("prod/{other}, which ");
        assert!(plan.out.contains(&waits), "{}", plan.shown());
        assert!(!plan.out.contains("not read yet"), "{}", plan.shown());
        let shown = plan.out.lines().filter(|line| line.starts_with("prod/"));
        let shown: Vec<&str> = shown.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(shown, [format!("prod/{name}")], "{}", plan.shown());
    }
    assert_eq!(clouds.stop(), Some(0));
}

#[test]
fn a_commit_is_planned_rolled_out_refused_and_rolled_back() {
    let (clouds, mut stage) = clouds();
    stage.write("environment.yaml", ENVIRONMENT);
    stage.write("hello.yaml", SERVICE);
    stage.write("services/hello/app.py", &app(200));
    stage.commit("first");

    // Nothing is there yet, and a plan changes nothing.
    for _ in 0..2 {
        let plan = stage.plan();
        let shown: String = plan.shown().lines().map(same).collect();
        insta::assert_snapshot!("plan_first", shown);
    }

    let repository = format!("file://{}", stage.path("repo").display());
    let mut run = stage.program();
    run.args([
        "run",
        "--repo",
        &repository,
        "--listen",
        "127.0.0.1:0",
        "--aws-endpoint",
        &stage.aws,
        "--azure-endpoint",
        &stage.azure,
        "--log-format",
        "json",
    ]);
    let daemon = Running::start(&mut run, "follows");
    stage.server = daemon.word_after("dashboard");

    rolled_out(&stage);
    refused(&stage);
    changed(&stage);
    destroyed(&stage);

    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(stage.run(&["status"]).code, 4);
    assert_eq!(clouds.stop(), Some(0));
}

fn rolled_out(stage: &Stage) {
    let ran = stage.run(&["reconcile", "prod/hello", "--wait"]);
    // Before the first commit is read nobody knows the service.
    assert!(matches!(ran.code, 0 | 3), "{}", ran.shown());
    loop {
        let ran = stage.run(&["wait", "hello", "--timeout", "60s"]);
        match ran.err.contains("no service is called") {
            true => std::thread::sleep(std::time::Duration::from_millis(100)),
            false => {
                assert_eq!(ran.code, 0, "{}", ran.shown());
                break;
            }
        }
    }
    assert_eq!(
        stage.plan().shown(),
        "0 to change, 0 waiting, 1 as asked for\n--- stderr\n--- exit 0\n"
    );
    for (name, args) in [
        ("status_all", &["status"][..]),
        ("status_one", &["status", "hello"]),
        ("get", &["get"]),
        ("get_wide", &["get", "services", "prod/hello", "-o", "wide"]),
        ("get_sources", &["get", "sources"]),
        ("history", &["history", "hello"]),
    ] {
        insta::assert_snapshot!(name, stage.shown(args));
    }
    assert_eq!(stage.run(&["get", "-o", "name"]).out, "prod/hello\n");
    let report: serde_json::Value =
        serde_json::from_str(&stage.run(&["get", "services", "hello", "-o", "json"]).out).unwrap();
    assert_eq!(report["status"]["phase"], "Live");
    let yaml: serde_json::Value =
        serde_yaml::from_str(&stage.run(&["status", "hello", "-o", "yaml"]).out).unwrap();
    assert_eq!(yaml["status"]["releases"], report["status"]["releases"]);
    let events = stage
        .run(&["events", "hello", "-o", "name", "-n", "1000"])
        .out;
    let words: Vec<&str> = events.lines().collect();
    let moves = [
        "RolloutStarted",
        "Building",
        "Staging",
        "Gating",
        "Promoting",
        "Baking",
        "Live",
    ];
    assert!(moves.iter().all(|word| words.contains(word)), "{events}");
}

fn refused(stage: &Stage) {
    for (name, args) in [
        ("refused_rollback", &["rollback", "hello"][..]),
        ("refused_promote", &["promote", "hello"]),
        ("refused_name", &["retry", "nobody"]),
        ("refused_release", &["rollback", "hello", "--to", "r-9"]),
        ("refused_source", &["get", "sources", "nothing"]),
    ] {
        insta::assert_snapshot!(name, stage.shown(args));
    }
    let stranger = finish(
        stage
            .program()
            .env("VERDIGRIS_TOKEN", "vg_not_the_right_one")
            .args(["suspend", "hello", "--reason", "x"]),
    );
    assert_eq!(stranger.code, 3);
    let late = stage.run(&[
        "wait",
        "hello",
        "--for",
        "phase=Suspended",
        "--timeout",
        "1s",
    ]);
    assert_eq!(late.code, 2, "{}", late.shown());
}

fn changed(stage: &Stage) {
    let ran = stage.run(&["suspend", "hello", "--reason", "sale day", "--for", "2h"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(
        ran.out.contains("suspended by operator: sale day"),
        "{}",
        ran.out
    );
    let ran = stage.run(&["resume", "hello", "--wait"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());

    stage.write("services/hello/app.py", &(app(200) + "# second\n"));
    stage.commit("second");
    assert_eq!(stage.plan().code, 2);
    let ran = stage.run(&["reconcile", "hello", "--wait", "--timeout", "60s"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(stage.plan().code, 0, "the second commit was not waited for");

    stage.write("services/hello/app.py", &app(503));
    stage.commit("third");
    let ran = stage.run(&["reconcile", "hello", "--wait", "--timeout", "60s"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    insta::assert_snapshot!("status_rejected", stage.shown(&["status"]));
    assert_eq!(stage.run(&["wait", "hello"]).code, 1);

    let ran = stage.run(&["rollback", "hello", "--to", "r-1", "--wait"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.out.contains("Pinned"), "{}", ran.out);
    insta::assert_snapshot!("history_after", stage.shown(&["history", "hello"]));
}

fn destroyed(stage: &Stage) {
    // Nobody types a name: it is told what would go, and nothing goes.
    let shown = stage.run(&["destroy", "prod/hello"]);
    assert_eq!(shown.code, 2, "{}", shown.shown());
    assert!(
        shown.out.contains("  - aws eu-west-1: arn:aws:lambda:"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("/sites/"), "{}", shown.out);
    assert!(shown.err.contains("type `prod/hello`"), "{}", shown.err);
    let silent = stage.run(&["destroy", "hello", "--yes"]);
    assert_eq!(silent.code, 1, "{}", silent.shown());
    assert!(
        silent.err.contains("say why, with --reason"),
        "{}",
        silent.err
    );
    let other = [
        "destroy",
        "hello",
        "--plan",
        "0123456789ab",
        "--reason",
        "moved",
        "--yes",
    ];
    let other = stage.run(&other);
    assert_eq!(other.code, 3, "{}", other.shown());

    let ran = stage.type_in("prod/hello\nit moved\n", &["destroy", "hello", "--wait"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(
        ran.out
            .contains("Destroyed  destroyed by operator: it moved"),
        "{}",
        ran.out
    );
    assert_eq!(
        stage
            .run(&["wait", "hello", "--for", "phase=Destroyed"])
            .code,
        0
    );
    let why = stage.run(&["why", "hello"]);
    assert!(
        why.out.contains("verdigris resume prod/hello"),
        "{}",
        why.out
    );
    let none = stage.run(&["destroy", "--environment", "prod", "--reason", "x", "--yes"]);
    assert_eq!(
        (none.code, none.err.as_str()),
        (0, "nothing to destroy\n"),
        "{}",
        none.shown()
    );
}
