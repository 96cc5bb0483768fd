//! Finds the position of a value. The parser tells positions only with errors, so we walk to the value and fail there.
//!
//! That costs one more reading of a document for each position asked for, and is exact in every style of YAML, since the position is the
//! parser's own. A value behind an alias has the position of its anchor.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Walks `steps` and fails at their end; with `is_key`, at the key of the last step.
#[derive(Clone, Copy)]
pub(super) struct Probe<'p> {
    pub(super) steps: &'p [usize],
    pub(super) is_key: bool,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        if self.steps.is_empty() {
            // `expecting` is all that this visitor can do: it refuses every value, and the parser adds the position.
            deserializer.deserialize_any(End)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the way to a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let Some((&index, rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("the way ends here"));
        };
        for _ in 0..index {
            items.next_element::<IgnoredAny>()?;
        }
        let is_key = self.is_key;
        let found = items.next_element_seed(Self {
            steps: rest,
            is_key,
        })?;
        found.ok_or_else(|| A::Error::custom("no such item"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let Some((&index, rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("the way ends here"));
        };
        for _ in 0..index {
            entries.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        let is_key = self.is_key;
        if is_key && rest.is_empty() {
            let here = Self { steps: &[], is_key };
            let found = entries.next_key_seed(here)?;
            return found.ok_or_else(|| A::Error::custom("no such key"));
        }
        entries.next_key::<IgnoredAny>()?;
        entries.next_value_seed(Self {
            steps: rest,
            is_key,
        })
    }
}

struct End;

impl Visitor<'_> for End {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position")
    }
}

/// Walks to a scalar and brings its text as written: `1.10` stays `1.10`.
#[derive(Clone, Copy)]
pub(super) struct AsWritten<'p>(pub(super) &'p [usize]);

impl<'de> DeserializeSeed<'de> for AsWritten<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        if self.0.is_empty() {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for AsWritten<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let Some((&index, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("not a scalar"));
        };
        for _ in 0..index {
            items.next_element::<IgnoredAny>()?;
        }
        let found = items.next_element_seed(Self(rest))?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        found.ok_or_else(|| A::Error::custom("no such item"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let Some((&index, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("not a scalar"));
        };
        for _ in 0..index {
            entries.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        entries.next_key::<IgnoredAny>()?;
        let found = entries.next_value_seed(Self(rest))?;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}
