//! What one statement of a policy says: to be compared with what was asked for, told, and taken over into a manifest. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::aws::Permission;

/// Statements by their names.
pub(in crate::cloud::aws) type Policy = BTreeMap<String, Statement>;

/// Who may do what, and when.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Statement {
    /// Empty where it has none.
    pub(in crate::cloud::aws) name: String,
    /// The function or alias that may be called.
    pub(in crate::cloud::aws) target: String,
    allows: bool,
    principals: BTreeSet<String>,
    actions: BTreeSet<String>,
    /// By their keys in small letters: IAM takes any.
    conditions: BTreeMap<String, String>,
}

const SOURCE_ARN: &str = "aws:sourcearn";
const SOURCE_ACCOUNT: &str = "aws:sourceaccount";
/// They say how somebody calls, and not who.
const BY_URL: [&str; 2] = ["lambda:functionurlauthtype", "lambda:invokedviafunctionurl"];
/// They compare as Lambda's own statements do; of ARNs, both mean the same.
const PLAIN: [&str; 4] = ["ArnEquals", "ArnLike", "StringEquals", "Bool"];

/// What a manifest can say of a statement.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Sayable {
    pub(in crate::cloud::aws) permission: Permission,
    /// What it says besides, and no permission of ours can say.
    pub(in crate::cloud::aws) unsaid: Vec<String>,
}

impl Statement {
    fn read(told: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let set = |value: &Value| {
            let mut found = BTreeSet::new();
            texts(value, &mut found);
            found
        };
        let mut conditions = BTreeMap::new();
        for (operator, keys) in told["Condition"].as_object().into_iter().flatten() {
            let is_plain = PLAIN.contains(&operator.as_str());
            for (key, value) in keys.as_object().into_iter().flatten() {
                let key = key.to_lowercase();
                let key = if is_plain {
                    key
                } else {
                    format!("{operator} {key}")
                };
                let values: Vec<_> = set(value).into_iter().collect();
                conditions.insert(key, values.join(","));
            }
        }
        Self {
            name: text(&told["Sid"]),
            target: text(&told["Resource"]),
            allows: told["Effect"] == "Allow",
            principals: set(&told["Principal"]),
            actions: set(&told["Action"]),
            conditions,
        }
    }

    /// Whether it says this and nothing else.
    pub(in crate::cloud::aws) fn is(&self, permission: &Permission) -> bool {
        let Sayable {
            permission: said,
            unsaid,
        } = self.sayable();
        // An account may be asked for by its root.
        let principal = account_of(&permission.principal);
        let asked = Permission {
            principal: principal.unwrap_or(&permission.principal).to_owned(),
            ..permission.clone()
        };
        let by_url = self.conditions.keys().any(|key| is_of_url(key));
        unsaid.is_empty() && !by_url && said == asked
    }

    /// What it says, in the words of manifests; what they have no words for stands beside the action.
    pub(in crate::cloud::aws) fn permission(&self) -> Permission {
        let known = |key: &&String| [SOURCE_ARN, SOURCE_ACCOUNT].contains(&key.as_str());
        let mut action = join(&self.actions);
        if !self.allows {
            action = format!("not {action}");
        }
        for (key, value) in self.conditions.iter().filter(|(key, _)| !known(key)) {
            action += &format!(" if {key} is {value}");
        }
        Permission {
            principal: join(&self.principals),
            action,
            source_arn: self.conditions.get(SOURCE_ARN).cloned(),
            source_account: self.conditions.get(SOURCE_ACCOUNT).cloned(),
        }
    }

    /// What a manifest can say of it: an account by its number, and one of everything. How somebody calls is left out.
    pub(in crate::cloud::aws) fn sayable(&self) -> Sayable {
        let mut unsaid = Vec::new();
        if !self.allows {
            unsaid.push("Effect".to_owned());
        }
        let mut only = |name: &str, set: &BTreeSet<String>| match set.len() {
            1 => join(set),
            _ => {
                unsaid.push(name.to_owned());
                String::new()
            }
        };
        let principal = only("Principal", &self.principals);
        let action = only("Action", &self.actions);
        let mut permission = Permission {
            principal: account_of(&principal).map_or_else(|| principal.clone(), str::to_owned),
            action,
            source_arn: None,
            source_account: None,
        };
        for (key, value) in &self.conditions {
            match key.as_str() {
                SOURCE_ARN => permission.source_arn = Some(value.clone()),
                SOURCE_ACCOUNT => permission.source_account = Some(value.clone()),
                key if is_of_url(key) => {}
                key => unsaid.push(key.to_owned()),
            }
        }
        Sayable { permission, unsaid }
    }

    /// Lets everyone in: nothing says who it must be. A statement that only lets in by URL says no more than a public URL does.
    pub(in crate::cloud::aws) fn is_open(&self, has_public_url: bool) -> bool {
        let by_url = self.conditions.keys().any(|key| is_of_url(key));
        self.is_for_all()
            && self.conditions.keys().all(|key| is_of_url(key))
            && !(by_url && has_public_url)
    }

    /// It lets callers of the function's address in.
    pub(in crate::cloud::aws) fn is_by_url(&self) -> bool {
        let by_url = self.conditions.keys().any(|key| is_of_url(key));
        by_url || self.actions.contains("lambda:InvokeFunctionUrl")
    }

    pub(super) fn is_for_all(&self) -> bool {
        self.allows && self.principals.contains("*")
    }
}

/// Of a policy as it is written, in its order.
pub(super) fn statements(policy: &str) -> Vec<Statement> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"].as_array().into_iter().flatten();
    statements.map(Statement::read).collect()
}

/// Those that have a name: no other can be taken away.
pub(super) fn named(statements: Vec<Statement>) -> Policy {
    let named = statements.into_iter().filter(|it| !it.name.is_empty());
    named.map(|it| (it.name.clone(), it)).collect()
}

/// Every text in a value, however deep: IAM takes one or a list of them, by kind or plain.
pub(in crate::cloud::aws) fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(all) => all.iter().for_each(|it| texts(it, found)),
        Value::Object(all) => all.values().for_each(|it| texts(it, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn join(set: &BTreeSet<String>) -> String {
    set.iter().cloned().collect::<Vec<_>>().join(",")
}

fn is_of_url(key: &str) -> bool {
    BY_URL.contains(&key)
}

/// An account is told as its root.
fn account_of(principal: &str) -> Option<&str> {
    let arn = principal.strip_suffix(":root")?;
    arn.rsplit(':').next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allow(principal: Value, condition: Value) -> Value {
        json!({
            "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction",
            "Condition": condition,
        })
    }

    #[test]
    fn what_no_permission_can_say_is_named() {
        let arn = json!({ "ArnLike": { "AWS:SourceArn": "arn:x" } });
        let another = json!({ "StringNotEquals": { "AWS:SourceArn": "arn:x" } });
        let gateway = json!({ "Service": "apigateway.amazonaws.com" });
        let root = json!({ "AWS": "arn:aws:iam::123456789012:root" });
        let both = json!({ "AWS": ["123456789012", "999999999999"] });
        let organisation = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
        let denied = json!({ "Effect": "Deny", "Principal": "*", "Action": "lambda:*" });
        let table = [
            (
                allow(gateway.clone(), arn),
                "apigateway.amazonaws.com arn:x | ",
            ),
            (
                allow(gateway, another),
                "apigateway.amazonaws.com  | StringNotEquals aws:sourcearn",
            ),
            (allow(root, json!({})), "123456789012  | "),
            (allow(both, json!({})), "  | Principal"),
            (allow(json!("*"), organisation), "*  | aws:principalorgid"),
            (denied, "*  | Effect"),
        ];
        for (told, expected) in table {
            let Sayable { permission, unsaid } = Statement::read(&told).sayable();
            let Permission {
                principal,
                action: _,
                source_arn,
                source_account,
            } = permission;
            let of: Vec<String> = [source_arn, source_account].into_iter().flatten().collect();
            let found = format!("{principal} {} | {}", of.join(" "), unsaid.join(" "));
            assert_eq!(found, expected, "{told}");
        }
    }

    #[test]
    fn a_statement_is_compared_by_all_that_it_says() {
        let topic = Permission {
            principal: "sns.amazonaws.com".to_owned(),
            action: "lambda:InvokeFunction".to_owned(),
            source_arn: Some("arn:aws:sns:eu-west-1:1:news".to_owned()),
            source_account: None,
        };
        let account = Permission {
            principal: "123456789012".to_owned(),
            source_arn: None,
            ..topic.clone()
        };
        let said = |changes: Value| {
            let mut told = json!({
                "Sid": "x",
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "lambda:InvokeFunction",
                "Resource": "arn",
                "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:sns:eu-west-1:1:news"}},
            });
            for (name, value) in changes.as_object().into_iter().flatten() {
                told[name] = value.clone();
            }
            Statement::read(&told)
        };
        let other = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}});
        let by_url = json!({"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}});
        // Is the topic's, and lets everyone in without and with a public URL.
        let table = [
            (json!({}), [true, false, false]),
            (
                json!({"Action": ["lambda:InvokeFunction"]}),
                [true, false, false],
            ),
            (json!({"Effect": "Deny"}), [false; 3]),
            (json!({"Action": "lambda:*"}), [false; 3]),
            (json!({"Condition": null}), [false; 3]),
            (json!({"Condition": other}), [false; 3]),
            (json!({"Principal": "*"}), [false; 3]),
            (json!({"Principal": "*", "Condition": other}), [false; 3]),
            (
                json!({"Principal": "*", "Condition": null}),
                [false, true, true],
            ),
            (
                json!({"Principal": {"AWS": "*"}, "Condition": by_url}),
                [false, true, false],
            ),
        ];
        for (changes, expected) in table {
            let said = said(changes.clone());
            let found = [said.is(&topic), said.is_open(false), said.is_open(true)];
            assert_eq!(found, expected, "{changes}");
        }
        let root =
            json!({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Condition": null});
        assert!(said(root.clone()).is(&account));
        let by_its_root = Permission {
            principal: "arn:aws:iam::123456789012:root".to_owned(),
            ..account
        };
        assert!(said(root).is(&by_its_root));
        let told = said(json!({"Condition": other})).permission();
        assert_eq!(
            told.action,
            "lambda:InvokeFunction if aws:principalorgid is o-1"
        );
    }
}
