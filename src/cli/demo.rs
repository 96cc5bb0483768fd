//! `verdigris demo`: the whole job on this machine, told as a story.

use clap::Args;

use super::{
    exit::{CliError, Exit, Result},
    screen::Screen,
};

/// Shows the whole job on this machine: both clouds, a repository, merges, a rejection, a rollback, drift
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// End after the story, and say by the exit code whether every step went as told
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) async fn run(&self, _screen: &Screen) -> Result<Exit> {
        let Self { once: _ } = self;
        Err(CliError::wrong("the demo is not part of this build"))
    }
}
