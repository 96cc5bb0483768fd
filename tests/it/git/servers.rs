//! Real servers on loopback: git's own `http-backend` behind axum, and OpenSSH's `sshd`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command, task::JoinHandle};

/// How the HTTP server treats its clients.
#[derive(Clone)]
pub(crate) enum Manner {
    Open,
    /// Wants this `Authorization` header.
    Wants(String),
    /// Takes the request and never answers.
    Hangs,
    /// Answers the list, and hangs in the middle of the pack.
    HangsInPack,
    /// Cannot leave history out.
    Whole,
    /// Answers the list, and ends in the middle of the pack.
    CutsPack,
    /// Answers everything with this, as if it were Git.
    Babbles(Vec<u8>),
    /// Sends everybody to this address plus the request's path and query.
    Redirects(String),
    /// Within this host: /moved/… is /…
    Moves,
    /// Answers with this status and a web page.
    Page(u16),
}

pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    serving: JoinHandle<()>,
    /// Lives as long as the one in front of it.
    #[expect(dead_code, reason = "held, not used")]
    behind: Option<Box<Self>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) request: String,
    pub(crate) authorization: Option<String>,
    pub(crate) answered: usize,
}

#[derive(Clone)]
struct Shop {
    root: PathBuf,
    manner: Manner,
    seen: Arc<Mutex<Vec<Seen>>>,
}

// === impl HttpServer ===

impl HttpServer {
    pub(crate) async fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let shop = Shop {
            root: root.to_owned(),
            manner,
            seen: Arc::clone(&seen),
        };
        let router = Router::new().fallback(answer).with_state(shop);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            serving,
            behind: None,
        }
    }

    /// The same with TLS for `localhost`, and the authority to trust, as PEM.
    pub(crate) async fn start_tls(root: &Path, manner: Manner) -> (Self, String) {
        let plain = Self::start(root, manner).await;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), plain.address);
        // TLS ends here; the plain server behind it does the rest.
        let serving = tokio::spawn(async move {
            loop {
                let (outside, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(outside).await else {
                        return;
                    };
                    let mut inside = tokio::net::TcpStream::connect(behind).await.unwrap();
                    let copied = tokio::io::copy_bidirectional(&mut outside, &mut inside);
                    drop(copied.await);
                });
            }
        });
        let server = Self {
            address,
            seen: Arc::clone(&plain.seen),
            serving,
            behind: Some(Box::new(plain)),
        };
        (server, made.cert.pem())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(shop): State<Shop>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let request = format!("{method} {uri}");
    let reply = |prefix: &'static str| backend(&shop, &method, &uri, &headers, body, prefix);
    let page = |status, kind: &str, content: &[u8]| (status, kind.to_owned(), content.to_vec());
    let redirect = |to: String| {
        remember(&shop, &request, &authorization, 0);
        (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
    };
    let (status, kind, content) = match &shop.manner {
        Manner::Wants(wanted) if authorization.as_ref() != Some(wanted) => page(401, "", b""),
        Manner::Open | Manner::Wants(_) | Manner::HangsInPack | Manner::CutsPack => reply("").await,
        Manner::Whole => without_shallow(reply("").await),
        Manner::Hangs => std::future::pending().await,
        Manner::Redirects(to) => return redirect(format!("{to}{uri}")),
        Manner::Moves if !uri.path().starts_with("/moved/") => {
            return redirect(format!("/moved{uri}"));
        }
        Manner::Moves => reply("/moved").await,
        Manner::Page(status) => page(*status, "text/html", b"<p>hello"),
        Manner::Babbles(text) => page(200, "application/x-git-upload-pack-advertisement", text),
    };
    remember(&shop, &request, &authorization, content.len());
    let is_pack = method == Method::POST;
    let body = if is_pack && matches!(shop.manner, Manner::HangsInPack) {
        half_and_silence(&content)
    } else if is_pack && matches!(shop.manner, Manner::CutsPack) {
        Body::from(content[..content.len() / 2].to_vec())
    } else {
        Body::from(content)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if !kind.is_empty() {
        let kind = kind.parse().unwrap();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The same answer of a server that does not offer `shallow`.
fn without_shallow((status, kind, mut content): Answer) -> Answer {
    const OFFER: &[u8] = b" shallow ";
    let offer = content.windows(OFFER.len()).position(|w| w == OFFER);
    if let Some(at) = offer {
        // Of the same length, since each line says how long it is.
        content[at..at + OFFER.len()].copy_from_slice(b" unknown ");
    }
    (status, kind, content)
}

fn remember(shop: &Shop, request: &str, authorization: &Option<String>, answered: usize) {
    shop.seen.lock().unwrap().push(Seen {
        request: request.to_owned(),
        authorization: authorization.clone(),
        answered,
    });
}

/// The first half, and then silence.
fn half_and_silence(content: &[u8]) -> Body {
    use futures_util::StreamExt as _;
    let first = Bytes::from(content[..content.len() / 2].to_vec());
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(first)]);
    Body::from_stream(first.chain(futures_util::stream::pending()))
}

/// Status, content type and content.
type Answer = (u16, String, Vec<u8>);

/// One request through git's own CGI program.
async fn backend(
    shop: &Shop,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
    prefix: &str,
) -> Answer {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map_or("", |kind| kind.to_str().unwrap());
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shop.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path().strip_prefix(prefix).unwrap())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", kind)
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&body).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(output[..end].to_vec()).unwrap();
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let status = field("Status:").map_or(200, |status| status[..3].parse().unwrap());
    let kind = field("Content-Type:").unwrap_or_default();
    (status, kind, output[end + 4..].to_vec())
}

/// An OpenSSH server with a host key of its own, and a client's key that it lets in.
pub(super) struct SshServer {
    pub(super) port: u16,
    pub(super) key: PathBuf,
    pub(super) known_hosts: PathBuf,
    child: std::process::Child,
    folder: tempfile::TempDir,
}

impl SshServer {
    pub(super) async fn start() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (host_key, key) = (make_key(&at("host")), make_key(&at("client")));
        std::fs::copy(key.with_extension("pub"), at("authorized")).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPidFile none\nPermitRootLogin yes\n",
            host_key.display(),
            at("authorized").display()
        );
        std::fs::write(at("config"), config).unwrap();
        // sshd wants its own full path and, as root, an empty folder that is otherwise made at boot.
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let child = std::process::Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            port,
            key,
            known_hosts: at("known_hosts"),
            child,
            folder,
        };
        server.trust(&host_key);
        server.wait_until_up().await;
        server
    }

    async fn wait_until_up(&self) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("sshd does not come up");
    }

    /// Makes known_hosts say that this key is the server's.
    pub(super) fn trust(&self, host_key: &Path) {
        let public = std::fs::read_to_string(host_key.with_extension("pub")).unwrap();
        let line = format!("[127.0.0.1]:{} {public}", self.port);
        std::fs::write(&self.known_hosts, line).unwrap();
    }

    pub(super) fn another_key(&self) -> PathBuf {
        make_key(&self.folder.path().join("another"))
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Who runs the tests: the one that sshd lets in.
pub(super) fn user() -> String {
    let told = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

fn make_key(path: &Path) -> PathBuf {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
    path.to_owned()
}
