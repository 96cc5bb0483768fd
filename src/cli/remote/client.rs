//! One daemon, asked over HTTP. Answers are kept as they came beside what is understood of them.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url};

use super::token;
use crate::{
    cli::exit::{CliError, Exit, Result, chain},
    name::ServiceKey,
    status::row::ServiceRow,
};

/// Longest time until an answer begins; the server gives up after 30 s.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// The same of a call of a function, for which the server waits fifteen minutes and a little.
const CALL_MAX: Duration = Duration::from_secs(16 * 60);

/// Longest time for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The longest answer is a page of a list.
const BODY_MAX: usize = 64 << 20;

/// Which daemon is asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(super) struct Server {
    /// Where the daemon listens
    #[arg(
        long,
        value_name = "URL",
        env = "VERDIGRIS_SERVER",
        default_value = "http://127.0.0.1:7654",
        hide_env_values = true
    )]
    server: Url,
    /// A file with the token that lets you act; or put the token into VERDIGRIS_TOKEN
    #[arg(
        long,
        value_name = "FILE",
        env = "VERDIGRIS_TOKEN_FILE",
        hide_env_values = true
    )]
    token_file: Option<PathBuf>,
}

pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    token: Option<SecretString>,
}

/// A part of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    metadata: PageMetadata,
    /// Of lists whose place is a number.
    #[serde(default, rename = "continue")]
    before: Option<u64>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    after: Option<String>,
}

/// Items of a page; the server gives no more.
const PAGE: usize = 500;

/// What the server says when it does not do what it was asked to (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: String,
}

impl Server {
    pub(super) fn connect(&self) -> Result<Client> {
        let Self { server, token_file } = self;
        if server.cannot_be_a_base() || !matches!(server.scheme(), "http" | "https") {
            return Err(
                CliError::wrong(format!("`{server}` is no address of a server"))
                    .help("write it like http://127.0.0.1:7654"),
            );
        }
        let is_here = is_this_machine(server);
        let token = token::find(token_file.as_ref(), is_here)?;
        if token.is_some() && !is_here && server.scheme() == "http" {
            return Err(CliError::wrong(format!(
                "the token would travel to {server} for all to read"
            ))
            .help("use https, or a tunnel to the daemon's own machine"));
        }
        // The token goes to this server and to no other.
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .user_agent(concat!("verdigris/", env!("CARGO_PKG_VERSION")));
        if is_here {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| CliError::of(&error))?;
        Ok(Client {
            http,
            server: server.clone(),
            token,
        })
    }
}

fn is_this_machine(server: &Url) -> bool {
    match server.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Client {
    /// What the server answers to a question.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let request = self.request(Method::GET, path, query);
        self.json(request.timeout(ANSWER_MAX)).await
    }

    /// What the server answers to an action.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.request(Method::POST, path, &[]).json(body);
        self.json(request.timeout(ANSWER_MAX)).await
    }

    /// The same where it may take as long as the longest function.
    pub(super) async fn call(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.request(Method::POST, path, &[]).json(body);
        self.json(request.timeout(CALL_MAX)).await
    }

    /// An answer that goes on.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<Response> {
        let mut request = self.request(Method::GET, path, query);
        request = request.header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        self.send(request).await
    }

    /// Every item of a list, page by page.
    pub(super) async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>> {
        let limit = PAGE.to_string();
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            query.extend(after.iter().map(|after| ("continue", after.as_str())));
            let page: Page = understand(&self.get(path, &query).await?)?;
            items.extend(page.items);
            after = page.metadata.after;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// The first items of a list whose place is a number.
    pub(super) async fn first(&self, path: &str, count: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let limit = count.saturating_sub(items.len()).clamp(1, PAGE).to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(before.iter().map(|before| ("before", before.as_str())));
            let page: Page = understand(&self.get(path, &query).await?)?;
            items.extend(page.items);
            before = page.before.map(|before| before.to_string());
            if before.is_none() || items.len() >= count {
                items.truncate(count);
                return Ok(items);
            }
        }
    }

    /// The service that a person names: `environment/service`, or `service` where that is the only one.
    pub(super) async fn key(&self, name: &str) -> Result<ServiceKey> {
        if name.contains('/') {
            return name
                .parse()
                .map_err(|error: crate::name::BadName| CliError::wrong(error.to_string()));
        }
        let rows = self.list("/api/v1/services", &[("search", name)]).await?;
        let mut keys = Vec::new();
        for row in &rows {
            let row: ServiceRow = understand(row)?;
            if row.name.as_str() == name {
                keys.push(ServiceKey {
                    environment: row.environment,
                    service: row.name,
                });
            }
        }
        match keys.len() {
            1 => Ok(keys.remove(0)),
            0 => Err(CliError::wrong(format!("no service is called `{name}`"))
                .help("`verdigris get` lists them")),
            _ => {
                let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
                Err(
                    CliError::wrong(format!("`{name}` runs in {} environments", keys.len()))
                        .help(format!("name one of {}", keys.join(", "))),
                )
            }
        }
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut address = self.server.clone();
        // A server behind a proxy may have a path of its own.
        let base = address.path().trim_end_matches('/').to_owned();
        address.set_path(&format!("{base}{path}"));
        if !query.is_empty() {
            address.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, address);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let bytes = self.body(self.send(request).await?).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.stranger(&chain(&error)))
    }

    /// An answer that is not a refusal.
    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.body(response).await.unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&bytes).ok();
        Err(self.refusal(status, problem))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BODY_MAX {
                return Err(self.stranger("its answer is too long"));
            }
        }
        Ok(bytes)
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> CliError {
        // The layers between tell of themselves only; the innermost cause is what a person can do something about.
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let message = format!("failed to reach the daemon at {}: {cause}", self.server);
        CliError::new(Exit::Unreachable, message)
            .help("`verdigris run` starts one; --server or VERDIGRIS_SERVER says where it is")
    }

    fn stranger(&self, detail: &str) -> CliError {
        CliError::wrong(format!("{} is no daemon of ours: {detail}", self.server))
            .help("--server names the daemon's own address")
    }

    fn refusal(&self, status: StatusCode, problem: Option<Problem>) -> CliError {
        let exit = if status.is_client_error() {
            Exit::Refused
        } else {
            Exit::Wrong
        };
        let Some(Problem {
            title,
            detail,
            code,
        }) = problem
        else {
            return CliError::new(exit, format!("{} answered {status}", self.server));
        };
        let message = if detail.is_empty() { title } else { detail };
        let error = CliError::new(exit, message);
        if status == StatusCode::UNAUTHORIZED {
            return error
                .help("name the token file with --token-file: `verdigris run` prints where it is");
        }
        if code.is_empty() {
            return error;
        }
        match help_for(&code) {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

fn help_for(code: &str) -> Option<&'static str> {
    match code {
        "service-not-found" => Some("`verdigris get` lists them"),
        "action-refused" => Some("`verdigris status NAME` tells what it is doing"),
        _ => None,
    }
}

/// An answer in our own nouns.
pub(super) fn understand<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|error| {
        CliError::wrong(format!("the daemon's answer cannot be understood: {error}"))
            .help("use the daemon's own version of this program, or -o json")
    })
}
