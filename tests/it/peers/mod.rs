//! Programs that are not ours, and what they find: AWS's and Azure's own clients drive our endpoints, AWS's own runtime clients run
//! functions on them, git's own server is followed by the daemon.
//!
//! They are installed where `VERDIGRIS_TEST_VENV` and `VERDIGRIS_TEST_NODE` say, from `tests/peers/`. A test without them fails.

mod azure_clients;
mod git_server;
mod lambda_clients;
mod lambda_recorded;
pub(crate) mod model;
mod runtime_clients;
mod serverless;
mod stacks;
mod streams;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

/// A program of the tests' own virtual environment.
pub(crate) fn program(name: &str) -> PathBuf {
    let venv = named(
        "VERDIGRIS_TEST_VENV",
        "a Python virtual environment with tests/peers/requirements.txt installed",
    );
    installed(venv.join("bin").join(name))
}

/// A file of a package of tests/peers/package.json.
pub(crate) fn node_file(path: &str) -> PathBuf {
    installed(node_folder().join("node_modules").join(path))
}

/// Where npm put tests/peers/package.json's packages.
pub(crate) fn node_folder() -> PathBuf {
    named(
        "VERDIGRIS_TEST_NODE",
        "a folder with the node_modules of tests/peers/package.json",
    )
}

/// A file of `tests/peers/`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

fn named(variable: &str, what: &str) -> PathBuf {
    let Some(folder) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run `tests/run`, or set it to {what}");
    };
    PathBuf::from(folder)
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `tests/run`, or install what tests/peers/ lists",
        path.display()
    );
    path
}

/// A script of ours in the virtual environment, with nothing of this process's environment but the path.
pub(crate) fn python(name: &str) -> Command {
    python_of(program("python"), name)
}

/// The same in the environment of the az command line.
pub(crate) fn python_of_az(name: &str) -> Command {
    python_of(program_of_az("python"), name)
}

/// The az command line.
pub(crate) fn az() -> PathBuf {
    program_of_az("az")
}

fn program_of_az(name: &str) -> PathBuf {
    let venv = named(
        "VERDIGRIS_TEST_AZ",
        "a Python virtual environment with tests/peers/az.txt installed",
    );
    installed(venv.join("bin").join(name))
}

/// The Python of LocalStack's environment.
pub(crate) fn python_of_localstack() -> PathBuf {
    let venv = named(
        "VERDIGRIS_TEST_LOCALSTACK",
        "a Python virtual environment with tests/peers/localstack.txt installed",
    );
    installed(venv.join("bin/python"))
}

/// SAM's command line.
fn sam() -> PathBuf {
    program_of_sam("sam")
}

/// A script of ours in the environment of SAM.
fn python_of_sam(name: &str) -> Command {
    python_of(program_of_sam("python"), name)
}

fn program_of_sam(name: &str) -> PathBuf {
    let venv = named(
        "VERDIGRIS_TEST_SAM",
        "a Python virtual environment with tests/peers/sam.txt installed",
    );
    installed(venv.join("bin").join(name))
}

/// A Python with Azure's own worker.
pub(crate) fn python_of_azure_worker() -> PathBuf {
    let venv = named(
        "VERDIGRIS_TEST_AZURE_WORKER",
        "a Python virtual environment with tests/peers/azure_worker.txt installed",
    );
    installed(venv.join("bin/python"))
}

fn python_of(python: PathBuf, name: &str) -> Command {
    let mut command = Command::new(python);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .arg(script(name))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a script that ends with an exit code, and shows what it said where it failed.
pub(crate) async fn succeeds(mut command: Command) {
    let output = timeout(Duration::from_secs(240), command.output());
    let output = output.await.expect("the script does not end").unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}
