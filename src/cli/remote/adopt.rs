//! `verdigris adopt`: resources that were there before us become a service's own.

use clap::Args;
use serde_json::{Value, json};

use super::client::Server;
use crate::cli::{
    exit::{Exit, Result},
    output::Output,
    screen::{Screen, Tone},
};

/// Takes over what stands where a service's own should; without --yes it only shows it
#[derive(Args, Debug)]
#[command(after_help = "\
A service's own are called ENVIRONMENT-SERVICE-FUNCTION on Lambda and PREFIX-ENVIRONMENT-SERVICE on Azure, or as the manifest says:
`aws: { name: … }` at a function, `azure: { name: … }` at the service. `import --aws` and `import --azure` write these names.

Exit code 2 where there is something to adopt and --yes was not said, 0 where not.")]
pub(in crate::cli) struct Adopt {
    /// `service`, or `environment/service`
    name: String,
    /// Only these: names of functions and apps, ARNs, or Azure resource ids
    #[arg(long, value_name = "NAME|ID")]
    resource: Vec<String>,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Adopt {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let client = self.server.connect()?;
        let key = client.key(&self.name).await?;
        let path = format!("/api/v1/services/{key}/adopt");
        let mut plan = client.get(&path, &[]).await?;
        if let Some(found) = plan["resources"].as_array_mut() {
            found.retain(|stranger| self.is_meant(stranger));
        }
        match self.output {
            Output::Json => screen.json(&plan)?,
            Output::Yaml => screen.yaml(&plan)?,
            Output::Name | Output::Table | Output::Wide => tell(screen, &plan),
        }
        let strangers = plan["resources"].as_array().into_iter().flatten();
        let ids: Vec<&str> = strangers.filter_map(|it| it["resource"].as_str()).collect();
        if ids.is_empty() {
            screen.remark(&format!("{key} has nothing to adopt"));
            return Ok(Exit::Done);
        }
        if !self.yes {
            screen.remark("nothing was changed; --yes does it");
            return Ok(Exit::Pending);
        }
        client.post(&path, &json!({ "resources": ids })).await?;
        screen.remark(&format!("{} adopted by {key}", ids.len()));
        Ok(Exit::Done)
    }

    fn is_meant(&self, stranger: &Value) -> bool {
        let id = stranger["resource"].as_str().unwrap_or_default();
        // The last part of an ARN, or of an Azure resource id.
        let name = id.rsplit([':', '/']).next().unwrap_or(id);
        let is_it = |asked: &String| {
            [id, name]
                .iter()
                .any(|told| asked.eq_ignore_ascii_case(told))
        };
        self.resource.is_empty() || self.resource.iter().any(is_it)
    }
}

fn tell(screen: &Screen, plan: &Value) {
    for stranger in plan["resources"].as_array().into_iter().flatten() {
        let text = |name: &str| stranger[name].as_str().unwrap_or_default();
        let id = screen.paint(Tone::Strong, text("resource"));
        screen.line(&format!("+ adopt {id}"));
        screen.line(&format!("    {}", screen.paint(Tone::Plain, text("then"))));
    }
    for problem in plan["problems"].as_array().into_iter().flatten() {
        screen.remark(problem.as_str().unwrap_or_default());
    }
}
