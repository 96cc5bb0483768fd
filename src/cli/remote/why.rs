//! `verdigris why`: what stands between the newest commit and users.

use clap::Args;

use super::{
    age,
    client::{Server, understand},
};
use crate::{
    cli::{
        exit::{Exit, Result},
        output::Output,
        screen::{Screen, Tone},
    },
    clock::{Clock, SystemClock},
    name::{Revision, Timestamp},
    status::why::{Explanation, Needs, Obstacle, Way},
};

/// Says why the newest commit is not live yet, and what would unblock it
#[derive(Args, Debug)]
#[command(after_help = "\
What is most pressing stands first: what needs a person, then a commit, then a cloud, then time, then what is still to come.")]
pub(in crate::cli) struct Why {
    /// `service`, or `environment/service`
    name: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Why {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let path = format!("/api/v1/services/{key}/why");
        let value = client.get(&path, &[]).await?;
        match self.output {
            Output::Json => screen.json(&value)?,
            Output::Yaml => screen.yaml(&value)?,
            Output::Name => screen.line(&key.to_string()),
            Output::Table | Output::Wide => {
                tell(screen, &understand(&value)?, SystemClock.now());
            }
        }
        Ok(Exit::Done)
    }
}

fn tell(screen: &Screen, explanation: &Explanation, now: Timestamp) {
    let Explanation {
        service,
        newest,
        live,
        is_live,
        why,
        obstacles,
    } = explanation;
    let tone = if *is_live { Tone::Good } else { Tone::Strong };
    let name = screen.paint(Tone::Strong, &service.to_string());
    screen.line(&format!("{name}  {}", screen.paint(tone, why)));
    let short = |revision: &Option<Revision>| {
        let short = revision.as_ref().map(Revision::short);
        short.unwrap_or_else(|| "nothing yet".to_owned())
    };
    let both = format!("newest {}, live {}", short(newest), short(live));
    screen.line(&format!("  {}", screen.paint(Tone::Quiet, &both)));
    for (index, obstacle) in obstacles.iter().enumerate() {
        screen.line("");
        one(screen, index + 1, obstacle, now);
    }
}

fn one(screen: &Screen, rank: usize, obstacle: &Obstacle, now: Timestamp) {
    let Obstacle {
        kind: _,
        what,
        needs,
        since,
        until,
        evidence,
        ways,
    } = obstacle;
    let (tone, needs) = match needs {
        Needs::Person => (Tone::Bad, "needs a person"),
        Needs::Commit => (Tone::Bad, "needs a commit"),
        Needs::Cloud => (Tone::Busy, "needs a cloud"),
        Needs::Time => (Tone::Busy, "needs time"),
        Needs::Later => (Tone::Quiet, "still to come"),
    };
    let what = screen.paint(Tone::Plain, what);
    screen.line(&format!("{rank}. {}: {what}", screen.paint(tone, needs)));
    let since = since.map(|since| format!("since {since} ({})", age(Some(since), now)));
    let until = until.map(|until| format!("until {until}"));
    let times: Vec<String> = since.into_iter().chain(until).collect();
    if !times.is_empty() {
        let times = screen.paint(Tone::Quiet, &times.join(", "));
        screen.line(&format!("   {times}"));
    }
    for line in evidence {
        screen.line(&format!("   - {}", screen.paint(Tone::Plain, line)));
    }
    for Way { command, text } in ways {
        let told = match command {
            Some(command) => {
                format!(
                    "{}  {}",
                    screen.paint(Tone::Strong, command),
                    screen.paint(Tone::Plain, text)
                )
            }
            None => screen.paint(Tone::Plain, text),
        };
        screen.line(&format!("   > {told}"));
    }
}
