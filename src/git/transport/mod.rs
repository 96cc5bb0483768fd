//! Our own network code under libgit2, and how a repository's credentials reach it.
//!
//! Registering a transport is process-wide, while credentials, limits and deadlines belong to one poll. So libgit2 is
//! given an address of ours, `verdigris-http://7`, whose number names a [`Session`] in a registry; the session holds
//! the real address and everything that goes with it, and is gone when the poll ends. No credential is ever part of a
//! URL, two mirrors of one URL do not mix, and libgit2's own http, git and ssh code is never chosen.
//!
//! libgit2 passes errors on as text only: the session keeps the typed one ([`Session::fail`]).

mod http;
mod ssh;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    GitError,
    credentials::Credentials,
    source::{Limits, Place, Source},
};

const HTTP: &str = "verdigris-http";
const SSH: &str = "verdigris-ssh";

static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
static SESSIONS: Mutex<BTreeMap<u64, Arc<Session>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// One poll's remote: address, credentials, limits, deadline, and what went wrong.
pub(super) struct Session {
    runtime: Handle,
    deadline: Instant,
    /// Cancelled when nobody waits for the poll any more.
    stop: CancellationToken,
    source: Source,
    client: reqwest::Client,
    /// Where http requests go; moves once when the remote redirects within its host.
    base: Mutex<Option<url::Url>>,
    /// Bytes that may still be received.
    left: AtomicU64,
    fault: Mutex<Option<GitError>>,
}

/// Keeps a session findable for libgit2 until dropped.
pub(super) struct Ticket {
    number: u64,
    session: Arc<Session>,
}

/// Prepares libgit2 for the whole process. Safe to call often; works once.
///
/// # Errors
///
/// libgit2 refused; then no repository can be used.
pub(super) fn prepare() -> Result<(), GitError> {
    REGISTERED
        .get_or_init(|| register().map_err(|error| error.message().to_owned()))
        .clone()
        .map_err(|error| GitError::invalid(format!("libgit2 cannot be set up: {error}")))
}

#[expect(
    unsafe_code,
    reason = "libgit2's process-wide settings; `REGISTERED` runs this once, before any other use of libgit2 by this room"
)]
fn register() -> Result<(), git2::Error> {
    use git2::{ConfigLevel, opts, transport};
    // A `~/.gitconfig` of whoever runs the daemon must not rewrite addresses or contents.
    let levels = [
        ConfigLevel::System,
        ConfigLevel::Global,
        ConfigLevel::XDG,
        ConfigLevel::ProgramData,
    ];
    // SAFETY: these calls change libgit2's globals, so nothing else may use libgit2 meanwhile. `OnceLock` lets one
    // thread in and holds all others of this room back; no other room uses libgit2.
    unsafe {
        for level in levels {
            opts::set_search_path(level, "")?;
        }
        // A data folder on a mounted volume often belongs to another user. No hook or filter of a mirror is ever run.
        opts::set_verify_owner_validation(false)?;
        transport::register(HTTP, |remote| {
            transport::Transport::smart(remote, true, http::Http)
        })?;
        transport::register(SSH, |remote| {
            transport::Transport::smart(remote, false, ssh::Ssh)
        })
    }
}

// === impl Ticket ===

impl Ticket {
    /// Opens a session for one poll.
    pub(super) fn new(
        runtime: Handle,
        deadline: Instant,
        stop: CancellationToken,
        source: Source,
        client: reqwest::Client,
    ) -> Self {
        let session = Arc::new(Session {
            runtime,
            deadline,
            stop,
            base: Mutex::new(None),
            left: AtomicU64::new(source.limits.max_bytes),
            fault: Mutex::new(None),
            source,
            client,
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&SESSIONS).insert(number, session.clone());
        Self { number, session }
    }

    /// The address to give to libgit2.
    pub(super) fn address(&self) -> String {
        let number = self.number;
        match &self.session.source.url.place {
            Place::File(url) => url.clone(),
            Place::Http(_) => format!("{HTTP}://{number}"),
            Place::Ssh(_) => format!("{SSH}://{number}"),
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&SESSIONS).remove(&self.number);
    }
}

/// The session that an address of ours names.
fn find(address: &str) -> Result<Arc<Session>, git2::Error> {
    address
        .rsplit('/')
        .next()
        .and_then(|number| number.parse().ok())
        .and_then(|number: u64| lock(&SESSIONS).get(&number).cloned())
        .ok_or_else(|| git2::Error::from_str("the poll that this address belongs to has ended"))
}

/// A panic elsewhere leaves these maps whole: each is changed by single calls only.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Session ===

impl Session {
    pub(super) fn limits(&self) -> &Limits {
        &self.source.limits
    }

    /// Keeps the first fault, and gives libgit2 something to stop at.
    pub(super) fn fail(&self, fault: GitError) -> io::Error {
        lock(&self.fault).get_or_insert(fault);
        // Plain text without NUL: libgit2's binding would abort the process on one.
        io::Error::other("stopped by verdigris")
    }

    pub(super) fn place(&self) -> &Place {
        &self.source.url.place
    }

    /// Whether nothing has gone wrong that this room would say better than libgit2.
    pub(super) fn is_well(&self) -> bool {
        lock(&self.fault).is_none()
    }

    pub(super) fn take_fault(&self) -> Option<GitError> {
        lock(&self.fault).take()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits for `work`, but not past the poll's deadline, nor when nobody waits for the poll.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, GitError> {
        let bounded = async {
            let bounded = tokio::time::timeout_at(self.deadline, work);
            self.stop.run_until_cancelled(bounded).await
        };
        match self.runtime.block_on(bounded) {
            Some(Ok(done)) => Ok(done),
            Some(Err(_)) => Err(self.timed_out()),
            None => Err(self.stopped()),
        }
    }

    /// Counts received bytes against the limit.
    fn received(&self, bytes: usize) -> Result<(), GitError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map(|_| ())
            .map_err(|_| self.too_many("bytes", self.source.limits.max_bytes))
    }

    pub(super) fn timed_out(&self) -> GitError {
        GitError::TimedOut {
            url: self.shown(),
            after: self.source.limits.timeout,
        }
    }

    pub(super) fn stopped(&self) -> GitError {
        self.unreachable("the poll was given up")
    }

    pub(super) fn too_many(&self, unit: &'static str, max: u64) -> GitError {
        let url = self.shown();
        GitError::TooLarge { url, unit, max }
    }

    pub(super) fn unreachable(&self, detail: impl AsRef<str>) -> GitError {
        GitError::Unreachable {
            url: self.shown(),
            detail: plain(detail.as_ref()),
        }
    }

    fn refused(&self, detail: impl AsRef<str>) -> GitError {
        GitError::AuthenticationFailed {
            url: self.shown(),
            detail: plain(detail.as_ref()),
        }
    }

    pub(super) fn shown(&self) -> String {
        self.source.url.to_string()
    }
}

/// The remote's own words, on one line of bounded length: they end up on terminals and pages.
fn plain(text: &str) -> String {
    const MAX: usize = 300;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(plain).take(MAX).collect()
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _: Result<(), _> = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// The HTTP client of one mirror.
///
/// # Errors
///
/// [`GitError::Invalid`] where the certificate authorities cannot be used.
pub(super) fn client(source: &Source) -> Result<reqwest::Client, GitError> {
    http::client(source)
}
