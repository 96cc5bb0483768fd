//! What a Lambda function is set to: as a release asks for it, as AWS tells it, and as fields that can be compared. Pure.

mod extras;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::FunctionConfiguration;
use base64::{Engine as _, engine::general_purpose::STANDARD};

pub(super) use self::extras::Extras;
use super::{
    duties::{Account, Duties},
    roles,
};
use crate::{
    desired::Release,
    manifest::{
        aws::{AwsFunction, UrlAuth, UrlOptions},
        spec::{AwsTarget, EnvValue, Function, Runtime},
    },
    name::{CodeDigest, FunctionName, ReleaseDigest, Revision, Slot},
    observed::Fields,
};

/// The variables that we add, which no variable of a user may replace.
pub(super) const FUNCTION: &str = "VERDIGRIS_FUNCTION";
pub(super) const RELEASE: &str = "VERDIGRIS_RELEASE";
pub(super) const REVISION: &str = "VERDIGRIS_REVISION";
/// How many functions the release has, so that a half-staged release cannot look whole.
pub(super) const FUNCTIONS: &str = "VERDIGRIS_FUNCTIONS";
/// Set on functions that answer HTTP: their aliases have a function URL, which answers like this.
pub(super) const HTTP: &str = "VERDIGRIS_HTTP";
/// What `blue` has besides the version. Not set where there is nothing.
pub(super) const BLUE: &str = "VERDIGRIS_BLUE";
const OURS: &str = "VERDIGRIS_";

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
        let plain = |settings: &Self| {
            let mut settings = settings.clone();
            settings.env.remove(REVISION);
            settings
        };
        plain(self) == plain(wanted)
    }

    /// Whether only the code differs, so that no configuration needs to be sent.
    pub(super) fn configured_as(&self, wanted: &Self) -> bool {
        let same_code = Self {
            code: wanted.code.clone(),
            ..self.clone()
        };
        same_code == *wanted
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

/// What our variables say about a version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Marks {
    pub(super) release: Option<ReleaseDigest>,
    pub(super) revision: Option<Revision>,
    pub(super) functions: Option<usize>,
    pub(super) http: Option<UrlOptions>,
    pub(super) blue: Duties,
}

/// Fields that the alias has, and not the version behind it.
pub(super) fn alias_fields(
    function: &FunctionName,
    whole_traffic: bool,
    access: &Access,
) -> Fields {
    let traffic = if whole_traffic { "all" } else { "split" };
    let mut fields = Fields::from([(format!("{function}.traffic"), traffic.to_owned())]);
    let Some((told, options)) = access.told() else {
        return fields;
    };
    fields.insert(format!("{function}.url"), told.to_owned());
    if options.stream {
        fields.insert(format!("{function}.url.mode"), "stream".to_owned());
    }
    if let Some(cors) = &options.cors {
        // Cannot fail: every key is a string and every value has a JSON form.
        let cors = serde_json::to_string(cors).unwrap_or_default();
        fields.insert(format!("{function}.url.cors"), cors);
    }
    fields
}

/// Who may call an alias by its URL, and how it answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// There is no URL.
    None,
    /// There is one for everyone, and AWS answers everyone with 403.
    Refused(UrlOptions),
    Public(UrlOptions),
    /// Whoever signs, and is permitted.
    Signed(UrlOptions),
}

impl Access {
    /// Of an alias that is as asked for.
    pub(super) fn wanted(url: Option<&UrlOptions>) -> Self {
        match url {
            None => Self::None,
            Some(options) => Self::of(options, true),
        }
    }

    pub(super) fn of(options: &UrlOptions, is_permitted: bool) -> Self {
        match (options.auth, is_permitted) {
            (UrlAuth::Iam, _) => Self::Signed(options.clone()),
            (UrlAuth::None, true) => Self::Public(options.clone()),
            (UrlAuth::None, false) => Self::Refused(options.clone()),
        }
    }

    fn told(&self) -> Option<(&'static str, &UrlOptions)> {
        match self {
            Self::None => None,
            Self::Refused(options) => Some(("without permission", options)),
            Self::Public(options) => Some(("public", options)),
            Self::Signed(options) => Some(("signed", options)),
        }
    }
}

/// How the addresses of a function answer; none without HTTP.
fn url(function: &Function) -> Option<UrlOptions> {
    let asked = function.aws.as_ref().and_then(|it| it.url.clone());
    function.http.as_ref().map(|_| asked.unwrap_or_default())
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
        let access = Access::wanted(url(function).as_ref());
        fields.extend(alias_fields(name, true, &access));
        fields.extend(Duties::wanted(function, &account).fields(name));
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

/// The user's variables, then ours.
///
/// Lambda puts no secret of a store into a variable, and we must not read one. So a variable `DB_PASSWORD` whose value is a secret
/// becomes `DB_PASSWORD_SECRET`, which holds the *name* of the secret in AWS Secrets Manager; the function asks for its value, with
/// the role that it runs as. The password itself is nowhere in the function's configuration.
fn variables(
    release: &Release,
    function: &FunctionName,
    account: &Account,
) -> BTreeMap<String, String> {
    let content = &release.content;
    let user = content
        .env_of(function)
        .into_iter()
        .map(|(name, value)| match value {
            EnvValue::Plain(text) => (name, text),
            EnvValue::Secret(secret) => (format!("{name}_SECRET"), secret),
        });
    let mut env: BTreeMap<String, String> = user.collect();
    env.insert(FUNCTION.to_owned(), function.to_string());
    env.insert(RELEASE.to_owned(), release.digest.to_string());
    env.insert(REVISION.to_owned(), release.revision.to_string());
    env.insert(FUNCTIONS.to_owned(), content.functions.len().to_string());
    let asked = content.functions.get(function);
    // Cannot fail: every key is a string and every value has a JSON form.
    let http = asked.and_then(url);
    let http = http.and_then(|options| serde_json::to_string(&options).ok());
    let blue = asked.map(|it| Duties::wanted(it, account));
    let blue = blue.filter(|it| !it.is_none());
    let blue = blue.and_then(|it| serde_json::to_string(&it).ok());
    for (name, value) in [(HTTP, http), (BLUE, blue)] {
        match value {
            Some(value) => env.insert(name.to_owned(), value),
            None => env.remove(name),
        };
    }
    env
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::manifest::spec::Role;
    use crate::{
        desired::ReleaseContent,
        manifest::spec::{Megabytes, RepoPath},
        name::{EnvironmentName, ObjectId, ServiceKey, ServiceName},
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
            functions: BTreeMap::from([(name(), function)]),
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
            content,
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
