//! What readers may still be told of that is no longer so.
//!
//! Late are Lambda's own reads, IAM's, EventBridge's, SNS's, and what S3 says of a bucket. Objects and queues are as they are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{
    Lambda,
    around::{Around, Kept},
    record::{Function, Mapping},
    url,
    wire::{Call, Operation, Reference},
};
use crate::local::lag::{Read, Subject};

/// Everything that late readers look at.
pub(super) struct Past {
    functions: BTreeMap<String, Function>,
    mappings: BTreeMap<String, Mapping>,
    around: Kept,
}

/// What a request does, as far as others may learn of it late.
pub(super) enum Touch<'a> {
    Write(Subject),
    Read(Read<'a>),
}

impl<'a> Touch<'a> {
    /// `key` tells the read from others.
    pub(super) fn of(operation: &'a str, subject: Subject, key: String, goes_on: bool) -> Self {
        let looks = ["Get", "List", "Describe"];
        if !looks.iter().any(|word| operation.starts_with(word)) {
            return Self::Write(subject);
        }
        Self::Read(Read {
            operation,
            subject,
            key,
            goes_on,
        })
    }

    /// What S3 tells late: what buckets are set to, and nothing of objects.
    pub(super) fn of_bucket(operation: &'a str, bucket: &str) -> Option<Self> {
        let is_set = ["NotificationConfiguration", "Policy"];
        let is_late = is_set.iter().any(|word| operation.ends_with(word));
        let subject = Subject::one("bucket", bucket);
        is_late.then(|| Self::of(operation, subject, bucket.to_owned(), false))
    }

    /// The same for a request whose members tell a read from others, and `mark` a page of it.
    pub(super) fn of_json(
        operation: &'a str,
        subject: Subject,
        request: &Value,
        mark: &str,
    ) -> Self {
        let mut key = request.clone();
        let marked = key.as_object_mut().and_then(|it| it.remove(mark));
        Self::of(operation, subject, key.to_string(), marked.is_some())
    }
}

impl Lambda {
    /// Who answers a request: this, or this as it was before a write. A write is remembered.
    pub(super) fn as_told<'a>(
        self: &Arc<Self>,
        touch: impl FnOnce() -> Option<Touch<'a>>,
    ) -> Arc<Self> {
        if !self.lag.is_on() {
            return Arc::clone(self);
        }
        let now = self.clock.now();
        let late = match touch() {
            None => None,
            Some(Touch::Write(subject)) => {
                self.lag.write(subject, now, || self.past());
                None
            }
            Some(Touch::Read(read)) => self.lag.read(&read, now),
        };
        late.map_or_else(|| Arc::clone(self), |past| Arc::new(self.as_it_was(&past)))
    }

    /// Whether Lambda may run as this role, as far as it has heard of it.
    pub(super) fn may_assume(&self, arn: &str) -> bool {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let read = Read {
            operation: "AssumeRole",
            subject: Subject::one("role", name),
            key: arn.to_owned(),
            goes_on: false,
        };
        match self.lag.read(&read, self.clock.now()) {
            Some(past) => past.around.may_assume(arn),
            None => self.around.may_assume(arn),
        }
    }

    fn past(&self) -> Past {
        Past {
            functions: self.functions().clone(),
            mappings: self.mappings().clone(),
            around: self.around.kept(),
        }
    }

    /// Answers reads only: nothing that it is told to do lasts.
    fn as_it_was(&self, past: &Past) -> Self {
        let Past {
            functions,
            mappings,
            around,
        } = past;
        let stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            place: self.place.clone(),
            pending: self.pending,
            base: self.base.clone(),
            clock: Arc::clone(&self.clock),
            faults: self.faults.clone(),
            lag: Arc::clone(&self.lag),
            quota: Arc::clone(&self.quota),
            functions: Mutex::new(functions.clone()),
            mappings: Mutex::new(mappings.clone()),
            around: Around::new(around.clone()),
            packages: self.packages.clone(),
            contents: self.contents.clone(),
            stacks: Mutex::new(stacks.clone()),
            keep: None,
            runner: Arc::clone(&self.runner),
            urls: url::Listeners::default(),
            tasks: self.tasks.clone(),
            _scratch: None,
        }
    }

    /// What one of Lambda's own operations touches.
    pub(super) fn touch(&self, operation: Operation, call: &Call) -> Option<Touch<'static>> {
        use Operation as O;
        let of_nothing = [O::GetAccountSettings, O::GetCallerIdentity, O::Invoke];
        let of_mapping = [
            O::GetEventSourceMapping,
            O::UpdateEventSourceMapping,
            O::DeleteEventSourceMapping,
        ];
        let mapping_in = |arn: &str| Some(arn.split_once(":event-source-mapping:")?.1.to_owned());
        let subject = if of_nothing.contains(&operation) {
            return None;
        } else if operation == O::ListFunctions {
            Subject::all("function")
        } else if operation == O::CreateFunction {
            Subject::one("function", function_in(call)?)
        } else if operation == O::CreateEventSourceMapping {
            Subject::one("mapping", function_in(call)?)
        } else if operation == O::ListEventSourceMappings {
            match call.query("FunctionName") {
                Some(function) => Subject::one("mapping", name(function)?),
                None => Subject::all("mapping"),
            }
        } else if of_mapping.contains(&operation) {
            self.mapping(call.part(0))?
        } else if let Some(id) = mapping_in(call.part(0)) {
            self.mapping(&id)?
        } else {
            Subject::one("function", name(call.part(0))?)
        };
        let query = call.query.iter().filter(|(name, _)| name != "Marker");
        let key = format!("{:?} {:?}", call.path, query.collect::<Vec<_>>());
        let goes_on = call.query("Marker").is_some();
        Some(Touch::of(operation.as_str(), subject, key, goes_on))
    }

    /// Mappings are told by the function that they are of, since lists of them are.
    fn mapping(&self, id: &str) -> Option<Subject> {
        let mappings = self.mappings();
        let function = name(&mappings.get(id)?.function_arn)?;
        Some(Subject::one("mapping", function))
    }
}

fn function_in(call: &Call) -> Option<String> {
    let request: Value = call.json().ok()?;
    name(request["FunctionName"].as_str()?)
}

fn name(function: &str) -> Option<String> {
    Reference::parse(function, None).ok().map(|it| it.name)
}
