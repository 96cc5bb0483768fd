//! Requests and answers, against a server that behaves as badly as it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;
use verdigris::{
    clock::SystemClock,
    gates::http::{self, Client, Question},
    manifest::spec::{HttpGate, HttpStep},
    name::ReleaseDigest,
    rollout::evidence::{Evidence, HttpEvidence, Measurement, Outcome},
};

use super::read;

/// How the server behaves to each connection in turn; the last way stays.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Head and body, as they go over the wire.
    Say(String),
    Silence,
    HangUp,
    /// A body without end: at once, or a byte now and then.
    Flood,
    Trickle,
}

pub(super) struct Server {
    pub(super) address: Url,
    /// Each request as it came.
    pub(super) heard: Arc<Mutex<Vec<String>>>,
}

pub(super) async fn serve(acts: Vec<Act>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut acts = acts.into_iter().peekable();
        while let Ok((stream, _)) = listener.accept().await {
            let act = acts.next().unwrap();
            if acts.peek().is_none() {
                acts = vec![act.clone()].into_iter().peekable();
            }
            tokio::spawn(play(stream, act, Arc::clone(&log)));
        }
    });
    let address = address.parse().unwrap();
    Server { address, heard }
}

async fn play(mut stream: TcpStream, act: Act, heard: Arc<Mutex<Vec<String>>>) {
    let mut request = vec![0; 8192];
    let count = stream.read(&mut request).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..count]).into_owned();
    heard.lock().unwrap().push(text);
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{}content-type: text/plain\r\n\r\n",
        ours()
    );
    let endless = endless.as_bytes();
    match act {
        Act::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
        Act::HangUp => {}
        Act::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
        Act::Flood => {
            stream.write_all(endless).await.unwrap();
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        }
        Act::Trickle => {
            stream.write_all(endless).await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

pub(super) fn say(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

pub(super) fn ours() -> String {
    format!("x-verdigris-release: {}\r\n", ReleaseDigest::of(b"ours"))
}

fn gate() -> HttpStep {
    HttpStep::get("/stock/42")
}

fn wants_json(pointer: &str, value: serde_json::Value) -> HttpStep {
    let expect_json = BTreeMap::from([(pointer.to_owned(), value)]);
    HttpStep {
        expect_json,
        ..gate()
    }
}

async fn ask(step: &HttpStep, address: &Url) -> Measurement {
    ask_all(&HttpGate::from(step.clone()), address).await
}

pub(super) async fn ask_all(gate: &HttpGate, address: &Url) -> Measurement {
    let question = Question {
        gate,
        route: &|_, _| Ok(address.clone()),
        timeout: Duration::from_secs(3),
        release: Some(ReleaseDigest::of(b"ours")),
    };
    let client = Client::new().unwrap();
    let asked = http::measure(&client, &question, &SystemClock);
    tokio::time::timeout(Duration::from_secs(60), asked)
        .await
        .unwrap()
}

pub(super) fn http_evidence(measurement: &Measurement) -> &HttpEvidence {
    match &measurement.evidence {
        Evidence::Http(evidence) => evidence,
        Evidence::Command(_)
        | Evidence::Load(_)
        | Evidence::Parity(_)
        | Evidence::Metric(_)
        | Evidence::None => panic!("{measurement:?}"),
    }
}

/// Asks a server of its own for each case.
async fn check(table: impl IntoIterator<Item = (HttpStep, Act, &str)>) {
    for (gate, act, wanted) in table {
        let server = serve(vec![act.clone()]).await;
        let measurement = ask(&gate, &server.address).await;
        assert_eq!(read(&measurement.outcome), wanted, "{act:?}");
        let answer = http_evidence(&measurement).answer.as_ref();
        assert!(answer.is_none_or(|answer| answer.body.len() <= 64 * 1024));
    }
}

#[tokio::test]
async fn a_wrong_answer_of_the_release_is_a_failure() {
    let json = say(200, &ours(), r#"{"sku":"42","left":3}"#);
    let is_low = HttpStep {
        expect_headers: BTreeMap::from([("x-stock".to_owned(), "low".to_owned())]),
        ..gate()
    };
    let redirect = format!("{}location: http://127.0.0.1:9/\r\n", ours());
    check([
        (gate(), json.clone(), "successful"),
        (wants_json("/left", 3.into()), json.clone(), "successful"),
        (
            wants_json("/left", 4.into()),
            json.clone(),
            "failed: json /left: wanted 4, got 3",
        ),
        (
            wants_json("/right", 4.into()),
            json.clone(),
            "failed: json /right: wanted 4, got nothing",
        ),
        (
            wants_json("/a", 1.into()),
            say(200, &ours(), "<"),
            "failed: json /a: wanted 1, got a body that is no JSON",
        ),
        (
            is_low,
            json,
            "failed: header x-stock: wanted low, got nothing",
        ),
        (
            gate(),
            say(500, &ours(), "no"),
            "failed: status: wanted 200, got 500",
        ),
        (
            gate(),
            say(503, &ours(), "no"),
            "failed: status: wanted 200, got 503",
        ),
        (
            gate(),
            say(404, &ours(), "no"),
            "failed: status: wanted 200, got 404",
        ),
        (
            gate(),
            say(302, &redirect, ""),
            "failed: status: wanted 200, got 302",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_later_than_wanted_is_a_failure() {
    let latency = Some(Duration::from_millis(300));
    let server = serve(vec![Act::Trickle]).await;
    let told = read(
        &ask(&HttpStep { latency, ..gate() }, &server.address)
            .await
            .outcome,
    );
    assert!(
        told.starts_with("failed: latency: wanted at most 300 ms, got "),
        "{told}"
    );
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_an_error() {
    let theirs = format!("x-verdigris-release: {}\r\n", ReleaseDigest::of(b"theirs"));
    let told = format!(
        "error: the slot still answers as release {}",
        ReleaseDigest::of(b"theirs")
    );
    let wants_503 = HttpStep {
        status: Some(503),
        ..gate()
    };
    check([
        (
            gate(),
            say(503, "", "no"),
            "error: the platform answered 503 in place of the release",
        ),
        (
            wants_503,
            say(503, "", "no"),
            "error: the platform answered 503 in place of the release",
        ),
        (
            gate(),
            say(200, "", "Your Function App is up and running"),
            "error: the platform answered 200 in place of the release",
        ),
        (
            gate(),
            say(403, "", "no"),
            "error: the platform answered 403 in place of the release",
        ),
        (
            gate(),
            say(404, "", "no"),
            "error: the platform answered 404 in place of the release",
        ),
        (
            gate(),
            say(429, "", "no"),
            "error: the platform answered 429 in place of the release",
        ),
        (
            gate(),
            say(200, "x-verdigris-release: \r\n", "early"),
            "error: the platform answered 200 in place of the release",
        ),
        (gate(), say(200, &theirs, ""), told.as_str()),
        (gate(), Act::Silence, "error: no answer within 3s"),
    ])
    .await;
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n{}\r\n{{", ours());
    let wants = || wants_json("/a", 1.into());
    check([
        (gate(), Act::Flood, "successful"),
        (
            wants(),
            Act::Flood,
            "failed: json /a: wanted 1, got a body of more than 1048576 bytes",
        ),
        (gate(), Act::Trickle, "successful"),
        (
            wants(),
            Act::Trickle,
            "error: the answer broke off: it did not end in time",
        ),
        (
            wants(),
            Act::Say(cut),
            "error: the answer broke off: the connection was lost",
        ),
    ])
    .await;
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let told = read(&ask(&gate(), &address).await.outcome);
    assert!(told.starts_with("error: cannot connect: "), "{told}");
    let server = serve(vec![Act::HangUp]).await;
    let told = read(&ask(&gate(), &server.address).await.outcome);
    assert!(told.starts_with("error: no answer: "), "{told}");
}

#[tokio::test]
async fn further_tries_wait_for_an_answer_and_never_repeat_a_wrong_one() {
    let good = say(200, &ours(), "yes");
    let table = [
        (
            vec![Act::HangUp, say(503, "", ""), good.clone()],
            3,
            "successful",
            3,
        ),
        (
            vec![say(503, "", "")],
            1,
            "error: the platform answered 503 in place of the release",
            2,
        ),
        (
            vec![say(500, &ours(), ""), good],
            3,
            "failed: status: wanted 200, got 500",
            1,
        ),
    ];
    for (acts, retries, wanted, tries) in table {
        let server = serve(acts).await;
        let measurement = ask(&HttpStep { retries, ..gate() }, &server.address).await;
        assert_eq!(read(&measurement.outcome), wanted);
        assert_eq!(http_evidence(&measurement).tries, tries);
        assert_eq!(server.heard.lock().unwrap().len() as u32, tries);
    }
}

#[tokio::test]
async fn the_request_is_sent_as_written_and_shown_without_its_secrets() {
    let server = serve(vec![say(
        201,
        &format!("{}x-stock: low\r\nset-cookie: id=swordfish\r\n", ours()),
        "made",
    )])
    .await;
    let pairs = [("authorization", "Bearer swordfish"), ("x-team", "blue")];
    let gate = HttpStep {
        method: "POST".to_owned(),
        path: "/orders?code=swordfish&dry=1".to_owned(),
        headers: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: Some(r#"{"sku":42}"#.to_owned()),
        status: Some(201),
        expect_headers: BTreeMap::from([("X-Stock".to_owned(), "low".to_owned())]),
        ..gate()
    };
    let measurement = ask(&gate, &server.address).await;
    assert_eq!(measurement.outcome, Outcome::Successful);
    let heard = server.heard.lock().unwrap().join("");
    assert!(
        heard.starts_with("POST /orders?code=swordfish&dry=1 HTTP/1.1\r\n"),
        "{heard}"
    );
    assert!(
        heard.contains("authorization: Bearer swordfish\r\n"),
        "{heard}"
    );
    assert!(heard.ends_with("\r\n\r\n{\"sku\":42}"), "{heard}");
    let shown = serde_json::to_string(&measurement).unwrap();
    assert!(!shown.contains("swordfish"), "{shown}");
    assert!(
        shown.contains(r#""what":"header X-Stock","wanted":"low","got":"low","passed":true"#),
        "{shown}"
    );
}

#[tokio::test]
async fn a_gate_cannot_name_another_host() {
    let server = serve(vec![say(200, "", "")]).await;
    let paths = [
        "//evil.example/",
        "http://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
    ];
    let by_path = paths.map(|path| HttpStep {
        path: path.to_owned(),
        ..gate()
    });
    let hosts = ["Host", "X-Forwarded-Host", "Transfer-Encoding"];
    let by_header = hosts.map(|name| HttpStep {
        headers: BTreeMap::from([(name.to_owned(), "evil.example".to_owned())]),
        ..gate()
    });
    for gate in by_path.into_iter().chain(by_header) {
        let measurement = ask(&gate, &server.address).await;
        assert!(
            matches!(measurement.outcome, Outcome::Error { .. }),
            "{measurement:?}"
        );
    }
    assert_eq!(*server.heard.lock().unwrap(), [""; 0], "nothing was sent");
}
