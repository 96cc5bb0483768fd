//! `${env:…}`, `${param:…}`, `${file:…}` and `${git:…}`: what they stand for, and what is told where they stand for nothing.

use std::{collections::BTreeMap, sync::Arc};

use verdigris::manifest::{
    set::{Changed, KeptSet, Set, assemble_with, parse_file},
    spec::{EnvValue, Service},
    variables::{Asked, Commit, Sources},
};

use super::{PROD, told};

const STAGING: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: staging }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  params: { size: 128, domain: staging.shop.example }
";

/// Files that are no manifests, by path.
const FILES: [(&str, &str); 6] = [
    (
        "config/prod.yml",
        "limits: { memory: 1024, timeout: 20s }\nqueues: [first, second]\n",
    ),
    (
        "config/staging.yml",
        "limits: { memory: 512, timeout: 10s }\n",
    ),
    ("VERSION", "1.10\n"),
    ("broken.yml", "a: [\n"),
    (
        "round.yml",
        "a: ${file:round.yml:b}\nb: ${file:round.yml:a}\n",
    ),
    ("deep.json", "{ \"name\": \"${param:domain}\" }"),
];

fn env(name: &str) -> Asked {
    match name {
        "LOG_LEVEL" => Asked::Value("debug".to_owned()),
        "REGION" => Asked::Unset,
        _ => Asked::NotAllowed,
    }
}

fn file(path: &str) -> Result<Option<String>, String> {
    if path == "link" {
        return Err("it is a symbolic link".to_owned());
    }
    let found = FILES.iter().find(|(name, _)| *name == path);
    Ok(found.map(|(_, text)| (*text).to_owned()))
}

fn with_sources<T>(run: impl FnOnce(&Sources<'_>) -> T) -> T {
    run(&Sources {
        env: &env,
        file: &file,
        commit: &Commit {
            sha: "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567".to_owned(),
            branch: "main".to_owned(),
            message: "stock: count twice".to_owned(),
        },
    })
}

fn parsed(files: &[(&str, &str)]) -> BTreeMap<String, Arc<verdigris::manifest::set::FileDocs>> {
    let parse =
        |(path, text): &(&str, &str)| ((*path).to_owned(), Arc::new(parse_file(path, text)));
    files.iter().map(parse).collect()
}

fn read(files: &[(&str, &str)]) -> Set {
    with_sources(|sources| assemble_with(&parsed(files), sources))
}

/// A service with these lines below its `spec`.
fn service(lines: &str) -> String {
    let lines: String = lines
        .lines()
        .map(|line| format!("  {}\n", line.trim_end()))
        .collect();
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec:
  runtime: python3.13
  source: services/stock
{lines}  functions:
    api: {{ handler: app:app, http: / }}
"
    )
}

fn in_environment(set: &Set, environment: &str) -> Service {
    let placed = set
        .services
        .values()
        .next()
        .unwrap_or_else(|| panic!("{}", told(set)));
    Service::clone(placed.in_environment(&environment.parse().unwrap()))
}

fn memory(set: &Set, environment: &str) -> u32 {
    in_environment(set, environment)
        .functions
        .values()
        .next()
        .unwrap()
        .memory
        .0
}

#[track_caller]
fn variable(value: &str) -> String {
    let text = service(&format!(
        "params: {{ default: {{ size: 256, domain: shop.example }} }}\nenv: {{ IT: {value} }}"
    ));
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    match in_environment(&set, "prod").env.get("IT") {
        Some(EnvValue::Plain(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_source_is_put_in_its_place() {
    for (written, wanted) in [
        ("'${env:LOG_LEVEL}'", "debug"),
        ("\"${env:REGION, 'none'}\"", "none"),
        ("'${env:REGION, ${param:domain}}'", "shop.example"),
        ("'${param:size}'", "256"),
        (
            "'https://${param:domain}/v${param:size}'",
            "https://shop.example/v256",
        ),
        ("'${file:VERSION}'", "1.10"),
        ("'${file:config/prod.yml:queues.1}'", "second"),
        ("'${file(./config/prod.yml):limits.timeout}'", "20s"),
        ("'${file:deep.json:name}'", "shop.example"),
        ("'${file:absent.yml:a, ''x''}'", "x"),
        (
            "'${git:sha1} of ${git:branch}: ${git:message}'",
            "0a1b2c3 of main: stock: count twice",
        ),
        (
            "'$${env:LOG_LEVEL} ${LOG_LEVEL:-x}'",
            "${env:LOG_LEVEL} ${LOG_LEVEL:-x}",
        ),
        ("'${param:absent, true}'", "true"),
    ] {
        assert_eq!(variable(written), wanted, "{written}");
    }
}

#[test]
fn each_environment_has_its_own() {
    let text = service(
        "params:
  default: { size: 256 }
  prod: { size: 2048 }
memory: ${param:size}
timeout: ${file:config/${param:stage, 'prod'}.yml:limits.timeout}
env: { DOMAIN: 'https://${param:domain, ''shop.example''}' }",
    );
    let set = read(&[
        ("envs.yaml", &format!("{PROD}---{STAGING}")),
        ("stock.yaml", &text),
    ]);
    assert_eq!(told(&set), "");
    assert_eq!((memory(&set, "prod"), memory(&set, "staging")), (2048, 128));
    let domain = |environment| in_environment(&set, environment).env["DOMAIN"].clone();
    assert_eq!(
        domain("prod"),
        EnvValue::Plain("https://shop.example".to_owned())
    );
    assert_eq!(
        domain("staging"),
        EnvValue::Plain("https://staging.shop.example".to_owned())
    );
}

#[test]
fn a_variable_alone_may_stand_for_a_map() {
    let text =
        service("env: ${param:all}\nparams: { default: { all: { A: 1.10, B: { secret: b } } } }");
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    let env = in_environment(&set, "prod").env;
    assert_eq!(env["B"], EnvValue::Secret("b".to_owned()));
    assert!(matches!(&env["A"], EnvValue::Plain(_)));
}

/// What is told of one value, without the place.
#[track_caller]
fn wrong(value: &str) -> String {
    let text = service(&format!(
        "params: {{ default: {{ size: 1, a: '${{param:b}}', b: '${{param:a}}' }} }}\nenv: {{ IT: {value} }}"
    ));
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    assert!(
        set.held.services.len() == 1 && set.services.is_empty(),
        "{value}: {}",
        told(&set)
    );
    told(&set)
}

#[test]
fn what_stands_for_nothing_is_told_with_its_place_and_a_way_out() {
    let all = [
        "'${env:DB_PASSWORD}'",
        "'${env:HOME}'",
        "'${env:REGION}'",
        "'${param:sise}'",
        "'${param:other}'",
        "'${param:a}'",
        "'${file:../secret.yml:a}'",
        "'${file:/etc/passwd}'",
        "'${file:absent.yml}'",
        "'${file:link}'",
        "'${file:broken.yml:a}'",
        "'${file:config/prod.yml:limits.none}'",
        "'x ${file:config/prod.yml:limits}'",
        "'${file:round.yml:a}'",
        "'${git:shaa}'",
        "'${git:author}'",
        "'${self:custom.table}'",
        "'${ssm:/shop/db}'",
        "'${env:LOG_LEVEL'",
        "'${}x ${param:}'",
    ]
    .map(wrong)
    .concat();
    insta::assert_snapshot!(all);
}

#[test]
fn a_fault_of_what_a_variable_stands_for_is_where_the_variable_is() {
    let text =
        service("memory: ${param:size}\nparams: { default: { size: 7 }, prod: { size: much } }");
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    insta::assert_snapshot!(told(&set));
}

#[test]
fn what_ties_a_service_to_others_is_the_same_everywhere() {
    let text = service("params: { default: { dir: a }, prod: { dir: b } }")
        .replace("services/stock", "services/${param:dir}");
    let set = read(&[
        ("envs.yaml", &format!("{PROD}---{STAGING}")),
        ("stock.yaml", &text),
    ]);
    insta::assert_snapshot!(told(&set));
}

#[test]
fn variables_cannot_grow_without_bound() {
    let mut params = String::from("a0: x");
    for number in 1..60 {
        let before = number - 1;
        params.push_str(&format!(
            ", a{number}: '${{param:a{before}}}${{param:a{before}}}'"
        ));
    }
    for last in [10, 14, 40] {
        let text = service(&format!(
            "params: {{ default: {{ {params} }} }}\nenv: {{ IT: '${{param:a{last}}}' }}"
        ));
        let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
        assert_eq!(
            set.services.len(),
            usize::from(last == 10),
            "{last}: {}",
            told(&set)
        );
    }
}

#[test]
fn gates_and_shells_keep_their_own() {
    let text = service(
        "build: 'echo ${HOME:-/} ${name} $${env:X}'
rollout:
  gates:
    - metric: { prometheus: { query: 'errors{service=\"${service}\"}' }, max: 1 }",
    );
    let set = read(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    let build = in_environment(&set, "prod").build;
    assert_eq!(
        build.as_deref(),
        Some("echo ${HOME:-/} ${name} ${env:X}"),
        "{}",
        told(&set)
    );
}

#[test]
fn a_set_with_variables_is_put_together_afresh_at_each_commit() {
    let text = service("env: { SHA: '${git:sha}' }");
    let files = parsed(&[("prod.yaml", PROD), ("stock.yaml", &text)]);
    let mut kept = with_sources(|sources| KeptSet::with(files, sources));
    let commit = Commit {
        sha: "1".repeat(40),
        ..Commit::default()
    };
    let sources = Sources {
        env: &env,
        file: &file,
        commit: &commit,
    };
    assert_eq!(kept.update_with(BTreeMap::new(), &sources), Changed::All);
    let env = in_environment(kept.set(), "prod").env;
    assert_eq!(env["SHA"], EnvValue::Plain("1".repeat(40)));
}
