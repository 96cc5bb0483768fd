//! Waits until every repository was looked at.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{
    client::{Client, understand},
    wait::{LOOK_EVERY, Patience},
};
use crate::{
    cli::exit::{CliError, Exit, Result},
    name::{RepositoryName, Timestamp},
    status::source::SourceReport,
};

/// When each repository was looked at last.
pub(super) type Polled = BTreeMap<RepositoryName, Option<Timestamp>>;

pub(super) async fn polled(client: &Client) -> Result<Polled> {
    let items = client.list("/api/v1/sources", &[]).await?;
    let mut polled = Polled::new();
    for item in &items {
        let report: SourceReport = understand(item)?;
        polled.insert(report.name, report.last_polled_at);
    }
    Ok(polled)
}

/// Looks until every repository was looked at after `before`. One that cannot be read was looked at too.
pub(super) async fn wait(client: &Client, before: &Polled, patience: &Patience) -> Result<()> {
    let began = Instant::now();
    loop {
        let now = polled(client).await?;
        let waits = now
            .iter()
            .find(|(name, at)| before.get(*name).is_some_and(|before| before == *at));
        let Some((name, _)) = waits else {
            return Ok(());
        };
        if began.elapsed() >= patience.timeout {
            let message = format!(
                "repository {name} was not looked at within {:?}",
                patience.timeout
            );
            return Err(
                CliError::new(Exit::Pending, message).help("`verdigris get sources` tells why")
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
