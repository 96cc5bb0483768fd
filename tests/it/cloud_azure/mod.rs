//! The Azure client: what it refuses to do, and what it does against the local endpoint.

mod adopt;
mod called;
mod calls;
mod consumption;
pub(crate) mod contract;
mod deeds;
mod flex;
mod flex_front;
mod follow;
mod fronts;
mod guards;
mod judge;
mod limits;
mod local;
mod missing;
mod moments;
mod new_roles;
mod places;
mod policy;
mod prism;
mod queues;
mod seldom;
mod slots;
pub(crate) mod tap;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use url::Url;
use verdigris::{
    cloud::azure::{AzureCloud, AzureLimiter, AzureLimits, AzureOptions, CredentialChoice},
    desired::{Release, ReleaseContent},
    manifest::{
        azure::AzureShared,
        spec::{
            AzurePlan, AzureTarget, EnvValue, Function, HttpRoute, Megabytes, PathPattern,
            RepoPath, Runtime,
        },
    },
    name::{EnvironmentName, FunctionName, ObjectId, ServiceKey},
    observed::Scope,
};

/// The token that every test shows, and that no message may hold.
const TOKEN: &str = "c2VjcmV0LXRva2Vu";

const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";

/// Short enough for a test, long enough for a busy machine.
const LIMITS: AzureLimits = AzureLimits {
    call: Duration::from_secs(10),
    create: Duration::from_secs(20),
    deploy: Duration::from_secs(30),
    start: Duration::from_secs(30),
    swap: Duration::from_secs(30),
    settle: Duration::from_secs(5),
    details: Duration::from_secs(600),
};

fn options(endpoint: &str) -> AzureOptions {
    AzureOptions {
        environment: EnvironmentName::new("test").unwrap(),
        target: AzureTarget {
            subscription: SUBSCRIPTION.to_owned(),
            resource_group: "shop".to_owned(),
            location: "westeurope".to_owned(),
            plan: AzurePlan("EP1".to_owned()),
            prefix: "vg".to_owned(),
            shared: AzureShared::default(),
        },
        endpoint: Some(Url::parse(endpoint).unwrap()),
        authority: None,
        credential: CredentialChoice::Token(TOKEN.into()),
        ca_file: None,
        limiter: Arc::new(AzureLimiter::default()),
        limits: LIMITS,
    }
}

pub(crate) fn cloud(endpoint: &str) -> AzureCloud {
    AzureCloud::new(options(endpoint)).unwrap()
}

fn key() -> ServiceKey {
    "test/inventory".parse().unwrap()
}

fn scope(release: &Release) -> Scope {
    Scope {
        service: release.service.clone(),
        functions: release.content.functions.keys().cloned().collect(),
        called: Default::default(),
    }
}

fn function(http: Option<&str>, queue: Option<&str>) -> Function {
    Function {
        handler: "app:app".to_owned(),
        http: http.map(|path| HttpRoute {
            methods: vec!["GET".to_owned()],
            path: PathPattern(path.to_owned()),
        }),
        queue: queue.map(str::to_owned),
        schedule: None,
        aws: None,
        memory: Megabytes(256),
        timeout: Duration::from_secs(10),
        env: BTreeMap::new(),
    }
}

/// A Python service with one HTTP function and one that reads a queue. `version` stands for the code.
fn release(version: u8, env: &[(&str, &str)]) -> Release {
    let variable =
        |(name, value): &(&str, &str)| ((*name).to_owned(), EnvValue::Plain((*value).to_owned()));
    let content = ReleaseContent {
        runtime: Runtime::Python("3.11".to_owned()),
        source: RepoPath::new("services/inventory").unwrap(),
        source_tree: ObjectId::new(format!("{version:040x}")).unwrap(),
        build: None,
        functions: BTreeMap::from([
            (
                FunctionName::new("stock").unwrap(),
                Arc::new(function(Some("/stock/{sku}"), None)),
            ),
            (
                FunctionName::new("reorder").unwrap(),
                Arc::new(function(None, Some("orders"))),
            ),
        ]),
        env: env.iter().map(variable).collect(),
        role: None,
        azure: None,
    };
    Release {
        service: key(),
        digest: content.digest(),
        revision: format!("main@sha1:{version:040x}").parse().unwrap(),
        content: Arc::new(content),
    }
}
