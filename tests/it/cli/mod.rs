//! The command line, by running the real program.

mod brought;
mod daemon;
mod hostile;
mod offline;
mod talk;
mod validate;

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// How a run of the program ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// All that people see, for snapshots.
    fn shown(&self) -> String {
        let Self { code, out, err } = self;
        format!("{out}--- stderr\n{err}--- exit {code}\n")
    }
}

/// The program, with nothing of this machine's environment but where programs are.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdigris"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program in an empty folder.
fn run(args: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    finish(program(folder.path()).args(args))
}
