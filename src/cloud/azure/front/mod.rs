//! An API of the environment's API Management in front of an app: its operations are the functions that answer HTTP.
//!
//! The API's description says whose it is and what it was given last, so that nothing is written where nothing changed. Of the API, its
//! rules and its operations only the version that was read is replaced or deleted (`If-Match`); where somebody else wrote in between, all is
//! read again, so that what is theirs by then is left alone and the description tells of nothing that is not there.

pub(super) mod policy;
mod write;

use serde_json::{Value, json};
use url::Url;

use super::{
    AzureCloud,
    arm::{
        Answer,
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
