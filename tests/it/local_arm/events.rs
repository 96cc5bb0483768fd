//! Queues and timers: functions that nobody calls are set off all the same.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};
use verdigris::local::arm::ArmOptions;

use super::kit::{Local, SUBSCRIPTION, archive, at};
use crate::cloud_aws::duties::letterbox;

const ACCOUNT: &str = "shopstorage";
const ORDERS: &str = r#"{"bindings":[{"type":"queueTrigger","direction":"in","name":"message","queueName":"orders","connection":"AzureWebJobsStorage"}]}"#;
const EACH_SECOND: &str =
    r#"{"bindings":[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"%WHEN%"}]}"#;

/// Posts `RELEASE message tries` once it is done with a message. One that begins with `slow` takes its time, `bad` fails, and `die` ends
/// the process when it is read first.
const READER: &str = r#"
import json, os, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.end(200)
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        data, metadata = told["Data"], told["Metadata"]
        text = json.loads(data["message"]) if "message" in data else "tick"
        tries = json.loads(metadata.get("DequeueCount", "1"))
        if text.startswith("die") and tries == 1:
            os._exit(3)
        if text.startswith("slow"):
            time.sleep(1.5)
        body = f"RELEASE {text} {tries}:END".encode()
        urllib.request.urlopen("http://127.0.0.1:PORT/", data=body).read()
        self.end(500 if text.startswith("bad") else 200)
    def end(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args): pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

/// An endpoint with a site, an account with the queue `orders`, and what functions post.
struct World {
    local: Local,
    port: u16,
    letters: Arc<Mutex<Vec<String>>>,
    connection: String,
}

impl World {
    async fn start() -> Self {
        let local = Local::with_site(ArmOptions::default()).await;
        make_account(&local).await;
        let keys = to_account(&local, Method::POST, "/listKeys", None).await;
        let key = keys["keys"][0]["value"].as_str().unwrap().to_owned();
        let (port, letters) = letterbox().await;
        let world = Self {
            local,
            port,
            letters,
            connection: format!("AccountName={ACCOUNT};AccountKey={key}"),
        };
        assert_eq!(world.ask(Method::PUT, "orders", "").await.0, 201);
        world
    }

    /// Status and text of an answer about queues.
    async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let url = format!("{}/queues/{ACCOUNT}/{path}", self.local.endpoint.url);
        let asked = self.local.http.request(method, url).bearer_auth("token");
        let asked = asked
            .header("x-ms-version", "2025-01-05")
            .body(body.to_owned());
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn put(&self, text: &str) {
        self.put_as_is(&STANDARD.encode(text)).await;
    }

    async fn put_as_is(&self, text: &str) {
        let message = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let put = self.ask(Method::POST, "orders/messages", &message).await;
        assert_eq!(put.0, 201, "{}", put.1);
    }

    /// What a queue holds that nobody reads.
    async fn seen(&self, queue: &str) -> String {
        let path = format!("{queue}/messages?peekonly=true&numofmessages=32");
        self.ask(Method::GET, &path, "").await.1
    }

    /// How many messages a queue holds.
    async fn count(&self, queue: &str) -> String {
        let url = format!(
            "{}/queues/{ACCOUNT}/{queue}?comp=metadata",
            self.local.endpoint.url
        );
        let asked = self.local.http.get(url).bearer_auth("token");
        let answer = asked
            .header("x-ms-version", "2025-01-05")
            .send()
            .await
            .unwrap();
        let count = answer.headers().get("x-ms-approximate-messages-count");
        count.map_or("none", |it| it.to_str().unwrap()).to_owned()
    }

    async fn deploy(&self, slot: &str, release: &str, host: Value) {
        let mut written = json!({
            "version": "2.0",
            "customHandler": {"description": {"defaultExecutablePath": "python3", "arguments": ["reader.py"]}},
        });
        written["extensions"]["queues"] = host;
        let program = READER.replace("RELEASE", release);
        let program = program.replace("PORT/", &format!("{}/", self.port));
        let package = archive(&[
            ("host.json", &written.to_string()),
            ("reader.py", &program),
            ("orders/function.json", ORDERS),
            ("clock/function.json", EACH_SECOND),
        ]);
        assert_eq!(self.local.deploy(slot, package).await, 4);
    }

    /// Settings over those that every app here has; the clock stands still until one says otherwise.
    async fn set(&self, slot: &str, own: Value) {
        let mut settings = json!({"AzureWebJobsStorage": self.connection, "WHEN": "0 0 0 30 2 *"});
        let all = settings.as_object_mut().unwrap();
        all.extend(own.as_object().unwrap().clone());
        assert_eq!(self.local.settings(slot, settings).await.status, 200);
    }

    fn letters(&self) -> Vec<String> {
        self.letters.lock().unwrap().clone()
    }

    /// The letters, once there are so many.
    async fn once(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            if self.letters().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.letters()
    }
}

async fn make_account(local: &Local) {
    let sku = json!({"name": "Standard_LRS"});
    let body = json!({"location": "westeurope", "kind": "StorageV2", "sku": sku});
    to_account(local, Method::PUT, "", Some(&body)).await;
}

async fn to_account(local: &Local, method: Method, tail: &str, body: Option<&Value>) -> Value {
    let group = format!("{}{SUBSCRIPTION}/resourceGroups/shop", local.endpoint.url);
    let account = format!("{group}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}");
    let url = format!("{account}{tail}?api-version=2025-08-01");
    local.send(method, &url, body).await.unwrap().body
}

/// Long enough for several looks.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn a_message_sets_its_function_off_and_is_deleted_when_that_has_ended_well() {
    let world = World::start().await;
    world.deploy("production", "r", json!({})).await;
    world.put("slow & steady").await;
    world.set("production", json!({})).await;
    for _ in 0..200 {
        if !world.seen("orders").await.contains("MessageText") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.letters(), Vec::<String>::new(), "it is under way");
    assert_eq!(world.count("orders").await, "1", "hidden, and not gone");
    assert_eq!(world.once(1).await, ["r slow & steady 1"]);
    a_while().await;
    assert_eq!(world.count("orders").await, "0");
    world.local.end().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_and_goes_to_the_poison_queue_in_the_end() {
    let world = World::start().await;
    world
        .deploy("production", "r", json!({"maxDequeueCount": 3}))
        .await;
    world.set("production", json!({})).await;
    world.put("bad").await;
    world.put_as_is("no base64!").await;
    assert_eq!(world.once(3).await, ["r bad 1", "r bad 2", "r bad 3"]);
    a_while().await;
    assert_eq!(world.letters().len(), 3);
    assert_eq!(world.count("orders").await, "0");
    let poison = world.seen("orders-poison").await;
    assert!(poison.contains(&STANDARD.encode("bad")), "{poison}");
    assert!(poison.contains("no base64!"), "{poison}");
    world.local.end().await;
}

#[tokio::test]
async fn a_process_that_dies_loses_no_message() {
    let world = World::start().await;
    world
        .deploy("production", "r", json!({"messageEncoding": "none"}))
        .await;
    world.set("production", json!({})).await;
    world.put_as_is("die").await;
    assert_eq!(world.once(1).await, ["r die 2"]);
    world.local.end().await;
}

#[tokio::test]
async fn what_is_switched_off_or_stopped_or_shows_no_key_reads_nothing() {
    let world = World::start().await;
    world.deploy("production", "r", json!({})).await;
    let off = json!({"AzureWebJobs.orders.Disabled": "true"});
    let stranger = json!({"AzureWebJobsStorage": format!("AccountName={ACCOUNT};AccountKey=a2V5")});
    let nobody = json!({"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": ACCOUNT});
    for settings in [off, stranger, nobody] {
        world.set("production", settings.clone()).await;
        world.put("one").await;
        a_while().await;
        assert_eq!(world.letters(), Vec::<String>::new(), "{settings}");
    }
    let stop = format!("{}/stop", at("production"));
    world.local.post(&stop, Value::Null).await;
    world.set("production", json!({})).await;
    a_while().await;
    assert_eq!(world.letters(), Vec::<String>::new(), "stopped");
    let start = format!("{}/start", at("production"));
    world.local.post(&start, Value::Null).await;
    assert_eq!(world.once(3).await.len(), 3);
    world.local.end().await;
}

#[tokio::test]
async fn a_swap_finishes_what_runs_and_leaves_the_switch_with_its_slot() {
    let world = World::start().await;
    let sticky = json!({"properties": {"appSettingNames": ["AzureWebJobs.orders.Disabled"]}});
    let names = format!("{}/config/slotConfigNames", at("production"));
    world.local.call(Method::PUT, &names, Some(&sticky)).await;
    world.deploy("production", "old", json!({})).await;
    world.deploy("green", "new", json!({})).await;
    let off = json!({"AzureWebJobs.orders.Disabled": "true"});
    world.set("green", off).await;
    world.set("production", json!({})).await;
    world.put("first").await;
    assert_eq!(world.once(1).await, ["old first 1"]);
    for number in 0..3 {
        world.put(&format!("slow{number}")).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.local.swap().await.status, 200);
    for number in 0..3 {
        world.put(&format!("after{number}")).await;
    }
    let mut letters = world.once(7).await;
    a_while().await;
    assert_eq!(world.letters().len(), letters.len());
    letters.sort();
    let expected = [
        "new after0 1",
        "new after1 1",
        "new after2 1",
        "old first 1",
        "old slow0 1",
        "old slow1 1",
        "old slow2 1",
    ];
    assert_eq!(letters, expected);
    world.local.end().await;
}

#[tokio::test]
async fn a_timer_sets_its_function_off_on_the_slot_that_does_not_switch_it_off() {
    let world = World::start().await;
    world.deploy("production", "blue", json!({})).await;
    world.deploy("green", "green", json!({})).await;
    let each_second = json!({"WHEN": "* * * * * *"});
    world.set("production", each_second).await;
    let off = json!({"WHEN": "* * * * * *", "AzureWebJobs.clock.Disabled": "1"});
    world.set("green", off).await;
    let began = tokio::time::Instant::now();
    let letters = world.once(3).await;
    assert!(
        began.elapsed() > Duration::from_millis(1_900),
        "once a second"
    );
    assert_eq!(letters, ["blue tick 1"; 3]);
    world.local.end().await;
}

#[tokio::test]
async fn messages_outlive_a_restart_of_the_endpoint_and_go_with_their_account() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = ArmOptions {
        state_dir: Some(folder.path().to_owned()),
        ..ArmOptions::default()
    };
    let (port, letters) = letterbox().await;
    let mut world = World {
        local: Local::with_site(options.clone()).await,
        port,
        letters,
        connection: String::new(),
    };
    make_account(&world.local).await;
    assert_eq!(world.ask(Method::PUT, "orders", "").await.0, 201);
    world.put("kept").await;
    world.local.end().await;
    world.local = Local::start(options).await;
    assert!(
        world
            .seen("orders")
            .await
            .contains(&STANDARD.encode("kept"))
    );
    to_account(&world.local, Method::DELETE, "", None).await;
    make_account(&world.local).await;
    assert_eq!(world.count("orders").await, "none");
    world.local.end().await;
}
