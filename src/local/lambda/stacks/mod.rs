//! CloudFormation, as far as SAM and the Serverless Framework need it: stacks and change sets over the services of this endpoint.
//!
//! What is decided is decided in [`crate::local::stacks`]; here it is kept and carried out. Resources are made by the same requests that
//! any client would send, one after the other.

mod ask;
mod run;
mod send;
mod sets;
mod show;

use std::sync::{Arc, MutexGuard, PoisonError};

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};
use uuid::Uuid;

use self::{
    ask::desired,
    run::{Work, start},
};
use super::{
    Lambda,
    around::forms::{Form, Refusal, answered, needed, read},
};
use crate::local::stacks::{
    Fault,
    changes::Desired,
    record::{Event, Stack, Stacks, Status, Wish},
    value::Place,
};

pub(super) const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
/// The version of its interface, by which requests are known.
pub(super) const VERSION: &str = "2010-05-15";
const STACK: &str = "AWS::CloudFormation::Stack";

/// Carries out one operation.
pub(super) fn carry_out(lambda: &Arc<Lambda>, operation: &str, body: &[u8]) -> Response {
    let done = done(lambda, operation, &read(body));
    let told = done.map(|told| match told.is_null() {
        true => String::new(),
        false => format!(
            "<{operation}Result>{}</{operation}Result>",
            show::xml(&told)
        ),
    });
    answered(operation, NAMESPACE, told)
}

fn done(lambda: &Arc<Lambda>, operation: &str, form: &Form) -> Result<Value, Refusal> {
    match operation {
        "CreateStack" => create(lambda, form),
        "UpdateStack" => update(lambda, form),
        "DeleteStack" => delete(lambda, form),
        "DescribeStacks" => show::stacks(lambda, form),
        "ListStacks" => Ok(show::all(lambda, form)),
        "ListExports" => Ok(show::exports(lambda)),
        "DescribeStackEvents" => seen(lambda, form, |stack| show::events(stack, form)),
        "DescribeStackResource" => {
            let logical = needed(form, "LogicalResourceId")?;
            seen(lambda, form, |stack| show::resource(stack, logical))
        }
        "DescribeStackResources" => show::resources(lambda, form),
        "ListStackResources" => seen(lambda, form, |stack| Ok(show::summaries(stack, form))),
        "GetTemplate" => show::template(lambda, form),
        "GetTemplateSummary" => ask::summary(lambda, form),
        "ValidateTemplate" => ask::validate(lambda, form),
        "CreateChangeSet" => sets::create(lambda, form),
        "DescribeChangeSet" => sets::describe(lambda, form),
        "ExecuteChangeSet" => sets::execute(lambda, form),
        "DeleteChangeSet" => sets::delete(lambda, form),
        "ListChangeSets" => seen(lambda, form, |stack| Ok(sets::list(stack))),
        other => {
            let message = format!("this endpoint does not know {other} of CloudFormation");
            Err((StatusCode::BAD_REQUEST, "InvalidAction", message))
        }
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(refusal(Fault(message.into())))
}

fn refusal(Fault(message): Fault) -> Refusal {
    (StatusCode::BAD_REQUEST, "ValidationError", message)
}

/// Looks at the stack that a request names.
fn seen(
    lambda: &Lambda,
    form: &Form,
    look: impl FnOnce(&Stack) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let named = needed(form, "StackName")?;
    match lambda.stacks().find(named) {
        Some(stack) => look(stack),
        None => invalid(format!("Stack with id {named} does not exist")),
    }
}

impl Lambda {
    fn stacks(&self) -> MutexGuard<'_, Stacks> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the stacks, and writes them down before anybody is told. A refusal changes nothing.
    fn change_stacks<T>(
        &self,
        change: impl FnOnce(&mut Stacks) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut stacks = self.stacks();
        let mut fresh = stacks.clone();
        let told = change(&mut fresh)?;
        fresh.forget();
        if let Some(Err(fault)) = self.keep.as_ref().map(|keep| keep.save_stacks(&fresh)) {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err((status, "InternalFailure", fault.to_string()));
        }
        *stacks = fresh;
        Ok(told)
    }

    fn place_of(&self, stack: &Stack) -> Place {
        Place {
            region: self.place.region.clone(),
            account: self.place.account.clone(),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
        }
    }

    fn fresh_stack(&self, name: &str) -> Result<Stack, Refusal> {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || name.len() > 128 || !name.chars().all(sound) {
            return invalid(format!(
                "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            ));
        }
        let (region, account) = (&self.place.region, &self.place.account);
        let id = Uuid::new_v4();
        let id = format!("arn:aws:cloudformation:{region}:{account}:stack/{name}/{id}");
        Ok(Stack::new(id, name.to_owned(), self.clock.now()))
    }

    /// The stack itself is at a new place.
    fn turn(&self, stack: &mut Stack, status: Status, reason: Option<String>) {
        stack.status = status;
        stack.reason.clone_from(&reason);
        let now = self.clock.now();
        if status == Status::DeleteComplete {
            stack.deleted = Some(now);
        }
        let event = Event {
            id: Uuid::new_v4().to_string(),
            at: now,
            logical: stack.name.clone(),
            physical: stack.id.clone(),
            kind: STACK.to_owned(),
            status,
            reason,
        };
        stack.note(event);
    }
}

fn create(lambda: &Arc<Lambda>, form: &Form) -> Result<Value, Refusal> {
    let name = needed(form, "StackName")?;
    let fresh = lambda.fresh_stack(name)?;
    let wish = ask::wish(lambda, form, None)?;
    let wanted = desired(&wish).map_err(refusal)?;
    ask::check_capabilities(&wish, &wanted, true)?;
    wanted.order(&lambda.place_of(&fresh)).map_err(refusal)?;
    let keeps_failed = form.get("DisableRollback").is_some_and(|it| it == "true")
        || form.get("OnFailure").is_some_and(|it| it == "DO_NOTHING");
    let id = lambda.change_stacks(|stacks| {
        if stacks.find(name).is_some() {
            let message = format!("Stack [{name}] already exists");
            return Err((StatusCode::BAD_REQUEST, "AlreadyExistsException", message));
        }
        let mut stack = fresh;
        stack.keeps_failed = keeps_failed;
        begin(lambda, &mut stack, Status::CreateInProgress, wish);
        let id = stack.id.clone();
        stacks.0.insert(id.clone(), stack);
        Ok(id)
    })?;
    start(lambda, &id, Work::Create(wanted));
    Ok(json!({"StackId": id}))
}

/// The wish is what the stack stands for from now on.
fn begin(lambda: &Lambda, stack: &mut Stack, status: Status, wish: Wish) {
    stack.description = wish.tree["Description"].as_str().map(str::to_owned);
    stack.wish = wish;
    if status == Status::UpdateInProgress {
        stack.updated = Some(lambda.clock.now());
    }
    lambda.turn(stack, status, Some("User Initiated".to_owned()));
}

fn update(lambda: &Arc<Lambda>, form: &Form) -> Result<Value, Refusal> {
    let named = needed(form, "StackName")?;
    let Some(before) = lambda.stacks().find(named).cloned() else {
        return invalid(format!("Stack [{named}] does not exist"));
    };
    let wish = ask::wish(lambda, form, Some(&before.wish))?;
    let wanted = desired(&wish).map_err(refusal)?;
    ask::check_capabilities(&wish, &wanted, true)?;
    if sets::planned(lambda, &before, &wish, &wanted)
        .map_err(refusal)?
        .is_none()
    {
        return invalid("No updates are to be performed.");
    }
    follow(lambda, &before.id, wish, wanted)?;
    Ok(json!({"StackId": before.id}))
}

/// A stack that is at rest goes to its next template.
fn follow(lambda: &Arc<Lambda>, id: &str, wish: Wish, wanted: Desired) -> Result<(), Refusal> {
    let before = lambda.change_stacks(|stacks| {
        let Some(stack) = stacks.0.get_mut(id) else {
            return invalid(format!("Stack [{id}] does not exist"));
        };
        check_rest(stack)?;
        let before = stack.clone();
        begin(lambda, stack, Status::UpdateInProgress, wish);
        Ok(before)
    })?;
    let before = Box::new(before);
    start(lambda, id, Work::Update { wanted, before });
    Ok(())
}

fn check_rest(stack: &Stack) -> Result<(), Refusal> {
    if stack.status.may_be_updated() {
        return Ok(());
    }
    let (id, status) = (&stack.id, stack.status.as_str());
    invalid(format!(
        "Stack:{id} is in {status} state and can not be updated."
    ))
}

/// A stack that is not there is deleted already.
fn delete(lambda: &Arc<Lambda>, form: &Form) -> Result<Value, Refusal> {
    let named = needed(form, "StackName")?;
    let retained = ask::members(form, "RetainResources");
    let begun = lambda.change_stacks(|stacks| {
        let Some(id) = stacks.find(named).map(|it| it.id.clone()) else {
            return Ok(None);
        };
        let Some(stack) = stacks.0.get_mut(&id) else {
            return Ok(None);
        };
        let status = stack.status;
        if status == Status::DeleteInProgress || status == Status::DeleteComplete {
            return Ok(None);
        }
        if status.is_in_progress() {
            let status = status.as_str();
            return invalid(format!(
                "Stack [{named}] cannot be deleted while in status {status}"
            ));
        }
        if status != Status::DeleteFailed && !retained.is_empty() {
            return invalid(format!(
                "Stack [{named}] is not in DELETE_FAILED state. Only stacks in that state can be deleted with RetainResources"
            ));
        }
        for held in stack.resources.iter_mut().filter(|(name, _)| retained.contains(name)) {
            held.1.live.is_retained = true;
        }
        lambda.turn(stack, Status::DeleteInProgress, Some("User Initiated".to_owned()));
        Ok(Some(id))
    })?;
    if let Some(id) = begun {
        start(lambda, &id, Work::Delete);
    }
    Ok(Value::Null)
}

/// The types of a template's resources, each once.
fn types(wanted: &Desired) -> Vec<String> {
    let kinds = wanted.template.resources.values();
    let mut kinds: Vec<_> = kinds.map(|it| it.kind.clone()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}
