//! Something slow, followed to its end.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    Answer, Arm, Call, End,
    answer::{Judge, Progress, refusal},
    fault::{failed, progress_of, still_under_way},
    operation::{self, Operation},
    written::Written,
};
use crate::cloud::CloudError;

impl Arm {
    /// Sends, and follows what was started to its end.
    ///
    /// # Errors
    ///
    /// [`CloudError::Invalid`] where it failed; [`CloudError::Busy`] where it is still under way after `bound`.
    pub(in crate::cloud::azure) async fn finish(
        &self,
        call: Call<'_>,
        bound: Duration,
    ) -> Result<(), CloudError> {
        let (operation, resource) = (call.operation, call.resource);
        let started = self.ask(call).await?;
        self.end(operation, resource, &started, bound).await
    }

    /// The same for what counts for the version in `if_match` only. Says whether it was done: not where somebody has changed the resource
    /// since it was read.
    ///
    /// # Errors
    ///
    /// As `finish`, but for that.
    pub(in crate::cloud::azure) async fn replace(
        &self,
        call: Call<'_>,
        bound: Duration,
    ) -> Result<bool, CloudError> {
        let (operation, resource) = (call.operation, call.resource);
        let written = Written::of(&call);
        let started = self.send(call).await?;
        if started.status == 412 {
            return Ok(false);
        }
        if !started.is_success() {
            return Err(refusal(operation.name, resource, &started));
        }
        self.end(operation, resource, &started, bound).await?;
        self.note(&written);
        Ok(true)
    }

    async fn end(
        &self,
        operation: Operation,
        resource: &str,
        started: &Answer,
        bound: Duration,
    ) -> Result<(), CloudError> {
        let Some((judge, address)) = started.begun() else {
            return Ok(());
        };
        let url = self.link(operation, address)?;
        // The first look, too, comes when the cloud says.
        let first = started.retry_after.unwrap_or_default().min(bound);
        sleep(first).await;
        self.follow(operation, resource, (judge, url), bound - first)
            .await
    }

    async fn follow(
        &self,
        operation: Operation,
        resource: &str,
        (judge, url): (Judge, Url),
        bound: Duration,
    ) -> Result<(), CloudError> {
        let mut look = self.call(operation::OPERATIONS_GET, "/", &[], resource);
        look.url = url;
        match self.watch(look, operation, judge, bound).await? {
            End::Done => Ok(()),
            End::Failed { message, answer: _ } => Err(failed(operation, message)),
        }
    }

    /// Looks at something slow until its end.
    ///
    /// # Errors
    ///
    /// [`CloudError::Busy`] where it is still under way after `bound`; what a look is refused for.
    pub(in crate::cloud::azure) async fn watch(
        &self,
        mut look: Call<'_>,
        started_by: Operation,
        judge: Judge,
        bound: Duration,
    ) -> Result<End, CloudError> {
        let end = Instant::now() + bound;
        let mut looks = 0;
        while Instant::now() < end {
            let seen = self.send(look.clone()).await;
            let (progress, answer) = progress_of(seen, judge, (started_by, look.resource), looks)?;
            match progress {
                Progress::Done => return Ok(End::Done),
                Progress::Failed(message) => return Ok(End::Failed { message, answer }),
                Progress::Under(wait) => {
                    if let Some(address) = judge.next(&answer) {
                        look.url = self.link(started_by, address)?;
                    }
                    sleep(wait.min(end - Instant::now())).await;
                }
            }
            looks += 1;
        }
        Err(still_under_way(started_by, look.resource, bound))
    }
}
