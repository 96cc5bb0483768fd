//! What stands before apps in API Management. Where we may not look, that is told with each app: nobody must take silence for nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::front::{self, Read};
use crate::cloud::{
    CloudError,
    azure::{
        AzureCloud,
        arm::operation::{self, Operation},
        front::APIM_API,
    },
    refused,
};

/// The APIs of all gateways that we may read.
#[derive(Debug, Default)]
pub(super) struct Fronts {
    apis: Vec<Value>,
    /// What could not be looked at, with its reason.
    pub(super) left: Vec<(String, String)>,
}

impl Fronts {
    fn unseen(&mut self, what: &str, why: &str) {
        let told = format!(
            "{what} cannot be read, so it is not known whether an API stands before this app ({why}): give the daemon the role `API Management Service Reader Role` there, or write `azure.api` by hand"
        );
        self.left.push(("azure.api".to_owned(), told));
    }
}

impl AzureCloud {
    /// Every API of the resource group's gateways, and of the one that the environment names.
    pub(super) async fn fronts(&self) -> Result<Fronts, CloudError> {
        let mut fronts = Fronts::default();
        let list = format!(
            "{}/providers/Microsoft.ApiManagement/service",
            self.names.group_id()
        );
        let mut gateways = BTreeSet::new();
        match refused(self.apim(operation::GATEWAYS_LIST, &list).await)? {
            Ok(found) => {
                let ids = found.iter().filter_map(|it| it["id"].as_str());
                gateways.extend(ids.map(str::to_owned));
            }
            Err(why) => fronts.unseen("API Management of the resource group", &why),
        }
        if let Some(named) = &self.names.target.shared.api_management
            && !gateways.iter().any(|id| id.eq_ignore_ascii_case(named))
        {
            match refused(self.found(operation::GATEWAYS_GET, named, APIM_API).await)? {
                Ok(Some(_)) => {
                    gateways.insert(named.clone());
                }
                Ok(None) => {
                    let told = format!(
                        "there is no API Management `{named}`, which the environment names: make it, or name another by `apiManagement` of the environment's `azure`"
                    );
                    fronts.left.push(("azure.api".to_owned(), told));
                }
                Err(why) => fronts.unseen(&format!("API Management `{named}`"), &why),
            }
        }
        for gateway in gateways {
            let path = format!("{gateway}/apis");
            match refused(self.apim(operation::APIS_LIST, &path).await)? {
                Ok(found) => fronts.apis.extend(found),
                Err(why) => fronts.unseen(&format!("APIs of `{gateway}`"), &why),
            }
        }
        Ok(fronts)
    }

    async fn apim(&self, operation: Operation, path: &str) -> Result<Vec<Value>, CloudError> {
        let query = [("api-version", APIM_API)];
        let call = self.arm.call(operation, path, &query, path);
        self.arm.list(call).await
    }

    /// The API whose backend an app is, and its gateway.
    pub(super) async fn front_of(
        &self,
        site: &Value,
        fronts: &Fronts,
    ) -> Result<Option<(String, Read)>, CloudError> {
        let names = site["properties"]["hostNames"].as_array();
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let names: BTreeSet<&str> = names.collect();
        let is_before = |api: &&Value| {
            let service = api["properties"]["serviceUrl"].as_str().unwrap_or_default();
            let host = service.split("://").nth(1).unwrap_or_default();
            names.contains(host.split('/').next().unwrap_or_default())
        };
        let mut before = fronts.apis.iter().filter(is_before);
        let Some(api) = before.next() else {
            return Ok(None);
        };
        let others: Vec<&str> = before.filter_map(|api| api["name"].as_str()).collect();
        let id = api["id"].as_str().unwrap_or_default();
        let (front, mut left) = match refused(self.parts_of_api(id).await)? {
            Ok((operations, policy)) => {
                let text = policy.as_ref();
                let text = text.and_then(|it| it["properties"]["value"].as_str());
                front::front(api, &operations, text)
            }
            Err(why) => {
                let (api, mut left) = front::front(api, &[], None);
                let told = format!(
                    "operations and rules of `{id}` cannot be read ({why}): whoever may call is not taken over; write `token`, `addresses` and `headers` by hand before this manifest is used"
                );
                left.push(("azure.api.policy".to_owned(), told));
                (api, left)
            }
        };
        let gateway = id.rsplit_once("/apis/").map_or(id, |(gateway, _)| gateway);
        if !others.is_empty() {
            let why = format!(
                "a manifest has one API before an app: {} not taken over",
                others.join(", ")
            );
            left.push(("azure.api".to_owned(), why));
        }
        Ok(Some((gateway.to_owned(), (front, left))))
    }
}
