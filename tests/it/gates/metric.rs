//! Numbers from a real Prometheus, and from Azure Monitor's wire.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::Request};
use serde_json::json;
use tokio::process::{Child, Command};
use url::Url;
use verdigris::{
    cloud::{Cloud, CloudError, MetricQuestion},
    gates::metric::{
        Reading,
        prometheus::{Access, Server},
    },
    manifest::gates::{AzureMonitorQuery, MetricSource, PrometheusQuery},
    name::{ServiceName, Slot, Timestamp},
};

use crate::cloud_azure;

const PATIENCE: Duration = Duration::from_secs(20);

/// A Prometheus of its own, which ends with the test.
struct Prometheus {
    url: Url,
    _process: Child,
    _home: tempfile::TempDir,
}

async fn prometheus() -> Prometheus {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("prometheus.yml");
    std::fs::write(&config, "global: { scrape_interval: 1h }\n").unwrap();
    // It takes no port 0, so a free one is looked for.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            home.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus is not installed: run `tests/run`");
    Prometheus {
        url: format!("http://127.0.0.1:{port}/").parse().unwrap(),
        _process: process,
        _home: home,
    }
}

#[tokio::test]
async fn a_real_prometheus_is_understood() {
    let peer = prometheus().await;
    let server = Server::new(peer.url.clone(), Access::Open, None).unwrap();
    let at = Timestamp::from_millis(1_700_000_000_500);
    let ask = |query: &'static str| server.query(query, at, PATIENCE);
    for _ in 0..200 {
        if ask("vector(1)").await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let nothing = |why: &str| Ok(Reading::nothing(why));
    assert_eq!(ask("vector(0.25)").await, Ok(Reading::Number(0.25)));
    assert_eq!(ask("time()").await, Ok(Reading::Number(1_700_000_000.5)));
    assert_eq!(
        ask("sum(requests_total{slot=\"green\"})").await,
        nothing("the query gives nothing")
    );
    assert_eq!(
        ask("vector(0) / vector(0)").await,
        nothing("the value is NaN")
    );
    assert_eq!(
        ask("vector(1) / vector(0)").await,
        nothing("the value is inf")
    );
    let many = "label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(2)";
    let wanted = "the query gives 2 series: make it one number, with sum() for one";
    assert_eq!(ask(many).await, Err(wanted.to_owned()));
    let refused = ask("sum(").await.unwrap_err();
    assert!(
        refused.starts_with("prometheus refuses the query: bad_data: "),
        "{refused}"
    );
    let wanted = "the query gives no number for a moment: leave out the outer range";
    assert_eq!(ask("vector(1)[5m:1m]").await, Err(wanted.to_owned()));
}

#[tokio::test]
async fn a_prometheus_that_is_not_there_is_told_and_its_token_is_not() {
    let url: Url = "http://127.0.0.1:9/prom/".parse().unwrap();
    let server = Server::new(url, Access::Bearer("s3cret".into()), None).unwrap();
    let told = server
        .query("up", Timestamp::default(), PATIENCE)
        .await
        .unwrap_err();
    assert!(told.starts_with("prometheus: cannot connect"), "{told}");
    assert!(!format!("{told} {server:?}").contains("s3cret"));
}

async fn ask(
    cloud: &dyn Cloud,
    source: &MetricSource,
    until: Timestamp,
) -> Result<Option<f64>, CloudError> {
    let service = ServiceName::new("inventory").unwrap();
    let question = MetricQuestion {
        source,
        service: &service,
        slot: Slot::Green,
        until,
    };
    cloud.metric(&question).await
}

#[tokio::test]
async fn azure_monitor_is_asked_about_the_slot_by_its_own_wire() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    let handle = move |request: Request| async move {
        let bearer = request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        log.lock()
            .unwrap()
            .push((request.uri().to_string(), bearer));
        Json(json!({
            "cost": 10, "timespan": "2026-11-21T09:55:00Z/2026-11-21T10:00:00Z", "interval": "FULL",
            "value": [{
                "id": "/x/providers/Microsoft.Insights/metrics/Http5xx", "type": "Microsoft.Insights/metrics",
                "name": { "value": "Http5xx", "localizedValue": "Http Server Errors" }, "unit": "Count",
                "timeseries": [{ "metadatavalues": [], "data": [{ "timeStamp": "2026-11-21T09:55:00Z", "total": 7.0 }] }],
                "errorCode": "Success"
            }],
            "namespace": "Microsoft.Web/sites", "resourceregion": "westeurope"
        }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(handle);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let source = MetricSource::AzureMonitor(AzureMonitorQuery {
        resource: None,
        metric: "Http5xx".to_owned(),
        namespace: None,
        aggregation: "Total".to_owned(),
        filter: None,
        over: Duration::from_secs(300),
    });
    let until: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let cloud = cloud_azure::cloud(&endpoint);
    assert_eq!(ask(&cloud, &source, until).await, Ok(Some(7.0)));
    let heard = heard.lock().unwrap().clone();
    let (uri, bearer) = &heard[0];
    assert!(bearer.starts_with("Bearer ") && bearer.len() > 10);
    assert_eq!(
        uri,
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Web/sites/vg-test-inventory\
         /slots/green/providers/microsoft.insights/metrics?api-version=2023-10-01&metricnames=Http5xx&aggregation=Total\
         &timespan=2026-11-21T09%3A55%3A00.000Z%2F2026-11-21T10%3A00%3A00.000Z&interval=FULL"
    );
    // The one cloud's monitoring is not asked by the other's query.
    let other = MetricSource::Prometheus(PrometheusQuery {
        query: "up".to_owned(),
        server: None,
    });
    assert!(matches!(
        ask(&cloud, &other, until).await,
        Err(CloudError::Invalid { .. })
    ));
}
