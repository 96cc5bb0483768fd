//! Who wrote to functions of a service, by CloudTrail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{AwsCloud, duties::caller_bucket, lambda::texts};
use crate::{
    cloud::CloudError,
    name::Timestamp,
    observed::{Deed, Scope},
};

/// What our own calls name themselves, whichever client makes them.
pub(in crate::cloud::aws) const AGENT: &str = "verdigris";

impl AwsCloud {
    /// One call of `LookupEvents` for each function and for each role that one has of its own, and where none of them tells anything, one
    /// for all writing calls of the account: not every call names its resource. What is done to roles is logged in IAM's own region.
    pub(in crate::cloud::aws) async fn deeds_since(
        &self,
        scope: &Scope,
        since: Timestamp,
    ) -> Result<Vec<Deed>, CloudError> {
        let functions = scope.functions.iter();
        let names = functions.map(|function| self.lambda_name(&scope.service, function));
        let names: BTreeSet<String> = names.collect::<Result<_, _>>()?;
        let roles = names.iter().filter_map(|name| self.memory.role(name));
        let roles: BTreeSet<String> = roles.collect();
        let with_callers = names.iter().chain(&roles);
        let with_callers = with_callers.map(|name| (name.clone(), self.memory.callers(name)));
        let known: Known = with_callers.collect();
        let mut found = Vec::new();
        for name in &names {
            let calls = self.trail.calls("ResourceName", name, since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &known)));
        }
        let trail = self.trail.of_iam();
        for role in &roles {
            let calls = trail.calls("ResourceName", role, since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &known)));
        }
        if found.is_empty() {
            let calls = self.trail.calls("ReadOnly", "false", since).await?;
            found.extend(calls.iter().filter_map(|call| deed(call, &known)));
        }
        found.retain(|deed| deed.at >= since);
        found.sort_by_key(|deed| std::cmp::Reverse(deed.at));
        found.dedup();
        Ok(found)
    }
}

/// Functions and roles by their names, each with the names of what calls it.
type Known = BTreeMap<String, BTreeSet<String>>;

/// A writing call that succeeded, was not ours, and concerns one of the functions.
fn deed(call: &Value, known: &Known) -> Option<Deed> {
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
    let named = known
        .iter()
        .filter(|(name, callers)| concerns(&told, name, callers));
    let (resource, _) = named.max_by_key(|(name, _)| name.len())?;
    Some(Deed {
        at: told["eventTime"].as_str()?.parse().ok()?,
        who: who(&told["userIdentity"]),
        operation: told["eventName"].as_str()?.to_owned(),
        resource: resource.clone(),
    })
}

/// Whether what was asked for, or what came of it, names the function, however deep: by its name, its ARN, or the name of what calls it.
fn concerns(told: &Value, name: &str, callers: &BTreeSet<String>) -> bool {
    let parts = |text: &str| {
        let mut parts = text.split([':', '/']);
        parts.any(|part| part == name || part.strip_prefix(name).is_some_and(is_rule))
    };
    let mut named = BTreeSet::new();
    for part in ["requestParameters", "responseElements"] {
        texts(&told[part], &mut named);
    }
    let is_named = named.iter().any(|it| parts(it) || callers.contains(it));
    is_named || is_of_bucket(told, callers)
}

/// What the bucket does besides is its own.
fn is_of_bucket(told: &Value, callers: &BTreeSet<String>) -> bool {
    let event = told["eventName"].as_str().unwrap_or_default();
    let bucket = told["requestParameters"]["bucketName"].as_str();
    let is_told = bucket.is_some_and(|it| callers.contains(&caller_bucket(it)));
    is_told && event.contains("BucketNotification")
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

    fn known() -> Known {
        let callers = [
            "a1b2-uuid",
            "arn:aws:sns:eu-west-1:1:news:77",
            "bucket uploads",
        ];
        let callers = callers.map(str::to_owned).into();
        Known::from([("prod-shop-stock".to_owned(), callers)])
    }

    fn call(changes: &Value) -> Value {
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
    }

    #[test]
    fn only_what_others_did_to_the_function_counts() {
        let names = known();
        let found = deed(&call(&json!({})), &names).map(|deed| deed.to_string());
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
            assert_eq!(deed(&call(&change), &names).is_some(), counts, "{change}");
        }
    }

    #[test]
    fn what_calls_the_function_names_it() {
        let names = known();
        for (change, counts) in [
            (json!({"requestParameters": {"uuid": "a1b2-uuid"}}), true),
            (json!({"requestParameters": {"uuid": "other"}}), false),
            (
                json!({"requestParameters": {"uuid": "other"}, "responseElements": {"functionArn":
                    "arn:aws:lambda:eu-west-1:1:function:prod-shop-stock:blue"}}),
                true,
            ),
            (
                json!({"requestParameters": {"subscriptionArn": "arn:aws:sns:eu-west-1:1:news:77"}}),
                true,
            ),
            (
                json!({"requestParameters": {"subscriptionArn": "arn:aws:sns:eu-west-1:1:news:78"}}),
                false,
            ),
            (
                json!({"eventName": "PutBucketNotification", "requestParameters": {"bucketName": "uploads"}}),
                true,
            ),
            (
                json!({"eventName": "PutBucketTagging", "requestParameters": {"bucketName": "uploads"}}),
                false,
            ),
            (
                json!({"eventName": "PutBucketNotification", "requestParameters": {"NotificationConfiguration":
                    {"CloudFunctionConfiguration": {"CloudFunction": "arn:aws:lambda:eu-west-1:1:function:prod-shop-stock"}}}}),
                true,
            ),
        ] {
            let told = deed(&call(&change), &names);
            assert_eq!(told.is_some(), counts, "{change}");
        }
    }
}
