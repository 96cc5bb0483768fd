//! `verdigris local`: both clouds on this machine, for any client that speaks to the real ones.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    exit::{CliError, Exit, Result},
    screen::{Screen, Tone},
    signals,
};
use crate::{
    clock::{Clock, SystemClock},
    local::{
        arm::{self, ArmEndpoint, ArmOptions},
        lambda::{self, LambdaEndpoint, LambdaOptions},
    },
};

/// Runs both clouds on this machine: AWS Lambda and Azure Resource Manager by their real protocols
#[derive(Args, Debug)]
pub(super) struct Local {
    /// Where the Lambda endpoint listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4566")]
    aws: SocketAddr,
    /// Where the Azure Resource Manager endpoint listens, plain http
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4567")]
    azure: SocketAddr,
    /// Where it listens with TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4568")]
    azure_tls: SocketAddr,
    /// Functions, sites and packages outlive the program here; nothing does without it
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// After a write, this many reads of each kind answer what was so before it, as the real clouds may
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    stale_reads: u32,
    /// A role that an identity is given on Azure counts after so many seconds; on the real one after some minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    role_delay: u64,
}

impl Local {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            aws,
            azure,
            azure_tls,
            state,
            stale_reads,
            role_delay,
        } = self;
        let stop = CancellationToken::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = LambdaOptions {
            state: state.clone(),
            stale_reads: *stale_reads,
            ..LambdaOptions::default()
        };
        let on_aws = lambda::start(*aws, options, clock.clone(), stop.clone())
            .await
            .map_err(|error| taken("AWS", *aws, "--aws", &error))?;
        let options = ArmOptions {
            state_dir: state.clone(),
            stale_reads: *stale_reads,
            role_delay: Duration::from_secs(*role_delay),
            ..ArmOptions::default()
        };
        let known = (options.subscription.clone(), options.tenant.clone());
        let started = arm::start(*azure, Some(*azure_tls), options, clock, stop.clone()).await;
        let on_azure = match started {
            Ok(endpoint) => endpoint,
            Err(error) => {
                stop.cancel();
                on_aws.finished().await;
                return Err(taken("Azure", *azure, "--azure and --azure-tls", &error));
            }
        };
        tell(screen, &on_aws, &on_azure);
        azure_lines(screen, &on_azure, known);
        end(screen, &on_aws, &on_azure, state.is_some());
        signals::stopped().await;
        screen.remark("stopping: calls in hand are finished");
        stop.cancel();
        signals::or_at_once(async {
            on_aws.finished().await;
            on_azure.stopped().await;
        })
        .await;
        Ok(Exit::Done)
    }
}

fn taken(cloud: &str, address: SocketAddr, flag: &str, error: &std::io::Error) -> CliError {
    CliError::wrong(format!(
        "failed to start {cloud}'s endpoint on {address}: {error}"
    ))
    .help(format!(
        "choose other addresses with {flag}; port 0 takes a free one"
    ))
}

fn head(screen: &Screen, text: &str) {
    screen.line(&screen.paint(Tone::Strong, text));
}

fn tell(screen: &Screen, aws: &LambdaEndpoint, azure: &ArmEndpoint) {
    let region = LambdaOptions::default().region;
    let endpoint = address(aws);
    head(screen, "AWS Lambda");
    screen.line(&format!("  endpoint      {endpoint}"));
    head(screen, "Azure Resource Manager");
    screen.line(&format!("  endpoint      {}", azure.url));
    if let Some(url) = &azure.tls_url {
        screen.line(&format!("  with TLS      {url}"));
    }
    screen.line(&format!("  trust         {}", azure.ca_file.display()));
    screen.line("");
    head(screen, "With the aws command line");
    screen.line(&format!(
        "  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION={region}"
    ));
    screen.line(&format!(
        "  aws --endpoint-url {endpoint} lambda list-functions"
    ));
}

/// The az command line knows a cloud by its addresses, and wants TLS.
fn azure_lines(screen: &Screen, azure: &ArmEndpoint, (subscription, tenant): (String, String)) {
    let Some(url) = &azure.tls_url else {
        return;
    };
    head(screen, "With the az command line");
    let ca = azure.ca_file.display();
    for line in [
        format!("export REQUESTS_CA_BUNDLE={ca}"),
        format!(
            "az cloud register --name local --endpoint-resource-manager {url} --endpoint-management {url} \\"
        ),
        format!(
            "  --endpoint-active-directory {url} --endpoint-active-directory-resource-id {url}"
        ),
        "az cloud set --name local".to_owned(),
        format!("az login --service-principal --username local --password local --tenant {tenant}"),
        format!("az functionapp list --subscription {subscription}"),
    ] {
        screen.line(&format!("  {line}"));
    }
}

fn end(screen: &Screen, aws: &LambdaEndpoint, azure: &ArmEndpoint, is_kept: bool) {
    head(screen, "With this program");
    screen.line(&format!(
        "  verdigris run --repo file://$PWD --aws-endpoint {} --azure-endpoint {}",
        address(aws),
        azure.url
    ));
    screen.line("");
    screen.line(if is_kept {
        "State is kept. Ctrl-C stops."
    } else {
        "Nothing outlives this program; --state FOLDER keeps it. Ctrl-C stops."
    });
}

fn address(aws: &LambdaEndpoint) -> &str {
    aws.url.as_str().trim_end_matches('/')
}
