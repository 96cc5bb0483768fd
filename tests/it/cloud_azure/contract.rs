//! The contract of every cloud, on the local Azure endpoint.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud, azure::AzureCloud},
    local::arm::ArmOptions,
    name::{EnvironmentName, FunctionName, ServiceKey},
};

use super::{TOKEN, local::Local, options};
use crate::cloud_contract::{self, Edit, Server, Subject, release::ENVIRONMENT};

struct LocalAzure {
    local: Local,
    cloud: AzureCloud,
}

fn app_of(service: &ServiceKey) -> String {
    format!("vg-{}-{}", service.environment, service.service)
}

impl LocalAzure {
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
        let app = app_of(service);
        let app = match self.is_there(&app).await {
            true => format!("{app}-{function}"),
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
        let app = app_of(service);
        match edit {
            Edit::GreenOnBlue(_) => {
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
            // The functions of an app come in one package and cannot be lost one by one. What can be lost is our knowledge of it.
            Edit::LoseOnBlue(_) => {
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
        self.is_there(&format!("{app}-{function}")).await || self.is_there(&app).await
    }

    fn writes(&self) -> u64 {
        self.cloud.writing_calls()
    }
}

#[tokio::test]
async fn the_local_azure_endpoint_keeps_the_contract() {
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
    let cloud = AzureCloud::new(options).unwrap();
    let on = Arc::new(LocalAzure { local, cloud });
    cloud_contract::holds_on(Server::LocalAzure, on).await;
}
