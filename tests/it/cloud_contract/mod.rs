//! What every cloud must do, whoever made it. One list of cases over `dyn Cloud`.
//!
//! A cloud joins by a [`Subject`]: how to make the hand edits that the cases need, and how to count its writing calls.

mod cases;
pub(crate) mod patient;
pub(crate) mod peers;
pub(crate) mod proxy;
pub(crate) mod release;
mod servers;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tokio_util::task::AbortOnDropHandle;
use verdigris::{
    cloud::Cloud,
    name::{FunctionName, ServiceKey},
};

pub(crate) use self::servers::Server;

/// Something that a person does past us, in the vendor's own way.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Blue holds what green holds; what blue held is lost.
    GreenOnBlue(Vec<FunctionName>),
    /// One function is gone from blue.
    LoseOnBlue(FunctionName),
    /// A resource without our tags stands where this function should be.
    Foreign(FunctionName),
}

/// A cloud under test.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    fn cloud(&self) -> &dyn Cloud;

    async fn edit(&self, service: &ServiceKey, edit: Edit);

    /// Whether a foreign resource made by [`Edit::Foreign`] is still there.
    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool;

    /// Calls so far that write, or could.
    fn writes(&self) -> u64;

    fn place(&self) -> release::Place {
        release::Place::default()
    }
}

/// Cases at once, so that a server with waiting times is tested in reasonable time.
const AT_ONCE: usize = 6;

/// Runs every case that the server can pass, each on a service of its own, and fails with the names of those that did not hold.
pub(crate) async fn holds_on(server: Server, subject: Arc<dyn Subject>) {
    let cases = cases::all().into_iter().enumerate();
    let cases = cases.filter(|(_, case)| server.gets_wrong(case.name).is_none());
    let (alone, together): (Vec<_>, Vec<_>) = cases.partition(|(_, case)| case.counts());
    let start = |(index, case)| run(Arc::clone(&subject), index, case);
    let together = stream::iter(together).map(start).buffer_unordered(AT_ONCE);
    let mut failures: Vec<Option<String>> = together.collect().await;
    for (index, case) in alone {
        failures.push(run(Arc::clone(&subject), index, case).await);
    }
    let failures: Vec<_> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

async fn run(subject: Arc<dyn Subject>, index: usize, case: cases::Case) -> Option<String> {
    let fixture = release::Fixture::within(subject.place(), index);
    let work = (case.run)(subject, fixture);
    // Who gives up waiting for the cases ends them.
    let failed = AbortOnDropHandle::new(tokio::spawn(work)).await.err()?;
    Some(format!("{}: {}", case.name, message(failed)))
}

fn message(failed: tokio::task::JoinError) -> String {
    let payload = failed.into_panic();
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
    .unwrap_or_default()
}
