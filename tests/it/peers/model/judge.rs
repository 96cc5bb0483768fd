//! One Python process holds what all taps saw against AWS's models; calls of one kind are judged once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::{Mutex, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Call, tap::Pair, unexplained};
use crate::peers::python;

/// Its process ends with this one, which closes its input.
struct Judge {
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
}

/// What is wrong with these calls and their answers. Waits, and holds its thread.
pub(super) fn faults(mut pairs: BTreeMap<String, Pair>) -> Vec<String> {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    pairs.retain(|kind, _| SEEN.lock().unwrap().insert(kind.clone()));
    if pairs.is_empty() {
        return Vec::new();
    }
    static JUDGE: OnceLock<Mutex<Judge>> = OnceLock::new();
    let judge = JUDGE.get_or_init(|| Mutex::new(Judge::start()));
    let pairs: Vec<Pair> = pairs.into_values().collect();
    let calls = judge.lock().unwrap().judge(&pairs);
    assert_eq!(calls.len(), pairs.len());
    let faulty = pairs.iter().zip(&calls);
    faulty.filter_map(|(pair, call)| told(pair, call)).collect()
}

fn told(pair: &Pair, call: &Call) -> Option<String> {
    let faults = unexplained(&call.faults);
    if faults.is_empty() {
        return None;
    }
    let (sent, body) = (&pair.sent, &pair.body);
    let [sent, body] = [sent, body].map(|it| String::from_utf8_lossy(it));
    Some(format!(
        "{} {} ({} {}): {faults:#?}\n  sent {sent}\n  answered {body}",
        pair.method, pair.target, call.service, pair.status
    ))
}

impl Judge {
    #[expect(
        clippy::zombie_processes,
        reason = "it is there for as long as this process is, and ends when its input closes"
    )]
    fn start() -> Self {
        let mut command = python("aws_model.py").into_std();
        command.arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Self {
            asked: process.stdin.take().unwrap(),
            told: BufReader::new(process.stdout.take().unwrap()),
        }
    }

    fn judge(&mut self, pairs: &[Pair]) -> Vec<Call> {
        let asked: Vec<Value> = pairs.iter().map(as_json).collect();
        let line = format!("{}\n", json!(asked));
        self.asked.write_all(line.as_bytes()).unwrap();
        let mut told = String::new();
        self.told.read_line(&mut told).unwrap();
        serde_json::from_str(&told).expect("the judge has ended: its reason stands above")
    }
}

fn as_json(pair: &Pair) -> Value {
    let Pair {
        method,
        target,
        headers,
        sent,
        status,
        answered,
        body,
    } = pair;
    json!({
        "method": method,
        "target": target,
        "headers": headers,
        "sent": STANDARD.encode(sent),
        "status": status,
        "answered": answered,
        "body": STANDARD.encode(body),
    })
}

/// A judge that cannot make sense of a model says nothing: so a member that no model knows is planted in an answer of each way to speak.
#[test]
fn a_member_that_no_model_knows_is_found_in_every_service() {
    let json = |target: &str| ("x-amz-target", target.to_owned());
    let form = || {
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )
    };
    let signed = || {
        (
            "authorization",
            "Credential=a/1/b/s3/aws4_request".to_owned(),
        )
    };
    let planted = [
        (json(""), "GET /2015-03-31/functions", "", r#"{"Odd": 1}"#),
        (
            json("AmazonSQS.ListQueues"),
            "POST /",
            "{}",
            r#"{"Odd": 1}"#,
        ),
        (json("AWSEvents.ListRules"), "POST /", "{}", r#"{"Odd": 1}"#),
        (
            form(),
            "POST /",
            "Action=ListRoles&Version=2010-05-08",
            "<ListRolesResponse><ListRolesResult><Roles/><Odd/></ListRolesResult></ListRolesResponse>",
        ),
        (
            form(),
            "POST /",
            "Action=GetCallerIdentity&Version=2011-06-15",
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Odd/></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        (
            signed(),
            "GET /bucket?list-type=2",
            "",
            "<ListBucketResult><Contents><Odd/></Contents></ListBucketResult>",
        ),
    ];
    for ((header, value), asked, sent, body) in planted {
        let (method, target) = asked.split_once(' ').unwrap();
        let pair = Pair {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: [(header.to_owned(), value.clone())].into(),
            sent: sent.into(),
            status: 200,
            answered: BTreeMap::new(),
            body: body.into(),
        };
        let kind = format!("planted {value} {asked} {sent}");
        let found = faults([(kind, pair)].into());
        let [found] = found.as_slice() else {
            panic!("{asked} {sent}: {found:#?}");
        };
        assert!(
            found.contains("Odd: the model knows no such member"),
            "{found}"
        );
    }
}
