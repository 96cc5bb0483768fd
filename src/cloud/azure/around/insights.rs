//! Application Insights: where apps tell how they are.

use serde_json::Value;

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{operation, unreachable},
            settings::{INSIGHTS, Settings},
        },
    },
    manifest::azure::Insights,
    name::CloudName,
};

pub(in crate::cloud::azure) const INSIGHTS_API: &str = "2020-02-02";

impl AzureCloud {
    /// Adds the address of the environment's component to what a slot has, where it is asked for and missing.
    pub(in crate::cloud::azure) async fn add_insights(
        &self,
        settings: &mut Settings,
    ) -> Result<(), CloudError> {
        let Some(insights) = &self.names.target.shared.insights else {
            return Ok(());
        };
        if settings.contains_key(INSIGHTS) {
            return Ok(());
        }
        let component = match insights {
            Insights::Component(id) => {
                let found = self
                    .found(operation::INSIGHTS_GET, id, INSIGHTS_API)
                    .await?;
                found.ok_or_else(|| missing(id))?
            }
            Insights::Workspace(workspace) => self.own_component(workspace).await?,
        };
        let address = component["properties"]["ConnectionString"].as_str();
        let Some(address) = address else {
            let message = "the component tells no connection string yet".to_owned();
            return Err(unreachable(operation::INSIGHTS_GET, message));
        };
        settings.insert(INSIGHTS.to_owned(), address.to_owned());
        Ok(())
    }

    async fn own_component(&self, workspace: &str) -> Result<Value, CloudError> {
        let id = self.names.component_id();
        if let Some(found) = self
            .found(operation::INSIGHTS_GET, &id, INSIGHTS_API)
            .await?
        {
            return Ok(found);
        }
        let body = self.names.component_body(workspace);
        self.put(operation::INSIGHTS_PUT, &id, INSIGHTS_API, body)
            .await?;
        let found = self
            .found(operation::INSIGHTS_GET, &id, INSIGHTS_API)
            .await?;
        found.ok_or_else(|| {
            let message = format!("`{id}` was created and cannot be seen yet");
            unreachable(operation::INSIGHTS_GET, message)
        })
    }
}

fn missing(id: &str) -> CloudError {
    CloudError::Denied {
        cloud: CloudName::Azure,
        operation: "application insights".to_owned(),
        message: format!(
            "there is no component `{id}`: make it, or write `workspace` to have one made"
        ),
    }
}
