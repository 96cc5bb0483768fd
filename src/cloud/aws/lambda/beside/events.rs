//! Operations on rules of EventBridge, which call a function by the clock.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::signed::{Signed, json::Service};
use crate::cloud::{
    CloudError,
    unseen::{there, until_told},
};

const EVENTS: Service = Service {
    name: "events",
    protocol: "AWSEvents",
    version: "1.1",
};

/// Of a rule, the one target that is ours.
const TARGET: &str = "blue";

/// EventBridge.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Events(pub(in crate::cloud::aws::lambda) Signed);

/// A rule as it stands.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Rule {
    pub(in crate::cloud::aws) expression: String,
    pub(in crate::cloud::aws) is_enabled: bool,
}

impl Events {
    /// None where there is no such rule.
    pub(in crate::cloud::aws) async fn rule(&self, name: &str) -> Result<Option<Rule>, CloudError> {
        let mark = |told: &Option<Rule>, _: &str| told.as_ref().map(|it| it.expression.clone());
        let told = until_told!(self.0.unseen, one(name), mark, self.rule_now(name).await?);
        Ok(told)
    }

    async fn rule_now(&self, name: &str) -> Result<Option<Rule>, CloudError> {
        let told = self
            .ask("DescribeRule", name, &json!({"Name": name}))
            .await?;
        Ok(told.map(|told| Rule {
            expression: text(&told, "ScheduleExpression"),
            is_enabled: told["State"] == "ENABLED",
        }))
    }

    /// ARNs of what a rule calls.
    pub(in crate::cloud::aws) async fn targets(
        &self,
        rule: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let mark = |told: &BTreeSet<String>, arn: &str| there(told.contains(arn));
        let told = until_told!(
            self.0.unseen,
            targets_of(rule),
            mark,
            self.targets_now(rule).await?
        );
        Ok(told)
    }

    async fn targets_now(&self, rule: &str) -> Result<BTreeSet<String>, CloudError> {
        let asked = json!({"Rule": rule});
        let told = self.ask("ListTargetsByRule", rule, &asked).await?;
        let told = told.unwrap_or_default();
        let targets = told["Targets"].as_array().into_iter().flatten();
        Ok(targets.map(|target| text(target, "Arn")).collect())
    }

    /// Of a rule that is there already, EventBridge leaves the tags as they are.
    pub(in crate::cloud::aws) async fn put_rule(
        &self,
        name: &str,
        expression: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let tags = tags.iter();
        let tags = tags.map(|(tag, value)| json!({"Key": tag, "Value": value}));
        let asked = json!({
            "Name": name,
            "ScheduleExpression": expression,
            "State": "ENABLED",
            "Description": "made by Verdigris",
            "Tags": tags.collect::<Vec<_>>(),
        });
        self.ask("PutRule", name, &asked).await?;
        let now = Some(expression.to_owned());
        self.0.unseen.wrote(&one(name), "", now);
        Ok(())
    }

    pub(in crate::cloud::aws) async fn put_target(
        &self,
        rule: &str,
        arn: &str,
    ) -> Result<(), CloudError> {
        let asked = json!({"Rule": rule, "Targets": [{"Id": TARGET, "Arn": arn}]});
        self.ask("PutTargets", rule, &asked).await?;
        self.0.unseen.wrote(&targets_of(rule), arn, there(true));
        Ok(())
    }

    /// A rule with targets cannot be deleted.
    pub(in crate::cloud::aws) async fn remove_rule(&self, name: &str) -> Result<(), CloudError> {
        let asked = json!({"Rule": name, "Ids": [TARGET]});
        self.ask("RemoveTargets", name, &asked).await?;
        let asked = json!({"Name": name});
        self.ask("DeleteRule", name, &asked).await?;
        self.0.unseen.wrote(&one(name), "", None);
        self.0.unseen.forget(&targets_of(name));
        Ok(())
    }

    /// None where it is about something that is not there.
    async fn ask(
        &self,
        operation: &str,
        resource: &str,
        body: &Value,
    ) -> Result<Option<Value>, CloudError> {
        let asked = self.0.ask_json(EVENTS, operation, resource, body);
        match asked.await? {
            Ok(told) => Ok(Some(told)),
            Err(refusal) if refusal.kind == "ResourceNotFoundException" => Ok(None),
            Err(refusal) => Err(refusal.sorted(operation, resource)),
        }
    }
}

fn one(rule: &str) -> String {
    format!("rule {rule}")
}

fn targets_of(rule: &str) -> String {
    format!("targets of {rule}")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
