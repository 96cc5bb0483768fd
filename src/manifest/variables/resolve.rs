//! Puts in what variables stand for.

use std::collections::BTreeMap;

use super::{
    super::yaml::{Node, Place},
    Sources,
    read::{Choice, Part, Source, Variable, parts},
};

/// No manifest needs more.
const DEPTH_MAX: usize = 16;
/// Variables that one document may come to, those within others counted.
const STEPS_MAX: usize = 10_000;
/// As long as a text of a manifest may be.
const TEXT_MAX: usize = 16 * 1024;

/// A tree with everything in its place.
pub(in crate::manifest) struct Filled {
    pub(in crate::manifest) node: Node,
    /// Scalars that a variable stood for, by the way to them: their text, since the document's own is that of the variable.
    pub(in crate::manifest) written: BTreeMap<Vec<usize>, String>,
    pub(in crate::manifest) wrong: Vec<(Place, Wrong)>,
}

/// Message and help.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::manifest) struct Wrong {
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: String,
}

/// Values by name; the first map that has a name decides.
pub(in crate::manifest) type Params<'p> = Vec<&'p [(String, Node)]>;

/// Resolves the variables of one document in one environment.
pub(in crate::manifest) struct Resolver<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) params: Params<'a>,
    /// For messages: where somebody would write a parameter.
    pub(super) environment: Option<&'a str>,
    steps: usize,
    written: BTreeMap<Vec<usize>, String>,
    wrong: Vec<(Place, Wrong)>,
}

pub(super) enum Missing {
    /// Another choice may have a value.
    Value(Wrong),
    /// It must not be asked for at all.
    Never(Wrong),
}

fn wrong(message: impl Into<String>, help: impl Into<String>) -> Wrong {
    Wrong {
        message: message.into(),
        help: help.into(),
    }
}

pub(super) fn missing<T>(
    message: impl Into<String>,
    help: impl Into<String>,
) -> Result<T, Missing> {
    Err(Missing::Value(wrong(message, help)))
}

pub(super) fn never<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Missing> {
    Err(Missing::Never(wrong(message, help)))
}

impl<'a> Resolver<'a> {
    pub(in crate::manifest) fn new(
        sources: &'a Sources<'a>,
        params: Params<'a>,
        environment: Option<&'a str>,
    ) -> Self {
        Self {
            sources,
            params,
            environment,
            steps: 0,
            written: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Fills in `spec`, but for the parameters themselves. What is wrong stays as it is written.
    pub(in crate::manifest) fn fill(mut self, root: &Node) -> Filled {
        let mut node = root.clone();
        if let Node::Map(entries) = &mut node {
            for (index, (key, node)) in entries.iter_mut().enumerate() {
                if key == "spec" {
                    *node = self.spec(node, &Place::default().entry(index, key));
                }
            }
        }
        Filled {
            node,
            written: self.written,
            wrong: self.wrong,
        }
    }

    fn spec(&mut self, spec: &Node, place: &Place) -> Node {
        let Node::Map(entries) = spec else {
            return self.tree(spec, place);
        };
        let mut filled = Vec::with_capacity(entries.len());
        for (index, (key, node)) in entries.iter().enumerate() {
            let node = match key.as_str() {
                "params" => node.clone(),
                key => self.tree(node, &place.entry(index, key)),
            };
            filled.push((key.clone(), node));
        }
        Node::Map(filled)
    }

    fn tree(&mut self, node: &Node, place: &Place) -> Node {
        match node {
            Node::Text(text) => match self.text(text, &mut Vec::new()) {
                Ok(found) => {
                    if found != *node {
                        note(&found, &place.steps(), &mut self.written);
                    }
                    found
                }
                Err(Missing::Value(wrong) | Missing::Never(wrong)) => {
                    self.wrong.push((place.clone(), wrong));
                    node.clone()
                }
            },
            Node::List(items) => {
                let item = |(index, node)| self.tree(node, &place.item(index));
                Node::List(items.iter().enumerate().map(item).collect())
            }
            Node::Map(entries) => {
                let entry = |(index, (key, node)): (usize, &(String, Node))| {
                    (key.clone(), self.tree(node, &place.entry(index, key)))
                };
                Node::Map(entries.iter().enumerate().map(entry).collect())
            }
            Node::Null | Node::Bool(_) | Node::Number(_) => node.clone(),
        }
    }

    /// A value from elsewhere, with its own variables; `way` is what was asked for until here.
    pub(super) fn value(&mut self, node: &Node, way: &mut Vec<String>) -> Result<Node, Missing> {
        match node {
            Node::Text(text) => self.text(text, way),
            Node::List(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.value(item, way)).collect();
                Ok(Node::List(items?))
            }
            Node::Map(entries) => {
                let mut filled = Vec::with_capacity(entries.len());
                for (key, node) in entries {
                    filled.push((key.clone(), self.value(node, way)?));
                }
                Ok(Node::Map(filled))
            }
            Node::Null | Node::Bool(_) | Node::Number(_) => Ok(node.clone()),
        }
    }

    /// A text that is one variable takes its type.
    fn text(&mut self, text: &str, way: &mut Vec<String>) -> Result<Node, Missing> {
        let parts = parts(text);
        if let [Part::Variable(variable)] = &parts[..] {
            return self.variable(variable, way);
        }
        self.joined(&parts, way).map(Node::Text)
    }

    fn joined(&mut self, parts: &[Part], way: &mut Vec<String>) -> Result<String, Missing> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Wrong(message, help) => return never(message, help),
                Part::Variable(variable) => {
                    let found = self.variable(variable, way)?;
                    match scalar(&found) {
                        Some(found) => text.push_str(&found),
                        None => {
                            let message = format!(
                                "`${{{}}}` is {} and cannot stand within a text",
                                variable.text,
                                found.noun()
                            );
                            return never(
                                message,
                                "let the variable stand alone, or ask for one of its keys",
                            );
                        }
                    }
                }
            }
            if text.len() > TEXT_MAX {
                return never(
                    format!("variables make this text longer than {TEXT_MAX} bytes"),
                    "put it into a file of the source",
                );
            }
        }
        Ok(text)
    }

    fn variable(&mut self, variable: &Variable, way: &mut Vec<String>) -> Result<Node, Missing> {
        self.steps += 1;
        if self.steps > STEPS_MAX || way.len() > DEPTH_MAX {
            return never(
                "too many variables stand for one another here",
                "write some of the values themselves",
            );
        }
        let mut reason = None;
        for choice in &variable.choices {
            let found = match choice {
                Choice::Literal(node) => Ok(node.clone()),
                Choice::Nested(parts) => match &parts[..] {
                    [Part::Variable(variable)] => self.variable(variable, way),
                    parts => self.joined(parts, way).map(Node::Text),
                },
                Choice::Ask(source, address) => {
                    let address = self.joined(address, way)?;
                    self.ask(*source, address.trim(), way)
                }
            };
            match found {
                Err(Missing::Value(wrong)) => reason = reason.or(Some(wrong)),
                found => return found,
            }
        }
        match reason {
            Some(wrong) => Err(Missing::Value(wrong)),
            None => never(
                "this variable asks for nothing",
                "write it like `${param:NAME}`",
            ),
        }
    }

    fn ask(
        &mut self,
        source: Source,
        address: &str,
        way: &mut Vec<String>,
    ) -> Result<Node, Missing> {
        match source {
            Source::Env => self.env(address),
            Source::Git => self.git(address),
            Source::Param => self.within(format!("param:{address}"), way, |this, way| {
                this.param(address, way)
            }),
            Source::File => self.within(format!("file:{address}"), way, |this, way| {
                this.file(address, way)
            }),
        }
    }

    /// Whoever asks for what asks for it goes round and round.
    fn within(
        &mut self,
        name: String,
        way: &mut Vec<String>,
        run: impl FnOnce(&mut Self, &mut Vec<String>) -> Result<Node, Missing>,
    ) -> Result<Node, Missing> {
        if let Some(first) = way.iter().position(|known| *known == name) {
            let mut circle = way[first..].to_vec();
            circle.push(name);
            return never(
                format!("variables stand for themselves: {}", circle.join(" → ")),
                "write one of these values itself",
            );
        }
        way.push(name);
        let found = run(self, way);
        way.pop();
        found
    }
}

fn scalar(node: &Node) -> Option<String> {
    match node {
        Node::Null => Some(String::new()),
        Node::Bool(value) => Some(value.to_string()),
        Node::Number(number) => Some(number.to_string()),
        Node::Text(text) => Some(text.clone()),
        Node::List(_) | Node::Map(_) => None,
    }
}

/// The texts of all scalars of a tree that stands in the place of a variable.
fn note(node: &Node, steps: &[usize], written: &mut BTreeMap<Vec<usize>, String>) {
    let below = |index: usize| steps.iter().copied().chain([index]).collect::<Vec<_>>();
    match node {
        Node::List(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| note(item, &below(index), written)),
        Node::Map(entries) => {
            entries
                .iter()
                .enumerate()
                .for_each(|(index, (_, node))| note(node, &below(index), written));
        }
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {
            written.insert(steps.to_vec(), scalar(node).unwrap_or_default());
        }
    }
}
