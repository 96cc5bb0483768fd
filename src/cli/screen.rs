//! The only printer. Colours are for terminals, and what comes from outside cannot steer one.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;

/// Where a command speaks to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Standard output takes colours.
    out: bool,
    /// Standard error takes colours.
    err: bool,
    /// Somebody watches standard error: progress is worth showing.
    watched: bool,
    /// Somebody looks at standard output.
    drawn: bool,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

/// What a piece of text means; colours follow from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Quiet,
    Good,
    Busy,
    Bad,
    Blue,
    Green,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Quiet => Some("2"),
            Self::Good | Self::Green => Some("32"),
            Self::Busy => Some("33"),
            Self::Bad => Some("31"),
            Self::Blue => Some("34"),
        }
    }
}

impl Screen {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line reads the environment"
    )]
    pub(super) fn new(choice: ColorChoice) -> Self {
        // By the convention of no-color.org an empty value does not count.
        let forbidden = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        let takes = |is_terminal: bool| match choice {
            ColorChoice::Auto => is_terminal && !forbidden,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let watched = io::stderr().is_terminal();
        Self {
            out: takes(io::stdout().is_terminal()),
            err: takes(watched),
            watched,
            drawn: io::stdout().is_terminal() || choice == ColorChoice::Always,
        }
    }

    /// Whether standard output takes colours.
    pub(super) fn is_colored(&self) -> bool {
        self.out
    }

    /// Whether faults are drawn into their text: somebody looks, or asked for colours.
    pub(super) fn is_graphical(&self) -> bool {
        self.drawn
    }

    /// Whether standard error takes colours.
    pub(super) fn is_err_colored(&self) -> bool {
        self.err
    }

    /// A text for standard output in the colour of its meaning, with control characters made visible.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.out, tone, text)
    }

    /// Prints a finished text and a line end.
    pub(super) fn line(&self, text: &str) {
        write_or_end(&mut io::stdout().lock(), &format!("{text}\n"));
    }

    /// Prints a finished text and a line end. An error says that nobody reads any more: for commands that must end in order.
    pub(super) fn try_line(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(format!("{text}\n").as_bytes())?;
        out.flush()
    }

    /// Prints a finished text that brings its own line ends.
    pub(super) fn text(&self, text: &str) {
        write_or_end(&mut io::stdout().lock(), text);
    }

    /// A remark on standard error.
    pub(super) fn remark(&self, text: &str) {
        let text = clean(text);
        write_or_end(&mut io::stderr().lock(), &format!("{text}\n"));
    }

    pub(super) fn fault(&self, word: &str, message: &str) {
        let word = paint(self.err, Tone::Bad, word);
        let message = clean_lines(message);
        write_or_end(&mut io::stderr().lock(), &format!("{word}: {message}\n"));
    }

    pub(super) fn advice(&self, message: &str) {
        let word = paint(self.err, Tone::Good, "help");
        let message = clean_lines(message);
        write_or_end(&mut io::stderr().lock(), &format!("{word}: {message}\n"));
    }

    /// Rewrites the one line of progress; quiet where nobody watches.
    pub(super) fn progress(&self, text: &str) {
        if self.watched {
            let text = clean(text);
            // A longer line would wrap, and could not be rewritten.
            let short: String = text.chars().take(PROGRESS_MAX).collect();
            write_or_end(&mut io::stderr().lock(), &format!("\r\x1b[K{short}"));
        }
    }

    /// Takes the line of progress away.
    pub(super) fn progress_done(&self) {
        if self.watched {
            write_or_end(&mut io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// A terminal has at least so many columns.
const PROGRESS_MAX: usize = 79;

fn paint(colored: bool, tone: Tone, text: &str) -> String {
    let text = clean(text);
    match tone.code() {
        Some(code) if colored && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
        Some(_) | None => text.into_owned(),
    }
}

/// Whoever reads us may stop reading, as `head` does: that ends the program, and is no fault.
fn write_or_end(to: &mut impl Write, text: &str) {
    if to.write_all(text.as_bytes()).is_err() || to.flush().is_err() {
        std::process::exit(0);
    }
}

/// Control characters, and those that change the direction of text, as escapes that can be seen.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_steering) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_steering(c) {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    Cow::Owned(cleaned)
}

/// As [`clean`], but line ends stay.
pub(super) fn clean_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(clean).collect();
    lines.join("\n")
}

/// A character that a terminal obeys rather than shows.
pub(super) fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_not_obeyed() {
        for (text, shown) in [
            ("plain, grüße, 蓝", "plain, grüße, 蓝"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn a_painted_text_is_cleaned_first() {
        assert_eq!(
            paint(true, Tone::Bad, "a\x1b[0m"),
            "\x1b[31ma\\u{1b}[0m\x1b[0m"
        );
        assert_eq!(paint(false, Tone::Bad, "a"), "a");
    }
}
