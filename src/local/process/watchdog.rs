//! Ends what this process leaves behind when it is killed and can end nothing itself: a shell that is told of every group, and kills those
//! that are left once the pipe from us closes, which the kernel does for us however we die.

use std::{
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use rustix::process::Pid;

/// Reads `+ group` and `- group` line by line. What ends a terminal's programs must not end this one before its work is done.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=
while read -r what group; do
  case $what in
    +) groups="$groups $group" ;;
    -) left=
       for known in $groups; do [ "$known" = "$group" ] || left="$left $known"; done
       groups=$left ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

/// For all groups of this process.
static OURS: LazyLock<Option<Watchdog>> = LazyLock::new(|| match start() {
    Ok(pipe) => Some(Watchdog(Arc::new(Mutex::new(pipe)))),
    Err(error) => {
        tracing::warn!(%error, "no shell watches over functions: they outlive this process where it is killed");
        None
    }
});

#[derive(Clone, Debug)]
struct Watchdog(Arc<Mutex<ChildStdin>>);

/// A group that does not outlive this process. Dropping this says that it is gone.
#[derive(Debug)]
pub(super) struct Watched {
    watchdog: Option<Watchdog>,
    group: Pid,
}

impl Watched {
    pub(super) fn new(group: Pid) -> Self {
        let watchdog = OURS.clone();
        let watched = Self { watchdog, group };
        watched.tell('+');
        watched
    }

    fn tell(&self, what: char) {
        let Some(Watchdog(pipe)) = &self.watchdog else {
            return;
        };
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // A shell that is gone watches over nothing any more; functions run all the same.
        writeln!(pipe, "{what} {}", self.group.as_raw_nonzero()).ok();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tell('-');
    }
}

/// A shell, by the pipe that it reads.
fn start() -> io::Result<ChildStdin> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let pipe = shell.stdin.take();
    pipe.ok_or_else(|| io::Error::other("the shell has no pipe"))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Child};

    use rustix::process::{Signal, kill_process_group};

    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sh")
            .args(["-c", "sleep 300 & wait"])
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn what_is_left_when_the_pipe_closes_is_killed_and_nothing_else() {
        let mut pipe = start().unwrap();
        let (mut left, mut gone) = (sleeper(), sleeper());
        writeln!(pipe, "+ {}", left.id()).unwrap();
        writeln!(pipe, "+ {}", gone.id()).unwrap();
        writeln!(pipe, "- {}", gone.id()).unwrap();
        // As the kernel does for a process that was killed.
        drop(pipe);
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert_eq!(gone.try_wait().unwrap(), None);
        kill_process_group(Pid::from_child(&gone), Signal::KILL).unwrap();
        gone.wait().unwrap();
    }
}
