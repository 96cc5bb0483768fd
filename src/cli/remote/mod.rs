//! Verbs that ask a daemon over HTTP.

use clap::Subcommand;

use super::{
    exit::{Exit, Result},
    screen::Screen,
};

#[derive(Debug, Subcommand)]
pub(super) enum Remote {}

impl Remote {
    pub(super) async fn run(self, _screen: &Screen) -> Result<Exit> {
        match self {}
    }
}
