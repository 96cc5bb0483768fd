//! Gives a place what its release asks for.

use serde_json::Value;

use super::{Duties, SETTLED_TAG, body::auth_body};
use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::operation,
            flex::Seat,
            names::{Tags, WEB_API, tag},
            observe::{SiteView, SlotView},
            settings,
        },
    },
    name::{CloudName, ReleaseDigest, ServiceName},
};

/// Behind the mark in [`SETTLED_TAG`] where we made the platform check tokens, so that we also know when to end it.
const WITH_AUTH: &str = "-auth";

/// When a place that says it was settled is settled again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::azure) enum Settle {
    WhereOther,
    Always,
}

/// What a place was given before, by its own word.
struct Before {
    mark: Option<String>,
    has_auth: bool,
}

impl Before {
    fn of(tags: &Tags) -> Self {
        let mark = tag(tags, SETTLED_TAG);
        Self {
            has_auth: mark.is_some_and(|mark| mark.ends_with(WITH_AUTH)),
            mark: mark.map(|mark| mark.trim_end_matches(WITH_AUTH).to_owned()),
        }
    }

    fn is_settled(&self, duties: &Duties) -> bool {
        match &self.mark {
            Some(mark) => *mark == duties.mark(),
            None => duties.mark() == Duties::default().mark(),
        }
    }
}

impl Duties {
    /// Whether a place has what another release asked for.
    pub(in crate::cloud::azure) fn is_given(&self, tags: &Tags) -> bool {
        Before::of(tags).is_settled(self)
    }

    /// The tags of a place that has these duties, over those that others put there.
    fn tags_over(&self, known: &Tags, old: &Self, own: Tags) -> Tags {
        let was_settled = tag(known, SETTLED_TAG).is_some();
        let mut tags = known.clone();
        tags.retain(|name, _| {
            !old.tags.contains_key(name) && !name.eq_ignore_ascii_case(SETTLED_TAG)
        });
        tags.extend(self.tags.clone());
        tags.extend(own);
        if was_settled || self.mark() != Self::default().mark() {
            let auth = if self.auth.is_some() { WITH_AUTH } else { "" };
            tags.insert(SETTLED_TAG.to_owned(), format!("{}{auth}", self.mark()));
        }
        tags
    }
}

impl AzureCloud {
    /// Gives blue's place what a release asks for: settings that stay, then everything else. No call where it has that already.
    ///
    /// It is done before a swap, so that a release never serves without its network, its identity or its rules. `config` is what its
    /// configuration must say beside that: nothing before a swap, which brings its own.
    pub(in crate::cloud::azure) async fn settle_blue(
        &self,
        service: &ServiceName,
        site: &SiteView,
        duties: &Duties,
        (when, config): (Settle, Value),
    ) -> Result<(), CloudError> {
        let blue = &site.blue;
        if let Some(all) = settings::with_sticky(&blue.settings, &blue.duties(), duties) {
            self.put_settings(&blue.id, &all).await?;
        }
        if duties.is_given(&blue.tags) && when == Settle::WhereOther {
            return Ok(());
        }
        let seat = self.seat(&blue.id, Some(blue), duties).await?;
        let given = (blue.tags.clone(), None);
        let body = self.place_body(service, &seat, given, (&blue.duties(), duties), config);
        self.put(operation::SITES_PUT, &blue.id, WEB_API, body)
            .await?;
        self.settle_auth(&blue.id, &blue.tags, duties).await
    }

    /// The body of a site or slot with all that a release asks of its place. Tags of others stay.
    pub(in crate::cloud::azure) fn place_body(
        &self,
        service: &ServiceName,
        seat: &Seat,
        (known, release): (Tags, Option<ReleaseDigest>),
        (old, duties): (&Duties, &Duties),
        config: Value,
    ) -> Value {
        let was_settled = tag(&known, SETTLED_TAG).is_some();
        let tags = duties.tags_over(&known, old, self.names.tags(service, release));
        let Seat { plan, deployment } = seat;
        let names = &self.names;
        let mut body = names.site_body(&tags, plan, self.is_https(), config);
        duties.add_to(names, deployment.as_ref(), was_settled, &mut body);
        body
    }

    /// Who may call, where the release says it or the one before did.
    pub(in crate::cloud::azure) async fn settle_auth(
        &self,
        id: &str,
        known: &Tags,
        duties: &Duties,
    ) -> Result<(), CloudError> {
        if duties.auth.is_none() && !Before::of(known).has_auth {
            return Ok(());
        }
        let id = format!("{id}/config/authsettingsV2");
        let body = auth_body(duties.auth.as_ref());
        self.put(operation::AUTH_PUT, &id, WEB_API, body).await
    }

    /// Host names are bound by people, who also own the zone and the certificate.
    pub(in crate::cloud::azure) fn check_domains(
        &self,
        service: &ServiceName,
        blue: &SlotView,
        duties: &Duties,
    ) -> Result<(), CloudError> {
        let missing = duties
            .domains
            .iter()
            .find(|name| !blue.found.host_names.contains(name));
        let Some(missing) = missing else {
            return Ok(());
        };
        let app = self.names.app(service);
        let group = &self.names.target.resource_group;
        Err(CloudError::Denied {
            cloud: CloudName::Azure,
            operation: format!("custom domain `{missing}`"),
            message: format!(
                "it is not bound to function app `{app}`: `az functionapp config hostname add --resource-group {group} --name {app} --hostname {missing}`, or remove it from `domains`"
            ),
        })
    }
}
