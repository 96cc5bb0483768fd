//! `verdigris validate`: every fault of manifests, as a compiler tells them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use miette::{GraphicalReportHandler, GraphicalTheme};

use super::{
    exit::{CliError, Exit, Result},
    manifests::{self, Found},
    output::Output,
    screen::{Screen, clean, is_steering},
};
use crate::{
    desired,
    manifest::{
        fault::Fault,
        set::{self, FILE_MAX, FileDocs},
        spec::RepoPath,
        variables::{Asked, Commit, Sources},
    },
    name::{ObjectId, Revision},
};

/// Checks manifests, and tells all faults at once
#[derive(Args, Debug)]
#[command(after_help = "\
On a terminal faults are shown in their text; elsewhere one stands on a line, `file:line:column: …`.
Exit code 1 where there is an error; warnings alone are none.")]
pub(super) struct Validate {
    /// Files, and folders whose *.yaml and *.yml are read
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The repository's root, which sources are relative to; found by its .git where unsaid
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// `json` for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Validate {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            paths,
            root,
            output,
        } = self;
        let found = manifests::find(paths)?;
        let root = match root {
            Some(root) => root.clone(),
            None => root_of(&paths[0]),
        };
        let docs = parse(&found);
        let set = set::assemble_with(
            &docs,
            &Sources {
                env: &of_this_shell,
                file: &|path| of_working_copy(&root, path),
                commit: &commit(),
            },
        );
        let mut faults = set.faults.clone();
        faults.extend(missing_sources(&set, &root, paths));
        let checked = Checked {
            files: found.len(),
            services: set.services.len(),
            errors: faults.iter().filter(|fault| fault.is_error()).count(),
            faults,
        };
        match output {
            Output::Json => screen.json(&checked.as_json())?,
            Output::Yaml => screen.yaml(&checked.as_json())?,
            Output::Name => checked.names(screen),
            Output::Table | Output::Wide if screen.is_graphical() => {
                checked.graphical(screen, &found)?;
            }
            Output::Table | Output::Wide => checked.plain(screen),
        }
        Ok(if checked.errors == 0 {
            Exit::Done
        } else {
            Exit::Wrong
        })
    }
}

/// Whoever validates has the values in the shell; what the daemon allows is its own matter.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment"
)]
fn of_this_shell(name: &str) -> Asked {
    std::env::var(name).map_or(Asked::Unset, Asked::Value)
}

/// What `${file:…}` names, as it is in the working copy.
fn of_working_copy(root: &Path, path: &str) -> std::result::Result<Option<String>, String> {
    let whole = root.join(path);
    let kind = match std::fs::symlink_metadata(&whole) {
        Ok(kind) => kind,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match kind.is_file() && kind.len() <= FILE_MAX as u64 {
        true => std::fs::read_to_string(&whole)
            .map(Some)
            .map_err(|error| error.to_string()),
        false => Err(format!("it is no plain file of at most {FILE_MAX} bytes")),
    }
}

/// There is none yet: variables that speak of one get something of its form.
fn commit() -> Commit {
    Commit {
        sha: "0".repeat(40),
        branch: "main".to_owned(),
        message: "not committed".to_owned(),
    }
}

fn parse(found: &BTreeMap<String, Found>) -> BTreeMap<String, Arc<FileDocs>> {
    let read = |(path, found): (&String, &Found)| {
        let docs = match found {
            Found::Bytes(bytes) => set::parse_bytes(path, bytes),
            Found::Unreadable(why) => set::unreadable_file(path, why),
        };
        (path.clone(), Arc::new(docs))
    };
    found.iter().map(read).collect()
}

/// The nearest folder upwards that is a working copy; where there is none, the folder that was named.
pub(super) fn root_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = if absolute.is_dir() {
        absolute.as_path()
    } else {
        absolute.parent().unwrap_or(&absolute)
    };
    let root = folder.ancestors().find(|above| above.join(".git").exists());
    root.unwrap_or(folder).to_owned()
}

/// The check that a commit gets, with the file system in the place of its trees: only whether a folder is there counts.
fn missing_sources(set: &set::Set, root: &Path, paths: &[PathBuf]) -> Vec<Fault> {
    let Ok(nothing) = ObjectId::new("0".repeat(40)) else {
        return Vec::new();
    };
    let revision = Revision {
        reference: String::new(),
        commit: nothing.clone(),
    };
    let tree_of = |source: &RepoPath| {
        let folder = root.join(source.as_str());
        folder.is_dir().then(|| nothing.clone())
    };
    let mut faults = desired::assemble(set, &tree_of, &revision).faults;
    for fault in faults.iter_mut().filter(|it| it.field == SOURCE) {
        fault.suggestion = Some(where_else(set, root, paths));
    }
    faults
}

/// The field of a folder that is not there.
const SOURCE: &str = "spec.source";

/// Which folder was taken for the root, and the one to take where a source that is missing lies below one that was named.
fn where_else(set: &set::Set, root: &Path, paths: &[PathBuf]) -> String {
    let taken = here(root);
    let start = format!(
        "the path is relative to the repository's root, not to this file: `{taken}` was taken for it"
    );
    let sources = set.services.values().map(|it| it.service.source.as_str());
    let missing: Vec<&str> = sources.filter(|it| !root.join(it).is_dir()).collect();
    let absolute = |path: &PathBuf| std::path::absolute(path).ok();
    let named: Vec<PathBuf> = paths.iter().filter_map(absolute).collect();
    let mut above = named.iter().flat_map(|path| path.ancestors());
    let has = |folder: &Path| missing.iter().any(|it| folder.join(it).is_dir());
    let other = above.find(|folder| has(folder));
    match other {
        Some(other) => format!("{start}, and `--root {}` has it", here(other)),
        None => format!("{start}; `--root` names another"),
    }
}

/// A folder as people would write it from where they are.
fn here(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let current = std::path::absolute(".").unwrap_or_default();
    match absolute.strip_prefix(&current) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => absolute.display().to_string(),
    }
}

/// What a check found.
struct Checked {
    files: usize,
    services: usize,
    errors: usize,
    faults: Vec<Fault>,
}

impl Checked {
    fn as_json(&self) -> serde_json::Value {
        let Self {
            files,
            services,
            errors,
            faults,
        } = self;
        serde_json::json!({
            "files": files,
            "services": services,
            "errors": errors,
            "warnings": faults.len() - errors,
            "faults": faults,
        })
    }

    fn plain(&self, screen: &Screen) {
        for fault in &self.faults {
            screen.line(&clean(&fault.to_string()));
        }
        screen.remark(&self.counts());
    }

    /// Files that have a fault.
    fn names(&self, screen: &Screen) {
        let files: std::collections::BTreeSet<&str> =
            self.faults.iter().map(|fault| &*fault.file).collect();
        for file in files {
            screen.line(&clean(file));
        }
    }

    fn graphical(&self, screen: &Screen, found: &BTreeMap<String, Found>) -> Result<()> {
        let theme = if screen.is_colored() {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        for fault in &self.faults {
            let text = match found.get(&fault.file) {
                Some(Found::Bytes(bytes)) => shown(bytes),
                Some(Found::Unreadable(_)) | None => String::new(),
            };
            let report = cleaned(fault).into_report(&text);
            let mut told = String::new();
            handler
                .render_report(&mut told, report.as_ref())
                .map_err(|error| CliError::of(&error))?;
            screen.line(&told);
        }
        screen.remark(&self.counts());
        Ok(())
    }

    /// `3 files, 2 services: 1 error, 4 warnings`.
    fn counts(&self) -> String {
        let Self {
            files,
            services,
            errors,
            faults,
        } = self;
        format!(
            "{}, {}: {}, {}",
            count(*files, "file"),
            count(*services, "service"),
            count(*errors, "error"),
            count(faults.len() - errors, "warning"),
        )
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// The text without what would steer a terminal. Every character keeps its length in bytes, since faults count in bytes.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) && c != '\n' && c != '\t' {
            shown.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn cleaned(fault: &Fault) -> Fault {
    let mut fault = fault.clone();
    fault.file = clean(&fault.file).into_owned();
    fault.message = clean(&fault.message).into_owned();
    fault.field = clean(&fault.field).into_owned();
    fault.suggestion = fault.suggestion.map(|help| clean(&help).into_owned());
    fault
}
