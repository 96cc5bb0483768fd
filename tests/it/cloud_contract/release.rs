//! Releases and packages for the cases.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf, time::Duration};

use tempfile::TempDir;
use verdigris::{
    cloud::Package,
    desired::{Release, ReleaseContent},
    manifest::spec::{EnvValue, Function, HttpRoute, Megabytes, PathPattern, RepoPath, Runtime},
    name::{
        CodeDigest, EnvironmentName, FunctionName, ObjectId, Revision, ServiceKey, ServiceName,
    },
    observed::Scope,
};

pub(crate) const ENVIRONMENT: &str = "prod";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/functions";

/// One service of one case, with a folder for its packages.
pub(crate) struct Fixture {
    pub(crate) service: ServiceKey,
    folder: TempDir,
}

/// A release and the package that it is made of.
pub(crate) struct Made {
    pub(crate) release: Release,
    pub(crate) package: Package,
}

impl Fixture {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            service: ServiceKey {
                environment: EnvironmentName::new(ENVIRONMENT).unwrap(),
                service: ServiceName::new(format!("shop{index}")).unwrap(),
            },
            folder: TempDir::new().unwrap(),
        }
    }

    /// Both functions that any release of this service has.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            service: self.service.clone(),
            functions: [stock(), reorder()].into(),
        }
    }

    /// `stock`, which answers HTTP, and `reorder`, which takes a queue.
    pub(crate) fn release(&self, body: &str) -> Made {
        self.release_of(body, &[stock(), reorder()])
    }

    pub(crate) fn release_of(&self, body: &str, functions: &[FunctionName]) -> Made {
        let package = self.package(body);
        let functions = functions.iter().map(|name| (name.clone(), function(name)));
        let plain = |text: &str| EnvValue::Plain(text.to_owned());
        let content = ReleaseContent {
            runtime: Runtime::Python("3.11".to_owned()),
            source: RepoPath::new("services/shop").unwrap(),
            source_tree: ObjectId::new(&package.code.hex()[..40]).unwrap(),
            build: None,
            functions: functions.collect(),
            env: BTreeMap::from([
                ("LOG_LEVEL".to_owned(), plain("info")),
                ("DB".to_owned(), EnvValue::Secret("shop-db".to_owned())),
            ]),
            role: Some(ROLE.to_owned()),
        };
        let revision = Revision {
            reference: "main".to_owned(),
            commit: ObjectId::new(&package.code.hex()[..40]).unwrap(),
        };
        let release = Release {
            service: self.service.clone(),
            digest: content.digest(),
            revision,
            content,
        };
        Made { release, package }
    }

    fn package(&self, body: &str) -> Package {
        let bytes = zip(body);
        let code = CodeDigest::of(&bytes);
        let path: PathBuf = self.folder.path().join(code.hex());
        std::fs::write(&path, &bytes).unwrap();
        Package {
            code,
            path,
            size: bytes.len() as u64,
        }
    }
}

pub(crate) fn stock() -> FunctionName {
    FunctionName::new("stock").unwrap()
}

pub(crate) fn reorder() -> FunctionName {
    FunctionName::new("reorder").unwrap()
}

fn function(name: &FunctionName) -> Function {
    let http = (*name == stock()).then(|| HttpRoute {
        methods: vec!["GET".to_owned()],
        path: PathPattern("/stock/{sku}".to_owned()),
    });
    Function {
        handler: format!("app:{name}"),
        queue: http.is_none().then(|| "orders".to_owned()),
        http,
        schedule: None,
        memory: Megabytes(256),
        timeout: Duration::from_secs(10),
        env: BTreeMap::from([("ROLE".to_owned(), EnvValue::Plain(format!("does {name}")))]),
    }
}

/// A package for every cloud: what a Lambda runs, and what a custom handler is configured by.
fn zip(body: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let shim = format!(
        "import os\n\ndef handler(event, context):\n    release = os.environ['VERDIGRIS_RELEASE']\n    \
         return {{'statusCode': 200, 'headers': {{'x-verdigris-release': release}}, 'body': '{body}'}}\n"
    );
    let host = r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"python3","arguments":["verdigris_shim.py"]},"enableForwardingHttpRequest":true},"extensions":{"http":{"routePrefix":""}}}"#;
    for (name, text) in [("verdigris_shim.py", shim.as_str()), ("host.json", host)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
