//! Random commits, faults, edits, actions and deaths, each story from one seed. What must always hold is checked by code that shares
//! nothing with the planner. `VERDIGRIS_SEEDS` and `VERDIGRIS_STEPS` say how much, `VERDIGRIS_SEED` which seed alone, told line by line;
//! `tests/bench/simulate` plays many more, and faster.

mod play;

use self::play::{Played, play};

/// A few hundred stories, each short enough that all of them are over in a minute.
const SEEDS: u64 = 200;
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
        assert_eq!(one.text, other.text);
        let untold = play(seed, STEPS, false);
        let told = |played: &Played| (played.print, played.steps, played.kinds.clone());
        assert_eq!(told(&one), told(&untold));
    }
}
