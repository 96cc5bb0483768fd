//! What the resource group holds already, for those who bring it in.

use serde_json::Value;

use super::{
    AzureCloud,
    arm::operation,
    names::WEB_API,
    observe::{SETTINGS, tags_of},
    settings,
};
use crate::{
    cloud::CloudError,
    import::clouds::{Found, FoundFunction},
};

impl AzureCloud {
    /// The list of sites, and two calls for each Function App: its settings, its functions.
    pub(super) async fn everything(&self) -> Result<Vec<Found>, CloudError> {
        let group = self.names.group_id();
        let query = [("api-version", WEB_API)];
        let list = self.arm.call(
            operation::SITES_LIST,
            &self.names.sites_id(),
            &query,
            &group,
        );
        let mut all = Vec::new();
        for site in self.arm.list(list).await? {
            let kind = site["kind"].as_str().unwrap_or_default();
            if kind.contains("functionapp") {
                all.push(self.found_one(&site).await?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn found_one(&self, site: &Value) -> Result<Found, CloudError> {
        let name = site["name"].as_str().unwrap_or_default();
        let id = self.names.site_id(name);
        let read = self.get(operation::SETTINGS_LIST, &id, SETTINGS);
        let variables = read.await?.map(|it| settings::from_answer(&it));
        let variables = variables.unwrap_or_default();
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
        left.push((
            "configuration".to_owned(),
            "networks, identities, CORS, authentication and domains are not listed with it: write them by hand".to_owned(),
        ));
        Ok(Found {
            id: site["id"].as_str().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            is_ours: self.names.named_owner(&tags_of(site)).is_some(),
            runtime: runtime.or_else(|| worker.cloned()).unwrap_or_default(),
            functions,
            variables,
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
