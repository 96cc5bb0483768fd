//! Stages become environments.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::{
    Around, Draft, Job, Told, merge, names,
    tree::{At, key_text},
    variables::Seen,
    write,
};

/// Nobody tells which account it was: this stands for it.
pub(super) const ACCOUNT: &str = "000000000000";

/// The stages to import: those asked for, else the default one and those that have parameters.
pub(super) fn of(file: &Value, around: &Around<'_>) -> Vec<String> {
    if !around.stages.is_empty() {
        return around.stages.to_vec();
    }
    let written = file
        .get("provider")
        .and_then(|provider| provider.get("stage"));
    let written = written.and_then(Value::as_str).unwrap_or("dev");
    let default = match written.contains("${") {
        true => default_in(written),
        false => written.to_owned(),
    };
    let mut stages = vec![default];
    for key in ["stages", "params"] {
        let named = file
            .get(key)
            .and_then(Value::as_mapping)
            .into_iter()
            .flatten();
        for name in named.map(|(name, _)| key_text(name)) {
            if name != "default" && !stages.contains(&name) {
                stages.push(name);
            }
        }
    }
    stages
}

/// `${opt:stage, 'dev'}` is `dev` where nothing is said.
fn default_in(written: &str) -> String {
    let quoted = written.split('\'').nth(1);
    quoted
        .filter(|name| !name.is_empty())
        .unwrap_or("dev")
        .to_owned()
}

/// What is said of stages, their parameters and variables.
pub(super) fn tell(job: &mut Job<'_>, seen: &Seen) {
    let root = job.root.clone();
    let told = "what differs between stages is a parameter of the environment; the rest stands where it was used";
    for key in ["params", "stages"] {
        for (_, stage) in root.get(key).iter().flat_map(At::entries) {
            let params = if key == "params" {
                Some(stage.clone())
            } else {
                stage.get("params")
            };
            if let Some(params) = params {
                job.ledger.taken(&params, told);
            }
        }
    }
    for missing in seen.missing.borrow().iter() {
        job.ledger.todo(format!(
            "`${{file({missing})}}` was not found beside the file: write what it held"
        ));
    }
    for name in seen.params.borrow().iter() {
        job.ledger.todo(format!("`${{param:{name}}}` came from the command line or a dashboard: write it to the environment's `params`"));
    }
    custom(job, &root, &seen.used.borrow());
}

/// Settings of plugins whose work has a place here.
const PLUGINS: [(&str, &str); 4] = [
    (
        "pythonRequirements",
        "nothing but `build` says how packages are made",
    ),
    ("esbuild", "nothing but `build` says how packages are made"),
    ("webpack", "nothing but `build` says how packages are made"),
    (
        "customDomain",
        "a domain needs a gateway or a distribution of your own in front of the alias `blue`",
    ),
];

fn custom(job: &mut Job<'_>, root: &At<'_>, used: &BTreeSet<String>) {
    for (key, at) in root.get("custom").iter().flat_map(At::entries) {
        let path = format!("custom.{key}");
        let is_used = used
            .iter()
            .any(|used| *used == path || used.starts_with(&format!("{path}.")));
        if is_used {
            job.ledger.taken(&at, "its value stands where it was used");
        } else if let Some((_, told)) = PLUGINS.iter().find(|(name, _)| *name == key) {
            job.ledger.changed(&at, *told);
        } else if key != "enterprise" {
            job.ledger
                .unneeded(&at, "nothing in this file uses it: plugins may have");
        }
    }
}

/// All documents, environments last: whoever has one already leaves it out.
pub(super) fn documents(file: &str, drafts: &[(String, Draft)]) -> String {
    let mut texts = Vec::new();
    let environments: Vec<Value> = drafts
        .iter()
        .map(|(stage, _)| names::environment(stage).into())
        .collect();
    let services = drafts
        .first()
        .map(|(_, draft)| draft.services.as_slice())
        .unwrap_or_default();
    for (index, (name, _)) in services.iter().enumerate() {
        let mut spec = merge::specs(drafts, index);
        spec.insert("environments".into(), environments.clone().into());
        let remark = format!("From {file} by `verdigris import`.");
        texts.push(write::document(&[remark], &document("Service", name, spec)));
    }
    for (stage, draft) in drafts {
        let name = names::environment(stage);
        texts.push(write::document(
            &[],
            &document("Environment", &name, draft.environment.clone()),
        ));
    }
    texts.join("---\n")
}

/// What became of the file in all its stages: of each key the worst, with the stage where that is not the first one's.
pub(super) fn together(told: Vec<(String, Told)>) -> Told {
    let mut all = told.into_iter();
    let Some((_, (mut entries, mut todo))) = all.next() else {
        return Told::default();
    };
    for (stage, (others, more)) in all {
        for mut entry in others {
            entry.told = match entries.iter().any(|known| known.told == entry.told) {
                true => entry.told,
                false => format!("{} (in `{stage}`)", entry.told),
            };
            match entries.iter_mut().find(|known| known.path == entry.path) {
                Some(known) if entry.verdict < known.verdict => *known = entry,
                Some(_) => {}
                None => entries.push(entry),
            }
        }
        todo.extend(more);
    }
    let mut seen = BTreeSet::new();
    todo.retain(|what| seen.insert(what.clone()));
    (entries, todo)
}

/// What stands for something that nobody told.
pub(super) fn placeholders(manifests: &str) -> Option<String> {
    let what = format!("write the number of the AWS account in the place of {ACCOUNT}");
    manifests.contains(ACCOUNT).then_some(what)
}

fn document(kind: &str, name: &str, spec: Mapping) -> Mapping {
    let mut document = Mapping::new();
    document.insert("apiVersion".into(), "verdigris.dev/v1alpha1".into());
    document.insert("kind".into(), kind.into());
    let metadata = Mapping::from_iter([("name".into(), name.into())]);
    document.insert("metadata".into(), metadata.into());
    document.insert("spec".into(), spec.into());
    document
}
