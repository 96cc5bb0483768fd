//! `deploy/verdigris.yaml` is an example with every key, each in a form that is taken.

use std::{collections::BTreeSet, path::Path};

use verdigris::daemon::config::Config;

const EXAMPLE: &str = include_str!("../../../deploy/verdigris.yaml");

/// The configuration as it is written: every field of these structs is a key.
const RAW: &str = include_str!("../../../src/daemon/config/raw.rs");

/// As serde's `camelCase` writes it.
fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (start, rest) = word.split_at(1);
        format!("{all}{}{rest}", start.to_uppercase())
    })
}

/// Names before a colon, also behind `#` and within braces.
fn keys(text: &str) -> BTreeSet<&str> {
    let ends = text.match_indices(": ").chain(text.match_indices(":\n"));
    let names = ends.filter_map(|(at, _)| {
        let before = &text[..at];
        let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        Some(name).filter(|name| !name.is_empty())
    });
    names.collect()
}

#[test]
fn the_example_has_every_key() {
    let fields = RAW.lines().filter_map(|line| {
        let field = line.trim().strip_prefix("pub(super) ")?;
        Some(camel(field.split_once(": ")?.0))
    });
    let fields: BTreeSet<String> = fields.collect();
    assert!(fields.contains("keepVersions"), "{fields:?}");
    let told = keys(EXAMPLE);
    let missing: Vec<_> = fields
        .iter()
        .filter(|field| !told.contains(field.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A comment that begins with a name and a colon is a key that is switched off.
fn switched_on(line: &str) -> Option<String> {
    let Some((indent, rest)) = line.split_once("# ") else {
        return Some(line.replace(": {}", ":"));
    };
    let (name, _) = rest.split_once(':')?;
    let name = name.trim_start();
    let is_key = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    is_key.then(|| format!("{indent}{rest}"))
}

#[test]
fn keys_of_the_clouds_are_taken_as_the_example_has_them() {
    let (_, clouds) = EXAMPLE.split_once("\nclouds:\n").unwrap();
    let lines: Vec<String> = clouds.lines().filter_map(switched_on).collect();
    let text = format!("clouds:\n{}\n", lines.join("\n"));
    let env = |name: &str| (name == "AZURE_CLIENT_SECRET").then(|| "s3cret".to_owned());
    let taken = Config::parse(Path::new("verdigris.yaml"), &text, &env);
    if let Err(error) = taken {
        panic!("{error}\n{text}");
    }
    for key in ["keepVersions: 5", "sendChain: true", "writes: 10"] {
        assert!(text.contains(key), "{key} is not switched on\n{text}");
    }
    assert!(
        Config::parse(Path::new("verdigris.yaml"), EXAMPLE, &|name| (name
            == "SHOP_TOKEN")
            .then(|| "t".to_owned()))
        .is_ok()
    );
}
