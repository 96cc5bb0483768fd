//! Tokens that live for seconds, over whole rollouts: whoever lets the daemon in looks at each request's token, and a rollout needs several
//! of them. It must go as one does with tokens that last.

use std::{
    collections::BTreeSet,
    fs,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;
use verdigris::clock::{Clock as _, SystemClock};

use crate::{
    cloud_contract::proxy::forward,
    killed::{Daemon, Ground, program},
    stage::real::SERVICE,
};

/// Stands before a cloud, and lets in who shows a token that has not ended.
struct Door {
    url: String,
    tokens: Arc<Tokens>,
    server: JoinHandle<()>,
}

struct Tokens {
    upstream: Url,
    client: reqwest::Client,
    /// Seconds that a new token lives.
    life: AtomicI64,
    /// Seconds that a token ends before its time.
    early: AtomicI64,
    shown: Mutex<BTreeSet<String>>,
    refused: AtomicI64,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Door {
    async fn before(upstream: &str) -> Self {
        let tokens = Arc::new(Tokens {
            upstream: upstream.parse().unwrap(),
            client: reqwest::Client::new(),
            life: AtomicI64::new(3600),
            early: AtomicI64::new(0),
            shown: Mutex::default(),
            refused: AtomicI64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(tokens.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            tokens,
            server,
        }
    }

    /// Tokens so far that were shown and let in, and requests that were not, since the last call.
    fn take(&self) -> (usize, i64) {
        let shown = std::mem::take(&mut *self.tokens.shown.lock().unwrap());
        (shown.len(), self.tokens.refused.swap(0, Ordering::Relaxed))
    }
}

fn now() -> i64 {
    SystemClock.now().millis() / 1000
}

async fn pass(State(tokens): State<Arc<Tokens>>, request: Request) -> Response {
    if request.uri().path() == "/metadata/identity/oauth2/token" {
        return tokens.new_one();
    }
    if let Some((token, end)) = token_of(request.headers()) {
        if now() >= end - tokens.early.load(Ordering::Relaxed) {
            tokens.refused.fetch_add(1, Ordering::Relaxed);
            return refused(request.headers());
        }
        tokens.shown.lock().unwrap().insert(token);
    }
    forward(&tokens.upstream, &tokens.client, request).await
}

/// The token of a request, and when it ends: a key of AWS or a bearer of Azure, both of which say it. Users show none.
fn token_of(headers: &HeaderMap) -> Option<(String, i64)> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().unwrap();
    let (_, rest) = shown.split_once("UNTIL")?;
    let token = rest.split('/').next()?.to_owned();
    let end = token.split('N').next()?.parse().ok()?;
    Some((token, end))
}

/// As each cloud says it.
fn refused(headers: &HeaderMap) -> Response {
    let shown = headers[header::AUTHORIZATION].to_str().unwrap();
    let (status, body) = match shown.starts_with("Bearer ") {
        true => (
            401,
            json!({"error": {"code": "ExpiredAuthenticationToken", "message": "The access token expiry is in the past."}}),
        ),
        false => (
            403,
            json!({"Type": "User", "message": "The security token included in the request is expired"}),
        ),
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("x-amzn-errortype", "ExpiredTokenException")
        .body(Body::from(body.to_string()))
        .unwrap()
}

impl Tokens {
    fn new_one(&self) -> Response {
        let end = now() + self.life.load(Ordering::Relaxed);
        let token = json!({
            "access_token": format!("UNTIL{end}"), "expires_on": end.to_string(),
            "resource": "https://management.azure.com", "token_type": "Bearer",
        });
        Response::new(Body::from(token.to_string()))
    }
}

/// A program that gives AWS keys, as profiles name one; how long they live stands in a file.
const KEYS: &str = "\
end=$(( $(date +%s) + $(cat life) ))
printf '{\"Version\":1,\"AccessKeyId\":\"UNTIL%sN%s\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"%s\"}' \\
    \"$end\" \"$(date +%N)\" \"$(date -u -d @$end +%Y-%m-%dT%H:%M:%SZ)\"
";

/// A daemon behind both doors, that has keys and tokens as they are given there.
fn start<'a>(ground: &'a Ground, aws: &Door, azure: &Door) -> Daemon<'a> {
    let folder = ground.folder.path();
    fs::write(ground.path("keys.sh"), KEYS).unwrap();
    let profile = format!(
        "[profile shop]\ncredential_process = /bin/sh {}/keys.sh\n",
        folder.display()
    );
    fs::write(ground.path("aws.config"), profile).unwrap();
    let config = format!(
        "resync: 1s\nclouds:\n  aws: {{ endpoint: {:?}, profile: shop }}\n  azure: {{ endpoint: {:?}, identity: {{ from: managed }} }}\n\
         repositories:\n  - url: file://{}\n    interval: 1s\n",
        aws.url,
        azure.url,
        ground.path("repo").display(),
    );
    fs::write(ground.path("verdigris.yaml"), config).unwrap();
    let log = fs::File::create(ground.path("daemon.log")).unwrap();
    let mut command = program(folder);
    command
        .args([
            "run",
            "--config",
            "verdigris.yaml",
            "--listen",
            "127.0.0.1:0",
        ])
        .env("VERDIGRIS_DATA", ground.path("data"))
        .env("AWS_CONFIG_FILE", ground.path("aws.config"))
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &azure.url)
        .stdin(Stdio::null())
        .stderr(log);
    ground.start(&mut command)
}

/// What people were told, without what differs from one rollout to the next.
fn told(events: &[Value]) -> BTreeSet<String> {
    let line = |event: &Value| format!("{} {}", event["severity"], event["reason"]);
    events.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_needs_several_tokens_goes_as_one_that_needs_one() {
    let ground = Ground::fresh();
    let (aws, azure) = (
        Door::before(&ground.aws).await,
        Door::before(&ground.azure).await,
    );
    fs::create_dir_all(ground.path("repo")).unwrap();
    let service = SERVICE.replace("bake: 1s", "bake: 5s");
    let live = |life: (i64, i64), early: i64| {
        fs::write(ground.path("life"), life.0.to_string()).unwrap();
        azure.tokens.life.store(life.1, Ordering::Relaxed);
        azure.tokens.early.store(early, Ordering::Relaxed);
    };
    // The vendor's client renews keys ten seconds before their end, so that each of these serves for one call.
    live((5, 2), 0);
    ground.write_with("v1", &service);
    let daemon = start(&ground, &aws, &azure);
    daemon.end("Live", "v1");
    let roll = |version: &str| {
        let before = daemon.event_records();
        aws.take();
        azure.take();
        ground.write_with(version, &service);
        daemon.end("Live", version);
        let mut events = daemon.event_records();
        events.retain(|event| !before.contains(event));
        told(&events)
    };
    let renewed = roll("v2");
    let (keys, tokens) = (aws.take(), azure.take());
    assert!(keys.0 >= 3 && tokens.0 >= 3, "{keys:?} {tokens:?}");

    // A clock that goes wrong makes them end before their time.
    live((5, 60), 58);
    let refused = roll("v3");
    let (shown, number) = azure.take();
    assert!(shown >= 2 && number >= 1, "{shown} shown, {number} refused");

    live((3600, 3600), 0);
    let usual = roll("v4");
    assert_eq!((renewed, refused), (usual.clone(), usual));
    assert_eq!(daemon.process.stop().code(), Some(0));
}
