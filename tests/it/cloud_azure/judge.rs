//! Prism judges what our client asks and what our endpoint answers, whoever asks it, by a document that Azure's own Python clients give.
//!
//! It is asked when a test is over, so that no test has to wait for it: each call that was seen is sent to it once more, and what it finds
//! behind itself is the answer that was seen. One Prism serves all tests; calls of one kind and form are judged once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{TOKEN, tap::Pair};
use crate::peers::{node_file, python, python_of_az};

/// What is asked that no package describes, and why: parts of paths.
const UNDESCRIBED: [(&str, &str); 10] = [
    (
        "/blobs/",
        "packages go to a storage account and not to the resource manager",
    ),
    (
        "/operationresults/",
        "a link that an answer gave: the clients follow it, whatever it is",
    ),
    ("/asyncoperations/", "such a link, too, of storage accounts"),
    (
        "&asyncId=",
        "such a link, too: an API's own address, which answers as what was done to it",
    ),
    (
        "/hostruntime/admin/host/status",
        "the host's own API, which the resource manager passes on",
    ),
    (
        "/query?api-version=2018-04-20",
        "the language of logs has a client of its own, which goes to another endpoint",
    ),
    (
        "/_verdigris/",
        "how tests ask for faults: nothing of Azure's",
    ),
    (
        "/metadata/endpoints?",
        "where the parts of a cloud are: the command line reads it, and no package does",
    ),
    (
        "/.well-known/openid-configuration",
        "Entra ID's, which stands at the same address here",
    ),
    ("/oauth2/", "Entra ID's, too: tokens"),
];

/// Parts of a path that a name follows.
const NAMED: [&str; 19] = [
    "subscriptions",
    "resourceGroups",
    "sites",
    "slots",
    "serverfarms",
    "storageAccounts",
    "containers",
    "vaults",
    "deletedVaults",
    "secrets",
    "components",
    "service",
    "apis",
    "roleAssignments",
    "locations",
    "operations",
    "operationresults",
    "hostNameBindings",
    "functions",
];

/// How often Prism is asked where the connection ends before it has answered.
const TRIES: u32 = 3;

/// By this header Prism's call is known behind it.
const PAIR: &str = "x-verdigris-pair";

struct Judge {
    prism: String,
    answers: Answers,
    /// Of the thread that never ends, and that Prism ends with.
    runtime: Handle,
    client: reqwest::Client,
}

type Answers = Arc<Mutex<BTreeMap<String, Pair>>>;

/// What is wrong with these calls and their answers. Waits, and holds its thread.
pub(super) fn faults(pairs: Vec<Pair>) -> Vec<String> {
    let pairs: Vec<Pair> = pairs.into_iter().filter(is_new).collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    let judge = JUDGE.get_or_init(start);
    let (tell, told) = mpsc::channel();
    judge.runtime.spawn(async move {
        let mut faults = Vec::new();
        for pair in pairs {
            faults.extend(judge.faults_of(pair).await);
        }
        drop(tell.send(faults));
    });
    told.recv().expect("the judge ends with its test only")
}

/// Whether nothing of its kind and form was judged before.
fn is_new(pair: &Pair) -> bool {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Pair {
        method,
        path,
        sent,
        status,
        answer,
        links,
        is_ours,
    } = pair;
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    let mut segments: Vec<&str> = place.split('/').collect();
    for index in 1..segments.len() {
        let before = segments[index - 1];
        if NAMED.iter().any(|it| it.eq_ignore_ascii_case(before)) {
            segments[index] = "*";
        }
    }
    let place = segments.join("/");
    let (sent, answer) = (form(sent), form(answer));
    let links: Vec<&&str> = links.keys().collect();
    let key = format!("{method} {place} {query} {sent} {status} {answer} {links:?} {is_ours}");
    SEEN.lock().unwrap().insert(key)
}

/// What a body is made of, whatever it says.
fn form(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => "float".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => {
            let forms: BTreeSet<String> = items.iter().map(form).collect();
            format!("{forms:?}")
        }
        Value::Object(members) => {
            let forms: BTreeMap<_, _> = members.iter().map(|(name, it)| (name, form(it))).collect();
            format!("{forms:?}")
        }
    }
}

// === impl Judge ===

impl Judge {
    async fn faults_of(&self, pair: Pair) -> Vec<String> {
        let path = pair.path.to_lowercase();
        let is_undescribed = |(part, _): &(&str, &str)| path.contains(&part.to_lowercase());
        if UNDESCRIBED.iter().any(is_undescribed) {
            return Vec::new();
        }
        let told = format!("{} {} ({})", pair.method, pair.path, pair.status);
        let violations = self.violations(&pair).await;
        let kept = violations.iter().filter(|it| counts(&pair, it));
        kept.map(|violation| {
            let seen = match violation["location"][0].as_str() {
                Some("response") => &pair.answer,
                Some(_) | None => &pair.sent,
            };
            format!("{told}: {violation}\n  in {seen}")
        })
        .collect()
    }

    /// What Prism says of the call and its answer: in a header, and in the body.
    async fn once(&self, pair: &Pair) -> reqwest::Result<(Option<HeaderValue>, String)> {
        let id = uuid::Uuid::new_v4().to_string();
        let (method, path) = (pair.method.parse().unwrap(), in_one_case(&pair.path));
        let asked: reqwest::RequestBuilder = self
            .client
            .request(method, format!("{}{path}", self.prism))
            .bearer_auth(TOKEN)
            .header(PAIR, &id);
        // Prism passes no body on with a question, and Azure reads none.
        let asked = match pair.sent.is_null() || pair.method == "GET" {
            true => asked,
            false => asked.json(&pair.sent),
        };
        self.answers.lock().unwrap().insert(id, pair.clone());
        let answer = asked.send().await?;
        let violations = answer.headers().get("sl-violations").cloned();
        Ok((violations, answer.text().await?))
    }

    /// What Prism says of the call and its answer. Whoever judges may be asked again, and says the same.
    async fn violations(&self, pair: &Pair) -> Vec<Value> {
        let mut told = self.once(pair).await;
        for _ in 1..TRIES {
            if told.is_ok() {
                break;
            }
            told = self.once(pair).await;
        }
        let (violations, body) = told.unwrap();
        if body.contains("stoplight.io/prism/errors") {
            return vec![json!({"location": ["response"], "message": body})];
        }
        match violations {
            Some(told) => {
                let text = told.to_str().unwrap();
                serde_json::from_str(text).unwrap_or_else(|_| vec![json!({ "message": text })])
            }
            None => Vec::new(),
        }
    }
}

/// What Prism says of a call that the document does not know: nothing was judged then.
const UNKNOWN: &str = "Selected route not found";

/// What the hands of a test and Azure's own clients send is their own; what they are answered is ours. That nothing is at a path is no
/// answer to judge.
fn counts(pair: &Pair, violation: &Value) -> bool {
    let is_unknown = violation["message"] == UNKNOWN && pair.status != 404;
    pair.is_ours || violation["location"][0] == "response" || is_unknown
}

/// Azure reads paths in any case, and its clients write some in two; the document knows them written small.
fn in_one_case(path: &str) -> String {
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    format!("{}?{query}", place.to_lowercase())
}

/// Starts Prism, on a thread that is there for as long as this process is: Linux ends a process that is bound to its parent with the
/// thread that started it.
fn start() -> Judge {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            let document = folder.path().join("arm.json");
            write_document(&document).await;
            let (answers, upstream) = serve_answers().await;
            let (prism, _process) = start_prism(&document, &upstream).await;
            // Nobody would tidy it up later.
            drop(folder);
            // A connection that was used before may be closed under the next call.
            let client = reqwest::Client::builder().pool_max_idle_per_host(0);
            let client = client.build().unwrap();
            let judge = Judge {
                prism,
                answers,
                runtime: Handle::current(),
                client,
            };
            drop(tell.send(judge));
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("Prism could not be started")
}

/// Tenants and subscriptions are described by what the az command line brings: nothing else here signs in.
async fn write_document(path: &Path) {
    let account = path.with_file_name("account.json");
    let mut first = python_of_az("arm_openapi.py");
    let mut second = python("arm_openapi.py");
    for command in [
        first.arg("--account").arg(&account),
        second.arg(path).arg(&account),
    ] {
        let written = command.output().await.unwrap();
        let told = String::from_utf8_lossy(&written.stderr);
        assert!(written.status.success(), "{told}");
    }
}

/// What stands behind Prism: the answers that were seen.
async fn serve_answers() -> (Answers, String) {
    let answers = Answers::default();
    let router = Router::new()
        .fallback(answered)
        .with_state(Arc::clone(&answers));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (answers, url)
}

async fn answered(State(answers): State<Answers>, request: Request) -> Response {
    let id = request.headers()[PAIR].to_str().unwrap();
    let pair = answers.lock().unwrap().remove(id).unwrap();
    let mut response = Response::new(Body::empty());
    if !pair.answer.is_null() {
        *response.body_mut() = Body::from(pair.answer.to_string());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    for (name, link) in &pair.links {
        let link = HeaderValue::from_str(link).unwrap();
        response.headers_mut().insert(*name, link);
    }
    *response.status_mut() = StatusCode::from_u16(pair.status).unwrap();
    response
}

/// It takes no port 0, so a free one is looked for, and another one where somebody was quicker.
async fn start_prism(document: &Path, upstream: &str) -> (String, Child) {
    for _ in 0..5 {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let mut process = spawn_prism(document, upstream, port);
        if listens(&mut process, port).await {
            return (format!("http://127.0.0.1:{port}"), process);
        }
    }
    panic!("prism ended before it listened");
}

fn spawn_prism(document: &Path, upstream: &str, port: u16) -> Child {
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "node"])
        .arg(node_file(".bin/prism"))
        .args(["proxy", "--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(document)
        .arg(upstream)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Whether it does; not, where it has ended.
async fn listens(process: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(120);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "prism does not answer");
        sleep(Duration::from_millis(100)).await;
    }
    true
}
