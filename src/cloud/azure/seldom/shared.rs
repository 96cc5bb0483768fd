//! What serves the whole environment: group, storage account, plan, Application Insights, vault. Ours by tag are compared with what they
//! were given; those of others are left alone, whatever they are. What is missing is made where we make it, and else people are told.
//!
//! One service tells what differs and has it repaired, else a thousand would at once.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::kinds::{Kind, Named, Needs, Role, kinds, named};
use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::operation::Operation,
            around::{OTHER_STORAGE, taken},
            duties::Duties,
            observe::{SlotView, tags_of},
            settings::INSIGHTS,
        },
    },
    name::ServiceName,
    observed::Fields,
};

/// The field of an app that tells how it is where nobody hears it any more.
const STALE: &str = "app.insights";

/// What was seen last, and who tells it.
#[derive(Debug, Default)]
pub(in crate::cloud::azure) struct Shared {
    seen: Option<(Instant, Fields)>,
    teller: Option<(Instant, ServiceName)>,
    needs: Needs,
    insights: Heard,
}

/// Where our component of Application Insights hears apps: one that is made again hears them elsewhere.
#[derive(Debug, Default)]
struct Heard {
    at: Option<String>,
    no_longer_at: BTreeSet<String>,
}

/// What there is and what is not. Where we may not look nothing is known.
#[derive(Default)]
struct Looked {
    own: Vec<(Kind, Value)>,
    missing: Vec<Kind>,
    /// Of people.
    named: Vec<Named>,
}

impl Heard {
    fn note(&mut self, component: &Value) {
        let Some(now) = component["properties"]["ConnectionString"].as_str() else {
            return;
        };
        let before = self.at.replace(now.to_owned());
        self.no_longer_at.extend(before);
        self.no_longer_at.remove(now);
    }

    /// What an app tells nobody: its own choice of a place is none of our business.
    fn differences(&self, blue: &SlotView, duties: &Duties) -> Fields {
        let told = blue.settings.get(INSIGHTS);
        let is_stale = told.is_some_and(|it| self.no_longer_at.contains(it));
        match is_stale && !duties.set.contains(INSIGHTS) {
            true => Fields::from([(STALE.to_owned(), "a component that is gone".to_owned())]),
            false => Fields::new(),
        }
    }
}

impl Looked {
    fn differences(&self) -> Fields {
        let mut all = Fields::new();
        for (kind, found) in &self.own {
            all.extend(kind.differences(found));
        }
        all.extend(self.missing.iter().map(|kind| kind.role.missing()));
        all.extend(self.named.iter().map(Named::missing));
        all
    }
}

impl Shared {
    /// Whether this service is the one that tells. Another takes its place when it was not looked at for long.
    fn is_told_by(&mut self, service: &ServiceName, stands: Duration) -> bool {
        let is_other = |(at, teller): &(Instant, ServiceName)| {
            teller != service && at.elapsed() < stands.saturating_mul(2)
        };
        if self.teller.as_ref().is_some_and(is_other) {
            return false;
        }
        self.teller = Some((Instant::now(), service.clone()));
        true
    }
}

/// Whether blue tells a component of Application Insights that is gone.
pub(in crate::cloud::azure) fn tells_nobody(blue: &SlotView) -> bool {
    blue.place.contains_key(STALE)
}

impl AzureCloud {
    /// What differs of what serves all, told by one service. A reading call for each resource now and then.
    pub(in crate::cloud::azure) async fn shared_differences(
        &self,
        service: &ServiceName,
        duties: &Duties,
        blue: &SlotView,
    ) -> Result<Fields, CloudError> {
        let stands = self.stands();
        let mut shared = self.seldom.shared.lock().await;
        shared.needs.note(&self.names, duties);
        if !shared.is_told_by(service, stands) {
            return Ok(shared.insights.differences(blue, duties));
        }
        let known = shared.seen.as_ref().filter(|it| it.0.elapsed() < stands);
        let mut all = match known {
            Some((_, seen)) => seen.clone(),
            None => {
                let looked = self.look_at_shared(shared.needs).await?;
                let component = looked.own.iter().find(|it| it.0.role == Role::Insights);
                if let Some((_, component)) = component {
                    shared.insights.note(component);
                }
                let all = looked.differences();
                shared.seen = Some((Instant::now(), all.clone()));
                all
            }
        };
        all.extend(shared.insights.differences(blue, duties));
        Ok(all)
    }

    /// Gives what is ours and serves all what it was made with, and makes what is missing, for apps of this tenant. It says whether
    /// anything was made: nobody has a role on that.
    pub(in crate::cloud::azure) async fn mend_shared(
        &self,
        tenant: Option<&str>,
    ) -> Result<bool, CloudError> {
        let needs = self.seldom.shared.lock().await.needs;
        let Looked {
            own,
            missing,
            named: _,
        } = self.look_at_shared(needs).await?;
        for kind in &missing {
            self.make_shared(kind, tenant).await?;
        }
        if !missing.is_empty() {
            self.seldom.given.forget_all();
        }
        for (kind, found) in own {
            if kind.differences(&found).is_empty() {
                continue;
            }
            self.put(kind.put, &kind.id, kind.version, kind.mended(&found))
                .await?;
        }
        self.seldom.shared.lock().await.seen = None;
        Ok(!missing.is_empty())
    }

    /// Refuses where a resource of people is missing, as blue was told.
    pub(in crate::cloud::azure) async fn check_named(
        &self,
        blue: &SlotView,
    ) -> Result<(), CloudError> {
        let needs = self.seldom.shared.lock().await.needs;
        let all = named(&self.names, needs);
        let is_told = |one: &&Named| {
            let (field, told) = one.missing();
            blue.place.get(&field) == Some(&told)
        };
        all.iter()
            .find(is_told)
            .map_or(Ok(()), |one| Err(one.refusal()))
    }

    async fn make_shared(&self, kind: &Kind, tenant: Option<&str>) -> Result<(), CloudError> {
        tracing::warn!(resource = %kind.id, "it is missing, and made again");
        let made = match kind.role {
            Role::Vault => return self.make_vault(tenant).await,
            Role::Group | Role::Storage | Role::Plan | Role::Insights => {
                self.put(kind.put, &kind.id, kind.version, kind.body.clone())
                    .await
            }
        };
        match kind.role {
            Role::Storage => {
                made.map_err(|error| taken(error, &self.names.account(), OTHER_STORAGE))
            }
            Role::Group | Role::Vault | Role::Plan | Role::Insights => made,
        }
    }

    async fn look_at_shared(&self, needs: Needs) -> Result<Looked, CloudError> {
        let mut looked = Looked::default();
        for kind in kinds(&self.names) {
            match self.look_for(kind.get, &kind.id, kind.version).await? {
                Some(Some(found)) if self.names.is_shared_of_ours(&tags_of(&found)) => {
                    looked.own.push((kind, found));
                }
                Some(None) if needs.include(kind.role) => looked.missing.push(kind),
                Some(Some(_) | None) | None => {}
            }
        }
        for one in named(&self.names, needs) {
            if let Some(None) = self.look_for(one.get, &one.id, one.version).await? {
                looked.named.push(one);
            }
        }
        Ok(looked)
    }

    /// What there is at an id; none where we may not look.
    async fn look_for(
        &self,
        get: Operation,
        id: &str,
        version: &str,
    ) -> Result<Option<Option<Value>>, CloudError> {
        match self.found(get, id, version).await {
            Err(CloudError::Denied { .. }) => Ok(None),
            found => found.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_service_tells_and_another_when_it_is_gone() {
        let [one, two] = ["one", "two"].map(|name| ServiceName::new(name).unwrap());
        let stands = Duration::from_secs(60);
        let mut shared = Shared::default();
        assert!(shared.is_told_by(&one, stands));
        assert!(!shared.is_told_by(&two, stands));
        tokio::time::advance(stands).await;
        assert!(shared.is_told_by(&one, stands));
        tokio::time::advance(stands).await;
        assert!(!shared.is_told_by(&two, stands));
        tokio::time::advance(stands).await;
        assert!(shared.is_told_by(&two, stands));
        assert!(!shared.is_told_by(&one, stands));
    }

    #[test]
    fn an_address_that_a_component_no_longer_has_is_nobodys() {
        let component = |at: &str| serde_json::json!({"properties": {"ConnectionString": at}});
        let mut heard = Heard::default();
        let nobody = BTreeSet::new();
        for (at, no_longer) in [
            ("one", nobody.clone()),
            ("one", nobody.clone()),
            ("two", BTreeSet::from(["one".to_owned()])),
            ("one", BTreeSet::from(["two".to_owned()])),
        ] {
            heard.note(&component(at));
            assert_eq!(heard.no_longer_at, no_longer, "{at}");
        }
    }
}
