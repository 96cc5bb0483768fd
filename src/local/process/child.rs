//! One child process and its group, from start to exit.

use std::{
    collections::BTreeMap, io, os::unix::process::ExitStatusExt as _, path::PathBuf,
    process::ExitStatus, process::Stdio, sync::Arc, time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Command,
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    log::{LogRing, Stream},
    memory,
    pipe::{Pipe, Readers},
    watchdog::Watched,
};

/// A grandchild may hold the pipes open after its group died; the exit is told after this wait all the same.
const DRAIN: Duration = Duration::from_millis(500);

/// What to start.
pub struct Spawn {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub cwd: PathBuf,
    /// The whole environment, but for `PATH` and `LANG`, which are added where they are not given.
    pub env: BTreeMap<String, String>,
    /// Resident bytes that the group may use together.
    pub memory_limit: Option<u64>,
    pub logs: Arc<LogRing>,
}

/// A program that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start `{}` in `{}`", program.display(), cwd.display())]
pub struct SpawnError {
    pub program: PathBuf,
    pub cwd: PathBuf,
    pub source: io::Error,
}

/// Why a process is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It ended by itself.
    Code(i32),
    /// A signal that we did not send ended it.
    Signal(i32),
    /// It used more memory than it may, and was killed.
    OutOfMemory { used: u64, limit: u64 },
    /// We were told to end it.
    Stopped,
}

enum Order {
    Terminate,
    Kill,
}

/// A running process group. Dropping it kills the group.
pub struct Child {
    group: Pid,
    exit: watch::Receiver<Option<Exit>>,
    orders: mpsc::UnboundedSender<Order>,
    readers: Vec<Readers>,
}

impl Child {
    /// Starts the program as the leader of a new group.
    ///
    /// # Errors
    ///
    /// Fails where the program or the folder is missing or may not be used.
    pub fn spawn(spawn: Spawn) -> Result<Self, SpawnError> {
        let mut command = command(&spawn);
        let failed = |source| SpawnError {
            program: spawn.program.clone(),
            cwd: spawn.cwd.clone(),
            source,
        };
        let mut process = command.spawn().map_err(failed)?;
        let pid = process.id().and_then(|id| i32::try_from(id).ok());
        let group = pid
            .and_then(Pid::from_raw)
            .ok_or_else(|| failed(io::Error::other("the process has no id")))?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let pipes = [
            stdout.map(|pipe| Pipe::read(pipe, Stream::Stdout, &spawn.logs)),
            stderr.map(|pipe| Pipe::read(pipe, Stream::Stderr, &spawn.logs)),
        ];
        let readers = pipes.iter().flatten().map(Pipe::readers).collect();
        let (orders, inbox) = mpsc::unbounded_channel();
        let (told, exit) = watch::channel(None);
        let keeper = Keeper {
            process,
            group,
            _watched: Watched::new(group),
            inbox,
            limit: spawn.memory_limit,
        };
        tokio::spawn(async move {
            let exit = keeper.keep().await;
            for pipe in pipes.into_iter().flatten() {
                // A reader that does not end is left to the runtime: its pipe belongs to a stranger now.
                let _strange = timeout(DRAIN, pipe.closed()).await;
            }
            told.send_replace(Some(exit));
        });
        Ok(Self {
            group,
            exit,
            orders,
            readers,
        })
    }

    /// The process id, which is the group's id too.
    pub fn id(&self) -> u32 {
        self.group.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills the whole group now.
    pub fn kill(&self) {
        // An inbox that is gone means the process is gone.
        drop(self.orders.send(Order::Kill));
    }

    /// Asks the group to end, and kills it when it has not after `grace`.
    pub async fn stop(&self, grace: Duration) -> Exit {
        drop(self.orders.send(Order::Terminate));
        if let Ok(exit) = timeout(grace, self.exited()).await {
            return exit;
        }
        self.kill();
        self.exited().await
    }

    /// Waits for the end; any number of waiters, any number of times.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(told) => told.unwrap_or(Exit::Stopped),
                // The runtime is shutting down and took the keeper, and with it the process.
                Err(_) => Exit::Stopped,
            }
        }
    }

    /// How it ended, once it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until whole lines that it has written by now are in the log.
    pub async fn caught_up(&self) {
        futures_util::future::join_all(self.readers.iter().map(Readers::caught_up)).await;
    }

    /// Resident bytes: of the leader now, or of the whole group a moment ago where that is more.
    pub fn memory(&self) -> u64 {
        used(self.id())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(spawn: &Spawn) -> Command {
    let mut command = Command::new(&spawn.program);
    command
        .args(&spawn.args)
        .current_dir(&spawn.cwd)
        .env_clear()
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(&spawn.env);
    command
}

/// Owns the process until it is gone; nobody else signals the group, so a number that was reused is never hit.
///
/// Dropping it, as a runtime does that is shut down, kills the whole group and not its leader alone.
struct Keeper {
    process: tokio::process::Child,
    group: Pid,
    /// For as long as the group may be there.
    _watched: Watched,
    inbox: mpsc::UnboundedReceiver<Order>,
    limit: Option<u64>,
}

impl Keeper {
    async fn keep(mut self) -> Exit {
        let mut cause = None;
        let mut tick = tokio::time::interval(memory::LEADER_INTERVAL);
        loop {
            tokio::select! {
                status = self.process.wait() => {
                    // What the leader left behind goes with it.
                    self.signal(Signal::KILL);
                    return cause.unwrap_or_else(|| judge(status));
                }
                order = self.inbox.recv() => {
                    cause = cause.or(Some(Exit::Stopped));
                    match order {
                        Some(Order::Terminate) => self.signal(Signal::TERM),
                        Some(Order::Kill) => self.signal(Signal::KILL),
                        None => {
                            self.signal(Signal::KILL);
                            drop(self.process.wait().await);
                            return Exit::Stopped;
                        }
                    }
                }
                _ = tick.tick(), if self.limit.is_some() => {
                    if let Some(excess) = self.excess() {
                        cause = cause.or(Some(excess));
                        self.signal(Signal::KILL);
                    }
                }
            }
        }
    }

    fn excess(&self) -> Option<Exit> {
        let limit = self.limit?;
        let used = used(self.group.as_raw_nonzero().get().unsigned_abs());
        (used > limit).then_some(Exit::OutOfMemory { used, limit })
    }

    fn signal(&self, signal: Signal) {
        // It fails only where the group is gone, which is what was wanted.
        let _gone = kill_process_group(self.group, signal);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A leader that was waited for took its group along, and its number may be a stranger's by now.
        if self.process.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// A leader that grows is seen at once, its children within a second.
fn used(group: u32) -> u64 {
    memory::of_leader(group).max(memory::of_group(group))
}

fn judge(status: io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Stopped,
        },
        Err(_) => Exit::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn shell(script: &str, memory_limit: Option<u64>) -> (Child, Arc<LogRing>) {
        let logs = LogRing::new(Arc::new(SystemClock), 100);
        let spawn = Spawn {
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            cwd: "/".into(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            memory_limit,
            logs: Arc::clone(&logs),
        };
        (Child::spawn(spawn).unwrap(), logs)
    }

    #[tokio::test]
    async fn output_is_kept_and_the_exit_is_told() {
        let cases = [
            ("echo $GREETING; exit 3", Exit::Code(3), vec!["hello"]),
            ("echo a >&2; kill -9 $$", Exit::Signal(9), vec!["a"]),
            ("printf 'no newline'", Exit::Code(0), vec!["no newline"]),
        ];
        for (script, exit, lines) in cases {
            let (child, logs) = shell(script, None);
            assert_eq!(child.exited().await, exit, "{script}");
            let texts: Vec<_> = logs.lines().into_iter().map(|line| line.text).collect();
            assert_eq!(texts, lines, "{script}");
        }
    }

    #[tokio::test]
    async fn what_was_written_before_is_in_the_log_once_caught_up() {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        for _ in 0..20 {
            let script = format!("seq 1000; touch {}; exec sleep 300", done.display());
            let (child, logs) = shell(&script, None);
            // Not by an await: nobody reads the pipe meanwhile.
            while !done.exists() {
                std::thread::yield_now();
            }
            child.caught_up().await;
            assert_eq!(logs.lines().len(), 100);
            assert_eq!(logs.lines()[99].text, "1000");
            std::fs::remove_file(&done).unwrap();
        }
    }

    /// The process whose number is the first line of the log, once it is there.
    async fn grandchild(logs: &LogRing) -> String {
        let told = async {
            while logs.lines().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            logs.lines()[0].text.clone()
        };
        let told = timeout(Duration::from_secs(30), told).await;
        told.expect("it tells its number")
    }

    /// Its signal was sent: the kernel ends it when it would next run.
    async fn is_gone(process: &str) -> bool {
        let is_running = || {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
            let stat = stat.unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
            state.is_some_and(|state| !state.starts_with(['Z', 'X']))
        };
        let gone = async {
            while is_running() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.is_ok()
    }

    #[tokio::test]
    async fn stopping_kills_the_whole_group_even_when_it_will_not_listen() {
        let (child, logs) = shell("trap '' TERM; sleep 300 & echo $!; wait; sleep 300", None);
        let grandchild = grandchild(&logs).await;
        assert_eq!(child.stop(Duration::from_millis(100)).await, Exit::Stopped);
        assert!(is_gone(&grandchild).await);
    }

    #[test]
    fn a_runtime_that_is_shut_down_takes_the_whole_group_along() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap()
        };
        let ended = runtime();
        let (child, grandchild) = ended.block_on(async {
            let (child, logs) = shell("sleep 300 & echo $!; wait", None);
            (child, grandchild(&logs).await)
        });
        drop(ended);
        assert!(runtime().block_on(is_gone(&grandchild)));
        drop(child);
    }

    #[tokio::test]
    async fn too_much_memory_is_a_reason_of_its_own() {
        let greedy = "python3 -c 'x = bytearray(200_000_000); import time; time.sleep(60)'";
        for script in [format!("exec {greedy}"), format!("{greedy}; true")] {
            let (child, _logs) = shell(&script, Some(64 << 20));
            let exit = timeout(Duration::from_secs(20), child.exited()).await;
            let exit = exit.unwrap();
            assert!(
                matches!(exit, Exit::OutOfMemory { limit, .. } if limit == 64 << 20),
                "{script}: {exit:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let logs = LogRing::new(Arc::new(SystemClock), 1);
        let spawn = Spawn {
            program: "./absent".into(),
            args: Vec::new(),
            cwd: "/".into(),
            env: BTreeMap::new(),
            memory_limit: None,
            logs,
        };
        let told = Child::spawn(spawn).err().unwrap().to_string();
        assert_eq!(told, "failed to start `./absent` in `/`");
    }
}
