//! Texts with variables, as they are written. `$${env:` stands for `${env:` itself; a `${` that starts none of ours is somebody else's.

use super::super::yaml::Node;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Plain(String),
    Variable(Variable),
    /// Something is wrong with what starts like a variable: message and help.
    Wrong(String, String),
}

/// `env:X, 'default'`: the first that has a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variable {
    /// As it is written, for messages.
    pub(super) text: String,
    pub(super) choices: Vec<Choice>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    Literal(Node),
    Nested(Vec<Part>),
    Ask(Source, Vec<Part>),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    Env,
    Param,
    File,
    Git,
}

const SOURCES: [(&str, Source); 4] = [
    ("env", Source::Env),
    ("param", Source::Param),
    ("file", Source::File),
    ("git", Source::Git),
];

/// Sources of Serverless's that are none here, and what comes nearest.
const STRANGERS: [(&str, &str); 12] = [
    (
        "self",
        "write the value, or give it a name under `params` and write `${param:NAME}`",
    ),
    ("opt", "write `${param:NAME}`, and its value under `params`"),
    (
        "sls",
        "write `${param:NAME}`, and its value under `params` of each environment",
    ),
    (
        "custom",
        "write `${param:NAME}`, and its value under `params`",
    ),
    (
        "ssm",
        "a secret is `{ secret: name }` in `env`; write other values under `params`",
    ),
    ("vault", "a secret is `{ secret: name }` in `env`"),
    ("doppler", "a secret is `{ secret: name }` in `env`"),
    (
        "secret",
        "a secret is `{ secret: name }` in `env`, and never a variable",
    ),
    (
        "cf",
        "write the value under `params`: outputs of stacks are not fetched",
    ),
    (
        "s3",
        "put the file into the repository, and write `${file:PATH}`",
    ),
    ("aws", "write the value under `params` of the environment"),
    (
        "terraform",
        "write the value under `params`: outputs are not fetched",
    ),
];

/// Whether any text of a tree may hold a variable, or an escaped one.
pub(in crate::manifest) fn is_any(node: &Node) -> bool {
    match node {
        Node::Text(text) => parts(text) != [Part::Plain(text.clone())],
        Node::List(items) => items.iter().any(is_any),
        Node::Map(entries) => entries.iter().any(|(_, node)| is_any(node)),
        Node::Null | Node::Bool(_) | Node::Number(_) => false,
    }
}

pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let inside = &from[2..];
        match (before.strip_suffix('$'), start(inside)) {
            (Some(before), Start::Ours | Start::Strange(..)) => {
                plain.push_str(before);
                plain.push_str("${");
                rest = inside;
            }
            (_, Start::None) => {
                plain.push_str(before);
                plain.push_str("${");
                rest = inside;
            }
            (None, found) => {
                plain.push_str(before);
                parts.push(Part::Plain(std::mem::take(&mut plain)));
                let length = closing(inside);
                let inner = &inside[..length.unwrap_or(inside.len())];
                parts.push(match (found, length) {
                    (Start::Strange(message, help), _) => Part::Wrong(message, help),
                    (Start::Ours | Start::None, Some(_)) => Part::Variable(variable(inner)),
                    (Start::Ours | Start::None, None) => Part::Wrong(
                        "this variable has no end".to_owned(),
                        "close it with `}`, or write `$${` where no variable is meant".to_owned(),
                    ),
                });
                rest = length.map_or("", |length| &inside[length + 1..]);
            }
        }
    }
    plain.push_str(rest);
    parts.push(Part::Plain(plain));
    parts.retain(|part| *part != Part::Plain(String::new()));
    if parts.is_empty() {
        parts.push(Part::Plain(String::new()));
    }
    parts
}

enum Start {
    Ours,
    /// A source that is none here: message and help.
    Strange(String, String),
    None,
}

/// What follows a `${`.
fn start(inside: &str) -> Start {
    let length = inside
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(inside.len());
    let (word, rest) = inside.split_at(length);
    let is_given = rest.starts_with(':') && !rest.starts_with(":-") && !rest.starts_with("::");
    if SOURCES.iter().any(|(name, _)| *name == word)
        && (is_given || (word == "file" && rest.starts_with('(')))
    {
        return Start::Ours;
    }
    let is_source =
        word.starts_with(|c: char| c.is_ascii_lowercase()) && (is_given || rest.starts_with('('));
    if !is_source {
        return Start::None;
    }
    let told = |help: &str| {
        Start::Strange(
            format!("`{word}` is no source of variables here"),
            format!("{help}; `$${{` stands for `${{` itself"),
        )
    };
    if let Some((_, help)) = STRANGERS.iter().find(|(name, _)| *name == word) {
        return told(help);
    }
    let known = SOURCES.iter().map(|(name, _)| *name);
    match super::super::raw::suggest(word, known) {
        Some(near) => told(&format!("did you mean `{near}`?")),
        None => Start::None,
    }
}

/// How long it is up to the brace that closes it.
fn closing(inside: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut quote = None;
    for (at, c) in inside.char_indices() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            (None, _) => {}
        }
    }
    None
}

fn variable(inner: &str) -> Variable {
    Variable {
        text: inner.trim().to_owned(),
        choices: pieces(inner).into_iter().map(choice).collect(),
    }
}

/// Between commas that stand in no quotes and no other variable.
fn pieces(inner: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut open, mut quote) = (0, 0_usize, None);
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '(') => open += 1,
            (None, '}' | ')') => open = open.saturating_sub(1),
            (None, ',') if open == 0 => {
                pieces.push(inner[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    pieces.push(inner[start..].trim());
    pieces
}

fn choice(piece: &str) -> Choice {
    let ask = SOURCES.iter().find_map(|(word, source)| {
        let rest = piece.strip_prefix(word)?;
        let address = match rest.strip_prefix('(') {
            // As Serverless writes it: `file(PATH):KEY`.
            Some(given) => given.replacen(')', "", 1),
            None => rest.strip_prefix(':')?.to_owned(),
        };
        Some(Choice::Ask(*source, parts(address.trim())))
    });
    if let Some(ask) = ask {
        return ask;
    }
    if piece.starts_with("${") {
        return Choice::Nested(parts(piece));
    }
    Choice::Literal(literal(piece))
}

fn literal(piece: &str) -> Node {
    let quoted = |quote: char| piece.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = quoted('\'').or_else(|| quoted('"')) {
        return Node::Text(text.to_owned());
    }
    match piece {
        "true" => Node::Bool(true),
        "false" => Node::Bool(false),
        "null" => Node::Null,
        _ => match piece.parse() {
            Ok(number) => Node::Number(number),
            Err(_) => Node::Text(piece.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_of_ours_stays_as_it_is() {
        for text in [
            "",
            "plain",
            "${id}",
            "$${id}",
            "${FOO:-x}",
            "${name#*:}",
            "a ${ } b",
            "${service}",
            "${x:y}",
            "$ {env:X}",
            "${!env:X}",
        ] {
            assert_eq!(parts(text), [Part::Plain(text.to_owned())], "{text}");
        }
        assert_eq!(
            parts("a $${env:X} b"),
            [Part::Plain("a ${env:X} b".to_owned())]
        );
        assert!(
            is_any(&Node::Text("a $${env:X} b".to_owned())),
            "the escape must be taken away"
        );
    }

    #[test]
    fn what_looks_like_one_is_told() {
        for (text, wanted) in [
            ("${self:custom.x}", "`self` is no source"),
            ("${opt:stage}", "`opt` is no source"),
            ("${parm:x}", "`parm` is no source"),
            ("${env:X", "no end"),
            ("${ssm:/a/b~true}", "`ssm` is no source"),
        ] {
            match &parts(text)[..] {
                [Part::Wrong(message, help)] => {
                    assert!(message.contains(wanted), "{text}: {message}");
                    assert!(help.contains("$${"), "{text}: {help}");
                }
                found => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn choices_are_taken_apart() {
        let [Part::Variable(variable)] = &parts("${env:X, ${param:y}, 'a, b', 4}")[..] else {
            panic!("one variable");
        };
        let asked = |source, name: &str| Choice::Ask(source, vec![Part::Plain(name.to_owned())]);
        assert_eq!(variable.choices[0], asked(Source::Env, "X"));
        assert!(matches!(&variable.choices[1], Choice::Nested(_)));
        assert_eq!(
            variable.choices[2],
            Choice::Literal(Node::Text("a, b".to_owned()))
        );
        assert_eq!(variable.choices[3], Choice::Literal(Node::Number(4.into())));
        assert_eq!(
            choice("file(./a.yml):b.c"),
            asked(Source::File, "./a.yml:b.c")
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "([$]|[{]|[}]|[:,'()]|env|param|file|\\PC){0,30}") {
            proptest::prop_assert!(!parts(&text).is_empty());
        }
    }
}
