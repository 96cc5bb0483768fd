//! `verdigris schema`: JSON Schemas of the manifests.

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Result},
    screen::Screen,
};
use crate::manifest::schema::{self, Kind};

/// Prints the JSON Schema of a kind, or of all of them in one
#[derive(Args, Debug)]
pub(super) struct Schema {
    /// Without it, a schema for files with documents of any kind
    #[arg(value_enum, ignore_case = true)]
    kind: Option<KindArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    #[value(name = "Service")]
    Service,
    #[value(name = "Environment")]
    Environment,
    #[value(name = "Gate")]
    Gate,
}

impl Schema {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let schema = match self.kind {
            None => schema::any(),
            Some(KindArg::Service) => schema::schema(Kind::Service),
            Some(KindArg::Environment) => schema::schema(Kind::Environment),
            Some(KindArg::Gate) => schema::schema(Kind::Gate),
        };
        screen.json(&schema)?;
        Ok(Exit::Done)
    }
}
