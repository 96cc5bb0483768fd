//! The voice of the demo: short lines, each with the time since the start.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::screen::{Screen, Tone};

/// Where the text of a line begins.
const MARGIN: usize = 22;

/// Tells the story.
pub(super) struct Teller<'a> {
    screen: &'a Screen,
    start: Instant,
    /// Nobody reads any more, as after `| head` or on a terminal that was closed.
    left: CancellationToken,
}

impl<'a> Teller<'a> {
    /// Time counts from here.
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            start: Instant::now(),
            left: CancellationToken::new(),
        }
    }

    /// Returns once nobody reads any more.
    pub(super) async fn left(&self) {
        self.left.cancelled().await;
    }

    fn print(&self, text: &str) {
        if self.screen.try_line(text).is_err() {
            self.left.cancel();
        }
    }

    pub(super) fn title(&self, text: &str) {
        self.print(&self.screen.paint(Tone::Strong, text));
        self.print("");
    }

    pub(super) fn chapter(&self, number: u8, title: &str) {
        self.print("");
        let head = format!("{number}. {title}");
        self.print(&self.screen.paint(Tone::Strong, &head));
    }

    /// `  3.1s  price       live on both clouds`
    pub(super) fn line(&self, tone: Tone, subject: &str, text: &str) {
        let time = format!("{:>6.1}s", self.start.elapsed().as_secs_f64());
        let time = self.screen.paint(Tone::Quiet, &time);
        // Painted after padding: codes of colours have no width.
        let subject = self.screen.paint(Tone::Plain, &format!("{subject:<11}"));
        let text = self.screen.paint(tone, text);
        self.print(&format!("{time}  {subject} {text}"));
    }

    /// More about the line before.
    pub(super) fn more(&self, text: &str) {
        let text = self.screen.paint(Tone::Quiet, text);
        self.print(&format!("{:MARGIN$}{text}", ""));
    }

    /// Something to copy.
    pub(super) fn command(&self, text: &str) {
        let text = self.screen.paint(Tone::Blue, text);
        self.print(&format!("{:MARGIN$}{text}", ""));
    }

    /// The line after Ctrl-C, which a terminal shows as `^C` on a line of its own.
    pub(super) fn farewell(&self, text: &str) {
        self.print("");
        self.line(Tone::Plain, "stopping", text);
    }

    pub(super) fn end(&self, text: &str) {
        self.print("");
        self.line(Tone::Good, "the end", text);
    }
}
