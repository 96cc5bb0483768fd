//! Moves blue: promotion, rollback, the way back from a first promotion, and repair.

use std::collections::BTreeSet;

use super::super::{
    AwsCloud,
    settings::Marks,
    survey::{Pointer, Seen, all, blue_description},
};
use super::place::Place;
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    name::{CloudName, ReleaseDigest, Slot},
    observed::Scope,
};

/// A function of the release, and the version of it that carries the release.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Holder<'a> {
    pub(in crate::cloud::aws) seen: &'a Seen,
    pub(in crate::cloud::aws) pointer: &'a Pointer,
}

impl Holder<'_> {
    /// The version that green should hold afterwards. `None` where the function is new in this release.
    fn previous(&self, release: ReleaseDigest) -> Option<String> {
        let not_release = |pointer: &&Pointer| !pointer.holds(release);
        let Some(blue) = &self.seen.blue else {
            return None;
        };
        if !blue.holds(release) {
            return Some(blue.version.clone());
        }
        let green = self.seen.green.as_ref().filter(not_release);
        let on_green = green.map(|it| it.version.clone());
        // An earlier promotion moved blue and came no further: blue's alias says where it was.
        on_green.or_else(|| blue.detail.previous.clone())
    }

    /// With all that blue should have: an earlier promotion may have come no further than the alias.
    fn is_on_blue(&self) -> bool {
        let on_blue = |it: &Pointer| {
            let found = it.detail.found.as_ref();
            it.version == self.pointer.version
                && !it.detail.is_split()
                && found.is_none_or(|found| found.serves(&self.pointer.marks.blue))
        };
        self.seen.blue.as_ref().is_some_and(on_blue)
    }
}

impl AwsCloud {
    pub(in crate::cloud::aws) async fn promote_release(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        // What is remembered of an alias is written with its revision: where somebody was faster, AWS says so, and all is read anew.
        let seen = self.survey(scope).await?;
        let seen: Vec<_> = seen
            .into_iter()
            .map(Seen::not_foreign)
            .collect::<Result<_, _>>()?;
        let holders = holders(&seen, release)?;
        self.move_blue(&holders, release).await?;
        let leavers = seen.iter().filter(|seen| held(seen, release).is_none());
        let leavers: Vec<_> = leavers.collect();
        all(leavers.iter().map(|seen| self.leave_blue(seen)).collect()).await?;
        let has_previous = leavers.iter().any(|seen| seen.blue.is_some())
            || holders.iter().any(|it| it.previous(release).is_some());
        if has_previous {
            let greens = holders.iter().map(|it| self.settle_green(it, release));
            all(greens.collect()).await?;
        }
        let way_back = way_back(&seen, release);
        for leaver in leavers.iter().filter(|it| is_left_over(it, &way_back)) {
            Box::pin(self.drop_left_over(leaver)).await;
        }
        Ok(())
    }

    /// Failing here costs storage and nothing else, so it is told in the log and tried again at the next promotion.
    async fn drop_left_over(&self, seen: &Seen) {
        match Box::pin(self.prune_one(&seen.service, &seen.function)).await {
            Ok(()) => tracing::info!(
                function = seen.name,
                "deleted: neither what serves nor the way back has it"
            ),
            Err(error) => {
                tracing::warn!(function = seen.name, %error, "what no release needs could not be deleted");
            }
        }
    }

    /// All functions or none: where one fails, the others are moved back as well as can be.
    async fn move_blue(
        &self,
        holders: &[Holder<'_>],
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let movers: Vec<_> = holders.iter().filter(|it| !it.is_on_blue()).collect();
        let moves = movers.iter().map(|holder| async {
            let previous = holder.previous(release);
            self.point_blue(holder.seen, holder.pointer, previous.as_deref())
                .await
        });
        let Err(error) = all(moves.collect()).await else {
            return Ok(());
        };
        tracing::warn!(%error, "promotion failed in the middle, blue goes back");
        for holder in movers {
            // Seldom needed, and large.
            if let Err(error) = Box::pin(self.move_back(holder)).await {
                let function = &holder.seen.name;
                tracing::error!(%function, %error, "blue could not be moved back");
            }
        }
        Err(error)
    }

    async fn point_blue(
        &self,
        seen: &Seen,
        to: &Pointer,
        previous: Option<&str>,
    ) -> Result<(), CloudError> {
        let description = blue_description(previous);
        let place = Place {
            service: &seen.service,
            name: &seen.name,
            now: seen.blue.as_ref().map(|it| &it.detail),
            slot: Slot::Blue,
            version: &to.version,
            marks: &to.marks,
            description,
        };
        self.place(place).await
    }

    /// The reply of a move may have been lost: what is on blue now is read, and only our own move is undone.
    async fn move_back(&self, holder: &Holder<'_>) -> Result<(), CloudError> {
        let service = &holder.seen.service;
        let now = self.survey_one(service, &holder.seen.function).await?;
        let moved = now.blue.as_ref();
        match (
            moved.filter(|it| it.version == holder.pointer.version),
            &holder.seen.blue,
        ) {
            (None, _) => Ok(()),
            (Some(moved), None) => self.remove(&now, Slot::Blue, moved).await,
            (Some(_), Some(before)) => {
                let previous = before.detail.previous.as_deref();
                self.point_blue(&now, before, previous).await
            }
        }
    }

    /// The release has no such function: what it held goes to green, since it is part of the previous release.
    async fn leave_blue(&self, seen: &Seen) -> Result<(), CloudError> {
        let Some(blue) = &seen.blue else {
            return Ok(());
        };
        self.point(seen, Slot::Green, &blue.version, &blue.marks)
            .await?;
        self.remove(seen, Slot::Blue, blue).await
    }

    async fn settle_green(
        &self,
        holder: &Holder<'_>,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let seen = holder.seen;
        match (holder.previous(release), &seen.green) {
            (Some(version), _) => {
                let blue = seen.blue.as_ref().filter(|it| it.version == version);
                let green = seen.green.as_ref();
                let marks = blue.or(green).map(|it| it.marks.clone());
                let marks = marks.unwrap_or_default();
                self.point(seen, Slot::Green, &version, &marks).await
            }
            (None, Some(green)) if green.holds(release) => {
                self.remove(seen, Slot::Green, green).await
            }
            (None, Some(_) | None) => Ok(()),
        }
    }

    pub(in crate::cloud::aws) async fn retract_release(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let seen = self.survey_anew(scope).await?;
        let retractions = seen.iter().map(|seen| self.retract_one(seen, release));
        all(retractions.collect()).await.map(drop)
    }

    /// Green keeps the release, or gets it back: nothing is lost.
    async fn retract_one(&self, seen: &Seen, release: ReleaseDigest) -> Result<(), CloudError> {
        let Some(blue) = seen.blue.as_ref().filter(|it| it.holds(release)) else {
            return Ok(());
        };
        if seen.green.is_none() {
            self.point(seen, Slot::Green, &blue.version, &blue.marks)
                .await?;
        }
        self.remove(seen, Slot::Blue, blue).await
    }

    pub(in crate::cloud::aws) async fn repair_release(
        &self,
        release: &Release,
        package: &Package,
    ) -> Result<(), CloudError> {
        for function in release.content.functions.keys() {
            self.memory
                .look_again(&self.lambda_name(&release.service, function)?);
        }
        let ready = self.ready(release, package, Slot::Blue).await?;
        // In the order of the release's functions.
        for (function, it) in release.content.functions.keys().zip(&ready) {
            self.mend_role(release, function, it.now.as_ref()).await?;
        }
        let moves = ready.iter().map(|it| async {
            let previous = it.now.as_ref().and_then(|it| it.previous.as_deref());
            let place = Place {
                service: &release.service,
                name: &it.name,
                now: it.now.as_ref(),
                slot: Slot::Blue,
                version: &it.version,
                marks: &it.marks,
                description: blue_description(previous),
            };
            self.place(place).await
        });
        all(moves.collect()).await?;
        Box::pin(self.clear_strangers(release)).await
    }

    /// Functions of the service that the release does not have, and that somebody put on blue.
    async fn clear_strangers(&self, release: &Release) -> Result<(), CloudError> {
        let mut scope = self.known_lately(&release.service).await?;
        let asked = &release.content.functions;
        scope
            .functions
            .retain(|function| !asked.contains_key(function));
        for seen in self.calling(&scope.called).survey_anew(&scope).await? {
            if let Some(blue) = &seen.blue {
                self.remove(&seen, Slot::Blue, blue).await?;
            }
        }
        Ok(())
    }

    /// Points an alias at a version; quiet where it does already.
    async fn point(
        &self,
        seen: &Seen,
        slot: Slot,
        version: &str,
        marks: &Marks,
    ) -> Result<(), CloudError> {
        let place = Place {
            service: &seen.service,
            name: &seen.name,
            now: seen.slot(slot).map(|it| &it.detail),
            slot,
            version,
            marks,
            description: String::new(),
        };
        self.place(place).await
    }
}

/// What blue would go back to from this release, and what blue still holds of another: both slots, but for the release itself. Nothing is
/// known where there is no other.
fn way_back(seen: &[Seen], release: ReleaseDigest) -> BTreeSet<Option<ReleaseDigest>> {
    let holders = seen.iter().filter(|seen| held(seen, release).is_some());
    let slots = holders.flat_map(|seen| [&seen.blue, &seen.green].into_iter().flatten());
    let releases = slots.map(|pointer| pointer.marks.release);
    releases.filter(|it| *it != Some(release)).collect()
}

/// A function that left blue with an earlier promotion, and that the release which blue would go back to does not have either.
fn is_left_over(seen: &Seen, way_back: &BTreeSet<Option<ReleaseDigest>>) -> bool {
    let is_kept = |green: &Pointer| way_back.contains(&green.marks.release);
    let is_ours = seen.standing.is_of(&seen.service);
    is_ours
        && seen.blue.is_none()
        && !way_back.is_empty()
        && !seen.green.as_ref().is_some_and(is_kept)
}

/// The pointer of a function that holds the release. Blue first: what serves already needs no move.
fn held(seen: &Seen, release: ReleaseDigest) -> Option<&Pointer> {
    let pointers = [&seen.blue, &seen.green].into_iter().flatten();
    pointers.into_iter().find(|pointer| pointer.holds(release))
}

/// Every function of the release, or `NotStaged`: a release that is half there must not reach blue.
pub(in crate::cloud::aws) fn holders(
    seen: &[Seen],
    release: ReleaseDigest,
) -> Result<Vec<Holder<'_>>, CloudError> {
    let holders: Vec<_> = seen
        .iter()
        .filter_map(|seen| held(seen, release).map(|pointer| Holder { seen, pointer }))
        .collect();
    let all_here = |it: &Holder<'_>| it.pointer.marks.functions == Some(holders.len());
    if !holders.is_empty() && holders.iter().all(all_here) {
        return Ok(holders);
    }
    Err(CloudError::NotStaged {
        cloud: CloudName::Aws,
        release,
    })
}
