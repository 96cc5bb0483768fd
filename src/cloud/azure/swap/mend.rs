//! Repairs blue.

use super::super::{
    AzureCloud,
    around::{is_role, role_fields},
    deploy::is_gone,
    duties::{Duties, Settle, fixed},
    observe::{RUNNING, SiteView},
    seldom::{SHARED, tells_nobody},
    settings,
};
use crate::{
    cloud::{Cloud as _, CloudError, Package},
    desired::Release,
    name::Slot,
    observed::Fields,
};

/// What makes blue hold a release again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Remedy {
    Nothing,
    /// Settings differ, the package does not.
    Settings,
    /// Green has it, as asked for.
    Swap,
    /// The package differs, or nobody has it.
    Deploy,
}

// === impl AzureCloud ===

impl AzureCloud {
    /// Makes blue as asked for again, in the quickest way that the difference allows.
    pub(in crate::cloud::azure) async fn mend_blue(
        &self,
        release: &Release,
        package: &Package,
    ) -> Result<(), CloudError> {
        self.check(release)?;
        let service = &release.service.service;
        let site = self.our_view(service).await?;
        let remedy = match &site {
            Some(site) => self.remedy(release, package, site),
            None => Remedy::Deploy,
        };
        if let Some(site) = &site {
            self.check_idle(service, site)?;
            if site.blue.state != RUNNING {
                self.start(&site.blue.id).await?;
            }
        }
        match (remedy, site) {
            (Remedy::Nothing, _) => Ok(()),
            (Remedy::Settings, Some(mut site)) => {
                let moving = settings::moving(&self.names, release, package.code);
                let moving = self.located(moving).await?;
                let mut all = settings::for_blue(moving, &site.blue.settings);
                if tells_nobody(&site.blue) {
                    all.remove(settings::INSIGHTS);
                    self.add_insights(&mut all).await?;
                }
                if !settings::is_same(&all, &site.blue.settings) {
                    self.put_settings(&site.blue.id, &all).await?;
                }
                site.blue.settings = all;
                self.mend_around(release, &site).await?;
                if site.blue.place.keys().any(|field| is_gone(field)) {
                    self.bring_back(service, &site.blue, package).await?;
                }
                let duties = site.blue.duties();
                let is_own = |(field, _): &(&String, &String)| {
                    let is_elsewhere =
                        is_role(field) || fixed::is_triggers(field) || is_gone(field);
                    !is_elsewhere && !field.starts_with(SHARED)
                };
                let wanted = self.place_of(release, &duties);
                let [is, wanted] = [&site.blue.place, &wanted].map(|it| it.iter().filter(is_own));
                let when = match is.eq(wanted) {
                    true => Settle::WhereOther,
                    false => Settle::Always,
                };
                let image = self.image_of(release);
                self.settle_blue(service, &site, &duties, (when, image))
                    .await?;
                self.check_named(&site.blue).await?;
                self.settle_front(service, &Duties::default(), &duties, &site.blue)
                    .await?;
                self.settle_pair(&site).await?;
                self.make_up_sync(&site.blue).await?;
                self.check_domains(service, &site.blue, &duties)
            }
            (Remedy::Swap, _) => self.put_on_blue(service, release.digest).await,
            (Remedy::Settings | Remedy::Deploy, _) => self.replace_blue(release, package).await,
        }
    }

    fn remedy(&self, release: &Release, package: &Package, site: &SiteView) -> Remedy {
        let wanted = settings::expected(&self.names, release, package.code);
        let is_right = |slot, has: &settings::Settings| settings::fields(has, slot) == wanted;
        let blue = &site.blue;
        if blue.content().holds(release.digest) && blue.code() == Some(package.code) {
            let duties = Duties::wanted(&self.names, release);
            let place = self.place_of(release, &duties);
            let has_place = blue.place == place && duties.is_given(&blue.tags) && blue.swaps_well();
            let is_there = blue.elsewhere.is_none();
            return match is_right(Slot::Blue, &blue.settings) && has_place && is_there {
                true => Remedy::Nothing,
                false => Remedy::Settings,
            };
        }
        let green = site.green.as_ref();
        let green_is_right = green.is_some_and(|green| {
            green.content().holds(release.digest)
                && is_right(Slot::Green, &green.settings)
                && green.elsewhere.is_none()
        });
        match green_is_right && !blue.content().holds(release.digest) {
            true => Remedy::Swap,
            false => Remedy::Deploy,
        }
    }

    /// What the place of a release has, as fields.
    pub(in crate::cloud::azure) fn place_of(&self, release: &Release, duties: &Duties) -> Fields {
        let runtime = &release.content.runtime;
        let mut fields = fixed::wanted(&self.names, runtime, self.is_https());
        fields.extend(duties.fields());
        fields.extend(role_fields(&self.names, duties, None));
        fields
    }

    /// Stages on green and swaps, even where blue says that it holds the release.
    async fn replace_blue(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        self.put_on_green(release, package).await?;
        let service = &release.service.service;
        if let Some(site) = self.our_view(service).await? {
            let duties = Duties::wanted(&self.names, release);
            self.exchange(service, &site, &duties).await?;
            let holds = |site: &SiteView| site.blue.content().holds(release.digest);
            self.arrived(service, &site.blue, holds).await?;
        }
        let wanted = self.expected(release, package.code);
        let is_right = |site: &SiteView| {
            let mut is = site.blue.fields();
            is.retain(|field, _| !field.starts_with(SHARED));
            is == wanted
        };
        let site = self.until_blue(service, is_right).await?;
        self.until_blue_answers(&site.blue, release.digest).await
    }
}
