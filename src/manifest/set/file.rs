//! One file: cut, parsed, read and checked, with every fault that can be found without the others.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    check::{self, ServiceDraft, SharedGate},
    fault::{Fault, Severity},
    raw::{
        At, Draft, EnvironmentDocument, GateDocument, Report, ServiceDocument, read_record,
        unknown_kind,
    },
    spec::Environment,
    variables::{Filled, Wrong, is_any},
    yaml::{Broken, Document, Node, Place, Salvaged, Spot, salvage, split},
};
use crate::name::{EnvironmentName, GateName, ServiceName};

/// Two thousand lines of 32 characters: more than people keep in one file.
pub const FILE_MAX: usize = 64 * 1024;
/// The time that positions take grows with faults and size together; this keeps the worst file under a second.
const DOCUMENTS_MAX: usize = 200;
/// Whoever has more faults than this in one document has one cause for them.
const FAULTS_MAX: usize = 50;

/// What one file holds. Depends on its path and text only.
#[derive(Clone, Debug)]
pub struct FileDocs {
    pub(super) documents: Vec<(Document, Content)>,
    pub(super) faults: Vec<Fault>,
    /// Nobody knows what this file, or a part of it, asks for.
    pub(super) is_unreadable: bool,
    /// Some of its documents are read once it is known what their variables stand for.
    pub(super) has_variables: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Service {
        draft: Box<ServiceDraft>,
        /// False where something is wrong already, and the draft only serves to find what else is.
        is_good: bool,
    },
    Environment {
        name: At<EnvironmentName>,
        environment: Arc<Environment>,
        /// Where it says whom it follows.
        follows: Option<Place>,
        /// What its parameters stand for.
        params: Vec<(String, Node)>,
    },
    /// A service or an environment with variables.
    Variable {
        node: Node,
        suspects: Suspects,
    },
    Gate(At<GateName>, SharedGate),
    /// Something is wrong, and these are the things that it may have been about.
    Broken(Suspects),
}

/// What a broken document may have been about.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    pub(super) service: Option<ServiceName>,
    pub(super) environment: Option<EnvironmentName>,
    pub(super) gate: Option<GateName>,
}

impl FileDocs {
    /// Faults that were found without looking at other files.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

/// Reads the bytes of a file, which may be anything.
pub fn parse_bytes(path: &str, bytes: &[u8]) -> FileDocs {
    if bytes.len() > FILE_MAX {
        return unreadable(
            path,
            &too_large(bytes.len()),
            "split it; several files are fine",
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_file(path, text),
        Err(error) => {
            let message = format!("is no text: byte {} is not UTF-8", error.valid_up_to());
            unreadable(path, &message, "save it as UTF-8")
        }
    }
}

/// Reads one file. Never fails: what is wrong stands in the result.
pub fn parse_file(path: &str, text: &str) -> FileDocs {
    if text.len() > FILE_MAX {
        return unreadable(
            path,
            &too_large(text.len()),
            "split it; several files are fine",
        );
    }
    let mut docs = FileDocs {
        documents: Vec::new(),
        faults: Vec::new(),
        is_unreadable: false,
        has_variables: false,
    };
    let documents = split(path, text);
    if documents.len() > DOCUMENTS_MAX {
        let message = format!(
            "the file holds {} documents, and {DOCUMENTS_MAX} are allowed",
            documents.len()
        );
        return unreadable(path, &message, "split it; several files are fine");
    }
    for document in documents {
        docs.add(document);
    }
    docs
}

fn too_large(len: usize) -> String {
    format!("the file has {len} bytes, and {FILE_MAX} are allowed")
}

/// A file that could not even be had: a symbolic link, say.
pub fn unreadable_file(path: &str, message: &str) -> FileDocs {
    unreadable(path, message, "put a plain text file here")
}

fn unreadable(path: &str, message: &str, help: &str) -> FileDocs {
    let start = Spot {
        line: 1,
        column: 1,
        offset: 0,
        length: 0,
    };
    let fault = fault_at(path, start, message.to_owned(), Some(help.to_owned()));
    FileDocs {
        documents: Vec::new(),
        faults: vec![fault],
        is_unreadable: true,
        has_variables: false,
    }
}

fn fault_at(file: &str, spot: Spot, message: String, suggestion: Option<String>) -> Fault {
    Fault {
        file: file.to_owned(),
        line: spot.line,
        column: spot.column,
        offset: spot.offset,
        length: spot.length,
        field: String::new(),
        message,
        suggestion,
        severity: Severity::Error,
        service: None,
    }
}

// === impl FileDocs ===

impl FileDocs {
    fn add(&mut self, document: Document) {
        let content = match document.parse() {
            Ok(node) => self.read(&document, node),
            Err(broken) => {
                let Broken {
                    spot,
                    message,
                    help,
                } = *broken;
                let mut fault = fault_at(&document.file, spot, message, help);
                let Salvaged { kind, name } = salvage(document.text());
                let suspects = Suspects::of(kind.as_deref(), name.as_deref());
                fault.service = suspects.service.clone();
                self.faults.push(fault);
                Content::Broken(suspects)
            }
        };
        if let Content::Broken(suspects) = &content {
            self.is_unreadable |= suspects.is_anything();
        }
        self.documents.push((document, content));
    }

    fn read(&mut self, document: &Document, node: Node) -> Content {
        let kind = node.get("kind").and_then(Node::as_text);
        let may_ask =
            matches!(kind, Some("Service" | "Environment")) && document.text().contains("${");
        if may_ask && node.get("spec").is_some_and(is_any) {
            self.has_variables = true;
            let suspects = suspects_of(&node);
            return Content::Variable { node, suspects };
        }
        let filled = Filled {
            node,
            written: BTreeMap::new(),
            wrong: Vec::new(),
        };
        let (content, faults) = read_content(document, &filled);
        self.faults.extend(faults);
        content
    }
}

fn suspects_of(node: &Node) -> Suspects {
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    let kind = node.get("kind").and_then(Node::as_text);
    Suspects::of(kind, name.and_then(Node::as_text))
}

/// What a document is about, and what is wrong with it.
pub(super) fn read_content(document: &Document, filled: &Filled) -> (Content, Vec<Fault>) {
    let Filled {
        node,
        written,
        wrong,
    } = filled;
    let suspects = suspects_of(node);
    let mut report = Report::filled(document, written);
    for (place, Wrong { message, help }) in wrong {
        report.fault(place, message, help);
    }
    // A variable that stands for nothing is told once, and not also as a number that is text.
    let mut content = None;
    if wrong.is_empty() {
        let kind = node.get("kind").and_then(Node::as_text);
        content = read_kind(node, kind, &mut report);
    }
    let drafts = report.drafts;
    let has_error = drafts.iter().any(|draft| draft.severity == Severity::Error);
    let service = suspects.service.clone().filter(|_| has_error);
    let faults = faults_of(document, drafts, service.as_ref());
    let content = match content {
        Some(content) if !has_error => content,
        Some(Content::Service { draft, is_good: _ }) => Content::Service {
            draft,
            is_good: false,
        },
        Some(_) | None => Content::Broken(suspects),
    };
    (content, faults)
}

fn faults_of(document: &Document, drafts: Vec<Draft>, service: Option<&ServiceName>) -> Vec<Fault> {
    let left_out = drafts.len().saturating_sub(FAULTS_MAX);
    let mut faults = Vec::new();
    for draft in drafts.into_iter().take(FAULTS_MAX) {
        let spot = document.spot(&draft.place);
        let mut fault = fault_at(&document.file, spot, draft.message, draft.help);
        fault.field = draft.place.field();
        fault.severity = draft.severity;
        fault.service = service.cloned();
        faults.push(fault);
    }
    if left_out > 0 {
        let message = format!("{left_out} more faults in this document are not shown");
        let spot = document.first_spot();
        let mut fault = fault_at(&document.file, spot, message, None);
        fault.service = service.cloned();
        faults.push(fault);
    }
    faults
}

/// None, or faults in the report, where something is wrong.
fn read_kind(node: &Node, kind: Option<&str>, report: &mut Report) -> Option<Content> {
    let root = Place::default();
    match kind {
        Some("Service") => {
            let document: ServiceDocument = read_record(node, &root, report)?;
            let draft = check::service(&document, report)?;
            Some(Content::Service {
                draft: Box::new(draft),
                is_good: true,
            })
        }
        Some("Environment") => {
            let document: EnvironmentDocument = read_record(node, &root, report)?;
            let (environment, follows) = check::environment(&document, report)?;
            Some(Content::Environment {
                name: document.metadata?.value.name?,
                environment: environment.into(),
                follows,
                params: params_of(node),
            })
        }
        Some("Gate") => {
            let document: GateDocument = read_record(node, &root, report)?;
            let gate = check::shared(node, &document, report)?;
            Some(Content::Gate(document.metadata?.value.name?, gate))
        }
        Some(_) | None => {
            unknown_kind(node, &root, report);
            None
        }
    }
}

/// The parameters that an environment gives.
fn params_of(node: &Node) -> Vec<(String, Node)> {
    match node.get("spec").and_then(|spec| spec.get("params")) {
        Some(Node::Map(entries)) => entries.clone(),
        Some(Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_))
        | None => Vec::new(),
    }
}

impl Suspects {
    /// A document of unknown kind may be about a service or an environment of its name.
    fn of(kind: Option<&str>, name: Option<&str>) -> Self {
        let may_be = |wanted: &str| {
            let is_other = matches!(kind, Some("Service" | "Environment" | "Gate"));
            kind == Some(wanted) || !is_other
        };
        let name = name.unwrap_or("");
        Self {
            service: ServiceName::new(name).ok().filter(|_| may_be("Service")),
            environment: EnvironmentName::new(name)
                .ok()
                .filter(|_| may_be("Environment")),
            gate: GateName::new(name).ok().filter(|_| may_be("Gate")),
        }
    }

    /// No service, environment or gate is known that it could be about, so it may be about any.
    pub(super) fn is_anything(&self) -> bool {
        let Self {
            service,
            environment,
            gate,
        } = self;
        service.is_none() && environment.is_none() && gate.is_none()
    }
}
