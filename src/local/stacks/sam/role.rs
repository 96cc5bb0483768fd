//! The role that a function gets which was given none.

use serde_json::{Value, json};

use super::{Written, members};
use crate::local::stacks::{Fault, fault};

/// Policies of AWS's own that do not lie where the others do.
const OF_SERVICES: &[&str] = &[
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaENIManagementAccess",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaMSKExecutionRole",
    "AWSLambdaRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
];

/// The tags of SAM and of the function.
pub(super) fn tag_list(tags: Option<&Value>) -> Value {
    let own = tags.and_then(Value::as_object).into_iter().flatten();
    let own = own.map(|(key, value)| json!({"Key": key, "Value": value}));
    let sam = json!({"Key": "lambda:createdBy", "Value": "SAM"});
    [sam].into_iter().chain(own).collect()
}

fn managed(name: &str) -> Value {
    let place = if OF_SERVICES.contains(&name) {
        "service-role/"
    } else {
        ""
    };
    json!(format!("arn:aws:iam::aws:policy/{place}{name}"))
}

impl Written<'_> {
    /// `events` are the policies that events ask for.
    pub(super) fn role(&self, events: &[&str]) -> Result<Value, Fault> {
        let traced = self.traced().map(|_| "AWSXrayWriteOnlyAccess");
        let in_network = self
            .property("VpcConfig")
            .map(|_| "AWSLambdaVPCAccessExecutionRole");
        let basic = ["AWSLambdaBasicExecutionRole"].into_iter();
        let mut arns: Vec<_> = basic.chain(traced).chain(in_network).map(managed).collect();
        let mut policies: Vec<_> = self.letters()?.into_iter().collect();
        for (index, entry) in self.policies().into_iter().enumerate() {
            self.policy(index, entry, &mut arns, &mut policies)?;
        }
        for name in events {
            push(&mut arns, managed(name));
        }
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com"]}}],
        });
        let trust = self
            .property("AssumeRolePolicyDocument")
            .cloned()
            .unwrap_or(trust);
        let properties = members([
            ("AssumeRolePolicyDocument", Some(trust)),
            ("ManagedPolicyArns", Some(Value::Array(arns))),
            (
                "Policies",
                (!policies.is_empty()).then_some(Value::Array(policies)),
            ),
            ("Path", self.property("RolePath").cloned()),
            (
                "PermissionsBoundary",
                self.property("PermissionsBoundary").cloned(),
            ),
            ("Tags", Some(tag_list(self.property("Tags")))),
        ]);
        Ok(self.resource("AWS::IAM::Role", properties))
    }

    /// One of the policies: by its name or address, or as it is.
    fn policy(
        &self,
        index: usize,
        entry: Value,
        arns: &mut Vec<Value>,
        policies: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        if let Some(name) = entry.as_str() {
            let is_address = name.starts_with("arn:");
            let arn = if is_address {
                json!(name)
            } else {
                managed(name)
            };
            push(arns, arn);
            return Ok(());
        }
        if entry.get("Statement").is_some() {
            let name = format!("{}RolePolicy{index}", self.name);
            policies.push(json!({"PolicyName": name, "PolicyDocument": entry}));
            return Ok(());
        }
        let members = entry.as_object();
        let name = members.and_then(|it| it.keys().next());
        let name = name.map_or("", String::as_str);
        if name != "Ref" && !name.starts_with("Fn::") {
            return fault(format!(
                "this endpoint does not know the policy template {name}"
            ));
        }
        push(arns, entry);
        Ok(())
    }

    fn policies(&self) -> Vec<Value> {
        match self.property("Policies") {
            None => Vec::new(),
            Some(Value::Array(all)) => all.clone(),
            Some(one) => vec![one.clone()],
        }
    }

    /// What it takes to write to the dead letters.
    fn letters(&self) -> Result<Option<Value>, Fault> {
        let Some(letters) = self.property("DeadLetterQueue") else {
            return Ok(None);
        };
        let action = match letters["Type"].as_str() {
            Some("SQS") => "sqs:SendMessage",
            Some("SNS") => "sns:Publish",
            Some(_) | None => return fault("'DeadLetterQueue' requires Type of ['SQS', 'SNS']"),
        };
        let statement =
            json!({"Action": action, "Resource": letters["TargetArn"], "Effect": "Allow"});
        Ok(Some(json!({
            "PolicyName": "DeadLetterQueuePolicy",
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        })))
    }
}

fn push(all: &mut Vec<Value>, one: Value) {
    if !all.contains(&one) {
        all.push(one);
    }
}
