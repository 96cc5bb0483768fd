//! Reads one function of a service: whose it is, and where its two aliases point.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::AliasConfiguration;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{
    AwsCloud,
    attached::Asking,
    duties::{Duties, Found},
    lambda::{Address, Function, Share},
    memory::Details,
    settings::{Access, Marks, Settings, alias},
};
use crate::{
    cloud::CloudError,
    name::{CloudName, FunctionName, Percent, ReleaseDigest, ServiceKey, Slot},
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
    /// As far as we remember.
    pub(super) fn is_writable(&self) -> bool {
        match self {
            Self::Missing | Self::Ours { arn: _, tags: _ } => true,
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

fn previous(description: Option<&str>) -> Option<String> {
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
        let name = format!("{}-{}-{function}", service.environment, service.service);
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
        let (blue, green) = tokio::try_join!(
            self.lambda.function(&name, Some(alias(Slot::Blue))),
            self.lambda.function(&name, Some(alias(Slot::Green))),
        )?;
        let behind = [(Slot::Blue, blue), (Slot::Green, green)].into_iter();
        let mut behind: BTreeMap<_, _> = behind
            .filter_map(|(slot, version)| version.map(|version| (slot, version)))
            .collect();
        let details = match self.remembered(&name, &behind) {
            Some(details) => details,
            None => self.read_details(service, &name, &behind).await?,
        };
        let ours = matches!(details.standing, Standing::Ours { arn: _, tags: _ });
        let mut pointer = |slot: Slot| {
            let version = behind.remove(&slot).filter(|_| ours)?;
            Some(pointer(&version, details.aliases.get(&slot)))
        };
        Ok(Seen {
            service: service.clone(),
            function: function.clone(),
            blue: pointer(Slot::Blue),
            green: pointer(Slot::Green),
            standing: details.standing.clone(),
            name,
        })
    }

    /// To be called after every writing call that failed: what was known of the function may no longer hold.
    pub(super) fn forget(&self, name: &str) {
        self.memory.forget(name);
    }

    /// What is remembered of a function that is ours, as long as its aliases point where they did.
    fn remembered(&self, name: &str, behind: &BTreeMap<Slot, Function>) -> Option<Details> {
        let details = self.memory.details(name, self.options.details_for)?;
        let seen = behind.iter().map(|(slot, it)| (*slot, version(it)));
        let same = details
            .aliases
            .iter()
            .map(|(slot, detail)| (*slot, detail.version.as_str()))
            .eq(seen);
        let ours = matches!(details.standing, Standing::Ours { arn: _, tags: _ });
        (same && ours).then_some(details)
    }

    async fn read_details(
        &self,
        service: &ServiceKey,
        name: &str,
        behind: &BTreeMap<Slot, Function>,
    ) -> Result<Details, CloudError> {
        let read_at = Instant::now();
        let latest = self.lambda.function(name, None).await?;
        let reserved = latest.as_ref().and_then(|it| it.reserved);
        let tags = latest.as_ref().and_then(|it| it.tags.clone());
        let tags = tags.map(BTreeMap::from_iter).unwrap_or_default();
        let standing = latest.map_or(Standing::Missing, |latest| standing(service, &latest));
        let mut aliases = BTreeMap::new();
        if matches!(standing, Standing::Ours { arn: _, tags: _ }) && !behind.is_empty() {
            let listed = self.lambda.aliases(name).await?;
            let marks = |it: &Function| Settings::read(&it.config).marks();
            let asked = behind.values().map(|it| marks(it).blue);
            let asked = asked.fold(Duties::default(), |all, one| all.and(&one));
            for (slot, version) in behind {
                let found = listed.iter().find(|it| it.name() == Some(alias(*slot)));
                let mut detail = found.map(detail).unwrap_or_default();
                let asking = Asking {
                    name,
                    has_url: marks(version).http.is_some(),
                    asked: (*slot == Slot::Blue).then_some(&asked),
                    reserved,
                    tags: &tags,
                };
                self.read_attached(asking, *slot, &mut detail).await?;
                aliases.insert(*slot, detail);
            }
        }
        let details = Details {
            read_at,
            standing,
            aliases,
        };
        self.memory.note_details(name, details.clone());
        Ok(details)
    }
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

/// Our tags.
pub(super) mod tags {
    use std::collections::BTreeMap;

    use crate::name::ServiceKey;

    pub(in crate::cloud::aws) const OWNER: &str = "verdigris:owner";
    pub(in crate::cloud::aws) const VERDIGRIS: &str = "verdigris";
    pub(in crate::cloud::aws) const SERVICE: &str = "verdigris:service";
    pub(in crate::cloud::aws) const ENVIRONMENT: &str = "verdigris:environment";

    /// The same for every release: which one a version is of, its variables say.
    pub(in crate::cloud::aws) fn of(service: &ServiceKey) -> BTreeMap<String, String> {
        BTreeMap::from([
            (OWNER.to_owned(), VERDIGRIS.to_owned()),
            (SERVICE.to_owned(), service.service.to_string()),
            (ENVIRONMENT.to_owned(), service.environment.to_string()),
        ])
    }
}

fn version(function: &Function) -> &str {
    function.config.version().unwrap_or_default()
}

fn pointer(function: &Function, detail: Option<&AliasDetail>) -> Pointer {
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

fn detail(found: &AliasConfiguration) -> AliasDetail {
    let weights = found
        .routing_config()
        .and_then(|it| it.additional_version_weights());
    AliasDetail {
        version: found.function_version().unwrap_or_default().to_owned(),
        revision_id: found.revision_id().map(str::to_owned),
        shares: weights
            .into_iter()
            .flatten()
            .map(|(version, weight)| (version.clone(), Percent::of_fraction(*weight)))
            .collect(),
        previous: previous(found.description()),
        address: None,
        is_permitted: false,
        found: None,
    }
}
