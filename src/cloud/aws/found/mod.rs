//! What the account holds already, for those who bring it in.

mod callers;
mod sources;

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionConfiguration};
use serde_yaml::{Mapping, Value};

use self::sources::Place;
use super::{
    AwsCloud,
    lambda::Function,
    settings::{Extras, Settings},
    tags,
};
use crate::{
    cloud::{CloudError, refused},
    import::clouds::{Found, FoundFunction, entry_name, map},
    manifest::{
        aws::{Asynchronous, Cors, UrlAuth, UrlOptions},
        duration_text,
    },
};

/// What is told beside what is taken over; as in [`Found`].
#[derive(Debug, Default)]
struct Notes {
    left: Vec<(String, String)>,
    changed: Vec<(String, String)>,
    todo: Vec<String>,
}

impl Notes {
    fn left(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.left.push((path.into(), why.into()));
    }

    fn changed(&mut self, path: impl Into<String>, how: impl Into<String>) {
        self.changed.push((path.into(), how.into()));
    }

    /// Where somebody may not look, that is told: nobody must take silence for nothing.
    fn seen<T: Default>(
        &mut self,
        what: &str,
        answer: Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        Ok(refused(answer)?.unwrap_or_else(|why| {
            self.left(
                what,
                format!("cannot be read ({why}): look at it, and write what the manifest lacks"),
            );
            T::default()
        }))
    }
}

/// What a function has below `aws` and beside it, as it grows.
#[derive(Debug)]
struct Reading<'r> {
    name: &'r str,
    function: FoundFunction,
    events: Mapping,
    permissions: Mapping,
    notes: Notes,
}

impl Reading<'_> {
    /// Adds a source of events by a name that is free.
    fn event(&mut self, name: &str, event: Option<Value>) {
        add(&mut self.events, name, event);
    }

    fn aws(&mut self, key: &'static str, value: Option<Value>) {
        self.function.aws.extend(value.map(|value| (key, value)));
    }
}

fn add(all: &mut Mapping, name: &str, value: Option<Value>) {
    let name = entry_name(name);
    let free =
        (2..).map(|number| format!("{}-{number}", name.chars().take(36).collect::<String>()));
    let mut names = std::iter::once(name.clone()).chain(free);
    let name = names.find(|it| !all.contains_key(it.as_str()));
    if let Some((name, value)) = name.zip(value) {
        all.insert(name.into(), value);
    }
}

impl AwsCloud {
    /// `ListFunctions` and `ListEventSourceMappings`; then for each function itself with its tags, its addresses, its aliases, its policies,
    /// what becomes of calls that nobody waits for, how long its logs are kept, and whoever its policy names.
    pub(super) async fn everything(&self) -> Result<Vec<Found>, CloudError> {
        let functions = self.lambda.functions().await?;
        let mappings = self.lambda.all_sources().await?;
        let mut all = Vec::new();
        for config in functions {
            let arn = config.function_arn().unwrap_or_default();
            let own: Vec<_> = mappings.iter().filter(|it| is_of(it, arn)).collect();
            all.push(Box::pin(self.found_one(&config, &own)).await?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn found_one(
        &self,
        config: &FunctionConfiguration,
        mappings: &[&EventSourceMappingConfiguration],
    ) -> Result<Found, CloudError> {
        let name = config.function_name().unwrap_or_default();
        let latest = self.lambda.function(name, None).await?;
        let own = latest.as_ref().and_then(|it| it.tags.clone());
        let own = own.unwrap_or_default();
        let mut found = Found {
            id: config.function_arn().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            is_ours: own.get(tags::OWNER).is_some_and(|it| it == tags::VERDIGRIS),
            ..Found::default()
        };
        if found.is_ours {
            return Ok(found);
        }
        let settings = Settings::read(config);
        let stays = ("name", Value::from(name));
        let mut reading = Reading {
            name,
            function: FoundFunction {
                name: name.to_owned(),
                handler: settings.handler.clone(),
                memory: u32::try_from(settings.memory).ok(),
                timeout: u32::try_from(settings.timeout).ok(),
                aws: vec![stays],
                ..FoundFunction::default()
            },
            events: Mapping::new(),
            permissions: Mapping::new(),
            notes: Notes::default(),
        };
        self.configured(config, &settings, &mut reading).await?;
        labels(&own, &mut reading);
        self.slots(latest.as_ref(), &mut reading).await?;
        let place = Place::of(&found.id);
        for mapping in mappings {
            sources::source(mapping, &place, &mut reading);
        }
        let Reading {
            name: _,
            mut function,
            events,
            permissions,
            notes,
        } = reading;
        for (key, map) in [("events", events), ("permissions", permissions)] {
            if !map.is_empty() {
                function.aws.push((key, map.into()));
            }
        }
        Notes {
            left: found.left,
            changed: found.changed,
            todo: found.todo,
        } = notes;
        found.left.push((
            "triggers".to_owned(),
            "whoever calls it by rights of their own (EventBridge Scheduler, Step Functions, other functions) is not listed with it: have them call `blue`".to_owned(),
        ));
        found.runtime = settings.runtime;
        found.functions = vec![function];
        found.variables = settings.env;
        Ok(found)
    }

    /// What a version freezes.
    async fn configured(
        &self,
        config: &FunctionConfiguration,
        settings: &Settings,
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        let architecture = settings.architectures.first();
        let architecture = architecture.filter(|it| *it != "x86_64");
        reading.aws("architecture", architecture.map(|it| it.as_str().into()));
        let group = config.logging_config().and_then(|it| it.log_group());
        let group = group.filter(|it| !it.is_empty()).map(str::to_owned);
        let group = group.unwrap_or_else(|| format!("/aws/lambda/{}", reading.name));
        let kept = self.log_groups.kept(&group).await;
        let kept = reading.notes.seen("logs.retention", kept)?;
        reading
            .function
            .aws
            .extend(Extras::written(&settings.extras, kept));
        let role = Some(settings.role.as_str()).filter(|it| !it.is_empty());
        reading.aws("role", role.map(Value::from));
        if config.description().is_some_and(|it| !it.is_empty()) {
            let how = "nothing shows it: write it as a comment";
            reading.notes.changed("description", how);
        }
        if config.signing_profile_version_arn().is_some() {
            let why =
                "that code is signed is asked of nobody here: a release is told by its digest";
            reading.notes.left("codeSigning", why);
        }
        if config.file_system_configs().len() > 1 {
            let why = "a function mounts one access point: the first is taken over";
            reading.notes.left("fileSystem.others", why);
        }
        let started = config
            .image_config_response()
            .and_then(|it| it.image_config());
        if started.is_some() {
            let why = "what a container starts is fixed in the image: build it with that entry point, command and folder";
            reading.notes.left("image.config", why);
        }
        Ok(())
    }

    /// What stands beside the versions: addresses, aliases, policies, concurrency.
    async fn slots(
        &self,
        latest: Option<&Function>,
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        let name = reading.name;
        let image = latest.and_then(|it| it.image.as_deref());
        image_of(image, reading);
        let aliases = self.lambda.aliases(name).await;
        let aliases = reading.notes.seen("aliases", aliases)?;
        let aliases: Vec<&str> = aliases.iter().filter_map(|it| it.name()).collect();
        let mut provisioned = None;
        let mut asynchronous = None;
        let mut urls = Vec::new();
        for alias in std::iter::once(None).chain(aliases.into_iter().map(Some)) {
            let url = self.lambda.url_of(name, alias).await;
            let url = reading.notes.seen("url", url)?;
            urls.extend(url.map(|it| (alias, it.options)));
            let policy = self.lambda.statements_of(name, alias).await;
            let policy = reading.notes.seen("policy", policy)?;
            self.callers(&policy, reading).await?;
            let later = self.lambda.asynchronous_of(name, alias).await;
            let later = reading.notes.seen("asynchronous", later)?;
            asynchronous = asynchronous.or(later);
            if let Some(alias) = alias {
                let how = "whoever calls this alias is to call `blue`; versions and shares of it are none of a manifest's";
                reading.notes.changed(format!("aliases.{alias}"), how);
                let warm = self.lambda.provisioned_of(name, alias).await;
                let warm = reading.notes.seen("concurrency.provisioned", warm)?;
                provisioned = provisioned.or(warm.and_then(|it| it.asked));
            }
        }
        let runtime = latest.and_then(|it| it.config.runtime());
        let streams = !runtime.is_some_and(|it| it.as_str().starts_with("python"));
        addresses(&urls, streams, reading);
        reading.aws(
            "asynchronous",
            asynchronous.as_ref().and_then(written_asynchronous),
        );
        let reserved = latest.and_then(|it| it.reserved);
        let concurrency = map([
            ("reserved", reserved.map(Value::from)),
            ("provisioned", provisioned.map(Value::from)),
        ]);
        reading.aws("concurrency", concurrency);
        Ok(())
    }
}

/// Whether a mapping calls a function, or an alias or version of it.
fn is_of(mapping: &EventSourceMappingConfiguration, function: &str) -> bool {
    let rest = mapping
        .function_arn()
        .and_then(|it| it.strip_prefix(function));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn image_of(image: Option<&str>, reading: &mut Reading<'_>) {
    let Some(image) = image else { return };
    if image.contains("@sha256:") {
        reading.aws("image", Some(image.into()));
    } else {
        let why =
            format!("`{image}` names no digest, and a tag can be moved: write it as `aws.image`");
        reading.notes.left("image", why);
    }
}

/// A function has one kind of address: that of itself, else of its first alias.
fn addresses(urls: &[(Option<&str>, UrlOptions)], streams: bool, reading: &mut Reading<'_>) {
    let Some(((_, options), others)) = urls.split_first() else {
        return;
    };
    reading.function.http = Some("/{path+}".to_owned());
    let how = "addresses are new ones: whoever calls the old one is to call that of `blue`";
    reading.notes.changed("url.address", how);
    for alias in others.iter().filter_map(|(alias, _)| *alias) {
        let why = "both slots have an address, and no other alias: whoever calls this one is to call that of `blue`";
        reading.notes.left(format!("url.{alias}"), why);
    }
    let UrlOptions { auth, stream, cors } = options;
    if *stream && !streams {
        let why = "Lambda's own runtime for Python answers in one piece";
        reading.notes.left("url.stream", why);
    }
    let url = map([
        ("auth", (*auth == UrlAuth::Iam).then(|| "iam".into())),
        ("stream", (*stream && streams).then(|| true.into())),
        ("cors", cors.as_ref().and_then(written_cors)),
    ]);
    reading.aws("url", url);
}

fn written_cors(cors: &Cors) -> Option<Value> {
    let Cors {
        origins,
        methods,
        headers,
        expose,
        credentials,
        max_age,
    } = cors;
    let list = |set: &std::collections::BTreeSet<String>| {
        (!set.is_empty()).then(|| set.iter().map(|it| Value::from(it.as_str())).collect())
    };
    map([
        ("origins", list(origins)),
        ("methods", list(methods)),
        ("headers", list(headers)),
        ("expose", list(expose)),
        ("credentials", credentials.then(|| true.into())),
        ("maxAge", max_age.map(|it| duration_text(it).into())),
    ])
}

fn written_asynchronous(asynchronous: &Asynchronous) -> Option<Value> {
    let Asynchronous {
        retries,
        max_age,
        on_success,
        on_failure,
    } = asynchronous;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    map([
        ("retries", retries.map(Value::from)),
        ("maxAge", max_age.map(|it| duration_text(it).into())),
        ("onSuccess", text(on_success)),
        ("onFailure", text(on_failure)),
    ])
}

/// Tags of people. Amazon's own say who keeps the function.
fn labels(tags: &BTreeMap<String, String>, reading: &mut Reading<'_>) {
    if let Some(stack) = tags.get("aws:cloudformation:stack-name") {
        let why = format!(
            "the CloudFormation stack `{stack}` keeps it: a new function is made beside it, and this one goes with its stack"
        );
        reading.notes.left("stack", why);
    }
    let own = tags.iter().filter(|(name, _)| !name.starts_with("aws:"));
    let own = own.map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())));
    let own: Mapping = own.collect();
    reading.aws("tags", (!own.is_empty()).then(|| own.into()));
}
