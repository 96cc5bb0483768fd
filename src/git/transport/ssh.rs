//! Git over ssh by the `ssh` program, so that key formats, host keys and ciphers are OpenSSH's business.
//!
//! Only what the source says counts: no user's or machine's ssh configuration, no agent, no other known hosts.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{Credentials, GitError, Place, Session, find};
use crate::git::source::SshPlace;

/// A killed process is gone at once; this only bounds what cannot be seen.
const REAP: Duration = Duration::from_secs(2);
/// What `ssh` says about a failure fits in a few lines.
const COMPLAINT_MAX: u64 = 8 << 10;

/// Stands between libgit2 and one remote. The connection lives in the stream.
pub(super) struct Ssh;

/// One running `ssh`; killed and reaped when dropped.
struct Connection {
    session: Arc<Session>,
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    complaint: Option<JoinHandle<String>>,
}

// === impl Ssh ===

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        address: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match service {
            // libgit2 asks once for the list and goes on with the same stream to fetch.
            Service::UploadPackLs | Service::UploadPack => {}
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("pushing is not done here"));
            }
        }
        let session = find(address)?;
        let connection = connect(session.clone());
        let connection =
            connection.map_err(|fault| git2::Error::from_str(&session.fail(fault).to_string()))?;
        Ok(Box::new(connection))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

fn connect(session: Arc<Session>) -> Result<Connection, GitError> {
    let Place::Ssh(place) = &session.source.url.place else {
        return Err(GitError::invalid("not an ssh address"));
    };
    let mut command = command(place, &session.source.credentials);
    let runtime = session.runtime.enter();
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| GitError::disk(Path::new("ssh"), error))?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(to), Some(from), Some(complaint)) = pipes else {
        return Err(session.unreachable("ssh has no pipes"));
    };
    let complaint = Some(tokio::spawn(read_complaint(complaint)));
    drop(runtime);
    Ok(Connection {
        session,
        child,
        to,
        from,
        complaint,
    })
}

fn command(place: &SshPlace, credentials: &Credentials) -> Command {
    let SshPlace {
        user,
        host,
        port,
        path,
    } = place;
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-T", "-a", "-x"]);
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "GlobalKnownHostsFile=none",
        "IdentityAgent=none",
        "IdentitiesOnly=yes",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
    ] {
        command.args(["-o", option]);
    }
    for option in credential_options(credentials) {
        command.args(["-o", &option]);
    }
    if let Some(port) = port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = user {
        command.args(["-l", user]);
    }
    let quoted = path.replace('\'', r"'\''").replace('!', r"'\!'");
    command.args(["--", host, &format!("git-upload-pack '{quoted}'")]);
    command.env_remove("SSH_ASKPASS").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn credential_options(credentials: &Credentials) -> Vec<String> {
    match credentials {
        // Without a file that says who is who, no host is known and none is spoken to.
        Credentials::None | Credentials::Token { .. } => {
            vec![
                "UserKnownHostsFile=none".to_owned(),
                "IdentityFile=none".to_owned(),
            ]
        }
        Credentials::Ssh { key, known_hosts } => vec![
            format!("UserKnownHostsFile=\"{}\"", option_path(known_hosts)),
            format!("IdentityFile=\"{}\"", option_path(key)),
        ],
    }
}

/// `ssh` expands `%` in these paths; `Source::check` has refused quotes and `$`.
fn option_path(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

async fn read_complaint(from: ChildStderr) -> String {
    let mut text = Vec::new();
    let mut from = from;
    // Half a complaint is still worth showing, so an error here only ends it.
    let _half = (&mut from).take(COMPLAINT_MAX).read_to_end(&mut text).await;
    // The rest is read and dropped, so that `ssh` never waits for us.
    let _rest = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

// === impl Connection ===

impl Read for Connection {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.receive(out);
        count.map_err(|fault| self.session.fail(fault))
    }
}

impl Write for Connection {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let session = self.session.clone();
        match session.wait(self.to.write(data)) {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(_)) => Err(session.fail(self.why_closed())),
            Err(fault) => Err(session.fail(fault)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection {
    fn receive(&mut self, out: &mut [u8]) -> Result<usize, GitError> {
        let session = self.session.clone();
        let count = session.wait(self.from.read(out))?;
        let count = count.map_err(|error| session.unreachable(error.to_string()))?;
        if count == 0 && !out.is_empty() {
            return Err(self.why_closed());
        }
        session.received(count)?;
        Ok(count)
    }

    /// The other side hung up before libgit2 had what it wanted: `ssh` has said why on its error output.
    fn why_closed(&mut self) -> GitError {
        let session = self.session.clone();
        let Some(complaint) = self.complaint.take() else {
            return session.unreachable("the connection was closed");
        };
        match session.wait(complaint) {
            Ok(text) => sort_complaint(&session, &text.unwrap_or_default()),
            Err(fault) => fault,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _gone = self.child.start_kill();
        let runtime = self.session.runtime.clone();
        // Reaped here, so that no zombie stays; `kill_on_drop` is the net below.
        let _reaped = runtime.block_on(async { timeout(REAP, self.child.wait()).await });
    }
}

/// OpenSSH's own words, in the C locale, to our kinds of error.
fn sort_complaint(session: &Session, text: &str) -> GitError {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let url = session.shown();
    if says(&[
        "HOST IDENTIFICATION HAS CHANGED",
        "Host key verification failed",
    ]) {
        GitError::HostKeyMismatch { url }
    } else if says(&[
        "Permission denied",
        "Too many authentication failures",
        "Load key",
    ]) {
        session.refused(last_line(text))
    } else {
        session.unreachable(last_line(text))
    }
}

fn last_line(text: &str) -> &str {
    let mut lines = text.lines().rev().map(str::trim);
    let last = lines.find(|line| !line.is_empty());
    last.unwrap_or("the connection was closed")
}
