//! What is wrong with a manifest, where, and what to write instead. Data for printing: nothing is decided here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::ServiceName;

/// One thing to change in one file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// As given to `parse_file`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In bytes of the file's text, for those who show the text around it.
    pub offset: usize,
    pub length: usize,
    /// `spec.functions.stock.http`; empty where the whole document is meant.
    pub field: String,
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
    pub severity: Severity,
    /// The service that this fault stops, where it is known and severe enough.
    pub service: Option<ServiceName>,
}

/// Whether a fault stops its document.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document is not used; the last good release of its service stands.
    Error,
    /// The document is used; something will not be as its author may think.
    Warning,
}

impl Fault {
    pub fn is_error(&self) -> bool {
        match self.severity {
            Severity::Error => true,
            Severity::Warning => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.is_error() {
            f.write_str("warning: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(help) => write!(f, " (help: {help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// The text itself is not kept here: give it with `miette::Report::new(fault).with_source_code(NamedSource::new(file, text))`.
impl miette::Diagnostic for Fault {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.suggestion.as_deref()?;
        Some(Box::new(help))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let text = if self.field.is_empty() {
            "here".to_owned()
        } else {
            self.field.clone()
        };
        let label = miette::LabeledSpan::new(Some(text), self.offset, self.length);
        Some(Box::new(std::iter::once(label)))
    }
}
