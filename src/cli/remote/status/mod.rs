//! `verdigris status`: one screen; or one service with everything that is known of it.

mod detail;

use clap::Args;
use serde_json::{Value, json};

use super::{
    age,
    client::{Client, Server, understand},
    tone,
};
use crate::{
    cli::{
        exit::{Exit, Result},
        output::Output,
        screen::{Screen, Tone},
        table::{Cell, Table},
    },
    clock::{Clock, SystemClock},
    status::{
        row::{ServiceRow, Summary},
        source::SourceReport,
    },
};

/// Shows what needs attention; or all that is known of one service
#[derive(Args, Debug)]
pub(in crate::cli) struct Status {
    /// `service`, or `environment/service`
    name: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Status {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            name,
            output,
            server,
        } = self;
        let client = server.connect()?;
        match name {
            Some(name) => detail::tell(&client, screen, name, *output).await?,
            None => overview(&client, screen, *output).await?,
        }
        Ok(Exit::Done)
    }
}

async fn overview(client: &Client, screen: &Screen, output: Output) -> Result<()> {
    let summary = client.get("/api/v1/summary", &[]).await?;
    let sources = client.list("/api/v1/sources", &[]).await?;
    let rows = client
        .list("/api/v1/services", &[("attention", "true")])
        .await?;
    match output {
        Output::Json => screen.json(&together(&summary, &sources, &rows)),
        Output::Yaml => screen.yaml(&together(&summary, &sources, &rows)),
        Output::Name => {
            for row in &rows {
                let row: ServiceRow = understand(row)?;
                screen.line(&format!("{}/{}", row.environment, row.name));
            }
            Ok(())
        }
        Output::Table | Output::Wide => {
            let summary: Summary = understand(&summary)?;
            counts(screen, &summary);
            repositories(screen, &sources)?;
            match (rows.is_empty(), summary.sources_failing) {
                // What needs it was told above.
                (true, 1..) => Ok(()),
                (true, 0) | (false, _) => attention(screen, &rows),
            }
        }
    }
}

fn together(summary: &Value, sources: &[Value], rows: &[Value]) -> Value {
    json!({ "summary": summary, "sources": sources, "attention": rows })
}

fn counts(screen: &Screen, summary: &Summary) {
    let Summary {
        services,
        attention,
        sources_failing,
        ready,
        rolling,
        suspended,
        phases: _,
        environments,
        clouds,
    } = summary;
    let mut parts = vec![screen.paint(Tone::Good, &format!("{ready} live"))];
    let mut count = |number: usize, tone: Tone, what: &str| {
        if number > 0 {
            parts.push(screen.paint(tone, &format!("{number} {what}")));
        }
    };
    count(*rolling, Tone::Busy, "rolling out");
    count(*suspended, Tone::Busy, "suspended");
    count(*attention, Tone::Bad, "to look at");
    count(*sources_failing, Tone::Bad, "repositories not read");
    let places: Vec<String> = environments
        .iter()
        .map(|(name, number)| format!("{name} {number}"))
        .collect();
    let total = screen.paint(
        Tone::Strong,
        &match services {
            1 => "1 service".to_owned(),
            _ => format!("{services} services"),
        },
    );
    screen.line(&format!(
        "{total}  {}  ({})",
        parts.join(", "),
        places.join(", ")
    ));
    for (cloud, healths) in clouds {
        let told: Vec<String> = healths
            .iter()
            .map(|(health, number)| format!("{number} {}", health.as_str().to_lowercase()))
            .collect();
        screen.line(&format!("  {cloud:<6} {}", told.join(", ")));
    }
}

fn repositories(screen: &Screen, sources: &[Value]) -> Result<()> {
    for source in sources {
        let source: SourceReport = understand(source)?;
        let revision = source.revision.as_ref().map(|revision| revision.short());
        let polled = age(source.last_polled_at, SystemClock.now());
        let state = if source.is_ready() {
            screen.paint(Tone::Good, "read")
        } else {
            screen.paint(Tone::Bad, "not read")
        };
        let name = screen.paint(Tone::Plain, source.name.as_str());
        let revision = screen.paint(Tone::Quiet, &revision.unwrap_or_default());
        screen.line(&format!("  {name}  {revision}  {state} {polled} ago"));
        for condition in source
            .conditions
            .iter()
            .filter(|told| !told.message.is_empty())
        {
            screen.line(&format!(
                "    {}",
                screen.paint(Tone::Bad, &condition.message)
            ));
        }
        for fault in &source.faults {
            screen.line(&format!("    {}", screen.paint(Tone::Bad, fault)));
        }
    }
    Ok(())
}

fn attention(screen: &Screen, rows: &[Value]) -> Result<()> {
    if rows.is_empty() {
        screen.line(&screen.paint(Tone::Good, "nothing needs attention"));
        return Ok(());
    }
    screen.line("");
    let mut table = Table::new(vec!["SERVICE", "PHASE", "SINCE", "WHY"]);
    for row in rows {
        let row: ServiceRow = understand(row)?;
        table.row(vec![
            Cell::new(Tone::Strong, format!("{}/{}", row.environment, row.name)),
            Cell::new(tone(row.phase), row.phase.as_str()),
            Cell::plain(age(row.since, SystemClock.now())),
            Cell::plain(&row.why),
        ]);
    }
    screen.text(&table.render(screen));
    Ok(())
}
