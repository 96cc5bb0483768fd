//! What a role of ours was found to be, and how that is told. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{
    duties::short_digest,
    lambda::texts,
    survey::{Pointer, Seen},
};
use super::{OwnRole, RunsAs, TRUST, name_in};
use crate::{name::FunctionName, observed::Fields};

/// Who may be a role of ours.
const TRUSTED: &str = "lambda.amazonaws.com";

/// What was found of a role of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) struct RoleFound {
    /// A digest of what our policy in it allows, as the role's name has it; `none` where it allows nothing, or is gone.
    pub(in crate::cloud::aws) policy: String,
    /// Who may be it.
    pub(in crate::cloud::aws) trust: String,
    /// Managed policies, which we never attach.
    pub(in crate::cloud::aws) attached: BTreeSet<String>,
    /// Policies in it that are not ours.
    pub(in crate::cloud::aws) further: BTreeSet<String>,
}

impl RoleFound {
    /// As it was made.
    fn untouched(digest: &str) -> Self {
        Self {
            policy: digest.to_owned(),
            trust: TRUSTED.to_owned(),
            attached: BTreeSet::new(),
            further: BTreeSet::new(),
        }
    }

    pub(in crate::cloud::aws) fn serves(&self, wanted: &OwnRole) -> bool {
        *self == Self::untouched(&wanted.digest)
    }

    fn fields(&self, function: &FunctionName) -> Fields {
        let Self {
            policy,
            trust,
            attached,
            further,
        } = self;
        let mut fields = Fields::new();
        let mut put = |path: &str, value: &str| {
            let told: &mut String = fields.entry(format!("{function}.role.{path}")).or_default();
            // Two policies may have one name, of AWS and of the account.
            let comma = if told.is_empty() { "" } else { ", " };
            *told += &format!("{comma}{value}");
        };
        put("policy", policy);
        put("trust", trust);
        for arn in attached {
            let name = arn.rsplit('/').next().unwrap_or_default();
            put(&format!("attached.{name}"), arn);
        }
        for name in further {
            put(&format!("inline.{name}"), "there");
        }
        fields
    }
}

/// Lambda alone, or whom the policy names, and a digest of it.
pub(in crate::cloud::aws) fn trusted(document: Option<&str>) -> String {
    let Some(document) = document else {
        return "nobody".to_owned();
    };
    let told: Value = serde_json::from_str(document).unwrap_or_default();
    let ours: Value = serde_json::from_str(TRUST).unwrap_or_default();
    let told = plain(told);
    if told == plain(ours) {
        return TRUSTED.to_owned();
    }
    let mut named = BTreeSet::new();
    let statements = &told["Statement"];
    let many = statements.as_array().map(Vec::as_slice);
    for statement in many.unwrap_or(std::slice::from_ref(statements)) {
        texts(&statement["Principal"], &mut named);
    }
    let named = named.into_iter().collect::<Vec<_>>().join(", ");
    format!("{named} (policy {})", short_digest(&[&told.to_string()]))
}

/// A list of one is that one: IAM takes both.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(mut all) if all.len() == 1 => plain(all.remove(0)),
        Value::Array(all) => all.into_iter().map(plain).collect(),
        Value::Object(all) => {
            let plain = all.into_iter().map(|(name, it)| (name, plain(it)));
            Value::Object(plain.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// What the role of a function should be, where it has one of its own.
pub(in crate::cloud::aws) fn expected(runs_as: &RunsAs, function: &FunctionName) -> Fields {
    match runs_as {
        RunsAs::Given(_) => Fields::new(),
        RunsAs::Own(own) => RoleFound::untouched(&own.digest).fields(function),
    }
}

/// What it is. What was not read is as its name says.
pub(in crate::cloud::aws) fn fields(seen: &Seen, pointer: &Pointer) -> Fields {
    let Some(name) = name_in(&pointer.settings.role, &seen.service) else {
        return Fields::new();
    };
    match &pointer.detail.role {
        Some(found) => found.fields(&seen.function),
        None => {
            let digest = name.rsplit('-').next().unwrap_or_default();
            RoleFound::untouched(digest).fields(&seen.function)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_be_a_role_besides_lambda_is_named() {
        let with = |principal: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":["sts:AssumeRole"]}}}}"#
            )
        };
        let service = r#"{"Service": ["lambda.amazonaws.com"]}"#;
        let table = [
            (TRUST.to_owned(), TRUSTED),
            // As somebody else may write it.
            (with(service), TRUSTED),
            (with(r#""*""#), "* (policy "),
            (
                with(r#"{"AWS": "arn:aws:iam::1:root", "Service": "lambda.amazonaws.com"}"#),
                "arn:aws:iam::1:root, lambda.amazonaws.com (policy ",
            ),
            (
                with(service).replace("Allow", "Deny"),
                "lambda.amazonaws.com (policy ",
            ),
            ("no policy".to_owned(), " (policy "),
        ];
        for (document, told) in table {
            let found = trusted(Some(&document));
            let same = match told == TRUSTED {
                true => found == told,
                false => found.starts_with(told),
            };
            assert!(same, "{document}: {found}");
        }
        assert_eq!(trusted(None), "nobody");
    }
}
