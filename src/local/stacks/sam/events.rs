//! What calls a function: schedules, queues, topics, buckets.

use serde_json::{Map, Value, json};

use super::{Resources, Written, function::Target, members};
use crate::local::stacks::{Fault, fault};

/// Members of a mapping that events of queues and streams may have.
const MAPPING: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "Enabled",
    "FilterCriteria",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "ScalingConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    "TumblingWindowInSeconds",
];

/// An event of a function.
struct Event<'e> {
    /// In the template that comes out.
    id: String,
    properties: &'e Value,
}

impl Event<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        self.properties.get(name).cloned()
    }

    /// Refuses by name what nothing here acts on.
    fn check(&self, known: &[&str]) -> Result<(), Fault> {
        let names = self.properties.as_object().into_iter().flat_map(Map::keys);
        match names
            .into_iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(name) => fault(format!(
                "Event with id [{}] is invalid: this endpoint does not know its property {name}",
                self.id
            )),
            None => Ok(()),
        }
    }
}

impl Written<'_> {
    pub(super) fn events(
        &self,
        target: &Target,
        managed: &mut Vec<&'static str>,
        out: &mut Resources,
    ) -> Result<(), Fault> {
        let written = self.property("Events").and_then(Value::as_object);
        for (name, it) in written.into_iter().flatten() {
            let event = Event {
                id: format!("{}{name}", self.name),
                properties: &it["Properties"],
            };
            match it["Type"].as_str().unwrap_or_default() {
                "Schedule" => self.schedule(&event, target, out)?,
                "SNS" => self.topic(&event, target, out)?,
                "S3" => self.bucket(&event, target, out)?,
                kind @ ("SQS" | "Kinesis" | "DynamoDB") => {
                    let (policy, source) = match kind {
                        "SQS" => ("AWSLambdaSQSQueueExecutionRole", "Queue"),
                        "Kinesis" => ("AWSLambdaKinesisExecutionRole", "Stream"),
                        _ => ("AWSLambdaDynamoDBExecutionRole", "Stream"),
                    };
                    managed.push(policy);
                    self.mapping(&event, source, target, out)?;
                }
                other => {
                    return fault(format!(
                        "Event with id [{name}] is invalid: this endpoint does not expand events of type {other}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn permission(
        &self,
        event: &Event<'_>,
        target: &Target,
        principal: &str,
        (name, value): (&str, Value),
        out: &mut Resources,
    ) {
        let properties = members([
            ("Action", Some(json!("lambda:InvokeFunction"))),
            ("FunctionName", Some(target.named())),
            ("Principal", Some(json!(principal))),
            (name, Some(value)),
        ]);
        let permission = self.resource("AWS::Lambda::Permission", properties);
        out.insert(format!("{}Permission", event.id), permission);
    }

    fn schedule(
        &self,
        event: &Event<'_>,
        target: &Target,
        out: &mut Resources,
    ) -> Result<(), Fault> {
        event.check(&[
            "Schedule",
            "Input",
            "Enabled",
            "State",
            "Name",
            "Description",
        ])?;
        let id: String = event.id.chars().take(64 - "LambdaTarget".len()).collect();
        let called = members([
            ("Arn", Some(target.arn())),
            ("Id", Some(json!(format!("{id}LambdaTarget")))),
            ("Input", event.get("Input")),
        ]);
        let enabled = event
            .get("Enabled")
            .map(|it| if it == true { "ENABLED" } else { "DISABLED" });
        let properties = members([
            ("ScheduleExpression", event.get("Schedule")),
            (
                "State",
                event.get("State").or_else(|| enabled.map(|it| json!(it))),
            ),
            ("Name", event.get("Name")),
            ("Description", event.get("Description")),
            ("Targets", Some(json!([called]))),
        ]);
        out.insert(
            event.id.clone(),
            self.resource("AWS::Events::Rule", properties),
        );
        let arn = json!({"Fn::GetAtt": [event.id, "Arn"]});
        self.permission(
            event,
            target,
            "events.amazonaws.com",
            ("SourceArn", arn),
            out,
        );
        Ok(())
    }

    fn topic(&self, event: &Event<'_>, target: &Target, out: &mut Resources) -> Result<(), Fault> {
        event.check(&["Topic", "FilterPolicy"])?;
        let topic = event.get("Topic").unwrap_or_default();
        let properties = members([
            ("Endpoint", Some(target.arn())),
            ("Protocol", Some(json!("lambda"))),
            ("TopicArn", Some(topic.clone())),
            ("FilterPolicy", event.get("FilterPolicy")),
        ]);
        out.insert(
            event.id.clone(),
            self.resource("AWS::SNS::Subscription", properties),
        );
        self.permission(
            event,
            target,
            "sns.amazonaws.com",
            ("SourceArn", topic),
            out,
        );
        Ok(())
    }

    fn mapping(
        &self,
        event: &Event<'_>,
        source: &str,
        target: &Target,
        out: &mut Resources,
    ) -> Result<(), Fault> {
        let known: Vec<_> = MAPPING.iter().copied().chain([source]).collect();
        event.check(&known)?;
        let mut properties = members([
            ("EventSourceArn", event.get(source)),
            ("FunctionName", Some(target.named())),
        ]);
        for name in MAPPING {
            properties.extend(event.get(name).map(|it| ((*name).to_owned(), it)));
        }
        let mapping = self.resource("AWS::Lambda::EventSourceMapping", properties);
        out.insert(event.id.clone(), mapping);
        Ok(())
    }

    /// The bucket is one of the same template: it is what tells.
    fn bucket(&self, event: &Event<'_>, target: &Target, out: &mut Resources) -> Result<(), Fault> {
        event.check(&["Bucket", "Events", "Filter"])?;
        let named = event.properties["Bucket"]["Ref"]
            .as_str()
            .unwrap_or_default();
        let events = as_list(event.get("Events").unwrap_or_default());
        let told = events.into_iter().map(|it| {
            let members = members([
                ("Function", Some(target.arn())),
                ("Filter", event.get("Filter")),
                ("Event", Some(it)),
            ]);
            Value::Object(members)
        });
        let told: Vec<_> = told.collect();
        let Some(bucket) = out
            .get_mut(named)
            .filter(|it| it["Type"] == "AWS::S3::Bucket")
        else {
            return fault(format!(
                "Event with id [{}] is invalid. S3 events must reference an S3 bucket in the same template.",
                event.id
            ));
        };
        let needs = as_list(bucket["DependsOn"].take());
        let permission = json!(format!("{}Permission", event.id));
        bucket["DependsOn"] = needs.into_iter().chain([permission]).collect();
        let all = &mut bucket["Properties"]["NotificationConfiguration"]["LambdaConfigurations"];
        let before = all.as_array().cloned().unwrap_or_default();
        *all = before.into_iter().chain(told).collect();
        let account = json!({"Ref": "AWS::AccountId"});
        self.permission(
            event,
            target,
            "s3.amazonaws.com",
            ("SourceAccount", account),
            out,
        );
        Ok(())
    }
}

/// One stands for a list of one.
fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        Value::Null => Vec::new(),
        one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            vec![one]
        }
    }
}
