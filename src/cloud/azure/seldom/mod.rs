//! What seldom changes and costs a call of its own: which settings stay in a swap, which roles an app has, what stands before it, and what
//! serves the whole environment. It is looked at again and again, but not with every look. All of it may be lost at any time.

mod kept;
mod kinds;
mod shared;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{time::Instant, try_join};

pub(super) use self::{
    kinds::SHARED,
    shared::{Shared, tells_nobody},
};
use super::{
    AzureCloud,
    around::role_fields,
    duties::Duties,
    observe::{SiteView, SlotView},
};
use crate::{
    cloud::{CloudError, looking::Looker},
    desired::Release,
    name::ServiceName,
    observed::Fields,
};

/// A service costs at most four reading calls a round. At this pace they take a fifth of the 25 a second that a subscription grants.
const EACH: Duration = Duration::from_millis(800);

/// Longer than any order takes, and the looks that follow it.
const AT_WORK: Duration = Duration::from_secs(30 * 60);

/// By the name or id of what was looked at.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<BTreeMap<String, (Instant, T)>>);

/// What one target remembers.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    /// Names of settings that stay with their slot, by app.
    pub(super) kept: Remembered<BTreeSet<String>>,
    /// Assignments of roles, by who has them.
    pub(super) given: Remembered<Vec<Value>>,
    /// Whether operations and rules of an API are as asked for: by what was asked for.
    pub(super) fronts: Remembered<bool>,
    /// Apps that were looked at.
    looked: Remembered<()>,
    /// Apps that were given something to do.
    worked: Remembered<()>,
    /// Packages that the platform was told to look at, by place. It stands for good: whoever puts another there tells of it.
    pub(super) synced: Remembered<BTreeSet<String>>,
    /// Whether packages lie where they are run from, by container and name.
    pub(super) packages: Remembered<bool>,
    pub(super) shared: tokio::sync::Mutex<Shared>,
}

/// What such looks told of blue.
#[derive(Debug, Default)]
pub(super) struct ByTurns {
    pub(super) kept: Option<BTreeSet<String>>,
    pub(super) has_front: bool,
    /// Roles, and what differs of what serves all.
    pub(super) fields: Fields,
}

// === impl Remembered ===

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn book(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen, where that is not longer ago than this.
    pub(super) fn younger(&self, key: &str, than: Duration) -> Option<T> {
        let book = self.book();
        let (at, seen) = book.get(key)?;
        (at.elapsed() < than).then(|| seen.clone())
    }

    pub(super) fn note(&self, key: &str, seen: T) {
        self.book().insert(key.to_owned(), (Instant::now(), seen));
    }

    pub(super) fn forget(&self, key: &str) {
        self.book().remove(key);
    }

    pub(super) fn forget_all(&self) {
        self.book().clear();
    }

    fn len(&self) -> usize {
        self.book().len()
    }
}

impl Seldom {
    pub(super) fn note_look(&self, app: &str) {
        self.looked.note(app, ());
    }

    pub(super) fn note_work(&self, app: &str) {
        self.worked.note(app, ());
    }

    pub(super) fn looker(&self, app: &str) -> Looker {
        let is_at_work = self.worked.younger(app, AT_WORK).is_some();
        let was_seen = self.looked.younger(app, Duration::MAX).is_some();
        match (is_at_work, was_seen) {
            (true, _) => Looker::Busy,
            (false, true) => Looker::Idle,
            (false, false) => Looker::First,
        }
    }
}

impl AzureCloud {
    /// All of it. No call where blue holds nothing; else one for the API in front, where there is one, and for the rest only now and then.
    pub(super) async fn look_by_turns(
        &self,
        service: &ServiceName,
        (duties, holds): (&Duties, bool),
        blue: &SlotView,
    ) -> Result<ByTurns, CloudError> {
        if !holds {
            let has_front = true;
            return Ok(ByTurns {
                has_front,
                ..ByTurns::default()
            });
        }
        let gone = async { Ok(self.package_seen(service, blue).await) };
        let (kept, has_front, given, mut fields, gone) = try_join!(
            self.kept_names(service),
            self.front_is_right(service, duties, blue),
            self.roles_seen(blue, duties),
            self.shared_differences(service, duties, blue),
            gone,
        )?;
        fields.extend(gone);
        fields.extend(role_fields(&self.names, duties, given.as_deref()));
        Ok(ByTurns {
            kept,
            has_front,
            fields,
        })
    }

    /// What is neither blue's settings nor its place: what a swap carries, roles, and what serves all.
    pub(super) async fn mend_around(
        &self,
        release: &Release,
        site: &SiteView,
    ) -> Result<(), CloudError> {
        let blue = &site.blue;
        let is_made = match blue.place.keys().any(|field| field.starts_with(SHARED)) {
            true => {
                let tenant = blue.found.identity["tenantId"].as_str();
                self.mend_shared(tenant).await?
            }
            false => false,
        };
        if !blue.swaps_well() {
            let green = site.green.as_ref().map(|green| green.settings.clone());
            self.keep_names(
                &release.service.service,
                &blue.settings,
                &green.unwrap_or_default(),
            )
            .await?;
        }
        let roles = role_fields(&self.names, &blue.duties(), None);
        let has = |(name, is): (&String, &String)| blue.place.get(name) == Some(is);
        if is_made || !roles.iter().all(has) {
            self.grant_roles(release, &[blue]).await?;
        }
        Ok(())
    }

    /// How long what was seen stands for what is there: longer where many services are known.
    pub(super) fn stands(&self) -> Duration {
        let least = self.arm.limits.details;
        match least.is_zero() {
            true => least,
            false => {
                let services = u32::try_from(self.seldom.kept.len()).unwrap_or(u32::MAX);
                least.max(EACH.saturating_mul(services))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_stands_for_a_while() {
        let minute = Duration::from_secs(60);
        let seen = Remembered::default();
        assert_eq!(seen.younger("app", minute), None);
        seen.note("app", true);
        assert_eq!(seen.younger("app", minute), Some(true));
        assert_eq!(seen.younger("app", Duration::ZERO), None);
        tokio::time::advance(minute).await;
        assert_eq!(seen.younger("app", minute), None);
        seen.note("app", false);
        seen.forget("app");
        assert_eq!(seen.younger("app", minute), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_given_something_to_do_waits_for_nobody_who_looks_around() {
        let seldom = Seldom::default();
        assert_eq!(seldom.looker("app"), Looker::First);
        seldom.note_look("app");
        assert_eq!(seldom.looker("app"), Looker::Idle);
        for app in ["app", "new"] {
            seldom.note_work(app);
            assert_eq!(seldom.looker(app), Looker::Busy);
        }
        tokio::time::advance(AT_WORK).await;
        assert_eq!(seldom.looker("app"), Looker::Idle);
        assert_eq!(seldom.looker("new"), Looker::First);
    }
}
