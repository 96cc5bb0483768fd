//! Loads, against a server that stalls, breaks, and counts. Figures are bounds that a slow machine cannot break.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderName, StatusCode},
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;
use verdigris::{
    clock::SystemClock,
    condition::Condition,
    gates::{
        http::Client,
        load::{self, Question, Room},
    },
    manifest::{
        gates::{LoadGate, LoadRequest, Rate, Share},
        spec::{Gate, GateKind, GateStage, Measure},
    },
    name::ReleaseDigest,
    observed::Addresses,
    rollout::{
        evidence::{Evidence, Measurement},
        facts,
        figures::LoadEvidence,
    },
};

use super::read;
use crate::stage::version;

/// What the server saw.
#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// How each answer is given, by its number from 0 on.
type Answer = fn(usize, Instant) -> (Duration, u16, &'static [u8]);

async fn serve(answer: Answer) -> (Url, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let began = Arc::new(Mutex::new(None));
    let log = seen.clone();
    let handle = move || {
        let (seen, began) = (log.clone(), began.clone());
        async move {
            let number = seen.asked.fetch_add(1, Ordering::SeqCst);
            let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most_at_once.fetch_max(now, Ordering::SeqCst);
            // The first request is the one that looks whether the release answers; the load begins right after it.
            let start = *began.lock().await.get_or_insert_with(Instant::now);
            let (wait, status, release) = answer(number, start);
            tokio::time::sleep(wait).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
            let name = HeaderName::from_static("x-verdigris-release");
            let release = ReleaseDigest::of(release).to_string();
            (
                StatusCode::from_u16(status).unwrap(),
                [(name, release)],
                "[]",
            )
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().fallback(handle);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url.parse().unwrap(), seen)
}

fn gate(per_second: u32, seconds: u64) -> LoadGate {
    LoadGate {
        requests: vec![LoadRequest {
            method: "GET".to_owned(),
            path: "/stock/42".to_owned(),
            headers: BTreeMap::new(),
            body: None,
        }],
        rate: Rate {
            per_hour: per_second * 3600,
        },
        ramp: Duration::ZERO,
        duration: Duration::from_secs(seconds),
        answer_within: Duration::from_secs(10),
        status: None,
        p50: None,
        p95: None,
        p99: None,
        errors: Some(Share::default()),
        max_in_flight: 500,
    }
}

async fn ask_in(room: &Room, gate: &LoadGate, url: &Url, timeout: Duration) -> Measurement {
    let content = version("v1").release.content;
    let addresses: Addresses = BTreeMap::from([("stock".parse().unwrap(), url.clone())]);
    let question = Question {
        gate,
        content: &content,
        addresses: &addresses,
        timeout,
        release: ReleaseDigest::of(b"ours"),
    };
    load::measure(&Client::new().unwrap(), room, &question, &SystemClock).await
}

async fn ask(gate: &LoadGate, url: &Url) -> (String, LoadEvidence) {
    let made = ask_in(&Room::new(1000), gate, url, Duration::from_secs(60)).await;
    match made.evidence {
        Evidence::Load(evidence) => (read(&made.outcome), evidence),
        Evidence::Http(_)
        | Evidence::Command(_)
        | Evidence::Parity(_)
        | Evidence::Metric(_)
        | Evidence::None => panic!("{made:?}"),
    }
}

/// Nothing is answered between half a second and one and a half; all other answers come at once.
fn stalls(_: usize, start: Instant) -> (Duration, u16, &'static [u8]) {
    let since = start.elapsed();
    let is_stalled = (Duration::from_millis(500)..Duration::from_millis(1500)).contains(&since);
    let wait = if is_stalled {
        Duration::from_millis(1500) - since
    } else {
        Duration::ZERO
    };
    (wait, 200, b"ours")
}

/// Half of two seconds' requests meet a stall of a second. One who waits for each answer before the next would meet it once, and call the
/// 99th percentile small.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_told_in_full() {
    for max_in_flight in [500, 1] {
        let (url, _) = serve(stalls).await;
        let gate = LoadGate {
            p95: Some(Duration::from_millis(300)),
            max_in_flight,
            ..gate(100, 2)
        };
        let (outcome, evidence) = ask(&gate, &url).await;
        assert_eq!(evidence.count, 200);
        assert!(evidence.p95_ms >= 600.0, "{evidence:?}");
        assert!(evidence.max_ms >= 800.0, "{evidence:?}");
        assert!(
            outcome.starts_with("failed: p95: wanted at most 300 ms"),
            "{outcome}"
        );
        // With a cap of one the others waited at home, and that is told too.
        assert!(
            max_in_flight > 1 || evidence.late + evidence.unsent >= 50,
            "{evidence:?}"
        );
        assert!(evidence.in_flight <= max_in_flight);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_keep_up_is_shown_as_such_and_the_cap_holds() {
    let (url, seen) = serve(|_, _| (Duration::from_millis(200), 200, b"ours")).await;
    let gate = LoadGate {
        max_in_flight: 8,
        ..gate(200, 1)
    };
    let (outcome, evidence) = ask(&gate, &url).await;
    assert!(seen.most_at_once.load(Ordering::SeqCst) <= 8);
    // Eight at once, a fifth of a second each, for a second: no more than 48 can have left.
    assert_eq!((evidence.count, evidence.rate), (200, 200.0));
    assert!(
        evidence.unsent >= 150 && evidence.achieved <= 48.0,
        "{evidence:?}"
    );
    assert_eq!(
        evidence.reasons["never sent: the target did not keep up"],
        evidence.unsent
    );
    assert!(
        outcome.contains("the target did not keep up: "),
        "{outcome}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_count_as_errors_whoever_gave_them() {
    let (url, _) = serve(|number, _| match number % 10 {
        3 => (Duration::ZERO, 500, b"ours"),
        5 => (Duration::ZERO, 200, b"theirs"),
        _ => (Duration::ZERO, 200, b"ours"),
    })
    .await;
    let strict = gate(100, 1);
    let (outcome, evidence) = ask(&strict, &url).await;
    assert_eq!(
        outcome,
        "failed: errors: wanted at most 0%, got 20% (20 of 100)"
    );
    let reasons = BTreeMap::from([
        ("status 500".to_owned(), 10),
        ("the slot answered as another release".to_owned(), 10),
    ]);
    assert_eq!(evidence.reasons, reasons);
    let lenient = LoadGate {
        errors: Some(Share { ppm: 200_000 }),
        ..strict
    };
    assert_eq!(ask(&lenient, &url).await.0, "successful");
}

/// A gate with a condition of its own about errors; every fourth request goes wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_about_errors_alone_decides_about_them() {
    let (url, _) = serve(|number, _| match number % 4 {
        3 => (Duration::ZERO, 500, b"ours"),
        _ => (Duration::ZERO, 200, b"ours"),
    })
    .await;
    let load = LoadGate {
        errors: None,
        ..gate(100, 1)
    };
    let made = ask_in(&Room::new(1000), &load, &url, Duration::from_secs(60)).await;
    let judged = |condition: &str| {
        let gate = Gate {
            name: "load".parse().unwrap(),
            kind: GateKind::Load(load.clone()),
            after: GateStage::Staging,
            measure: Measure {
                success_condition: Some(Condition(condition.to_owned())),
                ..Measure::default()
            },
        };
        read(&facts::judged(&gate, made.clone()).outcome)
    };
    assert_eq!(judged("errors < 0.3"), "successful");
    let failed = judged("errorCount <= 24");
    assert_eq!(
        failed,
        "failed: successCondition `errorCount <= 24` does not hold; errorCount is 25"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_another_release_are_nobodys_errors_whatever_is_allowed() {
    let (url, _) = serve(|number, _| match number {
        0 => (Duration::ZERO, 200, b"ours"),
        _ => (Duration::ZERO, 200, b"theirs"),
    })
    .await;
    let lenient = LoadGate {
        errors: None,
        ..gate(50, 1)
    };
    let (outcome, _) = ask(&lenient, &url).await;
    assert_eq!(outcome, "error: 50 of 50 answers were not the release's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_does_not_begin_on_what_the_slot_held_before() {
    let (url, seen) = serve(|_, _| (Duration::ZERO, 200, b"before")).await;
    let made = ask_in(&Room::new(10), &gate(100, 1), &url, Duration::from_secs(2)).await;
    assert_eq!(
        read(&made.outcome),
        "error: the load did not begin: the slot answered as another release"
    );
    assert!(seen.asked.load(Ordering::SeqCst) < 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ramp_warms_up_and_is_not_judged() {
    let (url, seen) = serve(|number, _| match number {
        1..=20 => (Duration::ZERO, 503, b"ours"),
        _ => (Duration::ZERO, 200, b"ours"),
    })
    .await;
    let gate = LoadGate {
        ramp: Duration::from_secs(1),
        ..gate(50, 1)
    };
    let (outcome, evidence) = ask(&gate, &url).await;
    assert_eq!(outcome, "successful");
    assert_eq!(
        (evidence.ramp_count, evidence.ramp_errors, evidence.count),
        (25, 20, 50)
    );
    assert_eq!(seen.asked.load(Ordering::SeqCst), 76);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_share_the_daemons_room_and_wait_for_it() {
    let (url, seen) = serve(|_, _| (Duration::from_millis(100), 200, b"ours")).await;
    let room = Room::new(6);
    let gate = LoadGate {
        max_in_flight: 6,
        ..gate(60, 1)
    };
    let minute = Duration::from_secs(60);
    let both = [0, 1].map(|_| ask_in(&room, &gate, &url, minute));
    for made in futures_util::future::join_all(both).await {
        assert!(matches!(made.evidence, Evidence::Load(_)), "{made:?}");
    }
    assert!(seen.most_at_once.load(Ordering::SeqCst) <= 6);
    let second = Duration::from_secs(2);
    let long = LoadGate {
        duration: Duration::from_secs(4),
        ..gate.clone()
    };
    let (busy, late) = tokio::join!(ask_in(&room, &long, &url, minute), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        ask_in(&room, &gate, &url, second).await
    });
    assert!(matches!(busy.evidence, Evidence::Load(_)));
    assert_eq!(
        read(&late.outcome),
        "error: other loads left no room for 6 requests in 2s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_once_the_measurement_is_dropped() {
    let (url, seen) = serve(|_, _| (Duration::from_secs(5), 200, b"ours")).await;
    let (quick, counted) = serve(|_, _| (Duration::ZERO, 200, b"ours")).await;
    let (room, gate) = (Room::new(500), gate(100, 30));
    for (url, seen) in [(&quick, &counted), (&url, &seen)] {
        let measured = ask_in(&room, &gate, url, Duration::from_secs(60));
        let dropped = tokio::time::timeout(Duration::from_millis(800), measured).await;
        assert!(dropped.is_err());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = seen.asked.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(seen.asked.load(Ordering::SeqCst), before);
    }
}
