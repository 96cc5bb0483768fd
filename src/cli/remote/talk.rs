//! `verdigris logs` and `verdigris invoke`: what functions wrote, and one call of a function.

use std::{collections::BTreeSet, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::client::Server;
use crate::{
    cli::{
        exit::{CliError, Exit, Result},
        output::Output,
        screen::{Screen, Tone},
    },
    clock::{Clock, SystemClock},
    manifest,
    name::Timestamp,
};

/// How often is looked for new lines.
const FOLLOW: Duration = Duration::from_secs(2);

/// Lines of one further look: the API gives no more.
const LIMIT_MAX: usize = 10_000;

/// Clouds tell lines late; so far before the last look is looked again for those that were not told yet.
const LATE: Duration = Duration::from_secs(30);

/// Shows what the functions of a service wrote, on both clouds
#[derive(Args, Debug)]
#[command(after_help = "\
AWS is asked by CloudWatch Logs, Azure by Application Insights: the component that `insights` of the environment's `azure` names or has made, and
without it one with the Function App's name.")]
pub(in crate::cli) struct Logs {
    /// `service`, or `environment/service`
    name: String,
    /// Only this cloud: `aws` or `azure`
    #[arg(long)]
    cloud: Option<String>,
    /// Only this function
    #[arg(long)]
    function: Option<String>,
    /// How far back, like 10m
    #[arg(long, value_name = "TIME", value_parser = manifest::duration, default_value = "15m")]
    since: Duration,
    /// Only lines with this text
    #[arg(long, value_name = "TEXT")]
    containing: Option<String>,
    /// The newest so many of each function
    #[arg(short = 'n', long, default_value_t = 200)]
    limit: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Logs {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let path = format!("/api/v1/services/{key}/logs");
        let mut limit = self.limit.to_string();
        let mut since = SystemClock.now().before(self.since);
        let mut told = BTreeSet::new();
        loop {
            let looked_at = SystemClock.now();
            let from = since.to_string();
            let mut query = vec![("since", from.as_str()), ("limit", limit.as_str())];
            let given = [
                ("cloud", &self.cloud),
                ("function", &self.function),
                ("containing", &self.containing),
            ];
            query.extend(
                given
                    .iter()
                    .filter_map(|(name, value)| Some((*name, value.as_deref()?))),
            );
            let answer = client.get(&path, &query).await?;
            if !self.follow && self.output != Output::Table {
                return self.whole(screen, &answer);
            }
            let mut seen = BTreeSet::new();
            for line in answer["lines"].as_array().into_iter().flatten() {
                if !told.contains(&line.to_string()) {
                    tell(screen, line);
                }
                seen.insert(line.to_string());
            }
            for problem in answer["problems"].as_array().into_iter().flatten() {
                screen.remark(problem.as_str().unwrap_or_default());
            }
            if !self.follow {
                return Ok(Exit::Done);
            }
            told = seen;
            // From the last look on, whatever the time that it took, and all of it.
            since = looked_at.before(LATE).max(since);
            limit = LIMIT_MAX.to_string();
            tokio::time::sleep(FOLLOW).await;
        }
    }

    fn whole(&self, screen: &Screen, answer: &Value) -> Result<Exit> {
        match self.output {
            Output::Json => screen.json(answer)?,
            Output::Yaml => screen.yaml(answer)?,
            Output::Name | Output::Table | Output::Wide => {
                for line in answer["lines"].as_array().into_iter().flatten() {
                    tell(screen, line);
                }
            }
        }
        Ok(Exit::Done)
    }
}

fn tell(screen: &Screen, line: &Value) {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let at: Option<Timestamp> = text("at").parse().ok();
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    let place = match text("function") {
        "" => text("cloud").to_owned(),
        function => format!("{}/{function}", text("cloud")),
    };
    screen.line(&format!(
        "{} {}  {}",
        screen.paint(Tone::Quiet, &at),
        screen.paint(Tone::Strong, &place),
        screen.paint(Tone::Plain, text("text")),
    ));
}

/// Calls a function of a slot once, as a user or its queue would
#[derive(Args, Debug)]
#[command(after_help = "\
The answer is waited for as long as the function may take, and the call is sent once. Exit code 1 where the function failed, or
answered with 400 or more.")]
pub(in crate::cli) struct Invoke {
    /// `service`, or `environment/service`
    name: String,
    /// Which; needed where the service has several
    #[arg(long)]
    function: Option<String>,
    /// `aws` or `azure`; the first of the environment's where unsaid
    #[arg(long)]
    cloud: Option<String>,
    /// `blue` or `green`
    #[arg(long, default_value = "blue")]
    slot: String,
    /// As a user would: `GET /stock/42`
    #[arg(long, value_name = "REQUEST", conflicts_with = "message")]
    http: Option<String>,
    /// The body of that request
    #[arg(long, value_name = "TEXT", requires = "http")]
    data: Option<String>,
    /// As its queue would
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Invoke {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let body = json!({
            "cloud": self.cloud,
            "function": self.function,
            "slot": self.slot,
            "http": self.request()?,
            "message": self.message,
        });
        let path = format!("/api/v1/services/{key}/invoke");
        let answer = client.call(&path, &body).await?;
        match self.output {
            Output::Json => screen.json(&answer)?,
            Output::Yaml => screen.yaml(&answer)?,
            Output::Name | Output::Table | Output::Wide => answered(screen, &answer),
        }
        let is_bad = answer["status"]
            .as_u64()
            .is_some_and(|status| status >= 400);
        Ok(match answer["failure"].is_string() || is_bad {
            true => Exit::Wrong,
            false => Exit::Done,
        })
    }

    fn request(&self) -> Result<Value> {
        let Some(request) = &self.http else {
            return Ok(Value::Null);
        };
        let (method, path) = match request.split_once(' ') {
            Some((method, path)) => (method, path.trim()),
            None => ("GET", request.as_str()),
        };
        if !path.starts_with('/') {
            return Err(CliError::wrong(format!("`{request}` is no request"))
                .help("write it like `GET /stock/42`"));
        }
        Ok(json!({ "method": method, "path": path, "body": self.data }))
    }
}

fn answered(screen: &Screen, answer: &Value) {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let mut head = format!("{} {}", text("cloud"), text("label"));
    if let Some(status) = answer["status"].as_u64() {
        head.push_str(&format!("  {status}"));
    }
    screen.remark(&head);
    if let Some(failure) = answer["failure"].as_str() {
        screen.remark(&format!("the function failed: {failure}"));
    }
    for line in answer["log"].as_array().into_iter().flatten() {
        screen.remark(line.as_str().unwrap_or_default());
    }
    screen.line(&screen.paint(Tone::Plain, text("body")));
}
