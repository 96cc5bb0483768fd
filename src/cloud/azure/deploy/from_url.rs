//! Packages that an app runs from an address: Consumption on Linux takes them no other way. A package lies in the environment's storage
//! account, in a container of its app, by its digest, and so it never changes; the setting that names it moves with the code in a swap.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use url::Url;

use crate::{
    cloud::{
        CloudError, Package,
        azure::{
            AzureCloud,
            arm::{
                Answer, Call, Payload, link_at,
                operation::{self, Operation},
                unreachable,
            },
            duties::SYNC_TAG,
            names::WEB_API,
            observe::{SlotView, app_in},
            settings::{self, Settings},
        },
    },
    name::ServiceName,
};

impl AzureCloud {
    /// Puts a package where its app reads it. Twice is the same as once.
    ///
    /// # Errors
    ///
    /// [`CloudError::Denied`] with the role that is missing where we may not write there.
    pub(in crate::cloud::azure) async fn upload(
        &self,
        service: &ServiceName,
        package: &Package,
    ) -> Result<(), CloudError> {
        let app = self.names.app(service);
        self.ensure_container(service, &app).await?;
        let bytes = tokio::fs::read(&package.path).await.map_err(|error| {
            let path = package.path.display();
            unreachable(operation::BLOBS_PUT, format!("package `{path}`: {error}"))
        })?;
        let name = settings::package_name(&app, package.code);
        let payload = Payload::Blob(Bytes::from(bytes));
        let asked = (operation::BLOBS_PUT, name.as_str(), payload);
        let sent = self.ask_blobs(&app, asked, self.arm.limits.deploy).await;
        sent.map_err(|error| self.may_not_write(error))?;
        self.seldom.packages.note(&name, true);
        Ok(())
    }

    /// Asks the storage account about what is below the address of its blobs.
    pub(super) async fn ask_blobs(
        &self,
        app: &str,
        (operation, below, payload): (Operation, &str, Payload),
        deadline: Duration,
    ) -> Result<Answer, CloudError> {
        let root = self.root_of_blobs(operation).await?;
        let call = blob_call(&root, app, (operation, below, payload), deadline)?;
        self.arm.ask(call).await
    }

    /// The same of a container that may be gone.
    pub(super) async fn look_at_blobs(
        &self,
        app: &str,
        (operation, below): (Operation, &str),
    ) -> Result<Option<Answer>, CloudError> {
        let root = self.root_of_blobs(operation).await?;
        let asked = (operation, below, Payload::Storage);
        let call = blob_call(&root, app, asked, self.arm.limits.call)?;
        self.arm.look(call).await
    }

    async fn root_of_blobs(&self, operation: Operation) -> Result<Url, CloudError> {
        let blobs = self.blobs().await?;
        Url::parse(blobs)
            .map_err(|error| unreachable(operation, format!("`{blobs}` is no address: {error}")))
    }

    /// The right to a container's blobs is none of the resource manager's: a role of its own gives it.
    fn may_not_write(&self, error: CloudError) -> CloudError {
        let CloudError::Denied {
            cloud,
            operation,
            message,
        } = error
        else {
            return error;
        };
        let account = self.names.account_id();
        CloudError::Denied {
            cloud,
            operation,
            message: format!(
                "{message}; give the daemon the role `Storage Blob Data Contributor` on `{account}`"
            ),
        }
    }

    /// Settings with the true address of their package. One call, once, where they name one.
    pub(in crate::cloud::azure) async fn located(
        &self,
        settings: Settings,
    ) -> Result<Settings, CloudError> {
        if !self.names.runs_from_url() {
            return Ok(settings);
        }
        Ok(settings::at(settings, self.blobs().await?))
    }

    /// Asks where packages are, once. While that is not told, their place is not compared.
    pub(in crate::cloud::azure) async fn learn_blobs(&self) {
        if self.names.runs_from_url() {
            drop(self.blobs().await);
        }
    }

    /// The field of a package that is not at our storage account, as far as we know where that is.
    pub(in crate::cloud::azure) fn elsewhere(
        &self,
        settings: &Settings,
    ) -> Option<(String, String)> {
        settings::elsewhere(settings, self.blobs.get()?)
    }

    /// Tells the platform to look at the triggers of a package: it does so by itself only of packages that it was sent.
    ///
    /// The host of a slot that is still starting cannot be asked. Then a tag of the place says that it is due, until it was done.
    pub(in crate::cloud::azure) async fn sync_triggers(
        &self,
        place: &SlotView,
        runs: &Settings,
    ) -> Result<(), CloudError> {
        if !self.names.runs_from_url() {
            return Ok(());
        }
        match self.ask_for_sync(place, runs).await {
            Err(CloudError::Busy { .. } | CloudError::Unreachable { .. }) => {
                self.mark_sync(place, true).await
            }
            outcome => {
                outcome?;
                self.mark_sync(place, false).await
            }
        }
    }

    /// The same of what a place runs already: for whoever cannot know whether it was done after that came there.
    pub(in crate::cloud::azure) async fn sync_unless_known(
        &self,
        place: &SlotView,
    ) -> Result<(), CloudError> {
        let known = self.seldom.synced.younger(&place.id, Duration::MAX);
        let is_known = known == Some(settings::packages(&place.settings));
        match is_known && !place.found.sync_due {
            true => Ok(()),
            false => self.sync_triggers(place, &place.settings).await,
        }
    }

    /// Does what is due, if anything is.
    ///
    /// # Errors
    ///
    /// It is still due: it could not be done.
    pub(in crate::cloud::azure) async fn make_up_sync(
        &self,
        place: &SlotView,
    ) -> Result<(), CloudError> {
        if !self.names.runs_from_url() || !place.found.sync_due {
            return Ok(());
        }
        self.ask_for_sync(place, &place.settings).await?;
        self.mark_sync(place, false).await
    }

    async fn ask_for_sync(&self, place: &SlotView, runs: &Settings) -> Result<(), CloudError> {
        let id = &place.id;
        let path = format!("{id}/syncfunctiontriggers");
        let query = [("api-version", WEB_API)];
        let call = self
            .arm
            .call(operation::TRIGGERS_SYNC, &path, &query, app_in(id));
        self.arm.ask(call).await?;
        self.seldom.synced.note(id, settings::packages(runs));
        Ok(())
    }

    async fn mark_sync(&self, place: &SlotView, is_due: bool) -> Result<(), CloudError> {
        if place.found.sync_due == is_due {
            return Ok(());
        }
        let change = if is_due { "Merge" } else { "Delete" };
        let tags = json!({ SYNC_TAG: "due" });
        self.patch_tags(&place.id, change, tags).await
    }
}

fn blob_call<'a>(
    root: &'a Url,
    app: &'a str,
    (operation, below, payload): (Operation, &str, Payload),
    deadline: Duration,
) -> Result<Call<'a>, CloudError> {
    Ok(Call {
        operation,
        url: link_at(root, operation, &format!("{root}{below}"))?,
        origin: root,
        resource: app,
        payload,
        if_match: None,
        deadline,
    })
}
