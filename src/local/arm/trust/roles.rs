//! Role assignments: who may do what where.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{Assignment, Trust, principals};
use crate::{
    local::arm::{
        cloud::Cloud,
        model::{Key, Slot},
        wire::{
            answer::{Answer, ArmError},
            call::Call,
            page,
        },
    },
    name::Timestamp,
};

const KIND: &str = "Microsoft.Authorization/roleAssignments";

impl Cloud {
    /// Whether who runs in a slot has one of these roles on a resource, or on anything above it, and it counts by now.
    pub(in crate::local::arm) fn may(&self, slot: &Slot, roles: &[&str], resource: &str) -> bool {
        let (trust, now) = (self.trust(), self.clock.now());
        let has = |principal: &String| {
            let mut roles = roles.iter();
            roles.any(|role| trust.may(principal, role, (resource, now)))
        };
        principals(slot).iter().any(has)
    }
}

impl Trust {
    /// Whether an identity has a role on a resource, or on anything above it, at a time.
    pub(super) fn may(
        &self,
        principal: &str,
        role: &str,
        (resource, now): (&str, Timestamp),
    ) -> bool {
        let resource = Key::of(resource);
        self.roles.values().any(|given| {
            let scope = Key::of(&given.scope);
            let is_there = resource == scope || resource.is_under(&scope);
            given.principal == principal && given.is(role) && is_there && given.counts_by(now)
        })
    }
}

impl Assignment {
    pub(super) fn is(&self, role: &str) -> bool {
        let definition = self.properties["roleDefinitionId"].as_str();
        let definition = definition.unwrap_or_default().to_ascii_lowercase();
        definition.ends_with(role)
    }

    pub(super) fn counts_by(&self, now: Timestamp) -> bool {
        self.counts.is_none_or(|from| from <= now)
    }
}

/// Gives a role. The same assignment once more is quietly done; another name for it is refused, as Azure does.
pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let Some(properties) = call.body["properties"].as_object() else {
        return Err(ArmError::Invalid(
            "The parameter properties is required.".to_owned(),
        ));
    };
    let text = |name: &str| properties.get(name).and_then(Value::as_str);
    let (Some(definition), Some(principal)) = (text("roleDefinitionId"), text("principalId"))
    else {
        let told = "roleDefinitionId and principalId are required.".to_owned();
        return Err(ArmError::Invalid(told));
    };
    let id = format!(
        "{}/providers/{KIND}/{}",
        call.arg("scope"),
        call.arg("assignment")
    );
    let mut trust = cloud.trust();
    let same = |given: &&Assignment| {
        let known = given.properties["roleDefinitionId"].as_str();
        given.principal == principal
            && Key::of(&given.scope) == Key::of(call.arg("scope"))
            && known.is_some_and(|known| known.eq_ignore_ascii_case(definition))
    };
    let known = trust.roles.values().find(same);
    if known.is_some_and(|known| Key::of(&known.id) != Key::of(&id)) {
        return Err(ArmError::Coded {
            status: StatusCode::CONFLICT,
            code: "RoleAssignmentExists",
            message: "The role assignment already exists.".to_owned(),
        });
    }
    if let Some(known) = known {
        return Ok(Answer::ok(render(known)));
    }
    let now = cloud.clock.now();
    let mut properties = properties.clone();
    properties.insert("createdOn".to_owned(), json!(now.to_string()));
    let given = Assignment {
        scope: call.arg("scope").to_owned(),
        principal: principal.to_owned(),
        properties,
        id: id.clone(),
        counts: Some(now.after(cloud.options.role_delay)),
    };
    let body = render(&given);
    trust.roles.insert(Key::of(&id), given);
    drop(trust);
    cloud.changed();
    Ok(Answer::with(StatusCode::CREATED, body))
}

/// Assignments at and below a scope; `$filter=assignedTo('ID')` keeps those of one identity.
pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let scope = Key::of(call.arg("scope"));
    let filter = call.query("$filter").unwrap_or_default();
    let wanted = filter
        .strip_prefix("assignedTo('")
        .or_else(|| filter.strip_prefix("principalId eq '"))
        .map(|rest| rest.trim_end_matches([')', '\'']));
    let trust = cloud.trust();
    let all = trust.roles.iter().filter(|(id, given)| {
        id.is_under(&scope) && wanted.is_none_or(|wanted| given.principal == wanted)
    });
    page::answer(cloud, call, all, |(_, given)| render(given))
}

pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let id = format!(
        "{}/providers/{KIND}/{}",
        call.arg("scope"),
        call.arg("assignment")
    );
    let gone = cloud.trust().roles.remove(&Key::of(&id));
    cloud.changed();
    Ok(match gone {
        Some(gone) => Answer::ok(render(&gone)),
        None => Answer::empty(StatusCode::NO_CONTENT),
    })
}

fn render(given: &Assignment) -> Value {
    let Assignment {
        id,
        scope,
        principal: _,
        counts: _,
        properties,
    } = given;
    let mut properties = properties.clone();
    properties.insert("scope".to_owned(), json!(scope));
    json!({
        "id": id,
        "name": id.rsplit('/').next(),
        "type": KIND,
        "properties": properties,
    })
}
