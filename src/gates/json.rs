//! Places in a JSON document, by pointer (RFC 6901) or path (RFC 9535), and whether values are the same.

use serde_json::Value;
use serde_json_path::JsonPath;

/// What stands at a place: a pointer, or a path where it starts with `$`. A path that can name one place only gives its value; one with
/// wildcards, filters or slices gives the list of all that it finds.
pub(super) fn at(document: &Value, place: &str) -> Option<Value> {
    if !place.starts_with('$') {
        return document.pointer(place).cloned();
    }
    // The manifest's check has parsed it already.
    let path = JsonPath::parse(place).ok()?;
    let found = path.query(document);
    if names_one(place) {
        found.first().cloned()
    } else {
        Some(found.iter().map(|value| (*value).clone()).collect())
    }
}

/// Whether a path is made of names and numbers only.
fn names_one(path: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    for c in path.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open && before != '\\' => quote = None,
            (None, '*' | '?' | ':' | ',') => return false,
            (None, '.') if before == '.' => return false,
            (None | Some(_), _) => {}
        }
        before = c;
    }
    true
}

/// Numbers are the same by value: 1 and 1.0 are, in JSON.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has_same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(has_same)
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_pointers_find_their_places() {
        let document: Value = r#"{"a":[{"b":1,"c":"x"},{"b":2}],"it's":{"k.*":3},"n":null}"#
            .parse()
            .unwrap();
        let table = [
            (
                "",
                r#"{"a":[{"b":1,"c":"x"},{"b":2}],"it's":{"k.*":3},"n":null}"#,
            ),
            ("/a/1/b", "2"),
            ("/a/7", "nothing"),
            ("$.a[0].b", "1"),
            ("$.a[-1].b", "2"),
            ("$['it\\'s']['k.*']", "3"),
            ("$.n", "null"),
            ("$.a[9].b", "nothing"),
            ("$.a[*].b", "[1,2]"),
            ("$..b", "[1,2]"),
            ("$.a[?@.b > 1].b", "[2]"),
            ("$.a[?@.c == 'x'].b", "[1]"),
            ("$.a[0:1].b", "[1]"),
            ("$.a[?@.b > 9].b", "[]"),
        ];
        for (place, wanted) in table {
            let got = at(&document, place).map(|value| value.to_string());
            assert_eq!(
                got.unwrap_or_else(|| "nothing".to_owned()),
                wanted,
                "{place}"
            );
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let same = |one: &str, other: &str| {
            let (one, other): (Value, Value) = (one.parse().unwrap(), other.parse().unwrap());
            is_same(&one, &other)
        };
        assert!(same("1", "1.0"));
        assert!(same(r#"{"a":[1,{"b":2.0}]}"#, r#"{"a":[1.0,{"b":2}]}"#));
        assert!(!same("1", r#""1""#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    }
}
