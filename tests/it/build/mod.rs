//! From a folder to packages, and what the shims in them do.

mod conformance;
mod layouts;
mod packages;
mod pure;
mod stage;
mod zips;

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration,
};

use verdigris::{
    build::{
        Limits,
        recipe::{Entry, HttpRoute, Recipe, Runtime},
    },
    name::{FunctionName, ObjectId, ServiceName},
};

/// Small enough to be broken by a test.
const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(20),
    output_max: 200,
    package_max: 8 * 1024 * 1024,
    files_max: 50,
};

fn recipe(runtime: Runtime, functions: &[(&str, Entry)]) -> Recipe {
    let functions: BTreeMap<FunctionName, Entry> = functions
        .iter()
        .map(|(name, entry)| (FunctionName::new(*name).unwrap(), entry.clone()))
        .collect();
    Recipe {
        service: ServiceName::new("inventory").unwrap(),
        runtime,
        build: None,
        functions,
        source_tree: ObjectId::new("a".repeat(40)).unwrap(),
        environment: BTreeMap::new(),
        host: serde_json::Map::new(),
    }
}

fn python() -> Runtime {
    Runtime::Python {
        version: "3.13".to_owned(),
    }
}

fn node() -> Runtime {
    Runtime::Node {
        version: "22".to_owned(),
    }
}

fn entry(handler: &str) -> Entry {
    Entry {
        handler: handler.to_owned(),
        ..Entry::default()
    }
}

fn http(handler: &str, methods: &[&str], path: &str) -> Entry {
    let methods = methods.iter().map(|method| (*method).to_owned()).collect();
    Entry {
        http: Some(HttpRoute {
            methods,
            path: path.to_owned(),
        }),
        ..entry(handler)
    }
}

fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>, mode: u32) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}
