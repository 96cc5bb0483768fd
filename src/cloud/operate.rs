//! What a cloud is asked beside rollouts: by people, and by the daemon when it wants to name who did something.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::CloudError;
use crate::{
    import::clouds::Found,
    name::Timestamp,
    observed::{
        Deed, Scope,
        talk::{Invocation, Invoked, LogsTold, LogsWanted, Signable},
    },
};

/// A cloud that answers more than rollouts need.
#[async_trait]
pub trait Operate: Send + Sync {
    /// Who wrote to what belongs to a service since a moment, by the cloud's own log and without us; the newest first. Logs are late: what
    /// is not told now may be told minutes later. No writing call.
    ///
    /// # Errors
    ///
    /// `Denied` where we may not look.
    async fn deeds(&self, scope: &Scope, since: Timestamp) -> Result<Vec<Deed>, CloudError>;

    /// Everything that is there, ours or not, as far as listings tell. No writing call.
    async fn found(&self) -> Result<Vec<Found>, CloudError>;

    /// Takes over those of the resources that stand where the service's own should: they get our tags, and nothing else of them changes.
    ///
    /// # Errors
    ///
    /// `Invalid` where one belongs to another service of ours.
    async fn adopt(&self, scope: &Scope, resources: &BTreeSet<String>) -> Result<(), CloudError>;

    /// What a function wrote. No writing call.
    async fn logs(&self, wanted: &LogsWanted) -> Result<LogsTold, CloudError>;

    /// Calls a function once, as a user or its queue would; whatever it does is done.
    async fn invoke(&self, call: &Invocation) -> Result<Invoked, CloudError>;

    /// Headers by which a function that lets in only whom it knows knows the daemon; none where a cloud has no such functions. No call.
    ///
    /// # Errors
    ///
    /// `Denied` where there are no credentials.
    async fn sign(&self, _: &Signable<'_>) -> Result<Vec<(String, String)>, CloudError> {
        Ok(Vec::new())
    }
}
