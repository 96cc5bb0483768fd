//! Plays stories of the simulation, as many as asked, on every core, and finds the shortest beginning of one that breaks a law.
//!
//! `--seeds N` (1000) from `--from N` (0), each of `--steps N` (2000), on `--threads N` (all cores). `--seed N` plays one; `--story` tells
//! it line by line. `--counts` prints one line for machines and tells no story. The exit code is 1 where a law is broken.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]

#[path = "../it/simulation/play/mod.rs"]
mod play;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use play::{Broken, play};
use tokio::time::Instant;

/// What is to be played.
struct Wish {
    from: u64,
    seeds: u64,
    steps: u64,
    threads: usize,
    is_told: bool,
    counts_only: bool,
}

/// What came of all of it.
#[derive(Default)]
struct Found {
    steps: u64,
    kinds: BTreeMap<&'static str, u64>,
    /// Equal where all stories were equal.
    print: u64,
    broken: BTreeMap<u64, Broken>,
}

fn main() -> ExitCode {
    let wish = Wish::from_args();
    if wish.is_told {
        let played = play(wish.from, wish.steps, true);
        print!("{}", played.text);
        return told(wish.from, &wish, played.broken.as_ref());
    }
    // Each worker plays one seed after the other; a panic of the daemon is told as a law that broke.
    let started = Instant::now();
    let found = all(&wish, started);
    let took = started.elapsed();
    if wish.counts_only {
        counted(&wish, &found);
    } else {
        figures(&wish, &found, took);
    }
    let first = found.broken.iter().next().filter(|_| !wish.counts_only);
    first.map_or(exit(&found), |(seed, broken)| {
        told(*seed, &wish, Some(broken))
    })
}

impl Wish {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let has = |name: &str| args.iter().any(|arg| arg == name);
        let number = |name: &str| {
            let place = args.iter().position(|arg| arg == name)?;
            let value = args.get(place + 1).and_then(|value| value.parse().ok());
            Some(value.unwrap_or_else(|| panic!("{name} wants a number")))
        };
        let one: Option<u64> = number("--seed");
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = number("--threads").and_then(|count| usize::try_from(count).ok());
        Self {
            from: one.or_else(|| number("--from")).unwrap_or(0),
            seeds: if one.is_some() {
                1
            } else {
                number("--seeds").unwrap_or(1000)
            },
            steps: number("--steps").unwrap_or(2000),
            threads: threads.unwrap_or(cores),
            is_told: has("--story"),
            counts_only: has("--counts"),
        }
    }
}

fn all(wish: &Wish, started: Instant) -> Found {
    let next = AtomicU64::new(wish.from);
    let found = Mutex::new(Found::default());
    std::thread::scope(|scope| {
        for _ in 0..wish.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= wish.from + wish.seeds {
                        return;
                    }
                    let played = play(seed, wish.steps, false);
                    let mut found = found.lock().unwrap();
                    found.steps += played.steps;
                    found.print ^= played.print;
                    for (kind, count) in played.kinds {
                        *found.kinds.entry(kind).or_default() += count;
                    }
                    found
                        .broken
                        .extend(played.broken.map(|broken| (seed, broken)));
                    progress(wish, seed, &found, started);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn progress(wish: &Wish, seed: u64, found: &Found, started: Instant) {
    let done = seed - wish.from + 1;
    if !wish.counts_only && done.is_multiple_of(500) {
        let (steps, broken) = (found.steps, found.broken.len());
        eprintln!(
            "{done} seeds, {steps} steps, {broken} broken, {:.0?}",
            started.elapsed()
        );
    }
}

fn figures(wish: &Wish, found: &Found, took: Duration) {
    let Wish {
        from,
        seeds,
        steps,
        threads,
        ..
    } = wish;
    let rate = found.steps as f64 / took.as_secs_f64();
    println!("{seeds} seeds from {from}, at least {steps} steps each, on {threads} threads");
    println!(
        "{} steps in {took:.1?}: {rate:.0} steps a second",
        found.steps
    );
    let kinds = found
        .kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"));
    println!("{}", kinds.collect::<Vec<_>>().join(", "));
    println!("fingerprint of all stories: {:016x}", found.print);
    println!("{} seeds broke a law", found.broken.len());
    for (seed, Broken { law, told, step }) in found.broken.iter().take(50) {
        println!("  seed {seed}, step {step}: {law}: {told}");
    }
}

/// `found 17 of 200: blue serves only what passed 12, claims are true 5`
fn counted(wish: &Wish, found: &Found) {
    let mut laws: BTreeMap<&str, u64> = BTreeMap::new();
    for broken in found.broken.values() {
        *laws.entry(broken.law).or_default() += 1;
    }
    let laws = laws.iter().map(|(law, count)| format!("{law} {count}"));
    let laws = laws.collect::<Vec<_>>().join(", ");
    let first = found
        .broken
        .keys()
        .next()
        .map(|seed| format!("; first seed {seed}"));
    println!(
        "found by {} of {}: {laws}{}",
        found.broken.len(),
        wish.seeds,
        first.unwrap_or_default()
    );
}

/// The shortest story of the seed that breaks a law, and how to see it again.
fn told(seed: u64, wish: &Wish, broken: Option<&Broken>) -> ExitCode {
    let Some(broken) = broken else {
        return ExitCode::SUCCESS;
    };
    println!(
        "\nseed {seed} breaks `{}` at step {}: {}",
        broken.law, broken.step, broken.told
    );
    if !wish.is_told {
        let steps = shortest(seed, wish.steps);
        let text = play(seed, steps, true).text;
        let lines: Vec<&str> = text.lines().collect();
        println!(
            "the shortest story that breaks a law has {steps} steps before its calm; its end:"
        );
        for line in &lines[lines.len().saturating_sub(60)..] {
            println!("{line}");
        }
        println!(
            "again, from its beginning: tests/bench/simulate --seed {seed} --steps {steps} --story"
        );
    }
    ExitCode::FAILURE
}

/// Fewer steps mean that calm comes sooner, and a story may break then too; the fewest that do, found by halving.
fn shortest(seed: u64, steps: u64) -> u64 {
    let (mut good, mut bad) = (0, steps);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if play(seed, middle, false).broken.is_some() {
            bad = middle;
        } else {
            good = middle;
        }
    }
    bad
}

fn exit(found: &Found) -> ExitCode {
    if found.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
