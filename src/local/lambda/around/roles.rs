//! Roles of IAM: made, read, given a policy, deleted. What a policy allows is kept, and not enforced.

use std::collections::{BTreeMap, BTreeSet};

use axum::{http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use super::{
    super::{Lambda, keep::Keep},
    forms::{Form, Refusal, answered, element, needed, read, result},
};
use crate::name::Timestamp;

/// Where roles are that Verdigris makes.
const OURS: &str = ":role/verdigris/";

/// All roles, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::local::lambda) struct Roles(BTreeMap<String, Role>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Role {
    id: uuid::Uuid,
    created: Timestamp,
    path: String,
    trust: String,
    tags: BTreeMap<String, String>,
    policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    #[serde(default)]
    attached: BTreeSet<String>,
}

impl Roles {
    pub(super) fn may_assume(&self, arn: &str) -> bool {
        let name = arn.rsplit('/').next().unwrap_or_default();
        !arn.contains(OURS) || self.0.contains_key(name)
    }
}

pub(super) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

pub(super) fn carry_out(lambda: &Lambda, operation: &str, body: &[u8]) -> Response {
    answered(operation, NAMESPACE, done(lambda, operation, &read(body)))
}

fn done(lambda: &Lambda, operation: &str, form: &Form) -> Result<String, Refusal> {
    let account = &lambda.place.account;
    let mut roles = lambda.around.roles();
    if operation == "ListRoles" {
        let prefix = form.get("PathPrefix").map_or("/", String::as_str);
        let below = roles.0.iter().filter(|(_, it)| it.path.starts_with(prefix));
        let members =
            below.map(|(name, role)| format!("<member>{}</member>", parts(account, name, role)));
        return Ok(listed(operation, "Roles", &members.collect::<String>()));
    }
    if LOOKS.contains(&operation) {
        return looked(account, &mut roles, operation, form);
    }
    let told = match operation {
        "CreateRole" => {
            let (name, role) = create(&mut roles, form, lambda.clock.now())?;
            result(operation, &shown(account, &name, &role))
        }
        "UpdateAssumeRolePolicy" => {
            let policy = document(form)?;
            there(&mut roles, form)?.1.trust = policy;
            String::new()
        }
        "AttachRolePolicy" => {
            let arn = needed(form, "PolicyArn")?.to_owned();
            there(&mut roles, form)?.1.attached.insert(arn);
            String::new()
        }
        "DetachRolePolicy" => {
            let arn = needed(form, "PolicyArn")?;
            if !there(&mut roles, form)?.1.attached.remove(arn) {
                let message = format!("Policy {arn} was not found.");
                return Err((StatusCode::NOT_FOUND, "NoSuchEntity", message));
            }
            String::new()
        }
        "PutRolePolicy" => {
            let policy = document(form)?;
            let name = needed(form, "PolicyName")?.to_owned();
            there(&mut roles, form)?.1.policies.insert(name, policy);
            String::new()
        }
        "DeleteRolePolicy" => {
            let policy = needed(form, "PolicyName")?;
            let (name, role) = there(&mut roles, form)?;
            if role.policies.remove(policy).is_none() {
                return Err(no_policy(name, policy));
            }
            String::new()
        }
        "DeleteRole" => {
            let (name, role) = there(&mut roles, form)?;
            is_bare(role)?;
            let name = name.to_owned();
            roles.0.remove(&name);
            String::new()
        }
        other => {
            let message = format!("this endpoint does not know {other} of IAM");
            return Err((StatusCode::BAD_REQUEST, "InvalidAction", message));
        }
    };
    saved(lambda.keep.as_ref(), &roles)?;
    Ok(told)
}

/// Operations that change nothing.
const LOOKS: [&str; 4] = [
    "GetRole",
    "GetRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
];

fn looked(
    account: &str,
    roles: &mut Roles,
    operation: &str,
    form: &Form,
) -> Result<String, Refusal> {
    let (name, role) = there(roles, form)?;
    match operation {
        "GetRole" => Ok(result(operation, &shown(account, name, role))),
        "GetRolePolicy" => policy(name, role, needed(form, "PolicyName")?),
        "ListRolePolicies" => {
            let names = role.policies.keys().map(|name| element("member", name));
            let names: String = names.collect();
            Ok(listed(operation, "PolicyNames", &names))
        }
        _ => {
            let attached: String = role.attached.iter().map(|arn| managed(arn)).collect();
            Ok(listed(operation, "AttachedPolicies", &attached))
        }
    }
}

fn saved(keep: Option<&Keep>, roles: &Roles) -> Result<(), Refusal> {
    let Some(keep) = keep else { return Ok(()) };
    keep.save_roles(roles).map_err(|fault| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        (status, "ServiceFailure", fault.to_string())
    })
}

fn create(roles: &mut Roles, form: &Form, now: Timestamp) -> Result<(String, Role), Refusal> {
    let name = needed(form, "RoleName")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+=,.@-_".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_part) {
        let message = format!("The specified value for roleName is invalid: {name}");
        return Err((StatusCode::BAD_REQUEST, "ValidationError", message));
    }
    if roles.0.contains_key(name) {
        let message = format!("Role with name {name} already exists.");
        return Err((StatusCode::CONFLICT, "EntityAlreadyExists", message));
    }
    let tag = |number: usize, part: &str| form.get(&format!("Tags.member.{number}.{part}"));
    let tags = (1..=50).map_while(|number| Some((tag(number, "Key")?, tag(number, "Value")?)));
    let role = Role {
        id: uuid::Uuid::new_v4(),
        created: now,
        path: form.get("Path").cloned().unwrap_or_else(|| "/".to_owned()),
        trust: needed(form, "AssumeRolePolicyDocument")?.to_owned(),
        tags: tags
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        policies: BTreeMap::new(),
        attached: BTreeSet::new(),
    };
    roles.0.insert(name.to_owned(), role.clone());
    Ok((name.to_owned(), role))
}

fn there<'r>(roles: &'r mut Roles, form: &'r Form) -> Result<(&'r str, &'r mut Role), Refusal> {
    let name = needed(form, "RoleName")?;
    match roles.0.get_mut(name) {
        Some(role) => Ok((name, role)),
        None => {
            let message = format!("The role with name {name} cannot be found.");
            Err((StatusCode::NOT_FOUND, "NoSuchEntity", message))
        }
    }
}

fn document(form: &Form) -> Result<String, Refusal> {
    let policy = needed(form, "PolicyDocument")?.to_owned();
    match serde_json::from_str::<serde_json::Value>(&policy) {
        Ok(_) => Ok(policy),
        Err(_) => {
            let message = "Syntax errors in policy.".to_owned();
            Err((StatusCode::BAD_REQUEST, "MalformedPolicyDocument", message))
        }
    }
}

/// Only such a role can be deleted.
fn is_bare(role: &Role) -> Result<(), Refusal> {
    let first = match (role.policies.is_empty(), role.attached.is_empty()) {
        (true, true) => return Ok(()),
        (false, _) => "delete policies",
        (true, false) => "detach all policies",
    };
    let message = format!("Cannot delete entity, must {first} first.");
    Err((StatusCode::CONFLICT, "DeleteConflict", message))
}

/// All on one page.
fn listed(operation: &str, list: &str, members: &str) -> String {
    let parts = [
        format!("<{list}>{members}</{list}>"),
        element("IsTruncated", "false"),
    ];
    result(operation, &parts.concat())
}

fn managed(arn: &str) -> String {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let parts = [element("PolicyName", name), element("PolicyArn", arn)];
    format!("<member>{}</member>", parts.concat())
}

fn no_policy(role: &str, policy: &str) -> Refusal {
    let message = format!("The role policy with name {policy} cannot be found in {role}.");
    (StatusCode::NOT_FOUND, "NoSuchEntity", message)
}

fn policy(name: &str, role: &Role, policy: &str) -> Result<String, Refusal> {
    let Some(document) = role.policies.get(policy) else {
        return Err(no_policy(name, policy));
    };
    let parts = [
        element("RoleName", name),
        element("PolicyName", policy),
        element("PolicyDocument", &encoded(document)),
    ];
    Ok(result("GetRolePolicy", &parts.concat()))
}

fn shown(account: &str, name: &str, role: &Role) -> String {
    let tags = role.tags.iter().map(|(key, value)| {
        let pair = [element("Key", key), element("Value", value)];
        format!("<member>{}</member>", pair.concat())
    });
    let tags: String = tags.collect();
    format!(
        "<Role>{}<Tags>{tags}</Tags></Role>",
        parts(account, name, role)
    )
}

/// As lists tell it: without tags.
fn parts(account: &str, name: &str, role: &Role) -> String {
    let Role {
        id,
        created,
        path,
        trust,
        tags: _,
        policies: _,
        attached: _,
    } = role;
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    let parts = [
        element("Path", path),
        element("RoleName", name),
        // As long as IAM's, with its start.
        element(
            "RoleId",
            &format!("AROA{:.17}", id.simple().to_string().to_uppercase()),
        ),
        element("Arn", &arn),
        element("CreateDate", &created.to_string()),
        element("AssumeRolePolicyDocument", &encoded(trust)),
    ];
    parts.concat()
}

/// IAM writes policies percent-encoded.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
