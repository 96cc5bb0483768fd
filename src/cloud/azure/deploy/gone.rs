//! Packages that are not any more where their apps take them from: a storage account that was made again holds none of what they run. They
//! run on for as long as nothing starts them anew.

use crate::{
    cloud::{
        CloudError, Package,
        azure::{
            AzureCloud,
            arm::operation,
            observe::{SlotView, app_in},
        },
    },
    name::{CodeDigest, ServiceName},
    observed::Fields,
};

/// The field of an app that tells of it.
const GONE: &str = "app.package";

/// Where the package of an app or slot lies.
pub(super) struct Lies {
    container: String,
    /// Any blob will do where the platform names it: the container is the app's own.
    name: Option<String>,
}

/// Whether the field tells of a package that is not where it is run from.
pub(in crate::cloud::azure) fn is_gone(field: &str) -> bool {
    field == GONE
}

impl Lies {
    /// As the platform puts it there, from what it was sent.
    pub(super) fn by_the_platform(app: &str) -> Self {
        Self {
            container: app.to_owned(),
            name: None,
        }
    }

    /// What it is remembered by.
    pub(super) fn key(&self) -> String {
        let Self { container, name } = self;
        format!("{container}/{}", name.as_deref().unwrap_or_default())
    }
}

impl AzureCloud {
    /// Nothing where the platform keeps packages to itself.
    fn lies(&self, service: &ServiceName, place: &SlotView, code: CodeDigest) -> Option<Lies> {
        match (self.names.runs_from_url(), self.names.is_flex()) {
            (true, _) => Some(Lies {
                container: self.names.app(service),
                name: Some(format!("{}.zip", code.hex())),
            }),
            (false, true) => Some(Lies::by_the_platform(app_in(&place.id))),
            (false, false) => None,
        }
    }

    /// What is told of a package that is not where blue runs it from. A call now and then; nothing where we may not look, or cannot.
    pub(in crate::cloud::azure) async fn package_seen(
        &self,
        service: &ServiceName,
        blue: &SlotView,
    ) -> Fields {
        let lies = blue.code().and_then(|code| self.lies(service, blue, code));
        let Some(lies) = lies else {
            return Fields::new();
        };
        match self.has_package(&lies).await {
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

    async fn has_package(&self, lies: &Lies) -> Result<bool, CloudError> {
        let key = lies.key();
        if let Some(known) = self.seldom.packages.younger(&key, self.stands()) {
            return Ok(known);
        }
        let has = self.is_there(lies).await?;
        self.seldom.packages.note(&key, has);
        Ok(has)
    }

    async fn is_there(&self, lies: &Lies) -> Result<bool, CloudError> {
        let Lies { container, name } = lies;
        self.is_in_container(container, name.as_deref()).await
    }

    /// Puts the package of an app or slot there again, where it is gone, and has the platform look at it.
    pub(in crate::cloud::azure) async fn bring_back(
        &self,
        service: &ServiceName,
        place: &SlotView,
        package: &Package,
    ) -> Result<(), CloudError> {
        self.put_again(service, place, package).await?;
        self.sync_triggers(place, &place.settings).await
    }

    async fn put_again(
        &self,
        service: &ServiceName,
        place: &SlotView,
        package: &Package,
    ) -> Result<(), CloudError> {
        if !self.names.is_flex() {
            return self.upload(service, package).await;
        }
        let app = app_in(&place.id);
        self.ensure_container(service, app).await?;
        self.deploy(app, place, package).await
    }

    /// Puts a package there that should be there, where it is not: one look, however long ago it was seen. Nothing where we may not look.
    pub(in crate::cloud::azure) async fn ensure_package(
        &self,
        service: &ServiceName,
        place: &SlotView,
        package: &Package,
    ) -> Result<(), CloudError> {
        let Some(lies) = self.lies(service, place, package.code) else {
            return Ok(());
        };
        match self.is_there(&lies).await {
            Ok(true) => Ok(()),
            Ok(false) => self.put_again(service, place, package).await,
            // Who may not look knows nothing, and what it put there was there.
            Err(error @ CloudError::Denied { .. }) => {
                tracing::warn!(%service, %error, operation = operation::BLOBS_LIST.name, "whether its package is there is not known");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
