//! The local Azure endpoint, packages that run on it, and a pair of hands that change things behind our back.

use std::{fs::File, io::Write as _, path::Path, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    cloud::Package,
    local::arm::{self, ArmEndpoint, ArmOptions},
    name::CodeDigest,
};
use zip::write::SimpleFileOptions;

use super::{SUBSCRIPTION, TOKEN, tap::Tap};

/// The resource group of these tests.
pub(super) const GROUP: &str =
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop";

/// The local endpoint, by way of a tap; it ends with the test, and is judged then.
pub(super) struct Local {
    pub(super) arm: ArmEndpoint,
    pub(super) tap: Tap,
    pub(super) folder: TempDir,
    stop: CancellationToken,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Local {
    pub(super) async fn start() -> Self {
        Self::start_with(ArmOptions::default()).await
    }

    pub(super) async fn start_with(options: ArmOptions) -> Self {
        let stop = CancellationToken::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let clock = Arc::new(SystemClock);
        let mut arm = arm::start(any, Some(any), options, clock, stop.clone())
            .await
            .unwrap();
        let tap = Tap::before(&arm.url).await.unwrap();
        arm.url.clone_from(&tap.url);
        Self {
            arm,
            tap,
            folder: TempDir::new().unwrap(),
            stop,
        }
    }

    /// A package whose functions answer `word`.
    pub(super) fn package(&self, word: &str) -> Package {
        package(self.folder.path(), word, &HANDLER.replace("WORD", word))
    }

    /// The same, of these functions.
    pub(super) fn package_of(&self, word: &str, functions: &[(&str, Value)]) -> Package {
        let program = HANDLER.replace("WORD", word);
        packed(self.folder.path(), word, &program, functions)
    }

    /// A package whose function `reorder` tells whoever listens at `port` of each message, once it is done with it.
    pub(super) fn reading_package(&self, word: &str, port: u16) -> Package {
        let program = READER.replace("PORT/", &format!("{port}/"));
        let program = format!("{program}{}", HANDLER.replace("WORD", word));
        let program = program.replace(
            "(http.server.BaseHTTPRequestHandler)",
            "(http.server.BaseHTTPRequestHandler, Reader)",
        );
        let program = program.replace("WORD", word);
        packed(self.folder.path(), word, &program, &[stock(), reorder()])
    }

    /// A package that works and does not say which release it is, as a page of the platform's.
    pub(super) fn nameless_package(&self) -> Package {
        let lines = HANDLER.lines();
        let lines = lines.filter(|line| !line.contains("x-verdigris-release"));
        let program = lines.collect::<Vec<_>>().join("\n");
        package(self.folder.path(), "nameless", &program)
    }

    /// A package whose program ends at once.
    pub(super) fn broken_package(&self) -> Package {
        self.broken_package_of(&[stock(), reorder()])
    }

    /// The same, of these functions.
    pub(super) fn broken_package_of(&self, functions: &[(&str, Value)]) -> Package {
        let program = "raise SystemExit('the program is broken')\n";
        packed(self.folder.path(), "broken", program, functions)
    }

    /// Sends what somebody in the portal would send, about the app of these tests.
    pub(super) async fn by_hand(&self, method: &str, path: &str, body: &Value) -> Value {
        self.to_app("vg-test-inventory", method, path, body)
            .await
            .unwrap()
    }

    /// Sends what somebody in the portal would send. Nothing where the answer is a refusal.
    pub(super) async fn to_app(
        &self,
        app: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Value> {
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/shop");
        let site = format!("{group}/providers/Microsoft.Web/sites/{app}");
        let url = format!("{}{site}{path}?api-version=2025-05-01", self.arm.url);
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .bearer_auth(TOKEN)
            .json(body);
        let answer = request.send().await.unwrap();
        let is_good = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        is_good.then(|| serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Sends what somebody in the portal would send about anything, by its id. Nothing where the answer is a refusal.
    pub(super) async fn to(
        &self,
        method: &str,
        id: &str,
        version: &str,
        body: &Value,
    ) -> Option<Value> {
        let (id, query) = id.split_once('?').unwrap_or((id, ""));
        let url = format!("{}{id}?api-version={version}&{query}", self.arm.url);
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .bearer_auth(TOKEN)
            .json(body);
        let answer = request.send().await.unwrap();
        let is_good = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        is_good.then(|| serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Lets the host of a slot read and write the blobs of the group, as people do who give roles themselves.
    pub(super) async fn let_in(&self, slot: &str) {
        let site = self.by_hand("GET", slot, &Value::Null).await;
        let name = uuid::Uuid::new_v4();
        let role = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
        let role = format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        );
        let principal = &site["identity"]["principalId"];
        let body = json!({"properties": {"roleDefinitionId": role, "principalId": principal}});
        let id = format!("{GROUP}/providers/Microsoft.Authorization/roleAssignments/{name}");
        self.to("PUT", &id, "2022-04-01", &body).await.unwrap();
    }

    /// A vault with one secret, as people make it before they ask for it.
    pub(super) async fn with_secret(&self, vault: &str, secret: &str) {
        let body = json!({"location": "westeurope"});
        self.to("PUT", GROUP, "2025-04-01", &body).await.unwrap();
        let id = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/{vault}");
        let sku = json!({"family": "A", "name": "standard"});
        let body = json!({"location": "westeurope", "properties": {"tenantId": "t", "sku": sku}});
        self.to("PUT", &id, "2023-07-01", &body).await.unwrap();
        let body = json!({"properties": {"value": format!("the value of {secret}")}});
        let id = format!("{id}/secrets/{secret}");
        self.to("PUT", &id, "2023-07-01", &body).await.unwrap();
    }

    /// Puts files on blue as somebody's own pipeline would, and waits until the platform has taken them.
    pub(super) async fn deploy_by_hand(&self, files: &[(String, String)]) {
        let site = self.by_hand("GET", "", &json!({})).await;
        let states = site["properties"]["hostNameSslStates"].as_array().unwrap();
        let mut states = states.iter();
        let scm = states.find(|state| state["hostType"] == "Repository");
        let scm = format!("http://{}", scm.unwrap()["name"].as_str().unwrap());
        let package = zipped(&self.folder.path().join("by-hand.zip"), files);
        let http = reqwest::Client::new();
        let pushed = http
            .post(format!("{scm}/api/zipdeploy?isAsync=true"))
            .bearer_auth(TOKEN)
            .body(std::fs::read(&package.path).unwrap());
        let pushed = pushed.send().await.unwrap();
        assert_eq!(pushed.status(), 202);
        let address = pushed.headers()["location"].to_str().unwrap().to_owned();
        loop {
            let asked = http.get(&address).bearer_auth(TOKEN).send().await.unwrap();
            let told: Value = asked.json().await.unwrap();
            if told["complete"] == true {
                assert_eq!(told["status"], 4, "{told}");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Changes one setting of blue, and leaves the others.
    pub(super) async fn set_on_blue(&self, name: &str, value: &str) {
        self.set_on("", name, value).await;
    }

    /// The same on the slot below the site's path, such as `/slots/green`.
    pub(super) async fn set_on(&self, slot: &str, name: &str, value: &str) {
        let place = format!("{slot}/config/appsettings");
        let list = format!("{place}/list");
        let mut settings = self.by_hand("POST", &list, &json!({})).await;
        settings["properties"][name] = json!(value);
        let body = json!({ "properties": settings["properties"] });
        self.by_hand("PUT", &place, &body).await;
    }
}

/// A custom handler: any HTTP server on the port that it is told.
const HANDLER: &str = r#"
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = ("WORD " + os.environ.get("LOG_LEVEL", "-")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-verdigris-release", os.environ.get("VERDIGRIS_RELEASE", ""))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

port = int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])
print("WORD starts", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// What reads messages in it.
const READER: &str = r#"
import json, time, urllib.request

class Reader:
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(0.05)
        body = f"WORD {json.loads(told['Data']['message'])}:END".encode()
        urllib.request.urlopen("http://127.0.0.1:PORT/", data=body).read()
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
"#;

/// A function that answers HTTP.
pub(super) fn stock() -> (&'static str, Value) {
    let bindings = json!({"bindings": [
        {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous",
         "methods": ["get"], "route": "stock/{sku}"},
        {"type": "http", "direction": "out", "name": "res"},
    ]});
    ("stock", bindings)
}

/// A function that reads a queue.
pub(super) fn reorder() -> (&'static str, Value) {
    let bindings = json!({"bindings": [
        {"type": "queueTrigger", "direction": "in", "name": "message", "queueName": "orders",
         "connection": "AzureWebJobsStorage"},
    ]});
    ("reorder", bindings)
}

fn package(folder: &Path, name: &str, program: &str) -> Package {
    packed(folder, name, program, &[stock(), reorder()])
}

fn packed(folder: &Path, name: &str, program: &str, functions: &[(&str, Value)]) -> Package {
    let host = json!({
        "version": "2.0",
        "customHandler": {
            "description": {"defaultExecutablePath": "python3", "arguments": ["handler.py"]},
            "enableForwardingHttpRequest": true,
        },
        "extensions": {"http": {"routePrefix": ""}},
    });
    let told = functions
        .iter()
        .map(|(name, bindings)| (format!("{name}/function.json"), bindings.to_string()));
    let files = [
        ("host.json".to_owned(), host.to_string()),
        ("handler.py".to_owned(), program.to_owned()),
    ];
    let files: Vec<(String, String)> = files.into_iter().chain(told).collect();
    zipped(&folder.join(format!("{name}.zip")), &files)
}

fn zipped(path: &Path, files: &[(String, String)]) -> Package {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (file, content) in files {
        zip.start_file(file.as_str(), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    let bytes = std::fs::read(path).unwrap();
    Package {
        code: CodeDigest::of(&bytes),
        size: bytes.len() as u64,
        path: path.to_owned(),
    }
}
