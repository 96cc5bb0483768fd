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

impl Fault {
    /// The fault with the text around it, for a terminal. `text` is the file as it was parsed.
    pub fn into_report(self, text: &str) -> miette::Report {
        let source = miette::NamedSource::new(&self.file, text.to_owned());
        miette::Report::new(Shown {
            fault: self,
            source: source.with_language("yaml"),
        })
    }
}

/// A fault together with its text: place and help are drawn, so they are not in the sentence.
#[derive(Debug)]
struct Shown {
    fault: Fault,
    source: miette::NamedSource<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.fault.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.fault.suggestion.as_deref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let field = Some(self.fault.field.clone()).filter(|field| !field.is_empty());
        let (offset, length) = (self.fault.offset, self.fault.length);
        let label = miette::LabeledSpan::new(field, offset, length);
        Some(Box::new(std::iter::once(label)))
    }
}
