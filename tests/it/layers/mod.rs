//! The shape of the code is a law: imports point down, pure code stays pure, files and functions stay small.
//!
//! The checker is a function over pairs of path and source, so that planted violations prove what it catches.

mod budget;
mod check;
mod planted;
mod uses;

use std::path::{Path, PathBuf};

use self::check::check;

/// Modules of the same level are strangers to one another, unless `MAY_USE` says otherwise. Lower levels come first.
const LEVELS: &[(&str, Layer)] = &[
    ("name", Layer::Pure),
    ("condition", Layer::Pure),
    ("manifest", Layer::Pure),
    ("import", Layer::Pure),
    ("observed", Layer::Pure),
    ("desired", Layer::Pure),
    ("diff", Layer::Pure),
    ("rollout", Layer::Pure),
    ("plan", Layer::Pure),
    ("routes", Layer::Pure),
    ("guard", Layer::Pure),
    ("status", Layer::Pure),
    ("clock", Layer::Effect),
    ("git", Layer::Effect),
    ("build", Layer::Effect),
    ("cloud", Layer::Effect),
    ("store", Layer::Effect),
    ("gates", Layer::Effect),
    ("outbox", Layer::Effect),
    ("reconcile", Layer::Wiring),
    ("gateway", Layer::Wiring),
    ("local", Layer::Wiring),
    ("api", Layer::Wiring),
    ("daemon", Layer::Wiring),
    ("cli", Layer::Wiring),
    ("main", Layer::Wiring),
    ("lib", Layer::Wiring),
];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Layer {
    /// Values in, values out.
    Pure,
    /// Strangers to one another; `clock` is below them all, since it holds nothing but the time.
    Effect,
    Wiring,
}

/// Everything under `src/`, except the shims: those are programs of their own that run inside packages.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path);
            }
        }
    }
    let told = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy();
        (name.into_owned(), std::fs::read_to_string(path).unwrap())
    };
    let mut sources: Vec<_> = files.iter().map(told).collect();
    sources.retain(|(path, _)| !path.starts_with("build/shims/"));
    sources.sort();
    sources
}

#[test]
fn imports_point_down_and_pure_code_stays_pure() {
    let found = check(&sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn files_and_functions_are_within_their_budgets() {
    let found = budget::check(&sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
