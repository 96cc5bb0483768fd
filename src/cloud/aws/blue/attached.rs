//! Reads what is attached to an alias: its address, its policy, and on blue all that calls it.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::AliasConfiguration;
use tokio::time::Instant;

use super::super::{
    AwsCloud,
    duties::{Duties, Kept, Known},
    lambda::{Function, Policy, permit_url},
    memory::Details,
    roles::name_in,
    settings::{Settings, alias},
    survey::{AliasDetail, Standing, previous, standing, version},
};
use crate::{
    cloud::CloudError,
    manifest::aws::{UrlAuth, UrlOptions},
    name::{Percent, ServiceKey, Slot},
};

/// What to ask of an alias.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Asking<'a> {
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) url: Option<&'a UrlOptions>,
    /// Of blue: what the releases in the slots want.
    pub(in crate::cloud::aws) asked: Option<&'a Duties>,
    /// How long the release in the slot wants its logs to be kept.
    pub(in crate::cloud::aws) kept: Option<&'a Kept>,
    /// On blue: the name of the role that the function has of its own.
    pub(in crate::cloud::aws) own_role: Option<&'a str>,
    pub(in crate::cloud::aws) reserved: Option<i32>,
    /// Of the function.
    pub(in crate::cloud::aws) tags: &'a BTreeMap<String, String>,
}

/// Itself, our policy in it, the names of others, and what is attached.
const PRICE_OF_A_ROLE: u64 = 4;

impl Asking<'_> {
    fn needs_policy(&self) -> bool {
        self.url.is_some() || self.asked.is_some_and(Duties::permits)
    }

    /// Calls that it takes to know.
    fn price(&self) -> u64 {
        let own = [self.needs_policy(), self.url.is_some()];
        let own: u64 = own.into_iter().map(u64::from).sum();
        let role = self.own_role.map_or(0, |_| PRICE_OF_A_ROLE);
        own + role + self.asked.map_or(0, Duties::price)
    }
}

impl AwsCloud {
    /// What is remembered of a function that is ours, as long as its aliases point where they did.
    pub(in crate::cloud::aws) fn remembered(
        &self,
        service: &ServiceKey,
        name: &str,
        behind: &BTreeMap<Slot, Function>,
    ) -> Option<Details> {
        let details = self.memory.details(name, self.details_for())?;
        let seen = behind.iter().map(|(slot, it)| (*slot, version(it)));
        let same = details
            .aliases
            .iter()
            .map(|(slot, detail)| (*slot, detail.version.as_str()))
            .eq(seen);
        (same && details.standing.is_of(service)).then_some(details)
    }

    pub(in crate::cloud::aws) async fn read_details(
        &self,
        service: &ServiceKey,
        name: &str,
        latest: Option<Function>,
        behind: &BTreeMap<Slot, Function>,
    ) -> Result<Details, CloudError> {
        let read_at = Instant::now();
        let latest = match latest {
            Some(latest) => Some(latest),
            None => self.lambda.function(name, None).await?,
        };
        let reserved = latest.as_ref().and_then(|it| it.reserved);
        let tags = latest.as_ref().and_then(|it| it.tags.clone());
        let tags = tags.map(BTreeMap::from_iter).unwrap_or_default();
        let standing = latest.map_or(Standing::Missing, |latest| standing(service, &latest));
        let mut aliases = BTreeMap::new();
        let mut price = 0;
        if standing.is_of(service) && !behind.is_empty() {
            let listed = self.lambda.aliases(name).await?;
            price += 1;
            let settings = |it: &Function| Settings::read(&it.config);
            let asked = behind.values().map(|it| settings(it).marks().blue);
            let asked = asked.fold(Duties::default(), |all, one| all.and(&one));
            for (slot, version) in behind {
                let found = listed.iter().find(|it| it.name() == Some(alias(*slot)));
                let mut detail = found.map(detail).unwrap_or_default();
                let settings = settings(version);
                let is_blue = *slot == Slot::Blue;
                let marks = settings.marks();
                let asking = Asking {
                    name,
                    url: marks.http.as_ref(),
                    asked: is_blue.then_some(&asked),
                    kept: marks.blue.kept.as_ref(),
                    own_role: name_in(&settings.role, service).filter(|_| is_blue),
                    reserved,
                    tags: &tags,
                };
                price += asking.price();
                if is_blue {
                    self.memory.note_role(name, asking.own_role);
                }
                self.read_attached((service, asking), *slot, &mut detail)
                    .await?;
                if let Some(found) = &detail.found {
                    let callers = found.callers(name, &asked);
                    self.memory.note_callers(name, callers);
                }
                aliases.insert(*slot, detail);
            }
        }
        let details = Details {
            read_at,
            standing,
            aliases,
        };
        self.memory.note_details(name, details.clone());
        self.note_price(name, price);
        Ok(details)
    }

    /// What it takes to read the details of a function; nothing of one that is not ours.
    pub(in crate::cloud::aws) fn note_price(&self, name: &str, price: u64) {
        let before = self.memory.note_price(name, price);
        self.options.limits.note_price(before, price);
    }

    /// One call for each kind of thing that should be there.
    pub(in crate::cloud::aws) async fn read_attached(
        &self,
        (service, asking): (&ServiceKey, Asking<'_>),
        slot: Slot,
        detail: &mut AliasDetail,
    ) -> Result<(), CloudError> {
        let needs_policy = asking.needs_policy();
        let Asking {
            name,
            url,
            asked,
            kept,
            own_role,
            reserved,
            tags,
        } = asking;
        let alias = alias(slot);
        let mut policy = Policy::new();
        if needs_policy {
            policy = self.lambda.policy(name, alias).await?;
        }
        if url.is_some() {
            detail.address = self.lambda.url(name, alias).await?;
            detail.is_permitted = permit_url(&policy, alias);
        }
        if let Some(asked) = asked {
            let known = Known {
                service,
                name,
                asked,
                kept,
                reserved,
                tags,
                policy: &policy,
                is_public: url.is_some_and(|it| it.auth == UrlAuth::None),
            };
            detail.found = Some(self.found(known).await?);
        }
        if let Some(role) = own_role {
            detail.role = Some(self.role_of(role, service).await?);
        }
        Ok(())
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
        role: None,
    }
}
