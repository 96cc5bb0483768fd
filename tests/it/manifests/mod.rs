//! Manifests as people write them, and what they are told.

mod aws;
mod azure;
mod called;
mod examples;
mod faults;
mod order;
mod schemas;
mod sets;
mod specs;
mod strategies;
mod texts;
mod variables;
mod windows;

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use verdigris::manifest::set::{Set, assemble, parse_file};

pub(crate) const PROD: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  azure:
    subscription: 11111111-2222-3333-4444-555555555555
    resourceGroup: shop
    location: westeurope
    plan: EP1
    prefix: shop
";

/// Files of one commit, by path.
pub(crate) fn read(files: &[(&str, &str)]) -> Set {
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

/// A good service.
fn service(name: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  runtime: python3.13
  source: services/{name}
  functions:
    api: {{ handler: app:app, http: / }}
"
    )
}
