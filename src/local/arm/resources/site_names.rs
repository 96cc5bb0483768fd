//! Names of sites and slots: their form, and that nobody has them.

use std::sync::Arc;

use serde_json::json;

use crate::local::arm::{
    cloud::{Cloud, State},
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

/// The longest name that leaves room for a slot's in a host name.
const NAME_MAX: usize = 60;

pub(in crate::local::arm) fn check(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let name = call.required("name")?;
    let body = match check_free(&cloud.state(), name) {
        Ok(()) => json!({"nameAvailable": true, "reason": "", "message": ""}),
        Err(error) => {
            let taken = matches!(error, ArmError::Conflict(_));
            let reason = if taken { "AlreadyExists" } else { "Invalid" };
            json!({"nameAvailable": false, "reason": reason, "message": error.to_string()})
        }
    };
    Ok(Answer::ok(body))
}

/// Host names are one space for all of Azure, and so for all of this endpoint.
pub(super) fn check_free(state: &State, name: &str) -> Result<(), ArmError> {
    check_rule(name)?;
    let mut sites = state.world.sites.values();
    if sites.any(|site| site.name.eq_ignore_ascii_case(name)) {
        return Err(ArmError::Conflict(format!(
            "Website with given name {name} already exists."
        )));
    }
    Ok(())
}

pub(super) fn check_rule(name: &str) -> Result<(), ArmError> {
    let lettered = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let framed = name.starts_with('-') || name.ends_with('-');
    if name.len() < 2 || name.len() > NAME_MAX || !lettered || framed {
        return Err(ArmError::Invalid(format!(
            "The name {name} is not valid for a site."
        )));
    }
    Ok(())
}
