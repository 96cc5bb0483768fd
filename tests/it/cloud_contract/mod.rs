//! What every cloud must do, whoever made it. One list of cases over `dyn Cloud`.
//!
//! A cloud joins by a [`Subject`]: how to make the hand edits that the cases need, and how to count its writing calls.

mod cases;
pub(crate) mod peers;
pub(crate) mod proxy;
pub(crate) mod release;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use verdigris::{
    cloud::Cloud,
    name::{FunctionName, ServiceKey},
};

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

    /// Cases that this server cannot pass, each with what is wrong with the *server*.
    fn known_wrong(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether cases may count calls while others run.
    fn at_once(&self) -> usize {
        1
    }
}

/// Runs every case, each on a service of its own, and fails with the names of those that did not hold.
pub(crate) async fn holds_on(subject: Arc<dyn Subject>) {
    let failures = stream::iter(cases::all().into_iter().enumerate())
        .map(|(index, case)| run(Arc::clone(&subject), index, case))
        .buffer_unordered(subject.at_once())
        .filter_map(|failure| async { failure });
    let failures: Vec<String> = failures.collect().await;
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// A case that a server is known to get wrong must fail: when the server is mended, its excuse has to go.
async fn run(subject: Arc<dyn Subject>, index: usize, case: cases::Case) -> Option<String> {
    let excuse = subject
        .known_wrong()
        .iter()
        .find(|(name, _)| *name == case.name);
    let work = (case.run)(subject.clone(), release::Fixture::new(index));
    match (tokio::spawn(work).await, excuse) {
        (Ok(()), None) | (Err(_), Some(_)) => None,
        (Ok(()), Some((name, why))) => Some(format!("{name}: holds now, though {why}")),
        (Err(failed), None) => Some(format!("{}: {}", case.name, message(failed))),
    }
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
