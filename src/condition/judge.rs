//! Judges what was found.

use cel::{Context, ExecutionError, Program, Value};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value as Json};

use super::Condition;

/// What a gate found, by the names that conditions know.
pub type Facts = Map<String, Json>;

/// Longest part of what was found that is told.
const TOLD_MAX: usize = 160;

/// Items that a condition may go through, one list within another multiplied, times the bytes of the longest text: what a second allows.
const WORK_MAX: usize = 64 * 1024 * 1024;

/// A condition over facts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// Whether it holds, or why nobody can say.
    pub holds: Result<bool, String>,
    /// `latencyMs is 512`: what it speaks of.
    pub found: String,
}

/// Whether a condition holds. Never fails: a condition that cannot be judged says why.
pub fn judge(condition: &Condition, facts: &Facts) -> Judged {
    let program = match condition.parse() {
        Ok(program) => program,
        Err(bad) => {
            return Judged {
                holds: Err(bad.message),
                found: String::new(),
            };
        }
    };
    Judged {
        holds: hold(&program, facts),
        found: found(&program, facts),
    }
}

fn hold(program: &Program, facts: &Facts) -> Result<bool, String> {
    if work(program, facts) > WORK_MAX {
        return Err("there is too much in the answer for it to go through".to_owned());
    }
    let mut context = Context::default();
    for (name, value) in facts {
        let added = context.add_variable(name.as_str(), Fact(value));
        added.map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    }
    match program.execute(&context) {
        Ok(Value::Bool(holds)) => Ok(holds),
        Ok(other) => Err(format!(
            "it came out as {}, and must be true or false",
            other.type_of()
        )),
        Err(error) => Err(explained(&error)),
    }
}

/// An upper bound of what it costs to go through the facts: nothing in the language but its macros repeats anything.
fn work(program: &Program, facts: &Facts) -> usize {
    let nested = super::infer::nesting(&program.expression().expr);
    if nested == 0 {
        return 0;
    }
    let (items, text) = facts.values().fold((8, 64), |(items, text), value| {
        let (more_items, more_text) = extent(value);
        (items.max(more_items), text.max(more_text))
    });
    let times = u32::try_from(nested).unwrap_or(u32::MAX);
    items.saturating_pow(times).saturating_mul(text)
}

/// The longest list or map in a value, and the longest text.
fn extent(value: &Json) -> (usize, usize) {
    let longest = |len: usize, items: &mut dyn Iterator<Item = &Json>| {
        items.map(extent).fold((len, 0), |(items, text), (i, t)| {
            (items.max(i), text.max(t))
        })
    };
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => (0, 0),
        Json::String(text) => (0, text.len()),
        Json::Array(items) => longest(items.len(), &mut items.iter()),
        Json::Object(fields) => longest(fields.len(), &mut fields.values()),
    }
}

/// The values of the variables that it speaks of.
fn found(program: &Program, facts: &Facts) -> String {
    let references = program.references();
    let spoken = facts
        .iter()
        .filter(|(name, _)| references.has_variable(name));
    let told = spoken.map(|(name, value)| format!("{name} is {}", told(value)));
    told.collect::<Vec<_>>().join(", ")
}

fn told(value: &Json) -> String {
    let mut told = value.to_string();
    if told.len() > TOLD_MAX {
        told.truncate(told.floor_char_boundary(TOLD_MAX));
        told.push('…');
    }
    told
}

/// Our words for what people meet; the rest in the library's.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's list of faults, which may grow"
)]
fn explained(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known"),
        ExecutionError::NoSuchOverload(overload) => format!(
            "`{}` does not go with {}",
            sign(overload.function()),
            overload.argument_types().join(" and ")
        ),
        ExecutionError::IndexOutOfBounds(_) => {
            "a list ends before the place it asks for".to_owned()
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        other => {
            let mut told = other.to_string();
            told.truncate(told.floor_char_boundary(TOLD_MAX));
            told
        }
    }
}

/// `_<_` is written `<`.
fn sign(function: &str) -> &str {
    match function {
        "@in" => "in",
        other => other.trim_matches('_'),
    }
}

/// Whole numbers are `int` here whatever their sign is: `1 + 1u` is no sum in CEL.
struct Fact<'a>(&'a Json);

impl Serialize for Fact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => serializer.serialize_i64(whole),
                (None, Some(broken)) => serializer.serialize_f64(broken),
                (None, None) => serializer.serialize_unit(),
            },
            Json::Array(items) => serializer.collect_seq(items.iter().map(Fact)),
            Json::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &Fact(value))?;
                }
                map.end()
            }
            Json::Null => serializer.serialize_none(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::String(text) => serializer.serialize_str(text),
        }
    }
}
