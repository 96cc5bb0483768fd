//! Random commits, faults, edits, actions and deaths, each story from one seed. What must always hold is checked by code that shares
//! nothing with the planner. `VERDIGRIS_SEEDS` and `VERDIGRIS_STEPS` say how much, `VERDIGRIS_SEED` which seed alone, told line by line;
//! `tests/bench/simulate` plays many more, and faster.

mod eyes;
mod found;
mod judged;
mod play;

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::play::{Broken, Played, play};

/// Stories that are each short enough that all of them are over in about a minute on two cores.
const SEEDS: u64 = 300;
const STEPS: u64 = 200;
/// Each of these is played three times.
const TWINS: u64 = 16;

fn setting(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how much to simulate is told by the environment"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

#[test]
fn whatever_happens_the_invariants_hold_and_things_settle() {
    let steps = setting("VERDIGRIS_STEPS").unwrap_or(STEPS);
    let seeds = match setting("VERDIGRIS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("VERDIGRIS_SEEDS").unwrap_or(SEEDS),
    };
    let broken = Mutex::new(BTreeMap::new());
    on_all_cores(seeds, |seed| {
        if let Some(found) = play(seed, steps, false).broken {
            broken.lock().unwrap().insert(seed, found);
        }
    });
    let broken = broken.into_inner().unwrap();
    if let Some((seed, found)) = broken.first_key_value() {
        let (Broken { step, law, told }, text) = (found, play(*seed, steps, true).text);
        let all: Vec<&u64> = broken.keys().collect();
        panic!("seed {seed} of {all:?}, step {step}: {law}: {told}\n{text}");
    }
}

/// One seed after the other, on as many threads as there are cores.
fn on_all_cores(seeds: std::ops::Range<u64>, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    work(seed);
                }
            });
        }
    });
}

#[test]
fn the_same_seed_makes_the_same_story() {
    on_all_cores(0..TWINS, |seed| {
        let (one, other) = (play(seed, STEPS, true), play(seed, STEPS, true));
        assert_eq!(one.text, other.text, "seed {seed}");
        let untold = play(seed, STEPS, false);
        let told = |played: &Played| (played.print, played.steps, played.kinds.clone());
        assert_eq!(told(&one), told(&untold));
    });
}

/// `tests/bench/plants/run` shows that each of them is found; here, only that they can still be planted.
#[test]
fn every_bug_that_is_kept_for_planting_still_fits_the_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("tests/bench/plants")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut patches: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "patch"))
        .collect();
    assert!(patches.len() > 10);
    // They are planted together, in this order.
    patches.sort();
    let texts = patches.iter().map(|path| std::fs::read(path).unwrap());
    let all: Vec<u8> = texts.flatten().collect();
    let mut git = Command::new("git")
        .current_dir(root)
        .args(["apply", "--check"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(&all).unwrap();
    let done = git.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "a bug no longer fits; plant it anew:\n{told}"
    );
}
