//! Every way in which AWS's own tools find out who they are is ours, too: the program is started with what each way needs, and the server that
//! it comes to sees whose key the request is signed with.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::{StatusCode, request::Parts};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{
        Cloud as _, CloudError,
        aws::{AwsCloud, AwsCredentials},
    },
    manifest::spec::Assume,
};

use crate::{cloud_aws::aws, cloud_contract::release::Fixture};

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
    if let Some(told) = portal(&parts, &form) {
        return json(told);
    }
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
            if form.contains("prod") {
                let said = ["ExternalId=shop%2F7", "RoleSessionName=verdigris-prod"];
                assert!(said.iter().all(|it| form.contains(it)), "{form}");
            }
            match form.contains("forbidden") {
                true => not_given(&form),
                false => role("AssumeRole", "AKIAROLE"),
            }
        }
        "/" if parts.headers.contains_key("x-amz-target") => {
            seen.lock().unwrap().push(key().unwrap_or_default());
            json(json!({ "Events": [] }))
        }
        _ => {
            let mut missing = Response::new(Body::empty());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }
    }
}

/// As STS says it, whatever the reason is.
fn not_given(form: &str) -> Response {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect();
    let told = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/source is not authorized to perform: sts:AssumeRole on resource: {}</Message></Error><RequestId>r</RequestId></ErrorResponse>",
        form["RoleArn"]
    );
    let mut refused = Response::new(Body::from(told));
    *refused.status_mut() = StatusCode::FORBIDDEN;
    refused
}

/// The single sign-on: tokens for tokens, and keys for tokens.
fn portal(parts: &Parts, form: &str) -> Option<serde_json::Value> {
    match parts.uri.path() {
        "/token" => {
            assert!(form.contains("\"refreshToken\":\"refresh\""), "{form}");
            Some(json!({ "accessToken": "fresh", "expiresIn": 28800, "refreshToken": "next" }))
        }
        "/federation/credentials" => {
            let query = parts.uri.query().unwrap_or_default();
            let asked = ["account_id=123456789012", "role_name=deploy"];
            assert!(asked.iter().all(|it| query.contains(it)), "{query}");
            let token = parts.headers["x-amz-sso_bearer_token"].to_str().unwrap();
            Some(json!({ "roleCredentials": {
                "accessKeyId": format!("AKIASSO{}", token.to_uppercase()), "secretAccessKey": "s", "sessionToken": "t", "expiration": 4_070_908_800_000_i64,
            } }))
        }
        _ => None,
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

/// Of the session `shop`: the SHA-1 of its name, as the vendor's tools name the file.
const SSO_TOKEN: &str = "5042d146667518a1a5017644946b8650aafca44c.json";

const SSO_PROFILES: &str = "[profile people]\nsso_session = shop\nsso_account_id = 123456789012\nsso_role_name = deploy\n\
    [sso-session shop]\nsso_region = eu-west-1\nsso_start_url = https://shop.example.com/start\n";

/// A person signed in once by `aws sso login`; from then on the portal gives keys, and what ended is fetched anew where it may be.
#[tokio::test(flavor = "multi_thread")]
async fn who_signed_in_once_is_somebody_on_aws() {
    let seen = Seen::default();
    let address = server(seen.clone()).await;
    for (ends, expected) in [
        (EXPIRES, "AKIASSOSAID"),
        ("2026-01-01T00:00:00Z", "AKIASSOFRESH"),
    ] {
        let home = TempDir::new().unwrap();
        let cache = home.path().join(".aws/sso/cache");
        std::fs::create_dir_all(&cache).unwrap();
        std::fs::write(home.path().join(".aws/config"), SSO_PROFILES).unwrap();
        let token = json!({
            "startUrl": "https://shop.example.com/start", "region": "eu-west-1", "accessToken": "said", "expiresAt": ends,
            "clientId": "client", "clientSecret": "s", "registrationExpiresAt": EXPIRES, "refreshToken": "refresh",
        });
        std::fs::write(cache.join(SSO_TOKEN), token.to_string()).unwrap();
        let profile = ("AWS_PROFILE", "people".to_owned());
        let told = who(home.path(), &address, &seen, &[profile]).await;
        assert_eq!(told, expected);
    }
}

/// Keys of its own, with which it asks for another role.
async fn assuming(address: &str, assume: Assume) -> AwsCloud {
    let mut options = aws(&address.parse().unwrap(), Duration::ZERO);
    options.credentials = AwsCredentials::Fixed {
        access_key_id: "AKIASOURCE".to_owned(),
        secret_access_key: "s".to_owned().into(),
    };
    options.target.assume = Some(assume);
    AwsCloud::new(options).await
}

/// Every environment may be in another account: the daemon is whoever its manifest says there, from whatever it is otherwise.
#[tokio::test]
async fn an_environment_says_whose_role_is_assumed() {
    let seen = Seen::default();
    let address = server(seen.clone()).await;
    let assume = Assume {
        role: "arn:aws:iam::210987654321:role/verdigris-prod".to_owned(),
        external_id: Some("shop/7".to_owned()),
        session: Some("verdigris-prod".to_owned()),
    };
    let cloud = assuming(&address, assume).await;
    assert!(cloud.inventory().await.unwrap().is_empty());
    let since = SystemClock.now().before(Duration::from_secs(600));
    let scope = Fixture::new(0).scope();
    let deeds = cloud.operate().unwrap().deeds(&scope, since).await;
    assert!(deeds.unwrap().is_empty());
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.len() >= 2 && seen.iter().all(|key| key == "AKIAROLE"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_role_that_is_not_given_is_told_with_whom_it_is_refused_to_and_the_way_out() {
    let seen = Seen::default();
    let address = server(seen.clone()).await;
    let assume = Assume {
        role: "arn:aws:iam::2:role/forbidden".to_owned(),
        external_id: None,
        session: None,
    };
    let cloud = assuming(&address, assume).await;
    let help = "role `arn:aws:iam::2:role/forbidden` is not given to `arn:aws:iam::1:user/source` (AccessDenied); the role's trust policy must name that identity (and the external id that it is asked with), and the identity must be let do `sts:AssumeRole` on the role (`deploy/aws-policy-extras.json` has it)";
    // By the vendor's client, and by what we sign ourselves.
    let refused = cloud.inventory().await.unwrap_err();
    assert!(matches!(refused, CloudError::Denied { .. }), "{refused:?}");
    assert!(refused.to_string().ends_with(help), "{refused}");
    let since = SystemClock.now().before(Duration::from_secs(600));
    let scope = Fixture::new(0).scope();
    let refused = cloud.operate().unwrap().deeds(&scope, since).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, CloudError::Denied { .. }), "{refused:?}");
    assert!(refused.to_string().ends_with(help), "{refused}");
    assert!(
        seen.lock().unwrap().is_empty(),
        "nothing was asked of anybody else"
    );

    // In a profile, too.
    let home = TempDir::new().unwrap();
    let config = home.path().join("config");
    let profiles = "[profile shop]\nrole_arn = arn:aws:iam::2:role/forbidden\nsource_profile = source\n[profile source]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n";
    std::fs::write(&config, profiles).unwrap();
    let variables = [
        ("AWS_CONFIG_FILE", config.to_string_lossy().into_owned()),
        ("AWS_PROFILE", "shop".to_owned()),
    ];
    let told = who(home.path(), &address, &seen, &variables).await;
    assert!(told.contains(help), "{told}");
}
