//! Every feature, with who asks for it and what is nearest to it.

use super::{Asked, Feature};
use crate::{
    manifest::{
        aws::{Architecture, AwsFunction, EventSource, UrlAuth},
        azure::{ApiFront, AzureApp},
    },
    name::CloudName,
};

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
        "`azure.network` integrates the app into a virtual network",
        |aws| aws.vpc.is_some(),
    )
    .unless_app(|app| app.network.is_some()),
    of_aws(
        "aws.fileSystem",
        "mount a share of Azure Files into the Function App",
        |aws| aws.file_system.is_some(),
    ),
    of_aws(
        "aws.concurrency.reserved",
        "`azure.scale.most` limits how far the app scales out",
        |aws| {
            aws.concurrency
                .as_ref()
                .is_some_and(|it| it.reserved.is_some())
        },
    )
    .unless_app(|app| app.scale.is_some_and(|it| it.most.is_some())),
    of_aws(
        "aws.concurrency.provisioned",
        "a Premium plan keeps an instance warm for every app, and `azure.scale.ready` says how many",
        |aws| {
            aws.concurrency
                .as_ref()
                .is_some_and(|it| it.provisioned.is_some())
        },
    )
    .unless_app(|app| app.scale.is_some_and(|it| it.ready.is_some())),
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
        "everyone may call there: `azure.auth` asks for tokens of Entra ID, or put a gateway before both clouds",
        is_signed,
    )
    .unless_app(|app| app.auth.is_some()),
    of_aws(
        "aws.url.cors",
        "`azure.cors` says which origins may call; the platform answers for methods and headers",
        has_cors,
    )
    .unless_app(|app| app.cors.is_some()),
    of_aws(
        "aws.url.stream",
        "the answer comes in one piece there",
        |aws| aws.url.as_ref().is_some_and(|url| url.stream),
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
        "the Function App has one identity for all its functions: name it by `azure.identity`, and give it the rights",
        |aws| aws.role.is_some(),
    )
    .unless_app(|app| app.identity.is_some()),
    of_aws(
        "aws.allow",
        "`azure.roles` gives the app's identity roles, for all its functions",
        |aws| !aws.allow.is_empty(),
    )
    .unless_app(|app| !app.roles.is_empty()),
    of_aws("aws.tags", "`azure.tags` are of the app", |aws| {
        !aws.tags.is_empty()
    })
    .unless_app(|app| !app.tags.is_empty()),
    of_aws(
        "aws.queue.filters",
        "every message calls there: let the code take what it has no use for",
        |aws| {
            aws.queue
                .as_ref()
                .is_some_and(|it| !it.batch.filters.is_empty())
        },
    ),
    of_aws(
        "aws.queue.maxConcurrency",
        "`azure.scale.most` limits the app's instances, and `azure.host` (`extensions.queues`) the messages of each",
        |aws| {
            aws.queue
                .as_ref()
                .is_some_and(|it| it.max_concurrency.is_some())
        },
    )
    .unless_app(|app| app.scale.is_some_and(|it| it.most.is_some())),
    of_azure(
        "azure.auth",
        "the addresses there stay open to everyone: ask for `aws.url.auth: iam`, check tokens in the code, or put a gateway before both clouds",
        |app| app.auth.is_some(),
    )
    .unless_functions(is_signed),
    of_azure(
        "azure.api",
        "nothing stands before the functions' addresses there: put a gateway before both clouds",
        |app| app.api.is_some(),
    ),
    of_azure(
        "azure.api.token",
        "the addresses there take requests without a token: ask for `aws.url.auth: iam`, or check tokens in the code",
        |app| has_front(app, |it| it.token.is_some()),
    )
    .unless_functions(is_signed),
    of_azure(
        "azure.api.addresses",
        "the addresses there take requests from everywhere: ask for `aws.url.auth: iam`, or put a gateway before both clouds",
        |app| has_front(app, |it| !it.addresses.is_empty()),
    ),
    of_azure(
        "azure.api.headers",
        "the addresses there take requests without these headers: check them in the code",
        |app| has_front(app, |it| !it.headers.is_empty()),
    ),
    of_azure(
        "azure.cors",
        "`aws.url.cors` says it of each function that answers HTTP",
        |app| app.cors.is_some(),
    )
    .unless_functions(has_cors),
    of_azure(
        "azure.network",
        "`aws.vpc` puts functions into a network of yours",
        |app| app.network.is_some(),
    )
    .unless_functions(|aws| aws.vpc.is_some()),
    of_azure(
        "azure.domains",
        "bind the names to what routes to both clouds: the addresses there have names of their own only",
        |app| !app.domains.is_empty(),
    ),
    of_azure(
        "azure.scale",
        "`aws.concurrency` limits each function (`reserved`) and keeps it warm (`provisioned`)",
        |app| app.scale.is_some(),
    )
    .unless_functions(|aws| aws.concurrency.is_some()),
    of_azure(
        "azure.sticky",
        "variables belong to a version there, and move with the code: say in `env` what blue needs",
        |app| !app.sticky.is_empty(),
    ),
    of_azure(
        "azure.preview",
        "nothing is lost: variables belong to a version there, so that gates ask green with what blue will have",
        |app| app.preview,
    ),
    of_azure(
        "azure.settings",
        "`env` says what the code reads, on both clouds",
        |app| !app.settings.is_empty(),
    ),
    of_azure(
        "azure.host",
        "`aws.queue`, `aws.asynchronous` and `aws.logs` say it of each function",
        |app| !app.host.is_empty(),
    ),
    of_azure(
        "azure.identity",
        "`aws.role` names the role that functions run as",
        |app| app.identity.is_some(),
    )
    .unless_functions(|aws| aws.role.is_some()),
    of_azure(
        "azure.roles",
        "`aws.allow` gives each function rights of its own",
        |app| !app.roles.is_empty(),
    )
    .unless_functions(|aws| !aws.allow.is_empty() || aws.role.is_some()),
    of_azure("azure.tags", "`aws.tags` are of each function", |app| {
        !app.tags.is_empty()
    })
    .unless_functions(|aws| !aws.tags.is_empty()),
];

const fn of_aws(
    name: &'static str,
    nearest: &'static str,
    asks: fn(&AwsFunction) -> bool,
) -> Feature {
    Feature {
        name,
        only: CloudName::Aws,
        nearest,
        asked: Asked::OfAws(asks, |_| false),
    }
}

const fn of_azure(
    name: &'static str,
    nearest: &'static str,
    asks: fn(&AzureApp) -> bool,
) -> Feature {
    Feature {
        name,
        only: CloudName::Azure,
        nearest,
        asked: Asked::OfAzure(asks, |_| false),
    }
}

impl Feature {
    /// Nothing is lost where the app asks for the nearest.
    const fn unless_app(mut self, answers: fn(&AzureApp) -> bool) -> Self {
        if let Asked::OfAws(asks, _) = self.asked {
            self.asked = Asked::OfAws(asks, answers);
        }
        self
    }

    /// Nothing is lost where every function asks for the nearest.
    const fn unless_functions(mut self, answers: fn(&AwsFunction) -> bool) -> Self {
        if let Asked::OfAzure(asks, _) = self.asked {
            self.asked = Asked::OfAzure(asks, answers);
        }
        self
    }
}

fn has_event(aws: &AwsFunction, is: fn(&EventSource) -> bool) -> bool {
    aws.events.values().any(is)
}

fn has_cors(aws: &AwsFunction) -> bool {
    aws.url.as_ref().is_some_and(|url| url.cors.is_some())
}

fn is_signed(aws: &AwsFunction) -> bool {
    aws.url.as_ref().is_some_and(|url| url.auth == UrlAuth::Iam)
}

fn has_front(app: &AzureApp, has: fn(&ApiFront) -> bool) -> bool {
    app.api.as_ref().is_some_and(has)
}
