//! SAM and the Serverless Framework take a function through its whole life. They deploy by CloudFormation, which MiniStack and our endpoint
//! know: the same story is told on both.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};
use url::Url;

use verdigris::local::lambda::LambdaOptions;

use super::{
    lambda_clients::{Ours, options},
    model::{Checker, is_clean},
    node_folder, program, python, python_of_sam, sam,
    serverless::{manifest, serverless, serverless_ends},
    succeeds,
};
use crate::cloud_contract::peers::{ACCOUNT, create_bucket, ministack};

const REGION: &str = "eu-west-1";

/// Its first release; the second one differs by a number and a variable.
const CODE: &str = r#"
import os

def handler(event, context):
    print("said on the way")
    if event.get("raise"):
        raise ValueError("as asked")
    return {"release": 1, "mode": os.environ["MODE"], "version": context.function_version, "n": event["n"]}
"#;

const TEMPLATE: &str = r"
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Stock:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: sam-stock
      Runtime: python3.11
      Handler: app.handler
      CodeUri: code/
      Timeout: 10
      AutoPublishAlias: live
      Environment: { Variables: { MODE: one } }
      FunctionUrlConfig: { AuthType: NONE }
";

// --- programs ---

struct Told {
    succeeded: bool,
    out: String,
    all: String,
}

/// Runs a program of AWS's in `folder`, against `endpoint`.
async fn run(program: PathBuf, folder: &Path, endpoint: &Url, arguments: &[&str]) -> Told {
    // By a name: an address would be taken for the name of a bucket.
    let endpoint = format!("http://localhost:{}", endpoint.port().unwrap());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .env("SAM_CLI_TELEMETRY", "0")
        .env("SAM_CLI_POLL_DELAY", "0.5")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(Duration::from_secs(240), command.output()).await;
    let output = output.expect("the program does not end").unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = said(&output.stdout);
    Told {
        succeeded: output.status.success(),
        all: format!("{out}\n{}", said(&output.stderr)),
        out,
    }
}

/// A project's folder, and where it is deployed to.
struct Project {
    folder: TempDir,
    endpoint: Url,
}

impl Project {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn sam(&self, arguments: &[&str]) -> Told {
        run(sam(), self.path(), &self.endpoint, arguments).await
    }

    async fn deploy(&self) -> String {
        let arguments = [
            "deploy",
            "--template-file",
            "template.yaml",
            "--stack-name",
            "shop",
            "--s3-bucket",
            "packages",
            "--capabilities",
            "CAPABILITY_IAM",
            "--no-confirm-changeset",
            "--no-progressbar",
            "--no-fail-on-empty-changeset",
        ];
        let told = self.sam(&arguments).await;
        assert!(told.succeeded, "{}", told.all);
        told.all
    }

    /// Calls what `of` means, at `live`.
    async fn invoke(&self, of: &[&str]) -> Value {
        let mut arguments = vec![
            "remote",
            "invoke",
            "--parameter",
            "Qualifier=live",
            "--event",
            r#"{"n": 5}"#,
        ];
        arguments.extend(of);
        let told = self.sam(&arguments).await;
        assert!(told.succeeded, "{}", told.all);
        serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{}", told.all))
    }

    /// Puts one text in the place of another, in a file of the project.
    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }
}

/// Our endpoint, where MiniStack stands, too.
async fn ours() -> Ours {
    Ours::start(LambdaOptions {
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        ..options()
    })
    .await
}

async fn sam_project(endpoint: &Url) -> Project {
    create_bucket(endpoint, "packages").await;
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("code")).unwrap();
    std::fs::write(folder.path().join("code/app.py"), CODE).unwrap();
    std::fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
    Project {
        folder,
        endpoint: endpoint.clone(),
    }
}

// --- SAM ---

/// Everything but the end.
async fn sam_keeps_a_function(project: &Project) {
    let stock = ["--stack-name", "shop", "Stock"];
    project.deploy().await;
    let answer = |release: u32, mode: &str, version: &str| json!({"release": release, "mode": mode, "version": version, "n": 5});
    assert_eq!(project.invoke(&stock).await, answer(1, "one", "1"));
    let again = project.deploy().await;
    assert!(again.contains("No changes to deploy"), "{again}");
    // The alias moves to the version that the change becomes.
    project.change("code/app.py", "\"release\": 1", "\"release\": 2");
    project.change("template.yaml", "MODE: one", "MODE: two");
    project.deploy().await;
    assert_eq!(project.invoke(&stock).await, answer(2, "two", "2"));
    let listed = [
        "list",
        "resources",
        "--stack-name",
        "shop",
        "--output",
        "json",
    ];
    let listed = project.sam(&listed).await;
    let listed: Vec<Value> = serde_json::from_str(&listed.out).unwrap();
    let alias = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:sam-stock:live");
    assert!(
        listed.iter().any(|one| one["PhysicalResourceId"] == alias),
        "{listed:?}"
    );
    let raised = [
        "remote",
        "invoke",
        "--stack-name",
        "shop",
        "Stock",
        "--event",
        r#"{"raise": 1}"#,
    ];
    let raised = project.sam(&raised).await;
    assert!(raised.all.contains("ValueError"), "{}", raised.all);
    let missing = project
        .sam(&["remote", "invoke", "--stack-name", "shop", "Nothing"])
        .await;
    assert!(!missing.succeeded, "{}", missing.all);
    let logs = project.sam(&["logs", "--stack-name", "shop"]).await;
    assert!(logs.out.contains("said on the way"), "{}", logs.all);
}

async fn is_gone(project: &Project) {
    let listed = ["lambda", "list-functions"];
    let gone = run(program("aws"), project.path(), &project.endpoint, &listed).await;
    assert!(
        gone.succeeded && !gone.out.contains("sam-stock"),
        "{}",
        gone.all
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sam_takes_a_function_through_its_whole_life_on_ministack() {
    let server = ministack().await;
    let project = sam_project(&server.endpoint).await;
    sam_keeps_a_function(&project).await;
    // `sam delete` sends an empty list of what to keep, which MiniStack takes for a list.
    for arguments in [
        ["cloudformation", "delete-stack", "--stack-name", "shop"].as_slice(),
        &[
            "cloudformation",
            "wait",
            "stack-delete-complete",
            "--stack-name",
            "shop",
        ],
    ] {
        let deleted = run(program("aws"), project.path(), &server.endpoint, arguments).await;
        assert!(deleted.succeeded, "{}", deleted.all);
    }
    is_gone(&project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sam_takes_a_function_through_its_whole_life_on_our_endpoint() {
    let server = ours().await;
    let project = sam_project(&server.endpoint.url).await;
    sam_keeps_a_function(&project).await;
    let deleted = ["delete", "--stack-name", "shop", "--no-prompts"];
    let deleted = project.sam(&deleted).await;
    assert!(deleted.succeeded, "{}", deleted.all);
    is_gone(&project).await;
}

/// SAM's own translator says what a template becomes.
#[tokio::test(flavor = "multi_thread")]
async fn templates_of_sam_become_what_its_own_translator_makes_of_them() {
    let server = ours().await;
    let mut translate = python_of_sam("sam_translate.py");
    translate.arg(server.endpoint.url.as_str());
    succeeds(translate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_finds_cloudformation_as_aws_describes_it() {
    let server = ours().await;
    let checker = Checker::before(&server.endpoint.url).await;
    let mut client = python("cloudformation_client.py");
    client.arg(checker.address.as_str());
    succeeds(client).await;
    is_clean(&checker.end().await, 22);
}

// --- Serverless ---

async fn answers(folder: &Path, release: u32, mode: &str) {
    let told = serverless(folder, &["invoke", "-f", "stock", "--data", r#"{"n": 5}"#]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["release"], &told["mode"]),
        (&json!(release), &json!(mode)),
        "{told}"
    );
}

async fn serverless_keeps_a_function(endpoint: &Url) {
    let folder = TempDir::new().unwrap();
    let manifest = manifest(endpoint.port().unwrap());
    let manifest = manifest
        .replace("us-east-1", REGION)
        .replace("http://127.0.0.1", "http://localhost");
    let manifest =
        format!("{manifest}\n").replace("  runtime:", "  environment: { MODE: one }\n  runtime:");
    std::fs::write(folder.path().join("serverless.yml"), manifest).unwrap();
    std::fs::write(folder.path().join("app.py"), CODE).unwrap();
    std::os::unix::fs::symlink(
        node_folder().join("node_modules"),
        folder.path().join("node_modules"),
    )
    .unwrap();
    let project = Project {
        folder,
        endpoint: endpoint.clone(),
    };
    serverless(project.path(), &["deploy"]).await;
    answers(project.path(), 1, "one").await;
    let told = serverless(project.path(), &["info"]).await;
    assert!(told.contains("stock: shop-dev-stock"), "{told}");
    let first = serverless(project.path(), &["deploy", "list"]).await;
    let first = first
        .lines()
        .find_map(|line| line.trim().strip_prefix("Timestamp: "));
    let first = first.unwrap().to_owned();
    project.change("app.py", "\"release\": 1", "\"release\": 2");
    project.change("serverless.yml", "MODE: one", "MODE: two");
    serverless(project.path(), &["deploy"]).await;
    answers(project.path(), 2, "two").await;
    let listed = serverless(project.path(), &["deploy", "list", "functions"]).await;
    assert!(listed.contains("All versions: $LATEST, 1, 2"), "{listed}");
    serverless(project.path(), &["rollback", "--timestamp", &first]).await;
    answers(project.path(), 1, "one").await;
    // Past the stack, as the framework does it.
    serverless(project.path(), &["deploy", "function", "-f", "stock"]).await;
    answers(project.path(), 2, "two").await;
    let logs = serverless(project.path(), &["logs", "-f", "stock"]).await;
    assert!(logs.contains("said on the way"), "{logs}");
    serverless(project.path(), &["remove"]).await;
    let (succeeded, told) = serverless_ends(project.path(), &["invoke", "-f", "stock"]).await;
    assert!(!succeeded && told.contains("not found"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serverless_takes_a_function_through_its_whole_life_on_ministack() {
    let server = ministack().await;
    serverless_keeps_a_function(&server.endpoint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serverless_takes_a_function_through_its_whole_life_on_our_endpoint() {
    let server = ours().await;
    serverless_keeps_a_function(&server.endpoint.url).await;
}
