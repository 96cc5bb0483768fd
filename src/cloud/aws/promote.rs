//! Moves blue: promotion, rollback, the way back from a first promotion, and repair.

use super::{
    AwsCloud,
    duties::{Duties, Settlement},
    lambda::Pointing,
    settings::{Access, Marks, alias},
    survey::{Pointer, Seen, all, blue_description},
};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    manifest::aws::UrlAuth,
    name::{CloudName, ReleaseDigest, Slot},
    observed::Scope,
};

/// A function of the release, and the version of it that carries the release.
#[derive(Debug)]
pub(super) struct Holder<'a> {
    pub(super) seen: &'a Seen,
    pub(super) pointer: &'a Pointer,
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
    pub(super) async fn promote_release(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let seen = self.survey_anew(scope).await?;
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
        Ok(())
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
            if let Err(error) = self.move_back(holder).await {
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
            slot: Slot::Blue,
            version: &to.version,
            marks: &to.marks,
            description,
        };
        self.place(seen, place).await
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

    pub(super) async fn retract_release(
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

    pub(super) async fn repair_release(
        &self,
        release: &Release,
        package: &Package,
    ) -> Result<(), CloudError> {
        for function in release.content.functions.keys() {
            self.forget(&self.lambda_name(&release.service, function)?);
        }
        let ready = self.ready(release, package, Slot::Blue).await?;
        let moves = ready.iter().map(|it| async {
            let blue = it.seen.blue.as_ref();
            let place = Place {
                slot: Slot::Blue,
                version: &it.version,
                marks: &it.marks,
                description: blue_description(blue.and_then(|it| it.detail.previous.as_deref())),
            };
            self.place(&it.seen, place).await
        });
        all(moves.collect()).await?;
        self.clear_strangers(release).await
    }

    /// Functions of the service that the release does not have, and that somebody put on blue.
    async fn clear_strangers(&self, release: &Release) -> Result<(), CloudError> {
        let mut known = self.functions_of(&release.service).await?;
        known.retain(|function| !release.content.functions.contains_key(function));
        let scope = Scope {
            service: release.service.clone(),
            functions: known,
        };
        for seen in self.survey_anew(&scope).await? {
            if let Some(blue) = &seen.blue {
                self.remove(&seen, Slot::Blue, blue).await?;
            }
        }
        Ok(())
    }

    /// Points an alias at a version; quiet where it does already.
    pub(super) async fn point(
        &self,
        seen: &Seen,
        slot: Slot,
        version: &str,
        marks: &Marks,
    ) -> Result<(), CloudError> {
        let place = Place {
            slot,
            version,
            marks,
            description: String::new(),
        };
        self.place(seen, place).await
    }

    async fn place(&self, seen: &Seen, place: Place<'_>) -> Result<(), CloudError> {
        let now = seen.slot(place.slot);
        let stands = |it: &Pointer| it.version == place.version && !it.detail.is_split();
        let access = now.map_or(Access::None, |it| it.detail.access());
        let is_reached = access == Access::wanted(place.marks.http.as_ref());
        let is_on_duty = |it: &Pointer| {
            let found = it.detail.found.as_ref();
            found.is_none_or(|found| found.serves(&place.marks.blue))
        };
        if is_reached && now.is_some_and(|it| stands(it) && is_on_duty(it)) {
            return Ok(());
        }
        let placed = self.place_anew(seen, &place, now.is_some_and(stands)).await;
        // Also after an error: we may know less than before.
        self.forget(&seen.name);
        placed
    }

    async fn place_anew(
        &self,
        seen: &Seen,
        place: &Place<'_>,
        stands: bool,
    ) -> Result<(), CloudError> {
        let name = &seen.name;
        let pointing = Pointing {
            name,
            alias: alias(place.slot),
            version: place.version,
            description: place.description.clone(),
            share: None,
        };
        let now = seen.slot(place.slot);
        match now {
            Some(_) if stands => {}
            Some(now) => {
                let guard = now.detail.revision_id.clone();
                self.lambda.update_alias(pointing, guard).await?;
            }
            None => self.lambda.create_alias(pointing).await?,
        }
        self.reach(seen, place).await?;
        match place.slot {
            Slot::Green => Ok(()),
            Slot::Blue => {
                let found = now.and_then(|it| it.detail.found.clone());
                let work = Settlement {
                    name,
                    found: &found.unwrap_or_default(),
                    wanted: &place.marks.blue,
                };
                self.settle_duties(work).await
            }
        }
    }

    /// Gives the alias the address that it should have.
    async fn reach(&self, seen: &Seen, place: &Place<'_>) -> Result<(), CloudError> {
        let (name, alias) = (&seen.name, alias(place.slot));
        let detail = seen.slot(place.slot).map(|it| &it.detail);
        let address = detail.and_then(|it| it.address.as_ref());
        let is_permitted = detail.is_some_and(|it| it.is_permitted);
        let Some(wanted) = &place.marks.http else {
            return match address {
                Some(_) => self.lambda.delete_url(name, alias).await,
                None => Ok(()),
            };
        };
        if wanted.auth == UrlAuth::None && !is_permitted {
            self.lambda.permit_url(name, alias).await?;
        }
        match address {
            None => self.lambda.create_url(name, alias, wanted).await,
            Some(now) if now.options != *wanted => {
                self.lambda.change_url(name, alias, wanted).await
            }
            Some(_) => Ok(()),
        }
    }

    /// Takes an alias away, with its address and all that calls it: first of all what calls it, so that nobody calls what is not there.
    pub(super) async fn remove(
        &self,
        seen: &Seen,
        slot: Slot,
        now: &Pointer,
    ) -> Result<(), CloudError> {
        self.forget(&seen.name);
        if let Some(found) = &now.detail.found {
            let work = Settlement {
                name: &seen.name,
                found,
                wanted: &Duties::default(),
            };
            self.settle_duties(work).await?;
        }
        if now.detail.address.is_some() {
            self.lambda.delete_url(&seen.name, alias(slot)).await?;
        }
        self.lambda.delete_alias(&seen.name, alias(slot)).await
    }
}

/// Where an alias should be.
#[derive(Debug)]
struct Place<'a> {
    slot: Slot,
    version: &'a str,
    /// Of the version.
    marks: &'a Marks,
    description: String,
}

/// The pointer of a function that holds the release. Blue first: what serves already needs no move.
fn held(seen: &Seen, release: ReleaseDigest) -> Option<&Pointer> {
    let pointers = [&seen.blue, &seen.green].into_iter().flatten();
    pointers.into_iter().find(|pointer| pointer.holds(release))
}

/// Every function of the release, or `NotStaged`: a release that is half there must not reach blue.
pub(super) fn holders(
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
