//! Reads trees into records, and goes on after every fault.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::form::suggest;
use crate::manifest::{
    fault::Severity,
    yaml::{Document, Node, Place},
};

/// Faults of one document as they are found. Places become positions at the end, and only for what is told.
#[derive(Debug)]
pub(in crate::manifest) struct Report<'d> {
    document: &'d Document,
    /// Texts of scalars that a variable stands for in the document.
    written: Option<&'d BTreeMap<Vec<usize>, String>>,
    pub(in crate::manifest) drafts: Vec<Draft>,
}

/// A fault before its position is looked up.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Draft {
    pub(in crate::manifest) place: Place,
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: Option<String>,
    pub(in crate::manifest) severity: Severity,
}

impl<'d> Report<'d> {
    pub(in crate::manifest) fn new(document: &'d Document) -> Self {
        Self {
            document,
            written: None,
            drafts: Vec::new(),
        }
    }

    /// For a tree that is not quite the document's own: scalars by the way to them, with their text.
    pub(in crate::manifest) fn filled(
        document: &'d Document,
        written: &'d BTreeMap<Vec<usize>, String>,
    ) -> Self {
        Self {
            written: Some(written),
            ..Self::new(document)
        }
    }

    pub(in crate::manifest) fn fault(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, place, message.into(), help.into());
    }

    pub(in crate::manifest) fn warn(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Warning, place, message.into(), help.into());
    }

    fn push(&mut self, severity: Severity, place: &Place, message: String, help: String) {
        self.drafts.push(Draft {
            place: place.clone(),
            message,
            help: (!help.is_empty()).then_some(help),
            severity,
        });
    }

    /// Whether something at or below a place is told already, so that its consequences need no telling.
    pub(in crate::manifest) fn has_fault_below(&self, place: &Place) -> bool {
        self.drafts.iter().any(|draft| draft.place.is_below(place))
    }

    pub(in crate::manifest) fn wrong_type<T>(
        &mut self,
        place: &Place,
        wanted: &str,
        node: &Node,
    ) -> Option<T> {
        let help = match node {
            Node::Null => "give it a value, or remove the key",
            Node::Bool(_) | Node::Number(_) if wanted == "text" => "write it in quotes",
            Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => "",
        };
        let message = format!("must be {wanted}, but is {}", node.noun());
        self.fault(place, message, help);
        None
    }

    /// The text of a scalar before YAML gave it a type.
    pub(super) fn as_written(&self, place: &Place) -> Option<String> {
        let filled = self.written.and_then(|written| written.get(&place.steps()));
        filled.cloned().or_else(|| self.document.as_written(place))
    }
}

/// What can be read from a tree. None means that the fault is reported.
pub(in crate::manifest) trait Read: Sized {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self>;
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct At<T> {
    pub(in crate::manifest) value: T,
    pub(in crate::manifest) place: Place,
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let value = T::read(node, place, report)?;
        let place = place.clone();
        Some(Self { value, place })
    }
}

/// Where a value stands is no part of its schema.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let Node::List(items) = node else {
            return report.wrong_type(place, "a list", node);
        };
        let item = |(index, node)| T::read(node, &place.item(index), report);
        // All items are read before one that is wrong spoils the list, so that all faults are found.
        let read: Self = items.iter().enumerate().filter_map(item).collect();
        Some(read)
    }
}

/// A map whose keys the user chooses, in the order of the text.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Named<K, V>(pub(in crate::manifest) Vec<(At<K>, At<V>)>);

impl<K: Read, V: Read> Read for Named<K, V> {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let entries = Entries::open(node, place, report)?;
        let mut named = Vec::new();
        for (place, key, node) in entries.entries {
            let key = At::read(&Node::Text(key.to_owned()), &place.key(), report);
            let value = At::read(node, &place, report);
            named.extend(key.zip(value));
        }
        Some(Self(named))
    }
}

impl<K: JsonSchema, V: JsonSchema> JsonSchema for Named<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Map", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<K>();
        let values = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "propertyNames": names, "additionalProperties": values })
    }
}

/// The entries of a map, each key once.
pub(super) struct Entries<'n> {
    place: Place,
    pub(super) entries: Vec<(Place, &'n str, &'n Node)>,
}

impl<'n> Entries<'n> {
    /// Reports anything but a map, and every key that stands there again.
    pub(super) fn open(node: &'n Node, place: &Place, report: &mut Report) -> Option<Self> {
        let Node::Map(map) = node else {
            return report.wrong_type(place, "a map", node);
        };
        let mut entries: Vec<(Place, &str, &Node)> = Vec::with_capacity(map.len());
        let mut seen = std::collections::BTreeSet::new();
        for (index, (key, node)) in map.iter().enumerate() {
            let place = place.entry(index, key);
            if seen.insert(key.as_str()) {
                entries.push((place, key, node));
            } else {
                report.fault(&place.key(), "this key stands here twice", "keep one");
            }
        }
        let place = place.clone();
        Some(Self { place, entries })
    }

    /// Reports keys that are not known and keys that are missing.
    pub(super) fn check_keys(&self, known: &[&str], needed: &[&str], report: &mut Report) {
        let has = |wanted: &str| self.entries.iter().any(|(_, key, _)| *key == wanted);
        for (place, key, _) in &self.entries {
            if !known.contains(key) {
                let absent = known.iter().copied().filter(|known| !has(known));
                let help = help_for_key(key, absent, known);
                let message = if *key == "shadow" {
                    "this gate needs the log of the gateway's requests, which is not kept yet"
                } else {
                    "unknown key"
                };
                report.fault(&place.key(), message, help);
            }
        }
        for needed in needed.iter().filter(|needed| !has(needed)) {
            report.fault(&self.place.key(), format!("`{needed}` is missing"), "");
        }
    }

    pub(super) fn get<T: Read>(&self, wanted: &str, report: &mut Report) -> Option<At<T>> {
        let (place, _, node) = self.entries.iter().find(|(_, key, _)| *key == wanted)?;
        At::read(node, place, report)
    }
}

fn help_for_key<'k>(key: &str, absent: impl Iterator<Item = &'k str>, known: &[&str]) -> String {
    if key != "shadow"
        && let Some(near) = suggest(key, absent)
    {
        return format!("did you mean `{near}`?");
    }
    match key {
        "aws" | "azure" => {
            "both clouds get the same values here, but for what stands under a service's `azure` and a function's or service's `aws`"
                .to_owned()
        }
        "shadow" => "`parity` compares green with blue by recorded requests".to_owned(),
        _ => format!("known here: {}", known.join(", ")),
    }
}
