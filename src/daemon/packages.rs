//! Packages on the disk: built, lent to whoever deploys them, and removed when no release names them any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::{
    build::{BuildError, Builder, Built},
    name::{CloudName, CodeDigest},
    plan::state::PackageRecord,
    reconcile::handle::Handle,
};

/// Between tidyings.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// The packages, and who may use them.
pub struct Packages {
    pub(super) builder: Builder,
    /// Shared by builds; whoever removes packages has it alone.
    pub(super) turn: RwLock<()>,
    /// Handed out since the tidying before the last: a release names them soon, if it does not yet.
    lent: Mutex<Lent>,
}

#[derive(Default)]
struct Lent {
    since_last: BTreeSet<CodeDigest>,
    before: BTreeSet<CodeDigest>,
}

impl Packages {
    pub fn new(builder: Builder) -> Self {
        Self {
            builder,
            turn: RwLock::default(),
            lent: Mutex::default(),
        }
    }

    /// Notes that packages are handed out, by somebody who holds a turn.
    pub(super) fn lend(&self, built: Built) -> BTreeMap<CloudName, PackageRecord> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |package: crate::build::Package| PackageRecord {
            code: package.code,
            path: package.path,
            size: package.size,
        };
        let codes = built.packages.values().map(|package| package.code);
        lent.since_last.extend(codes);
        let packages = built.packages.into_iter();
        packages
            .map(|(cloud, package)| (cloud, record(package)))
            .collect()
    }

    /// Removes what builds that never ended have left, and packages that no release names. For the start, before any build.
    ///
    /// # Errors
    ///
    /// A disk that refuses.
    pub(super) async fn clean(&self, handle: &Handle) -> Result<usize, BuildError> {
        self.builder.sweep()?;
        self.tidy(handle).await
    }

    /// Removes packages that no release names and nobody was handed lately, unless a build is under way; says how many.
    ///
    /// # Errors
    ///
    /// A disk that refuses.
    pub async fn tidy(&self, handle: &Handle) -> Result<usize, BuildError> {
        let Ok(_alone) = self.turn.try_write() else {
            return Ok(0);
        };
        let mut keep = handle.packages().await;
        {
            let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
            let since_last = std::mem::take(&mut lent.since_last);
            keep.extend(since_last.iter().chain(&lent.before).copied());
            lent.before = since_last;
        }
        self.builder.prune(&keep)
    }

    /// Tidies now and then until told to stop.
    pub(super) async fn tidy_until(&self, handle: Handle, stop: CancellationToken) {
        let pause = || stop.run_until_cancelled(tokio::time::sleep(TIDY_EVERY));
        while pause().await.is_some() {
            match self.tidy(&handle).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "packages that no release names were removed"),
                Err(error) => tracing::warn!(%error, "old packages could not be removed"),
            }
        }
    }
}
