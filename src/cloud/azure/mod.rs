//! Azure Functions, by Azure Resource Manager.
//!
//! A service is one Function App, named `{prefix}-{environment}-{service}` or as its manifest says: production is blue, slot `green` is
//! green, a promotion is a swap. On a plan without slots it is two apps, see [`flex`]. What a slot holds is told by settings that move
//! with the code. Nothing here knows whether the endpoint is the real one.
//!
//! Apps reach their storage and their secrets by identities, which we give the roles that they need, unless people want to.

mod adopt;
mod arm;
mod around;
mod deeds;
mod deploy;
mod duties;
mod flex;
mod found;
mod front;
mod metrics;
mod names;
mod observe;
mod ready;
mod seldom;
mod settings;
mod stage;
mod swap;
mod talk;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use url::Url;

pub use self::arm::{
    AzureIdentity, AzureLimiter, AzureRates, AzureSource, CredentialChoice, Principal,
};
use self::{arm::Arm, names::Names, observe::RUNNING, seldom::Seldom};
use super::{Cloud, CloudError, MetricQuestion, Package, operate::Operate};
use crate::{
    desired::Release,
    import::clouds::Found,
    manifest::spec::AzureTarget,
    name::{
        Called, CloudName, CodeDigest, EnvironmentName, Percent, ReleaseDigest, ServiceName,
        Timestamp,
    },
    observed::{
        Deed, Fields, Observed, Owned, Scope,
        talk::{Invocation, Invoked, LogsTold, LogsWanted},
    },
};

/// The real Azure Resource Manager.
const PUBLIC: &str = "https://management.azure.com";

/// How to reach one target.
#[derive(Clone, Debug)]
pub struct AzureOptions {
    pub environment: EnvironmentName,
    pub target: AzureTarget,
    /// Azure Resource Manager; the public cloud where unsaid. Plain http is spoken only where this says http.
    pub endpoint: Option<Url>,
    /// Who gives tokens (Entra ID); the one of the endpoint's cloud where unsaid.
    pub authority: Option<Url>,
    pub credential: CredentialChoice,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Shared by all that use one subscription.
    pub limiter: Arc<AzureLimiter>,
    pub limits: AzureLimits,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AzureLimits {
    /// One call, its tries included.
    pub call: Duration,
    /// A resource that is being made or changed.
    pub create: Duration,
    /// Sending a package, and then its deployment.
    pub deploy: Duration,
    /// Green's way from its last setting to its first answer.
    pub start: Duration,
    pub swap: Duration,
    /// Until settings show a swap that has ended.
    pub settle: Duration,
    /// How old may be what is remembered of what seldom changes; it is longer where many services are known. Nothing is remembered where
    /// it is zero.
    pub details: Duration,
}

/// Why there is no client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AzureError {
    #[error("azure endpoint `{endpoint}` must read https://host or http://host:port")]
    Endpoint { endpoint: String },
    #[error("certificates of `{}` cannot be used: {message}", path.display())]
    Authority { path: PathBuf, message: String },
    #[error("azure credentials cannot be used: {message}")]
    Credential { message: String },
    #[error("no http client can be made: {message}")]
    Client { message: String },
}

/// One environment's share of Azure.
#[derive(Clone, Debug)]
pub struct AzureCloud {
    arm: Arc<Arm>,
    names: Names,
    /// The address of the storage account's blobs, once it was asked for.
    blobs: Arc<OnceCell<String>>,
    seldom: Arc<Seldom>,
}

impl Default for AzureLimits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(60),
            create: Duration::from_secs(300),
            deploy: Duration::from_secs(600),
            start: Duration::from_secs(180),
            // Two restarts with warm-up: a swap takes tens of seconds, seldom some minutes.
            swap: Duration::from_secs(900),
            settle: Duration::from_secs(30),
            details: Duration::from_secs(600),
        }
    }
}

// === impl AzureCloud ===

impl AzureCloud {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// An endpoint that is not http(s), certificates or credentials that cannot be read.
    pub fn new(options: AzureOptions) -> Result<Self, AzureError> {
        let endpoint = match &options.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => Url::parse(PUBLIC),
        };
        let is_good = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let Some(endpoint) = endpoint.ok().filter(is_good) else {
            let endpoint = options.endpoint.map(|url| url.to_string());
            return Err(AzureError::Endpoint {
                endpoint: endpoint.unwrap_or_else(|| PUBLIC.to_owned()),
            });
        };
        let arm = Arm::new(&options, endpoint)?;
        let names = Names {
            environment: options.environment,
            target: options.target,
            called: None,
        };
        let blobs = Arc::default();
        let seldom = Arc::default();
        Ok(Self {
            arm: Arc::new(arm),
            names,
            blobs,
            seldom,
        })
    }

    /// The same where the Function App in hand is called so.
    fn calling(&self, called: &Called) -> Cow<'_, Self> {
        if called.azure == self.names.called {
            return Cow::Borrowed(self);
        }
        let mut other = self.clone();
        other.names.called.clone_from(&called.azure);
        Cow::Owned(other)
    }

    /// The same for who has something to do there.
    fn working(&self, service: &ServiceName, called: &Called) -> Cow<'_, Self> {
        let cloud = self.calling(called);
        cloud.seldom.note_work(&cloud.names.app(service));
        cloud
    }

    /// Calls sent so far by operation, tries counted one by one.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.arm.counts()
    }

    /// Calls sent so far that could change something.
    pub fn writing_calls(&self) -> u64 {
        self.arm.calls.writing()
    }
}

#[async_trait]
impl Cloud for AzureCloud {
    fn name(&self) -> CloudName {
        CloudName::Azure
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        let cloud = self.calling(&release.content.called());
        let mut fields = settings::expected(&cloud.names, release, code);
        fields.insert(observe::STATE.to_owned(), RUNNING.to_owned());
        let duties = duties::Duties::wanted(&cloud.names, release);
        fields.extend(cloud.place_of(release, &duties));
        fields
    }

    fn operate(&self) -> Option<&dyn Operate> {
        Some(self)
    }

    /// Four calls: the site, then at once its slot and the settings of both. What seldom changes is looked at by turns, a call for each.
    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        self.calling(&scope.called).observed(scope).await
    }

    /// One call more, to blue itself: its host answers whether or not a function of it answers HTTP.
    async fn watch(&self, scope: &Scope) -> Result<Observed, CloudError> {
        self.calling(&scope.called).watched(scope).await
    }

    /// One call for each page of the resource group's sites.
    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        self.owned().await
    }

    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let cloud = self.working(&release.service.service, &release.content.called());
        cloud.put_on_green(release, package).await
    }

    /// Routing rules of a slot tie a user to it by a cookie, which shares users and not requests; so there is no share here.
    async fn shift(&self, _: &Scope, _: ReleaseDigest, weight: Percent) -> Result<(), CloudError> {
        if weight.is_none() {
            return Ok(());
        }
        Err(CloudError::Invalid {
            cloud: CloudName::Azure,
            operation: "a share of blue's requests".to_owned(),
            message: "slots share no requests; blue moves at once".to_owned(),
        })
    }

    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let cloud = self.working(&scope.service.service, &scope.called);
        cloud.put_on_blue(&scope.service.service, release).await
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let cloud = self.working(&scope.service.service, &scope.called);
        cloud.take_off_blue(&scope.service.service, release).await
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let cloud = self.working(&release.service.service, &release.content.called());
        cloud.mend_blue(release, package).await
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        let cloud = self.working(&scope.service.service, &scope.called);
        cloud.delete(scope).await
    }

    /// One call.
    async fn metric(&self, question: &MetricQuestion<'_>) -> Result<Option<f64>, CloudError> {
        self.calling(question.called).metric_value(question).await
    }
}

#[async_trait]
impl Operate for AzureCloud {
    async fn deeds(&self, scope: &Scope, since: Timestamp) -> Result<Vec<Deed>, CloudError> {
        let cloud = self.calling(&scope.called);
        cloud.deeds_since(scope, since).await
    }

    async fn found(&self) -> Result<Vec<Found>, CloudError> {
        self.everything().await
    }

    async fn adopt(&self, scope: &Scope, resources: &BTreeSet<String>) -> Result<(), CloudError> {
        let cloud = self.calling(&scope.called);
        cloud.adopt_all(scope, resources).await
    }

    async fn logs(&self, wanted: &LogsWanted) -> Result<LogsTold, CloudError> {
        self.calling(&wanted.called).logs_of(wanted).await
    }

    async fn invoke(&self, call: &Invocation) -> Result<Invoked, CloudError> {
        self.calling(&call.called).call(call).await
    }
}
