//! What things are called on Azure, and the bodies that make them. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    manifest::{
        azure::Insights,
        spec::{AzureTarget, EnvValue, Runtime},
    },
    name::{EnvironmentName, ReleaseDigest, ServiceKey, ServiceName, Slot},
};

/// The slot beside production.
pub(super) const GREEN: &str = "green";

pub(super) const WEB_API: &str = "2025-05-01";
/// Of groups, and of the tags of anything.
pub(super) const RESOURCES_API: &str = "2025-04-01";
pub(super) const STORAGE_API: &str = "2025-08-01";

const OWNER_TAG: &str = "verdigris-owner";
const SERVICE_TAG: &str = "verdigris-service";
const ENVIRONMENT_TAG: &str = "verdigris-environment";
const RELEASE_TAG: &str = "verdigris-release";
const OWNER: &str = "verdigris";

/// Bounds of a Function App's name: with `-green` its host name must still fit a label.
const APP_MIN: usize = 2;
const APP_MAX: usize = 43;

/// Longest name of a Key Vault.
const VAULT_MAX: usize = 24;

/// Longest name of a storage account: letters and digits only.
const ACCOUNT_MAX: usize = 24;

pub(super) type Tags = BTreeMap<String, String>;

/// One target and the names that follow from it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) environment: EnvironmentName,
    pub(super) target: AzureTarget,
    /// What the Function App of the service in hand is called, where it is not as we would call it.
    pub(super) called: Option<String>,
}

impl Names {
    /// The Function App of a service: as its manifest says, else `{prefix}-{environment}-{service}`.
    pub(super) fn app(&self, service: &ServiceName) -> String {
        let given = self.called.clone();
        given.unwrap_or_else(|| self.app_of_ours(service))
    }

    /// What we would call it.
    pub(super) fn app_of_ours(&self, service: &ServiceName) -> String {
        format!("{}-{}-{service}", self.target.prefix, self.environment)
    }

    /// Why a Function App cannot have its name.
    ///
    /// What a manifest says was looked at when it was read.
    pub(super) fn bad_app(&self, service: &ServiceName) -> Option<String> {
        let app = self.app_of_ours(service);
        if self.called.is_some() {
            return None;
        }
        if (APP_MIN..=APP_MAX).contains(&app.len()) {
            return None;
        }
        Some(format!(
            "function app name `{app}` has {} characters: {APP_MIN} to {APP_MAX} are allowed; shorten the prefix, the environment or the service",
            app.len()
        ))
    }

    /// The storage account of the environment: the letters and digits of the prefix, then enough of a digest of where the
    /// environment is, since the name must be unique in the world.
    pub(super) fn account(&self) -> String {
        if let Some(account) = &self.target.shared.storage {
            return account.clone();
        }
        let place = format!(
            "{}/{}/{}",
            self.target.subscription, self.target.resource_group, self.environment
        );
        let prefix = self.target.prefix.chars();
        let start = prefix.filter(char::is_ascii_alphanumeric).take(8);
        let start: String = start.map(|letter| letter.to_ascii_lowercase()).collect();
        format!("{start}{}", hex(&place, ACCOUNT_MAX - start.len()))
    }

    /// The Key Vault that holds the environment's secrets: `{prefix}-{environment}`; where that is longer than a vault's name may
    /// be, its first 15 characters, a hyphen and 8 digits of its SHA-256.
    pub(super) fn vault(&self) -> String {
        if let Some(vault) = &self.target.shared.vault {
            return vault.clone();
        }
        let name = format!("{}-{}", self.target.prefix, self.environment);
        if name.len() <= VAULT_MAX {
            return name;
        }
        let start: String = name.chars().take(15).collect();
        format!("{}-{}", start.trim_end_matches('-'), hex(&name, 8))
    }

    /// A value as settings have it: a secret becomes a reference that the platform resolves.
    pub(super) fn setting(&self, value: &EnvValue) -> String {
        match value {
            EnvValue::Plain(value) => value.clone(),
            EnvValue::Secret(secret) => format!(
                "@Microsoft.KeyVault(VaultName={};SecretName={secret})",
                self.vault()
            ),
        }
    }

    pub(super) fn group_id(&self) -> String {
        let AzureTarget {
            subscription,
            resource_group,
            location: _,
            plan: _,
            prefix: _,
            shared: _,
        } = &self.target;
        format!("/subscriptions/{subscription}/resourceGroups/{resource_group}")
    }

    pub(super) fn sites_id(&self) -> String {
        format!("{}/providers/Microsoft.Web/sites", self.group_id())
    }

    pub(super) fn site_id(&self, app: &str) -> String {
        format!("{}/{app}", self.sites_id())
    }

    /// Production is addressed as the site itself.
    pub(super) fn slot_id(&self, app: &str, slot: Slot) -> String {
        match slot {
            Slot::Blue => self.site_id(app),
            Slot::Green => format!("{}/slots/{GREEN}", self.site_id(app)),
        }
    }

    /// The plan of the environment.
    pub(super) fn plan_id(&self) -> String {
        self.plan_of(&format!("{}-{}-plan", self.target.prefix, self.environment))
    }

    /// A plan by its name; where an app has one of its own it has the app's.
    pub(super) fn plan_of(&self, name: &str) -> String {
        let group = self.group_id();
        format!("{group}/providers/Microsoft.Web/serverfarms/{name}")
    }

    /// The container that an app takes its packages from.
    pub(super) fn container_id(&self, app: &str) -> String {
        format!(
            "{}/blobServices/default/containers/{app}",
            self.account_id()
        )
    }

    /// Whether packages are run from an address and are sent nowhere.
    pub(super) fn runs_from_url(&self) -> bool {
        self.target.plan.is_consumption()
    }

    /// Plans without slots, see [`super::flex`].
    pub(super) fn is_flex(&self) -> bool {
        self.target.plan.is_flex()
    }

    /// What the slots of a service call themselves to Application Insights.
    pub(super) fn roles_of(&self, service: &ServiceName) -> [String; 2] {
        let app = self.app(service);
        match self.is_flex() {
            true => self.twins(service),
            false => [app.clone(), format!("{app}-{GREEN}")],
        }
    }

    pub(super) fn account_id(&self) -> String {
        let account = self.account();
        format!(
            "{}/providers/Microsoft.Storage/storageAccounts/{account}",
            self.group_id()
        )
    }

    pub(super) fn vault_id(&self) -> String {
        let vault = self.vault();
        format!(
            "{}/providers/Microsoft.KeyVault/vaults/{vault}",
            self.group_id()
        )
    }

    /// The component of Application Insights that we make: `{prefix}-{environment}`.
    pub(super) fn component_id(&self) -> String {
        self.component_called(&format!("{}-{}", self.target.prefix, self.environment))
    }

    /// The component that an app tells how it is: the environment's; and where it has none, the one of the app's own name, which is
    /// what people's tools make beside an app.
    pub(super) fn component_of(&self, app: &str) -> String {
        match &self.target.shared.insights {
            Some(Insights::Component(id)) => id.clone(),
            Some(Insights::Workspace(_)) => self.component_id(),
            None => self.component_called(app),
        }
    }

    fn component_called(&self, name: &str) -> String {
        let group = self.group_id();
        format!("{group}/providers/Microsoft.Insights/components/{name}")
    }

    /// Tags of what serves the whole environment, and those that the environment asks for.
    pub(super) fn shared_tags(&self) -> Tags {
        let mut tags = self.target.shared.tags.clone();
        tags.extend(self.owner_tags());
        tags
    }

    fn owner_tags(&self) -> Tags {
        Tags::from([
            (OWNER_TAG.to_owned(), OWNER.to_owned()),
            (ENVIRONMENT_TAG.to_owned(), self.environment.to_string()),
        ])
    }

    /// Tags of what serves one service. `release` is what was staged last.
    pub(super) fn tags(&self, service: &ServiceName, release: Option<ReleaseDigest>) -> Tags {
        let mut tags = self.shared_tags();
        tags.insert(SERVICE_TAG.to_owned(), service.to_string());
        if let Some(release) = release {
            tags.insert(RELEASE_TAG.to_owned(), release.to_string());
        }
        tags
    }

    /// Whether tags say that a resource serves this environment, and that we made it.
    pub(super) fn is_shared_of_ours(&self, tags: &Tags) -> bool {
        let own = self.owner_tags();
        own.iter()
            .all(|(name, value)| tag(tags, name) == Some(value))
    }

    /// Whether tags say that a resource belongs to this service of this environment.
    pub(super) fn is_ours(&self, tags: &Tags, service: &ServiceName) -> bool {
        tag(tags, SERVICE_TAG).is_some_and(|it| it == service.as_str())
            && self.is_shared_of_ours(tags)
    }

    /// The service that tags name, of whichever environment.
    pub(super) fn named_owner<'a>(&self, tags: &'a Tags) -> Option<&'a str> {
        tag(tags, SERVICE_TAG).map(String::as_str)
    }

    /// The service of ours that tags name, if they do, in this environment.
    pub(super) fn owned(&self, tags: &Tags) -> Option<ServiceKey> {
        let service = ServiceName::new(tag(tags, SERVICE_TAG)?).ok()?;
        self.is_ours(tags, &service).then(|| ServiceKey {
            environment: self.environment.clone(),
            service,
        })
    }

    pub(super) fn group_body(&self) -> Value {
        json!({ "location": self.target.location, "tags": self.shared_tags() })
    }

    pub(super) fn account_body(&self) -> Value {
        json!({
            "location": self.target.location,
            "kind": "StorageV2",
            "sku": { "name": "Standard_LRS" },
            "tags": self.shared_tags(),
            "properties": {
                "allowBlobPublicAccess": false,
                "minimumTlsVersion": "TLS1_2",
                "supportsHttpsTrafficOnly": true,
            },
        })
    }

    pub(super) fn component_body(&self, workspace: &str) -> Value {
        json!({
            "location": self.target.location,
            "kind": "web",
            "tags": self.shared_tags(),
            "properties": { "Application_Type": "web", "WorkspaceResourceId": workspace },
        })
    }

    pub(super) fn plan_body(&self, tags: Tags) -> Value {
        let sku = self.target.plan.0.as_str();
        let mut described = json!({ "name": sku });
        if let Some(tier) = tier(sku) {
            described["tier"] = json!(tier);
        }
        json!({
            "location": self.target.location,
            "kind": plan_kind(sku),
            "sku": described,
            "tags": tags,
            "properties": { "reserved": true },
        })
    }

    /// A Function App or slot. `config` replaces what is named in it and leaves the rest of its configuration alone.
    pub(super) fn site_body(
        &self,
        tags: &Tags,
        plan: &str,
        https_only: bool,
        config: Value,
    ) -> Value {
        json!({
            "location": self.target.location,
            "kind": "functionapp,linux",
            "identity": { "type": "SystemAssigned" },
            "tags": tags,
            "properties": {
                "serverFarmId": plan,
                "reserved": true,
                "httpsOnly": https_only,
                "siteConfig": config,
            },
        })
    }

    /// Whether the plan keeps instances for itself, which go to sleep unless told otherwise.
    pub(super) fn is_dedicated(&self) -> bool {
        let plan = &self.target.plan;
        !plan.is_consumption() && !plan.is_elastic() && !plan.is_flex()
    }
}

/// The image that holds the interpreter; the custom handler in the package starts it. A program needs none.
pub(super) fn stack(runtime: &Runtime) -> Map<String, Value> {
    let image = match runtime {
        Runtime::Python(version) => format!("Python|{version}"),
        Runtime::Node(version) => format!("Node|{version}"),
        Runtime::Executable => String::new(),
    };
    Map::from_iter([("linuxFxVersion".to_owned(), json!(image))])
}

/// A tag's value. Azure ignores letter case in the names of tags.
pub(super) fn tag<'a>(tags: &'a Tags, name: &str) -> Option<&'a String> {
    tags.iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The kind of a plan, by its size.
pub(super) fn tier(sku: &str) -> Option<&'static str> {
    match sku.get(..1)? {
        "Y" => Some("Dynamic"),
        "E" => Some("ElasticPremium"),
        "F" => Some("FlexConsumption"),
        "B" => Some("Basic"),
        "S" => Some("Standard"),
        "P" if sku.ends_with("v2") => Some("PremiumV2"),
        "P" if sku.ends_with("v3") => Some("PremiumV3"),
        _ => None,
    }
}

fn plan_kind(sku: &str) -> &'static str {
    match tier(sku) {
        Some("Dynamic" | "FlexConsumption") => "functionapp",
        Some("ElasticPremium") => "elastic",
        Some(_) | None => "linux",
    }
}

fn hex(text: &str, digits: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let all: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    all.chars().take(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{azure::AzureShared, spec::AzurePlan};

    fn names(prefix: &str, environment: &str) -> Names {
        Names {
            environment: EnvironmentName::new(environment).unwrap(),
            target: AzureTarget {
                subscription: "s".to_owned(),
                resource_group: "shop".to_owned(),
                location: "westeurope".to_owned(),
                plan: AzurePlan("EP1".to_owned()),
                prefix: prefix.to_owned(),
                shared: AzureShared::default(),
            },
            called: None,
        }
    }

    #[test]
    fn names_fit_the_rules_of_the_cloud() {
        for (prefix, environment) in [
            ("shop", "prod"),
            ("a-b", "x"),
            ("a-very-long-prefix-1", "twenty-four-characters-1"),
        ] {
            let names = names(prefix, environment);
            let account = names.account();
            assert_eq!(account.len(), ACCOUNT_MAX, "{account}");
            assert!(
                account
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            );
            let vault = names.vault();
            assert!((3..=VAULT_MAX).contains(&vault.len()), "{vault}");
            assert!(!vault.contains("--"), "{vault}");
        }
        assert_eq!(names("shop", "prod").vault(), "shop-prod");
    }

    #[test]
    fn a_name_that_the_cloud_would_refuse_is_told_before() {
        let service = ServiceName::new("a".repeat(32)).unwrap();
        assert_eq!(names("shop", "prod").bad_app(&service), None);
        assert_eq!(names("shops", "prod").bad_app(&service), None);
        let told = names("shops1", "prod").bad_app(&service).unwrap();
        assert!(told.contains("has 44 characters"), "{told}");
    }

    #[test]
    fn tags_say_whose_a_resource_is_whatever_their_case() {
        let names = names("shop", "prod");
        let service = ServiceName::new("inventory").unwrap();
        let mut tags = names.tags(&service, None);
        assert!(names.is_ours(&tags, &service));
        let owner = tags.remove(OWNER_TAG).unwrap();
        assert_eq!(names.owned(&tags), None);
        tags.insert("Verdigris-Owner".to_owned(), owner);
        assert_eq!(names.owned(&tags).unwrap().to_string(), "prod/inventory");
        assert!(!names.is_ours(&tags, &ServiceName::new("other").unwrap()));
    }

    #[test]
    fn plans_are_described_by_tier() {
        let tiers = ["Y1", "EP1", "S1", "P1v3", "P1v2", "é", ""].map(tier);
        assert_eq!(
            tiers,
            [
                Some("Dynamic"),
                Some("ElasticPremium"),
                Some("Standard"),
                Some("PremiumV3"),
                Some("PremiumV2"),
                None,
                None
            ]
        );
    }
}
