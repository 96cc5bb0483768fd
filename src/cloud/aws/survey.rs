//! Reads one function of a service: whose it is, and where its two aliases point.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{
    AwsCloud,
    duties::Found,
    lambda::{Address, Function, Share},
    memory::Details,
    roles::found::RoleFound,
    settings::{Access, Marks, Settings, alias},
    tags,
};
use crate::{
    cloud::CloudError,
    name::{Called, CloudName, FunctionName, Percent, ReleaseDigest, ServiceKey, Slot},
    observed::Scope,
};

/// Functions that are worked on at once, so that a large service does not hold all of its packages in memory.
const AT_ONCE: usize = 8;

/// Longest name that Lambda takes.
const NAME_MAX: usize = 64;

const PREVIOUS: &str = "previous=";

/// One function, now.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) service: ServiceKey,
    pub(super) function: FunctionName,
    pub(super) name: String,
    pub(super) standing: Standing,
    /// Only of functions that are ours.
    pub(super) blue: Option<Pointer>,
    pub(super) green: Option<Pointer>,
}

/// Whose the function is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    Missing,
    Foreign {
        arn: String,
    },
    Ours {
        arn: String,
        /// All of them, ours and the user's.
        tags: BTreeMap<String, String>,
    },
}

impl Standing {
    /// Ours, and of this service: `api-x` of `shop` and `x` of `shop-api` have one name, and what is remembered may be the other's.
    pub(super) fn is_of(&self, service: &ServiceKey) -> bool {
        match self {
            Self::Ours { arn: _, tags } => tags
                .get(tags::SERVICE)
                .is_some_and(|it| it == service.service.as_str()),
            Self::Missing | Self::Foreign { arn: _ } => false,
        }
    }

    /// As far as we remember.
    pub(super) fn is_writable(&self, service: &ServiceKey) -> bool {
        match self {
            Self::Missing => true,
            Self::Ours { arn: _, tags: _ } => self.is_of(service),
            Self::Foreign { arn: _ } => false,
        }
    }
}

/// An alias, and the version behind it.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    pub(super) version: String,
    pub(super) modified: String,
    pub(super) settings: Settings,
    pub(super) marks: Marks,
    pub(super) detail: AliasDetail,
}

/// What `GetFunction` does not tell about an alias.
#[derive(Clone, Debug, Default)]
pub(super) struct AliasDetail {
    pub(super) version: String,
    pub(super) revision_id: Option<String>,
    /// Other versions that take a share of the requests.
    pub(super) shares: BTreeMap<String, Percent>,
    /// The version that blue held before its promotion.
    pub(super) previous: Option<String>,
    pub(super) address: Option<Address>,
    /// Whether the alias's policy lets everyone call it by URL.
    pub(super) is_permitted: bool,
    /// What blue has of what it should have, and of what the release in the other slot asks for.
    pub(super) found: Option<Found>,
    /// On blue, of a function with a role of its own.
    pub(super) role: Option<RoleFound>,
}

impl AliasDetail {
    /// Another version takes a share of the requests.
    pub(super) fn is_split(&self) -> bool {
        !self.shares.is_empty()
    }

    /// Whether exactly this is shared.
    pub(super) fn gives(&self, share: Option<Share<'_>>) -> bool {
        let shares = self.shares.iter();
        let wanted = share.map(|Share { version, weight }| (version, weight));
        shares
            .map(|(version, weight)| (version.as_str(), *weight))
            .eq(wanted)
    }

    /// The same after nothing but its version was changed.
    pub(super) fn moved(
        &self,
        version: &str,
        revision_id: Option<String>,
        description: &str,
    ) -> Self {
        Self {
            version: version.to_owned(),
            revision_id,
            shares: BTreeMap::new(),
            previous: previous(Some(description)),
            // Another version may run as somebody else.
            role: None,
            ..self.clone()
        }
    }

    pub(super) fn access(&self) -> Access {
        match &self.address {
            None => Access::None,
            Some(address) => Access::of(&address.options, self.is_permitted),
        }
    }
}

impl Pointer {
    pub(super) fn holds(&self, release: ReleaseDigest) -> bool {
        self.marks.release == Some(release)
    }
}

impl Seen {
    /// Without aliases.
    pub(super) fn bare(
        service: &ServiceKey,
        function: &FunctionName,
        name: String,
        standing: Standing,
    ) -> Self {
        Self {
            service: service.clone(),
            function: function.clone(),
            name,
            standing,
            blue: None,
            green: None,
        }
    }

    pub(super) fn slot(&self, slot: Slot) -> Option<&Pointer> {
        match slot {
            Slot::Blue => self.blue.as_ref(),
            Slot::Green => self.green.as_ref(),
        }
    }

    /// # Errors
    ///
    /// `NotOurs`, so that no caller writes to what is not ours.
    pub(super) fn not_foreign(self) -> Result<Self, CloudError> {
        match &self.standing {
            Standing::Foreign { arn } => Err(CloudError::NotOurs {
                cloud: CloudName::Aws,
                resource: arn.clone(),
            }),
            Standing::Missing | Standing::Ours { arn: _, tags: _ } => Ok(self),
        }
    }
}

/// The description of blue's alias: for people, and for a promotion that is resumed after a crash.
pub(super) fn blue_description(previous: Option<&str>) -> String {
    previous.map_or_else(String::new, |version| format!("{PREVIOUS}{version}"))
}

pub(super) fn previous(description: Option<&str>) -> Option<String> {
    let told = description.and_then(|it| it.strip_prefix(PREVIOUS));
    told.map(str::to_owned)
}

/// Runs the work some at a time, all of it whatever fails, and tells the first error.
pub(super) async fn all<T, F>(work: Vec<F>) -> Result<Vec<T>, CloudError>
where
    F: Future<Output = Result<T, CloudError>>,
{
    let done: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

impl AwsCloud {
    /// # Errors
    ///
    /// `Invalid` where the name would be longer than Lambda allows.
    pub(super) fn lambda_name(
        &self,
        service: &ServiceKey,
        function: &FunctionName,
    ) -> Result<String, CloudError> {
        let name = name_of(&self.called, service, function);
        if name.len() <= NAME_MAX {
            return Ok(name);
        }
        Err(CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: format!("function name `{name}`"),
            message: format!(
                "{} characters, at most {NAME_MAX} are allowed: shorten the name of the service or of the function",
                name.len()
            ),
        })
    }

    /// Every function of the scope, read anew.
    pub(super) async fn survey_anew(&self, scope: &Scope) -> Result<Vec<Seen>, CloudError> {
        for function in &scope.functions {
            self.memory
                .look_again(&self.lambda_name(&scope.service, function)?);
        }
        self.survey(scope).await
    }

    /// Every function of the scope. Details may be as old as `details_for` allows.
    pub(super) async fn survey(&self, scope: &Scope) -> Result<Vec<Seen>, CloudError> {
        let functions = scope.functions.iter();
        all(functions
            .map(|function| self.survey_one(&scope.service, function))
            .collect())
        .await
    }

    pub(super) async fn survey_one(
        &self,
        service: &ServiceKey,
        function: &FunctionName,
    ) -> Result<Seen, CloudError> {
        let name = self.lambda_name(service, function)?;
        let began = Instant::now();
        let known = self.memory.details(&name, self.details_for());
        let latest = match known.filter(|it| it.standing.is_of(service)) {
            Some(_) => None,
            None => {
                let latest = self.lambda.function(&name, None).await?;
                let told = latest.as_ref().map(|it| standing(service, it));
                let told = told.unwrap_or(Standing::Missing);
                if !told.is_of(service) {
                    // Of what is not ours no alias is asked for.
                    self.memory.note_details(&name, Details::bare(told.clone()));
                    self.note_price(&name, 0);
                    return Ok(Seen::bare(service, function, name, told));
                }
                latest
            }
        };
        let (blue, green) = tokio::try_join!(
            self.lambda.function(&name, Some(alias(Slot::Blue))),
            self.lambda.function(&name, Some(alias(Slot::Green))),
        )?;
        let behind = [(Slot::Blue, blue), (Slot::Green, green)].into_iter();
        let behind: BTreeMap<_, _> = behind
            .filter_map(|(slot, version)| version.map(|version| (slot, version)))
            .collect();
        let details = match self.remembered(service, &name, &behind) {
            Some(details) => details,
            None => Box::pin(self.read_details(service, &name, latest, &behind)).await?,
        };
        let mut seen = Seen::bare(service, function, name, details.standing);
        if seen.standing.is_of(service) {
            let pointer =
                |slot: Slot| Some(pointer(behind.get(&slot)?, details.aliases.get(&slot)));
            (seen.blue, seen.green) = (pointer(Slot::Blue), pointer(Slot::Green));
            self.memory
                .note_green(&seen.name, began, seen.green.as_ref());
        }
        Ok(seen)
    }

    /// To be called after every writing call that failed: what was known of the function may no longer hold.
    pub(super) fn forget(&self, name: &str) {
        self.memory.forget(name);
    }
}

/// What the Lambda function is called: as its manifest says, else as we would call it.
pub(super) fn name_of(called: &Called, service: &ServiceKey, function: &FunctionName) -> String {
    called.lambda(service, function)
}

/// Whose a function is, by its tags alone.
pub(super) fn standing(service: &ServiceKey, function: &Function) -> Standing {
    let arn = function
        .config
        .function_arn()
        .unwrap_or_default()
        .to_owned();
    let tag = |name: &str| function.tags.as_ref().and_then(|tags| tags.get(name));
    let is = |name: &str, value: &str| tag(name).is_some_and(|it| it == value);
    let ours = is(tags::OWNER, tags::VERDIGRIS)
        && is(tags::SERVICE, service.service.as_str())
        && is(tags::ENVIRONMENT, service.environment.as_str());
    if ours {
        let tags = function.tags.clone().unwrap_or_default();
        Standing::Ours { arn, tags }
    } else {
        Standing::Foreign { arn }
    }
}

pub(super) fn version(function: &Function) -> &str {
    function.config.version().unwrap_or_default()
}

pub(super) fn pointer(function: &Function, detail: Option<&AliasDetail>) -> Pointer {
    let settings = Settings::read(&function.config);
    Pointer {
        version: version(function).to_owned(),
        modified: function
            .config
            .last_modified()
            .unwrap_or_default()
            .to_owned(),
        marks: settings.marks(),
        settings,
        detail: detail.cloned().unwrap_or_default(),
    }
}
