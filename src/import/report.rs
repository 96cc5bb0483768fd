//! What became of a file, key by key, as people read it and as programs do.

use std::fmt::Write as _;

use serde::Serialize;

/// What became of one key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It cannot be asked for here, or not so.
    NotPossible,
    /// No key of Serverless's.
    Unknown,
    /// It is asked for in another way, or comes near.
    Changed,
    /// It serves something that is not there any more, or that comes by itself.
    NotNeeded,
    /// It means the same.
    Taken,
}

/// One key of the file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// `functions.stock.events[0].http`
    pub path: String,
    pub verdict: Verdict,
    /// Where it stands now; or why not, and what comes nearest.
    pub told: String,
    /// How many keys this speaks of: itself and those below it.
    pub keys: usize,
}

/// What became of the whole file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// What the file is called.
    pub file: String,
    /// `AWS` or `Azure`.
    pub dialect: &'static str,
    /// The stages that became environments.
    pub stages: Vec<String>,
    /// What is left for people to do.
    pub todo: Vec<String>,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

/// Headings, in the order of reading: what needs a person comes first.
const SECTIONS: [(Verdict, &str); 5] = [
    (Verdict::NotPossible, "Not possible"),
    (Verdict::Unknown, "Not known"),
    (Verdict::Changed, "Changed"),
    (Verdict::NotNeeded, "Not needed"),
    (Verdict::Taken, "Taken over"),
];

/// A line is filled up to here.
const WIDTH: usize = 100;

impl Report {
    /// How many keys met a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let found = self.entries.iter().filter(|entry| entry.verdict == verdict);
        found.map(|entry| entry.keys).sum()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = self.heading();
        if !self.todo.is_empty() {
            text.push_str("\nLeft to do\n");
            for todo in &self.todo {
                paragraph(&mut text, "  - ", todo);
            }
        }
        for (verdict, heading) in SECTIONS {
            self.section(&mut text, verdict, heading);
        }
        text
    }

    /// `serverless.yml (AWS), stages dev and prod: 41 keys: 28 taken over, 13 changed`.
    fn heading(&self) -> String {
        let Self {
            file,
            dialect,
            stages,
            todo: _,
            entries,
        } = self;
        let keys: usize = entries.iter().map(|entry| entry.keys).sum();
        let counts = SECTIONS.iter().rev().filter_map(|(verdict, word)| {
            let count = self.count(*verdict);
            (count > 0).then(|| format!("{count} {}", word.to_lowercase()))
        });
        let counts: Vec<String> = counts.collect();
        let of_stages = match stages.as_slice() {
            [] => String::new(),
            [stage] => format!(", stage {stage}"),
            stages => format!(", stages {}", stages.join(", ")),
        };
        format!(
            "{file} ({dialect}){of_stages}: {keys} keys: {}\n",
            counts.join(", ")
        )
    }

    fn section(&self, text: &mut String, verdict: Verdict, heading: &str) {
        let lines = self.lines(verdict);
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{heading}");
        for (paths, told) in lines {
            let paths = paths.join(", ");
            if paths.len() + told.len() + 5 <= WIDTH && verdict == Verdict::Taken {
                let _ = writeln!(text, "  {paths} → {told}");
            } else {
                paragraph(text, "  ", &paths);
                paragraph(text, "      ", &told);
            }
        }
    }

    /// What is said of several keys is said once.
    fn lines(&self, verdict: Verdict) -> Vec<(Vec<&str>, String)> {
        let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.verdict == verdict) {
            match lines.iter_mut().find(|(_, told)| *told == entry.told) {
                Some((paths, _)) => paths.push(&entry.path),
                None => lines.push((vec![&entry.path], entry.told.clone())),
            }
        }
        lines
    }
}

/// Words between `start`, which the following lines are indented by, and the end of the line.
fn paragraph(text: &mut String, start: &str, words: &str) {
    let indent = " ".repeat(start.len());
    let mut line = start.to_owned();
    for (index, word) in words.split(' ').enumerate() {
        let is_full = line.chars().count() + 1 + word.chars().count() > WIDTH;
        if index > 0 && is_full {
            text.push_str(line.trim_end());
            text.push('\n');
            line = indent.clone();
        } else if index > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
