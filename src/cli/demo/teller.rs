//! The voice of the demo: short lines, each with the time since the start.

use tokio::time::Instant;

use crate::cli::screen::{Screen, Tone};

/// Where the text of a line begins.
const MARGIN: usize = 22;

/// Tells the story.
pub(super) struct Teller<'a> {
    screen: &'a Screen,
    start: Instant,
}

impl<'a> Teller<'a> {
    /// Time counts from here.
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            start: Instant::now(),
        }
    }

    pub(super) fn title(&self, text: &str) {
        self.screen.line(&self.screen.paint(Tone::Strong, text));
        self.screen.line("");
    }

    pub(super) fn chapter(&self, number: u8, title: &str) {
        self.screen.line("");
        let head = format!("{number}. {title}");
        self.screen.line(&self.screen.paint(Tone::Strong, &head));
    }

    /// `  3.1s  price       live on both clouds`
    pub(super) fn line(&self, tone: Tone, subject: &str, text: &str) {
        let time = format!("{:>6.1}s", self.start.elapsed().as_secs_f64());
        let time = self.screen.paint(Tone::Quiet, &time);
        // Painted after padding: codes of colours have no width.
        let subject = self.screen.paint(Tone::Plain, &format!("{subject:<11}"));
        let text = self.screen.paint(tone, text);
        self.screen.line(&format!("{time}  {subject} {text}"));
    }

    /// More about the line before.
    pub(super) fn more(&self, text: &str) {
        let text = self.screen.paint(Tone::Quiet, text);
        self.screen.line(&format!("{:MARGIN$}{text}", ""));
    }

    /// Something to copy.
    pub(super) fn command(&self, text: &str) {
        let text = self.screen.paint(Tone::Blue, text);
        self.screen.line(&format!("{:MARGIN$}{text}", ""));
    }

    pub(super) fn end(&self, text: &str) {
        self.screen.line("");
        self.line(Tone::Good, "the end", text);
    }
}
