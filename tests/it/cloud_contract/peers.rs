//! Lambda servers that are not ours, started on loopback and ended with the test.

use std::{ffi::OsString, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};
use url::Url;

use crate::peers::{program, python_of_localstack, script};

/// The account of the fixtures' role. As an access key it tells servers of others whose functions are meant.
pub(crate) const ACCOUNT: &str = "123456789012";

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

/// LocalStack: of the three the closest to the real control plane; here it runs no code.
pub(crate) async fn localstack() -> Peer {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut process = alone(&python_of_localstack(), home.path())
        .arg(script("localstack_server.py"))
        .env("GATEWAY_LISTEN", &listen)
        // Addresses of functions are names below this one; an IP address takes none.
        .env("LOCALSTACK_HOST", format!("localhost:{port}"))
        .env("FILESYSTEM_ROOT", home.path().join("files"))
        .env("SERVICES", "iam,lambda,s3,sqs,sts")
        .env("EAGER_SERVICE_LOADING", "0")
        .env("DISABLE_EVENTS", "1")
        .env("SKIP_SSL_CERT_DOWNLOAD", "1")
        .env("DNS_ADDRESS", "0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    listens(&mut process, "localstack", port).await;
    let endpoint = Url::parse(&format!("http://{listen}/")).unwrap();
    create_role(&endpoint).await;
    create_queue(&endpoint, "orders").await;
    Peer {
        endpoint,
        _process: process,
        _home: home,
    }
}

/// HAProxy in front of a server, with the quota that Lambda has for everything but reading one function: fifteen calls a second, then 429.
pub(crate) async fn haproxy(upstream: &Url) -> Peer {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let server = upstream.socket_addrs(|| None).unwrap()[0];
    let config = home.path().join("haproxy.cfg");
    std::fs::write(&config, quota(port, server)).unwrap();
    let mut process = alone(Path::new("/usr/sbin/haproxy"), home.path())
        .args(["-db", "-f"])
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy is installed by `tests/run`");
    listens(&mut process, "haproxy", port).await;
    Peer {
        endpoint: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(),
        _process: process,
        _home: home,
    }
}

/// Calls are counted by the second, as far as they are not `GetFunction`, which has a quota of its own.
fn quota(port: u16, server: SocketAddr) -> String {
    let refusal = r#"{\"Reason\":\"CallerRateLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate exceeded\"}"#;
    format!(
        r#"defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend lambda
  bind 127.0.0.1:{port}
  stick-table type string len 8 size 1k expire 10s store http_req_rate(1s)
  acl reads_one method GET path_reg ^/2015-03-31/functions/[^/]+/?$
  http-request track-sc0 str(all) unless reads_one
  acl is_over sc0_http_req_rate gt {QUOTA}
  http-request return status 429 content-type application/json string "{refusal}" hdr x-amzn-errortype TooManyRequestsException hdr Retry-After 1 if is_over !reads_one
  default_backend server
backend server
  server server {server}
"#
    )
}

/// Calls a second that Lambda takes from an account in a region, but for those that read one function or one policy.
pub(crate) const QUOTA: u32 = 15;

/// MiniStack: states, revisions, and functions that really run.
pub(crate) async fn ministack() -> Peer {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut process = command("ministack", home.path())
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_REGION", "eu-west-1")
        // The account of the fixtures' role.
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    listens(&mut process, "ministack", port).await;
    let endpoint = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    create_role(&endpoint).await;
    create_queue(&endpoint, "orders").await;
    Peer {
        endpoint,
        _process: process,
        _home: home,
    }
}

/// For servers that take no port 0. Somebody else could take it first: the test then says that nobody answers.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn listens(process: &mut Child, name: &str, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(
            process.try_wait().unwrap().is_none(),
            "{name} ended before it listened"
        );
        assert!(Instant::now() < deadline, "{name} does not answer");
        sleep(Duration::from_millis(50)).await;
    }
}

fn command(name: &str, home: &Path) -> Command {
    alone(&program(name), home)
}

/// A program with an environment and a home of its own.
fn alone(program: &Path, home: &Path) -> Command {
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
    let answer = reqwest::Client::new()
        .put(endpoint.join(name).unwrap())
        .header("authorization", authorization("us-east-1/s3"))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// The servers check no signature, but find the service in it.
pub(crate) fn authorization(service: &str) -> String {
    let scope = format!("{ACCOUNT}/20260101/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

/// An operation of a service that takes forms; what it says.
pub(crate) async fn ask(endpoint: &Url, service: &str, asked: String) -> String {
    let answer = reqwest::Client::new()
        .post(endpoint.clone())
        .header("authorization", authorization(service))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(asked)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let told = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {told}");
    told
}
