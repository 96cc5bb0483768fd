//! A subscription of Azure: one resource group with all that the run makes, and the vault's name, which outlives its group.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::{Url, form_urlencoded};
use verdigris::{
    clock::SystemClock,
    cloud::azure::{
        AzureLimiter, AzureLimits, AzureOptions, AzureRates, AzureSource, CredentialChoice,
        Principal,
    },
    local::arm::{self, ArmOptions},
    manifest::{
        azure::AzureShared,
        spec::{AzurePlan, AzureTarget},
    },
    name::EnvironmentName,
};

use super::{
    Account,
    budget::{Budget, Price},
    needed, run_name, try_the_contract, variables,
};
use crate::{
    cloud_azure::{
        contract::{Hands, OnAzure},
        tap::Tap,
    },
    cloud_contract::{Server, Subject},
};

/// Elastic Premium, EP1, with two instances more than the one that is always ready; the other plans cost less:
/// <https://azure.microsoft.com/pricing/details/functions/>. Once: storage, its transactions, and the vault's.
const PRICE: Price = Price {
    once: 0.20,
    hourly: 0.70,
};

/// How long Azure may take to delete a group.
const GONE_WITHIN: Duration = Duration::from_secs(30 * 60);

const GROUPS_API: &str = "2025-04-01";
const VAULTS_API: &str = "2023-07-01";

/// Where, and as whom.
struct Wanted {
    subscription: String,
    location: String,
    plan: String,
    principal: Principal,
    secret: String,
    resource_manager: Url,
    authority: Url,
}

impl Wanted {
    fn read(variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let needed = |name: &str, what: &str| needed(variables, name, what);
        let or = |name: &str, usual: &str| {
            let said = variables.get(name).map_or(usual, String::as_str);
            Url::parse(said).map_err(|error| format!("{name} is `{said}`: {error}"))
        };
        let principal = "which service principal makes the resources and assigns their roles";
        Ok(Self {
            subscription: needed(
                "VERDIGRIS_REAL_AZURE_SUBSCRIPTION",
                "where the resource group is made: the subscription's id",
            )?,
            location: needed("VERDIGRIS_REAL_AZURE_LOCATION", "where: westeurope")?,
            plan: needed("VERDIGRIS_REAL_AZURE_PLAN", "on which plan: EP1, FC1 or Y1")?,
            principal: Principal {
                tenant: needed("AZURE_TENANT_ID", principal)?,
                client: needed("AZURE_CLIENT_ID", principal)?,
            },
            secret: needed("AZURE_CLIENT_SECRET", principal)?,
            resource_manager: or(
                "VERDIGRIS_REAL_AZURE_ENDPOINT",
                "https://management.azure.com",
            )?,
            authority: or("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com")?,
        })
    }
}

/// The resource manager, asked with tokens of our own.
struct Portal {
    wanted: Wanted,
    group: String,
    client: reqwest::Client,
}

impl Portal {
    /// The client credentials flow: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.
    async fn token(&self) -> String {
        let Wanted {
            principal,
            secret,
            authority,
            resource_manager,
            ..
        } = &self.wanted;
        let path = format!("/{}/oauth2/v2.0/token", principal.tenant);
        let scope = resource_manager.join("/.default").unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &principal.client),
            ("client_secret", secret),
            ("scope", scope.as_str()),
        ];
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let asked = self.client.post(authority.join(&path).unwrap());
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.body(form).send().await.unwrap();
        let status = answer.status();
        let token: Value = answer.json().await.unwrap();
        let given = token["access_token"].as_str();
        given
            .unwrap_or_else(|| panic!("no token: {status}, {}", token["error_description"]))
            .to_owned()
    }

    fn vault(&self) -> String {
        let (_, run) = self.group.rsplit_once('/').unwrap();
        format!("vg-{run}")
    }

    /// The group, and a vault with the secret that the functions ask for, as people make it before they ask for it.
    async fn make(&self) {
        let location = json!({"location": self.wanted.location});
        let made = self.send("PUT", &self.group, GROUPS_API, &location).await;
        assert!(
            made.is_some(),
            "the group `{}` could not be made",
            self.group
        );
        let vault = format!(
            "{}/providers/Microsoft.KeyVault/vaults/{}",
            self.group,
            self.vault()
        );
        let body = json!({"location": self.wanted.location, "properties": {
            "tenantId": self.wanted.principal.tenant,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": true,
        }});
        let made = self.send("PUT", &vault, VAULTS_API, &body).await;
        assert!(made.is_some(), "the vault `{vault}` could not be made");
        let secret = json!({"properties": {"value": "of the contract"}});
        let id = format!("{vault}/secrets/shop-db");
        let made = self.send("PUT", &id, VAULTS_API, &secret).await;
        assert!(made.is_some(), "the secret `{id}` could not be made");
    }

    fn deleted_vault(&self) -> String {
        format!(
            "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
            self.wanted.subscription,
            self.wanted.location,
            self.vault()
        )
    }

    async fn is_there(&self, id: &str, version: &str) -> bool {
        self.send("GET", id, version, &Value::Null).await.is_some()
    }

    async fn is_gone(&self, id: &str, version: &str) -> bool {
        let gone = async {
            while self.is_there(id, version).await {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(GONE_WITHIN, gone).await.is_ok()
    }
}

#[async_trait]
impl Hands for Portal {
    fn group(&self) -> &str {
        &self.group
    }

    fn location(&self) -> &str {
        &self.wanted.location
    }

    async fn send(&self, method: &str, id: &str, version: &str, body: &Value) -> Option<Value> {
        let mut url = self.wanted.resource_manager.join(id).unwrap();
        url.query_pairs_mut().append_pair("api-version", version);
        let token = self.token().await;
        let asked = self.client.request(method.parse().unwrap(), url);
        let answer = asked.bearer_auth(token).json(body).send().await.unwrap();
        let is_good = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        is_good.then(|| serde_json::from_slice(&body).unwrap_or_default())
    }
}

struct OnSubscription {
    on: Arc<OnAzure>,
    portal: Arc<Portal>,
}

impl OnSubscription {
    async fn new(wanted: Wanted, rates: AzureRates) -> Self {
        let name = run_name();
        let secret = AzureSource::Secret {
            principal: wanted.principal.clone(),
            secret: wanted.secret.clone().into(),
        };
        // Secrets go through TLS only, which what stands in for the authority does not speak.
        let credential = match wanted.authority.scheme() {
            "http" => CredentialChoice::Token(wanted.secret.clone().into()),
            _ => CredentialChoice::Only(secret),
        };
        let options = AzureOptions {
            environment: EnvironmentName::new(name.clone()).unwrap(),
            target: AzureTarget {
                subscription: wanted.subscription.clone(),
                resource_group: name.clone(),
                location: wanted.location.clone(),
                plan: AzurePlan(wanted.plan.clone()),
                prefix: "vg".to_owned(),
                shared: AzureShared::default(),
            },
            endpoint: Some(wanted.resource_manager.clone()),
            authority: Some(wanted.authority.clone()),
            credential,
            ca_file: None,
            limiter: Arc::new(AzureLimiter::new(rates)),
            limits: AzureLimits::default(),
        };
        let group = format!(
            "/subscriptions/{}/resourceGroups/{name}",
            wanted.subscription
        );
        let portal = Arc::new(Portal {
            wanted,
            group,
            client: reqwest::Client::new(),
        });
        portal.make().await;
        Self {
            on: Arc::new(OnAzure::new(options, portal.clone())),
            portal,
        }
    }
}

#[async_trait]
impl Account for OnSubscription {
    fn subject(&self) -> Arc<dyn Subject> {
        self.on.clone()
    }

    /// With the group goes all that is in it.
    async fn clean_up(&self) -> Vec<String> {
        let portal = &self.portal;
        let nothing = Value::Null;
        let group = portal.group();
        portal.send("DELETE", group, GROUPS_API, &nothing).await;
        let mut left = Vec::new();
        if !portal.is_gone(group, GROUPS_API).await {
            left.push(group.to_owned());
        }
        let vault = portal.deleted_vault();
        if portal.is_there(&vault, VAULTS_API).await {
            let purge = format!("{vault}/purge");
            portal.send("POST", &purge, VAULTS_API, &nothing).await;
        }
        if !portal.is_gone(&vault, VAULTS_API).await {
            left.push(vault);
        }
        left
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "asks a real subscription and costs money: see CONTRIBUTING.md"]
async fn the_contract_holds_on_azure() {
    let variables = variables();
    let budget = Budget::read(&variables, PRICE).unwrap_or_else(|told| panic!("{told}"));
    let wanted = Wanted::read(&variables).unwrap_or_else(|told| panic!("{told}"));
    let account = OnSubscription::new(wanted, AzureRates::default()).await;
    try_the_contract(&account, Server::Azure, budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_a_subscription_leaves_nothing_behind() {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let quick = ArmOptions {
        swap_time: Duration::from_millis(100),
        ..ArmOptions::default()
    };
    let any = "127.0.0.1:0".parse().unwrap();
    let local = arm::start(any, None, quick, Arc::new(SystemClock), stop);
    let local = local.await.unwrap();
    let tap = Tap::before(&local.url).await.unwrap();
    let said = [
        (
            "VERDIGRIS_REAL_AZURE_SUBSCRIPTION",
            "00000000-0000-0000-0000-000000000001",
        ),
        ("VERDIGRIS_REAL_AZURE_LOCATION", "westeurope"),
        ("VERDIGRIS_REAL_AZURE_PLAN", "FC1"),
        ("VERDIGRIS_REAL_AZURE_ENDPOINT", tap.url.as_str()),
        ("AZURE_TENANT_ID", "00000000-0000-0000-0000-0000000000aa"),
        ("AZURE_CLIENT_ID", "a client"),
        ("AZURE_CLIENT_SECRET", "a secret"),
        ("AZURE_AUTHORITY_HOST", local.url.as_str()),
    ];
    let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let wanted = Wanted::read(&said.into()).unwrap();
    let account = OnSubscription::new(wanted, AzureRates::default()).await;
    let group = account.portal.group().to_owned();
    assert!(account.portal.is_there(&group, GROUPS_API).await);
    let budget = Budget::of(Duration::from_secs(600));
    try_the_contract(&account, Server::Azure, budget).await;
    assert!(!account.portal.is_there(&group, GROUPS_API).await);
    let vault = account.portal.deleted_vault();
    assert!(!account.portal.is_there(&vault, VAULTS_API).await);
}

#[test]
fn what_a_run_on_azure_needs_is_told_by_name() {
    let told = Wanted::read(&BTreeMap::new()).err().unwrap();
    assert!(
        told.starts_with("VERDIGRIS_REAL_AZURE_SUBSCRIPTION is not set"),
        "{told}"
    );
}
