//! What the real Lambda answered, asked of our endpoint.

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::time::timeout;

use super::{
    lambda_clients::{Ours, options},
    model::{Checker, is_clean},
    python,
};

/// What was recorded, and how much of it is about something that we ask of Lambda. The rest is about publishing layers (8), signed code
/// (4), loops (3), and sources and resources that we know nothing of (2).
///
/// Of ours these are not asked, and why:
///
/// - images (4): there is no registry here, and an image cannot run without a container;
/// - networks (2 of 3): whether subnets and groups exist is EC2's to know, which is not here; how their names are refused is asked;
/// - how much code an account holds with its layers (1), and layers that a function names (2): they would have to be published first;
/// - mappings of brokers of one's own, and how their filters are refused: we make none of them, and filters are taken as they are;
/// - stories of names and permissions whose every answer another group has asked already.
const RECORDED: usize = 239;
const OURS: usize = 222;

/// What the script says of one group of questions.
#[derive(Debug, Deserialize)]
struct Group {
    group: String,
    cases: usize,
    asked: usize,
    differ: Vec<String>,
    /// What was recorded, and the vendor's own model does not allow.
    unfit: Vec<String>,
}

/// What the real service was recorded to say beside its own model.
const BESIDE_THE_MODEL: [&str; 1] =
    ["LastUpdateStatusReasonCode: 'Creating' is none of the known words"];

/// Where we do not answer as was recorded.
const KNOWN: [&str; 2] = [
    // The real one repeats the variables with their values; they may be secrets.
    "creation_refusals: too much environment",
    // Recordings of this refusal differ in which call they advise; ours is the other advice.
    "revisions: permission stale",
];

#[tokio::test(flavor = "multi_thread")]
async fn our_lambda_answers_as_the_real_one_was_recorded() {
    let ours = Ours::start(options()).await;
    // Our own answers are held against the model on their way.
    let checker = Checker::before(&ours.endpoint.url).await;
    let mut script = python("lambda_recorded.py");
    let script = script.arg(checker.address.as_str());
    let script = script
        .args(["111122223333", "us-east-1"])
        .stderr(Stdio::piped());
    let said = timeout(Duration::from_secs(300), script.output());
    let said = said.await.expect("the script does not end").unwrap();
    let fault = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{fault}");
    is_clean(&checker.end().await, 30);
    let lines = String::from_utf8_lossy(&said.stdout);
    let groups: Vec<Group> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let asked: usize = groups.iter().map(|it| it.asked).sum();
    let differ = groups.iter().flat_map(|group| {
        let told = group.differ.iter();
        told.map(|it| format!("{}: {it}", group.group))
    });
    let differ: Vec<String> = differ.collect();
    let unknown: Vec<&String> = differ
        .iter()
        .filter(|it| !KNOWN.iter().any(|start| it.starts_with(start)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(differ.len(), KNOWN.len(), "a difference that is none");
    let cases: usize = groups.iter().map(|it| it.cases).sum();
    for Group {
        group,
        cases,
        asked,
        differ,
        unfit,
    } in &groups
    {
        let unfit = unfit.iter().map(|it| format!("{group}: {it}"));
        let unfit: Vec<_> = unfit
            .filter(|it| !BESIDE_THE_MODEL.iter().any(|told| it.ends_with(told)))
            .collect();
        assert!(unfit.is_empty(), "{unfit:#?}");
        eprintln!(
            "{group}: {cases} recorded cases, {asked} answers, {} of them differ",
            differ.len()
        );
    }
    eprintln!(
        "{cases} of {OURS} recorded cases that concern our operations, {RECORDED} in all; {asked} answers"
    );
    // Lower where somebody takes questions away.
    assert_eq!((cases, asked), (207, 561));
}
