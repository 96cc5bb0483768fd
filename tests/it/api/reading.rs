//! What is read, as it reads.

use std::sync::Arc;

use http::{Method, StatusCode};
use verdigris::status::service::phase::ServicePhase;

use super::rig::{Finds, Rig, answers, desired, key, redacted, request, source};

#[tokio::test]
async fn each_endpoint_reads_as_people_see_it() {
    let rig = Rig::new().await;
    rig.sources.send_replace(Arc::new(vec![source("shop")]));
    rig.bring(
        desired("prod/inventory", 1, vec![answers()]),
        ServicePhase::Live,
    )
    .await;
    rig.world.gates_find(&key("prod/inventory"), Finds::Bad);
    let rejected = rig
        .bring(
            desired("prod/inventory", 2, vec![answers()]),
            ServicePhase::Rejected,
        )
        .await;
    let service = "/api/v1/services/prod/inventory";
    for (name, path) in [
        ("services", "/api/v1/services"),
        ("service", service),
        ("rollout", &format!("{service}/rollout")),
        ("history", &format!("{service}/history")),
        ("plan", &format!("{service}/plan")),
        ("why", &format!("{service}/why")),
        ("rollouts", "/api/v1/rollouts"),
        ("plans", "/api/v1/plan"),
        ("sources", "/api/v1/sources"),
        ("summary", "/api/v1/summary"),
        ("events", "/api/v1/events?limit=3"),
        ("no_service", "/api/v1/services/prod/nobody"),
    ] {
        let (_, answer) = rig.get(path).await;
        insta::assert_json_snapshot!(name, redacted(answer));
    }
    assert!(!rejected.status.why.is_empty());
}

#[tokio::test]
async fn a_list_is_paged_and_filtered_by_the_server() {
    let rig = Rig::new().await;
    for index in 0..7 {
        rig.bring(
            desired(&format!("prod/s{index}"), 1, vec![]),
            ServicePhase::Live,
        )
        .await;
    }
    rig.world.gates_find(&key("staging/s9"), Finds::Bad);
    rig.bring(
        desired("staging/s9", 1, vec![answers()]),
        ServicePhase::Rejected,
    )
    .await;
    let names = async |query: &str| {
        let (status, list) = rig.get(&format!("/api/v1/services?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {list}");
        let items = list["items"].as_array().unwrap().iter();
        let names: Vec<String> = items
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        (
            names.join(" "),
            list["metadata"]["continue"].as_str().map(str::to_owned),
        )
    };
    let (first, next) = names("limit=5").await;
    assert_eq!(first, "s0 s1 s2 s3 s4");
    assert_eq!(
        names(&format!("limit=5&continue={}", next.unwrap())).await,
        ("s5 s6 s9".to_owned(), None)
    );
    assert_eq!(names("environment=staging").await.0, "s9");
    assert_eq!(names("attention=true").await.0, "s9");
    assert_eq!(names("ready=True&limit=2").await.0, "s0 s1");
    assert_eq!(names("phase=Rejected").await.0, "s9");
    assert_eq!(names("search=PROD/S3").await.0, "s3");
    assert_eq!(names("search=nothing").await.0, "");
    for query in [
        "limit=-1",
        "phase=Fine",
        "continue=zz",
        "continue=!",
        "environment=A",
        "order=up",
    ] {
        let (status, problem) = rig.get(&format!("/api/v1/services?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem}");
    }
}

#[tokio::test]
async fn metrics_have_bounded_labels() {
    let rig = Rig::new().await;
    rig.sources.send_replace(Arc::new(vec![source("shop")]));
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let (_, text) = rig.get("/metrics").await;
    let text = text.as_str().unwrap();
    for line in [
        "verdigris_services 1",
        "verdigris_services_ready 1",
        "verdigris_services_by_phase{phase=\"Live\"} 1",
        "verdigris_services_by_environment{environment=\"prod\"} 1",
        "verdigris_targets{cloud=\"azure\",health=\"Healthy\"} 1",
        "verdigris_source_ready{repository=\"shop\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    assert!(!text.contains("inventory"), "{text}");
}

#[tokio::test]
async fn the_daemon_is_ready_once_every_repository_was_looked_at() {
    let rig = Rig::new().await;
    let mut unseen = source("shop");
    unseen.last_polled_at = None;
    rig.sources.send_replace(Arc::new(vec![unseen]));
    assert_eq!(rig.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(rig.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    rig.sources.send_replace(Arc::new(vec![source("shop")]));
    assert_eq!(rig.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_page_loads_only_files_of_its_own() {
    let rig = Rig::new().await;
    let response = rig.send(request(Method::GET, "/", None, None)).await;
    let (_, page) = super::rig::read(response).await;
    let page = page.as_str().unwrap().to_owned();
    let paths = page
        .split(['"'])
        .filter(|part| part.starts_with("/dashboard/"));
    for path in paths {
        assert_eq!(rig.get(path).await.0, StatusCode::OK, "{path}");
    }
    assert!(
        !page.contains("http:")
            && !page.contains("https:")
            && !page.contains("style=")
            && !page.contains("<script>")
    );
    for script in ["app", "client", "detail", "view"] {
        let (_, text) = rig.get(&format!("/dashboard/{script}.js")).await;
        let text = text.as_str().unwrap().to_owned();
        for unsafe_word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "setAttribute(\"style",
        ] {
            assert!(
                !text.contains(unsafe_word),
                "{script}.js uses {unsafe_word}"
            );
        }
    }
}
