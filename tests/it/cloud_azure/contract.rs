//! The contract of every cloud, on the local Azure endpoint.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use verdigris::{
    cloud::{
        Cloud,
        azure::{AzureCloud, AzureOptions},
    },
    local::arm::ArmOptions,
    manifest::spec::AzurePlan,
    name::{EnvironmentName, FunctionName, ServiceKey},
};

use super::{
    local::{GROUP, Local},
    options,
};
use crate::{
    cloud_contract::{
        self, Edit, Server, Subject,
        release::{ENVIRONMENT, Place},
    },
    stale::Late,
};

/// Somebody who changes things past us, as in the portal.
#[async_trait]
pub(crate) trait Hands: Send + Sync {
    /// The id of the resource group.
    fn group(&self) -> &str;

    fn location(&self) -> &str;

    /// Sends it about anything, by its id. Nothing where the answer is a refusal.
    async fn send(&self, method: &str, id: &str, version: &str, body: &Value) -> Option<Value>;
}

#[async_trait]
impl Hands for Local {
    fn group(&self) -> &str {
        GROUP
    }

    fn location(&self) -> &str {
        "westeurope"
    }

    async fn send(&self, method: &str, id: &str, version: &str, body: &Value) -> Option<Value> {
        self.to(method, id, version, body).await
    }
}

/// The Azure cloud in one resource group, and hands that edit past us.
pub(crate) struct OnAzure {
    hands: Arc<dyn Hands>,
    cloud: AzureCloud,
    place: Place,
    /// On a plan without slots.
    is_flex: bool,
}

fn app_of(service: &ServiceKey) -> String {
    format!("vg-{}-{}", service.environment, service.service)
}

impl OnAzure {
    pub(crate) fn new(options: AzureOptions, hands: Arc<dyn Hands>) -> Self {
        let place = Place {
            environment: options.environment.to_string(),
            ..Place::default()
        };
        Self {
            hands,
            is_flex: options.target.plan.is_flex(),
            cloud: AzureCloud::new(options).unwrap(),
            place,
        }
    }

    /// The first app of a service.
    fn first(&self, service: &ServiceKey) -> String {
        let app = app_of(service);
        match self.is_flex {
            true => format!("{app}-a"),
            false => app,
        }
    }

    /// The app that is blue, and the other.
    async fn pair(&self, service: &ServiceKey) -> [String; 2] {
        let [a, b] = ["a", "b"].map(|twin| format!("{}-{twin}", app_of(service)));
        let site = self.send(&a, "GET", "", &Value::Null).await;
        match site["tags"]["verdigris-blue"] == "a" {
            true => [a, b],
            false => [b, a],
        }
    }

    async fn blue(&self, service: &ServiceKey) -> String {
        match self.is_flex {
            true => self.pair(service).await[0].clone(),
            false => app_of(service),
        }
    }

    async fn turn(&self, service: &ServiceKey) {
        let [old, new] = self.pair(service).await;
        let word = &new[new.len() - 1..];
        let tags = json!({"operation": "Merge", "properties": {"tags": {"verdigris-blue": word}}});
        let path = "/providers/Microsoft.Resources/tags/default";
        self.send(&new, "PATCH", path, &tags).await;
        self.send(&old, "DELETE", "", &Value::Null).await;
    }

    async fn swap(&self, service: &ServiceKey) {
        let app = app_of(service);
        let body = json!({"targetSlot": "production", "preserveVnet": true});
        self.send(&app, "POST", "/slots/green/slotsswap", &body)
            .await;
        let gone = async || {
            let path = "/slots/green";
            self.about(&app, "DELETE", path, &Value::Null).await
        };
        while gone().await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// About an app. Nothing where the answer is a refusal.
    async fn about(&self, app: &str, method: &str, path: &str, body: &Value) -> Option<Value> {
        let group = self.hands.group();
        let id = format!("{group}/providers/Microsoft.Web/sites/{app}{path}");
        self.hands.send(method, &id, "2025-05-01", body).await
    }

    async fn send(&self, app: &str, method: &str, path: &str, body: &Value) -> Value {
        let sent = self.about(app, method, path, body).await;
        sent.unwrap_or_else(|| panic!("{method} {app}{path} was refused"))
    }

    async fn is_there(&self, app: &str) -> bool {
        let found = self.about(app, "GET", "", &Value::Null).await;
        found.is_some()
    }

    /// Somebody else's app: in the place of ours, or beside it where ours is there.
    async fn foreign(&self, service: &ServiceKey, function: &FunctionName) {
        let app = self.first(service);
        let app = match self.is_there(&app).await {
            true => format!("{}-{function}", app_of(service)),
            false => app,
        };
        let (group, version) = (self.hands.group(), "2025-04-01");
        let location = self.hands.location();
        let found = self.hands.send("GET", group, version, &Value::Null).await;
        if found.is_none() {
            let body = json!({ "location": location });
            let made = self.hands.send("PUT", group, version, &body).await;
            assert!(made.is_some(), "the group could not be made");
        }
        let body = json!({"location": location, "tags": {"owner": "them"}, "properties": {}});
        self.send(&app, "PUT", "", &body).await;
    }
}

#[async_trait]
impl Subject for OnAzure {
    fn cloud(&self) -> &dyn Cloud {
        &self.cloud
    }

    async fn edit(&self, service: &ServiceKey, edit: Edit) {
        match edit {
            Edit::GreenOnBlue(_) if self.is_flex => self.turn(service).await,
            Edit::GreenOnBlue(_) => self.swap(service).await,
            // The functions of an app come in one package and cannot be lost one by one. What can be lost is our knowledge of it.
            Edit::LoseOnBlue(_) => {
                let app = self.blue(service).await;
                let list = "/config/appsettings/list";
                let mut settings = self.send(&app, "POST", list, &json!({})).await;
                let properties = settings["properties"].as_object_mut().unwrap();
                properties.remove("VERDIGRIS_CODE");
                let body = json!({ "properties": properties });
                self.send(&app, "PUT", "/config/appsettings", &body).await;
            }
            Edit::Foreign(function) => self.foreign(service, &function).await,
        }
    }

    async fn foreign_is_there(&self, service: &ServiceKey, function: &FunctionName) -> bool {
        let app = app_of(service);
        let first = self.first(service);
        self.is_there(&format!("{app}-{function}")).await || self.is_there(&first).await
    }

    fn writes(&self) -> u64 {
        self.cloud.writing_calls()
    }

    fn place(&self) -> Place {
        self.place.clone()
    }
}

#[tokio::test]
async fn the_local_azure_endpoint_keeps_the_contract() {
    holds_on_plan("EP1", Server::LocalAzure).await;
}

#[tokio::test]
async fn machines_of_ones_own_keep_the_contract() {
    holds_on_plan("S1", Server::LocalDedicated).await;
}

#[tokio::test]
async fn two_apps_and_a_pointer_keep_the_contract() {
    holds_on_plan("FC1", Server::LocalFlex).await;
}

#[tokio::test]
async fn packages_that_are_run_from_an_address_keep_the_contract() {
    holds_on_plan("Y1", Server::LocalConsumption).await;
}

async fn holds_on_plan(plan: &str, server: Server) {
    let (_, on) = on_plan(plan).await;
    cloud_contract::holds_on(server, Arc::new(on)).await;
}

/// On an endpoint whose reads are late once after each write; gives how many were.
pub(crate) async fn holds_where_late(plan: &str, server: Server) -> u64 {
    let (local, on) = on_plan(plan).await;
    let on = Late::new(on, local.arm.faults().clone(), 1);
    cloud_contract::holds_on(server, Arc::new(on)).await;
    local.arm.stale_answers()
}

async fn on_plan(plan: &str) -> (Arc<Local>, OnAzure) {
    let quick = ArmOptions {
        swap_time: Duration::from_millis(100),
        ..ArmOptions::default()
    };
    let local = Local::start_with(quick).await;
    local
        .with_secret(&format!("vg-{ENVIRONMENT}"), "shop-db")
        .await;
    let mut options = options(&local.arm.url);
    options.environment = EnvironmentName::new(ENVIRONMENT).unwrap();
    options.target.plan = AzurePlan(plan.to_owned());
    let local = Arc::new(local);
    let on = OnAzure::new(options, local.clone());
    (local, on)
}
