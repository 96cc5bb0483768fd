//! Moves releases between the slots, repairs blue, and takes a service away.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    AzureCloud,
    arm::{Payload, operation, pause},
    around::{is_role, role_fields},
    duties::{Duties, Settle, fixed},
    names::WEB_API,
    observe::{RUNNING, SiteView, SlotView, app_in},
    seldom::{SHARED, tells_nobody},
    settings,
};
use crate::{
    cloud::{Cloud as _, CloudError, Package},
    desired::Release,
    name::{CloudName, ReleaseDigest, ServiceName, Slot},
    observed::{Fields, Scope, SlotContent},
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
    /// Quietly done where blue holds the release, unless a swap is under way: what blue holds then says nothing of what it will hold.
    pub(super) async fn put_on_blue(
        &self,
        service: &ServiceName,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let not_staged = CloudError::NotStaged {
            cloud: CloudName::Azure,
            release,
        };
        let site = self
            .our_view(service)
            .await?
            .ok_or_else(|| not_staged.clone())?;
        self.check_idle(service, &site)?;
        if site.blue.content().holds(release) {
            // Its place may have what another release asked for, whose promotion ended half way.
            let duties = site.blue.duties();
            self.sync_unless_known(&site.blue).await?;
            self.settle_pair(&site).await?;
            self.settle_blue(service, &site, &duties, (Settle::WhereOther, json!({})))
                .await?;
            let green = site
                .green
                .as_ref()
                .map(SlotView::duties)
                .unwrap_or_default();
            return self
                .settle_front(service, &green, &duties, &site.blue)
                .await;
        }
        let Some(green) = site
            .green
            .as_ref()
            .filter(|_| site.green_is_as_staged(release))
        else {
            return Err(not_staged);
        };
        self.check_front(service, &green.duties()).await?;
        self.exchange(service, &site, &green.duties()).await?;
        let holds = |site: &SiteView| site.blue.content().holds(release);
        let was = site.blue;
        let site = self.until_blue(service, holds).await?;
        let duties = site.blue.duties();
        self.settle_front(service, &was.duties(), &duties, &site.blue)
            .await?;
        self.until_blue_answers(&site.blue, release).await?;
        self.give_back(&was, &site).await;
        self.prune_packages(service, &site).await;
        Ok(())
    }

    /// Takes a first release off blue: what was there before, nothing, comes back from green.
    pub(super) async fn take_off_blue(
        &self,
        service: &ServiceName,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let Some(site) = self.our_view(service).await? else {
            return Ok(());
        };
        self.check_idle(service, &site)?;
        if !site.blue.content().holds(release) {
            return self.settle_pair(&site).await;
        }
        let green = site.green.as_ref().map(|green| green.content());
        if green != Some(SlotContent::Empty) {
            // A swap would put on blue what no gate of this retreat has seen.
            return Err(CloudError::Busy {
                cloud: CloudName::Azure,
                resource: self.names.app(service),
                message: "green does not hold the empty app from before the first promotion"
                    .to_owned(),
            });
        }
        match self.names.is_flex() {
            true => self.turn(&site).await?,
            false => self.swap(service, &site).await?,
        }
        let released = |site: &SiteView| !site.blue.content().holds(release);
        self.until_blue(service, released).await.map(|_| ())
    }

    /// Green gets blue's sticky settings, and is asked with them: the first half of a swap, whose second half is the promotion.
    pub(super) async fn begin_preview(&self, app: &str) -> Result<(), CloudError> {
        let id = format!("{}/applySlotConfig", self.names.slot_id(app, Slot::Green));
        let query = [("api-version", WEB_API)];
        let mut call = self.arm.call(operation::PREVIEW, &id, &query, app);
        call.payload = Payload::Json(json!({ "targetSlot": "production", "preserveVnet": true }));
        self.arm.finish(call, self.arm.limits.swap).await
    }

    /// Takes the first half back, where there is one: whatever was to be promoted then gives way to another release.
    pub(super) async fn end_preview(&self, app: &str, site: &SiteView) -> Result<(), CloudError> {
        let green = site.green.as_ref();
        if green.is_none_or(|green| green.preview.is_none()) {
            return Ok(());
        }
        let id = format!("{}/resetSlotConfig", self.names.slot_id(app, Slot::Green));
        let query = [("api-version", WEB_API)];
        let call = self.arm.call(operation::PREVIEW_END, &id, &query, app);
        self.arm.finish(call, self.arm.limits.swap).await
    }

    /// Puts green on blue. Where a place stays when its release goes, blue's is given what the coming one asks for first.
    async fn exchange(
        &self,
        service: &ServiceName,
        site: &SiteView,
        coming: &Duties,
    ) -> Result<(), CloudError> {
        if self.names.is_flex() {
            return self.turn(site).await;
        }
        self.settle_blue(service, site, coming, (Settle::WhereOther, json!({})))
            .await?;
        self.swap(service, site).await
    }

    /// Exchanges the slots, and follows it to its end. What stays and what goes is looked at once more just before: since green was staged
    /// somebody may have changed it.
    async fn swap(&self, service: &ServiceName, site: &SiteView) -> Result<(), CloudError> {
        let app = self.names.app(service);
        if let Some(green) = &site.green {
            self.keep_names(service, &green.settings, &site.blue.settings)
                .await?;
        }
        let id = format!("{}/slotsswap", self.names.slot_id(&app, Slot::Green));
        let query = [("api-version", WEB_API)];
        let mut call = self.arm.call(operation::SWAP, &id, &query, &app);
        call.payload = Payload::Json(json!({ "targetSlot": "production", "preserveVnet": true }));
        self.arm.finish(call, self.arm.limits.swap).await?;
        let runs = site.green.as_ref().unwrap_or(&site.blue);
        self.sync_triggers(&site.blue, &runs.settings).await
    }

    /// The cloud has said that a swap is done; its settings may take a moment to say so too.
    async fn until_blue(
        &self,
        service: &ServiceName,
        is_done: impl Fn(&SiteView) -> bool + Send,
    ) -> Result<Box<SiteView>, CloudError> {
        let end = Instant::now() + self.arm.limits.settle;
        let mut looks = 0;
        loop {
            let site = self.our_view(service).await?;
            if let Some(site) = site.filter(|site| is_done(site)) {
                return Ok(site);
            }
            if Instant::now() >= end {
                return Err(CloudError::Busy {
                    cloud: CloudName::Azure,
                    resource: self.names.app(service),
                    message: "the swap has ended, and production does not show it".to_owned(),
                });
            }
            sleep(pause(looks)).await;
            looks += 1;
        }
    }

    /// Makes blue as asked for again, in the quickest way that the difference allows.
    pub(super) async fn mend_blue(
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
                self.settle_pair(&site).await?;
                let duties = site.blue.duties();
                let is_own = |(field, _): &(&String, &String)| {
                    let is_elsewhere = is_role(field) || fixed::is_triggers(field);
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
    pub(super) fn place_of(&self, release: &Release, duties: &Duties) -> Fields {
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

    /// Deletes slots and site. Group, plan and account serve others too and stay.
    ///
    /// # Guarantees
    ///
    /// A site that is not ours is left alone, and so is ours where a slot of it is not: deleting the site would take the slot with it.
    pub(super) async fn delete(&self, scope: &Scope) -> Result<(), CloudError> {
        let service = &scope.service.service;
        if self.names.is_flex() {
            return self.delete_pair(service).await;
        }
        let app = self.names.app(service);
        let [site_id, green_id] = [Slot::Blue, Slot::Green].map(|it| self.names.slot_id(&app, it));
        match self.get(operation::SITES_GET, &site_id, "").await? {
            Some(site) if self.is_our(&site, service) => {}
            // What a deletion that ended half way left behind.
            None if self.names.runs_from_url() => {
                return self.remove_container(service, &app).await;
            }
            Some(_) | None => return Ok(()),
        }
        let slots = self.list(operation::SLOTS_LIST, &site_id, "/slots").await?;
        if let Some(foreign) = slots.iter().find(|slot| !self.is_our(slot, service)) {
            return Err(CloudError::NotOurs {
                cloud: CloudName::Azure,
                resource: foreign["id"].as_str().unwrap_or(&app).to_owned(),
            });
        }
        self.remove_front(service).await?;
        if !slots.is_empty() {
            self.remove(operation::SLOTS_DELETE, &green_id).await?;
        }
        self.remove(operation::SITES_DELETE, &site_id).await?;
        match self.names.runs_from_url() {
            true => self.remove_container(service, &app).await,
            false => Ok(()),
        }
    }

    /// Deletes both apps, each with its plan and its container. What is not ours is left alone.
    async fn delete_pair(&self, service: &ServiceName) -> Result<(), CloudError> {
        self.remove_front(service).await?;
        for app in self.names.twins(service) {
            let id = self.names.site_id(&app);
            match self.get(operation::SITES_GET, &id, "").await? {
                Some(site) if self.is_our(&site, service) => {
                    self.remove(operation::SITES_DELETE, &id).await?;
                }
                Some(_) => continue,
                None => {}
            }
            self.remove_seat(service, &app).await?;
        }
        Ok(())
    }

    fn is_our(&self, resource: &Value, service: &ServiceName) -> bool {
        let tags = super::observe::tags_of(resource);
        self.names.is_ours(&tags, service)
    }

    async fn remove(&self, operation: operation::Operation, id: &str) -> Result<(), CloudError> {
        // Unless told otherwise, Azure deletes the plan with its last app.
        let query = [
            ("api-version", WEB_API),
            ("deleteMetrics", "true"),
            ("deleteEmptyServerFarm", "false"),
        ];
        let call = self.arm.call(operation, id, &query, app_in(id));
        self.arm.find(call).await.map(|_| ())
    }
}
