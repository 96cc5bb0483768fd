//! What happens to a daemon's disk, its store and its clock.

use std::{
    fs,
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use verdigris::store::Tree;

use super::{Ground, prepared, program, starter};

fn phase(service: &Value) -> &str {
    service["status"]["phase"].as_str().unwrap_or_default()
}

#[test]
fn a_second_daemon_on_one_store_does_not_start_and_says_who_holds_it() {
    let ground = Ground::copy_of(&prepared().at_v1);
    let first = ground.start(&mut ground.daemon());
    let before = ground.writes();
    let mut second = ground.daemon();
    let second = second.stderr(Stdio::piped()).output().unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8(second.stderr).unwrap();
    let holder = format!("process {}", first.process.id());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for words in [
        &*holder,
        host.trim(),
        "since 20",
        "--data names another folder",
    ] {
        assert!(told.contains(words), "{words} is missing: {told}");
    }
    first.end("Live", "v1");
    assert_eq!(ground.writes(), before);
    assert!(first.process.stop().success());
    // Who was killed holds nothing.
    ground.start(&mut ground.daemon()).process.kill();
    let third = ground.start(&mut ground.daemon());
    third.end("Live", "v1");
}

/// A program that permission bits mean something to, though root runs it.
fn without_privileges(ground: &Ground) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout == b"0\n" {
        let caps = "-dac_override,-dac_read_search,-fowner";
        let args = ["--bounding-set", caps, "--inh-caps", caps];
        starter("setpriv", &args, ground.folder.path())
    } else {
        program(ground.folder.path())
    }
}

fn chmod(ground: &Ground, mode: &str) {
    let done = Command::new("chmod")
        .args(["-R", mode])
        .arg(ground.path("data"))
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_nothing_is_sent() {
    let ground = Ground::copy_of(&prepared().at_v1);
    ground.write("v2");
    let before = ground.writes();
    chmod(&ground, "a-w");
    let mut daemon = ground.daemon_by(without_privileges(&ground));
    let ran = daemon.stderr(Stdio::piped()).output().unwrap();
    chmod(&ground, "u+w");
    assert!(!ran.status.success());
    let told = String::from_utf8(ran.stderr).unwrap();
    let folder = ground.path("data").display().to_string();
    assert!(told.contains(&folder), "{told}");
    assert!(
        told.contains("read-only") || told.contains("ermission"),
        "{told}"
    );
    assert_eq!(ground.writes(), before);
    let daemon = ground.start(&mut ground.daemon());
    daemon.end("Live", "v2");
}

fn limit(daemon: &super::Daemon<'_>, size: &str) {
    let pid = daemon.process.id().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={size}")])
        .status();
    assert!(done.unwrap().success());
}

/// No file can be written to any more, as on a disk that is full to the last byte; then there is room again.
#[test]
fn a_full_disk_sends_nothing_and_costs_nothing_but_time() {
    let ground = Ground::copy_of(&prepared().at_v2);
    let shell = ["-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let starter = starter("sh", &shell, ground.folder.path());
    let daemon = ground.start(&mut ground.daemon_by(starter));
    daemon.end("Live", "v2");
    let before = ground.writes();
    limit(&daemon, "1:unlimited");
    let refused = daemon.say(&["rollback", "hello"]);
    assert!(!refused.status.success());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(ground.writes(), before, "{}", daemon.service());
    limit(&daemon, "unlimited:unlimited");
    // The action may be on the disk by now: what a person asked for is tried again as everything else is.
    daemon.until("at rest or on its way", |service| {
        !phase(service).is_empty()
    });
    daemon.say(&["rollback", "hello"]);
    daemon.end("Pinned", "v1");
    assert!(daemon.process.stop().success());
    let daemon = ground.start(&mut ground.daemon());
    daemon.end("Pinned", "v1");
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_promotion_loses_nothing() {
    let ground = Ground::copy_of(&prepared().at_v1);
    ground.write("v2");
    let shell = ["-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let starter = starter("sh", &shell, ground.folder.path());
    let daemon = ground.start(&mut ground.daemon_by(starter));
    daemon.until("begun", |service| {
        ["Staging", "Gating", "Promoting", "Baking"].contains(&phase(service))
    });
    limit(&daemon, "1:unlimited");
    std::thread::sleep(Duration::from_secs(2));
    limit(&daemon, "unlimited:unlimited");
    let lived = daemon.end("Live", "v2");
    daemon.process.kill();
    let again = ground.start(&mut ground.daemon());
    assert_eq!(again.end("Live", "v2"), lived);
}

/// Damages the first record of a tree; whether there was one.
fn damage(ground: &Ground, tree: Tree) -> bool {
    let db = sled::open(ground.path("data/store/store")).unwrap();
    let rows = db.open_tree(tree.name()).unwrap();
    let Some((key, _)) = rows.first().unwrap() else {
        return false;
    };
    rows.insert(key, b"garbage").unwrap();
    db.flush().unwrap();
    true
}

#[test]
fn one_record_that_is_damaged_is_set_aside_and_costs_no_writing_call() {
    let trees = Mutex::new(Tree::ALL.to_vec());
    let damaged = Mutex::new(0);
    let one = || {
        while let Some(tree) = { trees.lock().unwrap().pop() } {
            let ground = Ground::copy_of(&prepared().at_v2);
            if !damage(&ground, tree) {
                continue;
            }
            *damaged.lock().unwrap() += 1;
            let before = ground.writes();
            let daemon = ground.start(&mut ground.daemon());
            let end = daemon.end("Live", "v2");
            let conditions = end["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|it| it["type"] == "Ready");
            assert_eq!(ready.unwrap()["status"], "True", "{tree:?}: {end:#}");
            let is_told = |events: &[String]| {
                let mut events = events.iter();
                events.any(|event| event.contains("RecordSetAside"))
            };
            // Records that only people read are set aside when they are read.
            let lazily = matches!(tree, Tree::Event | Tree::History);
            assert!(
                lazily || is_told(&daemon.events()),
                "{tree:?}: {:?}",
                daemon.events()
            );
            assert_eq!(ground.writes(), before, "{tree:?}");
            assert!(daemon.process.stop().success());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(one);
        }
    });
    assert!(*damaged.lock().unwrap() >= 6, "{damaged:?}");
}

/// Where the library is that lies about the time to one process.
fn faketime() -> String {
    let found = Command::new("find")
        .args(["/usr/lib", "-name", "libfaketime.so.1"])
        .output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    let first = found.lines().next();
    first
        .expect("Debian's package faketime is not installed: tests/run does that")
        .to_owned()
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let ground = Ground::copy_of(&prepared().at_v1);
    ground.write("v2");
    let set = |offset: &str| fs::write(ground.path("time"), offset).unwrap();
    set("+0");
    let start = || {
        let mut daemon = ground.daemon();
        daemon
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME_TIMESTAMP_FILE", ground.path("time"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        ground.start(&mut daemon)
    };
    let daemon = start();
    daemon.until("begun", |service| {
        ["Staging", "Gating", "Promoting", "Baking"].contains(&phase(service))
    });
    set("-2h");
    daemon.end("Live", "v2");
    daemon.process.kill();
    set("-3d");
    ground.write("v3");
    let daemon = start();
    daemon.end("Live", "v3");
    set("-9d");
    assert!(daemon.say(&["rollback", "hello"]).status.success());
    daemon.end("Pinned", "v2");
    let told = daemon.service()["status"]["conditions"].to_string();
    let days_ago = Command::new("date")
        .args(["-u", "-d", "9 days ago", "+%F"])
        .output();
    let days_ago = String::from_utf8(days_ago.unwrap().stdout).unwrap();
    assert!(
        told.contains(days_ago.trim()),
        "the clock was not set back: {told}"
    );
}
