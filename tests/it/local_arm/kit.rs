//! A running endpoint, and packages to put into it.

use std::{io::Write as _, sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    local::arm::{self, ArmEndpoint, ArmOptions},
};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::cloud_azure::tap::Tap;

pub(crate) const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000001";
pub(crate) const SITE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Web/sites/shop-stock";

/// What came back.
pub(crate) struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) struct Local {
    pub endpoint: ArmEndpoint,
    _tap: Tap,
    pub stop: CancellationToken,
    pub http: reqwest::Client,
}

impl Local {
    pub(crate) async fn start(options: ArmOptions) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let stop = CancellationToken::new();
        let endpoint = arm::start(any, Some(any), options, Arc::new(SystemClock), stop.clone());
        let mut endpoint = endpoint.await.unwrap();
        let tap = Tap::before(&endpoint.url).await.unwrap();
        endpoint.url.clone_from(&tap.url);
        Self {
            endpoint,
            _tap: tap,
            stop,
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
        }
    }

    /// With a group, a plan with room for slots, a site and its slot `green`.
    pub(crate) async fn with_site(options: ArmOptions) -> Self {
        let local = Self::start(options).await;
        local.make_site().await;
        local
    }

    async fn make_site(&self) {
        let group = format!("{SUBSCRIPTION}/resourcegroups/shop");
        let plan =
            format!("{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/serverfarms/plan1");
        let place = json!({"location": "westeurope"});
        let sized = json!({"location": "westeurope", "sku": {"name": "EP1"}});
        let site = json!({"location": "westeurope", "properties": {"serverFarmId": plan}});
        for (path, body, status) in [
            (group.as_str(), &place, 201),
            (&plan, &sized, 200),
            (SITE, &site, 200),
            (&format!("{SITE}/slots/green"), &site, 200),
        ] {
            let reply = self.call(Method::PUT, path, Some(body)).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.body);
        }
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        let stopped = self.endpoint.stopped();
        tokio::time::timeout(Duration::from_secs(20), stopped)
            .await
            .unwrap();
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}{path}{joint}api-version=2025-05-01", self.endpoint.url);
        self.send(method, &url, body).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, url).bearer_auth("token");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.call(Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, Some(&body)).await
    }

    /// Where a slot's functions are called.
    pub(crate) async fn front(&self, slot: &str) -> String {
        let body = self.get(&at(slot)).await;
        format!(
            "http://{}",
            body["properties"]["defaultHostName"].as_str().unwrap()
        )
    }

    /// Where a slot's packages go.
    pub(crate) async fn scm(&self, slot: &str) -> String {
        let body = self.get(&at(slot)).await;
        let states = body["properties"]["hostNameSslStates"]
            .as_array()
            .unwrap()
            .clone();
        let scm = states
            .iter()
            .find(|state| state["hostType"] == "Repository")
            .unwrap();
        format!("http://{}", scm["name"].as_str().unwrap())
    }

    /// Sends a package and waits for its end; its last status (4 is good, 3 is not).
    pub(crate) async fn deploy(&self, slot: &str, package: Vec<u8>) -> Value {
        let scm = self.scm(slot).await;
        let push = self.http.post(format!("{scm}/api/zipdeploy?isAsync=true"));
        let pushed = push
            .bearer_auth("token")
            .body(package)
            .send()
            .await
            .unwrap();
        assert_eq!(pushed.status(), 202);
        let location = pushed.headers()["location"].to_str().unwrap().to_owned();
        loop {
            let reply = self.send(Method::GET, &location, None).await.unwrap();
            if reply.body["complete"] == true {
                return reply.body["status"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn text(&self, url: &str) -> (u16, String) {
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn settings(&self, slot: &str, settings: Value) -> Reply {
        let path = format!("{}/config/appsettings", at(slot));
        self.call(Method::PUT, &path, Some(&json!({"properties": settings})))
            .await
    }

    /// Swaps green into production and polls to the end; the last answer.
    pub(crate) async fn swap(&self) -> Reply {
        let body = json!({"targetSlot": "production", "preserveVnet": true});
        let begun = self.post(&format!("{}/slotsswap", at("green")), body).await;
        assert_eq!(begun.status, 202, "{}", begun.body);
        self.poll(begun.header("location")).await
    }

    pub(crate) async fn poll(&self, location: &str) -> Reply {
        loop {
            let reply = self.send(Method::GET, location, None).await.unwrap();
            if reply.status != 202 {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The resource path of a slot.
pub(crate) fn at(slot: &str) -> String {
    match slot {
        "production" => SITE.to_owned(),
        slot => format!("{SITE}/slots/{slot}"),
    }
}

/// Answers `<release> <path>`; `/env/NAME` tells a variable, `/slow` waits, `/stuck` far too long, `/eat` takes memory, `/crash` ends the
/// process.
const HANDLER: &str = r#"
import os, sys, time, json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        path = self.path.split("?")[0]
        if path.startswith("/env/"):
            text = os.environ.get(path[5:], "unset")
        elif path == "/slow":
            time.sleep(1.0)
            text = "RELEASE slow"
        elif path == "/stuck":
            time.sleep(60)
            text = "late"
        elif path == "/eat":
            eaten = bytearray(300_000_000)
            time.sleep(5)
            text = "full"
        elif path == "/crash":
            os._exit(7)
        elif path == "/headers":
            text = json.dumps({k.lower(): v for k, v in self.headers.items()})
        elif path == "/wrapped":
            req = json.loads(body)["Data"]["req"]
            text = json.dumps({"Outputs": {"res": {"statusCode": 201, "headers": {"x-made": "yes"},
                "body": req["Method"] + " " + req["Params"].get("id", "") + " " + req["Body"]}}, "Logs": ["a line"]})
        else:
            text = "RELEASE " + self.command + " " + self.path + " " + body.decode()
        data = text.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = do_PUT = answer
    def log_message(self, *args): pass

print("RELEASE starts", flush=True)
class Server(ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

/// A package whose answers start with `release`.
pub(crate) fn package(release: &str) -> Vec<u8> {
    let any = r#"{"bindings":[{"type":"httpTrigger","authLevel":"anonymous","direction":"in","name":"req","route":"{*path}"},{"type":"http","direction":"out","name":"res"}]}"#;
    archive(&[
        ("host.json", &host("python3", "handler.py")),
        ("handler.py", &HANDLER.replace("RELEASE", release)),
        ("any/function.json", any),
    ])
}

/// A package with the functions given as name and function.json.
pub(crate) fn package_with(functions: &[(&str, &str)]) -> Vec<u8> {
    let host = host("python3", "handler.py");
    let handler = HANDLER.replace("RELEASE", "r");
    let mut entries = vec![
        ("host.json".to_owned(), host),
        ("handler.py".to_owned(), handler),
    ];
    for (name, config) in functions {
        entries.push((format!("{name}/function.json"), (*config).to_owned()));
    }
    let entries: Vec<_> = entries
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    archive(&entries)
}

pub(crate) fn host(executable: &str, argument: &str) -> String {
    json!({
        "version": "2.0",
        "extensions": {"http": {"routePrefix": ""}},
        "customHandler": {
            "description": {"defaultExecutablePath": executable, "arguments": [argument]},
            "enableForwardingHttpRequest": true,
        },
    })
    .to_string()
}

pub(crate) fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
