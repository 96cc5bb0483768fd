//! What a person may do to a service: one verb each, all told to the daemon alike.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{Server, understand},
    sources, tone,
    wait::{Patience, Wish, wait},
};
use crate::{
    cli::{
        exit::{Exit, Result},
        output::Output,
        screen::{Screen, Tone},
    },
    clock::{Clock, SystemClock},
    manifest,
    name::ServiceKey,
    status::ServiceReport,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Act {
    /// Ends the wait that is under way: a pause, an approval, a soak or the bake; gates are never skipped
    Promote {
        /// End every wait that is still to come; approvals, gates and windows stay
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Gives an approval to the rollout that waits for it
    Approve {
        /// The plan that is meant, as `plan` and `status` show it; refused if it is another one by now
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Ends the rollout: green is left, or blue goes back
    Abort {
        /// Why, for those who ask later
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Tries a rejected release again, or measures a paused gate again
    Retry(Common),
    /// Goes back to an earlier release, and stays there until a newer one is asked for
    Rollback {
        /// The release: its digest, four digits of it or more, a commit, or a rollout like r-12; the one before where unsaid
        #[arg(long, value_name = "RELEASE")]
        to: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Begins no new rollout and no repair until `resume`
    Suspend {
        /// Why, for those who ask later
        #[arg(long)]
        reason: String,
        /// Ends by itself after this time, like 30m or 2h
        #[arg(long = "for", value_name = "TIME", value_parser = manifest::duration)]
        time: Option<Duration>,
        #[command(flatten)]
        common: Common,
    },
    /// Begins nothing more of the rollout until `resume`; a bake is watched on
    Pause {
        /// Why, for those who ask later
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Ends a pause and a suspension, lets go of a rollback's pin, and brings back what was destroyed
    Resume(Common),
    /// Stays at what is live, or at a release that was, until `unpin`
    Pin {
        /// The release: as for `rollback`; what is live where unsaid
        #[arg(long, value_name = "RELEASE")]
        to: Option<String>,
        /// Why, for those who ask later
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        common: Common,
    },
    /// Lets go of a pin
    Unpin(Common),
    /// Lets the rollout be promoted outside its windows, for an emergency; who and why is kept
    Override {
        /// Why, for those who ask later
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        common: Common,
    },
    /// Looks now, at the repositories and at the clouds
    Reconcile(Common),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Common {
    /// `service`, or `environment/service`
    name: String,
    /// Wait until what is begun has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    patience: Patience,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Act {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit> {
        match self {
            Self::Promote { full, common } => {
                let body = json!({ "full": full });
                common.act(screen, "promote", &body).await
            }
            Self::Approve { plan, common } => {
                let body = json!({ "plan": plan });
                common.act(screen, "approve", &body).await
            }
            Self::Pause { reason, common } => {
                let body = json!({ "reason": reason });
                common.act(screen, "pause", &body).await
            }
            Self::Unpin(common) => common.act(screen, "unpin", &json!({})).await,
            Self::Override { reason, common } => {
                let body = json!({ "reason": reason });
                common.act(screen, "override", &body).await
            }
            Self::Pin { to, reason, common } => {
                let body = json!({ "to": to, "reason": reason });
                common.act(screen, "pin", &body).await
            }
            Self::Retry(common) => common.act(screen, "retry", &json!({})).await,
            Self::Resume(common) => common.act(screen, "resume", &json!({})).await,
            Self::Abort { reason, common } => {
                let body = json!({ "reason": reason });
                common.act(screen, "abort", &body).await
            }
            Self::Suspend {
                reason,
                time,
                common,
            } => {
                let until = time.map(|time| SystemClock.now().after(time));
                let body = json!({ "reason": reason, "until": until });
                common.act(screen, "suspend", &body).await
            }
            Self::Reconcile(common) => common.reconcile(screen).await,
            Self::Rollback { to, common } => {
                let body = json!({ "to": to });
                common.act(screen, "rollback", &body).await
            }
        }
    }
}

impl Common {
    /// What a look at the repositories brings is known once each of them was looked at.
    async fn reconcile(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let before = sources::polled(&client).await?;
        let body = json!({ "token": uuid::Uuid::new_v4().to_string() });
        let path = format!("/api/v1/services/{key}/reconcile");
        let taken = client.post(&path, &body).await?;
        if !self.wait {
            tell(screen, &taken, &key, self.output)?;
            return Ok(Exit::Done);
        }
        sources::wait(&client, &before, &self.patience).await?;
        wait(&client, screen, &key, &Wish::Rest, &self.patience).await
    }

    async fn act(&self, screen: &Screen, verb: &str, body: &Value) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let path = format!("/api/v1/services/{key}/{verb}");
        let taken = client.post(&path, body).await?;
        if !self.wait {
            tell(screen, &taken, &key, self.output)?;
            return Ok(Exit::Done);
        }
        wait(&client, screen, &key, &Wish::Rest, &self.patience).await
    }
}

fn tell(screen: &Screen, taken: &Value, key: &ServiceKey, output: Output) -> Result<()> {
    match output {
        Output::Json => screen.json(taken)?,
        Output::Yaml => screen.yaml(taken)?,
        Output::Name => screen.line(&key.to_string()),
        Output::Table | Output::Wide => {
            let report: ServiceReport = understand(&taken["service"])?;
            let action = taken["action"].as_str().unwrap_or_default();
            let status = &report.status;
            screen.line(&format!(
                "{key}  {} taken  {}  {}",
                screen.paint(Tone::Plain, action),
                screen.paint(tone(status.phase), status.phase.as_str()),
                screen.paint(Tone::Plain, &status.why),
            ));
        }
    }
    Ok(())
}
