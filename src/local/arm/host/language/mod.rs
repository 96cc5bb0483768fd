//! A language worker: the vendor's own program that runs functions written against its library, and speaks gRPC with the host. Ours to
//! play is the host: we start it, have it load every function of the package, and hand it invocations.
//!
//! Python's worker is started as `python3 -m azure_functions_worker` and must be installed; it comes with no package.

mod frames;
mod http;
mod line;
mod messages;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::http::{Response, request::Parts};
use tokio::time::timeout;
use uuid::Uuid;

use self::{
    frames::MESSAGE_MAX,
    line::{Gone, Line},
    messages::{
        Binding, Content, Exception, Initialise, Invoke, Load, Metadata, Parameter, Status,
        TypedData,
    },
};
use super::{
    forward::HOST_VERSION,
    package::{Direction, Function, Package},
    worker::{DEATH_TOLD, Start, StartError},
    wrap::Event,
};
use crate::local::process::{Child, Spawn, Stream};

/// The setting that says which language's worker runs the app.
pub(in crate::local::arm) const RUNTIME: &str = "FUNCTIONS_WORKER_RUNTIME";

const MODULE: &str = "azure_functions_worker";

/// A worker that has loaded what it could.
pub(in crate::local::arm) struct Language {
    line: Line,
    /// Why a function could not be loaded.
    unloaded: BTreeMap<String, String>,
}

/// Why a function gave no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::local::arm) enum InvokeError {
    #[error("the worker ended meanwhile")]
    Gone,
    #[error("the function could not be loaded: {0}")]
    NotLoaded(String),
    #[error("the function raised an exception: {0}")]
    Raised(String),
}

impl From<Gone> for InvokeError {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Starts the worker of Python, and has it load the package's functions.
pub(super) async fn start(start: &Start<'_>) -> Result<(Child, Language), StartError> {
    let line = Line::listen(start.logs).await.map_err(StartError::NoPort)?;
    let id = Uuid::new_v4().to_string();
    let child = Child::spawn(spawn(start, line.port, &id))?;
    let opened = tokio::select! {
        opened = open(&line, &id, start.package) => opened,
        exit = child.exited() => return Err(ended(start, exit)),
        () = tokio::time::sleep(start.start_timeout) => {
            return Err(StartError::TooSlow(start.start_timeout));
        }
    };
    let unloaded = match opened {
        Ok(unloaded) => unloaded,
        Err(OpenError::Gone(Gone)) => return Err(hung_up(start, &child).await),
        Err(OpenError::Refused(why)) => return Err(StartError::Refused(why)),
    };
    for (name, why) in &unloaded {
        let told = format!("function `{name}` could not be loaded: {why}");
        start.logs.push(Stream::Platform, &told);
    }
    Ok((child, Language { line, unloaded }))
}

fn spawn(start: &Start<'_>, port: u16, id: &str) -> Spawn {
    let root = start.package.folder();
    let mut env = start.environment();
    // Where a deployment puts the packages that the app asks for, and the app itself; the user's own come first.
    let own = env.remove("PYTHONPATH").map(PathBuf::from);
    let packages = root.join(".python_packages/lib/site-packages");
    let path = own.into_iter().chain([packages, root.to_owned()]);
    let path: Vec<String> = path.map(|path| path.display().to_string()).collect();
    env.insert("PYTHONPATH".to_owned(), path.join(":"));
    let args = [
        ["-m", MODULE],
        ["--host", "127.0.0.1"],
        ["--port", &port.to_string()],
        ["--workerId", id],
        ["--requestId", &Uuid::new_v4().to_string()],
        ["--grpcMaxMessageLength", &MESSAGE_MAX.to_string()],
    ];
    Spawn {
        program: start.python.to_owned(),
        args: args.concat().into_iter().map(str::to_owned).collect(),
        cwd: start.package.folder().to_owned(),
        env,
        memory_limit: start.memory_limit,
        logs: Arc::clone(start.logs),
    }
}

/// As a rule because it ends. One that lives on ends with its [`Child`].
async fn hung_up(start: &Start<'_>, child: &Child) -> StartError {
    match timeout(DEATH_TOLD, child.exited()).await {
        Ok(exit) => ended(start, exit),
        Err(_) => StartError::Refused("it hung up, and did not end".to_owned()),
    }
}

/// A Python without the worker says so, and nothing else.
fn ended(start: &Start<'_>, exit: crate::local::process::Exit) -> StartError {
    let missing = format!("No module named {MODULE}");
    let mut last = start.logs.lines().into_iter().rev().take(5);
    if last.any(|line| line.text.contains(&missing)) {
        return StartError::NoWorker {
            python: start.python.to_owned(),
        };
    }
    StartError::Ended(exit)
}

// === the opening ===

enum OpenError {
    Gone(Gone),
    Refused(String),
}

impl From<Gone> for OpenError {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

/// The names of functions that could not be loaded, and why.
async fn open(
    line: &Line,
    id: &str,
    package: &Package,
) -> Result<BTreeMap<String, String>, OpenError> {
    let out_of_turn = || OpenError::Refused("the worker spoke out of turn".to_owned());
    let Content::Started(started) = line.hear().await? else {
        return Err(out_of_turn());
    };
    if started.worker_id != id {
        return Err(OpenError::Refused("a stranger called".to_owned()));
    }
    line.say(Content::Initialise(Initialise {
        host_version: HOST_VERSION.to_owned(),
    }))?;
    let Content::Initialised(initialised) = line.hear().await? else {
        return Err(out_of_turn());
    };
    Status::check(initialised.result).map_err(|why| OpenError::Refused(why.message))?;
    for (name, function) in &package.functions {
        line.say(Content::Load(load(package.folder(), name, function)))?;
    }
    let mut unloaded = BTreeMap::new();
    for _ in &package.functions {
        let Content::Loaded(loaded) = line.hear().await? else {
            return Err(out_of_turn());
        };
        if let Err(why) = Status::check(loaded.result) {
            unloaded.insert(loaded.function_id, why.message);
        }
    }
    Ok(unloaded)
}

fn load(root: &Path, name: &str, function: &Function) -> Load {
    let directory = root.join(name);
    let bindings = function.bindings.iter().map(|(name, binding)| {
        let told = Binding {
            kind: binding.kind.clone(),
            direction: match binding.direction {
                Direction::In => 0,
                Direction::Out => 1,
                Direction::InOut => 2,
            },
        };
        (name.clone(), told)
    });
    Load {
        function_id: name.to_owned(),
        metadata: Some(Metadata {
            script_file: directory.join(&function.script_file).display().to_string(),
            directory: directory.display().to_string(),
            entry_point: function.entry_point.clone(),
            name: name.to_owned(),
            bindings: bindings.collect(),
        }),
    }
}

// === impl Language ===

impl Language {
    /// Nothing can be asked of it any more.
    pub(super) fn has_hung_up(&self) -> bool {
        self.line.is_over()
    }

    /// Why functions could not be loaded, in one sentence; none where all were.
    pub(super) fn fault(&self) -> Option<String> {
        let told = self.unloaded.iter();
        let told: Vec<String> = told.map(|(name, why)| format!("{name}: {why}")).collect();
        (!told.is_empty()).then(|| format!("functions could not be loaded: {}", told.join("; ")))
    }

    /// Answers a request that was routed to `function`.
    pub(super) async fn answer(
        &self,
        (name, function): (&str, &Function),
        (url, head): (&str, &Parts),
        params: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, InvokeError> {
        let binding = function.http.as_ref().map_or("req", |http| &http.binding);
        let request = http::request(binding, url, head, params, body);
        let nothing = BTreeMap::new();
        let invoked = self.invoke(name, Some(request), nothing).await?;
        Ok(http::response(function, invoked))
    }

    /// Sets off a function of any trigger.
    pub(super) async fn set_off(
        &self,
        (name, function): (&str, &Function),
        event: &Event,
    ) -> Result<(), InvokeError> {
        let Event { input, metadata } = event;
        let input = http::event(function, input);
        self.invoke(name, input, http::metadata(metadata))
            .await
            .map(drop)
    }

    async fn invoke(
        &self,
        function: &str,
        input: Option<Parameter>,
        metadata: BTreeMap<String, TypedData>,
    ) -> Result<messages::Invoked, InvokeError> {
        if let Some(why) = self.unloaded.get(function) {
            return Err(InvokeError::NotLoaded(why.clone()));
        }
        let id = Uuid::new_v4().to_string();
        let outcome = self.line.await_invocation(&id)?;
        // A caller that gives up is no reason to remember what it asked for.
        let _forgotten = Forget(&self.line, &id);
        self.line.say(Content::Invoke(Invoke {
            invocation_id: id.clone(),
            function_id: function.to_owned(),
            input: input.into_iter().collect(),
            metadata,
        }))?;
        let mut invoked = outcome.await.map_err(|_| InvokeError::Gone)?;
        Status::check(invoked.result.take()).map_err(|why| {
            let Exception {
                stack_trace,
                message,
            } = why;
            InvokeError::Raised(format!("{message}\n{stack_trace}"))
        })?;
        Ok(invoked)
    }
}

struct Forget<'a>(&'a Line, &'a str);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}
