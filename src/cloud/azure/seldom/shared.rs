//! What serves the whole environment: group, storage account, plan, Application Insights, vault. Ours by tag are compared with what they
//! were given; those of others are left alone, whatever they are.
//!
//! One service tells what differs and has it repaired, else a thousand would at once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::operation::{self, Operation},
            names::{GROUPS_API, STORAGE_API, Tags, WEB_API, tag},
            observe::tags_of,
        },
    },
    manifest::azure::Insights,
    name::ServiceName,
    observed::Fields,
};

/// What the fields of shared resources start with.
pub(in crate::cloud::azure) const SHARED: &str = "environment.";

/// What was seen last, and who tells it.
#[derive(Debug, Default)]
pub(in crate::cloud::azure) struct Shared {
    seen: Option<(Instant, Fields)>,
    teller: Option<(Instant, ServiceName)>,
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

/// One resource that serves all, and what we give it.
struct Kind {
    /// In the name of its fields.
    word: &'static str,
    id: String,
    version: &'static str,
    get: Operation,
    put: Operation,
    /// As it is made.
    body: Value,
    /// What is compared of it, by where it stands there.
    parts: Vec<(&'static str, &'static str)>,
}

impl Kind {
    fn differences(&self, found: &Value) -> Fields {
        let mut fields = Fields::new();
        let mut tell = |name: &str, found: &str, wanted: &str| {
            let path = format!("{SHARED}{}.{name}", self.word);
            fields.insert(path, format!("{found} ({wanted} is asked for)"));
        };
        for (name, pointer) in &self.parts {
            let [is, wanted] = [found, &self.body].map(|it| it.pointer(pointer).map(text));
            // What the cloud does not tell is not known.
            let (Some(is), Some(wanted)) = (is, wanted) else {
                continue;
            };
            let is_safer = *name == "tls" && is > wanted;
            if !is.eq_ignore_ascii_case(&wanted) && !is_safer {
                tell(name, &is, &wanted);
            }
        }
        let known = tags_of(found);
        for (name, wanted) in tags_of(&self.body) {
            let is = tag(&known, &name);
            if is != Some(&wanted) {
                let is = is.map_or("missing", String::as_str);
                tell(&format!("tag.{name}"), is, &wanted);
            }
        }
        fields
    }

    /// What makes it as it was made. Tags of others stay, and so does what we never said.
    fn mended(&self, found: &Value) -> Value {
        let mut body = found.clone();
        let mut tags: Tags = tags_of(found);
        for (name, value) in tags_of(&self.body) {
            tags.retain(|known, _| !known.eq_ignore_ascii_case(&name));
            tags.insert(name, value);
        }
        body["tags"] = json!(tags);
        for (_, pointer) in &self.parts {
            let wanted = self.body.pointer(pointer);
            if let (Some(place), Some(wanted)) = (body.pointer_mut(pointer), wanted) {
                *place = wanted.clone();
            }
        }
        if let Some(sku) = self.body.get("sku") {
            // How many instances there are is nothing that we said.
            let capacity = body["sku"]["capacity"].take();
            body["sku"] = sku.clone();
            if !capacity.is_null() {
                body["sku"]["capacity"] = capacity;
            }
        }
        for name in READ_ONLY {
            body.as_object_mut().map(|body| body.remove(name));
            if let Some(properties) = body["properties"].as_object_mut() {
                properties.remove(name);
            }
        }
        body
    }
}

/// What answers say and requests must not.
const READ_ONLY: [&str; 10] = [
    "id",
    "name",
    "type",
    "etag",
    "systemData",
    "managedBy",
    "provisioningState",
    "primaryEndpoints",
    "vaultUri",
    "privateEndpointConnections",
];

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

impl AzureCloud {
    /// What differs of what serves all, told by one service. A reading call for each resource now and then.
    pub(in crate::cloud::azure) async fn shared_differences(
        &self,
        service: &ServiceName,
    ) -> Result<Fields, CloudError> {
        let stands = self.stands();
        let mut shared = self.seldom.shared.lock().await;
        if !shared.is_told_by(service, stands) {
            return Ok(Fields::new());
        }
        if let Some((_, seen)) = shared.seen.as_ref().filter(|it| it.0.elapsed() < stands) {
            return Ok(seen.clone());
        }
        let mut all = Fields::new();
        for (kind, found) in self.own_shared().await? {
            all.extend(kind.differences(&found));
        }
        shared.seen = Some((Instant::now(), all.clone()));
        Ok(all)
    }

    /// Gives what is ours and serves all what it was made with.
    pub(in crate::cloud::azure) async fn mend_shared(&self) -> Result<(), CloudError> {
        for (kind, found) in self.own_shared().await? {
            if kind.differences(&found).is_empty() {
                continue;
            }
            self.put(kind.put, &kind.id, kind.version, kind.mended(&found))
                .await?;
        }
        self.seldom.shared.lock().await.seen = None;
        Ok(())
    }

    /// What there is of it that is ours. Where we may not look nothing is known.
    async fn own_shared(&self) -> Result<Vec<(Kind, Value)>, CloudError> {
        let mut own = Vec::new();
        for kind in self.kinds() {
            let found = match self.found(kind.get, &kind.id, kind.version).await {
                Err(CloudError::Denied { .. }) => None,
                found => found?,
            };
            if let Some(found) = found.filter(|it| self.names.is_shared_of_ours(&tags_of(it))) {
                own.push((kind, found));
            }
        }
        Ok(own)
    }

    fn kinds(&self) -> Vec<Kind> {
        let names = &self.names;
        let mut kinds = vec![
            Kind {
                word: "group",
                id: names.group_id(),
                version: GROUPS_API,
                get: operation::GROUPS_GET,
                put: operation::GROUPS_PUT,
                body: names.group_body(),
                parts: Vec::new(),
            },
            Kind {
                word: "storage",
                id: names.account_id(),
                version: STORAGE_API,
                get: operation::ACCOUNTS_GET,
                put: operation::ACCOUNTS_PUT,
                body: names.account_body(),
                parts: vec![
                    ("public", "/properties/allowBlobPublicAccess"),
                    ("tls", "/properties/minimumTlsVersion"),
                    ("https", "/properties/supportsHttpsTrafficOnly"),
                    ("sku", "/sku/name"),
                ],
            },
            Kind {
                word: "vault",
                id: names.vault_id(),
                version: crate::cloud::azure::around::VAULTS_API,
                get: operation::VAULTS_GET,
                put: operation::VAULTS_PUT,
                body: json!({
                    "tags": names.shared_tags(),
                    "properties": { "enableRbacAuthorization": true },
                }),
                parts: vec![("roles", "/properties/enableRbacAuthorization")],
            },
        ];
        if !names.is_flex() {
            kinds.push(Kind {
                word: "plan",
                id: names.plan_id(),
                version: WEB_API,
                get: operation::PLANS_GET,
                put: operation::PLANS_PUT,
                body: names.plan_body(names.shared_tags()),
                parts: vec![("sku", "/sku/name")],
            });
        }
        if let Some(Insights::Workspace(workspace)) = &names.target.shared.insights {
            kinds.push(Kind {
                word: "insights",
                id: names.component_id(),
                version: crate::cloud::azure::around::INSIGHTS_API,
                get: operation::INSIGHTS_GET,
                put: operation::INSIGHTS_PUT,
                body: names.component_body(workspace),
                parts: vec![("workspace", "/properties/WorkspaceResourceId")],
            });
        }
        kinds
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
}
