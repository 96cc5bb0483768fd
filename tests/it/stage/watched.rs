//! A cloud that is watched: who writes at the same time, and what comes of doing every order twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use verdigris::{
    cloud::{Cloud, CloudError, Package, fake::FakeCloud, operate::Operate},
    desired::Release,
    name::{CloudName, CodeDigest, Percent, ReleaseDigest, ServiceKey},
    observed::{Fields, Observed, Owned, Scope},
};

#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Every writing call is made twice, and the second answer counts.
    pub(crate) twice: AtomicBool,
    /// Writing calls that met another one on the same service and cloud.
    pub(crate) overlaps: AtomicU32,
    writing: Mutex<BTreeMap<(CloudName, ServiceKey), u32>>,
}

#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) cloud: Arc<FakeCloud>,
    pub(crate) watch: Arc<Watch>,
}

/// A call under way.
struct Writing<'a> {
    watch: &'a Watch,
    key: (CloudName, ServiceKey),
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *self
            .watch
            .writing
            .lock()
            .unwrap()
            .entry(self.key.clone())
            .or_default() -= 1;
    }
}

impl Watched {
    fn writing(&self, service: &ServiceKey) -> Writing<'_> {
        let key = (self.cloud.name(), service.clone());
        let mut writing = self.watch.writing.lock().unwrap();
        let count = writing.entry(key.clone()).or_default();
        *count += 1;
        if *count > 1 {
            self.watch.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        drop(writing);
        Writing {
            watch: &self.watch,
            key,
        }
    }

    fn is_twice(&self) -> bool {
        self.watch.twice.load(Ordering::Relaxed)
    }
}

/// Makes a writing call, once or twice.
macro_rules! write {
    ($self:ident, $service:expr, $call:expr) => {{
        let _writing = $self.writing($service);
        if $self.is_twice() {
            $call.await.ok();
        }
        $call.await
    }};
}

#[async_trait]
impl Cloud for Watched {
    fn name(&self) -> CloudName {
        self.cloud.name()
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        self.cloud.expected(release, code)
    }

    fn operate(&self) -> Option<&dyn Operate> {
        self.cloud.operate()
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        self.cloud.observe(scope).await
    }

    async fn watch(&self, scope: &Scope) -> Result<Observed, CloudError> {
        self.cloud.watch(scope).await
    }

    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        self.cloud.inventory().await
    }

    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        write!(self, &release.service, self.cloud.stage(release, package))
    }

    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        write!(
            self,
            &scope.service,
            self.cloud.shift(scope, release, weight)
        )
    }

    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        write!(self, &scope.service, self.cloud.promote(scope, release))
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        write!(self, &scope.service, self.cloud.retract(scope, release))
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        write!(self, &release.service, self.cloud.repair(release, package))
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        write!(self, &scope.service, self.cloud.prune(scope))
    }
}
