//! Git's smart HTTP protocol over reqwest. Stateless: each exchange is one request.
//!
//! Redirects are followed on the first request only, within the same host, and move all later requests with them.
//! Another host never sees a request of ours, so it never sees a credential.

use std::{
    fs,
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::{Response, StatusCode, header};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{Credentials, GitError, Place, Session, Source, chain, find, lock};

/// Connecting takes one round trip or a few; a host that has not answered by then is away.
const CONNECT: Duration = Duration::from_secs(15);
const REDIRECTS_MAX: usize = 5;
const LIST: &str = "/info/refs?service=git-upload-pack";

/// Stands between libgit2 and one remote.
pub(super) struct Http;

/// One request and its answer.
struct Exchange {
    session: Arc<Session>,
    step: Step,
    request: Vec<u8>,
    answer: Option<Response>,
    chunk: Bytes,
}

#[derive(Clone, Copy)]
enum Step {
    List,
    Fetch,
}

pub(super) fn client(source: &Source) -> Result<reqwest::Client, GitError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("git/verdigris-", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &source.authorities {
        let pem = fs::read(path).map_err(|error| GitError::disk(path, error))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| {
            GitError::invalid(format!("`{}` holds no PEM certificates", path.display()))
        })?;
        builder = builder.tls_certs_merge(authorities);
    }
    builder
        .build()
        .map_err(|error| GitError::invalid(format!("no HTTP client: {}", chain(&error))))
}

// === impl Http ===

impl SmartSubtransport for Http {
    fn action(
        &self,
        address: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let step = match service {
            Service::UploadPackLs => Step::List,
            Service::UploadPack => Step::Fetch,
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("pushing is not done here"));
            }
        };
        Ok(Box::new(Exchange {
            session: find(address)?,
            step,
            request: Vec::new(),
            answer: None,
            chunk: Bytes::new(),
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

// === impl Exchange ===

impl Write for Exchange {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(|fault| self.session.fail(fault))?;
        let count = out.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

impl Exchange {
    /// Makes `chunk` hold the next bytes; it stays empty at the end of the answer.
    fn fill(&mut self) -> Result<(), GitError> {
        let session = self.session.clone();
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.ask()?,
        };
        while self.chunk.is_empty() {
            let next = session.wait(answer.chunk())?;
            match next.map_err(|error| session.unreachable(chain(&error.without_url())))? {
                Some(chunk) => {
                    session.received(chunk.len())?;
                    self.chunk = chunk;
                }
                None => break,
            }
        }
        self.answer = Some(answer);
        Ok(())
    }

    fn ask(&mut self) -> Result<Response, GitError> {
        let answer = match self.step {
            Step::List => list(&self.session)?,
            Step::Fetch => fetch(&self.session, std::mem::take(&mut self.request))?,
        };
        check_status(&self.session, &answer)?;
        check_kind(&self.session, &answer, self.step)?;
        Ok(answer)
    }
}

/// Asks for the references, and moves the session's address along redirects within the host.
fn list(session: &Session) -> Result<Response, GitError> {
    let mut base = base(session)?;
    for _ in 0..=REDIRECTS_MAX {
        let url = below(&base, LIST);
        let answer = send(session, session.client.get(url.clone()))?;
        if !answer.status().is_redirection() {
            *lock(&session.base) = Some(base);
            return Ok(answer);
        }
        base = redirected(session, &url, &answer)?;
    }
    Err(session.unreachable("it redirects in circles"))
}

fn fetch(session: &Session, request: Vec<u8>) -> Result<Response, GitError> {
    let url = below(&base(session)?, "/git-upload-pack");
    let request = session
        .client
        .post(url)
        .header(
            header::CONTENT_TYPE,
            "application/x-git-upload-pack-request",
        )
        .header(header::ACCEPT, "application/x-git-upload-pack-result")
        .body(request);
    send(session, request)
}

/// Where requests go now: the configured address, or where the remote has redirected to.
fn base(session: &Session) -> Result<Url, GitError> {
    if let Some(base) = lock(&session.base).as_ref() {
        return Ok(base.clone());
    }
    match &session.source.url.place {
        Place::Http(url) => Ok(url.clone()),
        Place::File(_) | Place::Ssh(_) => Err(GitError::invalid("not an http address")),
    }
}

fn below(base: &Url, path: &str) -> Url {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

/// The new base that a redirect names, where it stays on the same host and does not give up encryption.
fn redirected(session: &Session, from: &Url, answer: &Response) -> Result<Url, GitError> {
    let target = answer
        .headers()
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| session.unreachable("it redirects to nowhere"))?;
    if !stays(from, &target) {
        let host = target.host_str().unwrap_or("nowhere").to_owned();
        let url = session.shown();
        return Err(GitError::Redirected { url, host });
    }
    let path = target.path().strip_suffix("/info/refs");
    let Some(path) = path.map(str::to_owned) else {
        return Err(session.unreachable("it redirects to a page that is no Git repository"));
    };
    let mut base = target;
    base.set_path(&path);
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}

/// Whether both addresses are one server: same scheme, host and port, or the same host taken from http to https.
fn stays(from: &Url, to: &Url) -> bool {
    let same_host = from.host_str() == to.host_str() && to.host_str().is_some();
    let same_server =
        from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    let upgrade = from.scheme() == "http"
        && to.scheme() == "https"
        && from.port().is_none()
        && to.port().is_none();
    let anonymous = to.username().is_empty() && to.password().is_none();
    same_host && anonymous && (same_server || upgrade)
}

fn send(session: &Session, request: reqwest::RequestBuilder) -> Result<Response, GitError> {
    let request = match &session.source.credentials {
        Credentials::Token { username, token } => {
            request.basic_auth(username, Some(token.expose_secret()))
        }
        Credentials::None | Credentials::Ssh { .. } => request,
    };
    session
        .wait(request.send())?
        .map_err(|error| session.unreachable(chain(&error.without_url())))
}

fn check_status(session: &Session, answer: &Response) -> Result<(), GitError> {
    let status = answer.status();
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(session.refused(format!("it answered {status}")))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(session.unreachable(format!(
            "it answered {status}: the repository is not there, or needs credentials"
        ))),
        _ => Err(session.unreachable(format!("it answered {status}"))),
    }
}

/// A login page with status 200 is not a Git server.
fn check_kind(session: &Session, answer: &Response, step: Step) -> Result<(), GitError> {
    let wanted = match step {
        Step::List => "application/x-git-upload-pack-advertisement",
        Step::Fetch => "application/x-git-upload-pack-result",
    };
    let kind = answer.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes() == wanted.as_bytes()) {
        Ok(())
    } else {
        Err(session.unreachable("what answers there is no Git server that speaks smart HTTP"))
    }
}
