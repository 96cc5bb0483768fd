//! Resource policies: who may call what, one per function, version or alias.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::local::lambda::wire::ApiError;

/// The statements of one resource.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::local::lambda) struct Policy {
    pub(in crate::local::lambda) statements: Vec<Value>,
    pub(in crate::local::lambda) revision: Uuid,
}

/// What AddPermission asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::local::lambda) struct PermissionRequest {
    pub(in crate::local::lambda) statement_id: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org: Option<String>,
    function_url_auth_type: Option<String>,
    invoked_via_function_url: Option<bool>,
    pub(in crate::local::lambda) revision_id: Option<String>,
}

impl PermissionRequest {
    /// The statement, in the words of IAM.
    pub(in crate::local::lambda) fn statement(&self, resource: &str) -> Result<Value, ApiError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.statement_id.is_empty() || !self.statement_id.chars().all(legal) {
            let rule = "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)";
            return Err(ApiError::validation(
                &self.statement_id,
                "statementId",
                rule,
            ));
        }
        if !self.action.starts_with("lambda:") && self.action != "*" {
            let rule = r"Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])";
            return Err(ApiError::validation(&self.action, "action", rule));
        }
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": self.principal()?,
            "Action": self.action,
            "Resource": resource,
        });
        let condition = self.condition();
        if !condition.is_empty() {
            statement["Condition"] = Value::Object(condition);
        }
        Ok(statement)
    }

    fn principal(&self) -> Result<Value, ApiError> {
        let text = &self.principal;
        let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if text == "*" {
            Ok(json!("*"))
        } else if text.ends_with(".amazonaws.com") {
            Ok(json!({"Service": text}))
        } else if is_account {
            Ok(json!({"AWS": format!("arn:aws:iam::{text}:root")}))
        } else if text.starts_with("arn:aws") && text.contains(":iam::") {
            Ok(json!({"AWS": text}))
        } else {
            Err(ApiError::invalid(
                "The provided principal was invalid. Please check the principal and try again.",
            ))
        }
    }

    fn condition(&self) -> Map<String, Value> {
        let equals = [
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:EventSourceToken", &self.event_source_token),
            ("aws:PrincipalOrgID", &self.principal_org),
        ];
        let equals: Map<String, Value> = equals
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))))
            .collect();
        let mut condition = Map::new();
        if !equals.is_empty() {
            condition.insert("StringEquals".to_owned(), Value::Object(equals));
        }
        if let Some(via) = self.invoked_via_function_url {
            let via = json!({"lambda:InvokedViaFunctionUrl": via.to_string()});
            condition.insert("Bool".to_owned(), via);
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".to_owned(), json!({"AWS:SourceArn": arn}));
        }
        condition
    }
}

impl Policy {
    /// Whether anybody may call through a function URL without a signature.
    ///
    /// It takes two statements: one for the URL, one for the function when it is called by URL.
    pub(in crate::local::lambda) fn is_public(&self) -> bool {
        let any = |action: &str, key: &[&str], value: &str| {
            self.statements.iter().any(|statement| {
                let condition = key
                    .iter()
                    .try_fold(&statement["Condition"], |at, name| at.get(name));
                let met = statement.get("Condition").is_none()
                    || condition.and_then(Value::as_str) == Some(value);
                statement["Principal"] == "*" && statement["Action"] == action && met
            })
        };
        any(
            "lambda:InvokeFunctionUrl",
            &["StringEquals", "lambda:FunctionUrlAuthType"],
            "NONE",
        ) && any(
            "lambda:InvokeFunction",
            &["Bool", "lambda:InvokedViaFunctionUrl"],
            "true",
        )
    }

    /// Whether a service may call for this resource of its own.
    pub(in crate::local::lambda) fn permits(&self, service: &str, source: &str) -> bool {
        self.statements.iter().any(|statement| {
            let wanted = statement["Condition"]["ArnLike"]["AWS:SourceArn"].as_str();
            let calls = ["lambda:InvokeFunction", "lambda:*", "*"];
            statement["Principal"]["Service"] == service
                && calls.iter().any(|action| statement["Action"] == *action)
                && wanted.is_none_or(|wanted| match wanted.split_once('*') {
                    Some((start, end)) => source.starts_with(start) && source.ends_with(end),
                    None => wanted == source,
                })
        })
    }

    pub(in crate::local::lambda) fn text(&self) -> String {
        json!({"Version": "2012-10-17", "Id": "default", "Statement": self.statements}).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(requests: &[Value]) -> Policy {
        let statement = |request: &Value| {
            let request: PermissionRequest = serde_json::from_value(request.clone()).unwrap();
            request.statement("arn").unwrap()
        };
        Policy {
            statements: requests.iter().map(statement).collect(),
            revision: Uuid::nil(),
        }
    }

    #[test]
    fn a_public_address_takes_both_statements() {
        let url = json!({"StatementId": "a", "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"});
        let call = json!({"StatementId": "b", "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": true});
        let iam = json!({"StatementId": "a", "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "AWS_IAM"});
        let open = json!({"StatementId": "c", "Action": "lambda:InvokeFunction", "Principal": "*"});
        let cases = [
            (vec![url.clone(), call.clone()], true),
            (vec![url.clone(), open], true),
            (vec![url], false),
            (vec![iam, call], false),
            (vec![], false),
        ];
        for (requests, expected) in cases {
            assert_eq!(policy(&requests).is_public(), expected, "{requests:?}");
        }
    }
}
