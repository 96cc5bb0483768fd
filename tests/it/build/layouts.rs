//! The files that are added to a package, as people see them.

use std::fmt::Write as _;

use verdigris::{
    build::{
        layout::{input_digest, layout},
        recipe::{Entry, Recipe, Runtime},
    },
    name::{CloudName, ObjectId},
};

use super::{entry, http, node, python, recipe};

fn inventory(runtime: Runtime) -> Recipe {
    let reorder = Entry {
        queue: Some("orders".to_owned()),
        ..entry("app:reorder")
    };
    let everything = Entry {
        queue: Some("late".to_owned()),
        schedule: Some("*/5 * * * *".to_owned()),
        ..http("app:all", &[], "/files/{path+}")
    };
    let functions = [
        ("stock", http("app:app", &["GET", "PUT"], "/stock/{sku}")),
        ("reorder", reorder),
        ("everything", everything),
        ("home", http("app:app", &["GET"], "/")),
    ];
    recipe(runtime, &functions)
}

fn shown(recipe: &Recipe, cloud: CloudName) -> String {
    let mut text = String::new();
    for file in layout(recipe, cloud) {
        let mode = if file.executable { "0755" } else { "0644" };
        writeln!(text, "=== {} {mode}", file.path).unwrap();
        if file.path.ends_with(".json") {
            text.push_str(std::str::from_utf8(&file.content).unwrap());
        }
    }
    text
}

#[test]
fn each_cloud_gets_the_files_it_needs() {
    for (name, runtime) in [
        ("python", python()),
        ("node", node()),
        ("executable", Runtime::Executable),
    ] {
        for cloud in CloudName::ALL {
            insta::assert_snapshot!(
                format!("{name}_on_{cloud}"),
                shown(&inventory(runtime.clone()), cloud)
            );
        }
    }
}

#[test]
fn whatever_decides_a_package_changes_its_input_digest() {
    type Change = fn(&mut Recipe);
    let base = inventory(python());
    let changes: [(&str, Change); 7] = [
        ("source", |r| {
            r.source_tree = ObjectId::new("b".repeat(40)).unwrap();
        }),
        ("command", |r| r.build = Some("make".to_owned())),
        ("version", |r| {
            r.runtime = Runtime::Python {
                version: "3.12".to_owned(),
            };
        }),
        ("runtime", |r| r.runtime = node()),
        ("variable", |r| {
            r.environment.insert("A".to_owned(), "1".to_owned());
        }),
        ("handler", |r| {
            r.functions.values_mut().next().unwrap().handler = "other:app".to_owned();
        }),
        ("function", |r| {
            r.functions.pop_first();
        }),
    ];
    for cloud in CloudName::ALL {
        let before = input_digest(&base, cloud);
        assert_eq!(before, input_digest(&base.clone(), cloud));
        for (what, change) in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(before, input_digest(&changed, cloud), "{what} on {cloud}");
        }
    }
    assert_ne!(
        input_digest(&base, CloudName::Aws),
        input_digest(&base, CloudName::Azure)
    );
}
