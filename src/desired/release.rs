//! A release: code, configuration, environment and permissions under one digest.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    manifest::{
        aws::AwsFunction,
        azure::AzureApp,
        spec::{EnvValue, Environment, Function, Functions, RepoPath, Runtime, Service},
    },
    name::{Called, FunctionName, ObjectId, ReleaseDigest, Revision, ServiceKey},
};

/// One release of one service in one environment, with all that is needed to deploy it again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub service: ServiceKey,
    pub digest: ReleaseDigest,
    /// The commit that asked for it first.
    pub revision: Revision,
    /// Shared by all who know the release.
    pub content: Arc<ReleaseContent>,
}

/// What the digest covers. The code stands in it by the Git tree that it is built from and the command that builds it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ReleaseContent {
    pub runtime: Runtime,
    pub source: RepoPath,
    pub source_tree: ObjectId,
    pub build: Option<String>,
    pub functions: Functions,
    pub env: BTreeMap<String, EnvValue>,
    /// The AWS role is a permission of the functions.
    pub role: Option<String>,
    /// Where the environment has Azure at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<Box<AzureApp>>,
}

impl Release {
    pub fn new(
        service: &Service,
        environment: &Environment,
        source_tree: ObjectId,
        revision: Revision,
    ) -> Self {
        let content = ReleaseContent {
            runtime: service.runtime.clone(),
            source: service.source.clone(),
            source_tree,
            build: service.build.clone(),
            functions: service.functions.clone(),
            env: service.env.clone(),
            role: environment
                .aws
                .as_ref()
                .and_then(|aws| aws.role.given().cloned()),
            azure: app_of(service, environment).cloned().map(Box::new),
        };
        let key = ServiceKey {
            environment: environment.name.clone(),
            service: service.name.clone(),
        };
        Self {
            service: key,
            digest: content.digest(),
            revision,
            content: Arc::new(content),
        }
    }
}

impl Release {
    /// Whether [`Release::new`] would make a release of this content. Much cheaper than making it.
    pub fn is_of(
        &self,
        service: &Service,
        environment: &Environment,
        source_tree: &ObjectId,
    ) -> bool {
        let Self {
            service: key,
            digest: _,
            revision: _,
            content,
        } = self;
        let ReleaseContent {
            runtime,
            source,
            source_tree: tree,
            build,
            functions,
            env,
            role,
            azure,
        } = &**content;
        key.environment == environment.name
            && key.service == service.name
            && tree == source_tree
            && *runtime == service.runtime
            && *source == service.source
            && *build == service.build
            && *functions == service.functions
            && *env == service.env
            && role.as_ref() == environment.aws.as_ref().and_then(|aws| aws.role.given())
            && azure.as_deref() == app_of(service, environment)
    }
}

/// What is asked of Azure; nothing in an environment without it, so that no other release comes of it there.
fn app_of<'a>(service: &'a Service, environment: &Environment) -> Option<&'a AzureApp> {
    environment.azure.as_ref()?;
    service.azure.as_deref()
}

impl ReleaseContent {
    /// Maps are ordered and numbers are whole, so that equal content has equal JSON and equal JSON one digest.
    pub fn digest(&self) -> ReleaseDigest {
        let json = serde_json::to_vec(self);
        // Cannot fail: every key is a string and every value has a JSON form.
        ReleaseDigest::of(&json.expect("a release has a JSON form"))
    }

    /// The digest without what belongs to its environment: what is the same in two environments is the same code, configured alike.
    pub fn carried(&self) -> ReleaseDigest {
        let mut carried = self.clone();
        carried.role = None;
        for function in carried.functions.values_mut() {
            if function.aws.as_ref().is_some_and(|aws| aws.name.is_some()) {
                let function = Arc::make_mut(function);
                let aws = function
                    .aws
                    .take()
                    .map(|aws| AwsFunction { name: None, ..*aws });
                function.aws = aws.filter(|aws| !aws.is_empty()).map(Box::new);
            }
        }
        let app = carried.azure.take();
        let app = app.map(|app| AzureApp { name: None, ..*app });
        carried.azure = app.filter(|app| !app.is_empty()).map(Box::new);
        carried.digest()
    }

    /// What its functions are called on the clouds, where it is not as we would call them.
    pub fn called(&self) -> Called {
        let given = self.functions.iter().filter_map(|(function, asked)| {
            let name = asked.aws.as_ref()?.name.clone()?;
            Some((function.clone(), name))
        });
        Called {
            aws: given.collect(),
            azure: self.azure.as_ref().and_then(|app| app.name.clone()),
        }
    }

    /// The variables of one function: the service's, then its own.
    pub fn env_of(&self, function: &FunctionName) -> BTreeMap<String, EnvValue> {
        let mut env = self.env.clone();
        if let Some(function) = self.functions.get(function) {
            env.extend(function.env.clone());
        }
        env
    }

    /// The function that answers a request, by method and path without query.
    pub fn route(&self, method: &str, path: &str) -> Option<&FunctionName> {
        let answers = |function: &Function| {
            let route = function.http.as_ref();
            route.is_some_and(|route| route.answers(method, path))
        };
        self.functions
            .iter()
            .find(|(_, function)| answers(function))
            .map(|(name, _)| name)
    }
}
