//! Conditions in CEL: a sentence about what a gate found that is true or false.
//!
//! A condition reads what it is given and nothing else: no clock, no network, no loop without end. It is checked twice. Where it is written,
//! against the [`kind::Shape`] of what the gate finds: names, fields and types. Where it is judged, against what was found, since what a
//! release answers has no declared shape.

mod infer;
mod judge;
pub mod kind;

use std::fmt;

use cel::{ParseErrors, Program};
use serde::{Deserialize, Serialize};

pub use self::judge::{Facts, Judged, judge};
use self::kind::{Kind, Shape};

/// More than a screen of it belongs into a `command` gate.
const LONGEST: usize = 2048;

/// What the parser takes of a stack of 2 MiB for a sign was measured as 38 KiB without optimization, and four times that for a bracket. The
/// end of a stack cannot be caught, so this stays below half of one.
const DEEPEST: usize = 24;
const SIGNS_OF_BRACKET: usize = 4;

/// A CEL expression, as written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Condition(pub String);

/// Why an expression cannot be a condition, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct BadCondition {
    pub message: String,
    pub help: String,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Condition {
    /// Whether it parses, knows only what is there, and can come out true or false.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where in the expression. What has no declared shape, the JSON of an answer for one, is let through.
    pub fn check(&self, shape: &Shape) -> Result<(), BadCondition> {
        let program = self.parse()?;
        let found = infer::infer(&program, shape)?;
        if matches!(found, Kind::Bool | Kind::Any) {
            return Ok(());
        }
        Err(BadCondition {
            message: format!("is {found}, and must be true or false"),
            help: help_for(&self.0, &found),
        })
    }

    /// Whether it speaks of a variable. What does not parse speaks of nothing.
    pub fn speaks_of(&self, variable: &str) -> bool {
        let program = self.parse();
        program.is_ok_and(|program| program.references().has_variable(variable))
    }

    fn parse(&self) -> Result<Program, BadCondition> {
        let refused = |message: String, help: &str| BadCondition {
            message,
            help: help.to_owned(),
        };
        if self.0.trim().is_empty() {
            return Err(refused("is empty".to_owned(), "such as `status == 200`"));
        }
        if self.0.len() > LONGEST || depth(&self.0) > DEEPEST {
            let message = "is too long or too deeply nested".to_owned();
            return Err(refused(message, "use a `command` gate for it"));
        }
        Program::compile(&self.0).map_err(|errors| unreadable(&self.0, &errors))
    }
}

/// How deep parser and judge go down: once for every sign of a chain such as `a + b + c`, and for a bracket as far as for four signs.
/// `&&` and `||` cost nothing, since they are balanced.
fn depth(text: &str) -> usize {
    // The signs of each bracket that is open, since the last `&&`, `||` or comma in it.
    let mut open = vec![0_usize];
    let mut deepest = 0;
    let mut before = ' ';
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let sign = word.chars().next_back().unwrap_or(' ');
        let is_in = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()) == "in";
        let counted = usize::from(is_in || is_sign(sign) && !is_sign(before));
        match sign {
            '(' | '[' | '{' => open.push(0),
            ')' | ']' | '}' if open.len() > 1 => {
                open.pop();
            }
            '&' | '|' | ',' => {
                open.pop();
                open.push(0);
            }
            _ => {}
        }
        if let Some(signs) = open.last_mut() {
            *signs += counted;
        }
        before = if word.len() == 1 { sign } else { ' ' };
        deepest = deepest.max((open.len() - 1) * SIGNS_OF_BRACKET + open.iter().sum::<usize>());
    }
    deepest
}

fn is_sign(c: char) -> bool {
    matches!(
        c,
        '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '?' | ':'
    )
}

/// The first thing that the parser stumbled over.
fn unreadable(text: &str, errors: &ParseErrors) -> BadCondition {
    let first = errors.errors.iter().min_by_key(|error| error.pos);
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let at = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    let line_text = text.lines().nth(at(line) - 1).unwrap_or_default();
    let rest: String = line_text.chars().skip(at(column) - 1).take(20).collect();
    let message = match rest.trim() {
        "" => "is no CEL expression: it ends too early".to_owned(),
        rest => format!(
            "is no CEL expression from `{rest}` on (column {})",
            at(column)
        ),
    };
    let help = match text {
        text if text.contains(" and ") || text.contains(" or ") => "CEL writes `&&`, `||` and `!`",
        _ => "such as `status == 200 && latencyMs < 300`",
    };
    BadCondition {
        message,
        help: help.to_owned(),
    }
}

fn help_for(text: &str, found: &Kind) -> String {
    let example = match found {
        Kind::Int | Kind::Double | Kind::Number => "> 0",
        Kind::Text => "== \"ok\"",
        Kind::List(_) => "!= []",
        Kind::Null | Kind::Map(_) | Kind::Record(_) | Kind::Bool | Kind::Any => {
            return String::new();
        }
    };
    match text.contains('\n') {
        true => String::new(),
        false => format!("compare it, such as `{} {example}`", text.trim()),
    }
}

#[cfg(test)]
mod tests;
