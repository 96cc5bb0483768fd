//! What the account holds already, for those who bring it in.

use aws_sdk_lambda::types::FunctionConfiguration;
use serde_yaml::Value;

use super::{
    AwsCloud,
    settings::{Extras, Settings},
    tags,
};
use crate::{
    cloud::CloudError,
    import::clouds::{Found, FoundFunction},
    manifest::aws::UrlAuth,
};

impl AwsCloud {
    /// `ListFunctions`, and three calls for each function: its tags, its address, its sources.
    pub(super) async fn everything(&self) -> Result<Vec<Found>, CloudError> {
        let mut all = Vec::new();
        for config in self.lambda.functions().await? {
            all.push(self.found_one(&config).await?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn found_one(&self, config: &FunctionConfiguration) -> Result<Found, CloudError> {
        let name = config.function_name().unwrap_or_default();
        let latest = self.lambda.function(name, None).await?;
        let own = latest.and_then(|it| it.tags).unwrap_or_default();
        let settings = Settings::read(config);
        let mut function = FoundFunction {
            name: name.to_owned(),
            handler: settings.handler.clone(),
            memory: u32::try_from(settings.memory).ok(),
            timeout: u32::try_from(settings.timeout).ok(),
            aws: below_aws(&settings),
            ..FoundFunction::default()
        };
        let mut left = Vec::new();
        if let Some(address) = self.lambda.url_of(name, None).await? {
            function.http = Some("/{path+}".to_owned());
            if address.options.auth == UrlAuth::Iam {
                left.push(("url.auth".to_owned(), "only signed calls are let in: write `aws: { url: { auth: iam } }` where that is meant".to_owned()));
            }
        }
        for source in self.lambda.sources(name).await? {
            let arn = source.event_source_arn().unwrap_or_default();
            match arn.split(':').nth(2) {
                Some("sqs") if function.queue.is_none() => {
                    function.queue = arn.rsplit(':').next().map(str::to_owned);
                }
                Some(_) | None => left.push((
                    format!("events.{arn}"),
                    "write it below `aws.events`, with the options of its mapping".to_owned(),
                )),
            }
        }
        left.push((
            "triggers".to_owned(),
            "schedules, topics, buckets and gateways that call it are not listed with it: write them by hand".to_owned(),
        ));
        Ok(Found {
            id: config.function_arn().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            is_ours: own.get(tags::OWNER).is_some_and(|it| it == tags::VERDIGRIS),
            runtime: settings.runtime,
            functions: vec![function],
            variables: settings.env,
            left,
            ..Found::default()
        })
    }
}

/// What only AWS knows, as manifests write it.
fn below_aws(settings: &Settings) -> Vec<(&'static str, Value)> {
    let mut aws = Vec::new();
    let architecture = settings.architectures.first();
    if let Some(architecture) = architecture.filter(|it| *it != "x86_64") {
        aws.push(("architecture", Value::from(architecture.as_str())));
    }
    aws.extend(Extras::written(&settings.extras));
    if !settings.role.is_empty() {
        aws.push(("role", Value::from(settings.role.as_str())));
    }
    aws
}
