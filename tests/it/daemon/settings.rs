//! The configuration: read again when it changes, and taken to where it counts.

use std::{path::PathBuf, sync::Arc};

use verdigris::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        config::Config,
        run::{self, Daemon, Options},
        site::{self, SiteOptions},
    },
    name::{Actor, Timestamp},
    plan::state::{EventRecord, Severity},
};

use super::{Yard, key, reasons, some, source, text};

async fn from_file(yard: &Yard, file: PathBuf) -> Daemon {
    let options = Options {
        config: Config::load(&file, &|_| None).unwrap(),
        config_file: Some(file),
        data: yard.folder.path().join("data"),
        identity: AzureIdentity::default(),
        search_path: None,
        clock: Arc::new(SystemClock),
        env: |_| None,
    };
    run::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_configuration_is_taken_up_and_a_bad_one_refused() {
    let yard = Yard::new();
    yard.repository("cart");
    yard.repository("stock");
    let file = yard.folder.path().join("verdigris.yaml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(&text(&[yard.follows("cart")]));
    let daemon = from_file(&yard, file.clone()).await;
    source(&daemon, "cart", "read", |it| it.reading.is_some()).await;

    write("repositories: 7\n");
    let refused = || async {
        let events = daemon.handle.last_events(100).await.unwrap();
        events
            .into_iter()
            .find(|event| event.reason == "ConfigurationRefused")
    };
    let refused = some("a refusal", refused).await;
    assert!(
        refused.message.contains("verdigris.yaml`:1:"),
        "{}",
        refused.message
    );
    assert!(refused.message.ends_with("the old one stays"));
    let followed = daemon.sources.watch().borrow().len();
    assert_eq!(followed, 1);

    write(&text(&[yard.follows("cart"), yard.follows("stock")]));
    source(&daemon, "stock", "read", |it| it.reading.is_some()).await;
    let told = || async {
        let told = reasons(&daemon).await;
        told.contains(&"ConfigurationReloaded".to_owned())
            .then_some(())
    };
    some("word of it", told).await;
    daemon.stop().await;
}

async fn answering(yard: &Yard, config: &Config, daemon: &Daemon) -> site::Site {
    let options = SiteOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        hosts: Vec::new(),
        webhook_secret: config.webhook_secret.clone(),
        data: yard.folder.path().join("data"),
        metrics: None,
        clock: Arc::new(SystemClock),
    };
    site::start(daemon, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_must_prove_the_secret_of_the_configuration() {
    let yard = Yard::new();
    let secret = yard.folder.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let file = yard.folder.path().join("verdigris.yaml");
    let told = format!("webhooks: {{ secret: {{ file: {secret:?} }} }}\n");
    std::fs::write(&file, told).unwrap();
    let config = Config::load(&file, &|_| None).unwrap();
    let daemon = from_file(&yard, file).await;
    let site = answering(&yard, &config, &daemon).await;
    for (token, status) in [("open sesame", 202), ("guess", 403), ("", 403)] {
        let sent = reqwest::Client::new()
            .post(format!("http://{}/hooks/gitlab", site.address))
            .header("x-gitlab-token", token)
            .body("{}")
            .send();
        assert_eq!(sent.await.unwrap().status(), status, "{token:?}");
    }
    daemon.stop().await;
    site.ended().await;
}

fn event(service: Option<&str>) -> EventRecord {
    EventRecord {
        seq: 0,
        at: Timestamp::default(),
        severity: Severity::Info,
        service: service.map(key),
        reason: "Told".to_owned(),
        message: String::new(),
        actor: Actor::daemon(),
        revision: None,
        rollout: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_one_service_is_full_though_others_are_louder() {
    let yard = Yard::new();
    let daemon = yard.daemon(&[]).await;
    for _ in 0..2 {
        for service in [Some("shop"), None, None, None] {
            daemon.handle.tell(event(service)).await.unwrap();
        }
    }
    let site = answering(&yard, &super::config(&[]), &daemon).await;
    for query in ["limit=2", "limit=2&after=0"] {
        let url = format!(
            "http://{}/api/v1/events?service=prod/shop&{query}",
            site.address
        );
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            page["items"].as_array().unwrap().len(),
            2,
            "{query}: {text}"
        );
    }
    daemon.stop().await;
    site.ended().await;
}
