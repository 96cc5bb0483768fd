//! Role assignments: who may do what where.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{Assignment, Trust};
use crate::local::arm::{
    cloud::Cloud,
    model::Key,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

const KIND: &str = "Microsoft.Authorization/roleAssignments";

impl Trust {
    /// Whether an identity has a role on a resource, or on anything above it.
    pub(in crate::local::arm) fn may(&self, principal: &str, role: &str, resource: &str) -> bool {
        let resource = Key::of(resource);
        self.roles.values().any(|given| {
            let scope = Key::of(&given.scope);
            let definition = given.properties["roleDefinitionId"]
                .as_str()
                .unwrap_or_default();
            given.principal == principal
                && definition.to_ascii_lowercase().ends_with(role)
                && (resource == scope || resource.is_under(&scope))
        })
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
    let status = match known {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    let given = Assignment {
        scope: call.arg("scope").to_owned(),
        principal: principal.to_owned(),
        properties: properties.clone(),
        id: id.clone(),
    };
    let body = render(&given);
    trust.roles.insert(Key::of(&id), given);
    drop(trust);
    cloud.changed();
    Ok(Answer::with(status, body))
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
