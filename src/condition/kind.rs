//! What is known of a value before there is one.

use std::{collections::BTreeMap, fmt};

/// The kind of a value, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    Null,
    Bool,
    Int,
    Double,
    /// One of the two, which is not known before it is there.
    Number,
    Text,
    List(Box<Self>),
    /// Texts to values, and any text may be a key.
    Map(Box<Self>),
    /// Fields that are always there.
    Record(Shape),
    /// Nothing is known: what a release answered, for one.
    Any,
}

/// Names and what they stand for.
pub type Shape = BTreeMap<&'static str, Kind>;

impl Kind {
    pub fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    pub(super) fn is_number(&self) -> bool {
        match self {
            Self::Int | Self::Double | Self::Number => true,
            Self::Null
            | Self::Bool
            | Self::Text
            | Self::List(_)
            | Self::Map(_)
            | Self::Record(_)
            | Self::Any => false,
        }
    }

    /// Whether two values could ever be equal.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Null, _) | (_, Self::Any | Self::Null) => true,
            (Self::List(one), Self::List(other)) => one.may_equal(other),
            (Self::Map(_) | Self::Record(_), Self::Map(_) | Self::Record(_)) => true,
            (one, other) => one == other || one.is_number() && other.is_number(),
        }
    }

    /// What a value is that is one of two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::List(one), Self::List(other)) => Self::list(one.or(*other)),
            (one, other) if one.is_number() && other.is_number() => Self::Number,
            _ => Self::Any,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double | Self::Number => "a number",
            Self::Text => "text",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Record(_) => "a map",
            Self::Any => "anything",
        })
    }
}
