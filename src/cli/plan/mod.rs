//! `verdigris plan`: what the newest commit would change on both clouds. No store is touched, and no cloud is written to.

mod look;
mod read;
mod tell;

use clap::Args;

use super::{
    exit::{CliError, Exit, Result},
    follow::{self, Follow},
    output::Output,
    screen::Screen,
};
use crate::{
    clock::{Clock, SystemClock},
    daemon::{clouds::Clouds, config::Config},
    name::ServiceKey,
    plan::{
        preview::{ServicePlan, preview},
        state::{Policy, ServiceState},
        step::Fleets,
    },
    reconcile::around::Surroundings,
};

/// Shows what the newest commit would change on both clouds, and why; changes nothing
#[derive(Args, Debug)]
#[command(after_help = "\
It reads the commit from the repository itself and asks both clouds; it needs no daemon and knows nothing of one: a suspension, a pin
or a rejected release stands in the daemon's own plan, `verdigris status NAME`. What differs in the code of an equal release is found
by the daemon only, since nothing is built here.

Exit code 2 where there is something to do, 0 where not.")]
pub(super) struct Plan {
    #[command(flatten)]
    follow: Follow,
    /// Only these services: `service`, or `environment/service`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is planned, and what must be said beside it.
struct Planned {
    plans: Vec<ServicePlan>,
    /// Faults of manifests.
    faults: Vec<String>,
}

impl Plan {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            follow,
            names,
            output,
        } = self;
        let (config, _) = follow.config()?;
        let mut asked = read::read(&config, screen).await?;
        asked.only(names)?;
        let clouds = Clouds::new(
            config.aws.clone(),
            config.azure.clone(),
            follow::azure_identity()?,
        );
        let planned = plan(&config, &clouds, asked, screen).await;
        tell::tell(screen, &planned, *output)?;
        Ok(planned.exit())
    }
}

async fn plan(config: &Config, clouds: &Clouds, asked: read::Asked, screen: &Screen) -> Planned {
    let clock = SystemClock;
    let policy = Policy {
        resync: config.resync,
        prune: config.prune,
        prune_share: config.prune_share,
        ..Policy::default()
    };
    let faults = asked.faults.clone();
    let shown = asked.shown().cloned();
    let is_shown = |key: &ServiceKey| shown.as_ref().is_none_or(|shown| shown.contains(key));
    // The clients of both clouds are large.
    let states = Box::pin(look::look(clouds, &clock, asked, screen)).await;
    let now = clock.now();
    let around = Surroundings::at_first_sight(&states, fleets(&states), now);
    let plans = states
        .iter()
        .filter(|state| is_shown(&state.key))
        .map(|state| preview(state, &around.of(state), policy, now))
        .collect();
    Planned { plans, faults }
}

fn fleets(states: &[ServiceState]) -> Fleets {
    let is_absent = |state: &ServiceState| matches!(state.ask, crate::plan::state::Ask::Absent);
    Fleets::count(states.iter().map(|state| (&state.key, is_absent(state))))
}

impl Planned {
    /// A target that could not be seen, or a manifest that is wrong, makes the plan an error: it is not known whether there is something
    /// to do.
    fn exit(&self) -> Exit {
        use crate::plan::reason::WaitingOn;
        let is_blind = |plan: &ServicePlan| {
            plan.waiting.iter().any(|waiting| {
                matches!(
                    waiting,
                    WaitingOn::Cloud { .. } | WaitingOn::Manifest { .. }
                )
            })
        };
        if !self.faults.is_empty() || self.plans.iter().any(is_blind) {
            Exit::Wrong
        } else if self.plans.iter().all(ServicePlan::is_quiet) {
            Exit::Done
        } else {
            Exit::Pending
        }
    }
}

fn unknown_name(name: &str) -> CliError {
    CliError::wrong(format!("no service is called `{name}` at this commit"))
        .help("without a name every service is planned")
}
