//! `serverless.yml` files become manifests.
//!
//! The corpus holds files of ours with every key that Serverless documents; the catalogue's `known/` lists those keys by name, as its own
//! schema and reference have them, so that one that is left out of the corpus, or of a report, is found.

use std::collections::BTreeMap;

use serde_yaml::Value;
use verdigris::{
    import::{self, Around, Imported, report::Verdict},
    manifest::{
        set,
        variables::{Asked, Commit, Sources},
    },
};

/// Files of the corpus by their name, in its order.
fn corpus() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/import/corpus");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

fn import(text: &str) -> Imported {
    import_with(text, &[], &|_| None)
}

fn import_with(text: &str, stages: &[&str], files: &import::Files<'_>) -> Imported {
    let stages: Vec<String> = stages.iter().map(|&stage| stage.to_owned()).collect();
    let around = Around {
        file: "serverless.yml",
        folder: "services/shop",
        stages: &stages,
        files,
    };
    import::serverless(text, &around).unwrap()
}

/// Everything that people get.
fn shown(imported: &Imported) -> String {
    let Imported { manifests, report } = imported;
    format!("{manifests}\n=== report\n{}", report.text())
}

#[test]
fn manifests_and_reports_read_so() {
    for (name, text) in corpus() {
        insta::assert_snapshot!(name, shown(&import(&text)));
    }
}

#[test]
fn addresses_stream_on_where_the_runtime_can() {
    let read = |runtime: &str| {
        shown(&import(&format!(
            "service: shop\nprovider: {{ name: aws, runtime: {runtime} }}\nfunctions:\n  list:\n    handler: app.list\n    url: {{ invokeMode: RESPONSE_STREAM }}\n"
        )))
    };
    let node = read("nodejs22.x");
    assert!(node.contains("stream: true"), "{node}");
    let python = read("python3.13");
    assert!(!python.contains("stream: true"), "{python}");
    assert!(python.contains("answers in one piece"), "{python}");
}

/// Errors of our own `validate`.
fn errors(manifests: &str) -> Vec<String> {
    let docs = std::sync::Arc::new(set::parse_file("shop.yaml", manifests));
    let sources = Sources {
        env: &|_| Asked::Unset,
        file: &|_| Ok(None),
        commit: &Commit::default(),
    };
    let set = set::assemble_with(&[("shop.yaml".to_owned(), docs)].into(), &sources);
    assert!(
        !set.services.is_empty() || !set.faults.is_empty(),
        "{manifests}"
    );
    set.faults
        .iter()
        .filter(|fault| fault.is_error())
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_imported_is_valid() {
    for (name, text) in corpus() {
        let imported = import(&text);
        assert_eq!(
            errors(&imported.manifests),
            Vec::<String>::new(),
            "{name}:\n{}",
            imported.manifests
        );
    }
}

/// Where a documented key stands in a file; `*` is any key and `[]` any item.
fn find(value: &Value, pattern: &[&str], path: String, found: &mut Vec<String>) {
    let Some((first, rest)) = pattern.split_first() else {
        found.push(path);
        return;
    };
    match value {
        Value::Sequence(items) if *first == "[]" => {
            for (index, item) in items.iter().enumerate() {
                find(item, rest, format!("{path}[{index}]"), found);
            }
        }
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = key.as_str().unwrap_or_default();
                if key == *first || *first == "*" {
                    let path = if path.is_empty() {
                        key.to_owned()
                    } else {
                        format!("{path}.{key}")
                    };
                    find(value, rest, path, found);
                }
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)
        | Value::Tagged(_) => {}
    }
}

/// Whether a report speaks of a key: of itself or of keys below it, or of one above it that is not there at all. What was taken over
/// speaks of no part of it: each is named.
fn is_told(entries: &BTreeMap<&str, Verdict>, path: &str) -> bool {
    let cuts = path.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
    let mut above = cuts.filter_map(|(at, _)| entries.get(&path[..at]));
    entries.contains_key(path)
        || entries.keys().any(|told| {
            told.strip_prefix(path)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        })
        || above.any(|verdict| *verdict != Verdict::Taken)
}

#[test]
fn every_documented_key_is_in_the_corpus_and_in_its_report() {
    let dialects = [
        (
            "aws",
            include_str!("../../../src/import/catalogue/known/aws.txt"),
        ),
        (
            "azure",
            include_str!("../../../src/import/catalogue/known/azure.txt"),
        ),
    ];
    let mut missing = Vec::new();
    for (dialect, keys) in dialects {
        let files: Vec<_> = corpus()
            .into_iter()
            .filter(|(name, _)| name.starts_with(dialect))
            .collect();
        let read: Vec<(Value, Imported)> = files
            .iter()
            .map(|(_, text)| (serde_yaml::from_str(text).unwrap(), import(text)))
            .collect();
        for key in keys.lines() {
            let pattern: Vec<&str> = key.split('.').collect();
            let mut is_there = false;
            for (file, imported) in &read {
                let mut found = Vec::new();
                find(file, &pattern, String::new(), &mut found);
                is_there |= !found.is_empty();
                let told: BTreeMap<&str, Verdict> = imported
                    .report
                    .entries
                    .iter()
                    .map(|entry| (entry.path.as_str(), entry.verdict))
                    .collect();
                missing.extend(
                    found
                        .iter()
                        .filter(|path| !is_told(&told, path))
                        .map(|path| format!("not told: {path}")),
                );
            }
            if !is_there {
                missing.push(format!("not in the corpus: {key}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_documented_key_is_unknown() {
    let mut unknown = Vec::new();
    for (name, text) in corpus() {
        let entries = import(&text).report.entries;
        let strange = entries
            .into_iter()
            .filter(|entry| entry.verdict == Verdict::Unknown);
        unknown.extend(strange.map(|entry| format!("{name}: {}", entry.path)));
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn what_serverless_does_not_know_is_told_and_not_dropped() {
    let text = "service: a\nprovider: { name: aws, memorySise: 1 }\nfunctions: { f: { handler: a.b, evnts: [] } }\nfuntions: 1\n";
    let report = import(text).report;
    let unknown: Vec<&str> = report
        .entries
        .iter()
        .filter(|it| it.verdict == Verdict::Unknown)
        .map(|it| it.path.as_str())
        .collect();
    assert_eq!(
        unknown,
        ["provider.memorySise", "functions.f.evnts", "funtions"]
    );
}

#[test]
fn a_key_below_one_that_was_taken_over_is_told_by_itself() {
    let text = "service: a\nprovider: { name: aws }\nfunctions:\n  f:\n    handler: a.b\n    image: { uri: x, command: [y] }\n    events:\n      - http: { method: GET, path: a, metod: POST, request: { schemas: {} }, connectionType: vpc-link }\n";
    let entries = import(text).report.entries;
    let verdict = |path: &str| {
        let path = format!("functions.f.{path}");
        let found = entries.iter().find(|it| it.path == path);
        found.map(|it| it.verdict)
    };
    for (path, wanted) in [
        ("events[0].http", Verdict::Taken),
        ("events[0].http.method", Verdict::Taken),
        ("events[0].http.metod", Verdict::Unknown),
        ("events[0].http.request", Verdict::NotPossible),
        ("events[0].http.connectionType", Verdict::NotPossible),
    ] {
        assert_eq!(verdict(path), Some(wanted), "{path}");
    }
}

#[test]
fn a_function_app_answers_where_its_callers_know_it() {
    let text = "service: a\nprovider: { name: azure, runtime: nodejs22 }\nfunctions:\n  hello:\n    handler: a.b\n    events: [{ http: true, route: \"hello/{name}\", authLevel: anonymous }]\n";
    let behind = text.replace("nodejs22 }", "nodejs22, apim: {} }");
    let prefix = r#"{ "extensions": { "http": { "routePrefix": "v1" } } }"#;
    for (text, host, wanted) in [
        (text, None, "/api/hello/{name}"),
        (text, Some(prefix), "/v1/hello/{name}"),
        (text, Some(&*prefix.replace("v1", "")), "/hello/{name}"),
        (&*behind, None, "/hello/{name}"),
    ] {
        let files = |path: &str| host.filter(|_| path == "host.json").map(str::to_owned);
        let manifests = import_with(text, &[], &files).manifests;
        let wanted = format!("ANY {wanted}\"");
        assert!(manifests.contains(&wanted), "{wanted}{manifests}");
    }
}

#[test]
fn statements_become_rights_that_a_role_of_each_function_has() {
    let text = "service: a\nprovider:\n  name: aws\n  iam:\n    role:\n      statements:\n        - { Effect: Allow, Action: \"s3:GetObject\", Resource: \"arn:aws:s3:::uploads/*\" }\n        - { Effect: Allow, Action: [\"dynamodb:GetItem\"], Resource: \"*\", Condition: {} }\nfunctions:\n  f: { handler: a.b }\n  g: { handler: a.b, role: \"arn:aws:iam::123456789012:role/g\" }\n";
    let imported = import(text);
    assert_eq!(errors(&imported.manifests), Vec::<String>::new());
    insta::assert_snapshot!(imported.manifests, @r"
    # From serverless.yml by `verdigris import`.
    apiVersion: verdigris.dev/v1alpha1
    kind: Service
    metadata: { name: a }
    spec:
      environments: [dev]
      runtime: nodejs22
      source: services/shop
      memory: 1024Mi
      timeout: 6s
      functions:
        f:
          handler: a.js:b
          aws:
            allow:
              s3: { actions: [s3:GetObject], on: [arn:aws:s3:::uploads/*] }
        g:
          handler: a.js:b
          aws: { role: arn:aws:iam::123456789012:role/g }
    ---
    apiVersion: verdigris.dev/v1alpha1
    kind: Environment
    metadata: { name: dev }
    spec:
      aws: { region: us-east-1, account: 000000000000 }
    ");
    let alone = import(&text.replace("role: \"arn:aws:iam::123456789012:role/g\"", "timeout: 3"));
    assert!(
        alone
            .manifests
            .contains("\n  aws:\n    allow:\n      s3: {"),
        "{}",
        alone.manifests
    );
    let verdict = |path: &str| {
        let path = format!("provider.iam.role.statements{path}");
        let mut entries = imported.report.entries.iter();
        entries.find(|it| it.path == path).map(|it| it.verdict)
    };
    assert_eq!(verdict("[0]"), Some(Verdict::Taken));
    assert_eq!(verdict("[1]"), Some(Verdict::NotPossible));
}

#[test]
fn what_is_no_serverless_file_is_refused_with_its_reason() {
    let around = Around {
        file: "a.yml",
        folder: "",
        stages: &[],
        files: &|_| None,
    };
    let refused = |text: &str| import::serverless(text, &around).unwrap_err().to_string();
    assert_eq!(refused("a: [").as_str(), "is not YAML");
    assert_eq!(
        refused("a: 1"),
        "has no `provider.name`: is it a serverless.yml?"
    );
    assert_eq!(
        refused("provider: { name: google }"),
        "the provider `google` is not understood: `aws` and `azure` are"
    );
    assert_eq!(
        refused("provider: aws"),
        "has no `functions`: there is nothing to deploy here"
    );
    assert_eq!(
        refused(&"#".repeat(import::FILE_MAX + 1)),
        "the file has 1048577 bytes, and 1048576 are read"
    );
}
