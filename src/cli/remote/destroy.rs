//! `verdigris destroy`: services are taken off every cloud, once a person has seen what goes and has typed its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    client::{Client, Server, understand},
    wait::{Patience, Wish, wait},
};
use crate::{
    cli::{
        exit::{CliError, Exit, Result},
        output::Output,
        screen::{Screen, Tone},
    },
    name::{EnvironmentName, ServiceKey},
    status::row::ServiceRow,
};

/// Takes services off every cloud, once you have typed what goes; they stay away until `resume`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verdigris destroy staging/inventory --reason 'the trial is over'
  verdigris destroy --environment review-42 --reason 'merged' --yes
  verdigris destroy prod/inventory --plan 3f9a21c0 --reason 'moved' --yes

What would go is shown first, and what stays since it is not the service's own. Git still names the service: it stays away until
`resume`, which brings back what Git asks for by then. Remove it from Git, and it is forgotten.

Exit code 2 where something would go and nobody confirmed it, 0 where it goes, or where nothing would.")]
pub(in crate::cli) struct Destroy {
    /// `service`, or `environment/service`
    #[arg(required_unless_present_any = ["environment", "all"])]
    names: Vec<String>,
    /// Every service of an environment
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "all"])]
    environment: Option<EnvironmentName>,
    /// Every service of every environment
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Why, for those who ask later; asked for where unsaid
    #[arg(long)]
    reason: Option<String>,
    /// The plan that is meant, as it was shown before, for one service; refused if something else would go by now
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Do it, without a question
    #[arg(long)]
    yes: bool,
    /// Wait until nothing is left
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    patience: Patience,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Destroy {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let mut plans = BTreeMap::new();
        for key in self.keys(&client).await? {
            let plan = client.get(&path(&key), &[]).await?;
            plans.insert(key, plan);
        }
        if self.plan.is_some() && plans.len() != 1 {
            return Err(CliError::wrong("--plan names the plan of one service")
                .help("name that service, or leave --plan away"));
        }
        self.tell(screen, &plans)?;
        if plans.is_empty() {
            screen.remark("nothing to destroy");
            return Ok(Exit::Done);
        }
        let Some(reason) = self.confirmed(screen, &plans)? else {
            screen.remark("nothing was changed; --yes with --reason does it without a question");
            return Ok(Exit::Pending);
        };
        for key in in_turn(&plans) {
            let hash = match &self.plan {
                Some(plan) => plan.as_str(),
                None => plans[&key]["hash"].as_str().unwrap_or_default(),
            };
            let body = json!({ "plan": hash, "reason": reason });
            client.post(&path(&key), &body).await?;
            screen.remark(&format!("{key} goes"));
        }
        if self.wait {
            for key in plans.keys() {
                let exit = wait(&client, screen, key, &Wish::Rest, &self.patience).await?;
                if exit != Exit::Done {
                    return Ok(exit);
                }
            }
        }
        Ok(Exit::Done)
    }

    /// Every service that is meant and is not gone already.
    async fn keys(&self, client: &Client) -> Result<BTreeSet<ServiceKey>> {
        let mut keys = BTreeSet::new();
        for name in &self.names {
            keys.insert(client.key(name).await?);
        }
        if !self.names.is_empty() {
            return Ok(keys);
        }
        let environment = self.environment.as_ref().map(EnvironmentName::as_str);
        let query: Vec<_> = environment
            .map(|it| ("environment", it))
            .into_iter()
            .collect();
        for row in client.list("/api/v1/services", &query).await? {
            let ServiceRow {
                environment, name, ..
            } = understand(&row)?;
            if row["phase"] != "Destroyed" {
                keys.insert(ServiceKey {
                    environment,
                    service: name,
                });
            }
        }
        Ok(keys)
    }

    fn tell(&self, screen: &Screen, plans: &BTreeMap<ServiceKey, Value>) -> Result<()> {
        let all: Vec<&Value> = plans.values().collect();
        match self.output {
            Output::Json => screen.json(&json!(all)),
            Output::Yaml => screen.yaml(&json!(all)),
            Output::Name => {
                plans.keys().for_each(|key| screen.line(&key.to_string()));
                Ok(())
            }
            Output::Table | Output::Wide => {
                all.iter().for_each(|plan| tell_of(screen, plan));
                Ok(())
            }
        }
    }

    /// Why it goes, if a person confirms that it does.
    fn confirmed(
        &self,
        screen: &Screen,
        plans: &BTreeMap<ServiceKey, Value>,
    ) -> Result<Option<String>> {
        if self.yes {
            let reason = self.reason.clone();
            return reason.map(Some).ok_or_else(|| {
                CliError::wrong("nobody is asked under --yes").help("say why, with --reason")
            });
        }
        let name = self.to_type(plans);
        screen.remark(&format!("type `{name}` to destroy it on every cloud:"));
        if answer()? != name {
            return Ok(None);
        }
        if let Some(reason) = &self.reason {
            return Ok(Some(reason.clone()));
        }
        screen.remark("why, for those who ask later:");
        let reason = answer()?;
        Ok((!reason.is_empty()).then_some(reason))
    }

    /// What says that the person has seen how much goes.
    fn to_type(&self, plans: &BTreeMap<ServiceKey, Value>) -> String {
        let mut keys = plans.keys();
        match (&self.environment, keys.next(), keys.next()) {
            (Some(environment), _, _) => environment.to_string(),
            (None, Some(key), None) if !self.all => key.to_string(),
            (None, _, _) if self.all => "all".to_owned(),
            (None, _, _) => format!("{} services", plans.len()),
        }
    }
}

fn path(key: &ServiceKey) -> String {
    format!("/api/v1/services/{key}/destroy")
}

/// One line of what a person types; nothing where nobody does.
fn answer() -> Result<String> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.map_err(|error| CliError::of(&error))?;
    Ok(line.trim().to_owned())
}

/// Those that depend on others go before them. What is left in a circle goes as it comes: the daemon refuses what may not go.
fn in_turn(plans: &BTreeMap<ServiceKey, Value>) -> Vec<ServiceKey> {
    let mut left: BTreeSet<&ServiceKey> = plans.keys().collect();
    let mut turn = Vec::new();
    while !left.is_empty() {
        let is_free = |key: &&&ServiceKey| {
            let dependants = plans[**key]["dependants"].as_array().into_iter().flatten();
            let mut dependants = dependants.filter_map(|it| understand::<ServiceKey>(it).ok());
            !dependants.any(|dependant| left.contains(&dependant))
        };
        let free: Vec<&ServiceKey> = left.iter().filter(is_free).copied().collect();
        let next = match free.is_empty() {
            true => left.iter().copied().collect(),
            false => free,
        };
        for key in next {
            left.remove(key);
            turn.push(key.clone());
        }
    }
    turn
}

fn tell_of(screen: &Screen, plan: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let hash: String = text(&plan["hash"]);
    let hash = hash.strip_prefix("sha256:").unwrap_or(&hash);
    let hash = hash.get(..12).unwrap_or(hash).to_owned();
    let name = screen.paint(Tone::Strong, &text(&plan["service"]));
    screen.line(&format!(
        "{name}  {}",
        screen.paint(Tone::Quiet, &format!("plan {hash}"))
    ));
    for cloud in list(&plan["clouds"]) {
        let place = format!("{} {}", text(&cloud["cloud"]), text(&cloud["place"]));
        let goes = list(&cloud["goes"]);
        for id in &goes {
            let id = screen.paint(Tone::Bad, &text(id));
            screen.line(&format!("  - {place}: {id}"));
        }
        if cloud["isUnseen"] == true {
            screen.line(&format!(
                "  - {place}: not seen yet; what is there of it goes as soon as the cloud answers"
            ));
        } else if goes.is_empty() {
            screen.line(&format!("    {place}: nothing of it is there"));
        }
        for stays in list(&cloud["stays"]) {
            let line = format!("{} stays: {}", text(&stays["what"]), text(&stays["why"]));
            screen.line(&format!(
                "    {place}: {}",
                screen.paint(Tone::Plain, &line)
            ));
        }
    }
    for dependant in list(&plan["dependants"]) {
        let line = format!("{} depends on it, and must go first", text(&dependant));
        screen.line(&format!("    {}", screen.paint(Tone::Busy, &line)));
    }
    for note in list(&plan["notes"]) {
        screen.line(&format!("    {}", screen.paint(Tone::Plain, &text(&note))));
    }
}
