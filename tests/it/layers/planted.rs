//! Proof that the checker catches what it should: every kind of violation, planted.

use super::{budget, check::check};

#[test]
fn every_kind_of_violation_is_caught_where_it_is_planted() {
    let planted = [
        (
            "plan/mod.rs",
            "use crate::reconcile::Handle;",
            "plan/mod.rs:1: 'plan' must not import 'reconcile'",
        ),
        (
            "plan/a/b.rs",
            "fn f() {\n let x = crate::guard::check();\n}",
            "plan/a/b.rs:2: 'plan' must not import 'guard'",
        ),
        (
            "name.rs",
            "use super::manifest::spec;",
            "name.rs:1: 'name' must not import 'manifest'",
        ),
        (
            "diff/mod.rs",
            "use crate::{name::X, rollout::{Y, Z}};",
            "diff/mod.rs:1: 'diff' must not import 'rollout'",
        ),
        (
            "plan/step/look.rs",
            "use super::super::super::daemon::run;",
            "plan/step/look.rs:1: 'plan' must not import 'daemon'",
        ),
        (
            "git/mod.rs",
            "use crate::store::Store;",
            "git/mod.rs:1: 'git' must not import 'store'",
        ),
        (
            "store/mod.rs",
            "use crate::git::Mirror;",
            "store/mod.rs:1: 'store' must not import 'git'",
        ),
        (
            "clock.rs",
            "use crate::gates::Gate;",
            "clock.rs:1: 'clock' must not import 'gates'",
        ),
        (
            "api/mod.rs",
            "fn f() { assert!(crate::cli::run()); }",
            "api/mod.rs:1: 'api' must not import 'cli'",
        ),
        (
            "status/mod.rs",
            "async fn f() {}",
            "status/mod.rs:1: 'status' is pure and must not wait",
        ),
        (
            "status/mod.rs",
            "fn f() { let g = async { 1 }; }",
            "status/mod.rs:1: 'status' is pure and must not wait",
        ),
        (
            "rollout/mod.rs",
            "use tokio::time::sleep;",
            "rollout/mod.rs:1: 'rollout' is pure and must not use 'tokio'",
        ),
        (
            "rollout/mod.rs",
            "fn f() { std::fs::read(\"x\"); }",
            "rollout/mod.rs:1: 'rollout' is pure and must not use 'std::fs'",
        ),
        (
            "guard/mod.rs",
            "use std::{collections::BTreeMap, env, net::IpAddr};",
            "guard/mod.rs:1: 'guard' is pure and must not use 'std::env'",
        ),
        (
            "guard/mod.rs",
            "use std::{net::IpAddr};",
            "guard/mod.rs:1: 'guard' is pure and must not use 'std::net'",
        ),
        (
            "name.rs",
            "use std::time::SystemTime;",
            "name.rs:1: 'name' is pure and must not use 'std::time::SystemTime'",
        ),
        (
            "name.rs",
            "fn f() { jiff::Timestamp::now(); }",
            "name.rs:1: 'name' is pure and must not use 'jiff::Timestamp::now'",
        ),
        (
            "plan/mod.rs",
            "use crate::clock::Clock;",
            "plan/mod.rs:1: 'plan' must not import 'clock'",
        ),
        (
            "daemon/mod.rs",
            "use git2::Repository;",
            "daemon/mod.rs:1: only 'git' may use 'git2'",
        ),
        (
            "local/mod.rs",
            "use aws_sdk_lambda::Client;",
            "local/mod.rs:1: only 'cloud' may use 'aws_sdk_lambda'",
        ),
        (
            "utils/mod.rs",
            "fn f() {}",
            "utils/mod.rs:1: 'utils' has no place among the layers: give it one",
        ),
        (
            "plan/mod.rs",
            "use crate::ServiceKey;",
            "plan/mod.rs:1: 'plan' goes through the root for 'ServiceKey': name the module that it lives in",
        ),
    ];
    for (path, source, fault) in planted {
        let found = check(&[(path.to_owned(), source.to_owned())]);
        assert!(
            found.contains(&fault.to_owned()),
            "{path}: {source}\n{found:?}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_told() {
    let allowed = [
        (
            "plan/mod.rs",
            "use crate::{diff, name::X, rollout::Y}; use std::time::Duration;",
        ),
        (
            "plan/step/look.rs",
            "use super::super::state::S; use super::Step;",
        ),
        (
            "git/mod.rs",
            "use crate::clock::Clock; use git2::Oid; async fn f() { tokio::task::yield_now().await }",
        ),
        ("cloud/aws/mod.rs", "use crate::rollout::intent::Response;"),
        ("local/mod.rs", "use crate::build::Package;"),
        ("cli/mod.rs", "use crate::{api::X, daemon::Y, local::Z};"),
        ("main.rs", "fn main() { verdigris::cli::main() }"),
    ];
    for (path, source) in allowed {
        let found = check(&[(path.to_owned(), source.to_owned())]);
        assert!(found.is_empty(), "{path}: {source}\n{found:?}");
    }
}

#[test]
fn what_is_too_long_is_told() {
    let lines = |count: usize| "let _ = 1;\n".repeat(count);
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\nfn f() {{\n{}}}\n}}",
        lines(500)
    );
    let planted = [
        (
            "plan/mod.rs",
            lines(401),
            "plan/mod.rs:1: 401 lines, 400 are allowed",
        ),
        (
            "plan/mod.rs",
            format!("fn long() {{\n{}}}", lines(71)),
            "plan/mod.rs:1: `long` has 71 lines, 70 are allowed",
        ),
        (
            "plan/mod.rs",
            format!("struct S;\nimpl S {{\nfn long() {{\n{}}}\n}}", lines(71)),
            "plan/mod.rs:3: `long` has 71 lines, 70 are allowed",
        ),
    ];
    for (path, source, fault) in planted {
        let found = budget::check(&[(path.to_owned(), source)]);
        assert!(found.contains(&fault.to_owned()), "{fault}: {found:?}");
    }
    let found = budget::check(&[("plan/mod.rs".to_owned(), tests)]);
    assert!(found.is_empty(), "tests do not count: {found:?}");
}
