//! How a command ends: exit codes, and errors with a way out.

use std::{error::Error, fmt, process::ExitCode};

use super::screen::Screen;

/// What the exit code says. Documented in `--help`, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    Done,
    Wrong,
    /// `plan` has something to do; `--wait` and `wait` ran out of time.
    Pending,
    Refused,
    Unreachable,
}

/// For the end of `--help`.
pub(super) const CODES: &str = "Exit codes:
  0  done, or nothing to do
  1  an error; also wrong arguments
  2  something to do (plan), or not there yet (wait, --wait)
  3  the server refused
  4  the server could not be reached";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Wrong => 1,
            Exit::Pending => 2,
            Exit::Refused => 3,
            Exit::Unreachable => 4,
        })
    }
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub(super) struct CliError {
    exit: Exit,
    message: String,
    help: Option<String>,
}

pub(super) type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(Exit::Wrong, message)
    }

    /// With its causes.
    pub(super) fn of(error: &dyn Error) -> Self {
        Self::wrong(chain(error))
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// `error: …`, then `help: …`.
    pub(super) fn tell(&self, screen: &Screen) {
        let Self {
            exit: _,
            message,
            help,
        } = self;
        screen.fault("error", message);
        if let Some(help) = help {
            screen.advice(help);
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error with its causes, in one line; a cause that its effect has told already is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}
