//! Which program runs a package, and with which environment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, sync::OnceCell, time::timeout};

use super::Target;
use crate::local::lambda::record::Config;

/// A probe of an interpreter takes a few hundred milliseconds on a slow machine.
const PROBE: Duration = Duration::from_secs(20);

const PYTHON_RUNTIME: &str = include_str!("python_runtime.py");
const NODE_RUNTIME: &str = include_str!("node_runtime.mjs");

/// The interpreters of this machine, each looked at once, when it is first needed.
pub(super) struct Runtimes {
    python: PathBuf,
    node: PathBuf,
    node_ric: Option<PathBuf>,
    folder: PathBuf,
    probed: OnceCell<Python>,
}

#[derive(Clone)]
struct Python {
    program: PathBuf,
    has_client: bool,
}

/// A program and its arguments.
pub(super) struct Program {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

impl Runtimes {
    /// Writes our own runtime clients into `folder`.
    pub(super) fn new(
        folder: &Path,
        python: PathBuf,
        node: PathBuf,
        node_ric: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("runtime.py"), PYTHON_RUNTIME)?;
        std::fs::write(folder.join("runtime.mjs"), NODE_RUNTIME)?;
        Ok(Self {
            python,
            node,
            node_ric,
            folder: folder.to_owned(),
            probed: OnceCell::new(),
        })
    }

    /// The program for a runtime, or why there is none.
    pub(super) async fn program(&self, config: &Config, package: &Path) -> Result<Program, String> {
        let runtime = config.runtime.as_str();
        let handler = config.handler.clone();
        if runtime.starts_with("python") {
            let Python {
                program,
                has_client,
            } = self.probed.get_or_init(|| self.probe()).await.clone();
            let args = if has_client {
                vec!["-m".to_owned(), "awslambdaric".to_owned(), handler]
            } else {
                vec![self.own("runtime.py"), handler]
            };
            Ok(Program { program, args })
        } else if runtime.starts_with("nodejs") {
            let client = self.node_ric.as_deref().and_then(find_node_client);
            let client = client.unwrap_or_else(|| self.own("runtime.mjs"));
            Ok(Program {
                program: self.node.clone(),
                args: vec![client, handler],
            })
        } else if runtime.starts_with("provided") {
            let program = package.join("bootstrap");
            if !program.is_file() {
                return Err(
                    "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
                        .to_owned(),
                );
            }
            Ok(Program {
                program,
                args: Vec::new(),
            })
        } else {
            Err(format!(
                "the runtime {runtime} does not run on this machine: use python3.x, nodejs2x.x or provided.al2023"
            ))
        }
    }

    fn own(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    /// The interpreter behind any wrapper, and whether it has the vendor's runtime client.
    async fn probe(&self) -> Python {
        const SCRIPT: &str = "import sys, importlib.util as u; print(sys.executable); print(u.find_spec('awslambdaric') is not None)";
        let run = Command::new(&self.python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match timeout(PROBE, run).await {
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        let mut lines = output.lines();
        let program = lines.next().filter(|path| !path.is_empty());
        Python {
            program: program.map_or_else(|| self.python.clone(), PathBuf::from),
            has_client: lines.next() == Some("True"),
        }
    }
}

/// The vendor's client below `folder`, wherever npm put it.
fn find_node_client(folder: &Path) -> Option<String> {
    let places = ["node_modules/aws-lambda-ric", "aws-lambda-ric", "."];
    let files = places
        .iter()
        .map(|place| folder.join(place).join("bin/index.mjs"));
    let found = files.into_iter().find(|file| file.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

/// What a process of Lambda finds in its environment, and the user's variables.
pub(super) fn environment(
    target: &Target,
    region: &str,
    api: &str,
    stream: &str,
) -> BTreeMap<String, String> {
    let config = &target.content.config;
    let task_root = target.package.to_string_lossy();
    let own = [
        ("AWS_DEFAULT_REGION", region),
        (
            "AWS_EXECUTION_ENV",
            &format!("AWS_Lambda_{}", config.runtime),
        ),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            &config.memory.to_string(),
        ),
        ("AWS_LAMBDA_FUNCTION_NAME", &target.function),
        ("AWS_LAMBDA_FUNCTION_VERSION", &target.version),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        (
            "AWS_LAMBDA_LOG_GROUP_NAME",
            &format!("/aws/lambda/{}", target.function),
        ),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream),
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_REGION", region),
        ("HOME", "/tmp"),
        ("LAMBDA_RUNTIME_DIR", &task_root),
        ("LAMBDA_TASK_ROOT", &task_root),
        ("PYTHONUNBUFFERED", "1"),
        ("TZ", ":UTC"),
        ("_HANDLER", &config.handler),
    ];
    let variables = config.variables.clone().unwrap_or_default();
    let mut environment = variables;
    for (name, value) in own {
        // A user may choose these two; the others are Lambda's own, and were refused when asked for.
        if !(matches!(name, "TZ" | "PYTHONUNBUFFERED") && environment.contains_key(name)) {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    environment
}
