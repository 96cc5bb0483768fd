//! `verdigris get`: lists of services and repositories.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    age,
    client::{Client, Server, understand},
    tone,
};
use crate::{
    cli::{
        exit::{CliError, Exit, Result},
        output::Output,
        screen::{Screen, Tone},
        table::{Cell, Table},
    },
    clock::{Clock, SystemClock},
    name::{CloudName, Revision},
    status::{
        row::{ServiceRow, SlotRow},
        source::SourceReport,
    },
};

/// Lists services or sources, or shows one of them
#[derive(Args, Debug)]
pub(in crate::cli) struct Get {
    #[arg(value_enum, default_value_t, value_name = "KIND")]
    kind: Kind,
    /// `service`, or `environment/service`; or a source's name
    name: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Only this environment
    #[arg(short, long, value_name = "NAME")]
    environment: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Kind {
    #[default]
    #[value(alias = "service")]
    Services,
    /// The repositories that are followed
    #[value(alias = "source")]
    Sources,
}

impl Get {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            kind,
            name,
            output,
            environment,
            server,
        } = self;
        let client = server.connect()?;
        match (kind, name) {
            (Kind::Services, Some(name)) => service(&client, screen, name, *output).await?,
            (Kind::Services, None) => {
                services(&client, screen, environment.as_deref(), *output).await?;
            }
            (Kind::Sources, name) => sources(&client, screen, name.as_deref(), *output).await?,
        }
        Ok(Exit::Done)
    }
}

async fn services(
    client: &Client,
    screen: &Screen,
    environment: Option<&str>,
    output: Output,
) -> Result<()> {
    let query: Vec<(&str, &str)> = environment
        .iter()
        .map(|name| ("environment", *name))
        .collect();
    let items = client.list("/api/v1/services", &query).await?;
    match output {
        Output::Json => screen.json(&json!({ "items": items })),
        Output::Yaml => screen.yaml(&json!({ "items": items })),
        Output::Name | Output::Table | Output::Wide => rows(screen, &items, output),
    }
}

async fn service(client: &Client, screen: &Screen, name: &str, output: Output) -> Result<()> {
    let key = client.key(name).await?;
    let value = client.get(&format!("/api/v1/services/{key}"), &[]).await?;
    match output {
        Output::Json => screen.json(&value),
        Output::Yaml => screen.yaml(&value),
        Output::Name | Output::Table | Output::Wide => {
            let row = ServiceRow::of(&understand(&value)?);
            table(screen, &[row], output);
            Ok(())
        }
    }
}

fn rows(screen: &Screen, items: &[Value], output: Output) -> Result<()> {
    let rows: Result<Vec<ServiceRow>> = items.iter().map(understand).collect();
    table(screen, &rows?, output);
    Ok(())
}

fn table(screen: &Screen, rows: &[ServiceRow], output: Output) {
    if output == Output::Name {
        for row in rows {
            screen.line(&format!("{}/{}", row.environment, row.name));
        }
        return;
    }
    let mut head = vec![
        "ENVIRONMENT",
        "NAME",
        "PHASE",
        "READY",
        "LIVE",
        "AWS",
        "AZURE",
        "SINCE",
    ];
    if output == Output::Wide {
        head.extend(["DESIRED", "AWS GREEN", "AZURE GREEN", "GATES"]);
    }
    head.push("WHY");
    let mut table = Table::new(head);
    for row in rows {
        table.row(cells(row, output == Output::Wide));
    }
    if table.is_empty() {
        screen.remark("there are no services");
    } else {
        screen.text(&table.render(screen));
    }
}

fn cells(row: &ServiceRow, is_wide: bool) -> Vec<Cell> {
    let short = |revision: &Option<Revision>| revision.as_ref().map(Revision::short);
    let health = |cloud: CloudName| {
        let target = row.targets.get(&cloud);
        Cell::plain(
            target
                .map(|target| target.health.as_str())
                .unwrap_or_default(),
        )
    };
    let mut cells = vec![
        Cell::plain(row.environment.as_str()),
        Cell::new(Tone::Strong, row.name.as_str()),
        Cell::new(tone(row.phase), row.phase.as_str()),
        Cell::new(super::truth_tone(row.ready), row.ready.as_str()),
        Cell::plain(short(&row.live).unwrap_or_default()),
        health(CloudName::Aws),
        health(CloudName::Azure),
        Cell::plain(age(row.since, SystemClock.now())),
    ];
    if is_wide {
        let green = |cloud: CloudName| {
            let target = row.targets.get(&cloud);
            Cell::plain(target.map(|target| slot(&target.green)).unwrap_or_default())
        };
        let gates = format!("{}/{}", row.gates.passed, row.gates.total);
        cells.extend([
            Cell::plain(short(&row.desired).unwrap_or_default()),
            green(CloudName::Aws),
            green(CloudName::Azure),
            Cell::plain(gates),
        ]);
    }
    cells.push(Cell::plain(&row.why));
    cells
}

fn slot(slot: &SlotRow) -> String {
    slot.revision
        .clone()
        .or_else(|| slot.release.clone())
        .unwrap_or_default()
}

// === repositories ===

async fn sources(
    client: &Client,
    screen: &Screen,
    name: Option<&str>,
    output: Output,
) -> Result<()> {
    let mut items = client.list("/api/v1/sources", &[]).await?;
    if let Some(name) = name {
        items.retain(|item| item["name"] == name);
        if items.is_empty() {
            return Err(CliError::wrong(format!("no source is called `{name}`"))
                .help("`verdigris get sources` lists them"));
        }
    }
    match output {
        Output::Json => screen.json(&json!({ "items": items })),
        Output::Yaml => screen.yaml(&json!({ "items": items })),
        Output::Name | Output::Table | Output::Wide => {
            let reports: Result<Vec<SourceReport>> = items.iter().map(understand).collect();
            source_table(screen, &reports?, output);
            Ok(())
        }
    }
}

fn source_table(screen: &Screen, sources: &[SourceReport], output: Output) {
    if output == Output::Name {
        for source in sources {
            screen.line(source.name.as_str());
        }
        return;
    }
    let mut table = Table::new(vec!["NAME", "READY", "REVISION", "POLLED", "FAULTS", "URL"]);
    for source in sources {
        let (tone, ready) = match source.is_ready() {
            true => (Tone::Good, "True"),
            false => (Tone::Bad, "False"),
        };
        let revision = source.revision.as_ref().map(Revision::short);
        table.row(vec![
            Cell::new(Tone::Strong, source.name.as_str()),
            Cell::new(tone, ready),
            Cell::plain(revision.unwrap_or_default()),
            Cell::plain(age(source.last_polled_at, SystemClock.now())),
            Cell::plain(source.faults.len().to_string()),
            Cell::plain(&source.url),
        ]);
    }
    screen.text(&table.render(screen));
}
