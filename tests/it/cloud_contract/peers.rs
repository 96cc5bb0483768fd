//! Lambda servers that are not ours, started on loopback and ended with the test.

use std::{ffi::OsString, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};
use url::Url;

use crate::peers::program;

/// A running server. Dropping it ends its process.
pub(crate) struct Peer {
    pub(crate) endpoint: Url,
    _process: Child,
    _home: tempfile::TempDir,
}

/// moto: all of Lambda's control plane in memory; runs no code.
pub(crate) async fn moto() -> Peer {
    let home = tempfile::tempdir().unwrap();
    let mut process = command("moto_server", home.path())
        .args(["-H", "127.0.0.1", "-p", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let endpoint = loop {
        let line = lines.next_line().await.unwrap();
        let line = line.expect("moto ended before it listened");
        if let Some((_, address)) = line.split_once("Running on ") {
            break Url::parse(address.trim()).unwrap();
        }
    };
    // Whoever does not read its log stops it once the pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    create_role(&endpoint).await;
    create_queue(&endpoint, "orders").await;
    Peer {
        endpoint,
        _process: process,
        _home: home,
    }
}

/// MiniStack: states, revisions, and functions that really run.
pub(crate) async fn ministack() -> Peer {
    let home = tempfile::tempdir().unwrap();
    // It takes no port 0, so a free one is looked for. Somebody else could take it first: the test then says that nobody answers.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut process = command("ministack", home.path())
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_REGION", "eu-west-1")
        // The account of the fixtures' role.
        .env("MINISTACK_ACCOUNT_ID", "123456789012")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(
            process.try_wait().unwrap().is_none(),
            "ministack ended before it listened"
        );
        assert!(Instant::now() < deadline, "ministack does not answer");
        sleep(Duration::from_millis(50)).await;
    }
    let endpoint = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    create_role(&endpoint).await;
    create_queue(&endpoint, "orders").await;
    Peer {
        endpoint,
        _process: process,
        _home: home,
    }
}

fn command(name: &str, home: &std::path::Path) -> Command {
    let program = program(name);
    let folder = program.parent().unwrap().to_owned();
    let mut path = OsString::from(folder);
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Lambda takes only roles that exist.
async fn create_role(endpoint: &Url) {
    let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
    let asked = format!(
        "Action=CreateRole&Version=2010-05-08&RoleName=functions&AssumeRolePolicyDocument={policy}"
    );
    ask(endpoint, "us-east-1/iam", asked).await;
}

/// And reads only queues that exist.
pub(crate) async fn create_queue(endpoint: &Url, name: &str) {
    let asked = format!("Action=CreateQueue&Version=2012-11-05&QueueName={name}");
    ask(endpoint, "eu-west-1/sqs", asked).await;
}

/// A bucket of S3.
pub(crate) async fn create_bucket(endpoint: &Url, name: &str) {
    let scope = "test/20260101/us-east-1/s3/aws4_request";
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let answer = reqwest::Client::new()
        .put(endpoint.join(name).unwrap())
        .header("authorization", authorization)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// The servers check no signature, but find the service in it.
async fn ask(endpoint: &Url, service: &str, asked: String) {
    let scope = format!("test/20260101/{service}/aws4_request");
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let answer = reqwest::Client::new()
        .post(endpoint.clone())
        .header("authorization", authorization)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(asked)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    assert!(
        status.is_success(),
        "{status}: {}",
        answer.text().await.unwrap()
    );
}
