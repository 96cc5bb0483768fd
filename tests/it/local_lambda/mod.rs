//! The local Lambda endpoint, driven by AWS's own client.

mod aliases;
mod control;
mod refusals;
mod running;
mod streams;
mod surroundings;

use std::{
    collections::BTreeMap,
    io::{Cursor, Write as _},
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{Environment, FunctionCode, FunctionUrlAuthType, InvokeMode, Runtime, State},
};
use tokio_util::sync::CancellationToken;
use verdigris::local::lambda::{LambdaEndpoint, LambdaOptions};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::peers::model::{Tap, tapped};

const ROLE: &str = "arn:aws:iam::111122223333:role/functions";

/// An endpoint of its own for one test; it ends with the test.
pub(crate) struct Cloud {
    pub(crate) endpoint: LambdaEndpoint,
    client: Client,
    stop: CancellationToken,
    _tap: Tap,
}

/// Quick enough for tests, slow enough to see what is pending.
pub(crate) fn options() -> LambdaOptions {
    LambdaOptions {
        pending: Duration::from_millis(100),
        ..LambdaOptions::default()
    }
}

impl Cloud {
    pub(crate) async fn start(options: LambdaOptions) -> Self {
        let stop = CancellationToken::new();
        let (endpoint, tap) = tapped(options, stop.clone()).await;
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint.url.as_str())
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            endpoint,
            client: Client::from_conf(config),
            stop,
            _tap: tap,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Stops, and waits until it has.
    async fn stop(self) {
        self.stop.cancel();
        let finished = self.endpoint.finished();
        tokio::time::timeout(Duration::from_secs(60), finished)
            .await
            .unwrap();
    }

    /// Makes a function and waits until it is active.
    pub(crate) async fn create(&self, name: &str, package: &Package) {
        package.request(&self.client, name).send().await.unwrap();
        self.settle(name).await;
    }

    /// Waits until nothing is under way.
    async fn settle(&self, name: &str) {
        for _ in 0..500 {
            let told = self
                .client
                .get_function()
                .function_name(name)
                .send()
                .await
                .unwrap();
            let told = told.configuration.unwrap();
            let updating = told
                .last_update_status()
                .is_some_and(|status| status.as_str() == "InProgress");
            if told.state() == Some(&State::Active) && !updating {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} did not become active");
    }

    /// Changes the description and nothing else, and waits until that is done.
    async fn describe(&self, name: &str, description: &str) {
        let request = self
            .client
            .update_function_configuration()
            .function_name(name);
        request.description(description).send().await.unwrap();
        self.settle(name).await;
    }

    pub(crate) async fn publish(&self, name: &str) -> String {
        let told = self
            .client
            .publish_version()
            .function_name(name)
            .send()
            .await
            .unwrap();
        told.version.unwrap()
    }

    pub(crate) async fn alias(&self, name: &str, alias: &str, version: &str) {
        let request = self.client.create_alias().function_name(name).name(alias);
        request.function_version(version).send().await.unwrap();
    }

    /// A public address for an alias.
    pub(crate) async fn address(&self, name: &str, alias: &str) -> String {
        self.address_by(name, alias, InvokeMode::Buffered).await
    }

    pub(crate) async fn address_by(&self, name: &str, alias: &str, mode: InvokeMode) -> String {
        let request = self
            .client
            .create_function_url_config()
            .function_name(name)
            .qualifier(alias);
        let url = request
            .auth_type(FunctionUrlAuthType::None)
            .invoke_mode(mode)
            .send()
            .await
            .unwrap()
            .function_url;
        self.open(name, alias).await;
        url
    }

    /// The two statements that make a function URL public.
    async fn open(&self, name: &str, alias: &str) {
        let allow = |id: &str, action: &str| {
            let request = self
                .client
                .add_permission()
                .function_name(name)
                .qualifier(alias);
            request.statement_id(id).action(action).principal("*")
        };
        let url = allow("url", "lambda:InvokeFunctionUrl");
        url.function_url_auth_type(FunctionUrlAuthType::None)
            .send()
            .await
            .unwrap();
        let call = allow("call", "lambda:InvokeFunction");
        call.invoked_via_function_url(true).send().await.unwrap();
    }

    /// What a function wrote, and what its platform wrote around it, once it tells this.
    pub(crate) async fn log_with(&self, name: &str, told: &str) -> String {
        for _ in 0..3_000 {
            let log = self.log(name).await;
            if log.contains(told) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the log tells no `{told}`: {}", self.log(name).await);
    }

    async fn log(&self, name: &str) -> String {
        let group = serde_json::json!({"logGroupName": format!("/aws/lambda/{name}")});
        let asked = reqwest::Client::new().post(self.endpoint.url.as_str());
        let asked = asked.header("x-amz-target", "Logs_20140328.FilterLogEvents");
        let asked = asked.body(group.to_string());
        asked.send().await.unwrap().text().await.unwrap()
    }

    /// Calls a function: its answer, and the error where it failed.
    pub(crate) async fn invoke(&self, name: &str, payload: &str) -> (String, Option<String>) {
        let request = self
            .client
            .invoke()
            .function_name(name)
            .payload(Blob::new(payload));
        let told = request.send().await.unwrap();
        let body = told.payload.map(Blob::into_inner).unwrap_or_default();
        (String::from_utf8(body).unwrap(), told.function_error)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A zip with what goes with it.
#[derive(Clone)]
pub(crate) struct Package {
    pub(crate) zip: Vec<u8>,
    pub(crate) runtime: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) timeout: i32,
    pub(crate) memory: i32,
    pub(crate) variables: BTreeMap<String, String>,
}

impl Package {
    pub(crate) fn python(code: &str) -> Self {
        Self::new("python3.12", "app.handler", &[("app.py", code)])
    }

    pub(crate) fn node(code: &str) -> Self {
        Self::new("nodejs22.x", "app.handler", &[("app.mjs", code)])
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::new("provided.al2023", "bootstrap", &[("bootstrap", script)])
    }

    fn new(runtime: &'static str, handler: &'static str, files: &[(&str, &str)]) -> Self {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            let options = SimpleFileOptions::default().unix_permissions(0o755);
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        Self {
            zip: writer.finish().unwrap().into_inner(),
            runtime,
            handler,
            timeout: 20,
            memory: 256,
            variables: BTreeMap::new(),
        }
    }

    pub(crate) fn request(
        &self,
        client: &Client,
        name: &str,
    ) -> aws_sdk_lambda::operation::create_function::builders::CreateFunctionFluentBuilder {
        let code = FunctionCode::builder()
            .zip_file(Blob::new(self.zip.clone()))
            .build();
        let variables = self.variables.clone().into_iter().collect();
        let environment = Environment::builder()
            .set_variables(Some(variables))
            .build();
        let request = client
            .create_function()
            .function_name(name)
            .role(ROLE)
            .code(code);
        let request = request
            .runtime(Runtime::from(self.runtime))
            .handler(self.handler);
        request
            .timeout(self.timeout)
            .memory_size(self.memory)
            .environment(environment)
    }
}

/// A function that answers `text` to everything.
pub(crate) fn echo(text: &str) -> Package {
    Package::python(&format!(
        "def handler(event, context):\n    return '{text}'\n"
    ))
}

/// A refusal as one line of text.
fn told<T: std::fmt::Debug, E>(told: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let (status, code, message) = refusal(told);
    format!("{status} {code}: {message}")
}

/// Status, name and message of a refusal.
fn refusal<T: std::fmt::Debug, E>(told: Result<T, SdkError<E>>) -> (u16, String, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = told.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    (status, text(error.code()), text(error.message()))
}
