//! Verbs that need nothing but themselves.

use super::{finish, program, run};

/// Each verb's help is public text: it changes on purpose only.
#[test]
fn help_reads_so() {
    let verbs = [
        "",
        "run",
        "local",
        "plan",
        "validate",
        "import",
        "schema",
        "completions",
        "status",
        "why",
        "get",
        "history",
        "events",
        "wait",
        "promote",
        "approve",
        "abort",
        "retry",
        "pause",
        "pin",
        "unpin",
        "override",
        "rollback",
        "suspend",
        "resume",
        "reconcile",
    ];
    for verb in verbs {
        let mut args = vec![verb, "--help"];
        args.retain(|arg| !arg.is_empty());
        let ran = run(&args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{verb}");
        let name = if verb.is_empty() { "all" } else { verb };
        insta::assert_snapshot!(format!("help_{name}"), ran.out);
    }
}

#[test]
fn wrong_arguments_are_an_error_and_not_something_to_do() {
    for args in [
        &["frobnicate"][..],
        &["plan", "--nope"],
        &["wait", "a", "--for", "soon"],
        &["suspend", "a", "--reason", "b", "--for", "2"],
        &["run", "--repo", "file:///a", "--config", "b"],
        &[],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn errors_name_the_way_out_on_standard_error() {
    for (args, code, error, help) in [
        (
            &["plan"][..],
            1,
            "error: no repository to follow: there is no verdigris.yaml here\n",
            "help: name one with --repo URL, or a configuration with --config FILE\n",
        ),
        (
            &["plan", "--repo", "ftp://x/y"],
            1,
            "error: ",
            "help: for example: --repo https://example.com/shop.git --branch main\n",
        ),
        (
            &["status", "--server", "ftp://x"],
            1,
            "error: `ftp://x/` is no address of a server\n",
            "help: write it like http://127.0.0.1:7654\n",
        ),
        // Nothing listens on the discard port of this machine.
        (
            &["status", "--server", "http://127.0.0.1:9"],
            4,
            "error: failed to reach the daemon at http://127.0.0.1:9/: Connection refused",
            "help: `verdigris run` starts one; --server or VERDIGRIS_SERVER says where it is\n",
        ),
        (
            &["local", "--aws", "192.0.2.1:1"],
            1,
            "error: failed to start AWS's endpoint on 192.0.2.1:1: ",
            "help: choose other addresses with --aws; port 0 takes a free one\n",
        ),
        (
            &[
                "run",
                "--repo",
                "file:///nowhere",
                "--listen",
                "192.0.2.1:1",
                "--data",
                "d",
                "--log",
                "off",
            ],
            1,
            "error: failed to listen on 192.0.2.1:1: ",
            "help: --listen names another address, --data another folder\n",
        ),
    ] {
        let ran = run(args);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (code, ""),
            "{args:?}: {}",
            ran.err
        );
        assert!(ran.err.starts_with(error), "{args:?}: {}", ran.err);
        assert!(ran.err.ends_with(help), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_token_does_not_travel_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let ran = finish(
        program(folder.path())
            .args(["status", "--server", "http://192.0.2.1:7654"])
            .env("VERDIGRIS_TOKEN", "vg_secret"),
    );
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("would travel to http://192.0.2.1:7654/"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("vg_secret"));
}

#[test]
fn every_kind_has_a_schema() {
    for (args, title) in [
        (&["schema", "Service"][..], Some("Service")),
        (&["schema", "environment"], Some("Environment")),
        (&["schema", "Gate"], Some("Gate")),
        (&["schema"], None),
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let schema: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(schema["title"].as_str(), title, "{args:?}");
    }
}

#[test]
fn shells_get_completions_for_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
        for verb in ["validate", "rollback", "reconcile"] {
            assert!(ran.out.contains(verb), "{shell} lacks {verb}");
        }
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(folder.path())
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_sample_configuration_is_right_and_says_the_defaults() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/verdigris.yaml");
    let config = verdigris::daemon::config::Config::load(&file, &|_| Some("token".to_owned()));
    let config = config.unwrap();
    let standard = verdigris::daemon::config::Config::default();
    assert_eq!(config.repositories[0].name.as_str(), "shop");
    assert_eq!(
        (
            config.listen,
            config.resync,
            config.prune,
            config.build_timeout
        ),
        (
            standard.listen,
            standard.resync,
            standard.prune,
            standard.build_timeout
        )
    );
}
