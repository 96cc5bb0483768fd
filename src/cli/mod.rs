//! The command line: one file per command. Only this room prints.

mod completions;
mod demo;
mod exit;
mod follow;
mod import;
mod local;
mod manifests;
mod output;
mod plan;
mod remote;
mod run;
mod schema;
mod screen;
mod signals;
mod table;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{CliError, Exit};
use screen::{ColorChoice, Screen};

/// GitOps for serverless functions on AWS Lambda and Azure Functions at once: blue-green on both clouds, or on neither.
#[derive(Debug, Parser)]
#[command(
    name = "verdigris",
    version,
    max_term_width = 100,
    after_help = exit::CODES,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    /// When to use colours
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Local(local::Local),
    Plan(plan::Plan),
    Validate(validate::Validate),
    Import(import::Import),
    Schema(schema::Schema),
    #[command(flatten)]
    Remote(remote::Remote),
    Completions(completions::Completions),
}

/// Runs the command that the arguments name, and tells how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return usage(&refusal),
    };
    let Cli { color, command } = cli;
    let screen = Screen::new(color);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::wrong(format!("failed to start threads: {error}")))
        .and_then(|runtime| runtime.block_on(Box::pin(command.run(&screen))));
    let exit = outcome.unwrap_or_else(|error| {
        error.tell(&screen);
        error.exit()
    });
    exit.into()
}

/// Help and version are asked for; anything else is an error, and not the 2 that clap would say: `plan` needs that.
fn usage(refusal: &clap::Error) -> ExitCode {
    let exit = if refusal.use_stderr() {
        Exit::Wrong
    } else {
        Exit::Done
    };
    // Whoever does not read is not told.
    refusal.print().ok();
    exit.into()
}

impl Command {
    async fn run(self, screen: &Screen) -> exit::Result<Exit> {
        match self {
            Self::Demo(demo) => demo.run(screen).await,
            Self::Run(run) => run.run(screen).await,
            Self::Local(local) => local.run(screen).await,
            Self::Plan(plan) => plan.run(screen).await,
            Self::Validate(validate) => validate.run(screen),
            Self::Import(import) => import.run(screen).await,
            Self::Schema(schema) => schema.run(screen),
            Self::Remote(remote) => remote.run(screen).await,
            Self::Completions(completions) => completions.run(screen),
        }
    }
}
