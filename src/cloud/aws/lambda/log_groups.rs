//! Operations on log groups of CloudWatch, one function each.

use serde_json::json;

use super::{json::Json, signed::Signed};
use crate::cloud::CloudError;

/// CloudWatch Logs.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct LogGroups(pub(super) Signed);

impl LogGroups {
    /// Quiet where it is there.
    pub(in crate::cloud::aws) async fn create(&self, group: &str) -> Result<(), CloudError> {
        let body = json!({"logGroupName": group});
        let asked = self
            .0
            .ask_json(asking("CreateLogGroup", group, &body))
            .await?;
        match asked {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == "ResourceAlreadyExistsException" => Ok(()),
            Err(refusal) => Err(refusal.sorted("CreateLogGroup", group)),
        }
    }

    pub(in crate::cloud::aws) async fn keep_for(
        &self,
        group: &str,
        days: u32,
    ) -> Result<(), CloudError> {
        let body = json!({"logGroupName": group, "retentionInDays": days});
        let asked = self
            .0
            .ask_json(asking("PutRetentionPolicy", group, &body))
            .await?;
        asked
            .map(drop)
            .map_err(|refusal| refusal.sorted("PutRetentionPolicy", group))
    }
}

fn asking<'a>(operation: &'a str, group: &'a str, body: &'a serde_json::Value) -> Json<'a> {
    Json {
        service: "logs",
        protocol: "Logs_20140328",
        version: "1.1",
        operation,
        resource: group,
        body,
    }
}
