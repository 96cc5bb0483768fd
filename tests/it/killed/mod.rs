//! The real program as it is run, against both local clouds as a process of their own; then something happens to the process, its disk
//! or its clock. Where a run ends must be where it would have ended.
//!
//! What takes longest is done once: a service live at v1, and one that has gone on to v2. Each test begins with a copy of that.

#![expect(
    clippy::disallowed_methods,
    reason = "processes are waited for in real time"
)]

#[cfg(debug_assertions)]
mod points;
mod troubles;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cloud_azure::tap::Tap,
    stage::real::{ENVIRONMENT, SERVICE},
};

/// Two busy cores need a while; a daemon that works needs seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A started program. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed until it was ready.
    told: String,
}

impl Process {
    /// Starts it, and reads what it says up to a line that begins so.
    pub(crate) fn start(command: &mut Command, ready: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, told }
    }

    /// The word after these ones.
    pub(crate) fn word_after(&self, words: &str) -> String {
        let (_, rest) = self.told.split_once(words).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self, what: &str) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        self.ended("told to stop")
    }

    /// It does not get to say anything any more.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder with a repository, both clouds' state, and a daemon's data.
pub(crate) struct Ground {
    pub(crate) folder: TempDir,
    pub(crate) clouds: Process,
    pub(crate) aws: String,
    /// By way of a tap.
    pub(crate) azure: String,
    _tap: Tap,
}

impl Ground {
    pub(crate) fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(folder)
    }

    /// With a copy of all that lies there.
    pub(crate) fn copy_of(prepared: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = format!("{}/.", prepared.display());
        let copied = Command::new("cp")
            .args(["-r", &from])
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        Self::over(folder)
    }

    fn over(folder: TempDir) -> Self {
        let state = folder.path().join("clouds");
        let mut command = program(folder.path());
        command.arg("local").arg("--state").arg(state);
        for listens in ["--aws", "--azure", "--azure-tls"] {
            command.args([listens, "127.0.0.1:0"]);
        }
        let clouds = Process::start(command.stderr(Stdio::null()), "State is kept");
        let tap = Tap::before_process(&clouds.word_after("--azure-endpoint "));
        Self {
            aws: clouds.word_after("--aws-endpoint "),
            azure: tap.url.clone(),
            _tap: tap,
            clouds,
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The daemon; its log goes to `daemon.log`.
    pub(crate) fn daemon(&self) -> Command {
        self.daemon_by(program(self.folder.path()))
    }

    /// The daemon, started by a program that takes the rest of its arguments as a command.
    pub(crate) fn daemon_by(&self, mut command: Command) -> Command {
        let mut log = fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.path("daemon.log"));
        let repository = format!("file://{}", self.path("repo").display());
        command
            .args(["run", "--repo", &repository, "--listen", "127.0.0.1:0"])
            .args(["--aws-endpoint", &self.aws, "--azure-endpoint", &self.azure])
            .env("VERDIGRIS_DATA", self.path("data"))
            .stderr(log.unwrap());
        command
    }

    pub(crate) fn start(&self, command: &mut Command) -> Daemon<'_> {
        let process = Process::start(command, "follows");
        let server = process.word_after("dashboard");
        Daemon {
            ground: self,
            process,
            server: server.trim_end_matches('/').to_owned(),
        }
    }

    pub(crate) fn write(&self, version: &str) {
        self.write_with(version, SERVICE);
    }

    /// Commits a version of the code and this manifest of it.
    pub(crate) fn write_with(&self, version: &str, service: &str) {
        let path = self.path("repo/services/hello/app.py");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, app(version)).unwrap();
        for (name, text) in [("environment.yaml", ENVIRONMENT), ("hello.yaml", service)] {
            fs::write(self.path("repo").join(name), text).unwrap();
        }
        let new = [&["init", "--quiet", "--initial-branch=main"][..]];
        let is_new = !self.path("repo/.git").exists();
        let more = [
            &["add", "--all"][..],
            &["-c", "user.name=ana", "-c", "user.email=ana@example.com"],
        ];
        for args in new.into_iter().filter(|_| is_new).chain(more) {
            let mut git = Command::new("git");
            git.args(args).current_dir(self.path("repo"));
            if args[0] == "-c" {
                git.args(["commit", "--quiet", "--message", version]);
            }
            assert!(git.status().unwrap().success());
        }
    }

    /// Calls so far that change something, by cloud and operation.
    pub(crate) fn writes(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (cloud, url) in [("aws", &self.aws), ("azure", &self.azure)] {
            let calls = ask(&format!("{url}/_verdigris/calls"));
            for (operation, count) in calls.as_object().unwrap() {
                if !is_read(operation) {
                    all.insert(format!("{cloud} {operation}"), count.as_u64().unwrap());
                }
            }
        }
        all
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }
}

/// Lists, looks, and what users call; on Azure some of them are asked for by POST.
fn is_read(operation: &str) -> bool {
    let starts = ["Get", "List", "Invoke"];
    let ends = [".get", ".list", ".head", ".listkeys"];
    starts.iter().any(|word| operation.starts_with(word))
        || ends.iter().any(|word| operation.ends_with(word))
}

/// A daemon that runs and answers.
pub(crate) struct Daemon<'a> {
    ground: &'a Ground,
    pub(crate) process: Process,
    server: String,
}

impl Daemon<'_> {
    pub(crate) fn service(&self) -> Value {
        ask(&format!("{}/api/v1/services/prod/hello", self.server))
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let line = |event: &Value| format!("{} {}", event["reason"], event["message"]);
        self.event_records().iter().map(line).collect()
    }

    pub(crate) fn event_records(&self) -> Vec<Value> {
        let events = ask(&format!("{}/api/v1/events?limit=1000", self.server));
        events["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the service is so.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let service = self.service();
            if wanted(&service) {
                return service;
            }
            if Instant::now() >= deadline {
                panic!("not {what}: {service:#}\n{}", self.ground.log());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The verb of the command line; what it says is for people.
    pub(crate) fn say(&self, args: &[&str]) -> std::process::Output {
        program(self.ground.folder.path())
            .args(args)
            .env("VERDIGRIS_SERVER", &self.server)
            .env("VERDIGRIS_DATA", self.ground.path("data"))
            .output()
            .unwrap()
    }

    /// All that matters of where a service came to rest.
    pub(crate) fn end(&self, phase: &str, version: &str) -> Value {
        let at_rest = |service: &Value| {
            let status = &service["status"];
            let blues = status["targets"].as_array().into_iter().flatten();
            let blues: Vec<&Value> = blues.map(|target| &target["blue"]["release"]).collect();
            status["phase"] == phase
                && blues.len() == 2
                && blues
                    .iter()
                    .all(|blue| **blue == status["releases"]["live"])
                && answers(service).iter().all(|told| told.ends_with(version))
        };
        let service = self.until(&format!("{phase} at {version}"), at_rest);
        let history = format!("{}/api/v1/services/prod/hello/history", self.server);
        let pick = |from: &Value, fields: &[&str]| {
            let picked = fields
                .iter()
                .map(|field| ((*field).to_owned(), from[*field].clone()));
            Value::Object(picked.collect())
        };
        let list = |from: &Value, fields: &[&str]| {
            let items = from.as_array().into_iter().flatten();
            items.map(|item| pick(item, fields)).collect::<Value>()
        };
        let status = &service["status"];
        let slots = status["targets"].as_array().into_iter().flatten();
        let slots = slots.map(|target| {
            json!({
                "cloud": target["cloud"],
                "blue": target["blue"]["release"],
                "green": target["green"]["release"],
                "drift": target["drift"],
            })
        });
        json!({
            "phase": status["phase"],
            "releases": status["releases"],
            "pin": status["pin"]["release"],
            "slots": slots.collect::<Value>(),
            "conditions": list(&status["conditions"], &["type", "status", "reason"]),
            "rejected": status["rejected"],
            "answers": answers(&service),
            "history": list(&ask(&history)["items"], &["id", "release", "outcome", "trigger"]),
        })
    }
}

/// What users of both blues are told: the release of the answer is the one that blue is said to hold.
pub(crate) fn answers(service: &Value) -> Vec<String> {
    let targets = service["status"]["targets"].as_array();
    let mut told = Vec::new();
    for target in targets.into_iter().flatten() {
        let Some(base) = target["blue"]["addresses"]["greet"].as_str() else {
            continue;
        };
        told.push(fetch(&format!("{}/greet", base.trim_end_matches('/'))));
    }
    told
}

fn ask(url: &str) -> Value {
    serde_json::from_str(&fetch(url)).unwrap_or(Value::Null)
}

/// The text behind an address; empty where nobody answers.
fn fetch(url: &str) -> String {
    let asked = Command::new("curl")
        .args(["--silent", "--max-time", "20", url])
        .output();
    String::from_utf8_lossy(&asked.unwrap().stdout).into_owned()
}

/// The program, with nothing of this machine's environment but where programs are.
pub(crate) fn program(folder: &Path) -> Command {
    bare(Command::new(env!("CARGO_BIN_EXE_verdigris")), folder)
}

/// Another program that starts ours, in the same surroundings.
pub(crate) fn starter(name: &str, args: &[&str], folder: &Path) -> Command {
    let mut command = bare(Command::new(name), folder);
    command.args(args).arg(env!("CARGO_BIN_EXE_verdigris"));
    command
}

fn bare(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .stdin(Stdio::null());
    command
}

/// An ASGI application that tells its version.
fn app(version: &str) -> String {
    format!(
        "async def app(scope, receive, send):\n    \
         await send({{'type': 'http.response.start', 'status': 200, 'headers': []}})\n    \
         await send({{'type': 'http.response.body', 'body': b'hello from {version}'}})\n"
    )
}

/// Where a service is live at v1, and where it has gone on to v2; made once for all tests.
pub(crate) struct Prepared {
    pub(crate) at_v1: PathBuf,
    pub(crate) at_v2: PathBuf,
    _folder: TempDir,
}

pub(crate) fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let live = |ground: Ground, version: &str| {
            ground.write(version);
            let daemon = ground.start(&mut ground.daemon());
            daemon.end("Live", version);
            daemon.process.stop();
            let Ground { folder, clouds, .. } = ground;
            clouds.stop();
            let kept = folder.keep();
            fs::remove_file(kept.join("daemon.log")).unwrap();
            kept
        };
        let keep = |from: PathBuf, name: &str| {
            let to = folder.path().join(name);
            let moved = Command::new("mv").arg(from).arg(&to).status();
            assert!(moved.unwrap().success());
            to
        };
        let ground = Ground::fresh();
        fs::create_dir_all(ground.path("repo")).unwrap();
        let at_v1 = keep(live(ground, "v1"), "v1");
        let at_v2 = keep(live(Ground::copy_of(&at_v1), "v2"), "v2");
        Prepared {
            at_v1,
            at_v2,
            _folder: folder,
        }
    })
}
