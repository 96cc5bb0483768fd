//! What happened, in words, and in a number that two runs can be compared by.

use std::{collections::BTreeMap, fmt::Write as _};

use verdigris::name::Timestamp;

/// Something that must never be so, and was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Broken {
    /// The law's name: stable, so that runs can be counted by it.
    pub(crate) law: &'static str,
    pub(crate) told: String,
    /// After how many steps.
    pub(crate) step: u64,
}

/// One line for each step, where somebody wants to read it.
#[derive(Debug)]
pub(crate) struct Story {
    lines: Option<Vec<String>>,
    print: u64,
    steps: u64,
    kinds: BTreeMap<&'static str, u64>,
    broken: Option<Broken>,
}

impl Story {
    pub(crate) fn new(is_told: bool) -> Self {
        Self {
            lines: is_told.then(Vec::new),
            print: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            kinds: BTreeMap::new(),
            broken: None,
        }
    }

    /// One step: something arrived, or somebody did something.
    pub(crate) fn step(
        &mut self,
        at: Timestamp,
        kind: &'static str,
        line: impl FnOnce() -> String,
    ) {
        self.steps += 1;
        *self.kinds.entry(kind).or_default() += 1;
        for byte in kind.bytes().chain(at.millis().to_be_bytes()) {
            self.print = (self.print ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(format!(
                "{:>6} {} {kind}: {}",
                self.steps,
                clock(at),
                line()
            ));
        }
    }

    /// Something that belongs to the step before.
    pub(crate) fn aside(&mut self, at: Timestamp, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("       {} {}", clock(at), line()));
        }
    }

    /// The first law that was broken counts: what comes after may follow from it.
    pub(crate) fn broke(&mut self, at: Timestamp, law: &'static str, told: String) {
        if self.broken.is_none() {
            self.aside(at, || format!("!!! {law}: {told}"));
            let step = self.steps;
            self.broken = Some(Broken { law, told, step });
        }
    }

    pub(crate) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Equal for equal stories, told or not.
    pub(crate) fn print(&self) -> u64 {
        self.print
    }

    pub(crate) fn kinds(&self) -> &BTreeMap<&'static str, u64> {
        &self.kinds
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines.iter().flatten() {
            // Writing to a string cannot fail.
            writeln!(text, "{line}").unwrap();
        }
        text
    }
}

/// Time of day is enough: a story takes hours.
fn clock(at: Timestamp) -> String {
    at.to_string()
        .get(8..23)
        .unwrap_or_default()
        .replace('T', " ")
}
