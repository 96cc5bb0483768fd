//! The pure parts of the executable's shim, against any input and against independent code.

#[path = "../../../src/build/shims/executable/base64.rs"]
mod base64;
#[path = "../../../src/build/shims/executable/contract.rs"]
mod contract;
#[path = "../../../src/build/shims/executable/json.rs"]
mod json;
#[path = "../../../src/build/shims/executable/routes.rs"]
mod routes;

use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use verdigris::name::Timestamp;

use contract::{Answer, Event, Origin, Request, moment, value_bytes};
use json::Value;
use routes::{Found, Kind, Package};

fn independent(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(digits) => serde_json::from_str(digits).unwrap(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(independent).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), independent(value)))
            .collect(),
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_and_written_as_an_independent_reader_does(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let read = json::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&independent(&read), &value);
        let mut written = String::new();
        read.write(&mut written);
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }

    #[test]
    fn near_json_is_accepted_exactly_when_an_independent_reader_accepts_it(
        text in r#"[\[\]{}",:0-9eE.+\-tfnu\\ alsr]{0,12}"#
    ) {
        // The independent reader refuses numbers that do not fit a float; we keep digits as they are.
        prop_assume!(!text.contains(['e', 'E']));
        let accepted = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(json::parse(text.as_bytes()).is_some(), accepted, "{}", text);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        let _json = json::parse(&bytes);
        let _base64 = base64::decode(&text);
        let _package = Package::parse(&bytes);
        let _moment = moment(&text);
        let request = Request::new(&text, &text, &text, vec![(text.clone(), text.clone())], bytes);
        prop_assert!(request.path.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    }

    #[test]
    fn base64_agrees_with_an_independent_one(bytes in any::<Vec<u8>>()) {
        let text = STANDARD.encode(&bytes);
        prop_assert_eq!(&base64::encode(&bytes), &text);
        prop_assert_eq!(base64::decode(&text), Some(bytes.clone()));
        prop_assert_eq!(base64::decode(text.trim_end_matches('=')), Some(bytes));
    }

    #[test]
    fn moments_agree_with_an_independent_calendar(millis in 0i64..253_402_300_799_999) {
        prop_assert_eq!(moment(&millis.to_string()), Some(Timestamp::from_millis(millis).to_string()));
    }
}

#[test]
fn what_is_not_json_or_base64_is_refused() {
    let deep = "[".repeat(200);
    for text in [
        "", "{", "[1,]", "01", "1.", "\"\\x\"", "\"\n\"", "{\"a\"}", "nul", "1 2", &deep,
    ] {
        assert_eq!(json::parse(text.as_bytes()), None, "{text}");
    }
    for text in ["a", "a===", "a\nbc", "%%%%"] {
        assert_eq!(base64::decode(text), None, "{text}");
    }
    let halves = json::parse(br#""\ud83d\ude00 \ud83d \ude00 \ud83dA""#).unwrap();
    assert_eq!(halves.text(), Some("😀 \u{fffd} \u{fffd} \u{fffd}A"));
}

#[test]
fn the_most_exact_route_answers() {
    let text = br#"{"functions":{
        "rest":{"handler":"h","http":{"methods":[],"path":"/files/{path+}"}},
        "one":{"handler":"h","queue":"q","schedule":"s","http":{"methods":["GET","PUT"],"path":"/files/{name}"}},
        "exact":{"handler":"h","http":{"methods":["GET"],"path":"/files/a b"}},
        "home":{"handler":"h","http":{"methods":["GET"],"path":"/"}},
        "jobs":{"handler":"h","queue":"orders"}
    }}"#;
    let package = Package::parse(text).unwrap();
    for (method, path, wanted) in [
        ("GET", "/", Found::Function("home")),
        ("POST", "/", Found::Methods(vec!["GET"])),
        ("GET", "/files/a%20b", Found::Function("exact")),
        ("PUT", "/files/a%20b", Found::Function("one")),
        ("GET", "/files/a%2fb", Found::Function("one")),
        ("PATCH", "/files/x", Found::Function("rest")),
        ("GET", "/files/x/y", Found::Function("rest")),
        ("GET", "/files/", Found::Nothing),
        ("GET", "/Files/x", Found::Nothing),
        ("GET", "/jobs", Found::Nothing),
        ("POST", "/.verdigris/events/jobs", Found::Nothing),
    ] {
        assert_eq!(package.find(method, path, None), wanted, "{method} {path}");
    }
    assert_eq!(
        package.find("GET", "/files/x", Some("rest")),
        Found::Function("rest")
    );
    assert_eq!(package.find("GET", "/", Some("rest")), Found::Nothing);
    for (folder, wanted) in [
        ("jobs", Some(("jobs", Kind::Queue))),
        ("one", None),
        ("one_queue", Some(("one", Kind::Queue))),
        ("one_schedule", Some(("one", Kind::Schedule))),
        ("rest_queue", None),
        ("none", None),
    ] {
        assert_eq!(package.invoked(folder), wanted, "{folder}");
    }
    let names: Vec<&str> = package.names().collect();
    assert_eq!(names, ["rest", "one", "exact", "home", "jobs"]);
    assert_eq!(package.handler("one"), Some("h"));
    assert_eq!(package.queue("jobs"), Some("orders"));
}

#[test]
fn answers_and_events_have_one_form() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        pair("X-A", "1"),
        pair("x-a", "2"),
        pair("Set-Cookie", "a=1"),
        pair("set-cookie", "b=2"),
        pair("Connection", "close"),
        pair("X-Verdigris-Release", "forged"),
    ];
    let answer = Answer::new(200, headers, b"\xff".to_vec(), "GET", "sha256:00");
    let told: Vec<String> = answer
        .headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect();
    assert_eq!(
        told,
        [
            "x-a: 1, 2",
            "content-type: application/octet-stream",
            "x-verdigris-release: sha256:00"
        ]
    );
    assert_eq!(answer.cookies, ["a=1", "b=2"]);
    assert_eq!(Answer::plain(404, "no", "HEAD", "").body, b"");
    assert_eq!(value_bytes("é"), b"\xe9");
    assert_eq!(value_bytes("€"), "€".as_bytes());
    let event = Event {
        id: Some("m-1".to_owned()),
        body: b"plain".to_vec(),
        ..Event::default()
    };
    let request = event.request("jobs", Origin::Queue("orders"));
    assert_eq!(request.path, "/.verdigris/events/jobs");
    assert_eq!(request.headers["ce-source"], "/queues/orders");
    assert_eq!(request.headers["content-type"], "text/plain; charset=utf-8");
    assert!(!request.headers.contains_key("ce-time"));
    let origins = [
        (
            Origin::Schedule,
            "dev.verdigris.schedule",
            "/schedules/jobs",
        ),
        (
            Origin::Topic("news"),
            "dev.verdigris.topic.message",
            "/topics/news",
        ),
        (
            Origin::Bucket("uploads"),
            "dev.verdigris.bucket.change",
            "/buckets/uploads",
        ),
        (
            Origin::Stream("clicks"),
            "dev.verdigris.stream.record",
            "/streams/clicks",
        ),
    ];
    for (origin, kind, source) in origins {
        let request = Event::default().request("jobs", origin);
        assert_eq!(request.headers["ce-type"], kind);
        assert_eq!(request.headers["ce-source"], source);
    }
}
