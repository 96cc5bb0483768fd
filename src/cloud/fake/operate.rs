//! What the fake answers beside rollouts: what its log was told to tell.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::FakeCloud;
use crate::{
    cloud::{CloudError, operate::Operate},
    import::clouds::Found,
    name::Timestamp,
    observed::{
        Deed, Scope,
        talk::{Invocation, Invoked, LogsTold, LogsWanted},
    },
};

#[async_trait]
impl Operate for FakeCloud {
    async fn deeds(&self, _: &Scope, since: Timestamp) -> Result<Vec<Deed>, CloudError> {
        let told = self.state().log.clone().unwrap_or_else(|| Ok(Vec::new()));
        told.map(|deeds| deeds.into_iter().filter(|deed| deed.at >= since).collect())
    }

    async fn found(&self) -> Result<Vec<Found>, CloudError> {
        Ok(Vec::new())
    }

    async fn adopt(&self, scope: &Scope, resources: &BTreeSet<String>) -> Result<(), CloudError> {
        let mut state = self.state();
        let theirs = state.foreign_of(&scope.service).into_iter();
        if theirs.filter(|it| !resources.contains(it)).count() == 0 {
            state
                .foreign
                .retain(|(service, _)| *service != scope.service);
        }
        Ok(())
    }

    async fn logs(&self, _: &LogsWanted) -> Result<LogsTold, CloudError> {
        Ok(LogsTold::default())
    }

    async fn invoke(&self, _: &Invocation) -> Result<Invoked, CloudError> {
        Ok(Invoked::default())
    }
}
