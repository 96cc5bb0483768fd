//! What a good manifest means: every short form, every default.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use verdigris::{
    manifest::{
        fault::Fault,
        gates::Share,
        spec::{
            Across, DriftMode, EnvValue, Function, GateKind, GateStage, HttpRoute, Megabytes,
            PathPattern, Role, Runtime, Service,
        },
    },
    name::CloudName,
};

use super::{PROD, read, service, told};

fn only(text: &str) -> Service {
    let set = read(&[("a.yaml", text), ("prod.yaml", PROD)]);
    let mut faults = set.faults.iter();
    assert!(!faults.any(Fault::is_error), "{}", told(&set));
    (*set.services.values().next().unwrap().service).clone()
}

const FULL: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: inventory, labels: { team: shop }, annotations: { why: because } }
spec:
  environments: [prod]
  runtime: nodejs22.x
  source: ./services/inventory/
  build: npm ci
  memory: 1GB
  timeout: 1m30s
  functions:
    stock:
      handler: app.mjs:stock
      http: get, POST /stock/{sku}/{rest+}
      memory: 512
      timeout: 20s
      env: { LEVEL: debug }
    any: { handler: app.mjs, http: ANY /any }
    bare: { handler: app.mjs, http: /bare }
    reorder: { handler: app.mjs, queue: orders }
    nightly: { handler: app.mjs, schedule: '0 3 * * SUN' }
  env:
    LEVEL: info
    VERSION: 1.10
    COUNT: 007
    ON: yes
    FLAG: True
    PASSWORD: { secret: inventory-db }
  rollout:
    gates:
      - http: { path: /stock/42 }
      - name: deep
        http:
          path: /stock/42?full=1
          method: post
          headers: { x-a: b }
          body: '{}'
          status: 201
          expect: { headers: { content-type: application/json }, json: { /a/0: [1, null, 1.5, { b: true }] } }
          latency: 300ms
          retries: 2
        after: promotion
        count: 5
        interval: 5s
        initialDelay: 1s
        timeout: 10s
        failureLimit: 1
        errorLimit: 2
        inconclusiveLimit: 3
        successLimit: 2
        dryRun: true
      - command: ./smoke.sh
      - command: { run: make check }
      - approval: { by: [ana, bo], quorum: 2 }
    bake: 1h30m
    across: { order: [azure, aws], soak: 10m }
  drift: observe
";

#[test]
fn every_key_of_a_service_has_its_meaning() {
    let service = only(FULL);
    assert_eq!(service.runtime, Runtime::Node("22".to_owned()));
    assert_eq!(service.source.as_str(), "services/inventory");
    assert_eq!(service.build.as_deref(), Some("npm ci"));
    assert_eq!(service.drift, DriftMode::Observe.into());
    let across = Across::InOrder {
        first: CloudName::Azure,
        soak: Duration::from_secs(600),
    };
    assert_eq!(service.rollout.across, across);
    assert_eq!(service.rollout.bake, Duration::from_secs(5400));
    let plain = |text: &str| EnvValue::Plain(text.to_owned());
    let env = BTreeMap::from([
        ("LEVEL".to_owned(), plain("info")),
        ("VERSION".to_owned(), plain("1.10")),
        ("COUNT".to_owned(), plain("007")),
        ("ON".to_owned(), plain("yes")),
        ("FLAG".to_owned(), plain("True")),
        (
            "PASSWORD".to_owned(),
            EnvValue::Secret("inventory-db".to_owned()),
        ),
    ]);
    assert_eq!(service.env, env);
}

#[test]
fn functions_have_their_own_values_or_the_services() {
    let service = only(FULL);
    let named = |name: &str| -> Function { (*service.functions[&name.parse().unwrap()]).clone() };
    let route = |methods: &[&str], path: &str| {
        Some(HttpRoute {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            path: PathPattern(path.to_owned()),
        })
    };
    let stock = named("stock");
    assert_eq!(stock.handler, "app.mjs:stock");
    assert_eq!(stock.http, route(&["GET", "POST"], "/stock/{sku}/{rest+}"));
    assert_eq!(
        (stock.memory, stock.timeout),
        (Megabytes(512), Duration::from_secs(20))
    );
    assert_eq!(stock.env["LEVEL"], EnvValue::Plain("debug".to_owned()));
    assert_eq!(named("any").http, route(&[], "/any"));
    assert_eq!(named("bare").http, route(&[], "/bare"));
    assert_eq!(named("reorder").queue.as_deref(), Some("orders"));
    let nightly = named("nightly");
    assert_eq!(nightly.schedule.as_deref(), Some("0 3 * * SUN"));
    assert_eq!(
        (nightly.memory, nightly.timeout),
        (Megabytes(1024), Duration::from_secs(90))
    );
}

#[test]
fn gates_have_their_own_values_or_the_usual() {
    let gates = only(FULL).rollout.gates;
    let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["http", "deep", "command", "command-2", "approval"]);
    let written = serde_json::to_value(&gates[1]).unwrap();
    assert_eq!(
        written["kind"]["http"],
        json!({
            "method": "POST", "path": "/stock/42?full=1", "headers": { "x-a": "b" }, "body": "{}", "status": 201,
            "expect_headers": { "content-type": "application/json" }, "expect_json": { "/a/0": [1, null, 1.5, { "b": true }] },
            "latency": { "secs": 0, "nanos": 300_000_000 }, "retries": 2,
        })
    );
    let seconds = |secs: u64| json!({ "secs": secs, "nanos": 0 });
    assert_eq!(
        written["measure"],
        json!({
            "count": 5, "interval": seconds(5), "initial_delay": seconds(1), "timeout": seconds(10),
            "failure_limit": 1, "error_limit": 2, "inconclusive_limit": 3, "success_limit": 2, "dry_run": true,
        })
    );
    assert_eq!(gates[1].after, GateStage::Promotion);
    assert_eq!(gates[0].after, GateStage::Staging);
    let GateKind::Http(plain) = &gates[0].kind else {
        panic!("an http gate");
    };
    assert_eq!(
        (
            plain.first.method.as_str(),
            plain.first.status,
            plain.first.retries
        ),
        ("GET", Some(200), 0)
    );
    let GateKind::Approval(approval) = &gates[4].kind else {
        panic!("an approval");
    };
    assert_eq!((approval.by.len(), approval.quorum), (2, 2));
}

#[test]
fn a_service_of_fifteen_lines_is_enough() {
    let service = only(
        "
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: stock }
spec:
  runtime: executable
  source: .
  functions:
    api: { handler: ./server, http: / }
",
    );
    let api = service.functions.values().next().unwrap();
    assert_eq!(
        (api.memory, api.timeout),
        (Megabytes(256), Duration::from_secs(30))
    );
    assert_eq!(service.rollout.across, Across::Together);
    assert_eq!(service.rollout.bake, Duration::ZERO);
    assert_eq!(service.drift, DriftMode::Enforce.into());
    assert_eq!(service.source.as_str(), "");
}

#[test]
fn a_prefix_is_made_from_where_the_environment_is() {
    let prefix = |text: &str| {
        let set = read(&[("prod.yaml", text)]);
        let environment = set.environments.values().next().unwrap();
        environment.azure.as_ref().unwrap().prefix.clone()
    };
    assert_eq!(prefix(PROD), "shop");
    let bare = PROD.replace("    prefix: shop\n", "");
    let elsewhere = bare.replace("resourceGroup: shop", "resourceGroup: shop2");
    let staging = bare.replace("name: prod", "name: staging");
    assert_eq!(prefix(&bare), prefix(&bare));
    let made = [prefix(&bare), prefix(&elsewhere), prefix(&staging)];
    for (index, one) in made.iter().enumerate() {
        assert_eq!(one.len(), 7, "{one}");
        assert!(!made[..index].contains(one), "{made:?}");
    }
}

#[test]
fn a_fault_shows_the_text_that_it_is_about() {
    let text = FULL
        .replace("drift: observe", "drift: obsrve")
        .replace("\nspec:", "\nspec: # größer");
    let set = read(&[("a.yaml", &text), ("prod.yaml", PROD)]);
    let fault = set.faults.iter().find(|fault| fault.is_error());
    let report = fault.unwrap().clone().into_report(&text);
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut shown, report.as_ref())
        .unwrap();
    let expected = "
  × `obsrve` is not known
    ╭─[a.yaml:58:10]
 57 │     across: { order: [azure, aws], soak: 10m }
 58 │   drift: obsrve
    ·          ───┬──
    ·             ╰── spec.drift
    ╰────
  help: did you mean `observe`?
";
    assert_eq!(shown.trim(), expected.trim(), "{shown}");
}

#[test]
fn functions_run_as_a_role_that_is_there_or_as_one_of_their_own() {
    let environment = |aws: &str| {
        let text = format!(
            "apiVersion: verdigris.dev/v1alpha1\nkind: Environment\nmetadata: {{ name: prod }}\nspec:\n  aws: {{ {aws} }}\n"
        );
        let set = read(&[("prod.yaml", &text)]);
        let role = set.environments.values().next();
        let role = role.map(|it| it.aws.clone().unwrap().role);
        (role, told(&set))
    };
    let arn = "arn:aws:iam::123456789012:role/functions";
    let (given, _) = environment(&format!("region: eu-west-1, role: '{arn}'"));
    assert_eq!(given, Some(Role::Given(arn.to_owned())));
    let (own, _) = environment("region: eu-west-1, account: '123456789012'");
    let account = "123456789012".to_owned();
    assert_eq!(own, Some(Role::Own { account }));
    for (aws, fault) in [
        ("region: eu-west-1", "needs one of `role` and `account`"),
        (
            "region: eu-west-1, account: shop",
            "spec.aws.account: is no account",
        ),
    ] {
        let (none, told) = environment(aws);
        assert!(none.is_none() && told.contains(fault), "{told}");
    }
}

/// The share of a load's requests that may go wrong, by what its gate says.
fn errors_of(gate: &str) -> Option<Share> {
    let text = format!(
        "{}  rollout: {{ gates: [ {gate} ] }}\n",
        service("inventory")
    );
    let service = only(&text);
    match &service.rollout.gates[0].kind {
        GateKind::Load(load) => load.errors,
        GateKind::Http(_)
        | GateKind::Command(_)
        | GateKind::Parity(_)
        | GateKind::Metric(_)
        | GateKind::Approval(_) => panic!("{gate} is no load"),
    }
}

#[test]
fn what_a_condition_says_of_errors_stands_in_place_of_what_is_unsaid() {
    let none = Some(Share::default());
    let some = Some(Share { ppm: 10_000 });
    let load = "path: /, rate: 10/s, for: 1s";
    for (gate, wanted) in [
        (format!("{{ load: {{ {load} }} }}"), none),
        (
            format!("{{ load: {{ {load} }}, successCondition: p95 < 300.0 }}"),
            none,
        ),
        (
            format!("{{ load: {{ {load} }}, successCondition: errors < 0.5 }}"),
            None,
        ),
        (
            format!("{{ load: {{ {load} }}, failureCondition: errorCount > 3 }}"),
            None,
        ),
        // Who says both means both.
        (
            format!("{{ load: {{ {load}, errors: 1% }}, successCondition: errors < 0.5 }}"),
            some,
        ),
    ] {
        assert_eq!(errors_of(&gate), wanted, "{gate}");
    }
}
