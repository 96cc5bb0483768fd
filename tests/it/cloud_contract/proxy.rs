//! A proxy that lets chosen requests go wrong, in front of any server.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// How a request goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrong {
    /// It does not reach the server.
    Refused {
        status: u16,
        code: &'static str,
        retry_after: Option<u64>,
    },
    /// The server does the work; its answer breaks off.
    ReplyLost,
}

/// Which requests go wrong: those whose method and path match, after `spared` that go well, for `times` requests.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) writes: bool,
    pub(crate) path: &'static str,
    pub(crate) spared: usize,
    pub(crate) times: usize,
    pub(crate) wrong: Wrong,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

#[derive(Debug, Default)]
struct Seen {
    rule: Option<Rule>,
    requests: Vec<Asked>,
}

/// A running proxy; it ends when dropped.
pub(crate) struct Proxy {
    pub(crate) endpoint: Url,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn new(upstream: &Url) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = (Arc::clone(&seen), upstream.clone(), reqwest::Client::new());
        let router = Router::new().fallback(pass).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            endpoint: Url::parse(&format!("http://{address}/")).unwrap(),
            seen,
            server,
        }
    }

    pub(crate) fn set(&self, rule: Option<Rule>) {
        self.seen.lock().unwrap().rule = rule;
    }

    /// Whether the rule has done all that it should.
    pub(crate) fn is_spent(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.rule.as_ref().is_none_or(|rule| rule.times == 0)
    }

    /// Requests since the last call, in the order in which they came.
    pub(crate) fn take_requests(&self) -> Vec<Asked> {
        std::mem::take(&mut self.seen.lock().unwrap().requests)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = (Arc<Mutex<Seen>>, Url, reqwest::Client);

async fn pass(State((seen, upstream, client)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        body: body.clone(),
    };
    let wrong = seen.lock().unwrap().judge(asked);
    let request = Request::from_parts(parts, Body::from(body));
    match wrong {
        Some(Wrong::Refused {
            status,
            code,
            retry_after,
        }) => refused(status, code, retry_after),
        Some(Wrong::ReplyLost) => {
            forward(&upstream, &client, request).await;
            let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
            Body::from_stream(broken).into_response()
        }
        None => forward(&upstream, &client, request).await,
    }
}

impl Seen {
    fn judge(&mut self, asked: Asked) -> Option<Wrong> {
        let path = asked.path.clone();
        let is_write = asked.method != Method::GET;
        self.requests.push(asked);
        let rule = self.rule.as_mut()?;
        if rule.writes != is_write || !path.contains(rule.path) {
            return None;
        }
        if rule.spared > 0 {
            rule.spared -= 1;
            return None;
        }
        rule.times = rule.times.checked_sub(1)?;
        Some(rule.wrong)
    }
}

fn refused(status: u16, code: &'static str, retry_after: Option<u64>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    let body = r#"{"Type":"User","message":"made up by the test"}"#;
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

/// The server's answer to a request, as if it had come there at first: links in it lead back to where the request was sent.
pub(crate) async fn forward(
    upstream: &Url,
    client: &reqwest::Client,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut target = upstream.clone();
    target.set_path(parts.uri.path());
    target.set_query(parts.uri.query());
    let headers = parts.headers;
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let sent = client.request(parts.method, target).headers(headers);
    let answer = sent.body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != header::TRANSFER_ENCODING && name != header::CONTENT_LENGTH {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap();
    response.body(Body::from(body)).unwrap()
}
