//! What a function asks that not every cloud can do, and the nearest that the others can: one table, which drives what `plan` and
//! `validate` tell.

use super::{
    aws::{Architecture, AwsFunction, EventSource, UrlAuth},
    spec::{Function, Functions},
};
use crate::name::{CloudName, FunctionName};

/// One thing that may be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// As manifests write it, below the function.
    pub name: &'static str,
    /// The one cloud that has it.
    pub only: CloudName,
    /// The nearest that the other can.
    pub nearest: &'static str,
    asked: Asked,
}

/// Where it is asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    OfAws(fn(&AwsFunction) -> bool),
}

impl Feature {
    fn is_asked(&self, function: &Function) -> bool {
        match self.asked {
            Asked::OfAws(asked) => function.aws.as_deref().is_some_and(asked),
        }
    }
}

/// What is asked of a function that a cloud of its environment cannot do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    pub function: FunctionName,
    pub feature: &'static str,
    /// The cloud that lacks it.
    pub cloud: CloudName,
    pub nearest: &'static str,
}

impl Gap {
    /// One sentence, without the way out.
    pub fn told(&self) -> String {
        let Self {
            function,
            feature,
            cloud,
            nearest: _,
        } = self;
        format!("`{feature}` of {function} means nothing to {cloud}")
    }
}

/// Every feature that only one cloud has.
pub const FEATURES: &[Feature] = &[
    of_aws(
        "aws.architecture: arm64",
        "it runs on x86_64 there: build for both, or bring code that needs no building",
        |aws| aws.architecture == Some(Architecture::Arm64),
    ),
    of_aws(
        "aws.ephemeralStorage",
        "an instance has the disk of its plan: choose a larger plan",
        |aws| aws.ephemeral_storage.is_some(),
    ),
    of_aws(
        "aws.layers",
        "put what they hold into the package, by `build`",
        |aws| aws.layers.as_ref().is_some_and(|it| !it.is_empty()),
    ),
    of_aws(
        "aws.vpc",
        "integrate the Function App into a virtual network of its own",
        |aws| aws.vpc.is_some(),
    ),
    of_aws(
        "aws.fileSystem",
        "mount a share of Azure Files into the Function App",
        |aws| aws.file_system.is_some(),
    ),
    of_aws(
        "aws.concurrency.reserved",
        "limit how far the Function App scales out",
        |aws| {
            aws.concurrency
                .as_ref()
                .is_some_and(|it| it.reserved.is_some())
        },
    ),
    of_aws(
        "aws.concurrency.provisioned",
        "a Premium plan keeps an instance warm for every app",
        |aws| {
            aws.concurrency
                .as_ref()
                .is_some_and(|it| it.provisioned.is_some())
        },
    ),
    of_aws(
        "aws.snapStart",
        "a Premium plan keeps an instance warm for every app",
        |aws| aws.snap_start == Some(true),
    ),
    of_aws(
        "aws.asynchronous",
        "only queues and schedules are asynchronous there; the host tries a message five times",
        |aws| aws.asynchronous.is_some(),
    ),
    of_aws(
        "aws.deadLetter",
        "messages that failed for good go to the queue `NAME-poison`",
        |aws| aws.dead_letter.is_some(),
    ),
    of_aws(
        "aws.tracing",
        "Application Insights, where the app has a connection string of it",
        |aws| aws.tracing == Some(true),
    ),
    of_aws(
        "aws.logs",
        "`host.json` and Application Insights say what is logged, and for how long it is kept",
        |aws| aws.logs.is_some(),
    ),
    of_aws(
        "aws.kmsKey",
        "settings are encrypted with a key of the platform: keep what is secret in Key Vault, as `{ secret: NAME }`",
        |aws| aws.kms_key.is_some(),
    ),
    of_aws(
        "aws.url.auth: iam",
        "everyone may call there: put a gateway before both clouds, or check callers in the code",
        |aws| aws.url.as_ref().is_some_and(|url| url.auth == UrlAuth::Iam),
    ),
    of_aws(
        "aws.url.cors",
        "answer `OPTIONS` in the code, which is the same on both clouds",
        |aws| aws.url.as_ref().is_some_and(|url| url.cors.is_some()),
    ),
    of_aws(
        "aws.permissions",
        "no other service calls the function there: use its address, or a queue",
        |aws| !aws.permissions.is_empty(),
    ),
    of_aws(
        "aws.events (stream)",
        "send the records to a queue that both clouds have",
        |aws| has_event(aws, |it| matches!(it, EventSource::Stream(_))),
    ),
    of_aws(
        "aws.events (topic)",
        "send the messages to a queue that both clouds have",
        |aws| has_event(aws, |it| matches!(it, EventSource::Topic(_))),
    ),
    of_aws(
        "aws.events (bucket)",
        "send the notifications to a queue that both clouds have",
        |aws| has_event(aws, |it| matches!(it, EventSource::Bucket(_))),
    ),
    of_aws(
        "aws.image",
        "the package of `source` runs there, and must do the same",
        |aws| aws.image.is_some(),
    ),
    of_aws(
        "aws.role",
        "the Function App has one identity for all its functions: give it the rights",
        |aws| aws.role.is_some(),
    ),
];

/// Everything that one of the clouds cannot do, by function.
pub fn gaps(functions: &Functions, clouds: &[CloudName]) -> Vec<Gap> {
    let lacking = |feature: &Feature| {
        let others = clouds.iter().find(|cloud| **cloud != feature.only);
        others.copied()
    };
    let mut gaps = Vec::new();
    for (name, function) in functions {
        let asked = FEATURES.iter().filter(|feature| feature.is_asked(function));
        gaps.extend(asked.filter_map(|feature| {
            Some(Gap {
                function: name.clone(),
                feature: feature.name,
                cloud: lacking(feature)?,
                nearest: feature.nearest,
            })
        }));
    }
    gaps
}

const fn of_aws(
    name: &'static str,
    nearest: &'static str,
    asked: fn(&AwsFunction) -> bool,
) -> Feature {
    Feature {
        name,
        only: CloudName::Aws,
        nearest,
        asked: Asked::OfAws(asked),
    }
}

fn has_event(aws: &AwsFunction, is: fn(&EventSource) -> bool) -> bool {
    aws.events.values().any(is)
}
