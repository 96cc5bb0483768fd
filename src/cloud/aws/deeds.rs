//! Who wrote to functions of a service, by CloudTrail.

use std::collections::BTreeSet;

use serde_json::Value;

use super::AwsCloud;
use crate::{
    cloud::CloudError,
    name::Timestamp,
    observed::{Deed, Scope},
};

/// What our own calls name themselves, whichever client makes them.
pub(super) const AGENT: &str = "verdigris";

impl AwsCloud {
    /// One call of `LookupEvents` for each function and for each role that one has of its own, and where none of them tells anything, one
    /// for all writing calls of the account: not every call names its resource. What is done to roles is logged in IAM's own region.
    pub(super) async fn deeds_since(
        &self,
        scope: &Scope,
        since: Timestamp,
    ) -> Result<Vec<Deed>, CloudError> {
        let functions = scope.functions.iter();
        let names = functions.map(|function| self.lambda_name(&scope.service, function));
        let mut names: BTreeSet<String> = names.collect::<Result<_, _>>()?;
        let roles = names.iter().filter_map(|name| self.memory.role(name));
        let roles: BTreeSet<String> = roles.collect();
        let mut found = Vec::new();
        for name in &names {
            let calls = self.trail.calls("ResourceName", name, since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &names)));
        }
        names.extend(roles.iter().cloned());
        let trail = self.trail.of_iam();
        for role in &roles {
            let calls = trail.calls("ResourceName", role, since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &names)));
        }
        if found.is_empty() {
            let calls = self.trail.calls("ReadOnly", "false", since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &names)));
        }
        found.retain(|deed| deed.at >= since);
        found.sort_by_key(|deed| std::cmp::Reverse(deed.at));
        found.dedup();
        Ok(found)
    }
}

/// A writing call that succeeded, was not ours, and concerns one of the functions.
fn deed(call: &Value, names: &BTreeSet<String>) -> Option<Deed> {
    let told: Value = serde_json::from_str(call["CloudTrailEvent"].as_str()?).ok()?;
    let reads = told["readOnly"].as_bool().unwrap_or_default();
    let failed = told["errorCode"].is_string();
    let ours = told["userAgent"]
        .as_str()
        .is_some_and(|agent| agent.contains(AGENT));
    if reads || failed || ours {
        return None;
    }
    // The name of a role is longer than that of its function, which it begins with.
    let named = names.iter().filter(|name| concerns(&told, name));
    let resource = named.max_by_key(|name| name.len())?;
    Some(Deed {
        at: told["eventTime"].as_str()?.parse().ok()?,
        who: who(&told["userIdentity"]),
        operation: told["eventName"].as_str()?.to_owned(),
        resource: resource.clone(),
    })
}

/// Whether what was asked for names the function, by its name, its ARN, or the name of one of its rules.
fn concerns(told: &Value, name: &str) -> bool {
    let parts = |text: &str| {
        let mut parts = text.split([':', '/']);
        parts.any(|part| part == name || part.strip_prefix(name).is_some_and(is_rule))
    };
    let parameters = told["requestParameters"].as_object();
    let texts = parameters.into_iter().flatten();
    texts.filter_map(|(_, value)| value.as_str()).any(parts)
}

/// What follows a function's name in the name of a rule of ours.
fn is_rule(rest: &str) -> bool {
    let digits = rest.strip_prefix('-');
    digits.is_some_and(|it| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The ARN says all; root and services of AWS have other words.
fn who(identity: &Value) -> String {
    let known = ["arn", "userName", "invokedBy", "principalId", "type"];
    let told = known.iter().find_map(|name| identity[*name].as_str());
    told.unwrap_or("nobody that the log names").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_others_did_to_the_function_counts() {
        let names = BTreeSet::from(["prod-shop-stock".to_owned()]);
        let call = |changes: Value| {
            let mut told = json!({
                "eventTime": "2026-11-21T10:00:00Z",
                "eventName": "UpdateAlias20150331",
                "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/eve"},
                "userAgent": "aws-cli/2",
                "requestParameters": {"functionName": "prod-shop-stock", "name": "blue"},
            });
            for (name, value) in changes.as_object().into_iter().flatten() {
                told[name] = value.clone();
            }
            json!({"CloudTrailEvent": told.to_string()})
        };
        let found = deed(&call(json!({})), &names).map(|deed| deed.to_string());
        assert_eq!(
            found.as_deref(),
            Some(
                "UpdateAlias20150331 of `prod-shop-stock` by arn:aws:iam::1:user/eve at 2026-11-21T10:00:00.000Z"
            )
        );
        let parameters = |value: &str| json!({"requestParameters": {"name": value}});
        for (change, counts) in [
            (json!({"readOnly": true}), false),
            (json!({"errorCode": "AccessDenied"}), false),
            (json!({"userAgent": "aws-sdk-rust/1 app/verdigris"}), false),
            (
                parameters("arn:aws:lambda:eu-west-1:1:function:prod-shop-stock:blue"),
                true,
            ),
            (parameters("prod-shop-stock-0a1b2c3d4e5f"), true),
            (parameters("prod-shop-stocks"), false),
        ] {
            assert_eq!(
                deed(&call(change.clone()), &names).is_some(),
                counts,
                "{change}"
            );
        }
    }
}
