//! What `deploy/` says that the daemon may do is what it does: no call is missing there, and none is too many.
//!
//! The policies are drawn from calls that were seen on the wire while a service went through everything that can be asked of it.
//! `VERDIGRIS_WRITE_POLICIES=1 cargo test --test it polic` writes them.

mod aws;
mod enforced;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// Fails where the file says anything else than was drawn.
pub(crate) fn is_written(file: &str, drawn: &Value) {
    let path = Path::new("deploy").join(file);
    let drawn = format!("{drawn:#}\n");
    if std::env::var_os("VERDIGRIS_WRITE_POLICIES").is_some() {
        fs::write(&path, &drawn).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == drawn,
        "{} is not what we need: VERDIGRIS_WRITE_POLICIES=1 writes this\n{drawn}",
        path.display()
    );
}

/// Fails where an operation that the code names was not seen: nobody would know what it needs.
pub(crate) fn all_were_seen(named: &BTreeSet<String>, seen: &BTreeSet<String>, life: &str) {
    let unseen: Vec<_> = named.difference(seen).collect();
    assert!(
        unseen.is_empty(),
        "{life} never sends {unseen:?}: let it do so, and the policy will allow it"
    );
}

/// Texts in the sources below a folder that a pattern finds, tests beside them left out.
pub(crate) fn named_in(folder: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new(pattern).unwrap();
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(folder).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.extend(pattern.captures_iter(code).map(|it| it[1].to_owned()));
        }
    }
    found
}
