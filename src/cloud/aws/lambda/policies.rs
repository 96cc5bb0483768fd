//! Operations on the policies of aliases, one function each.

use aws_sdk_lambda::types::FunctionUrlAuthType;

use super::{
    Class, Lambda,
    account::errors::{asked, is_conflict, is_missing, sorted},
    statement::{Policy, Statement, named, statements},
    written::{of_policy, policy_of},
};
use crate::{
    cloud::{CloudError, aws::settings::alias, unseen::until_told},
    manifest::aws::Permission,
    name::Slot,
};

/// Of the statement for the URL, and of that for the function behind it. A statement cannot be changed, only taken away. The alias is
/// in the name since not every server keeps a policy for each alias.
fn url_statements(alias: &str) -> [String; 2] {
    ["url", "invoke"].map(|what| format!("verdigris-{what}-{alias}"))
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
        let told = until_told!(
            self.unseen,
            policy_of(name, Some(alias)),
            of_policy,
            named(self.statements_of(name, Some(alias)).await?)
        );
        Ok(told)
    }

    /// Of an alias, or of the function itself, as they stand in the policy. Empty where nobody may call.
    pub(in crate::cloud::aws) async fn statements_of(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Vec<Statement>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_policy().function_name(name);
        let call = call.set_qualifier(alias.map(str::to_owned));
        match call.send().await {
            Ok(answer) => Ok(answer.policy.as_deref().map(statements).unwrap_or_default()),
            Err(error) if is_missing(&error) => Ok(Vec::new()),
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
                Ok(_) => {
                    self.statement_is((name, alias), id, true);
                    continue;
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(sorted(asked("AddPermission", name), &error)),
            }
            self.forbid(name, alias, id).await?;
            self.turn(Class::Other).await;
            let again = statement.send().await;
            again.map_err(|error| sorted(asked("AddPermission", name), &error))?;
            self.statement_is((name, alias), id, true);
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
            Ok(_) => {}
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(sorted(asked("AddPermission", name), &error)),
        }
        self.statement_is((name, alias(Slot::Blue)), id, true);
        Ok(())
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
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(sorted(asked("RemovePermission", name), &error)),
        }
        self.statement_is((name, alias), id, false);
        Ok(())
    }
}
