//! `verdigris completions`: scripts for shells.

use clap::{Args, CommandFactory};

use super::{
    Cli,
    exit::{CliError, Exit, Result},
    screen::Screen,
};

/// Prints a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verdigris completions bash > ~/.local/share/bash-completion/completions/verdigris
  verdigris completions zsh  > ~/.zfunc/_verdigris
  verdigris completions fish > ~/.config/fish/completions/verdigris.fish")]
pub(super) struct Completions {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "verdigris", &mut script);
        let script = String::from_utf8(script).map_err(|error| CliError::of(&error))?;
        screen.text(&script);
        Ok(Exit::Done)
    }
}
