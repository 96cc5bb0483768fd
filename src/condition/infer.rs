//! The kind of every part of an expression, as far as it can be known before there are values.

use std::collections::BTreeMap;

use cel::{
    IdedExpr, Program,
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators,
    },
};

use super::{
    BadCondition,
    kind::{Kind, Shape},
};

type Inferred = Result<Kind, BadCondition>;

/// Functions that are known, and what they give.
const FUNCTIONS: [(&str, Kind); 17] = [
    ("size", Kind::Int),
    ("contains", Kind::Bool),
    ("startsWith", Kind::Bool),
    ("endsWith", Kind::Bool),
    ("matches", Kind::Bool),
    ("int", Kind::Int),
    ("uint", Kind::Any),
    ("double", Kind::Double),
    ("string", Kind::Text),
    ("bool", Kind::Bool),
    ("bytes", Kind::Any),
    ("type", Kind::Any),
    ("dyn", Kind::Any),
    ("min", Kind::Any),
    ("max", Kind::Any),
    ("isNaN", Kind::Bool),
    ("isInf", Kind::Bool),
];

/// Names of types, which are values, too.
const TYPES: [&str; 9] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "uint",
];

/// The kind of the whole expression.
pub(super) fn infer(program: &Program, shape: &Shape) -> Inferred {
    let scope = Scope {
        shape,
        own: BTreeMap::new(),
    };
    scope.kind(program.expression())
}

/// How deep the macros that go through a list stand in one another.
pub(super) fn nesting(expr: &Expr) -> usize {
    let deepest = |parts: &[&IdedExpr]| parts.iter().map(|it| nesting(&it.expr)).max().unwrap_or(0);
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
        Expr::Call(call) => {
            let parts: Vec<&IdedExpr> = call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .collect();
            deepest(&parts)
        }
        Expr::Comprehension(it) => {
            let inner = deepest(&[&it.accu_init, &it.loop_cond, &it.loop_step, &it.result]);
            (inner + 1).max(nesting(&it.iter_range.expr))
        }
        Expr::List(list) => deepest(&list.elements.iter().collect::<Vec<_>>()),
        Expr::Map(map) => map
            .entries
            .iter()
            .map(|it| entry_nesting(&it.expr))
            .max()
            .unwrap_or(0),
        Expr::Struct(it) => it
            .entries
            .iter()
            .map(|it| entry_nesting(&it.expr))
            .max()
            .unwrap_or(0),
        Expr::Select(select) => nesting(&select.operand.expr),
    }
}

fn entry_nesting(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::StructField(field) => nesting(&field.value.expr),
        EntryExpr::MapEntry(entry) => nesting(&entry.key.expr).max(nesting(&entry.value.expr)),
    }
}

/// What names mean here: those of the gate, and those of macros around.
struct Scope<'a> {
    shape: &'a Shape,
    own: BTreeMap<&'a str, Kind>,
}

impl<'a> Scope<'a> {
    fn kind(&self, expr: &'a IdedExpr) -> Inferred {
        match &expr.expr {
            Expr::Unspecified => Ok(Kind::Any),
            Expr::Literal(value) => Ok(literal(value)),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::List(list) => {
                let kinds = list.elements.iter().map(|item| self.kind(item));
                let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
                Ok(Kind::list(
                    kinds.into_iter().reduce(Kind::or).unwrap_or(Kind::Any),
                ))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.value)?;
                    }
                }
                Ok(Kind::map(Kind::Any))
            }
            Expr::Struct(it) => Err(bad(format!("`{}` is no type here", it.type_name), "")),
            Expr::Comprehension(it) => self.comprehension(it),
            Expr::Call(call) => self.call(call),
        }
    }

    fn name(&self, name: &str) -> Inferred {
        if let Some(kind) = self.own.get(name).or_else(|| self.shape.get(name)) {
            return Ok(kind.clone());
        }
        if TYPES.contains(&name) {
            return Ok(Kind::Any);
        }
        let message = format!("`{name}` is not known here");
        Err(bad(message, &near(name, self.shape)))
    }

    fn select(&self, select: &'a SelectExpr) -> Inferred {
        let of = self.kind(&select.operand)?;
        let kind = match &of {
            Kind::Record(shape) => field(shape, &select.field)?,
            Kind::Map(kind) => (**kind).clone(),
            Kind::Any => Kind::Any,
            Kind::Null
            | Kind::Bool
            | Kind::Int
            | Kind::Double
            | Kind::Number
            | Kind::Text
            | Kind::List(_) => {
                let message = format!("`.{}` asks {of} for a field", select.field);
                return Err(bad(message, ""));
            }
        };
        Ok(if select.test { Kind::Bool } else { kind })
    }

    /// What `all`, `exists`, `exists_one`, `map` and `filter` are made of.
    fn comprehension(&self, it: &'a ComprehensionExpr) -> Inferred {
        let range = self.kind(&it.iter_range)?;
        let item = match range {
            Kind::List(item) => *item,
            Kind::Map(_) | Kind::Record(_) => Kind::Text,
            Kind::Any => Kind::Any,
            Kind::Null | Kind::Bool | Kind::Int | Kind::Double | Kind::Number | Kind::Text => {
                return Err(bad(
                    format!("goes through {range}, and only lists can be"),
                    "",
                ));
            }
        };
        let mut own = self.own.clone();
        own.insert(&it.iter_var, item);
        own.extend(it.iter_var2.as_deref().map(|second| (second, Kind::Any)));
        own.insert(&it.accu_var, self.kind(&it.accu_init)?);
        let inner = Scope {
            shape: self.shape,
            own,
        };
        inner.kind(&it.loop_step)?;
        inner.kind(&it.result)
    }

    fn call(&self, call: &'a CallExpr) -> Inferred {
        let target = call.target.as_deref();
        let kinds = target
            .into_iter()
            .chain(&call.args)
            .map(|part| self.kind(part));
        let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
        match (call.func_name.as_str(), kinds.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, parts) => {
                logic(&call.func_name, parts)
            }
            (operators::NOT_STRICTLY_FALSE, _) => Ok(Kind::Bool),
            (operators::CONDITIONAL, [test, one, other]) => {
                logic("?", std::slice::from_ref(test))?;
                Ok(one.clone().or(other.clone()))
            }
            (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
                compared(one.may_equal(other), "is never", one, other)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [one, other],
            ) => compared(has_order(one, other), "has no order with", one, other),
            (operators::IN, [one, other]) => is_in(one, other),
            (operators::INDEX, [of, index]) => self.index(of, index, &call.args),
            (operators::NEGATE, [of]) => summed("-", of, of),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [one, other],
            ) => summed(call.func_name.trim_matches('_'), one, other),
            (name, parts) => function(name, parts),
        }
    }

    fn index(&self, of: &Kind, index: &Kind, args: &[IdedExpr]) -> Inferred {
        match of {
            Kind::List(item) if index.is_number() || *index == Kind::Any => Ok((**item).clone()),
            Kind::Map(kind) if matches!(index, Kind::Text | Kind::Any) => Ok((**kind).clone()),
            Kind::Record(shape) => match args.last().map(|arg| &arg.expr) {
                Some(Expr::Literal(LiteralValue::String(name))) => field(shape, name.inner()),
                Some(_) | None => Ok(Kind::Any),
            },
            Kind::Any => Ok(Kind::Any),
            Kind::Null
            | Kind::Bool
            | Kind::Int
            | Kind::Double
            | Kind::Number
            | Kind::Text
            | Kind::List(_)
            | Kind::Map(_) => Err(bad(format!("{of} cannot be asked for `[{index}]`"), "")),
        }
    }
}

fn literal(value: &LiteralValue) -> Kind {
    match value {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Double(_) => Kind::Double,
        LiteralValue::Int(_) => Kind::Int,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) | LiteralValue::UInt(_) => Kind::Any,
    }
}

fn field(shape: &Shape, name: &str) -> Inferred {
    let message = || bad(format!("there is no `{name}`"), &near(name, shape));
    shape.get(name).cloned().ok_or_else(message)
}

fn logic(sign: &str, parts: &[Kind]) -> Inferred {
    let sign = sign.trim_matches('_');
    match parts
        .iter()
        .find(|part| !matches!(part, Kind::Bool | Kind::Any))
    {
        None => Ok(Kind::Bool),
        Some(part) => Err(bad(
            format!("`{sign}` wants true or false, and has {part}"),
            "compare it first",
        )),
    }
}

fn compared(is_possible: bool, words: &str, one: &Kind, other: &Kind) -> Inferred {
    if is_possible {
        return Ok(Kind::Bool);
    }
    let help = match (one, other) {
        (Kind::Text, it) | (it, Kind::Text) if it.is_number() => "numbers stand without quotes",
        _ => "",
    };
    Err(bad(format!("{one} {words} {other}"), help))
}

fn has_order(one: &Kind, other: &Kind) -> bool {
    let is_ordered = |kind: &Kind| kind.is_number() || matches!(kind, Kind::Text | Kind::Any);
    is_ordered(one)
        && is_ordered(other)
        && (one.may_equal(other) || matches!((one, other), (Kind::Any, _) | (_, Kind::Any)))
}

const IN_TEXT: &str = "`text.contains(\"part\")` looks into a text";

fn is_in(one: &Kind, other: &Kind) -> Inferred {
    match other {
        Kind::List(item) => compared(one.may_equal(item), "is never in a list of", one, item),
        Kind::Map(_) | Kind::Record(_) | Kind::Any => Ok(Kind::Bool),
        Kind::Null | Kind::Bool | Kind::Int | Kind::Double | Kind::Number | Kind::Text => {
            let is_text = matches!(other, Kind::Text);
            let help = if is_text { IN_TEXT } else { "" };
            Err(bad(
                format!("`in` looks into lists and maps, and has {other}"),
                help,
            ))
        }
    }
}

fn summed(sign: &str, one: &Kind, other: &Kind) -> Inferred {
    let refused = |help: &str| {
        Err(bad(
            format!("`{sign}` does not go with {one} and {other}"),
            help,
        ))
    };
    match (one, other) {
        (Kind::Any, other) | (other, Kind::Any) if other.is_number() || *other == Kind::Any => {
            Ok(other.clone())
        }
        (Kind::Any, other) | (other, Kind::Any) if sign == "+" => Ok(other.clone()),
        (Kind::Text, Kind::Text) | (Kind::List(_), Kind::List(_)) if sign == "+" => {
            Ok(one.clone().or(other.clone()))
        }
        (Kind::Int, Kind::Double) | (Kind::Double, Kind::Int) => {
            refused("write whole numbers as `double(x)` or `2.0` beside broken ones")
        }
        (one, other) if one.is_number() && other.is_number() => Ok(one.clone().or(other.clone())),
        _ => refused(""),
    }
}

fn function(name: &str, parts: &[Kind]) -> Inferred {
    let Some((_, gives)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        let names = FUNCTIONS.iter().map(|(known, _)| *known);
        return Err(bad(
            format!("there is no function `{name}`"),
            &nearest(name, names),
        ));
    };
    let of_text = matches!(name, "contains" | "startsWith" | "endsWith" | "matches");
    let wrong = parts.iter().find(|part| match part {
        Kind::Text | Kind::Any => false,
        Kind::List(_) | Kind::Map(_) | Kind::Record(_) if name == "size" => false,
        Kind::Null
        | Kind::Bool
        | Kind::Int
        | Kind::Double
        | Kind::Number
        | Kind::List(_)
        | Kind::Map(_)
        | Kind::Record(_) => of_text || name == "size",
    });
    match wrong {
        Some(part) if of_text => {
            let help = "`x in list` looks into a list, `string(x)` makes text of a number";
            Err(bad(format!("`{name}` wants text, and has {part}"), help))
        }
        Some(part) => Err(bad(format!("`{name}` does not go with {part}"), "")),
        None => Ok(gives.clone()),
    }
}

fn near(name: &str, shape: &Shape) -> String {
    nearest(name, shape.keys().copied())
}

fn nearest<'w>(name: &str, known: impl Iterator<Item = &'w str> + Clone) -> String {
    const ALIKE: f64 = 0.8;
    let scored = known.clone().map(|known| {
        (
            strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()),
            known,
        )
    });
    let near = scored.filter(|(score, _)| *score >= ALIKE);
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn bad(message: String, help: &str) -> BadCondition {
    BadCondition {
        message,
        help: help.to_owned(),
    }
}
