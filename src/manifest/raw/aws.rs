//! The `aws:` of services and functions, as written.

use schemars::JsonSchema;

use super::{
    read::{At, Entries, Named, Read, Report},
    scalar::Length,
};
use crate::manifest::{
    aws::{Architecture, LogFormat, LogLevel, Start, UrlAuth},
    spec::Megabytes,
    yaml::{Node, Place},
};

record! {
    /// What is asked of AWS Lambda alone. At a service it is for all functions; a function's own keys win.
    FunctionAwsText needs [] {
        /// Of one function: the Lambda function's name, where it is not `ENVIRONMENT-SERVICE-FUNCTION`.
        "name" name: String,
        /// `x86_64` (the default) or `arm64`.
        "architecture" architecture: Architecture,
        /// Size of `/tmp`, from `512Mi` to `10240Mi`.
        "ephemeralStorage" ephemeral_storage: Megabytes,
        /// ARNs of layer versions, at most five.
        "layers" layers: Vec<At<String>>,
        "vpc" vpc: VpcText,
        "fileSystem" file_system: FileSystemText,
        /// ARN of a queue or topic for asynchronous calls that failed for good.
        "deadLetter" dead_letter: String,
        "asynchronous" asynchronous: AsynchronousText,
        "concurrency" concurrency: ConcurrencyText,
        /// Starts from a snapshot. Python 3.12 and later.
        "snapStart" snap_start: bool,
        /// Traces with X-Ray.
        "tracing" tracing: bool,
        "logs" logs: LogsText,
        /// ARN of the key that the variables are encrypted with.
        "kmsKey" kms_key: String,
        "url" url: UrlText,
        /// Statements of the policy of `blue`, by name.
        "permissions" permissions: Named<String, PermissionText>,
        "queue" queue: QueueText,
        /// Further sources of events, by name.
        "events" events: Named<String, EventText>,
        "tags" tags: Named<String, String>,
        /// A container image by digest, which runs instead of the package.
        "image" image: String,
        /// ARN of the role that it runs as, instead of the environment's.
        "role" role: String,
        /// What it may do elsewhere, by name. A function that asks for any has a role of its own.
        "allow" allow: Named<String, RightsText>,
    }
}

record! {
    AssumeText needs ["role"] {
        /// ARN of the role.
        "role" role: String,
        /// What the role's owner wants to hear. It is no secret.
        "externalId" external_id: String,
        /// By which the account's log names the daemon.
        "session" session: String,
    }
}

record! {
    /// Rights of the function.
    RightsText needs ["actions", "on"] {
        /// Such as `dynamodb:GetItem` or `s3:Get*`.
        "actions" actions: Vec<At<String>>,
        /// ARNs, with `*` where many are meant.
        "on" on: Vec<At<String>>,
    }
}

record! {
    /// A network.
    VpcText needs ["subnets", "securityGroups"] {
        "subnets" subnets: Vec<At<String>>,
        "securityGroups" security_groups: Vec<At<String>>,
        "ipv6" ipv6: bool,
    }
}

record! {
    /// An access point of EFS. Needs `vpc`.
    FileSystemText needs ["accessPoint", "mount"] {
        /// ARN of the access point.
        "accessPoint" access_point: String,
        /// Where it appears, such as `/mnt/data`.
        "mount" mount: String,
    }
}

record! {
    /// What becomes of calls that nobody waits for.
    AsynchronousText needs [] {
        /// Further tries after an error: 0, 1 or 2.
        "retries" retries: u32,
        /// How long a call may wait: `1m` to `6h`.
        "maxAge" max_age: Length,
        /// ARN of a queue, topic, function or event bus.
        "onSuccess" on_success: String,
        "onFailure" on_failure: String,
    }
}

record! {
    /// Concurrency of `blue`.
    ConcurrencyText needs [] {
        /// Kept for this function, and its most.
        "reserved" reserved: u32,
        /// Kept warm.
        "provisioned" provisioned: u32,
    }
}

record! {
    /// Where and how it logs.
    LogsText needs [] {
        /// `text` (the default) or `json`.
        "format" format: LogFormat,
        /// With `json` only.
        "level" level: LogLevel,
        /// With `json` only: `debug`, `info` or `warn`.
        "systemLevel" system_level: LogLevel,
        /// Another log group than Lambda's own.
        "group" group: String,
        /// Days that logs are kept.
        "retention" retention: u32,
    }
}

record! {
    /// The function's addresses, of `green` and `blue` alike.
    UrlText needs [] {
        /// `none` (the default): everyone may call. `iam`: whoever signs as somebody who is permitted.
        "auth" auth: UrlAuth,
        /// Passes the answer on as it is made. Not for Python, whose own runtime on Lambda answers in one piece.
        "stream" stream: bool,
        "cors" cors: CorsText,
    }
}

record! {
    /// Which web pages of other origins may call.
    CorsText needs ["origins"] {
        "origins" origins: Vec<At<String>>,
        "methods" methods: Vec<At<String>>,
        "headers" headers: Vec<At<String>>,
        "expose" expose: Vec<At<String>>,
        "credentials" credentials: bool,
        "maxAge" max_age: Length,
    }
}

record! {
    /// Who else may call `blue`.
    PermissionText needs ["principal"] {
        /// A service such as `s3.amazonaws.com`, an account, an ARN, or `*`.
        "principal" principal: String,
        /// `lambda:InvokeFunction` without it.
        "action" action: String,
        "sourceArn" source_arn: String,
        "sourceAccount" source_account: String,
    }
}

record! {
    /// How the function's `queue` is read.
    QueueText needs [] {
        /// ARN of the queue. Without it: the queue of that name in the environment's account and region.
        "arn" arn: String,
        "batch" batch: u32,
        "window" window: Length,
        "filters" filters: Vec<At<serde_json::Value>>,
        /// Functions that read it at once, from 2 on.
        "maxConcurrency" max_concurrency: u32,
    }
}

record! {
    /// A source of events: exactly one of `kinesis`, `dynamodb`, `sns` and `s3`.
    EventText needs [] {
        /// ARN of a stream.
        "kinesis" kinesis: String,
        /// ARN of a table's stream.
        "dynamodb" dynamodb: String,
        /// ARN of a topic.
        "sns" sns: String,
        /// Name of a bucket.
        "s3" s3: String,
        /// Of a stream: `latest` (the default) or `oldest`.
        "from" from: Start,
        /// Of a stream: records in one call.
        "batch" batch: u32,
        /// Of a stream: how long is waited for a batch to fill.
        "window" window: Length,
        /// Of a stream: batches of one shard at once, at most 10.
        "parallel" parallel: u32,
        /// Of a stream: further tries of a batch that failed.
        "retries" retries: u32,
        /// Of a stream: how old a record may get.
        "maxAge" max_age: Length,
        /// Of a stream: a batch that failed is tried again in halves.
        "bisect" bisect: bool,
        /// Of a stream: ARN of a queue or topic.
        "onFailure" on_failure: String,
        /// Of a stream: patterns, at most five.
        "filters" filters: Vec<At<serde_json::Value>>,
        /// Of a topic: a filter policy.
        "filter" filter: serde_json::Value,
        /// Of a bucket: `s3:ObjectCreated:*` and the like.
        "on" on: Vec<At<String>>,
        /// Of a bucket.
        "prefix" prefix: String,
        /// Of a bucket.
        "suffix" suffix: String,
    }
}
