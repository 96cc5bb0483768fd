//! Releases and packages for the cases.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use tempfile::TempDir;
use verdigris::{
    cloud::Package,
    desired::{Release, ReleaseContent},
    manifest::spec::{
        EnvValue, Function, Functions, HttpRoute, Megabytes, PathPattern, RepoPath, Runtime,
    },
    name::{
        CodeDigest, EnvironmentName, FunctionName, ObjectId, Revision, ServiceKey, ServiceName,
    },
    observed::Scope,
};

pub(crate) const ENVIRONMENT: &str = "prod";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/functions";

/// Names that an account must know, or must not know yet.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) environment: String,
    /// Of AWS, for the functions.
    pub(crate) role: String,
    /// What the functions read.
    pub(crate) queue: String,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            environment: ENVIRONMENT.to_owned(),
            role: ROLE.to_owned(),
            queue: "orders".to_owned(),
        }
    }
}

/// One service of one case, with a folder for its packages.
pub(crate) struct Fixture {
    pub(crate) service: ServiceKey,
    place: Place,
    folder: TempDir,
}

/// A release and the package that it is made of.
pub(crate) struct Made {
    pub(crate) release: Release,
    pub(crate) package: Package,
}

impl Fixture {
    pub(crate) fn new(index: usize) -> Self {
        Self::within(Place::default(), index)
    }

    pub(crate) fn within(place: Place, index: usize) -> Self {
        Self {
            service: ServiceKey {
                environment: EnvironmentName::new(place.environment.clone()).unwrap(),
                service: ServiceName::new(format!("shop{index}")).unwrap(),
            },
            place,
            folder: TempDir::new().unwrap(),
        }
    }

    /// Both functions that any release of this service has.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            service: self.service.clone(),
            functions: [stock(), reorder()].into(),
            called: Default::default(),
        }
    }

    /// `stock`, which answers HTTP, and `reorder`, which takes a queue.
    pub(crate) fn release(&self, body: &str) -> Made {
        self.release_of(body, &[stock(), reorder()])
    }

    pub(crate) fn release_of(&self, body: &str, functions: &[FunctionName]) -> Made {
        self.release_with(body, functions, |_, _| {})
    }

    /// With other settings than usual.
    pub(crate) fn release_with(
        &self,
        body: &str,
        functions: &[FunctionName],
        edit: impl Fn(&FunctionName, &mut Function),
    ) -> Made {
        let package = self.package(zip(body, functions, &self.place.queue));
        let functions = functions.iter().map(|name| {
            let mut function = self.function(name);
            edit(name, &mut function);
            (name.clone(), Arc::new(function))
        });
        self.made(package, functions.collect())
    }

    /// With a Lambda handler of its own.
    pub(crate) fn release_of_code(
        &self,
        body: &str,
        functions: &[FunctionName],
        handler: &str,
    ) -> Made {
        let package = self.package(zip_of(handler, body));
        let functions = functions
            .iter()
            .map(|name| (name.clone(), Arc::new(self.function(name))));
        self.made(package, functions.collect())
    }

    fn made(&self, package: Package, functions: Functions) -> Made {
        let plain = |text: &str| EnvValue::Plain(text.to_owned());
        let content = ReleaseContent {
            runtime: Runtime::Python("3.11".to_owned()),
            source: RepoPath::new("services/shop").unwrap(),
            source_tree: ObjectId::new(&package.code.hex()[..40]).unwrap(),
            build: None,
            functions,
            env: BTreeMap::from([
                ("LOG_LEVEL".to_owned(), plain("info")),
                ("DB".to_owned(), EnvValue::Secret("shop-db".to_owned())),
            ]),
            role: Some(self.place.role.clone()),
            azure: None,
        };
        let revision = Revision {
            reference: "main".to_owned(),
            commit: ObjectId::new(&package.code.hex()[..40]).unwrap(),
        };
        let release = Release {
            service: self.service.clone(),
            digest: content.digest(),
            revision,
            content: Arc::new(content),
        };
        Made { release, package }
    }

    fn function(&self, name: &FunctionName) -> Function {
        let http = (*name == stock()).then(|| HttpRoute {
            methods: vec!["GET".to_owned()],
            path: PathPattern("/stock/{sku}".to_owned()),
        });
        Function {
            handler: format!("app:{name}"),
            queue: http.is_none().then(|| self.place.queue.clone()),
            http,
            schedule: None,
            aws: None,
            memory: Megabytes(256),
            timeout: Duration::from_secs(10),
            // A name of its own for each function: where functions share one app, they share its variables.
            env: BTreeMap::from([(
                format!("ROLE_OF_{}", name.as_str().to_uppercase()),
                EnvValue::Plain(format!("does {name}")),
            )]),
        }
    }

    fn package(&self, bytes: Vec<u8>) -> Package {
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

/// A package for Lambda alone; the second file makes it differ from others.
fn zip_of(handler: &str, body: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        // As large as it is.
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    for (name, text) in [("verdigris_shim.py", handler), ("body.txt", body)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A package for every cloud: what a Lambda runs, and a custom handler with its configuration.
pub(crate) fn zip(body: &str, functions: &[FunctionName], queue: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let host = r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"python3","arguments":["verdigris_shim.py"]},"enableForwardingHttpRequest":true},"extensions":{"http":{"routePrefix":""}}}"#;
    let mut files = vec![
        ("verdigris_shim.py".to_owned(), SHIM.replace("BODY", body)),
        ("host.json".to_owned(), host.to_owned()),
    ];
    for name in functions {
        let bindings = match *name == stock() {
            true => HTTP_BINDINGS.to_owned(),
            false => QUEUE_BINDINGS.replace("QUEUE", queue),
        };
        files.push((format!("{name}/function.json"), bindings));
    }
    for (name, text) in files {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const HTTP_BINDINGS: &str = r#"{"bindings":[
    {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get"],"route":"stock/{sku}"},
    {"type":"http","direction":"out","name":"res"}]}"#;
const QUEUE_BINDINGS: &str = r#"{"bindings":[
    {"type":"queueTrigger","direction":"in","name":"message","queueName":"QUEUE","connection":"AzureWebJobsStorage"}]}"#;

/// A Lambda handler that is an HTTP server when it is started as a program.
const SHIM: &str = r#"import os

def handler(event, context):
    release = os.environ['VERDIGRIS_RELEASE']
    return {'statusCode': 200, 'headers': {'x-verdigris-release': release}, 'body': 'BODY'}

if __name__ == '__main__':
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self):
            answer = handler(None, None)
            body = answer['body'].encode()
            self.send_response(answer['statusCode'])
            self.send_header('content-length', str(len(body)))
            for name, value in answer['headers'].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    port = int(os.environ['FUNCTIONS_CUSTOMHANDLER_PORT'])
    http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler).serve_forever()
"#;
