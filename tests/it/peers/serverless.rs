//! The Serverless Framework drives our Lambda endpoint: the commands that speak with Lambda itself, for a function that no stack made. `stacks`
//! has its whole deployments.

use std::{path::Path, process::Stdio, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{FunctionCode, Runtime, State},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};
use url::Url;
use zip::write::SimpleFileOptions;

use crate::cloud_contract::peers::ACCOUNT;

use super::{
    lambda_clients::{Ours, options},
    node_file, node_folder,
};

const CODE: &str = "def handler(event, context):\n    print('said on the way')\n    return {'version': 1, 'event': event}\n";

pub(super) fn manifest(port: u16) -> String {
    format!(
        "service: shop\nframeworkVersion: '3'\nprovider:\n  name: aws\n  runtime: python3.11\n  region: us-east-1\n\
         package:\n  patterns: ['!node_modules/**']\n\
         functions:\n  stock:\n    handler: app.handler\nplugins: [serverless-localstack]\ncustom:\n  localstack:\n    stages: [dev]\n\
         \x20   host: http://127.0.0.1\n    edgePort: {port}\n    autostart: false\n"
    )
}

/// A service's folder, and the function that a first deployment would have left.
async fn service(endpoint: &Url) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("app.py"), CODE).unwrap();
    let manifest = manifest(endpoint.port().unwrap());
    std::fs::write(folder.path().join("serverless.yml"), manifest).unwrap();
    let modules = node_folder().join("node_modules");
    std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    let hand = Client::from_conf(config.build());
    let code = FunctionCode::builder().zip_file(Blob::new(package()));
    let made = hand.create_function().function_name("shop-dev-stock");
    let made = made.runtime(Runtime::Python311).handler("app.handler");
    let made = made.role("arn:aws:iam::111122223333:role/functions");
    made.code(code.build()).send().await.unwrap();
    let is_active = async || {
        let told = hand.get_function().function_name("shop-dev-stock").send();
        told.await.unwrap().configuration.unwrap().state == Some(State::Active)
    };
    while !is_active().await {
        sleep(Duration::from_millis(20)).await;
    }
    folder
}

fn package() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    zip.start_file("app.py", options).unwrap();
    std::io::Write::write_all(&mut zip, CODE.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// What the command prints.
pub(super) async fn serverless(folder: &Path, arguments: &[&str]) -> String {
    let (succeeded, said) = serverless_ends(folder, arguments).await;
    assert!(succeeded, "{arguments:?}\n{said}");
    said
}

/// Whether the command succeeds, and what it prints.
pub(super) async fn serverless_ends(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("node");
    command
        .arg(node_file("serverless/bin/serverless.js"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .env("CI", "1")
        .env("SLS_TELEMETRY_DISABLED", "1")
        .env("SLS_NOTIFICATIONS_MODE", "off")
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(Duration::from_secs(240), command.output());
    let output = output.await.expect("serverless does not end").unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut told = said(&output.stdout);
    if !output.status.success() {
        told += &said(&output.stderr);
    }
    (output.status.success(), told)
}

async fn invoke(folder: &Path, version: u32) {
    let data = json!({"n": 5});
    let arguments = ["invoke", "-f", "stock", "--data", &data.to_string()];
    let told = serverless(folder, &arguments).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, json!({"version": version, "event": data}));
}

#[tokio::test(flavor = "multi_thread")]
async fn serverless_calls_a_function_and_sends_new_code() {
    let ours = Ours::start(options()).await;
    let folder = service(&ours.endpoint.url).await;
    invoke(folder.path(), 1).await;
    let changed = CODE.replace("'version': 1", "'version': 2");
    std::fs::write(folder.path().join("app.py"), changed).unwrap();
    serverless(folder.path(), &["deploy", "function", "-f", "stock"]).await;
    invoke(folder.path(), 2).await;
    let listed = serverless(folder.path(), &["deploy", "list", "functions"]).await;
    assert!(listed.contains("All versions: $LATEST"), "{listed}");
    let logs = serverless(folder.path(), &["logs", "-f", "stock"]).await;
    assert!(logs.contains("said on the way"), "{logs}");
    let refused = serverless_ends(folder.path(), &["invoke", "-f", "stock", "-q", "live"]).await;
    assert!(
        !refused.0 && refused.1.contains("Function not found"),
        "{}",
        refused.1
    );
}
