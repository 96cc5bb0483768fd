//! Where values come from: the environment, parameters, files of the commit, the commit itself.

use super::{
    super::{
        looks_secret,
        raw::suggest,
        spec::RepoPath,
        yaml::{Node, split},
    },
    Asked, Commit,
    resolve::{Missing, Resolver, missing, never},
};

/// What `${git:…}` knows.
pub const GIT: [&str; 6] = [
    "sha",
    "commit",
    "sha1",
    "branch",
    "message",
    "messageSubject",
];

impl Resolver<'_> {
    pub(super) fn git(&self, name: &str) -> Result<Node, Missing> {
        of_commit(self.sources.commit, name)
    }

    pub(super) fn env(&self, name: &str) -> Result<Node, Missing> {
        if looks_secret(name) {
            let secret = name.to_lowercase().replace('_', "-");
            return never(
                format!(
                    "`env:{name}` looks like a secret, and variables stand in plans and records"
                ),
                format!("write `{{ secret: {secret} }}` in `env`: each cloud reads its own store"),
            );
        }
        match (self.sources.env)(name) {
            Asked::Value(value) => Ok(Node::Text(value)),
            Asked::Unset => missing(
                format!("`env:{name}` is not set where Verdigris runs"),
                format!("set it there, or write `${{env:{name}, 'default'}}`"),
            ),
            Asked::NotAllowed => never(
                format!("`env:{name}` is no name that manifests may ask for"),
                format!(
                    "add {name} to `env` of the repository in the daemon's configuration, or write the value under `params`"
                ),
            ),
        }
    }

    pub(super) fn param(&mut self, name: &str, way: &mut Vec<String>) -> Result<Node, Missing> {
        let named = |params: &&[(String, Node)]| {
            params
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, node)| node.clone())
        };
        if let Some(node) = self.params.iter().find_map(named) {
            return self.value(&node, way);
        }
        let place = match self.environment {
            Some(environment) => format!(" in `{environment}`"),
            None => String::new(),
        };
        let known: Vec<&str> = self
            .params
            .iter()
            .flat_map(|params| params.iter().map(|(key, _)| key.as_str()))
            .collect();
        let near = suggest(name, known.into_iter());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "add `{name}` to `params` of the service or of the environment, or write `${{param:{name}, 'default'}}`"
            ),
        };
        missing(format!("no parameter `{name}` is known{place}"), help)
    }

    pub(super) fn file(&mut self, address: &str, way: &mut Vec<String>) -> Result<Node, Missing> {
        let (path, key) = match address.split_once(':') {
            Some((path, key)) => (path.trim(), key.trim()),
            None => (address, ""),
        };
        let Ok(plain) = RepoPath::new(path) else {
            return never(
                format!("`file:{path}` leads out of the repository"),
                "name a file of the same commit, by its path from the root",
            );
        };
        let text = match (self.sources.file)(plain.as_str()) {
            Ok(Some(text)) => text,
            Ok(None) => {
                return missing(
                    format!("there is no file `{plain}` at this commit"),
                    "the path is relative to the repository's root",
                );
            }
            Err(why) => {
                return never(
                    format!("the file `{plain}` cannot be read: {why}"),
                    "put a plain text file there",
                );
            }
        };
        let node = tree_of(plain.as_str(), &text)?;
        let mut here = &node;
        for part in key.split('.').filter(|part| !part.is_empty()) {
            let below = match here {
                Node::List(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                Node::Map(_) => here.get(part),
                Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => None,
            };
            let Some(below) = below else {
                return missing(
                    format!("the file `{plain}` has no `{key}`"),
                    "keys are written like `servers.0.name`",
                );
            };
            here = below;
        }
        self.value(here, way)
    }
}

/// YAML and JSON are trees; everything else is one text.
fn tree_of(path: &str, text: &str) -> Result<Node, Missing> {
    let is_tree = [".yml", ".yaml", ".json"]
        .iter()
        .any(|end| path.ends_with(end));
    if !is_tree {
        return Ok(Node::Text(text.trim_end_matches(['\n', '\r']).to_owned()));
    }
    match &split(path, text)[..] {
        [] => Ok(Node::Null),
        [document, ..] => document.parse().or_else(|broken| {
            let (message, line) = (&broken.message, broken.spot.line);
            never(
                format!("the file `{path}` cannot be read: line {line}: {message}"),
                "mend that file",
            )
        }),
    }
}

fn of_commit(commit: &Commit, name: &str) -> Result<Node, Missing> {
    let Commit {
        sha,
        branch,
        message,
    } = commit;
    let found = match name {
        "sha" | "commit" => sha.as_str(),
        "sha1" => sha.get(..7).unwrap_or(sha),
        "branch" => branch,
        "message" | "messageSubject" => message,
        _ => {
            let help = match suggest(name, GIT.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", GIT.join(", ")),
            };
            return never(
                format!("nothing called `git:{name}` is known of a commit"),
                help,
            );
        }
    };
    Ok(Node::Text(found.to_owned()))
}
