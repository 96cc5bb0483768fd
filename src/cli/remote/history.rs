//! `verdigris history`: what was rolled out, when, by whom, and how it ended.

use clap::Args;
use serde_json::json;

use super::client::{Server, understand};
use crate::{
    cli::{
        exit::{Exit, Result},
        output::Output,
        screen::{Screen, Tone},
        table::{Cell, Table},
    },
    status::{record::HistoryReport, service::word::WordReport},
};

/// Shows the ended rollouts of a service, newest first
#[derive(Args, Debug)]
pub(in crate::cli) struct History {
    /// `service`, or `environment/service`
    name: String,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl History {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            name,
            limit,
            output,
            server,
        } = self;
        let client = server.connect()?;
        let key = client.key(name).await?;
        let path = format!("/api/v1/services/{key}/history");
        let items = client.first(&path, *limit).await?;
        match output {
            Output::Json => screen.json(&json!({ "items": items }))?,
            Output::Yaml => screen.yaml(&json!({ "items": items }))?,
            Output::Name | Output::Table | Output::Wide => {
                let entries: Result<Vec<HistoryReport>> = items.iter().map(understand).collect();
                tell(screen, &entries?, *output);
            }
        }
        Ok(Exit::Done)
    }
}

fn tell(screen: &Screen, entries: &[HistoryReport], output: Output) {
    if output == Output::Name {
        for entry in entries {
            screen.line(&screen.paint(Tone::Plain, &entry.id));
        }
        return;
    }
    let mut table = Table::new(vec![
        "ROLLOUT", "OUTCOME", "RELEASE", "REVISION", "STARTED", "TOOK", "BY", "MESSAGE",
    ]);
    for entry in entries {
        table.row(cells(entry, output == Output::Wide));
    }
    if table.is_empty() {
        screen.remark("no rollout has ended yet");
    } else {
        screen.text(&table.render(screen));
    }
}

fn cells(entry: &HistoryReport, is_wide: bool) -> Vec<Cell> {
    let HistoryReport {
        id,
        number: _,
        release,
        revision,
        previous: _,
        outcome,
        message,
        trigger,
        actor,
        started_at,
        ended_at,
        transitions: _,
        overridden,
    } = entry;
    let tone = match outcome.as_str() {
        "Live" => Tone::Good,
        "Rejected" | "RolledBack" => Tone::Bad,
        _ => Tone::Busy,
    };
    // Wide shows the whole digest; `rollback --to` takes either.
    let release = if is_wide {
        release.to_string()
    } else {
        release.short()
    };
    vec![
        Cell::new(Tone::Strong, id),
        Cell::new(tone, outcome),
        Cell::plain(release),
        Cell::plain(revision.short()),
        Cell::plain(started_at.to_string()),
        Cell::plain(format!("{:.1}s", ended_at.since(*started_at).as_secs_f64())),
        Cell::plain(format!("{} ({})", actor.username, trigger.to_lowercase())),
        Cell::plain(told(message, overridden.as_ref())),
    ]
}

/// What it ended with; and who promoted it outside its windows.
fn told(message: &str, overridden: Option<&WordReport>) -> String {
    let Some(word) = overridden else {
        return message.to_owned();
    };
    let by = format!(
        "outside its windows, by {}: {}",
        word.actor.username, word.reason
    );
    match message {
        "" => by,
        message => format!("{message} ({by})"),
    }
}
