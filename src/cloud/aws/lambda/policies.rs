//! Operations on the policies of aliases, one function each.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::FunctionUrlAuthType;
use serde_json::Value;

use super::{
    Class, Lambda,
    errors::{asked, is_conflict, is_missing, sorted},
};
use crate::{
    cloud::{CloudError, aws::settings::alias},
    manifest::aws::Permission,
    name::Slot,
};

/// Of the statement for the URL, and of that for the function behind it. A statement cannot be changed, only taken away. The alias is
/// in the name since not every server keeps a policy for each alias.
fn url_statements(alias: &str) -> [String; 2] {
    ["url", "invoke"].map(|what| format!("verdigris-{what}-{alias}"))
}

/// Statements by their names.
pub(in crate::cloud::aws) type Policy = BTreeMap<String, Statement>;

/// Who may do what, and when.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Statement {
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

impl Statement {
    fn read(told: &Value) -> Self {
        let set = |value: &Value| {
            let mut found = BTreeSet::new();
            texts(value, &mut found);
            found
        };
        let mut conditions = BTreeMap::new();
        for (operator, keys) in told["Condition"].as_object().into_iter().flatten() {
            let is_plain = ["ArnLike", "StringEquals", "Bool"].contains(&operator.as_str());
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
            allows: told["Effect"] == "Allow",
            principals: set(&told["Principal"]),
            actions: set(&told["Action"]),
            conditions,
        }
    }

    /// Whether it says this and nothing else.
    pub(in crate::cloud::aws) fn is(&self, permission: &Permission) -> bool {
        let Permission {
            principal,
            action,
            source_arn,
            source_account,
        } = permission;
        // An account is told as its root.
        let root = format!(":iam::{principal}:root");
        let is_who = |it: &String| it == principal || it.ends_with(&root);
        let wanted = [(SOURCE_ARN, source_arn), (SOURCE_ACCOUNT, source_account)];
        let wanted = wanted
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let found = self.conditions.iter();
        self.allows
            && self.principals.len() == 1
            && self.principals.iter().all(is_who)
            && self.actions.iter().eq([action])
            && found
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .eq(wanted.collect::<BTreeMap<_, _>>())
    }

    /// What it says, in the words of manifests; what they have no words for stands beside the action.
    pub(in crate::cloud::aws) fn permission(&self) -> Permission {
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
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

    /// Lets everyone in: nothing says who it must be. A statement that only lets in by URL says no more than a public URL does.
    pub(in crate::cloud::aws) fn is_open(&self, has_public_url: bool) -> bool {
        let is_of_url = |key: &String| BY_URL.contains(&key.as_str());
        let by_url = self.conditions.keys().any(is_of_url);
        self.is_for_all() && self.conditions.keys().all(is_of_url) && !(by_url && has_public_url)
    }

    fn is_for_all(&self) -> bool {
        self.allows && self.principals.contains("*")
    }
}

fn statements(policy: &str) -> Policy {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let named =
        statements.filter_map(|it| Some((it["Sid"].as_str()?.to_owned(), Statement::read(it))));
    named.collect()
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

/// Whether both statements of [`Lambda::permit_url`] are among these. A person can take them away, and the URL then refuses everyone.
pub(in crate::cloud::aws) fn permit_url(policy: &Policy, alias: &str) -> bool {
    url_statements(alias)
        .iter()
        .all(|id| policy.get(id).is_some_and(Statement::is_for_all))
}

/// Whether the statement is one of [`Lambda::permit_url`], of any alias.
pub(in crate::cloud::aws) fn is_of_url(id: &str) -> bool {
    let aliases = [Slot::Blue, Slot::Green].map(alias);
    aliases
        .iter()
        .any(|it| url_statements(it).iter().any(|own| own == id))
}

impl Lambda {
    /// The policy of an alias.
    pub(in crate::cloud::aws) async fn policy(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<Policy, CloudError> {
        let written = self.written_policy(name, Some(alias)).await?;
        Ok(written.as_deref().map(statements).unwrap_or_default())
    }

    /// The document of an alias, or of the function itself. None where nobody may call.
    pub(in crate::cloud::aws) async fn written_policy(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Option<String>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_policy().function_name(name);
        let call = call.set_qualifier(alias.map(str::to_owned));
        match call.send().await {
            Ok(answer) => Ok(answer.policy),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("GetPolicy", name), &error)),
        }
    }

    /// Lets everyone call an alias by its URL. AWS wants both statements: one for the URL, one for the function behind it. Where one of
    /// them is there, nobody knows what it says: it is made anew, which harms nobody, since the URL refuses everyone until both are there.
    pub(in crate::cloud::aws) async fn permit_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        let [url_id, invoke_id] = url_statements(alias);
        let everyone = |id: &str| {
            let call = self.sdk.add_permission().function_name(name);
            call.qualifier(alias).principal("*").statement_id(id)
        };
        let statements = [
            everyone(&url_id)
                .action("lambda:InvokeFunctionUrl")
                .function_url_auth_type(FunctionUrlAuthType::None),
            everyone(&invoke_id)
                .action("lambda:InvokeFunction")
                .invoked_via_function_url(true),
        ];
        for (id, statement) in [&url_id, &invoke_id].into_iter().zip(statements) {
            self.turn(Class::Other).await;
            match statement.clone().send().await {
                Ok(_) => continue,
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(sorted(asked("AddPermission", name), &error)),
            }
            self.forbid(name, alias, id).await?;
            self.turn(Class::Other).await;
            let again = statement.send().await;
            again.map_err(|error| sorted(asked("AddPermission", name), &error))?;
        }
        Ok(())
    }

    /// Takes back what [`Self::permit_url`] gave.
    pub(in crate::cloud::aws) async fn forbid_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        for id in url_statements(alias) {
            self.forbid(name, alias, &id).await?;
        }
        Ok(())
    }

    /// Adds a statement to the policy of `blue`. Its name says all of it, so that one of that name is the same.
    pub(in crate::cloud::aws) async fn permit(
        &self,
        name: &str,
        id: &str,
        permission: &Permission,
    ) -> Result<(), CloudError> {
        let Permission {
            principal,
            action,
            source_arn,
            source_account,
        } = permission;
        self.turn(Class::Other).await;
        let call = self.sdk.add_permission().function_name(name);
        let call = call
            .qualifier(alias(Slot::Blue))
            .statement_id(id)
            .action(action)
            .principal(principal)
            .set_source_arn(source_arn.clone())
            .set_source_account(source_account.clone());
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(sorted(asked("AddPermission", name), &error)),
        }
    }

    /// Takes a statement away from the policy of an alias.
    pub(in crate::cloud::aws) async fn forbid(
        &self,
        name: &str,
        alias: &str,
        id: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.remove_permission().function_name(name);
        let call = call.qualifier(alias).statement_id(id);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("RemovePermission", name), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        assert!(said(root).is(&account));
        let told = said(json!({"Condition": other})).permission();
        assert_eq!(
            told.action,
            "lambda:InvokeFunction if aws:principalorgid is o-1"
        );
    }
}
