//! The same requests to several slots, and what is said where their answers differ.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    http::{HeaderName, Method, Uri},
};
use url::Url;
use verdigris::{
    clock::SystemClock,
    gates::{
        http::Client,
        parity::{self, Question},
    },
    manifest::{
        gates::{Against, Normal, ParityGate},
        spec::RepoPath,
    },
    name::{CloudName, ReleaseDigest, Slot},
    observed::{Addresses, Holding},
    rollout::{
        evidence::{Evidence, Measurement},
        figures::ParityEvidence,
    },
};

use super::read;
use crate::stage::version;

/// A slot that answers every request with a body, as a release.
async fn slot(release: &'static [u8], body: &'static str) -> Addresses {
    let handle = move |method: Method, uri: Uri| async move {
        let name = HeaderName::from_static("x-verdigris-release");
        let json = (
            HeaderName::from_static("content-type"),
            "application/json".to_owned(),
        );
        let headers = [(name, ReleaseDigest::of(release).to_string()), json];
        let path = uri.path();
        (
            headers,
            body.replace("METHOD", method.as_str())
                .replace("PATH", path),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let app = Router::new().fallback(handle);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    BTreeMap::from([("stock".parse().unwrap(), url)])
}

fn held(release: &[u8], addresses: Addresses) -> Holding {
    Holding {
        release: ReleaseDigest::of(release),
        revision: None,
        addresses,
        fields: BTreeMap::new(),
        canary: None,
        label: String::new(),
    }
}

fn gate(against: Against) -> ParityGate {
    ParityGate {
        requests: RepoPath::new("tests/golden.http").unwrap(),
        against,
        normal: Normal {
            headers: vec!["content-type".to_owned()],
            ignore: vec!["/at".to_owned()],
            ..Normal::default()
        },
        allow_unsafe: false,
    }
}

const FILE: &str =
    "@sku = 42\n### one\nGET /stock/{{sku}}\n\n### other\nGET /stock/43?key=s3cret\n";

async fn ask(
    gate: &ParityGate,
    file: &str,
    slots: BTreeMap<CloudName, Addresses>,
    blue: BTreeMap<CloudName, Holding>,
) -> (String, ParityEvidence) {
    let content = version("v1").release.content;
    let question = Question {
        gate,
        file,
        content: &content,
        release: ReleaseDigest::of(b"ours"),
        slot: Slot::Green,
        slots: &slots,
        blue: &blue,
        timeout: Duration::from_secs(30),
    };
    let made: Measurement = parity::measure(&Client::new().unwrap(), &question, &SystemClock).await;
    assert_eq!(made.target, None);
    match made.evidence {
        Evidence::Parity(evidence) => (read(&made.outcome), evidence),
        Evidence::Http(_)
        | Evidence::Command(_)
        | Evidence::Load(_)
        | Evidence::Metric(_)
        | Evidence::None => panic!("{made:?}"),
    }
}

async fn greens(aws: &'static str, azure: &'static str) -> BTreeMap<CloudName, Addresses> {
    BTreeMap::from([
        (CloudName::Aws, slot(b"ours", aws).await),
        (CloudName::Azure, slot(b"ours", azure).await),
    ])
}

#[tokio::test]
async fn greens_that_answer_alike_pass() {
    let slots = greens(r#"{"at":1,"left":17}"#, r#"{ "left": 17.0, "at": 2 }"#).await;
    let (outcome, evidence) = ask(&gate(Against::Clouds), FILE, slots, BTreeMap::new()).await;
    assert_eq!(outcome, "successful");
    assert_eq!(
        Evidence::Parity(evidence).summary().unwrap(),
        "aws green = azure green: 2 alike"
    );
}

#[tokio::test]
async fn greens_that_differ_are_told_apart() {
    let slots = greens(r#"{"left":17,"of":"PATH"}"#, r#"{"left":18,"of":"PATH"}"#).await;
    let (outcome, evidence) = ask(&gate(Against::Clouds), FILE, slots, BTreeMap::new()).await;
    assert_eq!(
        outcome,
        "failed: 2 of 2 comparisons differ; GET /stock/42 (line 3): body /left: aws green 17, azure green 18"
    );
    let told: Vec<String> = evidence
        .differences
        .iter()
        .map(|it| format!("{}: {}", it.request, it.what))
        .collect();
    assert_eq!(
        told,
        [
            "GET /stock/42 (line 3): body /left",
            "GET /stock/43?key=(hidden) (line 6): body /left"
        ]
    );
}

#[tokio::test]
async fn green_is_compared_with_the_blue_beside_it() {
    let slots = greens(r#"{"left":17}"#, r#"{"left":17}"#).await;
    let blue = BTreeMap::from([(
        CloudName::Aws,
        held(b"before", slot(b"before", r#"{"left":17,"new":1}"#).await),
    )]);
    let (outcome, evidence) = ask(&gate(Against::Both), FILE, slots, blue).await;
    assert_eq!(
        outcome,
        "failed: 2 of 4 comparisons differ; GET /stock/42 (line 3): body /new: aws green nothing, aws blue 1"
    );
    assert_eq!(
        Evidence::Parity(evidence).summary().unwrap(),
        "aws green = azure green: 2 alike; aws green ≠ aws blue: 2 of 2 differ; \
         azure: nothing is on blue yet, so there is nothing to compare with"
    );
}

#[tokio::test]
async fn a_first_release_has_no_blue_and_says_so() {
    let slots = greens("1", "2").await;
    let (outcome, evidence) = ask(&gate(Against::Blue), FILE, slots, BTreeMap::new()).await;
    assert_eq!(outcome, "successful");
    assert_eq!(evidence.pairs, []);
    assert_eq!(evidence.notes.len(), 2);
}

#[tokio::test]
async fn nothing_is_judged_without_an_answer_of_the_release() {
    let mut slots = greens("1", "1").await;
    slots.insert(CloudName::Azure, slot(b"before", "1").await);
    let (outcome, _) = ask(&gate(Against::Clouds), FILE, slots.clone(), BTreeMap::new()).await;
    assert!(
        outcome.starts_with("error: GET /stock/42 (line 3): azure green: it answers as release "),
        "{outcome}"
    );
    for (file, wanted) in [
        (
            "POST /stock/42\n",
            "error: `tests/golden.http`, line 1: POST may change something: write `unsafe: allow` to send it",
        ),
        (
            "GET /nowhere\n",
            "error: GET /nowhere (line 1): aws green: no function of the release answers GET /nowhere",
        ),
    ] {
        let (outcome, _) = ask(&gate(Against::Clouds), file, slots.clone(), BTreeMap::new()).await;
        assert_eq!(outcome, wanted);
    }
}
