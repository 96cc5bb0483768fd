//! What people wait for when they deploy: ours, the Serverless Framework 3, and a script with the fewest calls that there can be, one after
//! the other on the same server, which is moto, in the same run.
//!
//! Each function has a folder of its own, and is a service of its own with us; with Serverless it is one of one service, packed on its
//! own. A *first deploy* makes them all, a *change* changes the code of one, and *nothing* asks for what is there already.
//!
//! What each figure includes: ours from the commit to all services live (fetch, plan, build, stage, promote, every look between them,
//! and all of it written to the disk), with a daemon that runs already; Serverless and the script from the start of their process to its
//! end. *At work* is the script without the start of Python and of its client. *CPU* is that of the process that deploys, never the
//! server's.
//!
//! `tests/run` installs what is needed, and says where: `VERDIGRIS_TEST_VENV`, `VERDIGRIS_TEST_NODE`. `VERDIGRIS_BENCH_FUNCTIONS` (1,20,200)
//! says how many, `VERDIGRIS_BENCH_ROUNDS` (3) how often each is done.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[path = "kit/ended.rs"]
mod ended;
#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kit::{setting, title};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, sleep},
};
use url::Url;
use verdigris::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        config::{AwsAccess, Config},
        run::{self, Daemon},
    },
    git::author::Author,
    name::{Actor, CloudName, ServiceKey},
    plan::act::Action,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/functions";
const STEPS: [&str; 3] = ["first deploy", "change of one", "nothing"];
/// The script, from where Python and its client have started.
const AT_WORK: &str = "at work";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(bench());
}

async fn bench() {
    let sizes = std::env::var("VERDIGRIS_BENCH_FUNCTIONS").unwrap_or("1,20,200".to_owned());
    let rounds = setting("VERDIGRIS_BENCH_ROUNDS", 3);
    let server = Server::start().await;
    // It loads a service when that is first asked for, which is nobody's cost.
    server.reset().await;
    floor(&server, 1, &mut Table::default()).await;
    for size in sizes.split(',') {
        let size: usize = size.parse().unwrap();
        let mut table = Table::default();
        for _ in 0..rounds {
            server.reset().await;
            ours(&server, size, &mut table).await;
            server.reset().await;
            floor(&server, size, &mut table).await;
            server.reset().await;
            serverless(&server, size, &mut table).await;
        }
        title(&format!(
            "{size} functions: median of {rounds}, wall ms / CPU ms / calls"
        ));
        table.print();
    }
}

// === the server ===

struct Server {
    endpoint: Url,
    calls: Arc<AtomicU64>,
    _process: Child,
}

fn tool(name: &str, below: &str) -> PathBuf {
    let folder = std::env::var(name);
    let folder =
        folder.unwrap_or_else(|_| panic!("{name} must name a folder that `tests/run` made"));
    Path::new(&folder).join(below)
}

impl Server {
    async fn start() -> Self {
        let mut process = Command::new(tool("VERDIGRIS_TEST_VENV", "bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let endpoint = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("moto ended before it listened");
            if let Some((_, address)) = line.split_once("Running on ") {
                break Url::parse(address.trim()).unwrap();
            }
        };
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        // It writes one line for each request.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                counted.fetch_add(u64::from(line.contains("HTTP/1.1\"")), Ordering::Relaxed);
            }
        });
        Self {
            endpoint,
            calls,
            _process: process,
        }
    }

    /// Empty, but for the role that functions run as.
    async fn reset(&self) {
        let client = reqwest::Client::new();
        let reset = self.endpoint.join("moto-api/reset").unwrap();
        client.post(reset).send().await.unwrap();
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
        let role = format!(
            "Action=CreateRole&Version=2010-05-08&RoleName=functions&AssumeRolePolicyDocument={policy}"
        );
        let scope = "Credential=test/20260101/us-east-1/iam/aws4_request";
        let made = client
            .post(self.endpoint.clone())
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .body(role);
        assert!(made.send().await.unwrap().status().is_success());
    }

    /// Measures some work.
    async fn measure(&self, work: impl Future<Output = ()>) -> Cost {
        // What was under way has come to the log.
        sleep(Duration::from_millis(200)).await;
        let (calls, cpu) = (self.calls.load(Ordering::Relaxed), cpu());
        let started = Instant::now();
        work.await;
        let wall = started.elapsed();
        let cpu = self::cpu().saturating_sub(cpu);
        sleep(Duration::from_millis(200)).await;
        let calls = self.calls.load(Ordering::Relaxed) - calls;
        Cost { wall, cpu, calls }
    }
}

/// Of this process and of all that it waited for, as Linux tells it: in hundredths of a second.
fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = told
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks = fields[11..15].iter().map(|it| it.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    calls: u64,
}

/// By contender and step.
#[derive(Default)]
struct Table(BTreeMap<(&'static str, usize), Vec<Cost>>);

impl Table {
    fn add(&mut self, who: &'static str, step: usize, cost: Cost) {
        self.0.entry((who, step)).or_default().push(cost);
    }

    fn median<T: Ord + Copy>(&self, who: &'static str, step: usize, of: impl Fn(&Cost) -> T) -> T {
        let mut all: Vec<_> = self.0[&(who, step)].iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }

    fn print(&self) {
        for (step, name) in STEPS.iter().enumerate() {
            let mut line = format!("  {name:<16}");
            for who in ["ours", "floor", "serverless"] {
                let wall = self.median(who, step, |it| it.wall).as_millis();
                let cpu = self.median(who, step, |it| it.cpu).as_millis();
                let calls = self.median(who, step, |it| it.calls);
                write!(line, "  {who} {wall} / {cpu} / {calls}").unwrap();
            }
            let wall = |who| self.median(who, step, |it| it.wall).as_secs_f64();
            let (faster, above, at_work) = (
                wall("serverless") / wall("ours"),
                wall("ours") / wall("floor"),
                wall("ours") / wall(AT_WORK),
            );
            println!(
                "{line}; {faster:.1} times faster than Serverless, {above:.2} times the floor, {at_work:.2} times the floor at work ({:.0})",
                wall(AT_WORK) * 1000.0
            );
        }
    }
}

// === ours ===

const SERVICE: &str = "---\napiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: { name: fNUMBER }\nspec:\n  runtime: python3.11\n  source: services/fNUMBER\n  functions:\n    main: { handler: 'app:app' }\n";
const ENVIRONMENT: &str = "apiVersion: verdigris.dev/v1alpha1\nkind: Environment\nmetadata: { name: bench }\nspec:\n  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }\n";

fn app(number: usize, text: &str) -> String {
    format!("async def app(scope, receive, send):\n    return '{number} {text}'\n")
}

async fn ours(server: &Server, size: usize, table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let origin = folder.path().join("origin");
    let author = Author::init(&origin).unwrap();
    author.write("environment.yaml", ENVIRONMENT).unwrap();
    author.commit("nothing").unwrap();
    let daemon = started(server, &origin, &folder.path().join("data")).await;
    let mut services = String::new();
    for number in 0..size {
        services += &SERVICE.replace("NUMBER", &number.to_string());
        let file = format!("services/f{number}/app.py");
        author.write(&file, app(number, "one")).unwrap();
    }
    author.write("services.yaml", services).unwrap();
    // Not before, for the daemon looks by itself, too.
    let cost = server.measure(async {
        author.commit("first").unwrap();
        daemon.sources.wake_all();
        for number in 0..size {
            ended::live(&daemon, &key(number), 1).await;
        }
    });
    table.add("ours", 0, cost.await);
    author.write("services/f0/app.py", app(0, "two")).unwrap();
    let cost = server.measure(async {
        author.commit("change").unwrap();
        daemon.sources.wake_all();
        ended::live(&daemon, &key(0), 2).await;
    });
    table.add("ours", 1, cost.await);
    // A person asks that every service is looked at anew.
    let looked = async |number: usize| {
        let state = daemon.handle.state(&key(number)).await.unwrap();
        state.live[&CloudName::Aws].seen.as_ref().map(|it| it.at)
    };
    let mut before = Vec::new();
    for number in 0..size {
        before.push(looked(number).await);
    }
    let cost = server.measure(async {
        for number in 0..size {
            let (key, look) = (key(number), Action::Reconcile { token: None });
            let asked = daemon.handle.act(&key, look, Actor::person("bench"));
            asked.await.unwrap();
        }
        let mut changes = daemon.handle.changes();
        for (number, before) in before.iter().enumerate() {
            while looked(number).await == *before {
                changes.changed().await.unwrap();
            }
        }
    });
    table.add("ours", 2, cost.await);
    daemon.stop().await;
}

/// A daemon that follows a repository.
async fn started(server: &Server, origin: &Path, data: &Path) -> Daemon {
    let mut config = Config::for_repository(&format!("file://{}", origin.display()), "main", "");
    let config = config.as_mut().unwrap();
    config.aws = AwsAccess {
        endpoint: Some(server.endpoint.clone()),
        ..AwsAccess::default()
    };
    let daemon = run::start(run::Options {
        config: config.clone(),
        config_file: None,
        data: data.to_owned(),
        identity: AzureIdentity::default(),
        search_path: std::env::var("PATH").ok(),
        clock: Arc::new(SystemClock),
        env: |_| None,
    });
    daemon.await.unwrap()
}

fn key(number: usize) -> ServiceKey {
    format!("bench/f{number}").parse().unwrap()
}

// === the script ===

async fn floor(server: &Server, size: usize, table: &mut Table) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/deploy/floor.py");
    for (index, step) in ["first", "change", "nothing"].into_iter().enumerate() {
        let mut command = Command::new(tool("VERDIGRIS_TEST_VENV", "bin/python"));
        command.arg(&script).arg(server.endpoint.as_str());
        command.args([ROLE, &size.to_string(), step]);
        let mut told = String::new();
        let work = async { told = run_through(command).await };
        let cost = server.measure(work).await;
        let wall = Duration::from_millis(told.trim().parse().unwrap());
        table.add("floor", index, cost);
        table.add(AT_WORK, index, Cost { wall, ..cost });
    }
}

/// What it said.
async fn run_through(mut command: Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    said(&output.stdout)
}

// === Serverless ===

fn manifest(port: u16, size: usize) -> String {
    let mut text = format!(
        "service: bench\nframeworkVersion: '3'\nprovider:\n  name: aws\n  runtime: python3.11\n  region: eu-west-1\n  iam: {{ role: '{ROLE}' }}\n\
         package:\n  individually: true\n  patterns: ['!**']\n\
         plugins: [serverless-localstack]\ncustom:\n  localstack:\n    stages: [dev]\n    host: http://localhost\n    edgePort: {port}\n    autostart: false\n\
         functions:\n"
    );
    for number in 0..size {
        let folder = format!("services/f{number}");
        writeln!(text, "  f{number}:\n    handler: {folder}/app.handler\n    package: {{ patterns: ['{folder}/**'] }}").unwrap();
    }
    text
}

async fn serverless(server: &Server, size: usize, table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let write = |number: usize, text: &str| {
        let place = folder.path().join(format!("services/f{number}"));
        std::fs::create_dir_all(&place).unwrap();
        let code = format!("def handler(event, context):\n    return '{number} {text}'\n");
        std::fs::write(place.join("app.py"), code).unwrap();
    };
    (0..size).for_each(|number| write(number, "one"));
    let port = server.endpoint.port().unwrap();
    std::fs::write(folder.path().join("serverless.yml"), manifest(port, size)).unwrap();
    let modules = tool("VERDIGRIS_TEST_NODE", "node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    for index in 0..STEPS.len() {
        if index == 1 {
            write(0, "two");
        }
        let mut command = Command::new("node");
        command
            .arg(modules.join("serverless/bin/serverless.js"))
            .arg("deploy")
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", folder.path())
            .env("CI", "1")
            .env("SLS_TELEMETRY_DISABLED", "1")
            .env("SLS_NOTIFICATIONS_MODE", "off")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        let work = async { drop(run_through(command).await) };
        table.add("serverless", index, server.measure(work).await);
    }
}
