//! What the benches share: figures, a large repository, and a world that costs nothing.

pub(crate) mod fleet;
pub(crate) mod repository;

use std::time::Duration;

/// Times of the same thing, done again and again.
pub(crate) struct Figure {
    name: &'static str,
    times: Vec<Duration>,
}

impl Figure {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            times: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    pub(crate) fn median(&self) -> Duration {
        self.share(50)
    }

    /// The time that this share of all, in percent, stayed below.
    pub(crate) fn share(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    }

    /// `read 1.2 ms (0.9–4.0)`.
    pub(crate) fn print(&self) {
        let least = millis(self.share(0));
        let most = millis(self.share(100));
        println!(
            "  {:<52} {:>9} ms ({least}–{most}, n={})",
            self.name,
            millis(self.median()),
            self.times.len()
        );
    }
}

/// Prints how one figure relates to another of the same run.
pub(crate) fn ratio(what: &str, ours: Duration, peer: Duration) {
    let times = ours.as_secs_f64() / peer.as_secs_f64();
    println!("  {what:<52} {times:>9.3} times");
}

pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

pub(crate) fn line(what: &str, value: &str) {
    println!("  {what:<52} {value:>9}");
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// A number from the command line's environment, or what is usual.
pub(crate) fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}
