//! Between a client and our endpoint: passes every call on as it is, and remembers what was asked and what was answered. When its test
//! is over, all of it is judged. Azure's own clients speak TLS only, and so does the tap that stands before them.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, mpsc},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::HeaderMap;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use verdigris::local::{arm::ArmEndpoint, listen};

use super::{judge, policy};
use crate::tls;

/// How the ids of our client's requests begin.
const OUR_REQUESTS: &str = "76657264-6967-";

/// What was asked, and what was answered.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) sent: Value,
    pub(crate) status: u16,
    pub(crate) answer: Value,
    /// Where the answer says that its end is told of, by the names of the headers.
    pub(crate) links: BTreeMap<&'static str, String>,
    /// By our client, and not by the hands of a test.
    pub(crate) is_ours: bool,
}

/// By what an answer says where its end is told of.
const LINKS: [&str; 2] = ["location", "azure-asyncoperation"];

/// A tap before one endpoint.
pub(crate) struct Tap {
    pub(crate) url: String,
    pairs: Arc<Mutex<Vec<Pair>>>,
    stop: CancellationToken,
}

impl Drop for Tap {
    /// A test that has failed has its reason, and keeps it.
    fn drop(&mut self) {
        self.stop.cancel();
        if std::thread::panicking() {
            return;
        }
        let lacking = policy::lacking(&self.asked());
        assert!(
            lacking.is_empty(),
            "deploy/azure-role.json does not allow {lacking:?}: let the life in `policy.rs` do this, too"
        );
        let faults = judge::faults(self.pairs());
        assert!(
            faults.is_empty(),
            "Microsoft's own clients would not:\n{}\n",
            faults.join("\n")
        );
    }
}

impl Tap {
    pub(crate) async fn before(endpoint: &str) -> io::Result<Self> {
        Self::hiding(None, endpoint).await
    }

    /// The same, which keeps one header of every answer to itself.
    pub(super) async fn hiding(hides: Option<&'static str>, endpoint: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut way = Way::to(endpoint, reqwest::Client::builder());
        way.hides = hides;
        let (pairs, stop) = (Arc::clone(&way.pairs), CancellationToken::new());
        tokio::spawn(listen::serve(listener, way.router(), stop.clone()));
        Ok(Self { url, pairs, stop })
    }

    /// The same over TLS: whoever trusts the endpoint trusts this, since both have their certificates from one authority.
    pub(crate) async fn before_tls(endpoint: &ArmEndpoint) -> io::Result<Self> {
        let trusted = std::fs::read(&endpoint.ca_file)?;
        let trusted = reqwest::Certificate::from_pem(&trusted).unwrap();
        let trusting = reqwest::Client::builder().tls_certs_only([trusted]);
        let way = Way::to(endpoint.tls_url.as_deref().unwrap(), trusting);
        let (pairs, stop) = (Arc::clone(&way.pairs), CancellationToken::new());
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = named.signed_by(&key, &authority(endpoint)?).unwrap();
        let url = tls::serve(way.router(), &certificate, &key, stop.clone()).await;
        Ok(Self { url, pairs, stop })
    }

    /// The same for a test that waits on threads, before an endpoint that is a process.
    pub(crate) fn before_process(endpoint: &str) -> Self {
        let endpoint = endpoint.to_owned();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let tap = Self::before(&endpoint).await.unwrap();
                let stop = tap.stop.clone();
                drop(tell.send(tap));
                stop.cancelled().await;
            });
        });
        told.recv().expect("the tap is there")
    }

    pub(super) fn pairs(&self) -> Vec<Pair> {
        self.pairs.lock().unwrap().clone()
    }

    /// Method and path of everything that our client asked.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        let pairs = self.pairs().into_iter().filter(|pair| pair.is_ours);
        pairs.map(|pair| (pair.method, pair.path)).collect()
    }
}

#[derive(Clone)]
struct Way {
    endpoint: String,
    client: reqwest::Client,
    /// A header that whoever asks does not get to see.
    hides: Option<&'static str>,
    pairs: Arc<Mutex<Vec<Pair>>>,
}

impl Way {
    fn to(endpoint: &str, client: reqwest::ClientBuilder) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            // A connection that was used before may be closed under the next call, which the one who calls would have to bear.
            client: client
                .pool_max_idle_per_host(0)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            hides: None,
            pairs: Arc::default(),
        }
    }

    fn router(self) -> Router {
        Router::new().fallback(pass).with_state(self)
    }
}

/// Who the endpoint's certificates are from: its key stands beside the file that clients trust.
fn authority(endpoint: &ArmEndpoint) -> io::Result<Issuer<'static, KeyPair>> {
    let key = std::fs::read_to_string(endpoint.ca_file.with_file_name("ca-key.pem"))?;
    let mut itself = CertificateParams::default();
    itself.distinguished_name = DistinguishedName::new();
    let name = &mut itself.distinguished_name;
    name.push(DnType::CommonName, "Verdigris local clouds");
    itself.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(Issuer::new(itself, KeyPair::from_pem(&key).unwrap()))
}

/// Where the endpoint gives no answer, the connection ends here, too.
async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(sent) = to_bytes(body, usize::MAX).await else {
        return listen::lost_reply();
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", way.endpoint);
    let asked = way.client.request(head.method.clone(), url);
    // The host stays, so that links in answers lead back here.
    let asked = asked.headers(head.headers.clone()).body(sent.clone());
    let Ok(answer) = asked.send().await else {
        return listen::lost_reply();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(answer) = answer.bytes().await else {
        return listen::lost_reply();
    };
    let link = |name| {
        let link = headers.get(name)?.to_str().ok()?;
        Some((name, link.to_owned()))
    };
    let pair = Pair {
        method: head.method.to_string(),
        path: path.to_owned(),
        sent: json_in(&sent),
        status: status.as_u16(),
        answer: json_in(&answer),
        links: LINKS.into_iter().filter_map(link).collect(),
        is_ours: is_ours(&head.headers),
    };
    // Queues are of a storage account: Microsoft's client of them knows what the resource manager's do not.
    let is_of_queues = path.starts_with("/queues/");
    // Who turns web pages away at the door speaks in words, and is not the resource manager.
    let kind = headers.get("content-type");
    let is_of_manager = kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/"));
    if pair.is_ours || is_of_manager && !is_of_queues {
        way.pairs.lock().unwrap().push(pair);
    }
    let mut response = Response::new(Body::from(answer));
    *response.status_mut() = status;
    for (name, value) in &headers {
        let is_of_the_way = ["transfer-encoding", "content-length", "connection"];
        if !is_of_the_way.contains(&name.as_str()) && way.hides != Some(name.as_str()) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn json_in(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn is_ours(headers: &HeaderMap) -> bool {
    let id = headers.get("x-ms-client-request-id");
    let id = id.and_then(|id| id.to_str().ok());
    id.is_some_and(|id| id.starts_with(OUR_REQUESTS))
}
