//! What the resource group holds already: what is ours, for those who look for what Git no longer names, and all of it, for those who bring it
//! in.

mod app;
mod front;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    AzureCloud,
    arm::operation::{self, Operation},
    front::APIM_API,
    names::WEB_API,
    observe::{SETTINGS, tags_of},
    settings,
};
use crate::{
    cloud::CloudError,
    import::clouds::{Found, FoundFunction},
    observed::Owned,
};

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
        let one = |(service, resources)| Owned {
            service,
            functions: BTreeSet::new(),
            resources,
        };
        Ok(owned.into_iter().map(one).collect())
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
            true => Vec::new(),
            false => match self.apis().await {
                // Whoever may not look there learns the rest all the same.
                Err(CloudError::Denied { .. } | CloudError::Invalid { .. }) => Vec::new(),
                apis => apis?,
            },
        };
        let mut all = Vec::new();
        for site in apps {
            all.push(self.found_one(site, &fronts).await?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Every API of the resource group's gateways.
    async fn apis(&self) -> Result<Vec<Value>, CloudError> {
        let gateways = format!(
            "{}/providers/Microsoft.ApiManagement/service",
            self.names.group_id()
        );
        let mut all = Vec::new();
        for gateway in self.apim(operation::GATEWAYS_LIST, &gateways).await? {
            let id = gateway["id"].as_str().unwrap_or_default();
            let path = format!("{id}/apis");
            all.extend(self.apim(operation::APIS_LIST, &path).await?);
        }
        Ok(all)
    }

    async fn apim(&self, operation: Operation, path: &str) -> Result<Vec<Value>, CloudError> {
        let query = [("api-version", APIM_API)];
        let call = self.arm.call(operation, path, &query, path);
        self.arm.list(call).await
    }

    /// The API whose backend an app is.
    async fn front_of(
        &self,
        site: &Value,
        apis: &[Value],
    ) -> Result<Option<(String, front::Read)>, CloudError> {
        let names = site["properties"]["hostNames"]
            .as_array()
            .into_iter()
            .flatten();
        let names: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
        let is_before = |api: &&Value| {
            let service = api["properties"]["serviceUrl"].as_str().unwrap_or_default();
            let host = service.split("://").nth(1).unwrap_or_default();
            names.contains(host.split('/').next().unwrap_or_default())
        };
        let mut before = apis.iter().filter(is_before);
        let Some(api) = before.next() else {
            return Ok(None);
        };
        let others: Vec<&str> = before.filter_map(|api| api["name"].as_str()).collect();
        let id = api["id"].as_str().unwrap_or_default();
        let path = format!("{id}/operations");
        let operations = self.apim(operation::API_OPERATIONS, &path).await?;
        let path = format!("{id}/policies/policy");
        let query = [("api-version", APIM_API), ("format", "rawxml")];
        let call = self.arm.call(operation::API_POLICY, &path, &query, id);
        let policy = self.arm.find(call).await?;
        let text = policy
            .as_ref()
            .and_then(|it| it["properties"]["value"].as_str());
        let gateway = id.rsplit_once("/apis/").map_or(id, |(gateway, _)| gateway);
        let (front, mut left) = front::front(api, &operations, text);
        if !others.is_empty() {
            let why = format!(
                "a manifest has one API before an app: {} not taken over",
                others.join(", ")
            );
            left.push(("azure.api".to_owned(), why));
        }
        Ok(Some((gateway.to_owned(), (front, left))))
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

    async fn found_one(&self, site: &Value, apis: &[Value]) -> Result<Found, CloudError> {
        let name = site["name"].as_str().unwrap_or_default();
        let id = self.names.site_id(name);
        let read = self.get(operation::SETTINGS_LIST, &id, SETTINGS);
        let variables = read.await?.map(|it| settings::from_answer(&it));
        let mut variables = variables.unwrap_or_default();
        let listed = self
            .list(operation::FUNCTIONS_LIST, &id, "/functions")
            .await?;
        let functions: Vec<FoundFunction> = listed.iter().map(function).collect();
        let image = site["properties"]["siteConfig"]["linuxFxVersion"].as_str();
        let worker = variables.get("FUNCTIONS_WORKER_RUNTIME");
        let runtime = image.filter(|it| it.contains('|')).map(str::to_owned);
        let mut left = Vec::new();
        if functions.is_empty() {
            left.push((
                "functions".to_owned(),
                "none is listed: is the app running?".to_owned(),
            ));
        }
        let (web, auth, sticky, plan, before) = tokio::try_join!(
            self.get(operation::WEB_GET, &id, "/config/web"),
            self.get(operation::AUTH_GET, &id, "/config/authsettingsV2"),
            self.sticky_of(&id),
            self.plan_of_app(site),
            self.front_of(site, apis),
        )?;
        if plan.is_none() {
            left.push((
                "plan".to_owned(),
                "could not be read: say its size in the environment".to_owned(),
            ));
        }
        let runtime = runtime.or_else(|| worker.cloned()).unwrap_or_default();
        let told = app::Told {
            site,
            web: &web.unwrap_or_default()["properties"],
            auth: &auth.unwrap_or_default()["properties"],
            sticky,
            variables: &mut variables,
        };
        let mut app = app::app(told, &mut left);
        let mut gateway = None;
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
        })
    }
}

/// The first trigger of a function says what calls it.
fn function(listed: &Value) -> FoundFunction {
    let told = &listed["properties"];
    let config = &told["config"];
    let name = told["name"].as_str().or_else(|| listed["name"].as_str());
    let name = name
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let bindings = config["bindings"].as_array().into_iter().flatten();
    let mut found = FoundFunction {
        name: name.to_owned(),
        handler: config["scriptFile"].as_str().unwrap_or(name).to_owned(),
        ..FoundFunction::default()
    };
    for binding in bindings {
        let text = |name: &str| binding[name].as_str().map(str::to_owned);
        match binding["type"].as_str() {
            Some("httpTrigger") => found.http = Some(route(binding, name)),
            Some("queueTrigger") => found.queue = text("queueName"),
            Some("timerTrigger") => found.schedule = text("schedule").and_then(|it| five(&it)),
            Some(_) | None => {}
        }
    }
    found
}

/// `GET,POST /orders/{id}`; constraints of parameters are left out.
fn route(binding: &Value, name: &str) -> String {
    let methods = binding["methods"].as_array().into_iter().flatten();
    let methods: Vec<String> = methods
        .filter_map(|method| Some(method.as_str()?.to_ascii_uppercase()))
        .collect();
    let path = binding["route"].as_str().unwrap_or(name);
    let parts: Vec<String> = path
        .split('/')
        .map(|part| match part.strip_prefix('{') {
            Some(inner) => {
                let inner = inner.trim_end_matches('}');
                let bare = inner
                    .trim_start_matches('*')
                    .split(':')
                    .next()
                    .unwrap_or_default();
                let more = if inner.starts_with('*') { "+" } else { "" };
                format!("{{{}{more}}}", bare.trim_end_matches('?'))
            }
            None => part.to_owned(),
        })
        .collect();
    let path = format!("/{}", parts.join("/"));
    match methods.is_empty() {
        true => path,
        false => format!("{} {path}", methods.join(",")),
    }
}

/// Without the seconds, which come first there, where they say nothing.
fn five(schedule: &str) -> Option<String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    match fields.as_slice() {
        ["0", rest @ ..] if rest.len() == 5 => Some(rest.join(" ")),
        fields if fields.len() == 5 => Some(fields.join(" ")),
        _ => None,
    }
}
