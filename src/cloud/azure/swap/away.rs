//! Takes a service away.

use serde_json::Value;

use super::super::{
    AzureCloud,
    arm::operation,
    names::WEB_API,
    observe::{app_in, tags_of},
};
use crate::{
    cloud::CloudError,
    name::{CloudName, ServiceName, Slot},
    observed::Scope,
};

// === impl AzureCloud ===

impl AzureCloud {
    /// Deletes slots and site. Group, plan and account serve others too and stay.
    ///
    /// # Guarantees
    ///
    /// A site that is not ours is left alone, and so is ours where a slot of it is not: deleting the site would take the slot with it.
    pub(in crate::cloud::azure) async fn delete(&self, scope: &Scope) -> Result<(), CloudError> {
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
        let tags = tags_of(resource);
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
