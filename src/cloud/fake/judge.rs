//! What those who judge from outside ask. Counts as no call.

use super::{Counts, FakeCloud};
use crate::name::{Percent, ReleaseDigest, ServiceKey, Slot};

impl FakeCloud {
    /// What a slot holds.
    pub fn held(&self, service: &ServiceKey, slot: Slot) -> Option<ReleaseDigest> {
        let mut state = self.state();
        let service = state.services.get_mut(service)?;
        service.slot(slot).as_ref().map(|held| held.release)
    }

    /// Whether a slot is otherwise than it was filled.
    pub fn is_changed(&self, service: &ServiceKey, slot: Slot) -> bool {
        let mut state = self.state();
        let held = state.services.get_mut(service).map(|it| it.slot(slot));
        held.and_then(|held| held.as_ref())
            .is_some_and(|held| !held.is_as_staged() || !held.missing.is_empty())
    }

    /// What takes a share of blue's requests.
    pub fn share(&self, service: &ServiceKey) -> Option<(ReleaseDigest, Percent)> {
        self.state().services.get(service)?.canary
    }

    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }
}
