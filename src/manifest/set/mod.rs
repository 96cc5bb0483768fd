//! The manifests of one commit: each file read by itself, then put together.
//!
//! Reading a file depends on its text alone, so its result can be kept. Putting together looks at all
//! files; a [`KeptSet`] looks at those that changed wherever that is enough.

mod assemble;
mod expand;
mod file;
mod follow;
mod graph;
mod hosts;
mod keep;
mod order;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use self::{
    assemble::{assemble, assemble_with},
    file::{FILE_MAX, FileDocs, parse_bytes, parse_file, unreadable_file},
    keep::{Changed, KeptSet},
};
use super::{
    fault::Fault,
    spec::{Environment, Service},
};
use crate::name::{EnvironmentName, ServiceKey, ServiceName};

/// All that the files of one commit ask for, and all that is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub environments: BTreeMap<EnvironmentName, Arc<Environment>>,
    /// Only services without an error. Their references to gates are resolved.
    pub services: BTreeMap<ServiceName, PlacedService>,
    pub held: Held,
    /// Errors and warnings, in the order of the files.
    pub faults: Vec<Fault>,
}

/// A service, where it runs, and where it is written.
#[derive(Clone, Debug)]
pub struct PlacedService {
    pub service: Arc<Service>,
    /// What it is in environments where its variables stand for something else.
    pub variants: BTreeMap<EnvironmentName, Arc<Service>>,
    /// Each of them is in the set; environments with a fault are left out, and held.
    pub environments: Vec<EnvironmentName>,
    pub(crate) origin: Origin,
}

/// Where a service's source stands in its file; looked up only when a fault must be told.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    document: super::yaml::Document,
    name: super::yaml::Place,
    source: super::yaml::Place,
}

impl PlacedService {
    /// The service as this environment has it.
    pub fn in_environment(&self, name: &EnvironmentName) -> &Arc<Service> {
        self.variants.get(name).unwrap_or(&self.service)
    }

    /// A fault at the service's `source`.
    pub(crate) fn source_fault(&self, message: String, suggestion: Option<String>) -> Fault {
        self.fault(&self.origin.source, message, suggestion)
    }

    /// A fault at the service's name.
    fn name_fault(&self, message: String, suggestion: Option<String>) -> Fault {
        self.fault(&self.origin.name, message, suggestion)
    }

    fn fault(
        &self,
        place: &super::yaml::Place,
        message: String,
        suggestion: Option<String>,
    ) -> Fault {
        let document = &self.origin.document;
        let spot = document.spot(place);
        Fault {
            file: document.file.to_string(),
            line: spot.line,
            column: spot.column,
            offset: spot.offset,
            length: spot.length,
            field: place.field(),
            message,
            suggestion,
            severity: super::fault::Severity::Error,
            service: Some(self.service.name.clone()),
        }
    }
}

/// What must be left as it is, because what Git asks of it cannot be read. Not the same as absent, which means removed from Git.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Held {
    /// Services with a fault: their last good release stands.
    pub services: BTreeSet<ServiceName>,
    /// Environments with a fault: nothing in them is changed or removed.
    pub environments: BTreeSet<EnvironmentName>,
    /// Files so broken that nobody knows what they ask for: as long as there is one, nothing is removed anywhere.
    pub unreadable: BTreeSet<String>,
}

impl Held {
    /// Whether a service that the set does not ask for must be kept nevertheless.
    pub fn keeps(&self, key: &ServiceKey) -> bool {
        !self.unreadable.is_empty()
            || self.services.contains(&key.service)
            || self.environments.contains(&key.environment)
    }

    /// `unreadable files: a.yaml, b.yaml: nothing is removed until they are mended`.
    pub fn describe_unreadable(&self) -> Option<String> {
        if self.unreadable.is_empty() {
            return None;
        }
        let files: Vec<&str> = self.unreadable.iter().map(String::as_str).collect();
        let files = files.join(", ");
        Some(format!(
            "unreadable files: {files}: nothing is removed until they are mended"
        ))
    }
}
