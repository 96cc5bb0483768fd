//! Writes the API in front of an app, and takes it away: over the version that was read, and over no other.

use serde_json::{Value, json};
use url::Url;

use super::{
    super::{
        AzureCloud,
        arm::{Answer, Payload, operation},
        duties::Api,
    },
    APIM_API, Said, is_same, mark, not_ours, owner, policy,
};
use crate::{
    cloud::CloudError,
    name::{CloudName, ServiceName},
};

/// Any version will do.
const ANY: &str = "*";

/// How often it is written anew where somebody else writes to it meanwhile. Then a later pass tries.
const TRIES: u32 = 3;

// === impl AzureCloud ===

impl AzureCloud {
    pub(super) async fn write_front(
        &self,
        service: &ServiceName,
        id: &str,
        asked: (&Api, &Url),
        mut is_right: bool,
    ) -> Result<(), CloudError> {
        for _ in 0..TRIES {
            if self.try_front(service, id, asked, is_right).await? {
                return Ok(());
            }
            tracing::info!(api = %id, "somebody else wrote to it meanwhile: it is read again");
            is_right = false;
        }
        Err(contended(id))
    }

    /// Says whether it came to its end: not where somebody else wrote to a part of it after we had read that.
    async fn try_front(
        &self,
        service: &ServiceName,
        id: &str,
        (api, host): (&Api, &Url),
        is_right: bool,
    ) -> Result<bool, CloudError> {
        let wanted = mark(api, host);
        let found = self.api_part(operation::API_GET, id, service).await?;
        if let Some(found) = &found {
            match Said::of(&found.json(), &self.names, service) {
                Said::Foreign => return Err(not_ours(id)),
                Said::Ours { mark } if is_right && mark.as_ref() == Some(&wanted) => {
                    return Ok(true);
                }
                Said::Ours { mark: _ } => {}
            }
        }
        self.seldom.fronts.forget(&format!("{id}@{wanted}"));
        let body = |description: String| self.api_body(service, api, host, description);
        let owner = owner(&self.names, service);
        let begun = body(owner.clone());
        if !self.put_api(id, begun, found.as_ref(), service).await? {
            return Ok(false);
        }
        // Rules before operations: an operation without its rules would be open to everybody.
        let is_written = self.settle_policy(service, id, api).await?
            && self.settle_operations(service, id, api).await?;
        if !is_written {
            return Ok(false);
        }
        let found = self.api_part(operation::API_GET, id, service).await?;
        let found = found.filter(|it| it.json()["properties"]["description"] == owner);
        match &found {
            Some(found) => {
                let done = body(format!("{owner}, as of {wanted}"));
                self.put_api(id, done, Some(found), service).await
            }
            None => Ok(false),
        }
    }

    async fn settle_policy(
        &self,
        service: &ServiceName,
        id: &str,
        api: &Api,
    ) -> Result<bool, CloudError> {
        let id = format!("{id}/policies/policy");
        let found = self.api_part(operation::API_POLICY, &id, service).await?;
        let text = policy::xml(&api.front);
        let body = json!({ "properties": { "format": "rawxml", "value": text } });
        self.put_api(&id, body, found.as_ref(), service).await
    }

    async fn settle_operations(
        &self,
        service: &ServiceName,
        id: &str,
        api: &Api,
    ) -> Result<bool, CloudError> {
        let part = format!("{id}/operations");
        let query = [("api-version", APIM_API)];
        let call = self.arm.call(operation::API_OPERATIONS, &part, &query, id);
        let known = self.arm.list(call).await?;
        let wanted = policy::operations(api);
        let name = |one: &Value| one["name"].as_str().map(str::to_owned);
        for (operation, body) in &wanted {
            let named = |one: &&Value| name(one).as_ref() == Some(operation);
            let found = known.iter().find(named);
            if found.is_some_and(|one| is_same(one, body)) {
                continue;
            }
            let id = format!("{part}/{operation}");
            // A list tells no versions.
            let found = match found {
                Some(_) => self.api_part(operation::API_GET, &id, service).await?,
                None => None,
            };
            let put = self.put_api(&id, body.clone(), found.as_ref(), service);
            if !put.await? {
                return Ok(false);
            }
        }
        for gone in known.iter().filter_map(name) {
            if wanted.contains_key(&gone) {
                continue;
            }
            let id = format!("{part}/{gone}");
            let found = self.api_part(operation::API_GET, &id, service).await?;
            if let Some(found) = found
                && !self.delete_api(&id, &found, service).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the API away, if it is there and ours.
    pub(in crate::cloud::azure) async fn remove_front(
        &self,
        service: &ServiceName,
    ) -> Result<(), CloudError> {
        let Some(id) = self.api_id(service) else {
            return Ok(());
        };
        for _ in 0..TRIES {
            let found = self.api_part(operation::API_GET, &id, service).await?;
            let Some(found) = found else {
                return Ok(());
            };
            match Said::of(&found.json(), &self.names, service) {
                Said::Foreign => return Ok(()),
                Said::Ours { mark: _ } => {
                    if self.delete_api(&id, &found, service).await? {
                        return Ok(());
                    }
                }
            }
        }
        Err(contended(&id))
    }

    /// Says whether it was written: only over the version that was found, or where nothing was.
    async fn put_api(
        &self,
        id: &str,
        body: Value,
        found: Option<&Answer>,
        service: &ServiceName,
    ) -> Result<bool, CloudError> {
        let app = self.names.app(service);
        let query = [("api-version", APIM_API)];
        let mut call = self.arm.call(operation::API_PUT, id, &query, &app);
        call.payload = Payload::Json(body);
        call.if_match = found.map(version);
        self.arm.replace(call, self.arm.limits.create).await
    }

    /// Says whether it was deleted, and not refused since somebody has changed what was found.
    async fn delete_api(
        &self,
        id: &str,
        found: &Answer,
        service: &ServiceName,
    ) -> Result<bool, CloudError> {
        let app = self.names.app(service);
        let query = [("api-version", APIM_API)];
        let mut call = self.arm.call(operation::API_DELETE, id, &query, &app);
        call.if_match = Some(version(found));
        self.arm.replace(call, self.arm.limits.create).await
    }
}

/// The version of what was read; any, where the service tells none.
fn version(found: &Answer) -> String {
    found.etag.clone().unwrap_or_else(|| ANY.to_owned())
}

fn contended(id: &str) -> CloudError {
    CloudError::Busy {
        cloud: CloudName::Azure,
        resource: id.to_owned(),
        message: "somebody else writes to it at the same time".to_owned(),
    }
}
