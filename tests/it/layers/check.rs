//! Which paths a module may use.

use super::{
    LEVELS, Layer,
    uses::{Used, facts},
};

/// Crates and parts of the standard library that do something to the world, or tell the time.
const EFFECTS: &[&str] = &[
    "aws_config",
    "aws_sdk_lambda",
    "axum",
    "azure_core",
    "azure_identity",
    "git2",
    "hyper",
    "hyper_util",
    "notify",
    "reqwest",
    "rustix",
    "sled",
    "tempfile",
    "tokio",
    "tokio_util",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "fastrand",
];

/// Crates that only one folder may name: whoever else wants their work asks that folder.
const HOMES: &[(&str, &[&str])] = &[
    ("aws_config", &["cloud"]),
    ("aws_sdk_lambda", &["cloud"]),
    ("azure_core", &["cloud"]),
    ("azure_identity", &["cloud"]),
    ("git2", &["git"]),
    ("sled", &["store"]),
];

/// What is wrong with these files: pairs of a path below `src/` and its source.
pub(super) fn check(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in sources {
        check_file(path, source, &mut found);
    }
    found
}

fn check_file(path: &str, source: &str, found: &mut Vec<String>) {
    let own = top_level(path);
    let Some((own_rank, own_layer)) = place(own) else {
        found.push(format!(
            "{path}:1: '{own}' has no place among the layers: give it one"
        ));
        return;
    };
    let file = match syn::parse_file(source) {
        Ok(file) => file,
        Err(error) => {
            found.push(format!("{path}:1: is not Rust: {error}"));
            return;
        }
    };
    let facts = facts(&file);
    for Used {
        path: used,
        inside,
        line,
    } in &facts.used
    {
        let depth = depth(path) + inside;
        if let Some(fault) = fault_of(own, own_rank, own_layer, depth, used) {
            found.push(format!("{path}:{line}: {fault}"));
        }
    }
    if own_layer == Layer::Pure {
        let waits = facts.waits.iter();
        found.extend(waits.map(|line| format!("{path}:{line}: '{own}' is pure and must not wait")));
    }
}

fn fault_of(
    own: &str,
    own_rank: usize,
    own_layer: Layer,
    depth: usize,
    used: &[String],
) -> Option<String> {
    if let Some(other) = of_package(depth, used) {
        return import_fault(own, own_rank, own_layer, &other);
    }
    let spelt = used.join("::");
    let is_below = |prefix: &str| {
        spelt == prefix
            || spelt
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    if own_layer == Layer::Pure
        && let Some(effect) = EFFECTS.iter().find(|effect| is_below(effect))
    {
        return Some(format!("'{own}' is pure and must not use '{effect}'"));
    }
    let (name, homes) = HOMES.iter().find(|(name, _)| is_below(name))?;
    let is_home = homes.contains(&own);
    (!is_home).then(|| format!("only '{}' may use '{name}'", homes.join("', '")))
}

fn import_fault(own: &str, own_rank: usize, own_layer: Layer, other: &str) -> Option<String> {
    if other == own || own == "lib" {
        return None;
    }
    let Some((rank, layer)) = place(other).filter(|_| other != "lib" && other != "main") else {
        return Some(format!(
            "'{own}' goes through the root for '{other}': name the module that it lives in"
        ));
    };
    let is_stranger = own_layer == Layer::Effect && layer == Layer::Effect && other != "clock";
    let is_upward = rank > own_rank;
    (is_stranger || is_upward).then(|| format!("'{own}' must not import '{other}'"))
}

/// The top-level module that a path of this package leads to; nothing where it leads elsewhere.
fn of_package(depth: usize, used: &[String]) -> Option<String> {
    match used.first()?.as_str() {
        "crate" | "verdigris" => used.get(1).cloned(),
        "super" => {
            let ups = used.iter().take_while(|it| *it == "super").count();
            // As many steps up as the file is deep lead to the root.
            (ups >= depth).then(|| used.get(ups).cloned()).flatten()
        }
        _ => None,
    }
}

/// How many modules deep a file is: `plan/mod.rs` is one, `plan/step/look.rs` three.
fn depth(path: &str) -> usize {
    let name = path.trim_end_matches(".rs").trim_end_matches("/mod");
    name.split('/').count()
}

fn top_level(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.trim_end_matches(".rs")
}

fn place(module: &str) -> Option<(usize, Layer)> {
    let rank = LEVELS.iter().position(|(name, _)| *name == module)?;
    Some((rank, LEVELS[rank].1))
}
