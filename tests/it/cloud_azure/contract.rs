//! The contract of every cloud, on the local Azure endpoint.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud, azure::AzureCloud},
    local::arm::ArmOptions,
    manifest::spec::AzurePlan,
    name::{EnvironmentName, FunctionName, ServiceKey},
};

use super::{TOKEN, local::Local, options};
use crate::cloud_contract::{self, Edit, Server, Subject, release::ENVIRONMENT};

struct LocalAzure {
    local: Local,
    cloud: AzureCloud,
    /// On a plan without slots.
    is_flex: bool,
}

fn app_of(service: &ServiceKey) -> String {
    format!("vg-{}-{}", service.environment, service.service)
}

impl LocalAzure {
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
        while self
            .local
            .to_app(&app, "DELETE", "/slots/green", &Value::Null)
            .await
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(&self, app: &str, method: &str, path: &str, body: &Value) -> Value {
        let sent = self.local.to_app(app, method, path, body).await;
        sent.unwrap_or_else(|| panic!("{method} {app}{path} was refused"))
    }

    async fn is_there(&self, app: &str) -> bool {
        let found = self.local.to_app(app, "GET", "", &Value::Null).await;
        found.is_some()
    }

    /// Somebody else's app: in the place of ours, or beside it where ours is there.
    async fn foreign(&self, service: &ServiceKey, function: &FunctionName) {
        let app = self.first(service);
        let app = match self.is_there(&app).await {
            true => format!("{}-{function}", app_of(service)),
            false => app,
        };
        let group = format!(
            "{}/subscriptions/{}/resourceGroups/shop?api-version=2024-11-01",
            self.local.arm.url,
            super::SUBSCRIPTION
        );
        let client = reqwest::Client::new();
        let asked = client.put(group).bearer_auth(TOKEN);
        let made = asked.json(&json!({"location": "westeurope"})).send().await;
        assert!(made.unwrap().status().is_success());
        let body = json!({"location": "westeurope", "tags": {"owner": "them"}, "properties": {}});
        self.send(&app, "PUT", "", &body).await;
    }
}

#[async_trait]
impl Subject for LocalAzure {
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
}

#[tokio::test]
async fn the_local_azure_endpoint_keeps_the_contract() {
    holds_on_plan("EP1", Server::LocalAzure).await;
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
    let is_flex = options.target.plan.is_flex();
    let cloud = AzureCloud::new(options).unwrap();
    let on = Arc::new(LocalAzure {
        local,
        cloud,
        is_flex,
    });
    cloud_contract::holds_on(server, on).await;
}
