//! Runtimes and handlers of ours, made from theirs.

use super::{Job, report::Verdict, tree::At};

/// What is started where nobody names a handler.
pub(super) const PROGRAM: &str = "./server";

/// A runtime of ours, and what is said of the change.
pub(super) struct Runtime {
    pub(super) word: String,
    pub(super) verdict: Verdict,
    pub(super) told: String,
}

const PYTHON: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];
const NODE: [&str; 3] = ["20", "22", "24"];

pub(super) fn runtime(written: &str) -> Runtime {
    let version = |start: &str| {
        written
            .strip_prefix(start)
            .map(|rest| rest.trim_end_matches(".x"))
    };
    if let Some(version) = version("python") {
        return nearest("python", version, &PYTHON);
    }
    if let Some(version) = version("nodejs") {
        return nearest("nodejs", version, &NODE);
    }
    let told = match written.starts_with("provided") || written == "go1.x" {
        true => {
            "a program that serves HTTP on `$PORT`, in the place of one that asks the Runtime API"
        }
        false => {
            "no such host on both clouds; nearest: a program that serves HTTP on `$PORT`, such as a native image or a script that starts the host"
        }
    };
    Runtime {
        word: "executable".to_owned(),
        verdict: match written.starts_with("provided") || written == "go1.x" {
            true => Verdict::Changed,
            false => Verdict::NotPossible,
        },
        told: told.to_owned(),
    }
}

/// The version itself, or the oldest that both clouds still run.
fn nearest(language: &str, version: &str, known: &[&str]) -> Runtime {
    match known.iter().find(|known| **known == version) {
        Some(version) => Runtime {
            word: format!("{language}{version}"),
            verdict: Verdict::Taken,
            told: "spec.runtime".to_owned(),
        },
        None => Runtime {
            word: format!("{language}{}", known[0]),
            verdict: Verdict::Changed,
            told: format!(
                "spec.runtime is `{language}{}`: the nearest that both clouds run",
                known[0]
            ),
        },
    }
}

/// What is said of every handler.
pub(super) const NODE_TOLD: &str = "names file and export, as `file.js:export`; its code takes a web Request and gives a Response, in the place of the cloud's event";
pub(super) const PYTHON_TOLD: &str = "names module and attribute, as `module:attribute`; its code is an ASGI application, in the place of one that takes the cloud's event";
pub(super) const PROGRAM_TOLD: &str = "the path of a program that serves HTTP on `$PORT`";

/// The handler that a function of a file names.
pub(super) fn written(job: &mut Job<'_>, at: &At<'_>, runtime: &str) -> String {
    let Some(written) = at.get("handler") else {
        return PROGRAM.to_owned();
    };
    let (named, told) = handler(&written.text().unwrap_or_default(), runtime);
    job.ledger.changed(&written, told);
    named
}

/// A handler of a runtime of ours, and what is said of it.
pub(super) fn handler(written: &str, runtime: &str) -> (String, &'static str) {
    let written = written.trim_start_matches("./");
    // The part before the last dot is the file, and a dot in a folder's name is none of these.
    let (file, export) = written.rsplit_once('.').unwrap_or((written, "handler"));
    if runtime.starts_with("python") {
        let module: Vec<String> = file.split('/').map(|part| word(part, "_")).collect();
        return (
            format!("{}:{}", module.join("."), word(export, "_")),
            PYTHON_TOLD,
        );
    }
    if runtime.starts_with("nodejs") {
        let is_script = [".js", ".mjs", ".cjs"]
            .iter()
            .any(|end| file.ends_with(end));
        let end = if is_script { "" } else { ".js" };
        return (
            format!("{}{end}:{}", path(file), word(export, "_$")),
            NODE_TOLD,
        );
    }
    (path(written), PROGRAM_TOLD)
}

/// A word of a programming language, without what cannot be in one.
fn word(text: &str, more: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || more.contains(c);
    let word: String = text
        .chars()
        .map(|c| if is_part(c) { c } else { '_' })
        .collect();
    if word.is_empty() {
        "handler".to_owned()
    } else {
        word
    }
}

/// A path within the source folder.
fn path(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "._-/@".contains(c);
    let tidy: String = text
        .chars()
        .map(|c| if is_part(c) { c } else { '-' })
        .collect();
    let parts: Vec<&str> = tidy
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    if parts.is_empty() {
        "handler".to_owned()
    } else {
        parts.join("/")
    }
}
