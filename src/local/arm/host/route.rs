//! Route templates of HTTP triggers: `orders/{id}`, `{id?}`, `{id:int}`, `{*rest}`. Pure.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The methods that a trigger answers; all where none are named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::local::arm) struct Methods(Vec<String>);

/// A parsed template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::local::arm) struct Template(Vec<Part>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    // In the order of precedence: what says more goes first.
    Literal(String),
    Constrained { name: String, rule: Rule },
    Parameter(String),
    Optional(String),
    Rest(String),
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rule {
    Int,
    Bool,
    Guid,
    Alpha,
}

impl Methods {
    pub(in crate::local::arm) fn new(methods: &[String]) -> Self {
        Self(methods.iter().map(|m| m.to_ascii_uppercase()).collect())
    }

    pub(in crate::local::arm) fn answer(&self, method: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|named| named == method)
    }
}

impl Template {
    /// # Errors
    ///
    /// Refuses a parameter without a name, a constraint that is not known here, and a catch-all that is not last.
    pub(in crate::local::arm) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_matches('/');
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let parts = text
            .split('/')
            .map(parse_part)
            .collect::<Result<Vec<_>, _>>()?;
        let last = parts.len() - 1;
        let early = |(at, part): (usize, &Part)| {
            at != last && matches!(part, Part::Rest(_) | Part::Optional(_))
        };
        if parts.iter().enumerate().any(early) {
            return Err(format!(
                "route `{text}`: an optional or catch-all part must be the last"
            ));
        }
        Ok(Self(parts))
    }

    /// The parameters of `path` where it fits; `path` has neither prefix nor query.
    pub(in crate::local::arm) fn fits(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let path = path.trim_matches('/');
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut found = BTreeMap::new();
        for part in &self.0 {
            match part {
                Part::Rest(name) => {
                    let rest: Vec<_> = segments.by_ref().map(decoded).collect();
                    found.insert(name.clone(), rest.join("/"));
                }
                Part::Optional(name) => {
                    if let Some(segment) = segments.next() {
                        found.insert(name.clone(), decoded(segment));
                    }
                }
                Part::Literal(literal) => {
                    let segment = decoded(segments.next()?);
                    if !segment.eq_ignore_ascii_case(literal) {
                        return None;
                    }
                }
                Part::Parameter(name) => {
                    found.insert(name.clone(), decoded(segments.next()?));
                }
                Part::Constrained { name, rule } => {
                    let segment = decoded(segments.next()?);
                    if !rule.holds(&segment) {
                        return None;
                    }
                    found.insert(name.clone(), segment);
                }
            }
        }
        segments.next().is_none().then_some(found)
    }

    /// Whether this template says more than `other` and is tried first.
    pub(in crate::local::arm) fn before(&self, other: &Self) -> bool {
        let rank = |part: &Part| match part {
            Part::Literal(_) => 0,
            Part::Constrained { .. } => 1,
            Part::Parameter(_) => 2,
            Part::Optional(_) => 3,
            Part::Rest(_) => 4,
        };
        let ranks = |template: &Self| template.0.iter().map(rank).collect::<Vec<u8>>();
        ranks(self) < ranks(other)
    }
}

impl Rule {
    fn holds(self, text: &str) -> bool {
        match self {
            Self::Int => text.parse::<i64>().is_ok(),
            Self::Bool => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
            Self::Guid => uuid::Uuid::parse_str(text).is_ok(),
            Self::Alpha => text.bytes().all(|byte| byte.is_ascii_alphabetic()),
        }
    }
}

fn parse_part(part: &str) -> Result<Part, String> {
    let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
        return Ok(Part::Literal(part.to_owned()));
    };
    let rest = inner.trim_start_matches('*');
    let (name, rule) = rest.split_once(':').unwrap_or((rest, ""));
    let optional = inner.ends_with('?');
    let name = name.trim_end_matches('?').to_owned();
    if name.is_empty() {
        return Err(format!("route part `{part}` has no name"));
    }
    if rest.len() != inner.len() {
        return Ok(Part::Rest(name));
    }
    let rule = rule.trim_end_matches('?');
    match (optional, rule) {
        (true, _) => Ok(Part::Optional(name)),
        (false, "") => Ok(Part::Parameter(name)),
        (false, rule) => {
            let rule = parse_rule(rule)
                .ok_or_else(|| format!("route part `{part}`: constraint `{rule}` is not known"))?;
            Ok(Part::Constrained { name, rule })
        }
    }
}

fn parse_rule(rule: &str) -> Option<Rule> {
    match rule {
        "int" | "long" => Some(Rule::Int),
        "bool" => Some(Rule::Bool),
        "guid" => Some(Rule::Guid),
        "alpha" => Some(Rule::Alpha),
        _ => None,
    }
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fit_as_on_azure() {
        let cases = [
            ("stock/{sku}", "/stock/42", Some("sku=42")),
            ("stock/{sku}", "/STOCK/a%20b", Some("sku=a b")),
            ("stock/{sku}", "/stock", None),
            ("stock/{sku}", "/stock/1/2", None),
            ("stock/{sku?}", "/stock", Some("")),
            ("stock/{sku:int}", "/stock/x", None),
            ("files/{*path}", "/files/a/b", Some("path=a/b")),
            ("{*any}", "/", Some("any=")),
            ("", "/", Some("")),
            ("", "/x", None),
        ];
        for (template, path, expected) in cases {
            let told = Template::parse(template).unwrap().fits(path).map(|found| {
                let pairs: Vec<_> = found.iter().map(|(n, v)| format!("{n}={v}")).collect();
                pairs.join("&")
            });
            assert_eq!(told.as_deref(), expected, "{template} on {path}");
        }
    }

    #[test]
    fn what_says_more_is_tried_first() {
        let parse = |text| Template::parse(text).unwrap();
        assert!(parse("a/b").before(&parse("a/{x}")));
        assert!(parse("a/{x}").before(&parse("{*rest}")));
        assert!(!parse("{*rest}").before(&parse("a/{x}")));
    }

    #[test]
    fn templates_that_mean_nothing_are_refused() {
        for template in ["{}", "{*rest}/x", "{x?}/y", "{x:odd}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }
}
