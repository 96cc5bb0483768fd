//! `${name}` in texts: what an earlier answer, or whoever uses a shared gate, puts there. `$${` stands for `${` itself.

/// A piece of a text.
enum Part<'t> {
    Plain(&'t str),
    Name(&'t str),
    /// `$${`
    Escaped,
}

/// The names that a text asks for.
pub fn names(text: &str) -> Vec<&str> {
    let name = |part| match part {
        Part::Name(name) => Some(name),
        Part::Plain(_) | Part::Escaped => None,
    };
    parts(text).into_iter().filter_map(name).collect()
}

/// The name, where a text is nothing but `${name}`.
pub fn only_name(text: &str) -> Option<&str> {
    match parts(text).as_slice() {
        [Part::Name(name)] => Some(name),
        _ => None,
    }
}

/// The text with every name that is known replaced; others stay as they are, and so do escapes.
pub fn fill_known(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let filled = |part| match part {
        Part::Plain(plain) => plain.to_owned(),
        Part::Name(name) => value(name).unwrap_or_else(|| format!("${{{name}}}")),
        Part::Escaped => "$${".to_owned(),
    };
    parts(text).into_iter().map(filled).collect()
}

/// The text with every name replaced, and escapes resolved.
///
/// # Errors
///
/// The first name that nothing is known of.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let filled = |part| match part {
        Part::Plain(plain) => Ok(plain.to_owned()),
        Part::Name(name) => value(name).ok_or_else(|| name.to_owned()),
        Part::Escaped => Ok("${".to_owned()),
    };
    parts(text).into_iter().map(filled).collect()
}

/// Whether a word can be a name: a letter, then letters, digits and `_`.
pub fn is_name(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(is_part)
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            parts.extend([Part::Plain(before), Part::Escaped]);
            rest = &from[2..];
            continue;
        }
        let name = from[2..].split('}').next().unwrap_or_default();
        let is_closed = from[2..].len() > name.len();
        // What is no name is somebody else's: a shell's, or a template of the service's own.
        let length = if is_closed && is_name(name) {
            name.len() + 3
        } else {
            2
        };
        parts.push(Part::Plain(before));
        parts.push(match length {
            2 => Part::Plain(&from[..2]),
            _ => Part::Name(name),
        });
        rest = &from[length..];
    }
    parts.push(Part::Plain(rest));
    parts.retain(|part| !matches!(part, Part::Plain("")));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_everything_else_stays() {
        let table = [
            ("/orders/${id}", "/orders/42"),
            ("${id}", "42"),
            ("${id}-${id}", "42-42"),
            ("a $${id} b", "a ${id} b"),
            (
                "${not a name} ${ } $id {id} ${",
                "${not a name} ${ } $id {id} ${",
            ),
            ("größer ${id}", "größer 42"),
            ("", ""),
        ];
        let value = |name: &str| (name == "id").then(|| "42".to_owned());
        for (text, wanted) in table {
            assert_eq!(fill(text, value), Ok(wanted.to_owned()), "{text}");
        }
        assert_eq!(fill("${id} ${x}", value), Err("x".to_owned()));
        assert_eq!(fill_known("${id} ${x} $${id}", value), "42 ${x} $${id}");
        assert_eq!(names("${a} $${b} ${c}"), ["a", "c"]);
        assert_eq!(only_name("${a}"), Some("a"));
        assert_eq!(only_name(" ${a}"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_text_without_names_stays_as_it_is(text in "([a-z]|[$]|[{]|[}]|\\PC){0,20}") {
            if names(&text).is_empty() && !text.contains("$${") {
                proptest::prop_assert_eq!(fill(&text, |_| None), Ok(text));
            }
        }
    }
}
