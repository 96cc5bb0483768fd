//! AWS Lambda, by AWS's own client.
//!
//! A service is one Lambda function for each of its functions, named `{environment}-{service}-{function}` or as its manifest says. A
//! release is one published version of each; the aliases `blue` and `green` point at versions, and each alias of a function that answers
//! HTTP has a function URL. Versions cannot be edited, so what a person can change by hand is where an alias points, how it shares its
//! traffic, whether it has an address, and `$LATEST`, which serves nobody and is overwritten by the next release.
//!
//! A function that asks for rights has a role of its own, named by what it may do; `roles` says what that is, `roles::own` brings and
//! takes it.
//!
//! What calls a function is attached to `blue` and to nothing else; `duties` says how it comes and goes with a release.
//!
//! # Calls
//!
//! `tests/it/cloud_aws/calls` counts them for every step. The floor is what AWS's interface allows: a first deploy is `CreateFunction`
//! (which publishes), a wait and `CreateAlias`; a promotion and a rollback are one `UpdateAlias` for blue and one for green; a look is one
//! `GetFunction` where nothing is under way, from a bucket of 100 a second, else one for each slot; `look` says why it cannot be less. A
//! new release is always configuration, wait, code, wait: every version says in its variables which release it is of, so that losing all
//! we know loses nothing. That is two calls more than code alone would need. What was read a moment ago is not read again: `memory` says
//! what, and revisions guard what is written for it.
//!
//! Truth is in the cloud: variables of each version say which release and commit it carries and how many functions the release has;
//! tags of each function say that it is ours. What is remembered here may be lost at any time.

mod adopt;
mod blue;
mod duties;
mod found;
mod green;
mod lambda;
mod look;
mod memory;
mod remove;
mod roles;
mod settings;
mod slots;
mod survey;
mod tags;
mod told;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use url::Url;

pub use self::lambda::{AccountLimits, AwsCredentials, Quotas};
use self::{
    duties::SharedList,
    lambda::{Buckets, Events, Lambda, LogGroups, Roles, Topics, Trail},
    memory::Memory,
    remove::Claim,
    survey::Standing,
};
use crate::{
    cloud::{Cloud, CloudError, MetricQuestion, Package, operate::Operate},
    desired::Release,
    import::clouds::Found,
    manifest::spec::AwsTarget,
    name::{Called, CloudName, CodeDigest, EnvironmentName, Percent, ReleaseDigest, Timestamp},
    observed::{
        Deed, Fields, Observed, Owned, Scope,
        talk::{Invocation, Invoked, LogsTold, LogsWanted, Signable},
    },
};

/// What stays where nobody says how much.
pub const KEEP_VERSIONS: usize = 5;

/// Where and as whom, and within which limits.
#[derive(Clone, Debug)]
pub struct AwsOptions {
    pub environment: EnvironmentName,
    pub target: AwsTarget,
    /// Nothing but a local Lambda needs one.
    pub endpoint: Option<Url>,
    pub credentials: AwsCredentials,
    /// One for all targets in the same account and region.
    pub limits: Arc<AccountLimits>,
    /// Where packages go that are too large for a request; in the target's region.
    pub bucket: Option<String>,
    /// Of the versions of a function, how many of the newest stay beside those that a slot needs.
    pub keep_versions: usize,
    /// How long a function may take to become active before it counts as busy.
    pub settle_within: Duration,
    /// How old may be what we remember of weights, addresses and tags, where few functions are known. They are read again at once where
    /// an alias was moved; zero remembers nothing.
    pub details_for: Duration,
}

impl AwsOptions {
    /// The real cloud, with the vendor's own credential chain.
    pub fn new(
        environment: EnvironmentName,
        target: AwsTarget,
        limits: Arc<AccountLimits>,
    ) -> Self {
        Self {
            environment,
            target,
            endpoint: None,
            credentials: AwsCredentials::Chain { profile: None },
            limits,
            bucket: None,
            keep_versions: KEEP_VERSIONS,
            settle_within: Duration::from_secs(300),
            details_for: Duration::from_secs(300),
        }
    }
}

/// AWS Lambda in one account and region.
#[derive(Clone)]
pub struct AwsCloud {
    place: Arc<Ground>,
    /// What functions are called, where it is not as we would call them; see [`Self::calling`].
    called: Arc<Called>,
}

/// What all looks and orders share.
pub struct Ground {
    options: AwsOptions,
    lambda: Lambda,
    events: Events,
    topics: Topics,
    buckets: Buckets,
    log_groups: LogGroups,
    roles: Roles,
    trail: Trail,
    memory: Memory,
    mappings: tokio::sync::Mutex<SharedList>,
    /// What is ours on the target, as it was listed last.
    listed: tokio::sync::Mutex<Option<(Instant, Vec<Claim>)>>,
    /// Large packages go one after the other.
    uploads: tokio::sync::Mutex<()>,
}

impl fmt::Debug for AwsCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCloud")
            .field("environment", &self.options.environment)
            .field("region", &self.options.target.region)
            .finish_non_exhaustive()
    }
}

impl Deref for AwsCloud {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.place
    }
}

/// What it takes to look at these functions is others' to use.
impl Drop for Ground {
    fn drop(&mut self) {
        self.options.limits.note_price(self.memory.price(), 0);
    }
}

impl AwsCloud {
    /// Makes no call; credentials are looked for when the first one is made.
    pub async fn new(options: AwsOptions) -> Self {
        let lambda = Lambda::new(
            options.target.region.clone(),
            options.endpoint.clone(),
            options.credentials.clone(),
            options.target.assume.as_ref(),
            Arc::clone(&options.limits),
        );
        let lambda = Box::pin(lambda).await;
        let place = Ground {
            events: lambda.events(),
            topics: lambda.topics(),
            buckets: lambda.buckets(),
            log_groups: lambda.log_groups(),
            roles: lambda.roles(),
            trail: lambda.trail(),
            lambda,
            memory: Memory::default(),
            mappings: tokio::sync::Mutex::default(),
            listed: tokio::sync::Mutex::default(),
            uploads: tokio::sync::Mutex::default(),
            options,
        };
        Self {
            place: Arc::new(place),
            called: Arc::default(),
        }
    }

    /// The same where functions are called so. What is known of names already stays known.
    fn calling(&self, called: &Called) -> Cow<'_, Self> {
        if called.aws.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            place: Arc::clone(&self.place),
            called: Arc::new(called.clone().or(&self.called)),
        })
    }

    /// How often each operation of the vendor's interface was sent by this value, further attempts included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.lambda.calls.counts()
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    fn name(&self) -> CloudName {
        CloudName::Aws
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        settings::expected(release, code, &self.options.target)
    }

    fn operate(&self) -> Option<&dyn Operate> {
        Some(self)
    }

    /// One call of `GetFunction` a function where nothing is under way, else two. For a function that we know nothing of, or not lately:
    /// three, and one for its aliases, and two for each address: itself, and who may use it.
    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let seen = self.calling(&scope.called).look(scope).await?;
        let blue = slots::blue(&seen);
        let green = slots::green(&seen, blue.release());
        let mut observed = Observed {
            blue,
            green,
            ..Observed::default()
        };
        for function in seen {
            let found = function
                .blue
                .as_ref()
                .and_then(|it| it.detail.found.as_ref());
            let ailing = found.map(|it| it.ailing(&function.function));
            observed.ailing.extend(ailing.into_iter().flatten());
            match function.standing {
                Standing::Missing => {}
                Standing::Foreign { arn } => observed.foreign.push(arn),
                Standing::Ours { arn, tags: _ } => observed.resources.push(arn),
            }
        }
        Ok(observed)
    }

    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        self.owned().await
    }

    /// Two or three calls a function where green holds the release already. "Answers" means that AWS says the version is active.
    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let cloud = self.calling(&release.content.called());
        cloud.stage_release(release, package).await
    }

    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        let cloud = self.calling(&scope.called);
        cloud.shift_release(scope, release, weight).await
    }

    /// After the first promotion of a service green keeps the release, since there is no previous one.
    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let cloud = self.calling(&scope.called);
        cloud.promote_release(scope, release).await
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let cloud = self.calling(&scope.called);
        cloud.retract_release(scope, release).await
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let cloud = self.calling(&release.content.called());
        Box::pin(cloud.repair_release(release, package)).await
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        self.calling(&scope.called).prune_service(scope).await
    }

    /// One call of `GetMetricData`.
    async fn metric(&self, question: &MetricQuestion<'_>) -> Result<Option<f64>, CloudError> {
        self.metric_data(question).await
    }
}

#[async_trait]
impl Operate for AwsCloud {
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

    async fn sign(&self, request: &Signable<'_>) -> Result<Vec<(String, String)>, CloudError> {
        self.lambda.signed().headers(request).await
    }
}
