//! Packages that an app runs from an address: Consumption on Linux takes them no other way. A package lies in the environment's storage
//! account, in a container of its app, by its digest, and so it never changes; the setting that names it moves with the code in a swap.

use bytes::Bytes;
use url::Url;

use crate::{
    cloud::{
        CloudError, Package,
        azure::{
            AzureCloud,
            arm::{Call, Payload, link_at, operation, unreachable},
            names::WEB_API,
            observe::app_in,
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
        let blobs = self.blobs().await?;
        let root = Url::parse(blobs).map_err(|error| {
            unreachable(
                operation::BLOBS_PUT,
                format!("`{blobs}` is no address: {error}"),
            )
        })?;
        let name = settings::package_name(&app, package.code);
        let call = Call {
            operation: operation::BLOBS_PUT,
            url: link_at(&root, operation::BLOBS_PUT, &format!("{blobs}{name}"))?,
            origin: &root,
            resource: &app,
            payload: Payload::Blob(Bytes::from(bytes)),
            if_match: None,
            deadline: self.arm.limits.deploy,
        };
        let sent = self.arm.ask(call).await;
        sent.map(|_| ()).map_err(|error| self.may_not_write(error))
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
    pub(in crate::cloud::azure) async fn sync_triggers(&self, id: &str) -> Result<(), CloudError> {
        if !self.names.runs_from_url() {
            return Ok(());
        }
        let path = format!("{id}/syncfunctiontriggers");
        let query = [("api-version", WEB_API)];
        let call = self
            .arm
            .call(operation::TRIGGERS_SYNC, &path, &query, app_in(id));
        match self.arm.ask(call).await {
            // The host of a slot that is still starting cannot be asked; it looks at its triggers when it has started.
            Err(CloudError::Busy { .. } | CloudError::Unreachable { .. }) => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }
}
