//! The account's log of calls, CloudTrail.

use serde_json::{Value, json};

use super::super::signed::{
    Signed,
    json::{Service, next},
};
use crate::{cloud::CloudError, name::Timestamp};

const TRAIL: Service = Service {
    name: "cloudtrail",
    protocol: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    version: "1.1",
};

/// Pages of 50 that are read at most: two calls a second are granted, for which there is a bucket; and what is newest comes first.
const PAGES_MAX: usize = 4;

/// CloudTrail's history of the last 90 days, which every account has.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Trail(pub(in crate::cloud::aws::lambda) Signed);

impl Trail {
    /// Of the region that has what was done to roles.
    pub(in crate::cloud::aws) fn of_iam(&self) -> Self {
        Self(self.0.at_home_of_iam())
    }

    /// What was called since a moment, by one attribute: the interface takes no more.
    pub(in crate::cloud::aws) async fn calls(
        &self,
        attribute: &str,
        value: &str,
        since: Timestamp,
    ) -> Result<Vec<Value>, CloudError> {
        const OPERATION: &str = "LookupEvents";
        let mut body = json!({
            "LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}],
            "StartTime": since.millis() / 1000,
            "MaxResults": 50,
        });
        let mut calls = Vec::new();
        for _ in 0..PAGES_MAX {
            let told = self.0.ask_json(TRAIL, OPERATION, value, &body).await?;
            let mut told = told.map_err(|refusal| refusal.sorted(OPERATION, value))?;
            if let Value::Array(events) = told["Events"].take() {
                calls.extend(events);
            }
            match next(&mut told, "NextToken") {
                Some(token) => body["NextToken"] = token,
                None => break,
            }
        }
        Ok(calls)
    }
}
