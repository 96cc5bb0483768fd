//! Who may call a function of others, as its policy says. Pure.

use serde_json::Value;

use crate::manifest::aws::Permission;

/// One statement of a policy.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) name: String,
    /// The function or alias that may be called.
    pub(super) target: String,
    pub(super) permission: Permission,
    /// It lets callers of the function's address in.
    pub(super) is_url: bool,
    /// What it says besides, and no permission of ours can say.
    pub(super) unsaid: Vec<String>,
}

pub(super) fn statements(policy: &Value) -> Vec<Statement> {
    let all = policy["Statement"].as_array().into_iter().flatten();
    all.map(statement).collect()
}

fn statement(told: &Value) -> Statement {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut unsaid = Vec::new();
    if told["Effect"] != "Allow" {
        unsaid.push("Effect".to_owned());
    }
    let principal = principal(&told["Principal"]).unwrap_or_else(|| {
        unsaid.push("Principal".to_owned());
        String::new()
    });
    let action = text(&told["Action"]).unwrap_or_else(|| {
        unsaid.push("Action".to_owned());
        String::new()
    });
    let mut is_url = action == "lambda:InvokeFunctionUrl";
    let mut permission = Permission {
        principal,
        action,
        source_arn: None,
        source_account: None,
    };
    let operators = told["Condition"].as_object().into_iter().flatten();
    for (key, value) in operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten()) {
        match (key.to_ascii_lowercase().as_str(), text(value)) {
            ("aws:sourcearn", Some(arn)) => permission.source_arn = Some(arn),
            ("aws:sourceaccount", Some(account)) => permission.source_account = Some(account),
            ("lambda:functionurlauthtype" | "lambda:invokedviafunctionurl", _) => is_url = true,
            _ => unsaid.push(key.clone()),
        }
    }
    Statement {
        name: text(&told["Sid"]).unwrap_or_else(|| "statement".to_owned()),
        target: text(&told["Resource"]).unwrap_or_default(),
        permission,
        is_url,
        unsaid,
    }
}

/// A service, an account, an ARN, or `*`.
fn principal(told: &Value) -> Option<String> {
    let told = match told.as_object() {
        None => told,
        Some(map) if map.len() == 1 => map.values().next()?,
        Some(_) => return None,
    };
    let text = told.as_str()?;
    let account = text
        .strip_suffix(":root")
        .and_then(|arn| arn.rsplit(':').next());
    Some(account.unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_permission_can_say_is_named() {
        let read = |statement: Value| {
            let found = statements(&json!({ "Statement": [statement] })).remove(0);
            let Permission {
                principal,
                action: _,
                source_arn,
                source_account,
            } = found.permission;
            let of = [source_arn, source_account];
            let of: Vec<String> = of.into_iter().flatten().collect();
            format!("{principal} {} | {}", of.join(" "), found.unsaid.join(" "))
        };
        let allow = |principal: Value, condition: Value| {
            json!({
                "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction",
                "Condition": condition,
            })
        };
        let gateway = json!({ "Service": "apigateway.amazonaws.com" });
        let arn = json!({ "ArnLike": { "AWS:SourceArn": "arn:x" } });
        assert_eq!(
            read(allow(gateway, arn)),
            "apigateway.amazonaws.com arn:x | "
        );
        let root = json!({ "AWS": "arn:aws:iam::123456789012:root" });
        assert_eq!(read(allow(root, json!({}))), "123456789012  | ");
        let organisation = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
        assert_eq!(
            read(allow(json!("*"), organisation)),
            "*  | aws:PrincipalOrgID"
        );
        let denied = json!({ "Effect": "Deny", "Principal": "*", "Action": "lambda:*" });
        assert_eq!(read(denied), "*  | Effect");
    }
}
