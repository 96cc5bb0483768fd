//! A cloud that waits when it is asked to, as the daemon does with every order.

use async_trait::async_trait;
use tokio::time::sleep;
use verdigris::{
    cloud::{Cloud, CloudError, Package, operate::Operate},
    desired::Release,
    name::{CloudName, CodeDigest, Percent, ReleaseDigest},
    observed::{Fields, Observed, Owned, Scope},
    rollout::intent::Response,
};

#[derive(Debug)]
pub(crate) struct Patient<C>(pub(crate) C);

/// Asks again while the answer is to wait.
macro_rules! again {
    ($ask:expr) => {
        loop {
            let answer = $ask.await;
            match answer.as_ref().err().map(CloudError::response) {
                Some(Response::RetryAfter(wait)) => sleep(wait).await,
                Some(Response::Retry | Response::CallPerson | Response::Reject) | None => {
                    break answer;
                }
            }
        }
    };
}

#[async_trait]
impl<C: Cloud> Cloud for Patient<C> {
    fn name(&self) -> CloudName {
        self.0.name()
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        self.0.expected(release, code)
    }

    fn operate(&self) -> Option<&dyn Operate> {
        self.0.operate()
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        again!(self.0.observe(scope))
    }

    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        again!(self.0.inventory())
    }

    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        again!(self.0.stage(release, package))
    }

    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        again!(self.0.shift(scope, release, weight))
    }

    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        again!(self.0.promote(scope, release))
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        again!(self.0.retract(scope, release))
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        again!(self.0.repair(release, package))
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        again!(self.0.prune(scope))
    }
}
