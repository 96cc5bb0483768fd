//! Values that CloudFormation would have put together: known where the file itself names what it makes, and unknown elsewhere.

use serde_yaml::Value;

use super::tree::scalar_text;

/// What pseudo parameters stand for, and what the file makes.
pub(super) struct Stack<'v> {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) stage: String,
    pub(super) service: String,
    /// `resources.Resources`, of all parts.
    pub(super) resources: Vec<&'v Value>,
}

/// A function of CloudFormation's and what it is given.
fn intrinsic(value: &Value) -> Option<(String, &Value)> {
    match value {
        Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            Some((tag.trim_start_matches('!').to_owned(), &tagged.value))
        }
        Value::Mapping(map) if map.len() == 1 => {
            let (key, value) = map.iter().next()?;
            let key = key.as_str()?;
            let name = key
                .strip_prefix("Fn::")
                .or((key == "Ref").then_some("Ref"))?;
            Some((name.to_owned(), value))
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)
        | Value::Mapping(_) => None,
    }
}

impl Stack<'_> {
    /// The text that a value stands for.
    ///
    /// # Errors
    ///
    /// Says what nobody knows before CloudFormation has run.
    pub(super) fn text(&self, value: &Value) -> Result<String, String> {
        if let Some((name, given)) = intrinsic(value) {
            return self.call(&name, given);
        }
        let text = scalar_text(value).ok_or("is no text")?;
        match unknown_variable(&text) {
            Some(variable) => Err(format!("`{variable}` is known to Serverless only")),
            None => Ok(text),
        }
    }

    /// Whether CloudFormation would put it together.
    pub(super) fn is_call(value: &Value) -> bool {
        intrinsic(value).is_some()
    }

    fn call(&self, name: &str, given: &Value) -> Result<String, String> {
        match name {
            "Ref" => self.reference(given.as_str().unwrap_or_default()),
            "GetAtt" => {
                let parts: Vec<String> = match given.as_sequence() {
                    Some(list) => list.iter().filter_map(scalar_text).collect(),
                    None => given
                        .as_str()
                        .unwrap_or_default()
                        .splitn(2, '.')
                        .map(str::to_owned)
                        .collect(),
                };
                self.attribute(&parts)
            }
            "Sub" => {
                let text = given
                    .as_sequence()
                    .and_then(|list| list.first())
                    .unwrap_or(given);
                self.substitute(text.as_str().unwrap_or_default())
            }
            "Join" => self.join(given),
            _ => Err(format!("`Fn::{name}` is worked out by CloudFormation")),
        }
    }

    fn join(&self, given: &Value) -> Result<String, String> {
        let separator = given.get(0).and_then(Value::as_str);
        let parts = given.get(1).and_then(Value::as_sequence);
        let (Some(separator), Some(parts)) = (separator, parts) else {
            return Err("`Fn::Join` is worked out by CloudFormation".to_owned());
        };
        let parts: Result<Vec<String>, String> = parts.iter().map(|part| self.text(part)).collect();
        Ok(parts?.join(separator))
    }

    fn substitute(&self, template: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            text.push_str(before);
            match name.split_once('.') {
                // A variable of ours that was left for the daemon.
                _ if name.contains(':') && !name.contains("::") => {
                    text.push_str(&format!("${{{name}}}"));
                }
                Some((resource, attribute)) => {
                    text.push_str(&self.attribute(&[resource.to_owned(), attribute.to_owned()])?);
                }
                None => text.push_str(&self.reference(name)?),
            }
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    fn reference(&self, name: &str) -> Result<String, String> {
        let Self {
            region,
            account,
            stage,
            service,
            resources: _,
        } = self;
        match name {
            "AWS::Region" => return Ok(region.clone()),
            "AWS::AccountId" => return Ok(account.clone()),
            "AWS::Partition" => return Ok("aws".to_owned()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".to_owned()),
            "AWS::StackName" => return Ok(format!("{service}-{stage}")),
            _ => {}
        }
        let unknown = || format!("`{name}` gets its name from CloudFormation");
        let (kind, given) = self.named(name).ok_or_else(unknown)?;
        match kind {
            "AWS::SQS::Queue" => Ok(format!(
                "https://sqs.{region}.amazonaws.com/{account}/{given}"
            )),
            "AWS::SNS::Topic" => Ok(format!("arn:aws:sns:{region}:{account}:{given}")),
            _ => Ok(given),
        }
    }

    fn attribute(&self, parts: &[String]) -> Result<String, String> {
        let [name, attribute] = parts else {
            return Err("`Fn::GetAtt` is worked out by CloudFormation".to_owned());
        };
        let unknown = || format!("`{name}.{attribute}` is known to CloudFormation only");
        let (kind, given) = self.named(name).ok_or_else(unknown)?;
        let Self {
            region, account, ..
        } = self;
        match (kind, attribute.as_str()) {
            ("AWS::SQS::Queue", "Arn") => Ok(format!("arn:aws:sqs:{region}:{account}:{given}")),
            ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") => Ok(given),
            ("AWS::SNS::Topic", "TopicArn") => {
                Ok(format!("arn:aws:sns:{region}:{account}:{given}"))
            }
            ("AWS::S3::Bucket", "Arn") => Ok(format!("arn:aws:s3:::{given}")),
            ("AWS::DynamoDB::Table", "Arn") => {
                Ok(format!("arn:aws:dynamodb:{region}:{account}:table/{given}"))
            }
            ("AWS::Kinesis::Stream", "Arn") => {
                Ok(format!("arn:aws:kinesis:{region}:{account}:stream/{given}"))
            }
            ("AWS::IAM::Role", "Arn") => Ok(format!("arn:aws:iam::{account}:role/{given}")),
            _ => Err(unknown()),
        }
    }

    /// The kind of a resource of the file, and the name that the file gives it.
    fn named(&self, name: &str) -> Option<(&str, String)> {
        let resource = self
            .resources
            .iter()
            .find_map(|resources| resources.get(name))?;
        let kind = resource.get("Type")?.as_str()?;
        let key = match kind {
            "AWS::SQS::Queue" => "QueueName",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::S3::Bucket" => "BucketName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::Kinesis::Stream" => "Name",
            "AWS::IAM::Role" => "RoleName",
            _ => return None,
        };
        let given = resource.get("Properties")?.get(key)?;
        // A name that is put together from pseudo parameters is as good; one that refers to resources could refer to itself.
        let is_plain = match intrinsic(given) {
            None => true,
            Some((name, template)) => {
                name == "Sub" && template.as_str().is_some_and(names_no_resource)
            }
        };
        let given = is_plain.then(|| self.text(given).ok())??;
        Some((kind, given))
    }
}

fn names_no_resource(template: &str) -> bool {
    let mut names = template.split("${").skip(1);
    names.all(|name| {
        name.split('}')
            .next()
            .is_some_and(|name| name.contains(':'))
    })
}

/// A `${…}` that is none of ours.
pub(super) fn unknown_variable(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let (name, _) = after.split_once('}')?;
        let is_ours = ["env:", "param:", "git:"]
            .iter()
            .any(|ours| name.starts_with(ours));
        if !is_ours {
            return Some(format!("${{{name}}}"));
        }
        rest = after;
    }
    None
}
