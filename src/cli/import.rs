//! `verdigris import`: what there is elsewhere becomes manifests.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use clap::Args;

use super::{
    exit::{CliError, Exit, Result},
    output::Output,
    screen::{Screen, clean_lines},
    validate::root_of,
};
use crate::import::{self, Around, FILE_MAX, Imported};

/// Turns a serverless.yml into manifests, and tells what became of each of its keys
#[derive(Args, Debug)]
#[command(after_help = "\
Manifests go to standard output and the report to standard error; with --to, manifests go to that file and the report to standard
output. AWS and Azure dialects of Serverless 3 are read, and what version 4 keeps. Nothing is asked of any cloud.")]
pub(super) struct Import {
    /// A serverless.yml
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A stage that becomes an environment; those that the file names where unsaid
    #[arg(long = "stage", value_name = "NAME")]
    stages: Vec<String>,
    /// A new file for the manifests
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// `json` for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Import {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            file,
            stages,
            to,
            output,
        } = self;
        let text = read(file).map_err(|error| {
            CliError::wrong(format!("failed to read `{}`: {error}", file.display()))
        })?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let beside = |path: &str| read_beside(&folder, path);
        let around = Around {
            file: &file.file_name().unwrap_or_default().to_string_lossy(),
            folder: &folder_in_repository(file),
            stages,
            files: &beside,
        };
        let imported = import::serverless(&text, &around).map_err(|error| {
            let error = CliError::of(&error);
            CliError::wrong(format!("`{}` {error}", file.display()))
        })?;
        if let Some(to) = to {
            write_new(to, &imported.manifests)?;
        }
        tell(screen, *output, &imported, to.is_some())?;
        Ok(Exit::Done)
    }
}

fn tell(screen: &Screen, output: Output, imported: &Imported, is_written: bool) -> Result<()> {
    let Imported { manifests, report } = imported;
    let json = serde_json::json!({ "manifests": manifests, "report": report });
    match output {
        Output::Json => screen.json(&json)?,
        Output::Yaml => screen.yaml(&json)?,
        Output::Name | Output::Table | Output::Wide if is_written => {
            screen.text(&clean_lines(&report.text()))
        }
        Output::Name | Output::Table | Output::Wide => {
            screen.text(&clean_lines(manifests));
            for line in report.text().lines() {
                screen.remark(line);
            }
        }
    }
    Ok(())
}

/// No more than decides whether the file is too large.
fn read(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, FILE_MAX as u64 + 1), &mut text)?;
    Ok(text)
}

/// A file that the imported one names; only from its own folder and those below.
fn read_beside(folder: &Path, path: &str) -> Option<String> {
    let is_below = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = folder.join(path);
    let is_file = is_below && fs::symlink_metadata(&whole).is_ok_and(|kind| kind.is_file());
    is_file.then(|| read(&whole).ok()).flatten()
}

/// The folder of the working copy that a file lies in; empty for its root, and where there is none.
fn folder_in_repository(file: &Path) -> String {
    let root = root_of(file);
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute
        .parent()
        .and_then(|folder| folder.strip_prefix(&root).ok());
    folder
        .map(|folder| folder.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn write_new(to: &Path, text: &str) -> Result<()> {
    let failed = |error: io::Error| {
        CliError::wrong(format!("failed to write `{}`: {error}", to.display()))
            .help("name a file that is not there yet")
    };
    let mut file = fs::File::create_new(to).map_err(failed)?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}
