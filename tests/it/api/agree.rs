//! Why something is not live, as the API, the command line and the dashboard tell it: all three say the same.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::process::Command;
use verdigris::{
    api::serve::serve,
    name::Timestamp,
    status::why::{Explanation, Obstacle, Way},
};

use super::{look::furnish, rig::Rig};

const SCRIPT: &str = include_str!("explained.mjs");

/// Every text of an obstacle that a person is shown, in its order. Moments are left out, since each reader writes them in their own way.
fn texts(explanation: &Explanation) -> Vec<String> {
    let mut texts = Vec::new();
    for Obstacle {
        what,
        evidence,
        ways,
        ..
    } in &explanation.obstacles
    {
        texts.push(what);
        texts.extend(evidence);
        for Way { command, text } in ways {
            texts.extend(command);
            texts.push(text);
        }
    }
    let parts = texts.into_iter().flat_map(|text| without_moments(text));
    parts.collect()
}

/// The parts of a text between its moments.
fn without_moments(text: &str) -> Vec<String> {
    let is_moment = |word: &str| {
        let bare = word.trim_end_matches([':', ',', ';', ')']);
        bare.parse::<Timestamp>().is_ok()
    };
    let words: Vec<&str> = text.split(' ').collect();
    let parts = words.split(|word| is_moment(word));
    let parts = parts.map(|words| words.join(" "));
    parts.filter(|part| !part.is_empty()).collect()
}

/// Whether all of these stand in a text, one after the other.
fn stand_in(shown: &str, texts: &[String]) -> Result<(), String> {
    let mut rest = shown;
    for text in texts {
        let Some((_, after)) = rest.split_once(text.as_str()) else {
            return Err(format!(
                "`{text}` is not there, or in another place:\n{shown}"
            ));
        };
        rest = after;
    }
    Ok(())
}

async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// `verdigris why`, by the program itself.
async fn by_command(server: &str, folder: &Path, args: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_verdigris"));
    program
        .env_clear()
        .env("HOME", folder)
        .env("VERDIGRIS_SERVER", server)
        .current_dir(folder)
        .arg("why");
    run(program.args(args)).await
}

/// The dashboard's code, as the daemon serves it.
async fn dashboard(rig: &Rig, folder: &Path) {
    for file in ["detail", "view"] {
        let (_, text) = rig.get(&format!("/dashboard/{file}.js")).await;
        let text = text.as_str().unwrap();
        let text = text.replace("\"/dashboard/view.js\"", "\"./view.mjs\"");
        std::fs::write(folder.join(format!("{file}.mjs")), text).unwrap();
    }
    std::fs::write(folder.join("explained.mjs"), SCRIPT).unwrap();
}

async fn by_dashboard(folder: &Path, report: &Value, why: &Value) -> String {
    for (name, value) in [("report.json", report), ("why.json", why)] {
        std::fs::write(folder.join(name), value.to_string()).unwrap();
    }
    let mut node = Command::new("node");
    node.current_dir(folder)
        .args(["explained.mjs", "./detail.mjs", "report.json", "why.json"]);
    run(&mut node).await
}

#[tokio::test(flavor = "multi_thread")]
async fn api_command_line_and_dashboard_give_the_same_reasons() {
    let rig = Rig::new().await;
    furnish(&rig).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, rig.router.clone(), rig.stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    dashboard(&rig, folder.path()).await;
    let mut obstacles = 0;
    for key in rig.handle.keys() {
        let path = format!("/api/v1/services/{key}");
        let name = key.to_string();
        // A look may come in between: then all three are asked again.
        let mut told = Err(String::new());
        for _ in 0..10 {
            let (_, before) = rig.get(&format!("{path}/why")).await;
            let (_, report) = rig.get(&path).await;
            let shown = by_command(&server, folder.path(), &[&name]).await;
            let json = by_command(&server, folder.path(), &[&name, "-o", "json"]).await;
            let page = by_dashboard(folder.path(), &report, &before).await;
            let explanation: Explanation = serde_json::from_value(before.clone()).unwrap();
            let texts = texts(&explanation);
            let json: Value = serde_json::from_str(&json).unwrap();
            let is_same = (json == before)
                .then_some(())
                .ok_or_else(|| format!("{json:#} is not {before:#}"));
            told = is_same
                .and_then(|()| stand_in(&shown, &texts))
                .and_then(|()| stand_in(&page, &texts));
            if told.is_ok() {
                obstacles += explanation.obstacles.len();
                break;
            }
        }
        told.unwrap_or_else(|complaint| panic!("{key}: {complaint}"));
    }
    assert!(obstacles >= 8, "only {obstacles} were compared");
}
