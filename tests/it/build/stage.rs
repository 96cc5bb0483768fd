//! Both clouds in small: the Lambda Runtime API for one function, and the Azure Functions host's side of a custom handler.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as Captured, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use verdigris::{
    build::{
        Builder, Limits,
        recipe::{Recipe, Runtime},
        zip,
    },
    name::CloudName,
};

pub(super) const RELEASE: &str = "sha256:00ff";
const PATIENCE: Duration = Duration::from_secs(30);

/// A package that was really built, unpacked for both clouds.
pub(super) struct Stage {
    pub(super) recipe: Recipe,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn set(recipe: Recipe, files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = Builder::new(folder.path().join("store"), Limits::default());
        let workspace = builder.workspace().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/build/golden");
        for file in files {
            let path = golden.join(file);
            let name = path.file_name().unwrap();
            fs::copy(&path, workspace.source().join(name)).unwrap();
        }
        let built = builder.build(&recipe, workspace).await.unwrap();
        for (cloud, package) in &built.packages {
            let target = folder.path().join(cloud.as_str());
            zip::unpack(&package.path, &target, Limits::default()).unwrap();
        }
        Self { recipe, folder }
    }

    /// What the handler of events wrote down on a cloud.
    pub(super) fn seen(&self, cloud: CloudName) -> String {
        fs::read_to_string(self.seen_path(cloud)).unwrap()
    }

    pub(super) async fn lambda(&self, function: &str) -> Lambda {
        let command = match self.recipe.runtime {
            Runtime::Python { .. } => program("python3", &["drive.py"]),
            Runtime::Node { .. } => program("node", &["drive.mjs"]),
            Runtime::Executable => program("./bootstrap", &[]),
        };
        self.lambda_by(command, function).await
    }

    /// One whose answers are passed on as they are made.
    pub(super) async fn lambda_that_streams(&self, function: &str) -> Lambda {
        let client = Path::new(env!("CARGO_MANIFEST_DIR"));
        let client = client.join("src/local/lambda/run/node_runtime.mjs");
        let mut command = match self.recipe.runtime {
            Runtime::Python { .. } => panic!("Lambda's own runtime for Python does not stream"),
            Runtime::Node { .. } => program(
                "node",
                &[client.to_str().unwrap(), "verdigris_shim.handler"],
            ),
            Runtime::Executable => program("./bootstrap", &[]),
        };
        command.env("VERDIGRIS_HTTP", r#"{"auth":"none","stream":true}"#);
        self.lambda_by(command, function).await
    }

    async fn lambda_by(&self, mut command: Command, function: &str) -> Lambda {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, receiver) = mpsc::channel(1);
        let api = Arc::new(RuntimeApi {
            events: tokio::sync::Mutex::new(receiver),
            waiting: Mutex::default(),
        });
        let failed = Arc::clone(&api);
        let server = tokio::spawn(async move { axum::serve(listener, routes(failed)).await });
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("VERDIGRIS_FUNCTION", function);
        let child = self.start(command, CloudName::Aws).await;
        Lambda {
            sender,
            server,
            _process: child,
        }
    }

    pub(super) async fn host(&self) -> Host {
        let port = free_port().await;
        let mut command = match self.recipe.runtime {
            Runtime::Python { .. } => program("python3", &["verdigris_shim.py"]),
            Runtime::Node { .. } => program("node", &["verdigris_shim.mjs"]),
            Runtime::Executable => program("./verdigris-shim", &[]),
        };
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        let child = self.start(command, CloudName::Azure).await;
        let ready = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ready).await.unwrap();
        Host {
            port,
            _process: child,
        }
    }

    async fn start(&self, mut command: Command, cloud: CloudName) -> Process {
        command
            .current_dir(self.folder.path().join(cloud.as_str()))
            .env("VERDIGRIS_RELEASE", RELEASE)
            .env("SEEN", self.seen_path(cloud))
            .stdin(Stdio::null())
            .process_group(0);
        // Another test may be starting a process that still holds the file that was just unpacked.
        loop {
            match command.spawn() {
                Ok(child) => return Process(child),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy, "{error}"),
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn seen_path(&self, cloud: CloudName) -> PathBuf {
        self.folder.path().join(format!("{cloud}.seen"))
    }
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// A process with all that it started.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

// === The Lambda Runtime API ===

type Order = (Value, oneshot::Sender<Result<Value, Value>>);

pub(super) struct Lambda {
    sender: mpsc::Sender<Order>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    _process: Process,
}

struct RuntimeApi {
    events: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Result<Value, Value>>>>,
}

impl Lambda {
    /// The payload that came of an event, or the error that the runtime told.
    pub(super) async fn invoke(&self, event: Value) -> Result<Value, Value> {
        let (sender, receiver) = oneshot::channel();
        self.sender.send((event, sender)).await.unwrap();
        timeout(PATIENCE, receiver).await.unwrap().unwrap()
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn routes(api: Arc<RuntimeApi>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(outcome))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> impl IntoResponse {
    let Some((event, sender)) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = uuid::Uuid::new_v4().to_string();
    api.waiting.lock().unwrap().insert(id.clone(), sender);
    let headers = [
        ("lambda-runtime-aws-request-id", id.as_str()),
        ("content-type", "application/json"),
    ];
    (headers, event.to_string()).into_response()
}

async fn outcome(
    State(api): State<Arc<RuntimeApi>>,
    Captured((id, kind)): Captured<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let content = headers
        .get("content-type")
        .map(|kind| kind.to_str().unwrap());
    let value = match content {
        Some("application/vnd.awslambda.http-integration-response") => streamed(&headers, &body),
        Some(_) | None => serde_json::from_slice(&body).unwrap(),
    };
    let sender = api.waiting.lock().unwrap().remove(&id).unwrap();
    let outcome = if kind == "response" {
        Ok(value)
    } else {
        Err(value)
    };
    let _told = sender.send(outcome);
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

/// What a function URL makes of head and body.
fn streamed(headers: &HeaderMap, body: &[u8]) -> Value {
    let sent = |name: &str| headers[name].to_str().unwrap().to_ascii_lowercase();
    assert_eq!(sent("lambda-runtime-function-response-mode"), "streaming");
    assert_eq!(sent("transfer-encoding"), "chunked");
    let end = body.windows(8).position(|it| it == [0; 8]).unwrap();
    let mut value: Value = serde_json::from_slice(&body[..end]).unwrap();
    value["body"] = STANDARD.encode(&body[end + 8..]).into();
    value["isBase64Encoded"] = true.into();
    value
}

/// The next event is answered with what kept the runtime from beginning.
async fn init_error(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> impl IntoResponse {
    if let Some((_, sender)) = api.events.lock().await.recv().await {
        let _told = sender.send(Err(serde_json::from_slice(&body).unwrap()));
    }
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

// === Azure's host ===

pub(super) struct Host {
    pub(super) port: u16,
    _process: Process,
}

impl Host {
    /// An invocation as the host wraps it: strings are JSON in a string.
    pub(super) async fn invoke(&self, folder: &str, data: Value, metadata: Value) -> u16 {
        let body = json!({ "Data": data, "Metadata": metadata }).to_string();
        let head = [
            ("Host", "127.0.0.1"),
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Azure-Functions-InvocationId", "call-1"),
            ("User-Agent", "Azure-Functions-Host/4.0"),
        ];
        let request =
            super::conformance::wire("POST", &format!("/{folder}"), &head, body.as_bytes());
        super::conformance::exchange(self.port, &request)
            .await
            .status
    }
}
