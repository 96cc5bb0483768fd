//! One document of a file: its text, its tree, and positions in it.
//!
//! A file is cut into documents before it is parsed, so that a document that is no YAML at all leaves the others alone.

use std::{ops::Range, sync::Arc};

use serde::de::DeserializeSeed;

use super::{
    Node, Place,
    locate::{AsWritten, Probe},
    node::{Allowance, Seed},
};

const BOM: char = '\u{feff}';

/// One document of a file. Cheap to copy: the text is shared.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Document {
    pub(in crate::manifest) file: Arc<str>,
    text: Arc<str>,
    range: Range<usize>,
}

/// A position in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::manifest) struct Spot {
    pub(in crate::manifest) line: usize,
    pub(in crate::manifest) column: usize,
    pub(in crate::manifest) offset: usize,
    pub(in crate::manifest) length: usize,
}

/// Why a document has no tree.
#[derive(Debug)]
pub(in crate::manifest) struct Broken {
    pub(in crate::manifest) spot: Spot,
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: Option<String>,
}

/// Cuts a file into its documents, without the empty ones.
///
/// YAML lets `---` and `...` stand at the start of a line only as marks between documents, even within a text over several lines.
pub(in crate::manifest) fn split(file: &str, text: &str) -> Vec<Document> {
    let file: Arc<str> = file.into();
    let text: Arc<str> = text.into();
    let mut at = if text.starts_with(BOM) {
        BOM.len_utf8()
    } else {
        0
    };
    let mut cutter = Cutter {
        start: at,
        ..Cutter::default()
    };
    for line in text[at..].split_inclusive('\n') {
        cutter.take(line, at);
        at += line.len();
    }
    cutter.cut(at);
    let document = |range| Document {
        file: Arc::clone(&file),
        text: Arc::clone(&text),
        range,
    };
    cutter.ranges.into_iter().map(document).collect()
}

/// The document that is being read, and those before it.
#[derive(Default)]
struct Cutter {
    ranges: Vec<Range<usize>>,
    start: usize,
    has_content: bool,
    /// Lines such as `%YAML 1.2`, which belong to the mark that follows.
    has_directives: bool,
}

impl Cutter {
    fn take(&mut self, line: &str, at: usize) {
        match Mark::of(line) {
            Mark::Start => {
                if self.has_content || !self.has_directives {
                    self.has_directives = false;
                    self.cut(at);
                }
                self.has_directives = false;
                self.has_content = !is_blank(&line[3..]);
            }
            Mark::End => self.cut(at + line.len()),
            Mark::None if line.starts_with('%') && !self.has_content => self.has_directives = true,
            Mark::None => self.has_content |= !is_blank(line),
        }
    }

    /// Ends the document before `at`; one without content is left out.
    fn cut(&mut self, at: usize) {
        if self.has_content || self.has_directives {
            self.ranges.push(self.start..at);
        }
        self.start = at;
        self.has_content = false;
        self.has_directives = false;
    }
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

enum Mark {
    Start,
    End,
    None,
}

impl Mark {
    fn of(line: &str) -> Self {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
        if line.strip_prefix("---").is_some_and(ends) {
            Self::Start
        } else if line.strip_prefix("...").is_some_and(ends) {
            Self::End
        } else {
            Self::None
        }
    }
}

// === impl Document ===

impl Document {
    pub(in crate::manifest) fn text(&self) -> &str {
        &self.text[self.range.clone()]
    }

    /// # Errors
    ///
    /// Text that is not YAML, and trees over the limits.
    pub(in crate::manifest) fn parse(&self) -> Result<Node, Box<Broken>> {
        if let Some(offset) = too_deep(self.text()) {
            return Err(Box::new(Broken {
                spot: self.spot_at(self.range.start + offset),
                message: "far too many brackets are open here".to_owned(),
                help: Some("close them, or write it flatter".to_owned()),
            }));
        }
        let allowance = Allowance::new();
        let seed = Seed {
            allowance: &allowance,
            depth: 0,
        };
        let parsed = seed.deserialize(serde_yaml::Deserializer::from_str(self.text()));
        parsed.map_err(|error| Box::new(self.broken(&error, allowance.into_complaint())))
    }

    fn broken(&self, error: &serde_yaml::Error, complaint: Option<(String, String)>) -> Broken {
        let spot = self.spot_of(error);
        if let Some((message, help)) = complaint {
            let help = Some(help);
            return Broken {
                spot,
                message,
                help,
            };
        }
        let written = without_positions(&error.to_string());
        if self.is_tab_indented(spot) {
            return Broken {
                spot,
                message: "a tab may not indent YAML".to_owned(),
                help: Some("indent with spaces".to_owned()),
            };
        }
        if written.contains("a key that is text") {
            return Broken {
                spot,
                message: "a key must be text".to_owned(),
                help: None,
            };
        }
        Broken {
            spot,
            help: help_for_syntax(&written).map(str::to_owned),
            message: format!("this is not YAML: {written}"),
        }
    }

    /// Whether the line of a syntax error, or the one before (errors are found late), starts with a tab.
    fn is_tab_indented(&self, spot: Spot) -> bool {
        let is_indented = |line: &str| {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            line[..indent].contains('\t')
        };
        let first = spot.line.saturating_sub(2);
        self.text.lines().skip(first).take(2).any(is_indented)
    }

    /// Where a value or key stands; the start of the document where that cannot be told.
    pub(in crate::manifest) fn spot(&self, place: &Place) -> Spot {
        let steps = place.steps();
        let probe = Probe {
            steps: &steps,
            is_key: place.is_key,
        };
        match probe.deserialize(serde_yaml::Deserializer::from_str(self.text())) {
            Ok(_) => self.spot_at(self.range.start),
            Err(error) => self.spot_of(&error),
        }
    }

    /// The text of a scalar as it is written, before `1.10` becomes a number.
    pub(in crate::manifest) fn as_written(&self, place: &Place) -> Option<String> {
        let steps = place.steps();
        let seed = AsWritten(&steps);
        seed.deserialize(serde_yaml::Deserializer::from_str(self.text()))
            .ok()
    }

    /// The first line with content: where the whole document is meant.
    pub(in crate::manifest) fn first_spot(&self) -> Spot {
        let mut at = self.range.start;
        for line in self.text().split_inclusive('\n') {
            match Mark::of(line) {
                Mark::None if !is_blank(line) => break,
                Mark::Start if !is_blank(&line[3..]) => break,
                Mark::None | Mark::Start | Mark::End => at += line.len(),
            }
        }
        self.spot_at(at.min(self.range.end))
    }

    fn spot_of(&self, error: &serde_yaml::Error) -> Spot {
        let Some(location) = error.location() else {
            return self.first_spot();
        };
        let text = self.text();
        let offset = text.floor_char_boundary(location.index().min(text.trim_end().len()));
        self.spot_at(self.range.start + offset)
    }

    fn spot_at(&self, offset: usize) -> Spot {
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let in_line = before[line_start..].chars().filter(|c| *c != BOM);
        let rest = &self.text[offset..];
        Spot {
            line: before.matches('\n').count() + 1,
            column: in_line.count() + 1,
            offset,
            length: token_len(rest),
        }
    }
}

/// Where more brackets are open than any manifest has, if anywhere. The parser's time grows with their square, so this comes before it,
/// and is rough: it also counts those within texts.
fn too_deep(text: &str) -> Option<usize> {
    const OPEN_MAX: usize = 500;
    let mut open: usize = 0;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > OPEN_MAX
    })
}

/// How much to underline: a quoted text, or up to what ends a plain one.
fn token_len(rest: &str) -> usize {
    let line = rest.lines().next().unwrap_or("");
    let quoted = line
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''))
        .and_then(|quote| Some(line[1..].find(quote)? + 2));
    let ends = |c: char| matches!(c, ',' | '{' | '}' | '[' | ']' | '#' | ':');
    let plain = || line.find(ends).unwrap_or(line.len());
    let length = quoted.unwrap_or_else(plain);
    let shortest = rest.chars().next().map_or(0, char::len_utf8);
    line[..length].trim_end().len().max(shortest)
}

/// The parser's positions count from the start of the document; ours, from the start of the file, stand beside the message.
fn without_positions(message: &str) -> String {
    let mut kept = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" at line ") {
        kept.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = rest.strip_prefix(" column ").unwrap_or(rest);
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    kept.push_str(rest);
    kept
}

/// What people mostly did who see a message of the parser.
fn help_for_syntax(message: &str) -> Option<&'static str> {
    const HELPS: [(&str, &str); 5] = [
        (
            "unknown anchor",
            "write `&name` before the value that is meant",
        ),
        (
            "did not find expected ',' or",
            "between braces or brackets, write in quotes what holds `{`, `}`, `[`, `]`, `,` or `: `",
        ),
        (
            "mapping values are not allowed",
            "write in quotes what holds `: `, or check the indent",
        ),
        (
            "did not find expected key",
            "check the indent of this line and the one before",
        ),
        (
            "cannot start any token",
            "write in quotes what starts with `@`, a backtick or `%`",
        ),
    ];
    let found = HELPS.iter().find(|(part, _)| message.contains(part));
    found.map(|(_, help)| *help)
}
