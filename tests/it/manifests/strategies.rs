//! How users come to a new release: every way to write it, and what a person who writes it wrong is told.

use std::fmt::Write as _;

use verdigris::manifest::spec::GateStage;

use super::{PROD, read, service, told};

/// A good service with this rollout.
fn manifest(rollout: &str) -> String {
    format!("{}  rollout: {rollout}\n", service("stock"))
}

/// The strategy of a good service, in its own words.
fn strategy(text: &str) -> String {
    let text = manifest(&format!("{{ strategy: {text} }}"));
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &text)]);
    let errors: Vec<_> = set.faults.iter().filter(|fault| fault.is_error()).collect();
    assert!(errors.is_empty(), "{text}: {errors:?}");
    let placed = set.services.values().next().unwrap();
    placed.service.rollout.strategy.told()
}

/// What is said of a rollout, one complaint on a line.
fn complaints(rollout: &str) -> String {
    let text = manifest(rollout);
    told(&read(&[("prod.yaml", PROD), ("a.yaml", &text)]))
}

#[test]
fn the_names_of_code_deploy_mean_what_they_mean_there() {
    let names = [
        "blueGreen",
        "AllAtOnce",
        "Canary10Percent5Minutes",
        "Canary10Percent10Minutes",
        "Canary10Percent15Minutes",
        "Canary10Percent30Minutes",
        "Linear10PercentEvery1Minute",
        "Linear10PercentEvery2Minutes",
        "Linear10PercentEvery3Minutes",
        "Linear10PercentEvery10Minutes",
    ];
    let mut read = String::new();
    for name in names {
        writeln!(read, "{name} = {}", strategy(name)).unwrap();
    }
    let tenths = |pause: &str| {
        let steps = (1..10).map(|tenth| format!("{tenth}0 %, pause {pause}"));
        steps.collect::<Vec<_>>().join(", ")
    };
    let expected = format!(
        "blueGreen = blueGreen
AllAtOnce = blueGreen
Canary10Percent5Minutes = canary: 10 %, pause 5m
Canary10Percent10Minutes = canary: 10 %, pause 10m
Canary10Percent15Minutes = canary: 10 %, pause 15m
Canary10Percent30Minutes = canary: 10 %, pause 30m
Linear10PercentEvery1Minute = canary: {}
Linear10PercentEvery2Minutes = canary: {}
Linear10PercentEvery3Minutes = canary: {}
Linear10PercentEvery10Minutes = canary: {}
",
        tenths("1m"),
        tenths("2m"),
        tenths("3m"),
        tenths("10m"),
    );
    assert_eq!(read, expected);
}

#[test]
fn short_and_long_steps_mean_the_same() {
    let long = "{ canary: { steps: [{ weight: 10 }, { pause: 5m }, { weight: 50% }, { pause: { duration: 90s } }, { pause: {} }] } }";
    let told = "canary: 10 %, pause 5m, 50 %, pause 90s, pause for a person";
    assert_eq!(strategy(long), told);
    assert_eq!(
        strategy("{ canary: [10, 5m, 50%, 90s, { pause: {} }] }"),
        told
    );
}

#[test]
fn gates_of_steps_are_gates_of_the_rollout_that_are_asked_at_their_step() {
    let rollout = "{ gates: [{ http: { path: / } }], strategy: { canary: [10, { gates: [{ http: { path: /a } }, { gate: shared }] }] } }";
    let shared = "apiVersion: verdigris.dev/v1alpha1
kind: Gate
metadata: { name: shared }
spec: { command: ./errors.sh }
";
    let text = manifest(rollout);
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &text), ("g.yaml", shared)]);
    let placed = set.services.values().next().unwrap();
    let rollout = &placed.service.rollout;
    let gates: Vec<_> = rollout
        .gates
        .iter()
        .map(|gate| (gate.name.to_string(), gate.after))
        .collect();
    let expected = [
        ("http", GateStage::Staging),
        ("http-2", GateStage::Canary),
        ("shared", GateStage::Canary),
    ];
    assert_eq!(gates, expected.map(|(name, at)| (name.to_owned(), at)));
    assert_eq!(
        rollout.strategy.told(),
        "canary: 10 %, gates http-2 and shared"
    );
}

#[test]
fn a_cloud_that_takes_no_share_is_told_when_the_manifest_is_read() {
    let told = |across: &str| complaints(&format!("{{ strategy: {{ canary: [10] }}{across} }}"));
    let azure = "no canary on azure: it cannot share requests between two releases, so its blue moves at once, with the promotion";
    let one = told("");
    assert!(one.contains(azure), "{one}");
    assert_eq!(one.lines().count(), 1, "{one}");
    let last = told(", across: [azure, aws]");
    let aws = "no canary on aws: it follows the cloud that goes first, after the soak, so its blue moves at once";
    assert!(last.contains(azure) && last.contains(aws), "{last}");
    assert!(last.contains("no cloud takes a share here"), "{last}");
    assert_eq!(complaints("{ strategy: blueGreen }"), "");
}

#[test]
fn what_is_no_strategy_is_told_with_what_to_write() {
    let table = [
        ("5", "must be `blueGreen`"),
        (
            "Canary10Percent5Minute",
            "did you mean `Canary10Percent5Minutes`?",
        ),
        ("{ canary: [5m] }", "a canary takes a share in some step"),
        ("{ canary: [] }", "a canary takes a share in some step"),
        (
            "{ canary: [50, 5m, 10] }",
            "a share of 10 % does not rise above 50 %",
        ),
        ("{ canary: [100] }", "100 is no share of a canary"),
        ("{ canary: [0] }", "0 is no share of a canary"),
        ("{ canary: [300] }", "300 is no share of a canary"),
        ("{ canary: [ten%] }", "`ten%` is no share"),
        ("{ canary: [10, soon] }", "`soon` is no duration"),
        ("{ canary: [10, {}] }", "a step does one thing"),
        (
            "{ canary: [{ weight: 10, pause: 5m }] }",
            "a step does one thing",
        ),
        (
            "{ canary: [{ setWeight: 10 }] }",
            "known here: weight, pause, gates",
        ),
        ("{ canary: [10, { gates: [] }] }", "names no gate"),
        (
            "{ canary: [10, { gates: [{ http: { path: / }, after: promotion }] }] }",
            "a gate of a step is asked there",
        ),
        (
            "{ canary: [10, { gates: [{ approval: {} }] }] }",
            "no step takes approvals",
        ),
        ("{}", "`canary` is missing"),
    ];
    for (text, expected) in table {
        let told = complaints(&format!("{{ strategy: {text} }}"));
        assert!(told.contains(expected), "{text}: {told}");
    }
}
