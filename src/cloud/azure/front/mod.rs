//! An API of the environment's API Management in front of an app: its operations are the functions that answer HTTP.
//!
//! The API's description says whose it is and what it was given last, so that nothing is written where nothing changed. What is there
//! is only replaced with the version that was read (`If-Match`), so that nobody's change in between is lost.

pub(super) mod policy;

use serde_json::{Value, json};
use url::Url;

use super::{
    AzureCloud,
    arm::{
        Answer, Payload,
        operation::{self, Operation},
    },
    duties::{Api, Duties},
    found::front as read,
    names::Names,
    observe::SlotView,
};
use crate::{
    cloud::CloudError,
    name::{CloudName, CodeDigest, ServiceName},
};

pub(super) const APIM_API: &str = "2024-05-01";

/// What our descriptions start with.
const OURS: &str = "Made by Verdigris for";

/// Any version will do.
const ANY: &str = "*";

/// What an API's description says of it.
enum Said {
    /// Somebody else's.
    Foreign,
    Ours {
        mark: Option<String>,
    },
}

impl Said {
    fn of(api: &Value, names: &Names, service: &ServiceName) -> Self {
        let text = api["properties"]["description"]
            .as_str()
            .unwrap_or_default();
        let start = owner(names, service);
        let Some(rest) = text.strip_prefix(&start) else {
            return Self::Foreign;
        };
        let mark = rest.strip_prefix(", as of ");
        Self::Ours {
            mark: mark.map(str::to_owned),
        }
    }
}

fn owner(names: &Names, service: &ServiceName) -> String {
    format!("{OURS} {}/{service}", names.environment)
}

/// A digest of all that an API is given.
fn mark(api: &Api, host: &Url) -> String {
    // Cannot fail: every key is a string and every value has a JSON form.
    let json = serde_json::to_string(api).unwrap_or_default();
    CodeDigest::of(format!("{host}\n{json}").as_bytes()).short()
}

// === impl AzureCloud ===

impl AzureCloud {
    fn api_id(&self, service: &ServiceName) -> Option<String> {
        let management = self.names.target.shared.api_management.as_ref()?;
        Some(format!("{management}/apis/{}", self.names.app(service)))
    }

    /// Whether the API in front of blue is as its release asks for: one call, and none where nobody asks. Its operations and its rules take
    /// a call each, and are looked at now and then.
    pub(super) async fn front_is_right(
        &self,
        service: &ServiceName,
        duties: &Duties,
        blue: &SlotView,
    ) -> Result<bool, CloudError> {
        let (Some(api), Some(id), Some(host)) = (&duties.api, self.api_id(service), &blue.host)
        else {
            return Ok(true);
        };
        let found = self.api_part(operation::API_GET, &id, service).await?;
        let Some(found) = found.map(|found| found.json()) else {
            return Ok(false);
        };
        let wanted = mark(api, host);
        match Said::of(&found, &self.names, service) {
            Said::Ours { mark: Some(given) } if given == wanted => {}
            Said::Ours { mark: _ } | Said::Foreign => return Ok(false),
        }
        let body = self.api_body(service, api, host, String::new());
        let differs = |part: &str| found["properties"][part] != body["properties"][part];
        let parts = ["path", "serviceUrl", "subscriptionRequired"];
        if parts.into_iter().any(differs) {
            return Ok(false);
        }
        let key = format!("{id}@{wanted}");
        if let Some(known) = self.seldom.fronts.younger(&key, self.stands()) {
            return Ok(known);
        }
        let is_right = self.rules_are_right(&id, api, &found).await?;
        self.seldom.fronts.note(&key, is_right);
        Ok(is_right)
    }

    async fn rules_are_right(
        &self,
        id: &str,
        api: &Api,
        found: &Value,
    ) -> Result<bool, CloudError> {
        let (operations, policy) = self.parts_of_api(id).await?;
        let text = policy.as_ref();
        let text = text.and_then(|it| it["properties"]["value"].as_str());
        let rules = |text| read::front(found, &[], text);
        if rules(text) != rules(Some(&policy::xml(&api.front))) {
            return Ok(false);
        }
        let wanted = policy::operations(api);
        let is_wanted = |one: &Value| {
            let name = one["name"].as_str().unwrap_or_default();
            wanted.get(name).is_some_and(|body| is_same(one, body))
        };
        Ok(operations.len() == wanted.len() && operations.iter().all(is_wanted))
    }

    /// The operations of an API, and its rules.
    pub(super) async fn parts_of_api(
        &self,
        id: &str,
    ) -> Result<(Vec<Value>, Option<Value>), CloudError> {
        let path = format!("{id}/operations");
        let query = [("api-version", APIM_API)];
        let call = self.arm.call(operation::API_OPERATIONS, &path, &query, id);
        let operations = self.arm.list(call).await?;
        let path = format!("{id}/policies/policy");
        let query = [("api-version", APIM_API), ("format", "rawxml")];
        let call = self.arm.call(operation::API_POLICY, &path, &query, id);
        Ok((operations, self.arm.find(call).await?))
    }

    fn api_body(&self, service: &ServiceName, api: &Api, host: &Url, description: String) -> Value {
        json!({ "properties": {
            "displayName": self.names.app(service),
            "description": description,
            "path": api.front.path,
            "protocols": ["https"],
            "serviceUrl": host.as_str().trim_end_matches('/'),
            "subscriptionRequired": api.front.subscription,
        }})
    }

    /// Refuses what is somebody else's before anything moves.
    pub(super) async fn check_front(
        &self,
        service: &ServiceName,
        duties: &Duties,
    ) -> Result<(), CloudError> {
        let (Some(_), Some(id)) = (&duties.api, self.api_id(service)) else {
            return Ok(());
        };
        let found = self.api_part(operation::API_GET, &id, service).await?;
        match found.map(|found| Said::of(&found.json(), &self.names, service)) {
            Some(Said::Foreign) => Err(not_ours(&id)),
            Some(Said::Ours { .. }) | None => Ok(()),
        }
    }

    /// Makes the API in front of blue as its release asks for. Quietly done where it is so, or nobody asks and nobody asked.
    pub(super) async fn settle_front(
        &self,
        service: &ServiceName,
        old: &Duties,
        new: &Duties,
        blue: &SlotView,
    ) -> Result<(), CloudError> {
        let Some(id) = self.api_id(service) else {
            return Ok(());
        };
        match (&new.api, &blue.host) {
            (Some(api), Some(host)) => {
                self.write_front(service, &id, (api, host), blue.found.has_front)
                    .await
            }
            (None, _) if old.api.is_some() => self.remove_front(service).await,
            (Some(_) | None, _) => Ok(()),
        }
    }

    async fn write_front(
        &self,
        service: &ServiceName,
        id: &str,
        (api, host): (&Api, &Url),
        is_right: bool,
    ) -> Result<(), CloudError> {
        let wanted = mark(api, host);
        let found = self.api_part(operation::API_GET, id, service).await?;
        let etag = match &found {
            None => None,
            Some(found) => match Said::of(&found.json(), &self.names, service) {
                Said::Foreign => return Err(not_ours(id)),
                Said::Ours { mark } if is_right && mark.as_ref() == Some(&wanted) => {
                    return Ok(());
                }
                Said::Ours { mark: _ } => found.etag.clone().or_else(|| Some(ANY.to_owned())),
            },
        };
        self.seldom.fronts.forget(&format!("{id}@{wanted}"));
        let body = |description: String| self.api_body(service, api, host, description);
        let owner = owner(&self.names, service);
        self.put_api(id, body(owner.clone()), etag, service).await?;
        // Rules before operations: an operation without its rules would be open to everybody.
        let policy =
            json!({ "properties": { "format": "rawxml", "value": policy::xml(&api.front) } });
        self.put_api(
            &format!("{id}/policies/policy"),
            policy,
            Some(ANY.to_owned()),
            service,
        )
        .await?;
        self.settle_operations(service, id, api).await?;
        let done = body(format!("{owner}, as of {wanted}"));
        self.put_api(id, done, Some(ANY.to_owned()), service).await
    }

    async fn settle_operations(
        &self,
        service: &ServiceName,
        id: &str,
        api: &Api,
    ) -> Result<(), CloudError> {
        let part = format!("{id}/operations");
        let query = [("api-version", APIM_API)];
        let call = self.arm.call(operation::API_OPERATIONS, &part, &query, id);
        let known = self.arm.list(call).await?;
        let wanted = policy::operations(api);
        let name = |one: &Value| one["name"].as_str().map(str::to_owned);
        for (operation, body) in &wanted {
            let same = |one: &&Value| name(one).as_ref() == Some(operation) && is_same(one, body);
            if !known.iter().any(|one| same(&one)) {
                let any = Some(ANY.to_owned());
                self.put_api(&format!("{part}/{operation}"), body.clone(), any, service)
                    .await?;
            }
        }
        for gone in known.iter().filter_map(name) {
            if !wanted.contains_key(&gone) {
                self.delete_api(&format!("{part}/{gone}"), service).await?;
            }
        }
        Ok(())
    }

    /// Takes the API away, if it is there and ours.
    pub(super) async fn remove_front(&self, service: &ServiceName) -> Result<(), CloudError> {
        let Some(id) = self.api_id(service) else {
            return Ok(());
        };
        let found = self.api_part(operation::API_GET, &id, service).await?;
        let said = found.map(|found| Said::of(&found.json(), &self.names, service));
        match said {
            Some(Said::Ours { .. }) => self.delete_api(&id, service).await,
            Some(Said::Foreign) | None => Ok(()),
        }
    }

    async fn api_part(
        &self,
        get: Operation,
        id: &str,
        service: &ServiceName,
    ) -> Result<Option<Answer>, CloudError> {
        let app = self.names.app(service);
        let call = self.arm.call(get, id, &[("api-version", APIM_API)], &app);
        self.arm.look(call).await
    }

    async fn put_api(
        &self,
        id: &str,
        body: Value,
        if_match: Option<String>,
        service: &ServiceName,
    ) -> Result<(), CloudError> {
        let app = self.names.app(service);
        let query = [("api-version", APIM_API)];
        let mut call = self.arm.call(operation::API_PUT, id, &query, &app);
        call.payload = Payload::Json(body);
        call.if_match = if_match;
        self.arm.finish(call, self.arm.limits.create).await
    }

    async fn delete_api(&self, id: &str, service: &ServiceName) -> Result<(), CloudError> {
        let app = self.names.app(service);
        let query = [("api-version", APIM_API)];
        let mut call = self.arm.call(operation::API_DELETE, id, &query, &app);
        call.if_match = Some(ANY.to_owned());
        self.arm.look(call).await.map(|_| ())
    }
}

/// Whether two operations answer the same requests.
fn is_same(one: &Value, other: &Value) -> bool {
    ["method", "urlTemplate"]
        .iter()
        .all(|part| one["properties"][part] == other["properties"][part])
}

fn not_ours(id: &str) -> CloudError {
    CloudError::NotOurs {
        cloud: CloudName::Azure,
        resource: id.to_owned(),
    }
}
