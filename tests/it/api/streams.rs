//! What is told as it happens, to readers that come back and to readers that lag.

use std::{collections::BTreeSet, time::Duration};

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use http::{Method, header};
use serde_json::{Value, json};
use verdigris::status::service::phase::ServicePhase;

use super::rig::{Rig, desired, key, request};

/// One event of a stream: its name, its id and its data.
type Told = (String, String, Value);

struct Reading {
    body: BodyDataStream,
    text: String,
}

impl Reading {
    async fn start(rig: &Rig, path: &str, last: Option<&str>) -> Self {
        let mut asked = request(Method::GET, path, None, None);
        let stream = "text/event-stream".parse().unwrap();
        asked.headers_mut().insert(header::ACCEPT, stream);
        if let Some(last) = last {
            asked
                .headers_mut()
                .insert("last-event-id", last.parse().unwrap());
        }
        let response = rig.send(asked).await;
        assert_eq!(response.status(), 200, "{path}");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((part, rest)) = self.text.split_once("\n\n") {
                let (part, rest) = (part.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let found = part.lines().find_map(|line| line.strip_prefix(name));
                    found.unwrap_or_default().trim().to_owned()
                };
                if part.starts_with(':') {
                    continue;
                }
                let data = serde_json::from_str(&field("data:")).unwrap();
                return Some((field("event:"), field("id:"), data));
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.body.next());
            let chunk = chunk.await.expect("something is told within ten seconds")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_reader_of_events_resumes_after_the_last_one_it_saw() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let (_, page) = rig.get("/api/v1/events?limit=1000").await;
    let all: Vec<u64> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["seq"].as_u64().unwrap())
        .collect();
    assert!(all.len() > 4, "{page}");
    let middle = all[2].to_string();
    let mut reading = Reading::start(&rig, "/api/v1/events", Some(&middle)).await;
    for seq in &all[3..] {
        let (_, id, event) = reading.next().await.unwrap();
        assert_eq!((id, event["seq"].as_u64()), (seq.to_string(), Some(*seq)));
    }
    // What happens from here on follows without a gap.
    rig.post(
        "/api/v1/services/prod/inventory/suspend",
        Some(json!({ "reason": "x" })),
    )
    .await;
    let (_, _, event) = reading.next().await.unwrap();
    assert_eq!(event["reason"], "ActionTaken");
    assert_eq!(event["actor"]["username"], "ana");
}

#[tokio::test]
async fn a_reader_that_lags_is_caught_up_from_the_store() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let (_, page) = rig.get("/api/v1/events").await;
    let from = page["next"].as_u64().unwrap();
    let mut reading = Reading::start(&rig, &format!("/api/v1/events?after={from}"), None).await;
    // More than the loop keeps for slow readers; nothing is read meanwhile.
    let actions = 1500;
    for index in 0..actions {
        let word = if index % 2 == 0 { "suspend" } else { "resume" };
        let action = match word {
            "suspend" => verdigris::plan::act::Action::Suspend {
                reason: "x".to_owned(),
                until: None,
            },
            _ => verdigris::plan::act::Action::Resume,
        };
        let actor = verdigris::name::Actor::person("ana");
        rig.handle
            .act(&key("prod/inventory"), action, actor)
            .await
            .unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < actions {
        let (_, _, event) = reading.next().await.unwrap();
        if event["reason"] == "ActionTaken" {
            assert!(
                seen.insert(event["seq"].as_u64().unwrap()),
                "told twice: {event}"
            );
        }
    }
}

#[tokio::test]
async fn changed_rows_are_told_once_for_many_changes() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let (_, list) = rig.get("/api/v1/services").await;
    let since = list["metadata"]["watch"].as_str().unwrap();
    let mut reading = Reading::start(&rig, &format!("/api/v1/watch?since={since}"), None).await;
    rig.bring(desired("prod/inventory", 2, vec![]), ServicePhase::Live)
        .await;
    let wanted = desired("prod/inventory", 2, vec![])
        .release
        .revision
        .to_string();
    let (mut names, mut rows) = (BTreeSet::new(), 0);
    let place = loop {
        let (name, id, data) = reading.next().await.unwrap();
        names.insert(name.clone());
        rows += usize::from(name == "rows");
        if name == "rows" && data[0]["phase"] == "Live" && data[0]["live"] == wanted {
            break id;
        }
    };
    assert!(
        names.contains("summary") && names.contains("sources"),
        "{names:?}"
    );
    assert!(rows <= 4, "{rows} messages for one rollout");
    // A reader that comes back with its place is told what changed since, and no more.
    rig.post(
        "/api/v1/services/prod/inventory/suspend",
        Some(json!({ "reason": "x" })),
    )
    .await;
    let mut again = Reading::start(&rig, "/api/v1/watch", Some(&place)).await;
    loop {
        let (name, _, data) = again.next().await.unwrap();
        assert_ne!(name, "reset");
        if name == "rows" && data[0]["phase"] == "Suspended" {
            break;
        }
    }
}

#[tokio::test]
async fn a_reader_from_another_run_is_told_to_start_over() {
    let rig = Rig::new().await;
    for place in ["other.7", "nonsense", "."] {
        let mut reading = Reading::start(&rig, "/api/v1/watch", Some(place)).await;
        assert_eq!(reading.next().await.unwrap().0, "reset", "{place}");
    }
}

#[tokio::test]
async fn streams_end_with_the_daemon() {
    let rig = Rig::new().await;
    let mut reading = Reading::start(&rig, "/api/v1/events", None).await;
    rig.stop.cancel();
    assert_eq!(reading.next().await, None);
}
