//! From a folder to packages, and what the shims in them do.

mod conformance;
mod contract;
mod layouts;
mod packages;
mod stage;

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use verdigris::{
    build::recipe::{Entry, HttpRoute, Recipe, Runtime},
    name::{FunctionName, ObjectId, ServiceName},
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
