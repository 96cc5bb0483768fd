//! A daemon with everything real: people call its functions, read their logs, and change them behind its back; then it is told who.

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use serde_json::{Value, json};
use verdigris::{
    clock::{Clock as _, SystemClock},
    daemon::run::Daemon,
    name::{CloudName, ServiceKey, Slot},
    observed::talk::{Input, Invocation, Invoked, LogsWanted},
};

use crate::stage::real::{Site, eventually, is_live, until};

fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

async fn call(daemon: &Daemon, cloud: CloudName, function: &str, input: Input) -> Invoked {
    let reached = daemon.handle.reach(&key()).await.unwrap();
    let found = reached.clouds.into_iter().find(|(name, _)| *name == cloud);
    let target = found.unwrap().1.unwrap();
    let call = Invocation {
        called: Default::default(),
        service: key(),
        function: function.parse().unwrap(),
        slot: Slot::Blue,
        input,
    };
    target.operate().unwrap().invoke(&call).await.unwrap()
}

async fn causes(daemon: &Daemon) -> Vec<String> {
    let events = daemon.handle.events_after(0, 10_000).await.unwrap();
    let events = events.into_iter();
    let causes = events.filter(|event| event.reason == "DriftCause");
    causes.map(|event| event.message).collect()
}

/// Waits until the daemon names somebody for drift on a cloud.
async fn named(daemon: &Daemon, cloud: &str, who: &str) {
    eventually(|| async {
        let causes = causes(daemon).await;
        let is_named = |cause: &String| cause.starts_with(cloud) && cause.contains(who);
        match causes.iter().any(is_named) {
            true => Ok(()),
            false => Err(format!("{who} is not named: {causes:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_called_their_logs_are_read_and_whoever_changes_them_is_named() {
    let site = Site::new().await;
    site.author.commit("the shop opens").unwrap();
    let daemon = site.local_daemon().await;
    until(&daemon, &key(), "live", is_live).await;

    for cloud in CloudName::ALL {
        let input = Input::Http {
            method: "GET".to_owned(),
            path: "/version".to_owned(),
            body: None,
        };
        let answer = call(&daemon, cloud, "version", input).await;
        assert_eq!(answer.status, Some(200), "{cloud}: {answer:?}");
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["version"], "v1", "{cloud}");
        // On a cloud that answers before the work is done, `accepted` is all that there is to say.
        let missing = Input::Http {
            method: "GET".to_owned(),
            path: "/nothing/here".to_owned(),
            body: None,
        };
        let answer = call(&daemon, cloud, "version", missing).await;
        assert_eq!(answer.status, Some(404), "{cloud}: {answer:?}");
    }
    logs_are_told(&daemon).await;
    somebody_moves_an_alias(&site, &daemon).await;
    somebody_changes_a_setting(&site, &daemon).await;
    daemon.stop().await;
}

/// Lambda writes a line when a call begins and ends; the Function App when its program starts.
async fn logs_are_told(daemon: &Daemon) {
    let reached = daemon.handle.reach(&key()).await.unwrap();
    for (cloud, target) in reached.clouds {
        let target = target.unwrap();
        let wanted = |containing: Option<&str>, lines_max| LogsWanted {
            called: Default::default(),
            service: key(),
            function: "version".parse().unwrap(),
            since: SystemClock
                .now()
                .before(std::time::Duration::from_secs(600)),
            containing: containing.map(str::to_owned),
            lines_max,
        };
        let ask = async |wanted: LogsWanted| {
            let operate = target.operate().unwrap();
            operate.logs(&wanted).await.unwrap().lines
        };
        let all = ask(wanted(None, 1000)).await;
        if cloud == CloudName::Aws {
            assert!(
                all.iter().any(|line| line.text.contains("REPORT")),
                "{all:?}"
            );
            let reports = ask(wanted(Some("REPORT"), 1000)).await;
            assert!(reports.iter().all(|line| line.text.contains("REPORT")));
            assert_eq!(ask(wanted(None, 1)).await, all[all.len() - 1..]);
        }
        let nothing = ask(wanted(Some("no line has this text"), 10)).await;
        assert_eq!(nothing, Vec::new(), "{cloud}");
    }
}

async fn somebody_moves_an_alias(site: &Site, daemon: &Daemon) {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(site.clouds.lambda.url.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("AKIAEVE", "secret", None, None, "test"));
    let eve = Client::from_conf(config.build());
    let gone = eve
        .delete_function_url_config()
        .function_name("prod-inventory-version");
    gone.qualifier("blue").send().await.unwrap();
    // Addresses are read anew once in a while; a person who asks is answered at once.
    let alias = eve.delete_alias().function_name("prod-inventory-version");
    alias.name("blue").send().await.unwrap();
    named(daemon, "aws", "user/AKIAEVE").await;
    until(daemon, &key(), "repaired", is_live).await;
}

async fn somebody_changes_a_setting(site: &Site, daemon: &Daemon) {
    let state = daemon.handle.state(&key()).await.unwrap();
    let seen = state.seen(CloudName::Azure).unwrap();
    let id = seen.observed.resources[0].clone();
    let url = |path: &str| format!("{}{id}{path}?api-version=2025-05-01", site.clouds.arm.url);
    let http = reqwest::Client::new();
    let list = url("/config/appsettings/list");
    let told = http.post(list).bearer_auth("mallory").json(&json!({}));
    let mut settings: Value = told.send().await.unwrap().json().await.unwrap();
    settings["properties"]["BY_HAND"] = json!("1");
    let body = json!({ "properties": settings["properties"] });
    let put = http.put(url("/config/appsettings")).bearer_auth("mallory");
    assert!(put.json(&body).send().await.unwrap().status().is_success());
    named(daemon, "azure", "by mallory").await;
    until(daemon, &key(), "repaired", is_live).await;
}
