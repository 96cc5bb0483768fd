//! Moves releases between the slots, repairs blue, and takes a service away.

mod away;
mod mend;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    AzureCloud,
    arm::{Payload, operation, pause},
    duties::{Duties, Settle},
    names::WEB_API,
    observe::{SiteView, SlotView},
};
use crate::{
    cloud::CloudError,
    name::{CloudName, ReleaseDigest, ServiceName, Slot},
    observed::SlotContent,
};

// === impl AzureCloud ===

impl AzureCloud {
    /// Quietly done where blue holds the release and answers, unless a swap is under way: what blue holds then says nothing of what it will
    /// hold.
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
            self.settle_blue(service, &site, &duties, (Settle::WhereOther, json!({})))
                .await?;
            let green = site
                .green
                .as_ref()
                .map(SlotView::duties)
                .unwrap_or_default();
            self.settle_front(service, &green, &duties, &site.blue)
                .await?;
            self.settle_pair(&site).await?;
            // Whoever was here before may have been stopped while it waited for an answer.
            return self.until_blue_answers(&site.blue, release).await;
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
        let site = self.arrived(service, &was, holds).await?;
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
        let green = site.green.as_ref();
        if !site.blue.content().holds(release) {
            // Whoever was here before may have left the front behind.
            if let (Some(green), SlotContent::Empty) = (green, site.blue.content()) {
                let (going, nothing) = (green.duties(), Duties::default());
                self.settle_front(service, &going, &nothing, &site.blue)
                    .await?;
            }
            return self.settle_pair(&site).await;
        }
        if green.map(SlotView::content) != Some(SlotContent::Empty) {
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
        self.arrived(service, &site.blue, released)
            .await
            .map(|_| ())
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
        if let Some(green) = &site.green {
            let had = [&site.blue, green].map(|it| it.settings.iter());
            self.arm.note_exchange([&site.blue.id, &green.id], had);
        }
        let runs = site.green.as_ref().unwrap_or(&site.blue);
        self.sync_triggers(&site.blue, &runs.settings).await
    }

    /// What is left to do once the slots are exchanged: the front leads to blue, or goes where blue asks for none, and only then the
    /// app that was blue gives its part up. `was` is that app.
    pub(super) async fn arrived(
        &self,
        service: &ServiceName,
        was: &SlotView,
        is_done: impl Fn(&SiteView) -> bool + Send,
    ) -> Result<Box<SiteView>, CloudError> {
        let site = self.until_blue(service, is_done).await?;
        let duties = site.blue.duties();
        self.settle_front(service, &was.duties(), &duties, &site.blue)
            .await?;
        self.settle_pair(&site).await?;
        Ok(site)
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
}
