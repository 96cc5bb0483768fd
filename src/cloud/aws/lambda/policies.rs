//! Operations on the policies of aliases, one function each.

use std::collections::BTreeSet;

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

/// Names of the statements that a policy has.
fn names(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let named = statements.filter_map(|statement| statement["Sid"].as_str());
    named.map(str::to_owned).collect()
}

/// Whether both statements of [`Lambda::permit_url`] are among these. A person can take them away, and the URL then refuses everyone.
pub(in crate::cloud::aws) fn permit_url(statements: &BTreeSet<String>, alias: &str) -> bool {
    url_statements(alias)
        .iter()
        .all(|id| statements.contains(id))
}

impl Lambda {
    /// Names of the statements of an alias's policy.
    pub(in crate::cloud::aws) async fn statements(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let policy = self.policy(name, Some(alias)).await?;
        Ok(policy.as_ref().map(names).unwrap_or_default())
    }

    /// Of an alias, or of the function itself. None where nobody may call.
    pub(in crate::cloud::aws) async fn policy(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Option<Value>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_policy().function_name(name);
        let call = call.set_qualifier(alias.map(str::to_owned));
        match call.send().await {
            Ok(answer) => Ok(serde_json::from_str(answer.policy().unwrap_or_default()).ok()),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("GetPolicy", name), &error)),
        }
    }

    /// Lets everyone call an alias by its URL. AWS wants both statements: one for the URL, one for the function behind it.
    pub(in crate::cloud::aws) async fn permit_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        let [url_id, invoke_id] = url_statements(alias);
        let everyone = || {
            let call = self.sdk.add_permission().function_name(name);
            call.qualifier(alias).principal("*")
        };
        let statements = [
            everyone()
                .statement_id(&url_id)
                .action("lambda:InvokeFunctionUrl")
                .function_url_auth_type(FunctionUrlAuthType::None),
            everyone()
                .statement_id(&invoke_id)
                .action("lambda:InvokeFunction")
                .invoked_via_function_url(true),
        ];
        for statement in statements {
            self.turn(Class::Other).await;
            match statement.send().await {
                Ok(_) => {}
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(sorted(asked("AddPermission", name), &error)),
            }
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

    /// Takes a statement away from the policy of `blue`.
    pub(in crate::cloud::aws) async fn forbid(
        &self,
        name: &str,
        id: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.remove_permission().function_name(name);
        let call = call.qualifier(alias(Slot::Blue)).statement_id(id);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("RemovePermission", name), &error)),
        }
    }
}
