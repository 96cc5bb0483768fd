//! A package's programs and routes: what both clouds ask.

use std::{collections::BTreeMap, env, fs, path::Path};

use super::{
    contract::{Answer, Event, Origin, Request},
    program::{Flow, Program},
    routes::{Found, Package},
};

pub(crate) struct Shim {
    pub(crate) package: Package,
    programs: BTreeMap<String, Program>,
    pub(crate) release: String,
}

impl Shim {
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let path = root.join("verdigris.json");
        let text = fs::read(&path)
            .map_err(|error| format!("failed to read `{}`: {error}", path.display()))?;
        let package =
            Package::parse(&text).ok_or_else(|| format!("`{}` is damaged", path.display()))?;
        let handlers = package.names().filter_map(|name| package.handler(name));
        let programs = handlers
            .map(|path| (path.to_owned(), Program::new(root, path)))
            .collect();
        let release = env::var("VERDIGRIS_RELEASE").unwrap_or_default();
        Ok(Self {
            package,
            programs,
            release,
        })
    }

    pub(crate) fn program(&self, function: &str) -> Result<&Program, String> {
        let found = self
            .package
            .handler(function)
            .and_then(|path| self.programs.get(path));
        found.ok_or_else(|| format!("the package has no function `{function}`"))
    }

    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.values()
    }

    pub(crate) fn answer(&self, request: &Request, only: Option<&str>) -> Answer {
        match self.find(request, only) {
            Ok(function) => self.ask(function, request),
            Err(refusal) => refusal,
        }
    }

    /// As [`Self::answer`], and the body of what the program answers is still to come.
    pub(crate) fn open(&self, request: &Request, only: Option<&str>) -> Result<Flow<'_>, Answer> {
        let function = self.find(request, only)?;
        let opened = self
            .program(function)
            .and_then(|program| program.open(request, &self.release));
        opened.map_err(|error| self.failed(function, &error, request))
    }

    /// The function that answers, or what is answered where there is none.
    fn find<'a>(&'a self, request: &Request, only: Option<&str>) -> Result<&'a str, Answer> {
        match self.package.find(&request.method, &request.path, only) {
            Found::Function(function) => Ok(function),
            Found::Methods(allowed) => {
                let mut answer = self.plain(405, "method not allowed", &request.method);
                answer
                    .headers
                    .push(("allow".to_owned(), allowed.join(", ")));
                Err(answer)
            }
            Found::Nothing => Err(self.plain(404, "not found", &request.method)),
        }
    }

    /// Posts an event to the program; true when it took it.
    pub(crate) fn deliver(&self, function: &str, event: Event, origin: Origin<'_>) -> bool {
        self.ask(function, &event.request(function, origin)).status < 300
    }

    pub(crate) fn plain(&self, status: u16, text: &str, method: &str) -> Answer {
        Answer::plain(status, text, method, &self.release)
    }

    fn ask(&self, function: &str, request: &Request) -> Answer {
        let asked = self
            .program(function)
            .and_then(|program| program.ask(request, &self.release));
        asked.unwrap_or_else(|error| self.failed(function, &error, request))
    }

    /// What the client is told of a failure says nothing about its cause: that goes to the log.
    fn failed(&self, function: &str, error: &str, request: &Request) -> Answer {
        eprintln!("verdigris: function `{function}`: {error}");
        self.plain(500, "internal server error", &request.method)
    }
}
