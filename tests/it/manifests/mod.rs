//! Manifests as people write them, and what they are told.

mod faults;

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use verdigris::manifest::set::{Set, assemble, parse_file};

/// Files of one commit, by path.
fn read(files: &[(&str, &str)]) -> Set {
    let parsed = files.iter().map(|(path, text)| {
        let file = Arc::new(parse_file(path, text));
        ((*path).to_owned(), file)
    });
    assemble(&parsed.collect::<BTreeMap<_, _>>())
}

/// What is wrong, as a person sees it.
fn told(set: &Set) -> String {
    set.faults.iter().fold(String::new(), |mut lines, fault| {
        writeln!(lines, "{fault}").unwrap();
        lines
    })
}
