//! Change sets: what would become of a stack, before it does.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Lambda,
    ask::{self, desired},
    begin, check_rest, follow, invalid, refusal,
    run::{Work, start},
};
use crate::local::{
    lambda::around::forms::{Form, Refusal, needed},
    stacks::{
        Fault,
        changes::{Desired, Planned, changes},
        record::{ChangeSet, Stack, Status, Wish},
    },
};

const NOTHING: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

/// What a wish would change in a stack; none where everything is so already. Outputs and tags of the stack are no resources.
pub(super) fn planned(
    lambda: &Lambda,
    stack: &Stack,
    wish: &Wish,
    wanted: &Desired,
) -> Result<Option<Vec<Planned>>, Fault> {
    let is_new = stack.status == Status::ReviewInProgress;
    let old = match is_new {
        true => Desired::default(),
        false => desired(&stack.wish)?,
    };
    let place = lambda.place_of(stack);
    let planned = changes(&old, wanted, &place, &stack.physical())?;
    let is_same = old.template.outputs == wanted.template.outputs && stack.wish.tags == wish.tags;
    Ok((!planned.is_empty() || !is_same).then_some(planned))
}

pub(super) fn create(lambda: &Arc<Lambda>, form: &Form) -> Result<Value, Refusal> {
    let (named, name) = (needed(form, "StackName")?, needed(form, "ChangeSetName")?);
    let is_first = form.get("ChangeSetType").is_some_and(|it| it == "CREATE");
    let before = lambda.stacks().find(named).cloned();
    let stack = match (before, is_first) {
        (Some(stack), true) if stack.status == Status::ReviewInProgress => stack,
        (Some(_), true) => {
            return invalid(format!(
                "Stack [{named}] already exists and cannot be created again with the changeSet [{name}]."
            ));
        }
        (Some(stack), false) => {
            check_rest(&stack)?;
            stack
        }
        (None, true) => {
            let mut stack = lambda.fresh_stack(named)?;
            lambda.turn(
                &mut stack,
                Status::ReviewInProgress,
                Some("User Initiated".to_owned()),
            );
            stack
        }
        (None, false) => return invalid(format!("Stack [{named}] does not exist")),
    };
    let set = set(lambda, form, &stack, is_first)?;
    let told = json!({"Id": set.id, "StackId": stack.id});
    lambda.change_stacks(|stacks| {
        let stack = stacks.0.entry(stack.id.clone()).or_insert(stack);
        if stack
            .change_sets
            .get(name)
            .is_some_and(|it| !it.is_executed)
        {
            let message = format!("ChangeSet [{name}] already exists");
            return Err((StatusCode::BAD_REQUEST, "AlreadyExistsException", message));
        }
        stack.change_sets.insert(name.to_owned(), set);
        Ok(told)
    })
}

fn set(lambda: &Lambda, form: &Form, stack: &Stack, is_first: bool) -> Result<ChangeSet, Refusal> {
    let name = needed(form, "ChangeSetName")?.to_owned();
    let wish = ask::wish(lambda, form, Some(&stack.wish).filter(|_| !is_first));
    let (wish, planned) = match wish {
        Ok(wish) => {
            let wanted = desired(&wish);
            if let Ok(wanted) = &wanted {
                ask::check_capabilities(&wish, wanted, false)?;
            }
            let planned = wanted.and_then(|wanted| planned(lambda, stack, &wish, &wanted));
            let planned = match planned {
                Ok(None) => Err(NOTHING.to_owned()),
                Ok(Some(planned)) => Ok(planned),
                Err(Fault(message)) => return invalid(message),
            };
            (wish, planned)
        }
        // A transform that fails leaves a change set that says why.
        Err((_, _, message)) if message.starts_with("Transform ") => {
            (Wish::default(), Err(message))
        }
        Err(refusal) => return Err(refusal),
    };
    let (region, account) = (&lambda.place.region, &lambda.place.account);
    let id = format!(
        "arn:aws:cloudformation:{region}:{account}:changeSet/{name}/{}",
        Uuid::new_v4()
    );
    Ok(ChangeSet {
        id,
        name,
        description: form.get("Description").cloned(),
        created: lambda.clock.now(),
        is_first,
        wish,
        planned,
        is_executed: false,
    })
}

/// The stack and the change set that a request names: by the set's id, or by both names.
pub(super) fn found(lambda: &Lambda, form: &Form) -> Result<(Stack, ChangeSet), Refusal> {
    let name = needed(form, "ChangeSetName")?;
    let stacks = lambda.stacks();
    let named = form.get("StackName").and_then(|it| stacks.find(it));
    let all = named.into_iter().chain(stacks.0.values());
    let mut all = all.flat_map(|stack| stack.change_sets.values().map(move |set| (stack, set)));
    let is_meant = |(stack, set): &(&Stack, &ChangeSet)| {
        set.id == name || (set.name == name && named.is_some_and(|it| it.id == stack.id))
    };
    match all.find(is_meant) {
        Some((stack, set)) => Ok((stack.clone(), set.clone())),
        None => {
            let message = format!("ChangeSet [{name}] does not exist");
            Err((StatusCode::NOT_FOUND, "ChangeSetNotFound", message))
        }
    }
}

pub(super) fn describe(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    let (stack, set) = found(lambda, form)?;
    let mut told = json!({
        "ChangeSetId": set.id,
        "ChangeSetName": set.name,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": set.description,
        "CreationTime": set.created.to_string(),
        "Parameters": super::show::parameters(&set.wish),
        "Capabilities": set.wish.capabilities,
        "Tags": super::show::tags(&set.wish.tags),
        "Status": status(&set).0,
        "ExecutionStatus": status(&set).1,
    });
    match &set.planned {
        Ok(planned) => told["Changes"] = planned.iter().map(change).collect(),
        Err(reason) => {
            told["Changes"] = json!([]);
            told["StatusReason"] = json!(reason);
        }
    }
    Ok(told)
}

fn status(set: &ChangeSet) -> (&'static str, &'static str) {
    match (&set.planned, set.is_executed) {
        (Err(_), _) => ("FAILED", "UNAVAILABLE"),
        (Ok(_), false) => ("CREATE_COMPLETE", "AVAILABLE"),
        (Ok(_), true) => ("CREATE_COMPLETE", "EXECUTE_COMPLETE"),
    }
}

fn change(planned: &Planned) -> Value {
    let Planned {
        action,
        logical,
        kind,
        physical,
        is_replaced,
    } = planned;
    let action = action.as_str();
    let replacement = match (action, is_replaced) {
        ("Modify", true) => Some("True"),
        ("Modify", false) => Some("False"),
        _ => None,
    };
    json!({
        "Type": "Resource",
        "ResourceChange": {
            "Action": action,
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "Replacement": replacement,
            "Scope": replacement.map_or_else(|| json!([]), |_| json!(["Properties"])),
            "Details": [],
        },
    })
}

pub(super) fn list(stack: &Stack) -> Value {
    let all = stack.change_sets.values().map(|set| {
        json!({
            "ChangeSetId": set.id,
            "ChangeSetName": set.name,
            "StackId": stack.id,
            "StackName": stack.name,
            "CreationTime": set.created.to_string(),
            "Description": set.description,
            "Status": status(set).0,
            "ExecutionStatus": status(set).1,
        })
    });
    json!({"Summaries": all.collect::<Vec<_>>()})
}

/// Carries out what a set plans; the stack's other sets are void then.
pub(super) fn execute(lambda: &Arc<Lambda>, form: &Form) -> Result<Value, Refusal> {
    let (stack, set) = found(lambda, form)?;
    if set.planned.is_err() || set.is_executed {
        let (id, status) = (&set.id, status(&set).0);
        let message =
            format!("ChangeSet [{id}] cannot be executed in its current status of [{status}]");
        return Err((StatusCode::BAD_REQUEST, "InvalidChangeSetStatus", message));
    }
    let wanted = desired(&set.wish).map_err(refusal)?;
    let keeps_failed = form.get("DisableRollback").is_some_and(|it| it == "true");
    if set.is_first {
        lambda.change_stacks(|stacks| {
            let Some(stack) = stacks.0.get_mut(&stack.id) else {
                return invalid(format!("Stack [{}] does not exist", stack.name));
            };
            if stack.status != Status::ReviewInProgress {
                let (id, status) = (&stack.id, stack.status.as_str());
                return invalid(format!(
                    "Stack:{id} is in {status} state and can not be created."
                ));
            }
            stack.keeps_failed = keeps_failed;
            begin(lambda, stack, Status::CreateInProgress, set.wish.clone());
            Ok(())
        })?;
        start(lambda, &stack.id, Work::Create(wanted));
    } else {
        follow(lambda, &stack.id, set.wish.clone(), wanted)?;
    }
    lambda.change_stacks(|stacks| {
        let sets = stacks.0.get_mut(&stack.id).map(|it| &mut it.change_sets);
        if let Some(sets) = sets {
            sets.retain(|_, it| it.id == set.id);
            sets.values_mut().for_each(|it| it.is_executed = true);
        }
        Ok(())
    })?;
    Ok(json!({}))
}

/// One that is not there is deleted already.
pub(super) fn delete(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    if let Ok((stack, set)) = found(lambda, form) {
        lambda.change_stacks(|stacks| {
            let stack = stacks.0.get_mut(&stack.id);
            stack.and_then(|it| it.change_sets.remove(&set.name));
            Ok(())
        })?;
    }
    Ok(json!({}))
}
