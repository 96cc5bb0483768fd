//! The demo leaves nothing behind, however it ends. That its story goes as told is for `demo --once` itself, which `tests/run` runs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The first service is live, so that functions run on both clouds.
const RUNNING: &str = "try it";

fn demo(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_verdigris"))
        .arg("demo")
        .env("TMPDIR", folder)
        .env_remove("HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Programs whose working folder is below this one.
fn alive(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let below = processes.filter(|process| {
        let working = fs::read_link(process.path().join("cwd"));
        working.is_ok_and(|working| working.starts_with(&folder))
    });
    below
        .map(|process| fs::read_to_string(process.path().join("cmdline")).unwrap_or_default())
        .collect()
}

/// Runs the demo until its functions run, ends it in some way, and looks what is left.
fn ends_without_a_trace(end: impl FnOnce(&Child, ChildStdout)) -> Option<i32> {
    let folder = TempDir::new().unwrap();
    let mut child = demo(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while !told.contains(RUNNING) {
        let read = lines.read_line(&mut told).unwrap();
        assert_ne!(read, 0, "the demo ended early: {told}");
    }
    assert!(!alive(folder.path()).is_empty(), "functions run");
    end(&child, lines.into_inner());
    let code = wait(&mut child);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(alive(folder.path()), Vec::<String>::new());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(errors, "");
    code
}

/// A minute at most.
fn wait(child: &mut Child) -> Option<i32> {
    for _ in 0..1200 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("the demo goes on");
}

fn send(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

#[test]
fn ctrl_c_leaves_no_process_and_no_file() {
    let code = ends_without_a_trace(|child, mut rest| {
        send(child, Signal::INT);
        // Whoever pressed it goes on reading.
        std::thread::spawn(move || rest.read_to_end(&mut Vec::new()));
    });
    assert_eq!(code, Some(0));
}

#[test]
fn a_closed_terminal_leaves_no_process_and_no_file() {
    let code = ends_without_a_trace(|child, rest| {
        drop(rest);
        send(child, Signal::HUP);
    });
    assert_eq!(code, Some(0));
}

#[test]
fn a_reader_that_leaves_ends_the_demo_in_order() {
    let code = ends_without_a_trace(|_, rest| drop(rest));
    assert_eq!(code, Some(0));
}
