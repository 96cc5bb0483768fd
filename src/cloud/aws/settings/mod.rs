//! What a Lambda function is set to: as a release asks for it, as AWS tells it, and as fields that can be compared. Pure.

mod access;
mod extras;
mod parts;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::FunctionConfiguration;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use self::variables::{BLUE, FUNCTIONS, HTTP, OURS, REVISION, variables};
pub(super) use self::{
    access::{Access, alias_fields},
    extras::Extras,
    variables::{FUNCTION, Marks, RELEASE, SERVICE},
};
use super::{
    duties::{Account, Duties},
    roles,
};
use crate::{
    desired::Release,
    manifest::{
        aws::AwsFunction,
        spec::{AwsTarget, Runtime},
    },
    name::{CodeDigest, FunctionName, Slot},
    observed::Fields,
};

const ARCHITECTURE: &str = "x86_64";

/// Everything about a function that a published version freezes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Settings {
    /// SHA-256 of the package in base64, or the digest of the image in hexadecimal digits, as AWS writes them.
    pub(super) code: String,
    /// Neither runtime nor handler of an image are told.
    pub(super) runtime: String,
    pub(super) handler: String,
    pub(super) role: String,
    pub(super) memory: i32,
    pub(super) timeout: i32,
    pub(super) architectures: BTreeSet<String>,
    pub(super) extras: Extras,
    pub(super) env: BTreeMap<String, String>,
}

impl Settings {
    /// What one function of a release should be set to. `None` where the release has no such function.
    pub(super) fn wanted(
        release: &Release,
        function: &FunctionName,
        code: CodeDigest,
        target: &AwsTarget,
    ) -> Option<Self> {
        let content = &release.content;
        let wanted = content.functions.get(function)?;
        let aws = wanted.aws.as_deref();
        let zip = || STANDARD.encode(code.as_bytes());
        let (code, runtime, handler) = match image(aws) {
            None => {
                let (runtime, handler) = runtime(&content.runtime);
                (zip(), runtime, handler)
            }
            Some(image) => {
                let digest = image.rsplit(':').next().unwrap_or_default();
                (digest.to_owned(), String::new(), "")
            }
        };
        let architecture = aws.and_then(|it| it.architecture).unwrap_or_default();
        Some(Self {
            code,
            runtime,
            handler: handler.to_owned(),
            role: roles::wanted(release, function, target).arn(),
            memory: i32::try_from(wanted.memory.0).unwrap_or(i32::MAX),
            timeout: i32::try_from(wanted.timeout.as_secs().max(1)).unwrap_or(i32::MAX),
            architectures: BTreeSet::from([architecture.as_str().to_owned()]),
            extras: Extras::wanted(aws),
            env: variables(release, function, &Account::of(target)),
        })
    }

    pub(super) fn read(config: &FunctionConfiguration) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let env = config.environment().and_then(|env| env.variables());
        Self {
            code: text(config.code_sha256()),
            runtime: text(config.runtime().map(|runtime| runtime.as_str())),
            handler: text(config.handler()),
            role: text(config.role()),
            memory: config.memory_size().unwrap_or_default(),
            timeout: config.timeout().unwrap_or_default(),
            architectures: architectures(config),
            extras: Extras::read(config),
            env: env
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        }
    }

    /// Whether a version set like this can stand for what is wanted. The commit that asked for it first does not matter.
    pub(super) fn serves(&self, wanted: &Self) -> bool {
        self.plain() == wanted.plain()
    }

    /// The same for settings that serve one another.
    pub(super) fn fingerprint(&self) -> CodeDigest {
        CodeDigest::of(format!("{:?}", self.plain()).as_bytes())
    }

    fn plain(&self) -> Self {
        let mut plain = self.clone();
        plain.env.remove(REVISION);
        plain
    }

    /// Whether only the code differs, so that no configuration needs to be sent.
    pub(super) fn configured_as(&self, wanted: &Self) -> bool {
        let same_code = Self {
            code: wanted.code.clone(),
            ..self.clone()
        };
        same_code == *wanted
    }

    /// Whether the code is the same, and made for the same processor: Lambda takes both in one call, and neither with the configuration.
    pub(super) fn runs_as(&self, wanted: &Self) -> bool {
        self.code == wanted.code && self.architectures == wanted.architectures
    }

    /// Our marks in the variables.
    pub(super) fn marks(&self) -> Marks {
        let mark = |name: &str| self.env.get(name);
        Marks {
            release: mark(RELEASE).and_then(|value| value.parse().ok()),
            revision: mark(REVISION).and_then(|value| value.parse().ok()),
            functions: mark(FUNCTIONS).and_then(|value| value.parse().ok()),
            // What was written by a version of ours that knew no options.
            http: mark(HTTP).map(|told| serde_json::from_str(told).unwrap_or_default()),
            blue: mark(BLUE)
                .and_then(|told| serde_json::from_str(told).ok())
                .unwrap_or_default(),
        }
    }

    /// The comparable form, below the function's name.
    pub(super) fn fields(&self, function: &FunctionName) -> Fields {
        let Self {
            code,
            runtime,
            handler,
            role,
            memory,
            timeout,
            architectures,
            extras,
            env,
        } = self;
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let mut fields = Fields::new();
        let mut put = |path: &str, value: String| {
            fields.insert(format!("{function}.{path}"), value);
        };
        put("package", code.clone());
        if !runtime.is_empty() {
            put("runtime", runtime.clone());
            put("handler", handler.clone());
        }
        put("role", role.clone());
        put("memory", memory.to_string());
        put("timeout", timeout.to_string());
        put("architecture", join(architectures));
        for (path, value) in extras.fields() {
            put(path, value);
        }
        for (name, value) in env.iter().filter(|(name, _)| !name.starts_with(OURS)) {
            put(
                &format!("env.{name}"),
                CodeDigest::of(value.as_bytes()).short(),
            );
        }
        fields
    }
}

/// The image that a function runs instead of the package.
pub(super) fn image(aws: Option<&AwsFunction>) -> Option<&str> {
    aws.and_then(|it| it.image.as_deref())
}

/// All fields of a slot that holds exactly this release.
pub(super) fn expected(release: &Release, code: CodeDigest, target: &AwsTarget) -> Fields {
    let mut fields = Fields::new();
    let account = Account::of(target);
    for (name, function) in &release.content.functions {
        let wanted = Settings::wanted(release, name, code, target);
        fields.extend(wanted.map(|wanted| wanted.fields(name)).unwrap_or_default());
        let access = Access::wanted(access::url(function).as_ref());
        fields.extend(alias_fields(name, true, &access));
        fields.extend(Duties::wanted(function, &account).fields(name));
        let runs_as = roles::wanted(release, name, target);
        fields.extend(roles::found::expected(&runs_as, name));
    }
    fields
}

/// The alias of a slot.
pub(super) const fn alias(slot: Slot) -> &'static str {
    match slot {
        Slot::Blue => "blue",
        Slot::Green => "green",
    }
}

/// Where none is told, it is Lambda's default.
fn architectures(config: &FunctionConfiguration) -> BTreeSet<String> {
    let told = config.architectures().iter();
    let told: BTreeSet<_> = told.map(|it| it.as_str().to_owned()).collect();
    if told.is_empty() {
        BTreeSet::from([ARCHITECTURE.to_owned()])
    } else {
        told
    }
}

fn runtime(runtime: &Runtime) -> (String, &'static str) {
    match runtime {
        Runtime::Python(version) => (format!("python{version}"), "verdigris_shim.handler"),
        Runtime::Node(version) => (format!("nodejs{version}.x"), "verdigris_shim.handler"),
        Runtime::Executable => ("provided.al2023".to_owned(), "bootstrap"),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        desired::ReleaseContent,
        manifest::spec::{EnvValue, Function, Megabytes, RepoPath, Role},
        name::{EnvironmentName, ObjectId, Revision, ServiceKey, ServiceName},
    };

    fn release(runtime: Runtime) -> Release {
        let function = Function {
            handler: "app:app".to_owned(),
            http: None,
            queue: None,
            schedule: None,
            aws: None,
            memory: Megabytes(512),
            timeout: Duration::from_millis(500),
            env: BTreeMap::from([
                (FUNCTION.to_owned(), EnvValue::Plain("mine".to_owned())),
                ("DB".to_owned(), EnvValue::Secret("shop-db".to_owned())),
            ]),
        };
        let commit = ObjectId::new("a".repeat(40)).expect("an id");
        let content = ReleaseContent {
            runtime,
            source: RepoPath::default(),
            source_tree: commit.clone(),
            build: None,
            functions: BTreeMap::from([(name(), Arc::new(function))]),
            env: BTreeMap::new(),
            role: None,
            azure: None,
        };
        Release {
            service: ServiceKey {
                environment: EnvironmentName::new("prod").expect("a name"),
                service: ServiceName::new("shop").expect("a name"),
            },
            digest: content.digest(),
            revision: Revision {
                reference: "main".to_owned(),
                commit,
            },
            content: Arc::new(content),
        }
    }

    fn name() -> FunctionName {
        FunctionName::new("stock").expect("a name")
    }

    fn wanted(release: &Release) -> Settings {
        let code = CodeDigest::of(b"package");
        let target = AwsTarget {
            region: "eu-west-1".to_owned(),
            role: Role::Given("role".to_owned()),
            assume: None,
        };
        Settings::wanted(release, &name(), code, &target).expect("a function of the release")
    }

    #[test]
    fn runtimes_are_named_as_lambda_names_them() {
        let table = [
            (
                Runtime::Python("3.13".to_owned()),
                "python3.13",
                "verdigris_shim.handler",
            ),
            (
                Runtime::Node("22".to_owned()),
                "nodejs22.x",
                "verdigris_shim.handler",
            ),
            (Runtime::Executable, "provided.al2023", "bootstrap"),
        ];
        for (runtime, name, handler) in table {
            let wanted = wanted(&release(runtime));
            assert_eq!(
                (wanted.runtime.as_str(), wanted.handler.as_str()),
                (name, handler)
            );
        }
    }

    #[test]
    fn our_variables_win_and_secrets_stay_names() {
        let release = release(Runtime::Executable);
        let env = wanted(&release).env;
        assert_eq!(env[FUNCTION], "stock");
        assert_eq!(env["DB_SECRET"], "shop-db");
        assert!(!env.contains_key("DB") && !env.contains_key(HTTP));
        let marks = wanted(&release).marks();
        assert_eq!(marks.release, Some(release.digest));
        assert_eq!(marks.functions, Some(1));
    }

    #[test]
    fn a_version_serves_whichever_commit_asked_for_it_first() {
        let wanted = wanted(&release(Runtime::Executable));
        let mut other = wanted.clone();
        other
            .env
            .insert(REVISION.to_owned(), "next@sha1:…".to_owned());
        assert!(other.serves(&wanted) && !other.configured_as(&wanted));
        other.memory = 1024;
        assert!(!other.serves(&wanted));
    }

    #[test]
    fn a_timeout_below_a_second_is_a_second() {
        assert_eq!(wanted(&release(Runtime::Executable)).timeout, 1);
    }
}
