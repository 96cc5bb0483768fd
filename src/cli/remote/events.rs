//! `verdigris events`: what happened, and with `-f` what happens.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{Client, Server, understand};
use crate::{
    cli::{
        exit::{CliError, Exit, Result},
        output::Output,
        screen::{Screen, Tone, clean},
    },
    plan::state::Severity,
    status::record::EventReport,
};

/// Shows the newest events; with -f, goes on with those to come
#[derive(Args, Debug)]
pub(in crate::cli) struct Events {
    /// Only of this service: `service`, or `environment/service`
    name: Option<String>,
    /// Go on until interrupted; a connection that breaks is taken up again where it broke
    #[arg(short, long)]
    follow: bool,
    /// How many of the newest come first
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    limit: u16,
    /// `json` prints one object a line
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// Between tries to take up a stream again.
const AGAIN_FIRST: Duration = Duration::from_millis(250);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// A server that says nothing at all for so long is gone; it says that it is there every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The longest line of a stream.
const LINE_MAX: usize = 1 << 20;

impl Events {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            name,
            follow,
            limit,
            output,
            server,
        } = self;
        let client = server.connect()?;
        let service = match name {
            Some(name) => Some(client.key(name).await?.to_string()),
            None => None,
        };
        let newest = newest(&client, service.as_deref(), *limit).await?;
        if !follow && matches!(output, Output::Json | Output::Yaml) {
            match output {
                Output::Yaml => screen.yaml(&Value::Array(newest.items))?,
                Output::Json | Output::Name | Output::Table | Output::Wide => {
                    newest.items.iter().for_each(|item| screen.json_line(item));
                }
            }
            return Ok(Exit::Done);
        }
        for item in &newest.items {
            tell(screen, item, *output)?;
        }
        if *follow {
            let mut reader = Reader {
                client: &client,
                service,
                after: newest.next,
            };
            reader.follow(screen, *output).await?;
        }
        Ok(Exit::Done)
    }
}

/// The newest events, and where to read on.
struct Newest {
    items: Vec<Value>,
    next: u64,
}

async fn newest(client: &Client, service: Option<&str>, limit: u16) -> Result<Newest> {
    // None at all is not a page; but where the newest stands must be known to read on.
    let asked = limit.max(1).to_string();
    let mut query = vec![("limit", asked.as_str())];
    query.extend(service.map(|service| ("service", service)));
    let mut page = client.get("/api/v1/events", &query).await?;
    let next = page["next"].as_u64().unwrap_or(0);
    let mut items = match page["items"].take() {
        Value::Array(items) => items,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Vec::new()
        }
    };
    let surplus = items.len().saturating_sub(usize::from(limit));
    items.drain(..surplus);
    Ok(Newest { items, next })
}

fn tell(screen: &Screen, item: &Value, output: Output) -> Result<()> {
    match output {
        Output::Json => screen.json_line(item),
        Output::Yaml => {
            screen.text("---\n");
            screen.yaml(item)?;
        }
        Output::Name => {
            let event: EventReport = understand(item)?;
            screen.line(&clean(&event.reason));
        }
        Output::Table | Output::Wide => {
            let event: EventReport = understand(item)?;
            screen.line(&line(screen, &event, output == Output::Wide));
        }
    }
    Ok(())
}

fn line(screen: &Screen, event: &EventReport, is_wide: bool) -> String {
    let EventReport {
        seq,
        time,
        severity,
        service,
        reason,
        message,
        actor,
        revision,
        rollout,
    } = event;
    let tone = match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Busy,
        Severity::Error => Tone::Bad,
    };
    let service = service.as_ref().map(ToString::to_string);
    let mut line = format!(
        "{}  {:<20}  {}  {}",
        screen.paint(Tone::Quiet, &time.to_string()),
        clean(reason),
        screen.paint(Tone::Strong, service.as_deref().unwrap_or("-")),
        screen.paint(tone, message),
    );
    if is_wide {
        let revision = revision.as_ref().map(|revision| revision.short());
        let told = format!(
            "  #{seq} by {} {} {}",
            actor.username,
            rollout.as_deref().unwrap_or_default(),
            revision.unwrap_or_default()
        );
        line.push_str(&screen.paint(Tone::Quiet, told.trim_end()));
    }
    line
}

/// Reads on, whatever becomes of the connection.
struct Reader<'a> {
    client: &'a Client,
    service: Option<String>,
    after: u64,
}

impl Reader<'_> {
    async fn follow(&mut self, screen: &Screen, output: Output) -> Result<()> {
        let mut wait = AGAIN_FIRST;
        loop {
            let before = self.after;
            match self.read_on(screen, output).await {
                // What the server refuses now it refuses again.
                Err(error) if error.exit() != Exit::Unreachable => return Err(error),
                Ok(()) | Err(_) => {}
            }
            if self.after != before {
                wait = AGAIN_FIRST;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN_MAX);
        }
    }

    /// One connection, until it breaks.
    async fn read_on(&mut self, screen: &Screen, output: Output) -> Result<()> {
        let query: Vec<(&str, &str)> = self
            .service
            .iter()
            .map(|service| ("service", service.as_str()))
            .collect();
        let after = self.after.to_string();
        let mut response = self
            .client
            .stream("/api/v1/events", &query, Some(&after))
            .await?;
        let mut messages = Messages::default();
        loop {
            let chunk = tokio::time::timeout(SILENCE_MAX, response.chunk()).await;
            let Ok(Ok(Some(bytes))) = chunk else {
                return Ok(());
            };
            for message in messages.take(&bytes)? {
                let item: Value = serde_json::from_str(&message.data).map_err(|error| {
                    CliError::wrong(format!("an event cannot be understood: {error}"))
                })?;
                tell(screen, &item, output)?;
                if let Some(id) = message.id.and_then(|id| id.parse().ok()) {
                    self.after = id;
                }
            }
        }
    }
}

/// Puts server-sent messages together from the pieces that arrive.
#[derive(Default)]
struct Messages {
    rest: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

#[derive(Debug, Eq, PartialEq)]
struct Message {
    id: Option<String>,
    data: String,
}

impl Messages {
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Message>> {
        self.rest.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            messages.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        if self.rest.len() > LINE_MAX {
            return Err(CliError::wrong("an event is too long"));
        }
        Ok(messages)
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let data = self.data.take()?;
            let id = self.id.take();
            return Some(Message { id, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments keep the connection alive; other fields are not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let stream =
            ":\n\nid: 7\ndata: {\"a\":\ndata: \"grün\"}\n\nevent: x\r\ndata: 1\r\n\r\ndata: open";
        let whole = vec![
            Message {
                id: Some("7".to_owned()),
                data: "{\"a\":\n\"grün\"}".to_owned(),
            },
            Message {
                id: None,
                data: "1".to_owned(),
            },
        ];
        for size in 1..stream.len() {
            let mut messages = Messages::default();
            let pieces = stream.as_bytes().chunks(size);
            let read: Vec<Message> = pieces
                .flat_map(|piece| messages.take(piece).unwrap())
                .collect();
            assert_eq!(read, whole, "pieces of {size} bytes");
        }
    }
}
