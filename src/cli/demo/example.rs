//! The shop of `manifests-example`, inside the program, and what is asked of its services.

use serde_json::{Value, json};

use super::machine::Machine;
use crate::git::{GitError, author::Author};

/// Each file of the folder by its path.
macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../manifests-example/", $path)))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    "environment.yaml",
    "gates.yaml",
    "services/cart/app.mjs",
    "services/cart/service.yaml",
    "services/inventory/app.py",
    "services/inventory/service.yaml",
    "services/price/same-on-both.sh",
    "services/price/server.c",
    "services/price/service.yaml",
];

/// A service of the shop, and a question with the answer that a working one gives.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: &'static str,
    pub(super) function: &'static str,
    pub(super) path: &'static str,
    /// Sent by POST where there is one.
    pub(super) body: Option<&'static str>,
    /// A place in the answer, and what is there.
    pub(super) answers: (&'static str, Value),
}

/// The services that this machine can run. The first needs nothing but a C compiler, and is the hero of the story.
pub(super) fn services(machine: &Machine) -> Vec<Shown> {
    let mut shown = vec![Shown {
        name: "price",
        function: "quote",
        path: "price/42",
        body: None,
        answers: ("/cents", json!(1250)),
    }];
    if machine.python.is_found() {
        shown.push(Shown {
            name: "inventory",
            function: "stock",
            path: "stock/42",
            body: None,
            answers: ("/left", json!(17)),
        });
    }
    if machine.node.is_found() {
        shown.push(Shown {
            name: "cart",
            function: "total",
            path: "cart/total",
            body: Some(r#"[{"cents":250,"count":2}]"#),
            answers: ("/cents", json!(500)),
        });
    }
    shown
}

/// Writes the shop into a repository, without the services that are not shown.
///
/// # Errors
///
/// A folder that cannot be written.
pub(super) fn write(author: &Author, shown: &[Shown]) -> Result<(), GitError> {
    let is_left_out = |path: &str| {
        let service = path
            .strip_prefix("services/")
            .and_then(|path| path.split('/').next());
        service.is_some_and(|service| shown.iter().all(|shown| shown.name != service))
    };
    for (path, content) in FILES.iter().filter(|(path, _)| !is_left_out(path)) {
        author.write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    #[test]
    fn the_program_holds_every_file_of_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-example");
        let mut found = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
                found.insert(relative.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
        let held = FILES
            .iter()
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()));
        assert_eq!(held.collect::<BTreeMap<_, _>>(), found);
    }
}
