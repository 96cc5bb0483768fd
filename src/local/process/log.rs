//! What processes wrote: a bounded ring of lines, and a bounded file where one is wanted.

use std::{
    collections::VecDeque,
    fmt,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use crate::{clock::Clock, name::Timestamp};

/// Longer lines are cut, so that one process cannot fill the memory of all.
pub(super) const LINE_MAX: usize = 8 * 1024;

/// A log file beyond this size is moved aside, and the one moved aside before it is dropped.
const FILE_MAX: u64 = 8 * 1024 * 1024;

/// Where a line came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Written by the local cloud itself, such as `START` and `REPORT`.
    Platform,
}

/// One kept line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub stream: Stream,
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.text)
    }
}

/// The newest lines of one function or site, shared by all of its processes. Cloning is not needed: share the `Arc`.
pub struct LogRing {
    clock: Arc<dyn Clock>,
    lines_max: usize,
    feeds: Option<Arc<Self>>,
    kept: Mutex<Kept>,
}

struct Kept {
    lines: VecDeque<LogLine>,
    file: Option<LogFile>,
}

impl LogRing {
    /// Keeps the newest `lines_max` lines in memory.
    pub fn new(clock: Arc<dyn Clock>, lines_max: usize) -> Arc<Self> {
        Self::build(clock, lines_max, None)
    }

    /// The lines of one process: each goes to `parent` too.
    pub fn feeding(parent: &Arc<Self>) -> Arc<Self> {
        let lines = VecDeque::new();
        Arc::new(Self {
            clock: Arc::clone(&parent.clock),
            lines_max: parent.lines_max,
            feeds: Some(Arc::clone(parent)),
            kept: Mutex::new(Kept { lines, file: None }),
        })
    }

    /// Also appends every line to `path`.
    ///
    /// # Errors
    ///
    /// Fails where the file or its folder cannot be made.
    pub fn with_file(
        clock: Arc<dyn Clock>,
        lines_max: usize,
        path: &Path,
    ) -> std::io::Result<Arc<Self>> {
        Ok(Self::build(clock, lines_max, Some(LogFile::open(path)?)))
    }

    fn build(clock: Arc<dyn Clock>, lines_max: usize, file: Option<LogFile>) -> Arc<Self> {
        let lines = VecDeque::new();
        Arc::new(Self {
            clock,
            lines_max,
            feeds: None,
            kept: Mutex::new(Kept { lines, file }),
        })
    }

    /// Adds a line; the oldest makes room.
    pub fn push(&self, stream: Stream, text: &str) {
        if let Some(parent) = &self.feeds {
            parent.push(stream, text);
        }
        let line = LogLine {
            at: self.clock.now(),
            stream,
            text: cut(text).to_owned(),
        };
        let mut kept = self.kept();
        if let Some(file) = &mut kept.file {
            file.append(&line);
        }
        while kept.lines.len() >= self.lines_max.max(1) {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line);
    }

    /// What is kept, oldest first.
    pub fn lines(&self) -> Vec<LogLine> {
        self.kept().lines.iter().cloned().collect()
    }

    /// Forgets the lines in memory; a file keeps its own.
    pub fn clear(&self) {
        self.kept().lines.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most [`LINE_MAX`] bytes, cut between characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LINE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    fn open(path: &Path) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
        })
    }

    /// A disk that is full must not stop the function: the line stays in the ring.
    fn append(&mut self, line: &LogLine) {
        if self.size > FILE_MAX {
            self.turn_over();
        }
        let text = format!("{line}\n");
        if self.file.write_all(text.as_bytes()).is_ok() {
            self.size += text.len() as u64;
        }
    }

    fn turn_over(&mut self) {
        let old = self.path.with_extension("old");
        if std::fs::rename(&self.path, old).is_ok()
            && let Ok(fresh) = Self::open(&self.path)
        {
            *self = fresh;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn the_oldest_lines_make_room() {
        let ring = LogRing::new(Arc::new(SystemClock), 2);
        for text in ["one", "two", "three"] {
            ring.push(Stream::Stdout, text);
        }
        let texts: Vec<_> = ring.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["two", "three"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = "é".repeat(LINE_MAX);
        assert_eq!(cut(&long).len(), LINE_MAX);
        assert_eq!(cut(&format!("x{long}")).len(), LINE_MAX - 1);
    }
}
