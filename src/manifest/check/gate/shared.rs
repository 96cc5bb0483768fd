//! Shared gates with parameters: a `Gate` document that is filled in for each use, and checked as if it had been written so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::super::{
    raw::{At, GateDocument, Named, ParameterForm, Report, read_record, suggest},
    spec::{Gate, GateKind},
    template::{fill_known, is_name, names, only_name},
    yaml::{Document, Node, Place},
};
use super::shared_gate;
use crate::name::GateName;

/// The keys whose texts are CEL: a value goes in as CEL writes it.
const CONDITIONS: [&str; 2] = ["successCondition", "failureCondition"];

/// A `Gate` document.
#[derive(Clone, Debug)]
pub(in crate::manifest) enum SharedGate {
    /// The same for everyone.
    Plain(Box<Gate>),
    /// Filled in for each use.
    Template(Box<Template>),
}

#[derive(Clone, Debug)]
pub(in crate::manifest) struct Template {
    /// The whole document.
    root: Node,
    /// Names, and their values where nothing is said.
    parameters: BTreeMap<String, Option<Value>>,
}

/// What is wrong with a use of a shared gate.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct BadUse {
    pub(in crate::manifest) place: Place,
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: String,
}

/// Reads a `Gate` document. One whose parameters all have defaults is checked with them; another at each use.
pub(in crate::manifest) fn shared(
    root: &Node,
    document: &GateDocument,
    report: &mut Report,
) -> Option<SharedGate> {
    let Some(parameters) = &document.parameters else {
        return shared_gate(document, report).map(|gate| SharedGate::Plain(gate.into()));
    };
    let template = Template {
        root: root.clone(),
        parameters: defaults(&parameters.value),
    };
    template.check_names(&parameters.value, report);
    if template.parameters.values().all(Option::is_some) {
        let values = template.parameters.iter();
        let values = values.filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        template.build(&values.collect(), report)?;
    }
    Some(SharedGate::Template(template.into()))
}

fn defaults(parameters: &Named<String, ParameterForm>) -> BTreeMap<String, Option<Value>> {
    let default = |form: &ParameterForm| match form {
        ParameterForm::Default(value) => Some(value.clone()),
        ParameterForm::Long(long) => long.default.as_ref().map(|at| at.value.clone()),
    };
    let each = parameters.0.iter();
    each.map(|(name, form)| (name.value.clone(), default(&form.value)))
        .collect()
}

impl SharedGate {
    /// The gate as one use of it asks for it.
    ///
    /// # Errors
    ///
    /// Names what is not known, what is missing, and what the gate cannot be with these values.
    pub(in crate::manifest) fn used(
        &self,
        document: &Document,
        reference: &Use,
    ) -> Result<Gate, Vec<BadUse>> {
        let gate = match self {
            Self::Plain(gate) => match reference.with.first() {
                None => Ok((**gate).clone()),
                Some((name, _)) => Err(vec![BadUse {
                    place: name.place.key(),
                    message: format!("the gate `{}` has no parameters", reference.gate.value),
                    help: "leave `with` out".to_owned(),
                }]),
            },
            Self::Template(template) => template.used(document, reference),
        }?;
        let name = reference.name.clone().unwrap_or(gate.name);
        Ok(Gate { name, ..gate })
    }
}

/// A use of a shared gate in a service.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Use {
    pub(in crate::manifest) gate: At<GateName>,
    pub(in crate::manifest) name: Option<GateName>,
    pub(in crate::manifest) with: Vec<(At<String>, At<Value>)>,
}

impl Template {
    fn used(&self, document: &Document, reference: &Use) -> Result<Gate, Vec<BadUse>> {
        let mut faults = Vec::new();
        let mut values = BTreeMap::new();
        for (name, value) in &reference.with {
            if self.parameters.contains_key(&name.value) {
                values.insert(name.value.clone(), value.value.clone());
            } else {
                faults.push(self.unknown(reference, name));
            }
        }
        for (name, default) in &self.parameters {
            match default {
                Some(default) => {
                    values
                        .entry(name.clone())
                        .or_insert_with(|| default.clone());
                }
                None if values.contains_key(name) => {}
                None => faults.push(BadUse {
                    place: reference.gate.place.clone(),
                    message: format!("the gate `{}` must be told `{name}`", reference.gate.value),
                    help: format!("write `with: {{ {name}: … }}`"),
                }),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut report = Report::new(document);
        let gate = self.build(&values, &mut report);
        let wrong = report.drafts.into_iter().map(|draft| BadUse {
            place: reference.gate.place.clone(),
            message: format!(
                "with these values the gate `{}` is wrong: {}: {}",
                reference.gate.value,
                draft.place.field(),
                draft.message
            ),
            help: draft.help.unwrap_or_default(),
        });
        let wrong: Vec<BadUse> = wrong.collect();
        gate.filter(|_| wrong.is_empty()).ok_or(wrong)
    }

    fn unknown(&self, reference: &Use, name: &At<String>) -> BadUse {
        let known = self.parameters.keys().map(String::as_str);
        let help = match suggest(&name.value, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", known.collect::<Vec<_>>().join(", ")),
        };
        BadUse {
            place: name.place.key(),
            message: format!(
                "the gate `{}` has no parameter `{}`",
                reference.gate.value, name.value
            ),
            help,
        }
    }

    /// A parameter that nothing asks for is a slip of the pen.
    fn check_names(&self, parameters: &Named<String, ParameterForm>, report: &mut Report) {
        let spec = self.root.get("spec");
        let mut asked = Vec::new();
        spec.into_iter().for_each(|spec| asks(spec, &mut asked));
        let is_command = spec.is_some_and(|spec| spec.get("command").is_some());
        for (name, _) in &parameters.0 {
            if !is_name(&name.value) {
                let help = "letters, digits and `_`, such as `path`";
                report.fault(&name.place, "is no name for a parameter", help);
            } else if !is_command && !asked.contains(&name.value) {
                let help = format!("write `${{{}}}` in `spec`, or remove it", name.value);
                report.warn(&name.place, "nothing asks for this parameter", help);
            }
        }
    }

    /// The gate with every parameter in its place.
    fn build(&self, values: &BTreeMap<String, Value>, report: &mut Report) -> Option<Gate> {
        let root = filled_root(&self.root, values);
        let document: GateDocument = read_record(&root, &Place::default(), report)?;
        let mut gate = shared_gate(&document, report)?;
        if let GateKind::Command(command) = &mut gate.kind {
            let each = values.iter();
            command.env = each
                .map(|(name, value)| (name.clone(), as_text(value)))
                .collect();
        }
        Some(gate)
    }
}

/// Only `spec` is filled in: parameters are no part of themselves.
fn filled_root(root: &Node, values: &BTreeMap<String, Value>) -> Node {
    let Node::Map(entries) = root else {
        return root.clone();
    };
    let entry = |(key, node): &(String, Node)| {
        let node = match key.as_str() {
            "spec" => filled(node, "spec", values),
            // They were read already, and their faults are told once.
            "parameters" => Node::Map(Vec::new()),
            _ => node.clone(),
        };
        (key.clone(), node)
    };
    Node::Map(entries.iter().map(entry).collect())
}

/// `${name}` alone becomes the value as it is; among other text, its text. A shell reads its own `${name}`, from the environment.
fn filled(node: &Node, key: &str, values: &BTreeMap<String, Value>) -> Node {
    let is_condition = CONDITIONS.contains(&key);
    match node {
        Node::Text(text) if is_condition => {
            let cel = |name: &str| values.get(name).map(Value::to_string);
            Node::Text(fill_known(text, cel))
        }
        Node::Text(text) => match only_name(text).and_then(|name| values.get(name)) {
            Some(value) => as_node(value),
            None => Node::Text(fill_known(text, |name| values.get(name).map(as_text))),
        },
        Node::List(items) => {
            Node::List(items.iter().map(|item| filled(item, key, values)).collect())
        }
        Node::Map(entries) => {
            let entry = |(key, node): &(String, Node)| match key.as_str() {
                "command" => (key.clone(), node.clone()),
                key => (key.to_owned(), filled(node, key, values)),
            };
            Node::Map(entries.iter().map(entry).collect())
        }
        Node::Null | Node::Bool(_) | Node::Number(_) => node.clone(),
    }
}

fn asks(node: &Node, asked: &mut Vec<String>) {
    match node {
        Node::Text(text) => asked.extend(names(text).into_iter().map(str::to_owned)),
        Node::List(items) => items.iter().for_each(|item| asks(item, asked)),
        Node::Map(entries) => entries.iter().for_each(|(_, node)| asks(node, asked)),
        Node::Null | Node::Bool(_) | Node::Number(_) => {}
    }
}

fn as_node(value: &Value) -> Node {
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Number(number) => Node::Number(number.clone()),
        Value::String(text) => Node::Text(text.clone()),
        Value::Array(items) => Node::List(items.iter().map(as_node).collect()),
        Value::Object(fields) => {
            let each = fields
                .iter()
                .map(|(key, value)| (key.clone(), as_node(value)));
            Node::Map(each.collect())
        }
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}
