//! Killed after every intent and every outcome of a promotion and of a rollback.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{Ground, Process, prepared};

/// Runs at once; each is a daemon and two clouds, which wait more than they work.
const WORKERS: usize = 4;

/// What is done, and where it ends.
#[derive(Clone, Copy, Debug)]
enum Story {
    Promotion,
    Rollback,
}

/// Where a run ended, and what it cost.
struct End {
    state: Value,
    writes: BTreeMap<String, u64>,
    points: Vec<String>,
}

impl Story {
    fn ground(self) -> Ground {
        match self {
            Self::Promotion => {
                let ground = Ground::copy_of(&prepared().at_v1);
                ground.write("v2");
                ground
            }
            Self::Rollback => Ground::copy_of(&prepared().at_v2),
        }
    }

    /// Plays the story, with a kill at a point where one is named, and a start after it.
    fn play(self, kill_at: Option<&str>) -> End {
        let ground = self.ground();
        let before = ground.writes();
        let list = ground.path("points");
        let mut first = ground.daemon();
        first.env("VERDIGRIS_TEST_POINTS", &list);
        if let Some(point) = kill_at {
            first.env("VERDIGRIS_TEST_KILL_AT", point);
            self.play_until_killed(&ground, first, point);
        }
        let mut command = ground.daemon();
        command.env("VERDIGRIS_TEST_POINTS", &list);
        let daemon = ground.start(&mut command);
        let (phase, version) = match self {
            Self::Promotion => ("Live", "v2"),
            Self::Rollback => ("Pinned", "v1"),
        };
        if matches!(self, Self::Rollback) && kill_at.is_none() {
            daemon.until("live", |service| service["status"]["phase"] == "Live");
            assert!(daemon.say(&["rollback", "hello"]).status.success());
        }
        let state = daemon.end(phase, version);
        let mut writes = ground.writes();
        for (operation, count) in &mut writes {
            *count -= before.get(operation).copied().unwrap_or_default();
        }
        writes.retain(|_, count| *count > 0);
        daemon.process.stop();
        let points = fs::read_to_string(list).unwrap();
        End {
            state,
            writes,
            points: points.lines().map(str::to_owned).collect(),
        }
    }

    fn play_until_killed(self, ground: &Ground, mut command: Command, point: &str) {
        let status = match self {
            Self::Promotion => {
                let child = command.stdout(Stdio::null()).spawn().unwrap();
                let told = String::new();
                Process { child, told }.ended(point)
            }
            Self::Rollback => {
                let mut daemon = ground.start(&mut command);
                daemon.until("live", |service| service["status"]["phase"] == "Live");
                // It may be gone before it has answered.
                daemon.say(&["rollback", "hello"]);
                daemon.process.ended(point)
            }
        };
        assert_eq!(status.signal(), Some(9), "{point}: {}", ground.log());
    }
}

/// What is not as in the run that was not killed; the number of calls that were made again.
fn compare(point: &str, killed: &End, whole: &End) -> Result<u64, String> {
    if killed.state != whole.state {
        return Err(format!(
            "{point}: ended at {:#}\nand not at {:#}",
            killed.state, whole.state
        ));
    }
    let mut again = 0;
    for (operation, count) in &killed.writes {
        let once = whole.writes.get(operation).copied().unwrap_or_default();
        if *count > 2 * once {
            return Err(format!("{point}: {operation} {count} times, not {once}"));
        }
        again += count.saturating_sub(once);
    }
    Ok(again)
}

fn every_point(story: Story) {
    let whole = story.play(None);
    let mut points = whole.points.clone();
    points.dedup();
    assert!(points.len() > 8, "{points:?}");
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let again = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match compare(point, &story.play(Some(point)), &whole) {
                        Ok(calls) => again.lock().unwrap().push(calls),
                        Err(told) => wrong.lock().unwrap().push(told),
                    }
                }
            });
        }
    });
    let (wrong, again) = (wrong.into_inner().unwrap(), again.into_inner().unwrap());
    let once: u64 = whole.writes.values().sum();
    let most = again.iter().max().copied().unwrap_or_default();
    eprintln!(
        "{story:?}: killed at {} points; {once} writing calls, at most {most} made again: {points:#?}",
        points.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_promotion_that_is_killed_anywhere_ends_where_it_would_have_ended() {
    every_point(Story::Promotion);
}

#[test]
fn a_rollback_that_is_killed_anywhere_ends_where_it_would_have_ended() {
    every_point(Story::Rollback);
}

/// The text of every item of a file that a release has, too.
fn kept_in_a_release(source: &str) -> Vec<syn::Item> {
    let only_tested = |attribute: &syn::Attribute| {
        let list = attribute.meta.require_list();
        list.is_ok_and(|list| {
            list.path.is_ident("cfg") && list.tokens.to_string() == "debug_assertions"
        })
    };
    let items = syn::parse_file(source).unwrap().items;
    let attributes = |item: &syn::Item| {
        if let syn::Item::Mod(it) = item {
            it.attrs.clone()
        } else if let syn::Item::Use(it) = item {
            it.attrs.clone()
        } else {
            Vec::new()
        }
    };
    let is_kept = |item: &syn::Item| !attributes(item).iter().any(only_tested);
    items.into_iter().filter(is_kept).collect()
}

/// `tests/bench/run`, which builds a release, looks into the program itself.
#[test]
fn a_release_has_none_of_this() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = root.join("reconcile/points.rs");
    for item in kept_in_a_release(&fs::read_to_string(&file).unwrap()) {
        let syn::Item::Mod(module) = item else {
            assert!(
                matches!(
                    item,
                    syn::Item::Use(_) | syn::Item::Enum(_) | syn::Item::Impl(_)
                ),
                "it does something"
            );
            continue;
        };
        for inner in module.content.unwrap().1 {
            if let syn::Item::Fn(function) = inner {
                let statements = function.block.stmts;
                let is_nothing = match statements.as_slice() {
                    [] => true,
                    [syn::Stmt::Expr(syn::Expr::Path(value), None)] => value.path.is_ident("None"),
                    _ => false,
                };
                assert!(is_nothing, "{} does something", function.sig.ident);
            }
        }
    }
    let named = Command::new("grep")
        .args(["-rl", "VERDIGRIS_TEST_"])
        .arg(&root)
        .output();
    let named = String::from_utf8(named.unwrap().stdout).unwrap();
    assert_eq!(named.trim(), file.display().to_string());
}
