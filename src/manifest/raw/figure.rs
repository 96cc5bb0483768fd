//! Figures of gates as they are written: rates, shares, limits, tolerances.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    Report,
    form::{Refusal, one_of},
    read::Read,
    scalar::{read_by, read_text, schema_of},
};
use crate::manifest::{
    gates::{Against, Better, Figure, Rate, Share, Tolerance},
    yaml::{Node, Place},
};

/// The word `blue`.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct BlueWord;

/// The word `allow`.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct AllowWord;

schema_of!(
    Rate => { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?/[smh]$", "examples": ["50/s"] },
    Share => { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$", "examples": ["0.1%"] },
    Figure => { "type": "number" },
    Tolerance => { "anyOf": [
        { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$", "examples": ["10%"] },
        { "type": "number", "minimum": 0 },
    ] },
    Against => { "type": "string", "enum": ["clouds", "blue", "both"] },
    Better => { "type": "string", "enum": ["lower", "higher"] },
    BlueWord => { "const": "blue" },
    AllowWord => { "const": "allow" },
);

read_by!(
    Against => |text| one_of(text, &[("clouds", Self::Clouds), ("blue", Self::Blue), ("both", Self::Both)]),
    Better => |text| one_of(text, &[("lower", Self::Lower), ("higher", Self::Higher)]),
    BlueWord => |text| one_of(text, &[("blue", Self)]),
    AllowWord => |text| one_of(text, &[("allow", Self)]),
);

/// A bare number is told as what it lacks, which is better than a wrong type.
fn number_as_text(node: &Node, place: &Place, report: &Report) -> Node {
    match node {
        Node::Number(_) => report
            .as_written(place)
            .map_or_else(|| node.clone(), Node::Text),
        Node::Null | Node::Bool(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => node.clone(),
    }
}

impl Read for Rate {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let text = number_as_text(node, place, report);
        read_text(&text, place, report, rate)
    }
}

impl Read for Share {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let text = number_as_text(node, place, report);
        read_text(&text, place, report, share)
    }
}

impl Read for Figure {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let Node::Number(number) = node else {
            return report.wrong_type(place, "a number", node);
        };
        number.as_f64().and_then(Self::new)
    }
}

impl Read for Tolerance {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let Node::Number(_) = node else {
            return Share::read(node, place, report).map(Self::Share);
        };
        let figure = Figure::read(node, place, report)?;
        if figure < Figure::ZERO {
            report.fault(place, "a tolerance is not negative", "");
            return None;
        }
        Some(Self::Absolute(figure))
    }
}

/// Faster than any gate of one daemon should ask.
const RATE_MAX: f64 = 2000.0;

fn rate(text: &str) -> Result<Rate, Refusal> {
    let example = "write it like `50/s`, `300/m` or `10/h`";
    let refused = |message: String| Err((message, example.to_owned()));
    let Some((number, unit)) = text.trim().split_once('/') else {
        return refused(format!("`{text}` is no rate"));
    };
    let an_hour = match unit.trim() {
        "s" => 3600.0,
        "m" => 60.0,
        "h" => 1.0,
        _ => return refused(format!("`{text}` is no rate")),
    };
    let Some(number) = decimal(number.trim()) else {
        return refused(format!("`{text}` is no rate"));
    };
    let per_hour = (number * an_hour).round();
    if per_hour < 1.0 {
        return refused(format!("`{text}` asks nothing at all"));
    }
    if per_hour > RATE_MAX * 3600.0 {
        let message = format!("`{text}` is more than {RATE_MAX}/s, the most that a gate may ask");
        return Err((message, String::new()));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and between 1 and 7,200,000"
    )]
    let per_hour = per_hour as u32;
    Ok(Rate { per_hour })
}

fn share(text: &str) -> Result<Share, Refusal> {
    let help = || "write it like `0.1%`".to_owned();
    let number = text.trim().strip_suffix('%').map(str::trim);
    let Some(percent) = number.and_then(decimal) else {
        return Err((format!("`{text}` is no share"), help()));
    };
    if percent > 100.0 {
        return Err((format!("`{text}` is more than all"), help()));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and between 0 and 1,000,000"
    )]
    let ppm = (percent * 1e4).round() as u32;
    Ok(Share { ppm })
}

/// Digits with at most one point; not what else reads as a float.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = text.parse().ok().filter(|_| is_plain)?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_are_read_as_people_write_them() {
        let told = |text: &str| rate(text).map(|it| it.to_string()).map_err(|it| it.0);
        assert_eq!(told("50/s"), Ok("50/s".to_owned()));
        assert_eq!(told("0.5/s"), Ok("30/m".to_owned()));
        assert_eq!(told("1/h"), Ok("1/h".to_owned()));
        for bad in ["50", "50/d", "x/s", "-1/s", "inf/s", "1e3/s", "/s", "./s"] {
            assert_eq!(told(bad), Err(format!("`{bad}` is no rate")));
        }
        assert_eq!(told("0/s"), Err("`0/s` asks nothing at all".to_owned()));
        assert!(told("2001/s").unwrap_err().contains("more than 2000/s"));
        let told = |text: &str| share(text).map(|it| it.ppm).map_err(|it| it.0);
        assert_eq!((told("0.1%"), told("100 %")), (Ok(1000), Ok(1_000_000)));
        assert_eq!(told("0.1"), Err("`0.1` is no share".to_owned()));
        assert_eq!(told("101%"), Err("`101%` is more than all".to_owned()));
    }
}
