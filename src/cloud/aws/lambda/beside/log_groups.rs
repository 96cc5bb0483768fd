//! Operations on log groups of CloudWatch, one function each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::signed::{
    Signed,
    json::{Service, next},
};
use super::newest::{Newest, Step};
use crate::{
    cloud::CloudError,
    name::Timestamp,
    observed::talk::{LogLine, LogsTold, LogsWanted},
};

const LOGS: Service = Service {
    name: "logs",
    protocol: "Logs_20140328",
    version: "1.1",
};

/// CloudWatch Logs.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct LogGroups(pub(in crate::cloud::aws::lambda) Signed);

impl LogGroups {
    /// False where it is there already; nothing of it is changed then.
    pub(in crate::cloud::aws) async fn create(
        &self,
        group: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<bool, CloudError> {
        let body = json!({"logGroupName": group, "tags": tags});
        let asked = self.0.ask_json(LOGS, "CreateLogGroup", group, &body);
        match asked.await? {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.kind == "ResourceAlreadyExistsException" => Ok(false),
            Err(refusal) => Err(refusal.sorted("CreateLogGroup", group)),
        }
    }

    /// The newest lines; nothing where there is no such group: Lambda makes it when the function first writes.
    pub(in crate::cloud::aws) async fn lines(
        &self,
        group: &str,
        wanted: &LogsWanted,
        now: Timestamp,
    ) -> Result<LogsTold, CloudError> {
        const OPERATION: &str = "FilterLogEvents";
        let mut body = json!({"logGroupName": group});
        if let Some(text) = &wanted.containing {
            body["filterPattern"] = format!("\"{}\"", text.replace('"', "\\\"")).into();
        }
        let mut newest = Newest::new(wanted.since, now, wanted.lines_max);
        let mut cut = None;
        loop {
            let (from, until) = newest.window();
            body["startTime"] = from.millis().into();
            body["endTime"] = until.millis().into();
            let asked = self.0.ask_json(LOGS, OPERATION, group, &body);
            let mut told = match asked.await? {
                Ok(told) => told,
                Err(refusal) if refusal.kind == "ResourceNotFoundException" => break,
                Err(refusal) => return Err(refusal.sorted(OPERATION, group)),
            };
            let events = told["events"].as_array().into_iter().flatten();
            let lines = events.filter_map(line).collect();
            let token = next(&mut told, "nextToken");
            match newest.page(lines, token.is_some()) {
                Step::Next => body["nextToken"] = token.unwrap_or_default(),
                Step::Other => drop(body.as_object_mut().and_then(|it| it.remove("nextToken"))),
                Step::Done => break,
                Step::Cut(at) => {
                    cut = Some(at);
                    break;
                }
            }
        }
        Ok(LogsTold {
            lines: newest.lines(),
            missing_before: cut,
        })
    }

    /// How many days it keeps what was written; none where it keeps it for ever, or is not there.
    pub(in crate::cloud::aws) async fn kept(&self, group: &str) -> Result<Option<u32>, CloudError> {
        const OPERATION: &str = "DescribeLogGroups";
        // In order of their names: the one that is called so comes before those that begin so.
        let body = json!({"logGroupNamePrefix": group, "limit": 1});
        let told = self.0.ask_json(LOGS, OPERATION, group, &body).await?;
        let told = told.map_err(|refusal| refusal.sorted(OPERATION, group))?;
        let first = &told["logGroups"][0];
        let days = first["retentionInDays"].as_u64();
        let days = days.filter(|_| first["logGroupName"] == group);
        Ok(days.and_then(|days| u32::try_from(days).ok()))
    }

    /// Of a group, by its ARN; none where there is no such group.
    pub(in crate::cloud::aws) async fn tags(
        &self,
        arn: &str,
    ) -> Result<BTreeMap<String, String>, CloudError> {
        const OPERATION: &str = "ListTagsForResource";
        let body = json!({"resourceArn": arn});
        let told = match self.0.ask_json(LOGS, OPERATION, arn, &body).await? {
            Ok(told) => told,
            Err(refusal) if refusal.kind == "ResourceNotFoundException" => {
                return Ok(BTreeMap::new());
            }
            Err(refusal) => return Err(refusal.sorted(OPERATION, arn)),
        };
        let tags = told["tags"].as_object().into_iter().flatten();
        let tags = tags.filter_map(|(tag, value)| Some((tag.clone(), value.as_str()?.to_owned())));
        Ok(tags.collect())
    }

    /// Quiet where there is no such group.
    pub(in crate::cloud::aws) async fn keep_for_ever(&self, group: &str) -> Result<(), CloudError> {
        const OPERATION: &str = "DeleteRetentionPolicy";
        let body = json!({"logGroupName": group});
        match self.0.ask_json(LOGS, OPERATION, group, &body).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == "ResourceNotFoundException" => Ok(()),
            Err(refusal) => Err(refusal.sorted(OPERATION, group)),
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
            .ask_json(LOGS, "PutRetentionPolicy", group, &body)
            .await?;
        asked
            .map(drop)
            .map_err(|refusal| refusal.sorted("PutRetentionPolicy", group))
    }
}

fn line(event: &Value) -> Option<LogLine> {
    Some(LogLine {
        at: Timestamp::from_millis(event["timestamp"].as_i64()?),
        text: event["message"].as_str()?.trim_end().to_owned(),
    })
}
