//! What the resource group holds already: what is ours, for those who look for what Git no longer names, and all of it, for those who bring it
//! in.

mod app;
pub(super) mod front;
mod function;
mod gateways;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    AzureCloud,
    arm::operation,
    names::WEB_API,
    observe::{SETTINGS, app_in, tags_of},
    settings,
};
use crate::{
    cloud::CloudError,
    import::clouds::{Found, FoundFunction},
    name::{Called, ServiceKey},
    observed::Owned,
};

/// What is told beside what is taken over; as in [`Found`].
#[derive(Debug, Default)]
struct Notes {
    left: Vec<(String, String)>,
    changed: Vec<(String, String)>,
    todo: Vec<String>,
}

impl AzureCloud {
    /// Every site of the resource group.
    async fn sites(&self) -> Result<Vec<Value>, CloudError> {
        let group = self.names.group_id();
        let query = [("api-version", WEB_API)];
        let sites = self.names.sites_id();
        let list = self.arm.call(operation::SITES_LIST, &sites, &query, &group);
        self.arm.list(list).await
    }

    /// What is ours, by the tags of the sites.
    pub(super) async fn owned(&self) -> Result<Vec<Owned>, CloudError> {
        let sites = self.sites().await?;
        let mut owned = BTreeMap::<_, Vec<String>>::new();
        for site in &sites {
            let service = self.names.owned(&tags_of(site));
            let id = site["id"].as_str().map(str::to_owned);
            if let Some((service, id)) = service.zip(id) {
                owned.entry(service).or_default().push(id);
            }
        }
        let one = |(service, resources): (ServiceKey, Vec<String>)| Owned {
            functions: BTreeSet::new(),
            called: self.called_in(&service, &resources),
            service,
            resources,
        };
        Ok(owned.into_iter().map(one).collect())
    }

    /// The name of a service's one app, where we did not give it.
    fn called_in(&self, service: &ServiceKey, resources: &[String]) -> Called {
        let names = resources.iter().map(|id| app_in(id).to_lowercase());
        let ours = self.names.app_of_ours(&service.service).to_lowercase();
        let mut theirs = names.filter(|name| *name != ours);
        Called {
            azure: theirs.next().filter(|_| !self.names.is_flex()),
            ..Called::default()
        }
    }

    /// The list of sites and the APIs of API Management; then for each Function App its settings, its functions, its configuration, who may
    /// call, its plan, and what stands before it.
    pub(super) async fn everything(&self) -> Result<Vec<Found>, CloudError> {
        let sites = self.sites().await?;
        let is_app = |site: &&Value| {
            let kind = site["kind"].as_str().unwrap_or_default();
            kind.contains("functionapp")
        };
        let apps: Vec<&Value> = sites.iter().filter(is_app).collect();
        let fronts = match apps.is_empty() {
            true => gateways::Fronts::default(),
            false => self.fronts().await?,
        };
        let mut all = Vec::new();
        for site in apps {
            // All that is read of one app is large, and the way to it is not.
            all.push(Box::pin(self.found_one(site, &fronts)).await?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The names of settings that stay with production.
    async fn sticky_of(&self, id: &str) -> Result<BTreeSet<String>, CloudError> {
        let found = self
            .get(operation::STICKY_GET, id, "/config/slotConfigNames")
            .await?
            .unwrap_or_default();
        let names = found["properties"]["appSettingNames"].as_array();
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        Ok(names.map(str::to_owned).collect())
    }

    /// The size of the plan that an app is on.
    async fn plan_of_app(&self, site: &Value) -> Result<Option<String>, CloudError> {
        let Some(plan) = site["properties"]["serverFarmId"].as_str() else {
            return Ok(None);
        };
        let query = [("api-version", WEB_API)];
        let call = self.arm.call(operation::PLANS_GET, plan, &query, plan);
        let found = match self.arm.find(call).await {
            // It may be in a group where we may not look.
            Err(CloudError::Denied { .. }) => None,
            found => found?,
        };
        Ok(found.and_then(|plan| plan["sku"]["name"].as_str().map(str::to_owned)))
    }

    /// The settings of an app, and its functions.
    async fn running(
        &self,
        id: &str,
        notes: &mut Notes,
    ) -> Result<(BTreeMap<String, String>, Vec<FoundFunction>), CloudError> {
        let read = self.get(operation::SETTINGS_LIST, id, SETTINGS);
        let variables = read.await?.map(|it| settings::from_answer(&it));
        let variables = variables.unwrap_or_default();
        let listed = self
            .list(operation::FUNCTIONS_LIST, id, "/functions")
            .await?;
        let read = |it| function::function(it, &variables, notes);
        let functions: Vec<FoundFunction> = listed.iter().map(read).collect();
        if functions.is_empty() {
            let why = "none is listed: is the app running?";
            notes.left.push(("functions".to_owned(), why.to_owned()));
        }
        Ok((variables, functions))
    }

    async fn found_one(
        &self,
        site: &Value,
        fronts: &gateways::Fronts,
    ) -> Result<Found, CloudError> {
        let name = site["name"].as_str().unwrap_or_default();
        let id = self.names.site_id(name);
        let mut notes = Notes::default();
        let (mut variables, functions) = self.running(&id, &mut notes).await?;
        let image = site["properties"]["siteConfig"]["linuxFxVersion"].as_str();
        let worker = variables.get("FUNCTIONS_WORKER_RUNTIME");
        let runtime = image.filter(|it| it.contains('|')).map(str::to_owned);
        let Notes {
            mut left,
            changed,
            todo,
        } = notes;
        let (web, auth, sticky, plan, before) = tokio::try_join!(
            self.get(operation::WEB_GET, &id, "/config/web"),
            self.get(operation::AUTH_GET, &id, "/config/authsettingsV2"),
            self.sticky_of(&id),
            self.plan_of_app(site),
            self.front_of(site, fronts),
        )?;
        if plan.is_none() {
            left.push((
                "plan".to_owned(),
                "could not be read: say its size in the environment".to_owned(),
            ));
        }
        let runtime = runtime.or_else(|| worker.cloned());
        let runtime = runtime.unwrap_or_else(|| "unknown".to_owned());
        let told = app::Told {
            site,
            web: &web.unwrap_or_default()["properties"],
            auth: &auth.unwrap_or_default()["properties"],
            sticky,
            variables: &mut variables,
        };
        let mut app = app::app(told, &mut left);
        let mut gateway = None;
        left.extend(fronts.left.clone());
        if let Some((id, (api, more))) = before {
            gateway = Some(id);
            app.api = Some(api);
            left.extend(more);
        }
        left.push((
            "configuration".to_owned(),
            "connection strings, keys, further roles of its identity and certificates of its domains are not read: keep them where they are kept now".to_owned(),
        ));
        Ok(Found {
            id: site["id"].as_str().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            is_ours: self.names.named_owner(&tags_of(site)).is_some(),
            runtime,
            functions,
            variables,
            azure: (!app.is_empty()).then(|| Box::new(app)),
            plan,
            gateway,
            location: site["location"].as_str().map(str::to_owned),
            left,
            changed,
            todo,
        })
    }
}
