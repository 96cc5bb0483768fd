//! Puts an alias where it should be, with its address and, on blue, all that calls it; and takes it away.

use super::super::{
    AwsCloud,
    duties::{Found, Settlement},
    lambda::Pointing,
    settings::{Access, Marks, alias},
    survey::{AliasDetail, Pointer, Seen},
};
use crate::{
    cloud::CloudError,
    manifest::aws::UrlAuth,
    name::{ServiceKey, Slot},
};

/// Where an alias is, and where it should be.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Place<'a> {
    pub(in crate::cloud::aws) service: &'a ServiceKey,
    pub(in crate::cloud::aws) name: &'a str,
    /// None where there is no such alias.
    pub(in crate::cloud::aws) now: Option<&'a AliasDetail>,
    pub(in crate::cloud::aws) slot: Slot,
    pub(in crate::cloud::aws) version: &'a str,
    /// Of the version.
    pub(in crate::cloud::aws) marks: &'a Marks,
    pub(in crate::cloud::aws) description: String,
}

impl Place<'_> {
    fn stands(&self) -> bool {
        self.now
            .is_some_and(|it| it.version == self.version && !it.is_split())
    }

    /// Whether its address passes answers on as they are made, and the version gives them in one piece. Such an address would show
    /// them as they are, without a look at status and headers in them.
    fn ends_streaming(&self) -> bool {
        let address = self.now.and_then(|it| it.address.as_ref());
        let wanted = self.marks.http.as_ref();
        address.is_some_and(|it| it.options.stream) && wanted.is_some_and(|it| !it.stream)
    }

    fn is_reached(&self) -> bool {
        let access = self.now.map_or(Access::None, AliasDetail::access);
        access == Access::wanted(self.marks.http.as_ref())
    }

    /// Of green nothing is asked. An alias that is not there yet has nothing.
    fn is_on_duty(&self) -> bool {
        match self.now {
            None => self.slot == Slot::Green || self.marks.blue.is_none(),
            Some(now) => {
                let found = now.found.as_ref();
                found.is_none_or(|found| found.serves(&self.marks.blue))
            }
        }
    }
}

impl AwsCloud {
    /// Quiet where it is there already.
    pub(in crate::cloud::aws) async fn place(&self, place: Place<'_>) -> Result<(), CloudError> {
        let stands = place.stands();
        if stands && place.is_reached() && place.is_on_duty() {
            return Ok(());
        }
        match self.place_anew(&place, stands).await {
            Ok(Some(moved)) => self.memory.note_alias(place.name, place.slot, moved),
            Ok(None) => self.memory.look_again(place.name),
            Err(error) => {
                // We may know less than before.
                self.forget(place.name);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns what the alias is now, where nothing but its version was changed.
    async fn place_anew(
        &self,
        place: &Place<'_>,
        stands: bool,
    ) -> Result<Option<AliasDetail>, CloudError> {
        let pointing = Pointing {
            name: place.name,
            alias: alias(place.slot),
            version: place.version,
            description: place.description.clone(),
            share: None,
        };
        // The other way round the address follows: answers that are made piece by piece are understood by either kind.
        if place.ends_streaming() {
            self.reach(place).await?;
        }
        let moved = match place.now {
            Some(_) if stands => None,
            Some(now) => {
                let guard = now.revision_id.clone();
                let revision = self.lambda.update_alias(pointing, guard).await?;
                Some(now.moved(place.version, revision, &place.description))
            }
            None => {
                let revision = self.lambda.create_alias(pointing).await?;
                let bare = AliasDetail {
                    found: (place.slot == Slot::Blue).then(Found::default),
                    ..AliasDetail::default()
                };
                Some(bare.moved(place.version, revision, &place.description))
            }
        };
        let is_all = place.is_reached() && place.is_on_duty();
        if !place.ends_streaming() {
            self.reach(place).await?;
        }
        if place.slot == Slot::Blue {
            let found = place.now.and_then(|it| it.found.clone());
            let work = Settlement {
                service: place.service,
                name: place.name,
                found: &found.unwrap_or_default(),
                wanted: &place.marks.blue,
            };
            self.settle_duties(work).await?;
        }
        Ok(moved.filter(|_| is_all))
    }

    /// Gives the alias the address that it should have.
    async fn reach(&self, place: &Place<'_>) -> Result<(), CloudError> {
        let (name, alias) = (place.name, alias(place.slot));
        let address = place.now.and_then(|it| it.address.as_ref());
        let is_permitted = place.now.is_some_and(|it| it.is_permitted);
        let Some(wanted) = &place.marks.http else {
            if address.is_some() {
                self.lambda.delete_url(name, alias).await?;
            }
            // Else a URL that somebody makes later would be open to everyone at once.
            return match is_permitted {
                true => self.lambda.forbid_url(name, alias).await,
                false => Ok(()),
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
    pub(in crate::cloud::aws) async fn remove(
        &self,
        seen: &Seen,
        slot: Slot,
        now: &Pointer,
    ) -> Result<(), CloudError> {
        self.forget(&seen.name);
        if let Some(found) = &now.detail.found {
            let work = Settlement {
                service: &seen.service,
                name: &seen.name,
                found,
                wanted: &found.duties.without_callers(),
            };
            self.settle_duties(work).await?;
        }
        if now.detail.address.is_some() {
            self.lambda.delete_url(&seen.name, alias(slot)).await?;
        }
        self.lambda.delete_alias(&seen.name, alias(slot)).await
    }
}
