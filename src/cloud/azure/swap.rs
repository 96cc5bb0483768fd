//! Moves releases between the slots, repairs blue, and takes a service away.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    AzureCloud,
    arm::{Payload, operation, pause},
    names::WEB_API,
    observe::{RUNNING, SiteView},
    settings,
};
use crate::{
    cloud::{Cloud as _, CloudError, Package},
    desired::Release,
    name::{CloudName, ReleaseDigest, ServiceName, Slot},
    observed::{Scope, SlotContent},
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
            return Ok(());
        }
        if !site.green_is_as_staged(release) {
            return Err(not_staged);
        }
        self.swap(service).await?;
        let holds = |site: &SiteView| site.blue.content().holds(release);
        self.until_blue(service, holds).await
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
            return Ok(());
        }
        let green = site.green.as_ref().map(|green| green.content());
        if green != Some(SlotContent::Empty) {
            // A swap would put on blue what no gate of this retreat has seen.
            return Err(CloudError::Busy {
                cloud: CloudName::Azure,
                resource: self.names.app(service),
                message: "slot `green` does not hold the empty app from before the first promotion"
                    .to_owned(),
            });
        }
        self.swap(service).await?;
        let released = |site: &SiteView| !site.blue.content().holds(release);
        self.until_blue(service, released).await
    }

    /// Exchanges the slots, and follows it to its end.
    async fn swap(&self, service: &ServiceName) -> Result<(), CloudError> {
        let app = self.names.app(service);
        let id = format!("{}/slotsswap", self.names.slot_id(&app, Slot::Green));
        let query = [("api-version", WEB_API)];
        let mut call = self.arm.call(operation::SWAP, &id, &query, &app);
        call.payload = Payload::Json(json!({ "targetSlot": "production", "preserveVnet": true }));
        self.arm.finish(call, self.arm.limits.swap).await
    }

    /// The cloud has said that a swap is done; its settings may take a moment to say so too.
    async fn until_blue(
        &self,
        service: &ServiceName,
        is_done: impl Fn(&SiteView) -> bool + Send,
    ) -> Result<(), CloudError> {
        let end = Instant::now() + self.arm.limits.settle;
        let mut looks = 0;
        loop {
            let site = self.our_view(service).await?;
            if site.is_some_and(|site| is_done(&site)) {
                return Ok(());
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
        let app = self.names.app(service);
        let site = self.our_view(service).await?;
        let remedy = match &site {
            Some(site) => self.remedy(release, package, site),
            None => Remedy::Deploy,
        };
        if let Some(site) = &site {
            self.check_idle(service, site)?;
            if site.blue.state != RUNNING {
                self.start(&app, Slot::Blue).await?;
            }
        }
        match (remedy, site) {
            (Remedy::Nothing, _) => Ok(()),
            (Remedy::Settings, Some(site)) => {
                let moving = settings::moving(&self.names, release, package.code);
                let all = settings::for_blue(moving, &site.blue.settings);
                self.put_settings(&app, Slot::Blue, &all).await
            }
            (Remedy::Swap, _) => self.put_on_blue(service, release.digest).await,
            (Remedy::Settings | Remedy::Deploy, _) => self.replace_blue(release, package).await,
        }
    }

    fn remedy(&self, release: &Release, package: &Package, site: &SiteView) -> Remedy {
        let wanted = settings::moving(&self.names, release, package.code);
        let is_right = |slot, has: &settings::Settings| {
            settings::fields(has, slot) == settings::fields(&wanted, Slot::Blue)
        };
        let blue = &site.blue;
        if blue.content().holds(release.digest) && blue.code() == Some(package.code) {
            return match is_right(Slot::Blue, &blue.settings) {
                true => Remedy::Nothing,
                false => Remedy::Settings,
            };
        }
        let green = site.green.as_ref();
        let green_is_right = green.is_some_and(|green| {
            green.content().holds(release.digest) && is_right(Slot::Green, &green.settings)
        });
        match green_is_right && !blue.content().holds(release.digest) {
            true => Remedy::Swap,
            false => Remedy::Deploy,
        }
    }

    /// Stages on green and swaps, even where blue says that it holds the release.
    async fn replace_blue(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        self.put_on_green(release, package).await?;
        let service = &release.service.service;
        self.swap(service).await?;
        let wanted = self.expected(release, package.code);
        self.until_blue(service, |site| site.blue.fields() == wanted)
            .await
    }

    /// Deletes slots and site. Group, plan and account serve others too and stay.
    ///
    /// # Guarantees
    ///
    /// A site that is not ours is left alone, and so is ours where a slot of it is not: deleting the site would take the slot with it.
    pub(super) async fn delete(&self, scope: &Scope) -> Result<(), CloudError> {
        let service = &scope.service.service;
        let app = self.names.app(service);
        match self.get(operation::SITES_GET, &app, Slot::Blue, "").await? {
            Some(site) if self.is_our(&site, service) => {}
            Some(_) | None => return Ok(()),
        }
        let slots = self
            .list(operation::SLOTS_LIST, &app, Slot::Blue, "/slots")
            .await?;
        if let Some(foreign) = slots.iter().find(|slot| !self.is_our(slot, service)) {
            return Err(CloudError::NotOurs {
                cloud: CloudName::Azure,
                resource: foreign["id"].as_str().unwrap_or(&app).to_owned(),
            });
        }
        if !slots.is_empty() {
            self.remove(operation::SLOTS_DELETE, &app, Slot::Green)
                .await?;
        }
        self.remove(operation::SITES_DELETE, &app, Slot::Blue).await
    }

    fn is_our(&self, resource: &Value, service: &ServiceName) -> bool {
        let tags = super::observe::tags_of(resource);
        self.names.is_ours(&tags, service)
    }

    async fn remove(
        &self,
        operation: operation::Operation,
        app: &str,
        slot: Slot,
    ) -> Result<(), CloudError> {
        // Unless told otherwise, Azure deletes the plan with its last app.
        let query = [
            ("api-version", WEB_API),
            ("deleteMetrics", "true"),
            ("deleteEmptyServerFarm", "false"),
        ];
        let id = self.names.slot_id(app, slot);
        let call = self.arm.call(operation, &id, &query, app);
        self.arm.find(call).await.map(|_| ())
    }
}
