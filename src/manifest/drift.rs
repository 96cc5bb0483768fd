//! What is done about live state that nobody asked for in Git.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// What is done about drift, and which fields are left to others.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Drift {
    pub mode: DriftMode,
    /// Fields whose drift is neither repaired nor told.
    pub ignore: BTreeSet<FieldPattern>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    /// It is repaired.
    #[default]
    Enforce,
    /// It is told.
    Observe,
}

/// A field as drift is told, such as `stock.memory`; `*` stands for anything. It covers all that lies below it: `stock.env` is every
/// variable of `stock`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldPattern(pub String);

/// As records of earlier versions have it: the mode alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Mode(DriftMode),
    Whole {
        mode: DriftMode,
        #[serde(default)]
        ignore: BTreeSet<FieldPattern>,
    },
}

impl From<Stored> for Drift {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Mode(mode) => mode.into(),
            Stored::Whole { mode, ignore } => Self { mode, ignore },
        }
    }
}

impl From<DriftMode> for Drift {
    fn from(mode: DriftMode) -> Self {
        Self {
            mode,
            ignore: BTreeSet::new(),
        }
    }
}

impl Drift {
    /// Whether drift of a field is left to others.
    pub fn ignores(&self, field: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern.covers(field))
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FieldPattern {
    /// # Errors
    ///
    /// Says what is wrong: nothing, blanks, or more than any field has.
    pub fn new(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 256;
        let is_part = |c: char| c.is_ascii_graphic();
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(is_part) {
            return Err(format!("`{text}` names no field"));
        }
        Ok(Self(text.to_owned()))
    }

    fn covers(&self, field: &str) -> bool {
        let ends = field.match_indices('.').map(|(end, _)| &field[..end]);
        ends.chain([field]).any(|start| is_like(&self.0, start))
    }
}

/// Whether a text is as a pattern says. The last star that was met takes one more character whenever the rest does not fit.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut of_text) = (0, 0);
    let mut star = None;
    while of_text < text.len() {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, of_text));
                at += 1;
            }
            (Some(byte), _) if *byte == text[of_text] => {
                at += 1;
                of_text += 1;
            }
            (Some(_) | None, Some((star_at, taken))) => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                of_text = taken + 1;
            }
            (Some(_) | None, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_names_and_what_lies_below() {
        for (pattern, field, covers) in [
            ("stock.memory", "stock.memory", true),
            ("stock.memory", "stock.memoryMax", false),
            ("stock.env", "stock.env.LOG_LEVEL", true),
            ("stock", "stock.env.LOG_LEVEL", true),
            ("stock.env.LOG_LEVEL", "stock.env", false),
            ("*.memory", "stock.memory", true),
            ("*.env.DEBUG_*", "stock.env.DEBUG_SQL", true),
            ("*.env.DEBUG_*", "stock.env.SQL", false),
            ("*ock*", "stock.memory", true),
            ("**", "anything", true),
            ("", "stock", false),
        ] {
            let pattern = FieldPattern(pattern.to_owned());
            assert_eq!(pattern.covers(field), covers, "{pattern} {field}");
        }
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let read = |text: &str| serde_json::from_str::<Drift>(text).ok();
        assert_eq!(read("\"observe\""), Some(DriftMode::Observe.into()));
        let whole = Drift {
            mode: DriftMode::Enforce,
            ignore: BTreeSet::from([FieldPattern("*.memory".to_owned())]),
        };
        let text = serde_json::to_string(&whole).unwrap_or_default();
        assert_eq!(read(&text), Some(whole));
    }
}
