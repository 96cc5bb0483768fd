//! Every way in which AWS's own tools find out who they are is ours, too: the program is started with what each way needs, and the server that
//! it comes to sees whose key the request is signed with.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Keys that Lambda was asked with.
type Seen = Arc<Mutex<Vec<String>>>;

const EXPIRES: &str = "2099-01-01T00:00:00Z";

/// Lambda, STS, a container's and a machine's metadata service, and the portal of the single sign-on, all at one address.
async fn server(seen: Seen) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(seen);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(State(seen): State<Seen>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let form = String::from_utf8_lossy(&body).into_owned();
    let key = || {
        let signed = parts.headers.get("authorization")?.to_str().ok()?;
        let (_, rest) = signed.split_once("Credential=")?;
        Some(rest.split('/').next()?.to_owned())
    };
    let json = |told: serde_json::Value| Response::new(Body::from(told.to_string()));
    let role = |name: &str, key: &str| {
        let told = format!(
            "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials></{name}Result></{name}Response>"
        );
        Response::new(Body::from(told))
    };
    match parts.uri.path() {
        path if path.starts_with("/2015-03-31/functions") => {
            seen.lock().unwrap().push(key().unwrap_or_default());
            json(json!({ "Functions": [] }))
        }
        "/container" => json(json!({
            "AccessKeyId": "AKIACONTAINER", "SecretAccessKey": "s", "Token": "t", "Expiration": EXPIRES,
        })),
        "/latest/api/token" => {
            let mut token = Response::new(Body::from("metadata-token"));
            let lives = "x-aws-ec2-metadata-token-ttl-seconds";
            token.headers_mut().insert(lives, "21600".parse().unwrap());
            token
        }
        "/latest/meta-data/iam/security-credentials/" => Response::new(Body::from("machine")),
        "/latest/meta-data/iam/security-credentials/machine" => json(json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": "AKIAMACHINE", "SecretAccessKey": "s", "Token": "t", "Expiration": EXPIRES,
        })),
        "/" if form.contains("AssumeRoleWithWebIdentity") => {
            role("AssumeRoleWithWebIdentity", "AKIAWEB")
        }
        "/" if form.contains("AssumeRole") => {
            assert_eq!(
                key().as_deref(),
                Some("AKIASOURCE"),
                "the role is asked for by its source"
            );
            role("AssumeRole", "AKIAROLE")
        }
        _ => {
            let mut missing = Response::new(Body::empty());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }
    }
}

/// Runs `verdigris import --aws` with nothing in its environment but this, and tells whose key Lambda saw.
async fn who(home: &Path, address: &str, seen: &Seen, variables: &[(&str, String)]) -> String {
    seen.lock().unwrap().clear();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_verdigris"));
    command
        .args(["import", "--aws", "eu-west-1"])
        .env_clear()
        .env("HOME", home)
        .env("AWS_ENDPOINT_URL", address)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for (name, value) in variables {
        command.env(name, value);
    }
    let ran = command.kill_on_drop(true).output().await.unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    let seen = seen.lock().unwrap().clone();
    match seen.as_slice() {
        [first, ..] => first.clone(),
        [] => format!("nobody: {told}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_be_somebody_on_aws_is_taken() {
    let seen = Seen::default();
    let address = server(seen.clone()).await;
    let home = TempDir::new().unwrap();
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let profiles = file(
        "profiles",
        "[shop]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n[source]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n",
    );
    let config = file(
        "config",
        "[profile assumed]\nrole_arn = arn:aws:iam::1:role/shop\nsource_profile = source\n[profile said]\ncredential_process = /bin/sh -c \"printf '{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AKIAPROCESS\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}'\"\n",
    );
    let token = file("token", "a.web.token");
    let files = [
        ("AWS_SHARED_CREDENTIALS_FILE", profiles),
        ("AWS_CONFIG_FILE", config),
    ];
    let profile = |name: &str| {
        let mut all = files.to_vec();
        all.push(("AWS_PROFILE", name.to_owned()));
        all
    };
    let text = str::to_owned;
    let ways: Vec<(&str, Vec<(&str, String)>)> = vec![
        (
            "AKIAENV",
            vec![
                ("AWS_ACCESS_KEY_ID", text("AKIAENV")),
                ("AWS_SECRET_ACCESS_KEY", text("s")),
            ],
        ),
        ("AKIAPROFILE", profile("shop")),
        ("AKIAROLE", profile("assumed")),
        ("AKIAPROCESS", profile("said")),
        (
            "AKIAWEB",
            vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
                ("AWS_ROLE_ARN", text("arn:aws:iam::1:role/shop")),
                ("AWS_ROLE_SESSION_NAME", text("verdigris")),
            ],
        ),
        (
            "AKIACONTAINER",
            vec![(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{address}/container"),
            )],
        ),
        (
            "AKIAMACHINE",
            vec![
                ("AWS_EC2_METADATA_DISABLED", text("false")),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.clone()),
            ],
        ),
    ];
    for (expected, variables) in ways {
        let told = who(home.path(), &address, &seen, &variables).await;
        assert_eq!(told, expected);
    }
    let written = std::fs::read_dir(&aws).unwrap().count();
    assert_eq!(written, 0, "nothing is written anywhere");
}
