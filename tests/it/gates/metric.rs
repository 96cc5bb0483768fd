//! Numbers from a real Prometheus, from CloudWatch by servers of others, and from Azure Monitor's wire.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::Request};
use serde_json::json;
use tokio::process::{Child, Command};
use url::Url;
use verdigris::{
    cloud::{Cloud, CloudError, MetricQuestion, aws::AwsCloud},
    gates::metric::{
        self, BlueReading, Reading, Subject,
        prometheus::{Access, Server},
    },
    manifest::gates::{
        AzureMonitorQuery, Baseline, Better, CloudWatchQuery, Figure, MetricGate, MetricSource,
        PrometheusQuery, Tolerance,
    },
    name::{CloudName, ServiceKey, ServiceName, Slot, Timestamp},
    rollout::evidence::Outcome,
};

use crate::{cloud_aws::aws, cloud_azure, cloud_contract::peers, peers::python, stage::version};

const PATIENCE: Duration = Duration::from_secs(20);

/// When clouds are asked.
const UNTIL: &str = "2026-11-21T10:00:00Z";

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
        called: &Default::default(),
        source,
        service: &service,
        slot: Slot::Green,
        until,
    };
    cloud.metric(&question).await
}

/// The requests that it was sent, and an endpoint that answers each as Azure Monitor does.
async fn azure_monitor() -> (String, Arc<Mutex<Vec<(String, String)>>>) {
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
    (endpoint, heard)
}

/// Path and parameters of an address, in an order that says nothing.
fn parts(uri: &str) -> (String, BTreeMap<String, String>) {
    let url = Url::parse("http://any").unwrap().join(uri).unwrap();
    let parameters = url.query_pairs().into_owned().collect();
    (url.path().to_owned(), parameters)
}

#[tokio::test]
async fn azure_monitor_is_asked_about_the_slot_as_azures_own_client_asks() {
    let (endpoint, heard) = azure_monitor().await;
    let source = MetricSource::AzureMonitor(AzureMonitorQuery {
        resource: None,
        metric: "Http5xx".to_owned(),
        namespace: None,
        aggregation: "Total".to_owned(),
        filter: None,
        over: Duration::from_secs(300),
    });
    let until: Timestamp = UNTIL.parse().unwrap();
    let cloud = cloud_azure::cloud(&endpoint);
    assert_eq!(ask(&cloud, &source, until).await, Ok(Some(7.0)));
    let (ours, bearer) = heard.lock().unwrap()[0].clone();
    assert!(bearer.starts_with("Bearer ") && bearer.len() > 10);
    let (path, parameters) = parts(&ours);
    let slot = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Web/sites/vg-test-inventory\
                /slots/green";
    assert_eq!(path, format!("{slot}/providers/Microsoft.Insights/metrics"));

    let mut client = python("azure_metrics.py");
    client.args([&endpoint, slot, "Http5xx", "Total", &parameters["timespan"]]);
    let output = client.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "Http5xx 7.0", "{complaint}");
    let (theirs, _) = heard.lock().unwrap()[1].clone();
    assert_eq!(parts(&theirs), (path, parameters));

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

// === CloudWatch, by servers of others ===

/// Errors of a slot in the five minutes until then.
fn errors(dimension: &str) -> MetricSource {
    MetricSource::CloudWatch(CloudWatchQuery {
        namespace: "Shop".to_owned(),
        metric: "Errors".to_owned(),
        dimensions: BTreeMap::from([("slot".to_owned(), dimension.to_owned())]),
        statistic: "Sum".to_owned(),
        over: Duration::from_secs(300),
    })
}

/// What a gate says of one slot's number beside the other's.
async fn verdict(cloud: &dyn Cloud, gate: &MetricGate) -> Outcome {
    let service: ServiceKey = "prod/inventory".parse().unwrap();
    let until: Timestamp = UNTIL.parse().unwrap();
    let revision = version("1").release.revision;
    let source = |slot| {
        let subject = Subject {
            service: &service,
            release: version("1").release.digest,
            revision: &revision,
            slot,
            cloud: Some(CloudName::Aws),
        };
        metric::fill(&gate.source, &subject)
    };
    let read = async |slot| {
        let read = ask(cloud, &source(slot), until).await.unwrap();
        read.map_or_else(|| Reading::nothing("no data"), Reading::of)
    };
    let own = read(Slot::Green).await;
    let blue = BlueReading::Read {
        query: metric::told(&source(Slot::Blue)),
        reading: read(Slot::Blue).await,
    };
    let query = metric::told(&source(Slot::Green));
    metric::judge(gate, query, &own, blue).0
}

/// AWS's own client writes, our gate reads: green has 3 and 4 errors, blue 20; what was an hour ago is no part of it.
async fn is_read_from(endpoint: &Url) {
    let write = async |moment: &str, figures: &[&str]| {
        let mut client = python("cloudwatch.py");
        client.args([endpoint.as_str(), "Shop", "Errors", moment]);
        let output = client.args(figures).output().await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
    };
    write("2026-11-21T09:57:10+00:00", &["green=3", "blue=20"]).await;
    write("2026-11-21T09:58:50+00:00", &["green=4"]).await;
    write("2026-11-21T09:00:00+00:00", &["green=500"]).await;
    let cloud = AwsCloud::new(aws(endpoint, Duration::ZERO)).await;
    let gate = |slot: &str, max, baseline| MetricGate {
        source: errors(slot),
        max,
        min: None,
        baseline,
    };
    let no_worse = Baseline {
        tolerance: Tolerance::Absolute(Figure::new(0.0).unwrap()),
        better: Better::Lower,
    };
    let passing = gate("${slot}", Figure::new(10.0), Some(no_worse));
    assert_eq!(verdict(&cloud, &passing).await, Outcome::Successful);
    let failing = gate("${slot}", Figure::new(6.5), None);
    let why = "value: wanted at most 6.5, got 7".to_owned();
    assert_eq!(verdict(&cloud, &failing).await, Outcome::Failed { why });
    let silent = gate("red", Figure::new(6.5), Some(no_worse));
    let why = "no data".to_owned();
    let inconclusive = Outcome::Inconclusive { why };
    assert_eq!(verdict(&cloud, &silent).await, inconclusive);
}

#[tokio::test]
async fn what_awss_own_client_writes_to_cloudwatch_a_gate_reads_and_judges() {
    is_read_from(&peers::moto().await.endpoint).await;
    is_read_from(&peers::ministack().await.endpoint).await;
}
