//! Runs a build command: bounded in time and output, with nothing of the daemon's environment.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::Limits;

/// Why a build command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(
        "the build command ended with {status}: correct `build` or the source; it said:\n{tail}"
    )]
    Failed { status: ExitStatus, tail: String },
    #[error(
        "the build command took longer than {limit:?} and was stopped: make it faster or raise the limit; it said:\n{tail}"
    )]
    TimedOut { limit: Duration, tail: String },
    #[error("failed to start the build command")]
    NotStarted(#[source] io::Error),
    #[error("lost sight of the build command")]
    Lost(#[source] io::Error),
}

/// What to run, where, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub script: &'a str,
    pub folder: &'a Path,
    pub home: &'a Path,
    pub temporary: &'a Path,
    pub search_path: &'a str,
    pub environment: &'a BTreeMap<String, String>,
}

/// 1980-01-01, the first moment that a zip can tell: tools that honour it write the same bytes each time.
const SOURCE_DATE_EPOCH: &str = "315532800";

/// A process that left its group may hold the output open; what it says is not waited for.
const DRAIN: Duration = Duration::from_secs(2);

/// Both outputs in one stream; no core files; no file larger than the package may be (counted in blocks of 512 bytes).
const WRAPPER: &str = r#"exec 2>&1; ulimit -c 0; ulimit -f "$1"; exec sh -c "$2""#;

/// Runs the script by `sh -c` and returns the last part of its output.
///
/// # Guarantees
///
/// When this returns, or is dropped, every process of the command's group has been killed.
///
/// # Errors
///
/// [`CommandError::Failed`] and [`CommandError::TimedOut`] carry the last part of the output.
pub async fn run(order: &Order<'_>, limits: Limits) -> Result<String, CommandError> {
    let Limits {
        timeout: limit,
        output_max,
        package_max,
        files_max: _,
    } = limits;
    let mut child = command(order, package_max)
        .spawn()
        .map_err(CommandError::NotStarted)?;
    let group = Group::of(&child);
    let output = child.stdout.take();
    let reader = tokio::spawn(async move {
        let mut tail = Tail::new(output_max);
        if let Some(output) = output {
            let _ended = timeout(limit + DRAIN, tail.fill(output)).await;
        }
        tail
    });
    let ended = timeout(limit, child.wait()).await;
    drop(group);
    let tail = drain(reader).await;
    match ended {
        Err(_) => Err(CommandError::TimedOut { limit, tail }),
        Ok(Err(error)) => Err(CommandError::Lost(error)),
        Ok(Ok(status)) if !status.success() => Err(CommandError::Failed { status, tail }),
        Ok(Ok(_)) => Ok(tail),
    }
}

fn command(order: &Order<'_>, file_max: u64) -> Command {
    let Order {
        script,
        folder,
        home,
        temporary,
        search_path,
        environment,
    } = *order;
    let blocks = (file_max / 512).max(1).to_string();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", WRAPPER, "sh", &blocks, script])
        .current_dir(folder)
        .env_clear()
        .envs(environment)
        .env("PATH", search_path)
        .env("HOME", home)
        .env("TMPDIR", temporary)
        .env("LANG", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn drain(reader: tokio::task::JoinHandle<Tail>) -> String {
    let stop = reader.abort_handle();
    match timeout(DRAIN, reader).await {
        Ok(Ok(tail)) => tail.text(),
        Ok(Err(_)) | Err(_) => {
            stop.abort();
            "(output lost: a process that outlived the command held it open)".to_owned()
        }
    }
}

/// The command's process group. Dropping it kills whoever is left.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // The one failure is that nobody is left, which is what we want.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The last bytes of a stream.
struct Tail {
    kept: VecDeque<u8>,
    max: usize,
    dropped: u64,
}

impl Tail {
    fn new(max: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            max,
            dropped: 0,
        }
    }

    async fn fill(&mut self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = vec![0; 8 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            self.push(&buffer[..count]);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let surplus = self.kept.len().saturating_sub(self.max);
        self.kept.drain(..surplus);
        self.dropped += surplus as u64;
    }

    fn text(self) -> String {
        let Self {
            kept,
            max: _,
            dropped,
        } = self;
        let kept: Vec<u8> = kept.into();
        let text = String::from_utf8_lossy(&kept);
        if dropped == 0 {
            text.into_owned()
        } else {
            format!("(the first {dropped} bytes are left out)\n{text}")
        }
    }
}
