//! Chains of requests: what an answer leaves goes into the requests after it, and nowhere else.

use std::collections::BTreeMap;

use verdigris::{
    condition::Condition,
    manifest::spec::{Capture, Gate, GateKind, GateStage, HttpGate, HttpStep, Measure},
    rollout::{evidence::Outcome, facts::judged},
};

use super::{
    http::{Act, ask_all, http_evidence, ours, say, serve},
    read,
};

fn step(method: &str, path: &str) -> HttpStep {
    HttpStep {
        method: method.to_owned(),
        ..HttpStep::get(path)
    }
}

fn captures(pairs: &[(&str, Capture)]) -> BTreeMap<String, Capture> {
    let owned = |(name, capture): &(&str, Capture)| ((*name).to_owned(), capture.clone());
    pairs.iter().map(owned).collect()
}

fn json(path: &str) -> Capture {
    Capture::Json(path.to_owned())
}

/// An order is made, read, and paid for.
fn order() -> HttpGate {
    let created = HttpStep {
        name: Some("create".to_owned()),
        status: Some(201),
        capture: captures(&[
            ("id", json("$.order.id")),
            ("note", json("/order/note")),
            ("tag", Capture::Header("etag".to_owned())),
            ("token", json("$.token")),
        ]),
        ..step("POST", "/orders")
    };
    let read = HttpStep {
        headers: BTreeMap::from([
            ("if-match".to_owned(), "${tag}".to_owned()),
            ("x-session".to_owned(), "${token}".to_owned()),
        ]),
        expect_json: BTreeMap::from([
            ("$.id".to_owned(), "${id}".into()),
            ("$.text".to_owned(), "order ${id}".into()),
        ]),
        ..step("GET", "/orders/${id}?note=${note}")
    };
    let pay = HttpStep {
        body: Some(r#"{"order":${id},"note":"${note}","price":"$${price}"}"#.to_owned()),
        ..step("POST", "/pay")
    };
    HttpGate {
        first: created,
        then: vec![read, pay],
    }
}

fn created() -> Act {
    let headers = format!("{}etag: W/1\r\n", ours());
    let body = r#"{"order":{"id":42,"note":"a \"b\"/c&d"},"token":"swordfish"}"#;
    say(201, &headers, body)
}

#[tokio::test]
async fn what_an_answer_leaves_goes_into_the_requests_after_it() {
    let found = say(
        200,
        &ours(),
        r#"{"id":42,"text":"order 42","t":"swordfish"}"#,
    );
    let server = serve(vec![
        created(),
        found,
        say(200, &ours(), r#"{"paid":true}"#),
    ])
    .await;
    let made = ask_all(&order(), &server.address).await;
    assert_eq!(read(&made.outcome), "successful");
    let heard = server.heard.lock().unwrap().clone();
    let second = "GET /orders/42?note=a%20%22b%22%2Fc%26d HTTP/1.1\r\n";
    assert!(heard[1].starts_with(second), "{}", heard[1]);
    assert!(heard[1].contains("if-match: W/1\r\n"), "{}", heard[1]);
    assert!(
        heard[1].contains("x-session: swordfish\r\n"),
        "{}",
        heard[1]
    );
    let body = r#"{"order":42,"note":"a \"b\"/c&d","price":"${price}"}"#;
    assert!(heard[2].ends_with(body), "{}", heard[2]);
    let evidence = http_evidence(&made);
    assert_eq!(evidence.earlier.len(), 2);
    assert_eq!(evidence.earlier[0].captured["id"], 42);
    assert_eq!(evidence.earlier[0].captured["token"], "(hidden)");
    let shown = serde_json::to_string(&made).unwrap();
    assert!(!shown.contains("swordfish"), "{shown}");
}

#[tokio::test]
async fn the_first_request_that_is_not_answered_as_wanted_ends_the_chain() {
    let lacks = format!("{}etag: W/1\r\n", ours());
    let table = [
        (
            vec![say(500, &ours(), "{}")],
            "failed: request 1 (create): status: wanted 201, got 500; capture id: wanted a value at $.order.id, got nothing; capture note: wanted a value at /order/note, got nothing; capture tag: wanted a header etag, got nothing; capture token: wanted a value at $.token, got nothing",
            1,
        ),
        (
            vec![say(201, &lacks, r#"{"order":{"id":42,"note":""}}"#)],
            "failed: request 1 (create): capture token: wanted a value at $.token, got nothing",
            1,
        ),
        (
            vec![
                created(),
                say(200, &ours(), r#"{"id":"42","text":"order 42"}"#),
            ],
            "failed: request 2: json $.id: wanted 42, got \"42\"",
            2,
        ),
        (
            vec![created(), say(503, "", "")],
            "error: request 2: the platform answered 503 in place of the release",
            2,
        ),
    ];
    for (acts, wanted, count) in table {
        let server = serve(acts).await;
        let made = ask_all(&order(), &server.address).await;
        assert_eq!(read(&made.outcome), wanted);
        assert_eq!(server.heard.lock().unwrap().len(), count, "{wanted}");
    }
}

#[tokio::test]
async fn a_condition_sees_the_whole_chain() {
    let found = say(200, &ours(), r#"{"id":42,"text":"order 42"}"#);
    let server = serve(vec![
        created(),
        found,
        say(200, &ours(), r#"{"paid":false}"#),
    ])
    .await;
    let made = ask_all(&order(), &server.address).await;
    let judged_by = |text: &str| {
        let gate = Gate {
            name: "buy".parse().unwrap(),
            kind: GateKind::Http(order()),
            after: GateStage::Staging,
            measure: Measure {
                success_condition: Some(Condition(text.to_owned())),
                ..Measure::default()
            },
        };
        judged(&gate, made.clone())
    };
    let whole = "steps.all(s, s.latencyMs < 5000) && steps[0].json.order.id == captured.id && steps[1].status == 200";
    assert_eq!(judged_by(whole).outcome, Outcome::Successful);
    assert_eq!(
        read(&judged_by("json.paid").outcome),
        "failed: successCondition `json.paid` does not hold; json is {\"paid\":false}"
    );
    let checks = &http_evidence(&judged_by("json.paid")).checks.clone();
    let last = checks.last().unwrap();
    assert_eq!(
        (last.what.as_str(), last.passed),
        ("successCondition", false)
    );
}

/// Every variable that a condition may name has a value, and no other.
#[tokio::test]
async fn evidence_holds_what_its_shape_promises() {
    let server = serve(vec![say(200, &ours(), "{}")]).await;
    let gate = HttpGate::from(HttpStep::get("/"));
    let made = ask_all(&gate, &server.address).await;
    let kind = GateKind::Http(gate);
    for variable in kind.shape().keys() {
        let gate = Gate {
            name: "all".parse().unwrap(),
            kind: kind.clone(),
            after: GateStage::Staging,
            measure: Measure {
                success_condition: Some(Condition(format!("{variable} == {variable}"))),
                ..Measure::default()
            },
        };
        assert_eq!(
            judged(&gate, made.clone()).outcome,
            Outcome::Successful,
            "{variable}"
        );
    }
}
