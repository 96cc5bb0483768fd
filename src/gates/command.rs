//! Runs a script of the repository and tells how it ended.
//!
//! The script gets nothing of the daemon's environment. It runs in a process group of its own, which does not outlive the measurement.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, Command},
};

use super::output::Tail;
use crate::{
    clock::Clock,
    name::{CloudName, ReleaseDigest, Revision, ServiceKey},
    observed::Addresses,
    rollout::evidence::{CommandEvidence, Evidence, Measurement, Outcome},
};

/// Where programs are looked for, unless the script's variables say otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is already in the pipe when the script ends is read at once; whatever still holds the pipe then is not waited for.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// What is run, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// For `sh -c`.
    pub run: &'a str,
    /// The repository at the rollout's commit.
    pub folder: &'a Path,
    /// All that it is told; see [`environment`].
    pub env: &'a BTreeMap<String, String>,
    pub timeout: Duration,
    /// Values that must not be shown, should the script print them.
    pub secrets: &'a [SecretString],
}

/// The variables that a script finds: which release of what, and where its green functions answer.
///
/// `VERDIGRIS_GREEN_AWS` and `VERDIGRIS_GREEN_AZURE` stand for the first function by name; each function has one of its own behind it,
/// as in `VERDIGRIS_GREEN_AWS_STOCK`.
pub fn environment(
    service: &ServiceKey,
    release: ReleaseDigest,
    revision: &Revision,
    green: &BTreeMap<CloudName, Addresses>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("VERDIGRIS_SERVICE".to_owned(), service.service.to_string()),
        (
            "VERDIGRIS_ENVIRONMENT".to_owned(),
            service.environment.to_string(),
        ),
        ("VERDIGRIS_RELEASE".to_owned(), release.to_string()),
        ("VERDIGRIS_REVISION".to_owned(), revision.to_string()),
    ]);
    for (cloud, addresses) in green {
        let of_cloud = variable(&format!("VERDIGRIS_GREEN_{cloud}"));
        if let Some(first) = addresses.values().next() {
            env.insert(of_cloud.clone(), without_slash(first.as_str()));
        }
        for (function, address) in addresses {
            let name = format!("{of_cloud}_{}", variable(function.as_str()));
            env.insert(name, without_slash(address.as_str()));
        }
    }
    env
}

/// So that `"$VERDIGRIS_GREEN_AWS/stock/42"` reads as meant.
fn without_slash(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Runs the script once. Never fails: whatever goes wrong is the measurement's outcome.
///
/// # Guarantees
///
/// When this returns or is dropped, the script's process group is gone. A process that left the group on purpose is not followed.
pub async fn measure(script: &Script<'_>, clock: &dyn Clock) -> Measurement {
    let started_at = clock.now();
    let (outcome, evidence) = run(script).await;
    Measurement {
        target: None,
        started_at,
        finished_at: clock.now(),
        outcome,
        evidence: Evidence::Command(evidence),
    }
}

async fn run(script: &Script<'_>) -> (Outcome, CommandEvidence) {
    let mut evidence = CommandEvidence {
        run: script.run.to_owned(),
        exit: None,
        output: String::new(),
        is_cut: false,
        timed_out: false,
        checks: Vec::new(),
    };
    let cannot_start = |error: io::Error| Outcome::Error {
        why: format!("cannot start: {error}"),
    };
    // Removed with all that the script put there, once it is gone.
    let home = match tempfile::tempdir() {
        Ok(home) => home,
        Err(error) => return (cannot_start(error), evidence),
    };
    let (mut group, mut output) = match start(script, home.path()) {
        Ok(started) => started,
        Err(error) => return (cannot_start(error), evidence),
    };
    let mut tail = Tail::default();
    let ended =
        tokio::time::timeout(script.timeout, watch(&mut group, &mut output, &mut tail)).await;
    group.kill();
    drain(&mut output, &mut tail).await;
    (evidence.output, evidence.is_cut) = tail.finish(script.secrets);
    let outcome = match ended {
        Ok(Ok(status)) => {
            evidence.exit = status.code();
            judge(status)
        }
        Ok(Err(error)) => Outcome::Error {
            why: format!("cannot tell how it ended: {error}"),
        },
        Err(_) => {
            evidence.timed_out = true;
            let why = format!("did not end within {:?}", script.timeout);
            Outcome::Error { why }
        }
    };
    (outcome, evidence)
}

/// A script that ends by itself has judged the release; one that was killed has not come to that.
fn judge(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(0), _) => Outcome::Successful,
        (Some(code), _) => Outcome::Failed {
            why: format!("exit code {code}"),
        },
        (None, Some(signal)) => Outcome::Error {
            why: format!("killed by signal {signal}"),
        },
        (None, None) => Outcome::Error {
            why: "ended without an exit code".to_owned(),
        },
    }
}

fn start(script: &Script<'_>, home: &Path) -> io::Result<(Group, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    // Both outputs share one pipe, so that they are read in the order in which they were written.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script.run])
        .current_dir(script.folder)
        .env_clear()
        .env("PATH", PATH)
        .envs(script.env)
        .env("HOME", home)
        .env("TMPDIR", home)
        .stdin(Stdio::null())
        .stdout(Stdio::from(writer.try_clone()?))
        .stderr(Stdio::from(writer))
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    // Our ends for writing go with the command; only then does the pipe end with the script.
    drop(command);
    let group = Group::new(child);
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    Ok((group, output))
}

/// Reads until the script itself ends. What it started may hold the pipe for longer.
async fn watch(
    group: &mut Group,
    output: &mut pipe::Receiver,
    tail: &mut Tail,
) -> io::Result<ExitStatus> {
    let mut is_open = true;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            // The end comes first: somebody else may write into the pipe forever.
            biased;
            status = group.child.wait() => return status,
            read = output.read(&mut buffer), if is_open => match read {
                Ok(0) | Err(_) => is_open = false,
                Ok(count) => tail.push(&buffer[..count]),
            },
        }
    }
}

async fn drain(output: &mut pipe::Receiver, tail: &mut Tail) {
    let mut buffer = vec![0; 16 * 1024];
    let read_all = async {
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            tail.push(&buffer[..count]);
        }
    };
    // What comes later is not waited for; the script itself has ended.
    let _timed_out = tokio::time::timeout(DRAIN_MAX, read_all).await;
}

/// A process and all that it started, unless they left its group.
struct Group {
    child: Child,
    /// `None` once it was killed.
    pid: Option<Pid>,
}

impl Group {
    fn new(child: Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw);
        Self { child, pid }
    }

    /// Kills what is left of the group, once. Its number stays taken while anyone is in it, so this meets no stranger.
    fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            // An error means that nobody is left.
            let _gone = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
