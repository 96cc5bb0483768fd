//! `serverless.yml` becomes manifests: the AWS and Azure dialects of Serverless 3, and what version 4 keeps.
//!
//! A file is read for each of its stages with its variables resolved as Serverless would, and what differs between them becomes a parameter of
//! the environment that the stage becomes. Every key of the file stands in the report: taken over, changed, not needed, or not possible and
//! what comes nearest. The manifests are right by themselves: what could not be taken over is left out, and told.

mod aws;
mod azure;
mod catalogue;
pub mod clouds;
mod handlers;
mod intrinsics;
mod ledger;
mod merge;
mod names;
pub mod report;
mod stages;
mod tree;
mod variables;
mod write;

use serde_yaml::{Mapping, Value};

pub use self::tree::FILE_MAX;
use self::{ledger::Ledger, report::Report, tree::At, variables::Resolver};

/// Texts of files beside the one that is read, by their path from its folder.
pub type Files<'f> = dyn Fn(&str) -> Option<String> + 'f;

/// What is known besides the file.
pub struct Around<'a> {
    /// What the file is called, for the report.
    pub file: &'a str,
    /// The folder of the repository that the file stands in.
    pub folder: &'a str,
    /// Stages to import; those that the file names where there are none.
    pub stages: &'a [String],
    pub files: &'a Files<'a>,
}

/// Manifests, and what became of each key.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Documents of services and environments.
    pub manifests: String,
    pub report: Report,
}

/// A file that is none of Serverless's, or not of a kind that is understood.
#[derive(Debug, thiserror::Error)]
pub enum NotServerless {
    #[error("the file has {bytes} bytes, and {FILE_MAX} are read")]
    TooLarge { bytes: usize },
    #[error("is not YAML")]
    NotYaml(#[from] serde_yaml::Error),
    #[error("has no `provider.name`: is it a serverless.yml?")]
    NoProvider,
    #[error("the provider `{name}` is not understood: `aws` and `azure` are")]
    OtherProvider { name: String },
    #[error("has no `functions`: there is nothing to deploy here")]
    NoFunctions,
}

/// What one stage of the file asks for, in our words.
#[derive(Debug, Default)]
struct Draft {
    /// Name and `spec`.
    services: Vec<(String, Mapping)>,
    /// The `spec` of the environment.
    environment: Mapping,
}

/// What a converter works with.
struct Job<'a> {
    root: At<'a>,
    stack: intrinsics::Stack<'a>,
    around: &'a Around<'a>,
    ledger: Ledger,
    /// Routes that are given away: the path's shape, and a method or none for any.
    routes: Vec<(String, String)>,
}

impl Job<'_> {
    /// Whether no other function answers these requests; from now on this one does. No method is any.
    fn claim(&mut self, method: &str, path: &str) -> bool {
        let part = |part: &str| match (part.starts_with('{'), part.ends_with("+}")) {
            (true, true) => "{+}".to_owned(),
            (true, false) => "{}".to_owned(),
            (false, _) => part.to_owned(),
        };
        let shape: Vec<String> = path.trim_matches('/').split('/').map(part).collect();
        let shape = shape.join("/");
        let is_taken = self.routes.iter().any(|(known, other)| {
            *known == shape && (method.is_empty() || other.is_empty() || method == other)
        });
        if !is_taken {
            self.routes.push((shape, method.to_owned()));
        }
        !is_taken
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Aws,
    Azure,
}

/// Turns a file into manifests.
///
/// # Errors
///
/// A file that cannot be understood at all. Keys that cannot be taken over are no error; they stand in the report.
pub fn serverless(text: &str, around: &Around<'_>) -> Result<Imported, NotServerless> {
    let file = tree::parse(text)?;
    let dialect = dialect(&file)?;
    let stages = stages::of(&file, around);
    let mut drafts = Vec::new();
    let mut told = Vec::new();
    for stage in &stages {
        let (draft, found) = one_stage(&file, dialect, stage, around)?;
        drafts.push((stage.clone(), draft));
        told.push((stage.clone(), found));
    }
    let (entries, mut todo) = stages::together(told);
    let manifests = stages::documents(around.file, &drafts);
    todo.extend(stages::placeholders(&manifests));
    Ok(Imported {
        manifests,
        report: Report {
            file: around.file.to_owned(),
            dialect: match dialect {
                Dialect::Aws => "AWS",
                Dialect::Azure => "Azure",
            },
            stages,
            todo,
            entries,
        },
    })
}

fn dialect(file: &Value) -> Result<Dialect, NotServerless> {
    let provider = file.get("provider").ok_or(NotServerless::NoProvider)?;
    let name = provider.get("name").unwrap_or(provider).as_str();
    match name {
        None => Err(NotServerless::NoProvider),
        Some("aws") => Ok(Dialect::Aws),
        Some("azure") => Ok(Dialect::Azure),
        Some(name) => Err(NotServerless::OtherProvider {
            name: name.to_owned(),
        }),
    }
}

type Told = (Vec<report::Entry>, Vec<String>);

fn one_stage(
    file: &Value,
    dialect: Dialect,
    stage: &str,
    around: &Around<'_>,
) -> Result<(Draft, Told), NotServerless> {
    let resolver = resolver(file, stage, around, dialect);
    let resolved = resolver.resolve(file);
    if resolved.get("functions").is_none() {
        return Err(NotServerless::NoFunctions);
    }
    let root = At::root(&resolved);
    let mut job = Job {
        stack: stack(&resolved, &resolver),
        root,
        around,
        ledger: Ledger::default(),
        routes: Vec::new(),
    };
    stages::tell(&mut job, &resolver.seen);
    let (draft, catalogue) = match dialect {
        Dialect::Aws => (aws::convert(&mut job), catalogue::Catalogue::aws()),
        Dialect::Azure => (azure::convert(&mut job), catalogue::Catalogue::azure()),
    };
    Ok((draft, job.ledger.finish(&resolved, catalogue)))
}

/// The region may itself be a variable, so it is asked for first.
fn resolver<'a>(
    file: &'a Value,
    stage: &'a str,
    around: &'a Around<'a>,
    dialect: Dialect,
) -> Resolver<'a> {
    let mut resolver = Resolver {
        root: file,
        stage,
        region: String::new(),
        account: stages::ACCOUNT.to_owned(),
        files: around.files,
        seen: variables::Seen::default(),
    };
    let written = file
        .get("provider")
        .and_then(|provider| provider.get("region"));
    let region = written.map(|region| resolver.resolve(region));
    let region = region
        .as_ref()
        .and_then(Value::as_str)
        .filter(|region| !region.contains("${"));
    let default = match dialect {
        Dialect::Aws => "us-east-1",
        Dialect::Azure => "westus",
    };
    resolver.region = region.unwrap_or(default).to_owned();
    resolver
}

fn stack<'v>(resolved: &'v Value, resolver: &Resolver<'_>) -> intrinsics::Stack<'v> {
    let resources = resolved.get("resources");
    let parts = match resources.and_then(Value::as_sequence) {
        Some(parts) => parts.iter().collect(),
        None => resources.into_iter().collect::<Vec<_>>(),
    };
    let service = resolved
        .get("service")
        .and_then(Value::as_str)
        .unwrap_or_default();
    intrinsics::Stack {
        region: resolver.region.clone(),
        account: resolver.account.clone(),
        stage: resolver.stage.to_owned(),
        service: service.to_owned(),
        resources: parts
            .into_iter()
            .filter_map(|part| part.get("Resources"))
            .collect(),
    }
}
