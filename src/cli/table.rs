//! Columns that line up, whatever their colours.

use super::screen::{Screen, Tone, clean};

/// A table without lines, as `kubectl` and `ps` print theirs.
pub(super) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One field of a table.
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// What is empty shows as a hyphen, so that columns can be counted.
    pub(super) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        let text = clean(text.as_ref()).into_owned();
        Self {
            text: if text.is_empty() {
                "-".to_owned()
            } else {
                text
            },
            tone,
        }
    }

    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Between columns.
const GAP: &str = "   ";

impl Table {
    pub(super) fn new(head: Vec<&'static str>) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each with its end.
    pub(super) fn render(&self, screen: &Screen) -> String {
        let widths = self.widths();
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|word| Cell::new(Tone::Strong, word))
            .collect();
        let mut text = line(screen, &head, &widths);
        for row in &self.rows {
            text.push_str(&line(screen, row, &widths));
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width_of = |column: usize, word: &&str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.text.chars().count()).max();
            widest.unwrap_or(0).max(word.len())
        };
        let columns = self.head.iter().enumerate();
        columns
            .map(|(column, word)| width_of(column, word))
            .collect()
    }
}

/// The last column is not filled up: it may be long, and blanks at the end of a line help nobody.
fn line(screen: &Screen, cells: &[Cell], widths: &[usize]) -> String {
    let last = cells.len().saturating_sub(1);
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        line.push_str(&screen.paint(cell.tone, &cell.text));
        if column < last {
            let missing = width.saturating_sub(cell.text.chars().count());
            line.push_str(&" ".repeat(missing));
            line.push_str(GAP);
        }
    }
    line.push('\n');
    line
}
