//! Puts the files of one commit together: names are unique, references lead somewhere, and what a cloud would refuse is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        check::{
            BadUse, GateDraft, ServiceDraft, SharedGate, Use,
            limits::{Limit, Subject, limits},
        },
        fault::{Fault, Severity},
        raw::{At, suggest},
        spec::{Environment, Gate, Service},
        variables::Sources,
        yaml::{Document, Place},
    },
    Held, Origin, PlacedService, Set,
    expand::expand,
    file::{Content, FileDocs, Suspects},
};
use crate::name::{EnvironmentName, GateName, ServiceName};

/// Puts files together that ask for nothing but parameters. `files` are all manifest files of the commit, by path.
pub fn assemble(files: &BTreeMap<String, Arc<FileDocs>>) -> Set {
    Sources::with_none(|sources| assemble_with(files, sources))
}

/// Puts files together, with what their variables stand for.
pub fn assemble_with(files: &BTreeMap<String, Arc<FileDocs>>, sources: &Sources<'_>) -> Set {
    let files = expand(files, sources);
    let mut work = Assembly::of(&files);
    work.check_order();
    work.finish()
}

/// The same for some of the files, whose services stand to others as they did before: what they depend on need not be among them.
pub(super) fn assemble_part(files: &BTreeMap<String, Arc<FileDocs>>) -> Set {
    Assembly::of(files).finish()
}

/// A value, the document that it is from, and where its name stands there.
pub(super) struct Found<'f, T> {
    pub(super) document: &'f Document,
    name: Place,
    pub(super) value: T,
}

#[derive(Default)]
pub(super) struct Assembly<'f> {
    pub(super) environments: BTreeMap<EnvironmentName, Found<'f, Arc<Environment>>>,
    /// Where an environment says whom it follows.
    pub(super) follows: BTreeMap<EnvironmentName, &'f Place>,
    gates: BTreeMap<GateName, Found<'f, &'f SharedGate>>,
    pub(super) services: BTreeMap<ServiceName, (&'f Document, &'f ServiceDraft)>,
    /// Names that stand in two documents, in any of which may be what is meant.
    doubled_gates: BTreeSet<GateName>,
    broken_gates: BTreeSet<GateName>,
    pub(super) held: Held,
    pub(super) placed: BTreeMap<ServiceName, PlacedService>,
    pub(super) faults: Vec<Fault>,
}

impl<'f> Assembly<'f> {
    fn of(files: &'f BTreeMap<String, Arc<FileDocs>>) -> Self {
        let mut work = Self::default();
        for (path, file) in files {
            work.collect(path, file);
        }
        work.drop_duplicates();
        work.check_follows();
        let drafts = work.services.clone();
        for (name, (document, draft)) in drafts {
            work.place(name, document, draft);
        }
        work.check_clashes();
        work
    }

    fn collect(&mut self, path: &str, file: &'f FileDocs) {
        self.faults.extend_from_slice(&file.faults);
        if file.is_unreadable {
            self.held.unreadable.insert(path.to_owned());
        }
        for (document, content) in &file.documents {
            match content {
                Content::Service { draft, is_good } => {
                    self.add_service(document, draft);
                    if !is_good {
                        self.held.services.insert(draft.name.value.clone());
                    }
                }
                Content::Environment {
                    name,
                    environment,
                    follows,
                    params: _,
                } => {
                    self.add_environment(document, name, environment);
                    let follows = follows.as_ref().map(|place| (name.value.clone(), place));
                    self.follows.extend(follows);
                }
                Content::Gate(name, gate) => self.add_gate(document, name, gate),
                Content::Broken(suspects) | Content::Variable { node: _, suspects } => {
                    self.hold(suspects);
                }
            }
        }
    }

    fn hold(&mut self, suspects: &Suspects) {
        let Suspects {
            service,
            environment,
            gate,
        } = suspects;
        self.held.services.extend(service.clone());
        self.held.environments.extend(environment.clone());
        self.broken_gates.extend(gate.clone());
    }

    fn add_service(&mut self, document: &'f Document, draft: &'f ServiceDraft) {
        let name = &draft.name.value;
        let Some((other, first)) = self.services.get(name) else {
            self.services.insert(name.clone(), (document, draft));
            return;
        };
        let at = line_of(other, &first.name.place);
        let message = format!("a service `{name}` stands in {at} too");
        let mut fault = fault(document, &draft.name.place, message, "rename or remove one");
        fault.service = Some(name.clone());
        self.faults.push(fault);
        self.held.services.insert(name.clone());
    }

    fn add_environment(
        &mut self,
        document: &'f Document,
        name: &At<EnvironmentName>,
        environment: &Arc<Environment>,
    ) {
        if let Some(first) = self.environments.get(&name.value) {
            let at = line_of(first.document, &first.name);
            let message = format!("an environment `{}` stands in {at} too", name.value);
            self.faults.push(fault(
                document,
                &name.place,
                message,
                "rename or remove one",
            ));
            self.held.environments.insert(name.value.clone());
            return;
        }
        let found = Found {
            document,
            name: name.place.clone(),
            value: Arc::clone(environment),
        };
        self.environments.insert(name.value.clone(), found);
    }

    fn add_gate(&mut self, document: &'f Document, name: &At<GateName>, gate: &'f SharedGate) {
        if let Some(first) = self.gates.get(&name.value) {
            let at = line_of(first.document, &first.name);
            let message = format!("a gate `{}` stands in {at} too", name.value);
            self.faults.push(fault(
                document,
                &name.place,
                message,
                "rename or remove one",
            ));
            self.doubled_gates.insert(name.value.clone());
            return;
        }
        let found = Found {
            document,
            name: name.place.clone(),
            value: gate,
        };
        self.gates.insert(name.value.clone(), found);
    }

    /// Of two documents of one name neither is used, since nobody knows which is meant. (Services are held back in `place`, where more
    /// faults may be found in them.)
    fn drop_duplicates(&mut self) {
        let held = &self.held;
        self.environments
            .retain(|name, _| !held.environments.contains(name));
        let doubled = &self.doubled_gates;
        let broken = &self.broken_gates;
        self.gates
            .retain(|name, _| !doubled.contains(name) && !broken.contains(name));
    }

    fn place(&mut self, name: ServiceName, document: &'f Document, draft: &ServiceDraft) {
        let known = self.faults.len();
        let environments = self.environments_of(document, draft);
        let service = self.with_gates(document, draft);
        let mut variants = BTreeMap::new();
        for (environment, variant) in &draft.variants {
            variants.insert(environment.clone(), self.with_gates(document, variant));
        }
        for environment in &environments {
            self.check_limits(document, draft.in_environment(environment), environment);
        }
        let is_held = self.held.services.contains(&name);
        let has_error = is_held || self.faults[known..].iter().any(Fault::is_error);
        for fault in self.faults[known..]
            .iter_mut()
            .filter(|fault| fault.is_error())
        {
            fault.service = Some(name.clone());
        }
        if has_error {
            self.held.services.insert(name);
            return;
        }
        let origin = Origin {
            document: document.clone(),
            name: draft.name.place.clone(),
            source: draft.source.clone(),
        };
        let placed = PlacedService {
            service,
            variants,
            environments,
            origin,
        };
        self.placed.insert(name, placed);
    }

    /// Held environments are left out: nothing in them is changed.
    fn environments_of(
        &mut self,
        document: &Document,
        draft: &ServiceDraft,
    ) -> Vec<EnvironmentName> {
        if draft.environments.is_empty() {
            if self.environments.is_empty() && self.held.environments.is_empty() {
                let message = "no environment is defined, so this service runs nowhere";
                let help = "add a document of `kind: Environment`";
                self.faults
                    .push(fault(document, &draft.name.place, message.to_owned(), help));
            }
            return self.environments.keys().cloned().collect();
        }
        let mut known = Vec::new();
        for environment in &draft.environments {
            if self.environments.contains_key(&environment.value) {
                known.push(environment.value.clone());
            } else if !self.held.environments.contains(&environment.value) {
                let message = format!("no environment `{}` is defined", environment.value);
                let names = self.environments.keys().map(EnvironmentName::as_str);
                let help = help_for(environment.value.as_str(), names);
                self.faults
                    .push(fault(document, &environment.place, message, &help));
            }
            self.check_runs_where_proven(document, draft, environment);
        }
        known
    }

    fn with_gates(&mut self, document: &Document, draft: &ServiceDraft) -> Arc<Service> {
        let is_own = |gate: &GateDraft| matches!(gate, GateDraft::Own(_));
        if draft.gates.iter().all(is_own) {
            return Arc::clone(&draft.service);
        }
        let mut gates = Vec::new();
        for gate in &draft.gates {
            match gate {
                GateDraft::Own(gate) => gates.push((**gate).clone()),
                GateDraft::Shared(reference) => match self.used(document, reference) {
                    Ok(gate) => gates.push(gate),
                    Err(wrong) => self.faults.extend(wrong),
                },
            }
        }
        let mut service = (*draft.service).clone();
        service.rollout.gates = gates;
        service.rollout.claim_gates();
        Arc::new(service)
    }

    fn used(&self, document: &Document, reference: &Use) -> Result<Gate, Vec<Fault>> {
        let Some(found) = self.gates.get(&reference.gate.value) else {
            return Err(vec![self.no_gate(document, &reference.gate)]);
        };
        let used = found.value.used(found.document, reference);
        let told = |BadUse {
                        place,
                        message,
                        help,
                    }| fault(document, &place, message, &help);
        used.map_err(|wrong| wrong.into_iter().map(told).collect())
    }

    fn no_gate(&self, document: &Document, name: &At<GateName>) -> Fault {
        let is_there =
            self.doubled_gates.contains(&name.value) || self.broken_gates.contains(&name.value);
        if is_there {
            let message = format!("the gate `{}` has a fault of its own", name.value);
            return fault(document, &name.place, message, "mend that document");
        }
        let message = format!("no gate `{}` is defined", name.value);
        let help = help_for(name.value.as_str(), self.gates.keys().map(GateName::as_str));
        fault(document, &name.place, message, &help)
    }

    fn check_limits(
        &mut self,
        document: &Document,
        draft: &ServiceDraft,
        environment: &EnvironmentName,
    ) {
        let Some(found) = self.environments.get(environment) else {
            return;
        };
        for limit in limits(&draft.service, &found.value) {
            let Limit {
                of,
                is_error,
                message,
                help,
            } = limit;
            let place = match of {
                Subject::Service => draft.name.place.clone(),
                Subject::App => match &draft.azure {
                    Some(place) => place.key(),
                    None => draft.name.place.clone(),
                },
                Subject::Function(function) => match draft.functions.get(&function) {
                    Some(place) => place.key(),
                    None => draft.name.place.clone(),
                },
            };
            let message = format!("in `{environment}`: {message}");
            let mut told = fault(document, &place, message, &help);
            if !is_error {
                told.severity = Severity::Warning;
            }
            self.faults.push(told);
        }
    }

    fn finish(self) -> Set {
        let Self {
            environments,
            follows: _,
            gates: _,
            services: _,
            doubled_gates: _,
            broken_gates: _,
            held,
            placed,
            mut faults,
        } = self;
        faults.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
        let plain = |(name, found): (EnvironmentName, Found<Arc<Environment>>)| (name, found.value);
        Set {
            environments: environments.into_iter().map(plain).collect(),
            services: placed,
            held,
            faults,
        }
    }
}

pub(super) fn help_for<'n>(wanted: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    if let Some(near) = suggest(wanted, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let known: Vec<&str> = known.take(8).collect();
    if known.is_empty() {
        "none is defined in this repository".to_owned()
    } else {
        format!("defined are: {}", known.join(", "))
    }
}

pub(super) fn line_of(document: &Document, place: &Place) -> String {
    format!("{}:{}", document.file, document.spot(place).line)
}

pub(super) fn fault(document: &Document, place: &Place, message: String, help: &str) -> Fault {
    let spot = document.spot(place);
    Fault {
        file: document.file.to_string(),
        line: spot.line,
        column: spot.column,
        offset: spot.offset,
        length: spot.length,
        field: place.field(),
        message,
        suggestion: (!help.is_empty()).then(|| help.to_owned()),
        severity: Severity::Error,
        service: None,
    }
}
