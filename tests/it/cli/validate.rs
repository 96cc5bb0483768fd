//! `verdigris validate` on good and bad files.

use std::{fs, path::Path};

use super::{Ran, finish, program};

const ENVIRONMENT: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
";

const SERVICE: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: hello }
spec:
  runtime: python3.13
  source: services/hello
  functions:
    greet: { handler: 'app:app', http: GET /greet }
";

/// A working copy with these files.
fn copy(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn validate(folder: &Path, args: &[&str]) -> Ran {
    finish(program(folder).arg("validate").args(args))
}

#[test]
fn good_manifests_are_counted() {
    let copy = copy(&[
        ("deploy/environment.yaml", ENVIRONMENT),
        ("deploy/hello.yml", SERVICE),
        ("services/hello/app.py", ""),
    ]);
    let ran = validate(copy.path(), &["deploy"]);
    assert_eq!(
        ran.shown(),
        "--- stderr\n2 files, 1 service: 0 errors, 0 warnings\n--- exit 0\n"
    );
}

#[test]
fn the_examples_are_good() {
    let ran = validate(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &["manifests-example", "--root", "manifests-example"],
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
}

#[test]
fn a_folder_that_lies_below_what_was_named_is_told_with_the_root_that_has_it() {
    let service = SERVICE.replace("services/hello", "services/cart");
    let copy = copy(&[
        ("examples/environment.yaml", ENVIRONMENT),
        ("examples/services/cart/service.yaml", &service),
    ]);
    let told = |args: &[&str]| validate(copy.path(), args).shown();
    let start = "services/cart/service.yaml:6:11: spec.source: there is no folder `services/cart` at this commit (help: the path is relative to the repository's root, not to this file:";
    let end = "--- stderr\n2 files, 1 service: 1 error, 0 warnings\n--- exit 1\n";
    assert_eq!(
        told(&["examples"]),
        format!("examples/{start} `.` was taken for it, and `--root examples` has it)\n{end}")
    );
    assert_eq!(
        told(&["examples", "--root", "elsewhere"]),
        format!(
            "examples/{start} `elsewhere` was taken for it, and `--root examples` has it)\n{end}"
        )
    );
    assert!(told(&["examples", "--root", "examples"]).ends_with("--- exit 0\n"));
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let wrong = SERVICE
        .replace("runtime:", "runtme:")
        .replace("GET /greet", "GRAB greet");
    let copy = copy(&[
        ("environment.yaml", ENVIRONMENT),
        ("hello.yaml", &wrong),
        ("lost.yaml", &SERVICE.replace("hello", "lost")),
    ]);
    let ran = validate(copy.path(), &["."]);
    insta::assert_snapshot!("faults_plain", ran.shown());
    let drawn = validate(
        copy.path(),
        &["--color", "always", "hello.yaml", "environment.yaml"],
    );
    insta::assert_snapshot!("faults_drawn", drawn.shown().replace('\x1b', "␛"));
    let ran = validate(copy.path(), &[".", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["errors"], told["faults"].as_array().unwrap().len());
    assert_eq!(ran.code, 1);
    let ran = validate(copy.path(), &[".", "-o", "name"]);
    assert_eq!(ran.out, "hello.yaml\nlost.yaml\n");
}

#[test]
fn what_steers_a_terminal_comes_out_as_text() {
    let evil = "\x1b]0;owned\x07kind: \u{202e}Service\n\u{9b}31m: x\n";
    let copy = copy(&[("ev\x1b[31mil.yaml", evil)]);
    for args in [
        &["."][..],
        &["--color", "always", "."],
        &[".", "-o", "json"],
        &[".", "-o", "name"],
        &[".", "-o", "yaml"],
    ] {
        let ran = validate(copy.path(), args);
        let shown = ran.shown();
        // Our own colours are the only escapes.
        let ours = shown.split("\x1b[").skip(1).all(|rest| {
            let end = rest.find(|c: char| c != ';' && !c.is_ascii_digit());
            end.is_some_and(|end| rest[end..].starts_with('m'))
        });
        assert!(ours && !shown.contains("\x1b]"), "{args:?}: {shown:?}");
        assert!(!shown.contains("\x1b[31mil"), "{args:?}: {shown:?}");
        assert!(
            !shown.contains(['\x07', '\u{9b}', '\u{202e}']),
            "{args:?}: {shown:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_told_and_stops_nothing_else() {
    let copy = copy(&[("environment.yaml", ENVIRONMENT), ("bytes.yaml", "")]);
    fs::write(copy.path().join("bytes.yaml"), [0xff, 0xfe]).unwrap();
    std::os::unix::fs::symlink("environment.yaml", copy.path().join("link.yaml")).unwrap();
    let ran = validate(copy.path(), &["."]);
    insta::assert_snapshot!("unreadable", ran.shown());
    let ran = validate(copy.path(), &["nowhere"]);
    assert_eq!(
        ran.shown(),
        "--- stderr\nerror: failed to read `nowhere`: No such file or directory (os error 2)\n--- exit 1\n"
    );
    let empty = tempfile::tempdir().unwrap();
    let ran = validate(empty.path(), &["."]);
    assert_eq!(
        ran.shown(),
        "--- stderr\nerror: there is no manifest in .\nhelp: manifests are files called *.yaml or *.yml\n--- exit 1\n"
    );
}
