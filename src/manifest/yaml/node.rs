//! A tree of plain values. Keeps duplicate keys (the reader tells them) and gives up on trees that are too large or too deep.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Visitor},
};

/// The deepest manifest that makes sense (a value in an expected JSON answer) is half as deep.
const DEPTH_MAX: usize = 24;
/// One value for each six bytes of the largest file; text that people write has fewer, and aliases can make many more.
const NODES_MAX: usize = 10_000;
/// Four times the largest file. Only aliases can make more.
const TEXT_MAX: usize = 256 * 1024;
/// A body of a request or a build script; everything else is much shorter.
const SCALAR_MAX: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::manifest) enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Self>),
    /// In the order of the text, duplicates included.
    Map(Vec<(String, Self)>),
}

impl Node {
    /// For messages: `must be text, but is a list`.
    pub(in crate::manifest) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The first value under a key, where this is a map that has it.
    pub(in crate::manifest) fn get(&self, wanted: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => {
                let entry = entries.iter().find(|(key, _)| key == wanted)?;
                Some(&entry.1)
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    pub(in crate::manifest) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// What is left of the limits, and what was wrong when one broke or a value has no place in a manifest.
#[derive(Debug)]
pub(super) struct Allowance {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    nodes: usize,
    text: usize,
    complaint: Option<(String, String)>,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self {
            state: RefCell::new(State {
                nodes: NODES_MAX,
                text: TEXT_MAX,
                complaint: None,
            }),
        }
    }

    /// Message and help of the rule that broke, if it was one of ours and not one of YAML's.
    pub(super) fn into_complaint(self) -> Option<(String, String)> {
        self.state.into_inner().complaint
    }

    /// serde's errors hold text only, and prefix it: the message goes around it.
    fn refuse<E: Error>(&self, message: impl Into<String>, help: &str) -> E {
        let message = message.into();
        let error = E::custom(&message);
        self.state.borrow_mut().complaint = Some((message, help.to_owned()));
        error
    }

    fn take_node<E: Error>(&self) -> Result<(), E> {
        let nodes = &mut self.state.borrow_mut().nodes;
        *nodes = nodes.saturating_sub(1);
        if *nodes > 0 {
            Ok(())
        } else {
            Err(E::custom(""))
        }
    }

    fn take_text<E: Error>(&self, text: &str) -> Result<(), E> {
        let left = &mut self.state.borrow_mut().text;
        *left = left.saturating_sub(text.len());
        if *left > 0 {
            Ok(())
        } else {
            Err(E::custom(""))
        }
    }

    fn spend<E: Error>(&self, text: &str) -> Result<(), E> {
        if text.len() > SCALAR_MAX {
            let message = format!("a text of {} bytes is too long", text.len());
            let help = format!("at most {SCALAR_MAX} bytes; put it into a file of the source");
            return Err(self.refuse(message, &help));
        }
        let spent = self
            .take_node::<E>()
            .and_then(|()| self.take_text::<E>(text));
        spent.map_err(|_| {
            let message = "aliases or lists make this document too large";
            self.refuse(message, &format!("at most {NODES_MAX} values a document"))
        })
    }
}

/// Reads one value, at a depth.
#[derive(Clone, Copy)]
pub(super) struct Seed<'a> {
    pub(super) allowance: &'a Allowance,
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.allowance.spend::<E>("")?;
        if self.depth == DEPTH_MAX {
            let message = format!("nested more than {DEPTH_MAX} levels deep");
            return Err(self.allowance.refuse(message, "write it flatter"));
        }
        Ok(Self {
            allowance: self.allowance,
            depth: self.depth + 1,
        })
    }

    fn number<E: Error>(self, number: Option<serde_json::Number>) -> Result<Node, E> {
        self.allowance.spend::<E>("")?;
        number.map(Node::Number).ok_or_else(|| {
            let message = "this number has no use here";
            self.allowance
                .refuse(message, "write it in quotes if it is meant as text")
        })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.allowance.spend("").map(|()| Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.allowance.spend("").map(|()| Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.number(Some(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.number(Some(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        // No rule allows a number of this size: how large exactly does not matter.
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.number(serde_json::Number::from_f64(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.allowance.spend(value)?;
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Key(below.allowance))? {
            map.push((key, entries.next_value_seed(below)?));
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        let message = format!("the tag `!{tag}` has no meaning here");
        Err(self.allowance.refuse(message, "remove it"))
    }
}

/// A key: text as it is written, so that `404` and `on` are keys too.
struct Key<'a>(&'a Allowance);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        self.0.spend(value)?;
        Ok(value.to_owned())
    }
}
