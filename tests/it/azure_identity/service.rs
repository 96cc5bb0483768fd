//! What gives tokens, and what takes them: Entra ID, a machine's metadata service, App Service's, and a resource manager that notes whose
//! token it was shown. Each refuses what the vendor documents as wrong.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::Response,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use verdigris::clock::{Clock as _, SystemClock};

use crate::tls;

pub(super) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(super) const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
pub(super) const SECRET: &str = "hidden~from.all";
pub(super) const FEDERATED: &str = "a.cluster.token";
pub(super) const HEADER: &str = "app-service-header";

/// The one audience that the public cloud's resource manager has.
const RESOURCE: &str = "https://management.azure.com";

/// Servers that end with the test.
pub(super) struct Service {
    /// Of Entra ID and the resource manager.
    pub(super) tls: String,
    /// Of the metadata services, which speak plain http.
    pub(super) plain: String,
    pub(super) ca_file: PathBuf,
    /// The principal's certificate and its key.
    pub(super) certificate: PathBuf,
    known: Arc<Known>,
}

struct Known {
    /// The tokens that a resource group was asked for with.
    shown: Mutex<BTreeMap<String, String>>,
    /// The principal's certificate, and its public key.
    certificate: Vec<u8>,
    key: Vec<u8>,
    /// Where tokens are asked for, as an assertion names it.
    token_address: Mutex<String>,
}

impl Service {
    pub(super) async fn start(folder: &Path) -> Self {
        let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let own = CertificateParams::new(vec!["shop".to_owned()]).unwrap();
        let issuer_key = KeyPair::generate().unwrap();
        let issuer = CertificateParams::new(vec!["issuer".to_owned()]).unwrap();
        let issued_by = issuer.self_signed(&issuer_key).unwrap();
        let own = own.signed_by(&rsa, &Issuer::new(issuer, issuer_key));
        let own = own.unwrap();
        let certificate = folder.join("principal.pem");
        // The order is nobody's business.
        let [key, issuer, own_pem] = [rsa.serialize_pem(), issued_by.pem(), own.pem()];
        std::fs::write(&certificate, format!("{key}{issuer}{own_pem}")).unwrap();
        let known = Arc::new(Known {
            shown: Mutex::default(),
            certificate: own.der().to_vec(),
            key: rsa.der_bytes().to_vec(),
            token_address: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(known.clone());
        let ca_file = folder.join("ca.pem");
        let tls = encrypted(router.clone(), &ca_file).await;
        *known.token_address.lock().unwrap() = format!("{tls}/{TENANT}/oauth2/v2.0/token");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            tls,
            plain,
            ca_file,
            certificate,
            known,
        }
    }

    /// The token that each resource group was asked for with since the last call.
    pub(super) fn take_shown(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.known.shown.lock().unwrap())
    }
}

async fn encrypted(router: Router, ca_file: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(ca_file, certificate.pem()).unwrap();
    tls::serve(router, &certificate, &key, CancellationToken::new()).await
}

async fn answer(State(known): State<Arc<Known>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    let path = parts.uri.path().to_owned();
    let given = match path.as_str() {
        "/metadata/identity/oauth2/token" => machine(&parts),
        "/app/token" => app_service(&parts),
        path if path.starts_with("/subscriptions/") => return known.taken(path, &parts.headers),
        path if path == format!("/{TENANT}/oauth2/v2.0/token") => known.entra(&parts, &body),
        path => Err(format!("nothing is at {path}")),
    };
    match given {
        Ok(token) => told(StatusCode::OK, &token),
        Err(wrong) => told(
            StatusCode::UNAUTHORIZED,
            &json!({
                "error": "invalid_client",
                "error_description": format!("AADSTS7000215: {wrong}"),
                "error_codes": [7_000_215],
            }),
        ),
    }
}

fn told(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

fn wants(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.into_owned().collect()
}

fn of_machine(parts: &Parts, word: &str) -> Result<Value, String> {
    let query = pairs(parts.uri.query().unwrap_or_default());
    let versions = ["2018-02-01", "2019-08-01"];
    wants(parts.method == "GET", "is asked for by GET")?;
    wants(
        versions.contains(&query["api-version"].as_str()),
        "an api-version that exists",
    )?;
    let resource = query["resource"].trim_end_matches('/');
    wants(resource == RESOURCE, "the resource manager as resource")?;
    let of_whom = query
        .get("client_id")
        .map_or(word.to_owned(), |id| format!("{word}-{id}"));
    let ends = SystemClock.now().millis() / 1000 + 86_400;
    Ok(json!({
        "access_token": of_whom, "client_id": CLIENT, "expires_in": "86400", "expires_on": ends.to_string(),
        "ext_expires_in": "86399", "not_before": "1586984735", "resource": query["resource"], "token_type": "Bearer",
    }))
}

fn machine(parts: &Parts) -> Result<Value, String> {
    let said = header(&parts.headers, "metadata");
    wants(
        said == "true",
        "the header Metadata, which no browser sends",
    )?;
    of_machine(parts, "machine")
}

fn app_service(parts: &Parts) -> Result<Value, String> {
    let said = header(&parts.headers, "x-identity-header");
    wants(said == HEADER, "the header of this app")?;
    of_machine(parts, "app-service")
}

impl Known {
    fn taken(&self, path: &str, headers: &HeaderMap) -> Response {
        let parts: Vec<&str> = path.split('/').collect();
        let group = parts.get(4).copied().unwrap_or_default().to_owned();
        let token = header(headers, "authorization");
        let token = token.strip_prefix("Bearer ").unwrap_or("no token");
        self.shown.lock().unwrap().insert(group, token.to_owned());
        let missing = json!({"error": {"code": "ResourceNotFound", "message": "is not there"}});
        told(StatusCode::NOT_FOUND, &missing)
    }

    fn entra(&self, parts: &Parts, body: &str) -> Result<Value, String> {
        let form = pairs(body);
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let kind = header(&parts.headers, "content-type");
        wants(parts.method == "POST", "is asked for by POST")?;
        wants(kind == "application/x-www-form-urlencoded", "a form")?;
        wants(
            field("grant_type") == "client_credentials",
            "client_credentials",
        )?;
        wants(field("client_id") == CLIENT, "the application's id")?;
        wants(
            field("scope") == format!("{RESOURCE}/.default"),
            "the resource manager as scope",
        )?;
        let token = match form.get("client_secret") {
            Some(secret) => {
                wants(secret == SECRET, "Invalid client secret provided")?;
                "secret".to_owned()
            }
            None => self.asserted(&field)?,
        };
        Ok(
            json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token }),
        )
    }

    fn asserted<'a>(&self, field: &dyn Fn(&str) -> &'a str) -> Result<String, String> {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        wants(
            field("client_assertion_type") == kind,
            "the type of the assertion",
        )?;
        match field("client_assertion") {
            FEDERATED => Ok("federated".to_owned()),
            signed => self.signed(signed),
        }
    }

    /// As "Microsoft identity platform application authentication certificate credentials" has it.
    fn signed(&self, token: &str) -> Result<String, String> {
        let (signed, signature) = token.rsplit_once('.').ok_or("three parts")?;
        let (head, claims) = signed.split_once('.').ok_or("three parts")?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "base64url");
        let read = |part: &str| Ok::<Value, String>(serde_json::from_slice(&bytes(part)?).unwrap());
        let (head, claims) = (read(head)?, read(claims)?);
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
        let verified = key.verify(signed.as_bytes(), &bytes(signature)?);
        wants(verified.is_ok(), "a signature of the certificate's key")?;
        wants(
            head["alg"] == "RS256" && head["typ"] == "JWT",
            "RS256 of a JWT",
        )?;
        let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificate);
        wants(
            head["x5t"] == URL_SAFE_NO_PAD.encode(thumbprint),
            "the thumbprint",
        )?;
        wants(claims["iss"] == CLIENT && claims["sub"] == CLIENT, "itself")?;
        wants(
            claims["aud"] == *self.token_address.lock().unwrap(),
            "this address",
        )?;
        let now = SystemClock.now().millis() / 1000;
        let number = |name: &str| claims[name].as_i64().unwrap();
        wants(
            number("nbf") <= now && now < number("exp"),
            "a time that is now",
        )?;
        wants(
            number("exp") - number("nbf") <= 600,
            "no more than ten minutes",
        )?;
        wants(
            claims["jti"].as_str().is_some_and(|id| id.len() >= 16),
            "an id",
        )?;
        let own = STANDARD.encode(&self.certificate);
        let chain = &head["x5c"];
        wants(
            chain.is_null() || chain[0] == own,
            "the certificate at first",
        )?;
        Ok(match chain.is_null() {
            true => "certificate".to_owned(),
            false => "certificate-with-chain".to_owned(),
        })
    }
}
