//! Packages that are run from an address and are not there any more: a storage account that was made again holds none of what its apps run.
//! They run on for as long as nothing starts them anew.

use crate::{
    cloud::{
        CloudError, Package,
        azure::{AzureCloud, arm::operation, observe::SlotView, settings},
    },
    name::{CodeDigest, ServiceName},
    observed::Fields,
};

/// The field of an app that tells of it.
const GONE: &str = "app.package";

/// Whether the field tells of a package that is not where it is run from.
pub(in crate::cloud::azure) fn is_gone(field: &str) -> bool {
    field == GONE
}

impl AzureCloud {
    /// What is told of a package that is not where blue runs it from. A call now and then; nothing where we may not look, or cannot.
    pub(in crate::cloud::azure) async fn package_seen(
        &self,
        service: &ServiceName,
        blue: &SlotView,
    ) -> Fields {
        let Some(code) = blue.code().filter(|_| self.names.runs_from_url()) else {
            return Fields::new();
        };
        match self.has_package(service, code).await {
            Ok(true) => Fields::new(),
            Ok(false) => {
                let told = "missing (a repair puts it there again)".to_owned();
                Fields::from([(GONE.to_owned(), told)])
            }
            Err(error) => {
                tracing::debug!(%service, %error, "whether its package is there is not known");
                Fields::new()
            }
        }
    }

    async fn has_package(
        &self,
        service: &ServiceName,
        code: CodeDigest,
    ) -> Result<bool, CloudError> {
        let app = self.names.app(service);
        let name = settings::package_name(&app, code);
        if let Some(known) = self.seldom.packages.younger(&name, self.stands()) {
            return Ok(known);
        }
        let has = self.is_in_container(&app, code).await?;
        self.seldom.packages.note(&name, has);
        Ok(has)
    }

    /// Puts the package of a slot there again, where it is gone, and has the platform look at it.
    pub(in crate::cloud::azure) async fn bring_back(
        &self,
        service: &ServiceName,
        place: &SlotView,
        package: &Package,
    ) -> Result<(), CloudError> {
        self.upload(service, package).await?;
        self.sync_triggers(place, &place.settings).await
    }

    /// Puts a package there that should be there, where it is not: one look, however long ago it was seen. Nothing where we may not look.
    pub(in crate::cloud::azure) async fn ensure_package(
        &self,
        service: &ServiceName,
        package: &Package,
    ) -> Result<(), CloudError> {
        let app = self.names.app(service);
        match self.is_in_container(&app, package.code).await {
            Ok(true) => Ok(()),
            Ok(false) => self.upload(service, package).await,
            // Who may not look knows nothing, and what it put there was there.
            Err(error @ CloudError::Denied { .. }) => {
                tracing::warn!(%service, %error, operation = operation::BLOBS_LIST.name, "whether its package is there is not known");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
