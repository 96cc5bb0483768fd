//! The files of a commit together: what is asked for, what is held, what is unknown.

use std::{collections::BTreeMap, sync::Arc};

use verdigris::{
    desired,
    manifest::{
        set::{Set, assemble, parse_file},
        spec::RepoPath,
    },
    name::{ObjectId, Revision, ServiceKey},
};

use super::{PROD, read, service, told};

/// What a set asks for and what it holds, in one line each.
fn outcome(set: &Set) -> String {
    let list = |names: Vec<String>| names.join(" ");
    let services = set.services.iter().map(|(name, placed)| {
        let environments: Vec<&str> = placed
            .environments
            .iter()
            .map(|name| name.as_str())
            .collect();
        format!("{name}@{}", environments.join("+"))
    });
    format!(
        "services: {}\nheld services: {}\nheld environments: {}\nunreadable: {}\n",
        list(services.collect()),
        list(set.held.services.iter().map(ToString::to_string).collect()),
        list(
            set.held
                .environments
                .iter()
                .map(ToString::to_string)
                .collect()
        ),
        list(set.held.unreadable.iter().cloned().collect()),
    )
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    let set = read(files);
    let actual = outcome(&set) + &told(&set);
    let lines = |text: &str| -> Vec<String> {
        let trimmed = text.lines().map(|line| line.trim().to_owned());
        trimmed.filter(|line| !line.is_empty()).collect()
    };
    assert_eq!(lines(&actual), lines(expected), "\n--- actual:\n{actual}");
}

#[test]
fn a_broken_document_stops_its_own_service_only() {
    let broken = service("carts").replace("runtime", "runtme");
    let text = format!(
        "{}---\n{broken}---\n{}",
        service("prices"),
        service("stock")
    );
    check(
        &[("all.yaml", &text), ("prod.yaml", PROD)],
        "services: prices@prod stock@prod
        held services: carts
        held environments:
        unreadable:
        all.yaml:13:1: spec: `runtime` is missing
        all.yaml:14:3: spec.runtme: unknown key (help: did you mean `runtime`?)",
    );
}

#[test]
fn a_document_that_is_no_yaml_is_known_by_its_name() {
    let broken = service("carts").replace("handler: app:app", "handler: ]");
    let text = format!("{broken}---\n{}", service("stock"));
    check(
        &[("all.yaml", &text), ("prod.yaml", PROD)],
        "services: stock@prod
        held services: carts
        held environments:
        unreadable:
        all.yaml:8:21: this is not YAML: did not find expected node content, while parsing a flow node",
    );
}

#[test]
fn a_document_of_unknown_kind_may_be_about_anything_of_its_name() {
    let typo = service("stock").replace("kind: Service", "kind: Servic");
    check(
        &[("stock.yaml", &typo), ("prod.yaml", PROD)],
        "services:
        held services: stock
        held environments: stock
        unreadable:
        stock.yaml:2:7: kind: unknown kind `Servic` (help: did you mean `Service`?)",
    );
}

#[test]
fn a_document_without_a_name_may_be_about_anything() {
    check(
        &[
            ("odd.yaml", "kind: Service\n"),
            ("prod.yaml", PROD),
            ("s.yaml", &service("stock")),
        ],
        "services: stock@prod
        held services:
        held environments:
        unreadable: odd.yaml
        odd.yaml:1:1: `apiVersion` is missing
        odd.yaml:1:1: `metadata` is missing
        odd.yaml:1:1: `spec` is missing",
    );
    let set = read(&[("odd.yaml", "kind: Service\n")]);
    let key: ServiceKey = "prod/removed".parse().unwrap();
    assert!(
        set.held.keeps(&key),
        "nothing is removed while a file is unreadable"
    );
    assert_eq!(
        set.held.describe_unreadable().unwrap(),
        "unreadable files: odd.yaml: nothing is removed until they are mended"
    );
}

#[test]
fn a_removed_service_is_absent_and_not_held() {
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &service("stock"))]);
    assert!(!set.held.keeps(&"prod/carts".parse().unwrap()));
    assert_eq!(set.held.describe_unreadable(), None);
}

#[test]
fn a_broken_environment_holds_what_runs_there() {
    let broken = PROD.replace("eu-west-1", "europe");
    let staging = PROD.replace("name: prod", "name: staging");
    let named = service("stock").replace("spec:", "spec:\n  environments: [prod]");
    let files = [
        ("prod.yaml", broken.as_str()),
        ("staging.yaml", &staging),
        ("stock.yaml", &named),
        ("carts.yaml", &service("carts")),
    ];
    check(
        &files,
        "services: carts@staging stock@
        held services:
        held environments: prod
        unreadable:
        prod.yaml:6:18: spec.aws.region: is no region (help: such as `eu-west-1`)",
    );
    let held = read(&files).held;
    assert!(held.keeps(&"prod/carts".parse().unwrap()));
    assert!(!held.keeps(&"staging/old".parse().unwrap()));
}

#[test]
fn of_two_services_of_one_name_neither_is_used() {
    check(
        &[
            ("a.yaml", &service("stock")),
            ("b.yaml", &service("stock")),
            ("prod.yaml", PROD),
        ],
        "services:
        held services: stock
        held environments:
        unreadable:
        b.yaml:3:19: metadata.name: a service `stock` stands in a.yaml:3 too (help: rename or remove one)",
    );
}

#[test]
fn of_two_environments_or_gates_of_one_name_neither_is_used() {
    let gate = "apiVersion: verdigris.dev/v1alpha1\nkind: Gate\nmetadata: { name: ok }\nspec: { http: { path: / } }\n";
    let stock = service("stock") + "  rollout: { gates: [{ gate: ok }] }\n";
    check(
        &[
            ("a.yaml", PROD),
            ("b.yaml", PROD),
            ("g.yaml", &format!("{gate}---\n{gate}")),
            ("stock.yaml", &stock),
        ],
        "services:
        held services: stock
        held environments: prod
        unreadable:
        b.yaml:4:19: metadata.name: an environment `prod` stands in a.yaml:4 too (help: rename or remove one)
        g.yaml:8:19: metadata.name: a gate `ok` stands in g.yaml:3 too (help: rename or remove one)
        stock.yaml:9:30: spec.rollout.gates[0].gate: the gate `ok` has a fault of its own (help: mend that document)",
    );
}

#[test]
fn apps_that_would_share_a_host_id_do_not_go_together() {
    let (one, other) = ("stock-of-the-northern-house", "stock-of-the-northern-halls");
    let set = read(&[
        ("a.yaml", &service(one)),
        ("b.yaml", &service(other)),
        ("prod.yaml", PROD),
    ]);
    assert_eq!(
        outcome(&set).lines().next().unwrap(),
        format!("services: {other}@prod")
    );
    let errors: Vec<String> = set
        .faults
        .iter()
        .filter(|fault| fault.is_error())
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [format!(
            "a.yaml:3:19: metadata.name: its Function App and that of `{other}` both start with `shop-prod-stock-of-the-northern`, so Azure's host gives both one id (help: rename one, or shorten the environment's prefix)"
        )]
    );
}

#[test]
fn shared_gates_stand_where_they_are_named() {
    let gate = "apiVersion: verdigris.dev/v1alpha1\nkind: Gate\nmetadata: { name: people }\nspec: { approval: {} }\n";
    let stock = service("stock")
        + "  rollout: { gates: [{ http: { path: /a } }, { gate: people }, { http: { path: /b } }, { command: make test }] }\n";
    let set = read(&[("g.yaml", gate), ("prod.yaml", PROD), ("s.yaml", &stock)]);
    assert_eq!(told(&set), "");
    let placed = set.services.values().next().unwrap();
    let names: Vec<&str> = placed
        .service
        .rollout
        .gates
        .iter()
        .map(|gate| gate.name.as_str())
        .collect();
    assert_eq!(names, ["http", "people", "http-2", "command"]);
}

const SMOKE: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Gate
metadata: { name: smoke }
parameters:
  path: {}
  limit: { default: 300, description: milliseconds }
  sku: "42"
spec:
  http:
    path: ${path}?sku=${sku}
    expect: { json: { $.sku: '${sku}', $.max: '${limit}' } }
  count: 2
  successCondition: latencyMs < ${limit} && json.sku == ${sku}
"#;

fn with_gates(gates: &str) -> Set {
    let stock = service("stock") + &format!("  rollout:\n    gates:\n{gates}");
    read(&[("g.yaml", SMOKE), ("prod.yaml", PROD), ("s.yaml", &stock)])
}

#[test]
fn a_shared_gate_is_filled_in_for_each_use() {
    let set = with_gates(
        "      - { gate: smoke, with: { path: /stock } }\n      - { gate: smoke, name: deep, with: { path: /deep, sku: 'a\"b', limit: 50 } }\n",
    );
    assert_eq!(told(&set), "");
    let placed = set.services.values().next().unwrap();
    let gates = serde_json::to_value(&placed.service.rollout.gates).unwrap();
    assert_eq!(gates[0]["name"], "smoke");
    assert_eq!(gates[0]["kind"]["http"]["path"], "/stock?sku=42");
    assert_eq!(gates[0]["kind"]["http"]["expect_json"]["$.max"], 300);
    assert_eq!(
        gates[0]["measure"]["success_condition"],
        "latencyMs < 300 && json.sku == \"42\""
    );
    assert_eq!(gates[0]["measure"]["count"], 2);
    assert_eq!(gates[1]["name"], "deep");
    assert_eq!(gates[1]["kind"]["http"]["expect_json"]["$.sku"], "a\"b");
    assert_eq!(
        gates[1]["measure"]["success_condition"],
        "latencyMs < 50 && json.sku == \"a\\\"b\""
    );
}

#[test]
fn what_a_use_of_a_shared_gate_lacks_or_has_too_much_is_told_where_it_stands() {
    let set = with_gates(
        "      - gate: smoke\n      - { gate: smoke, name: b, with: { path: /b, limt: 5 } }\n      - { gate: smoke, name: c, with: { path: /c d } }\n      - { gate: smoke, name: d, with: { path: /d, limit: slow } }\n      - { http: { path: / }, with: { path: /e } }\n",
    );
    let wanted = "\
s.yaml:11:15: spec.rollout.gates[0].gate: the gate `smoke` must be told `path` (help: write `with: { path: … }`)
s.yaml:12:51: spec.rollout.gates[1].with.limt: the gate `smoke` has no parameter `limt` (help: did you mean `limit`?)
s.yaml:13:17: spec.rollout.gates[2].gate: with these values the gate `smoke` is wrong: spec.http.path: must start with `/` and hold no space or fragment (help: such as `/stock/42?full=1`; the host is the slot's)
s.yaml:14:17: spec.rollout.gates[3].gate: with these values the gate `smoke` is wrong: spec.successCondition: a whole number has no order with text (help: numbers stand without quotes)
s.yaml:15:30: spec.rollout.gates[4].with: only a shared gate has parameters (help: name a `Gate` document under `gate`)";
    assert_eq!(told(&set).trim(), wanted);
}

#[test]
fn a_command_finds_the_parameters_in_its_environment() {
    let gate = "apiVersion: verdigris.dev/v1alpha1\nkind: Gate\nmetadata: { name: check }\nparameters: { sku: {}, deep: false }\nspec: { command: 'sh check.sh \"${sku}\"' }\n";
    let stock = service("stock")
        + "  rollout: { gates: [{ gate: check, with: { sku: '4; rm -rf /' } }] }\n";
    let set = read(&[("g.yaml", gate), ("prod.yaml", PROD), ("s.yaml", &stock)]);
    assert_eq!(told(&set), "");
    let placed = set.services.values().next().unwrap();
    let gates = serde_json::to_value(&placed.service.rollout.gates).unwrap();
    let command = &gates[0]["kind"]["command"];
    assert_eq!(command["run"], "sh check.sh \"${sku}\"");
    assert_eq!(
        command["env"],
        serde_json::json!({ "sku": "4; rm -rf /", "deep": "false" })
    );
}

#[test]
fn a_shared_gate_whose_defaults_are_wrong_is_told_in_its_own_file() {
    let gate = SMOKE
        .replace("path: {}", "path: stock")
        .replace("description: milliseconds", "colour: red");
    let set = read(&[("g.yaml", &gate), ("prod.yaml", PROD)]);
    let wanted = "\
g.yaml:7:26: parameters.limit.colour: unknown key (help: known here: default, description)
g.yaml:11:11: spec.http.path: must start with `/` and hold no space or fragment (help: such as `/stock/42?full=1`; the host is the slot's)";
    assert_eq!(told(&set).trim(), wanted);
}

#[test]
fn a_missing_source_holds_its_service_only() {
    let files = [
        ("a.yaml", service("carts")),
        ("b.yaml", service("stock")),
        ("prod.yaml", PROD.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let tree_of = |path: &RepoPath| {
        (path.as_str() == "services/stock").then(|| ObjectId::new("1".repeat(40)).unwrap())
    };
    let revision: Revision = format!("main@sha1:{}", "2".repeat(40)).parse().unwrap();
    let assembled = desired::assemble(&read(&files), &tree_of, &revision);
    let keys: Vec<String> = assembled
        .desired
        .services
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(keys, ["prod/stock"]);
    assert!(assembled.held.keeps(&"prod/carts".parse().unwrap()));
    let told: Vec<String> = assembled.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a.yaml:6:11: spec.source: there is no folder `services/carts` at this commit (help: the path is relative to the repository's root, not to this file)"
        ]
    );
}

/// 10,000 services are the size that we promise; the limit is far above the time it takes, since test machines are busy.
#[test]
fn ten_thousand_files_are_put_together_quickly() {
    let mut files = BTreeMap::new();
    files.insert(
        "prod.yaml".to_owned(),
        Arc::new(parse_file("prod.yaml", PROD)),
    );
    for number in 0..10_000 {
        let path = format!("services/s{number}/service.yaml");
        let text = service(&format!("s{number}"));
        let file = Arc::new(parse_file(&path, &text));
        files.insert(path, file);
    }
    let start = tokio::time::Instant::now();
    let set = assemble(&files);
    let took = start.elapsed();
    assert_eq!(set.services.len(), 10_000);
    assert!(took.as_secs() < 2, "putting together took {took:?}");
}
