//! The gates that measure, as written: `load`, `parity` and `metric`.

use schemars::JsonSchema;

use super::{
    figure::{AllowWord, BlueWord},
    read::{At, Entries, Named, Read, Report},
    scalar::{Length, MethodWord},
};
use crate::{
    manifest::{
        gates::{Against, Better, Figure, Rate, Share, Tolerance},
        spec::RepoPath,
        yaml::{Node, Place},
    },
    name::FunctionName,
};

record! {
    /// Requests at a steady rate, whatever the answers do. Times count from the moment at which a request was meant to be sent.
    LoadText needs ["rate", "for"] {
        /// Path and query. Without `path` and `paths`: what the service's `http` gates get.
        "path" path: String,
        /// Several of them, asked in turn.
        "paths" paths: Vec<At<String>>,
        /// `GET` without it.
        "method" method: MethodWord,
        "headers" headers: Named<String, String>,
        "body" body: String,
        /// `50/s`, `300/m`.
        "rate" rate: Rate,
        /// How long the full rate is held.
        "for" duration: Length,
        /// How long the rate rises from nothing; what is asked meanwhile is not judged.
        "ramp" ramp: Length,
        /// Longest wait for one answer; 10s without it.
        "timeout" timeout: Length,
        /// Status that every answer must have. Without it: any below 400.
        "status" status: u32,
        /// Half of all answers must come within this.
        "p50" p50: Length,
        "p95" p95: Length,
        "p99" p99: Length,
        /// Share of requests that may go wrong; none without it.
        "errors" errors: Share,
        /// Most requests that are under way at once; 64 without it.
        "max" max: u32,
    }
}

record! {
    /// Recorded requests whose answers must be alike.
    ParityText needs ["requests"] {
        /// A `.http` file of this repository, relative to the root.
        "requests" requests: RepoPath,
        /// `clouds` (the default): both greens. `blue`: green and blue on each cloud. `both`.
        "against" against: Against,
        /// Headers that are compared; `content-type` without it. `*`: all that are not known to vary.
        "headers" headers: Vec<At<String>>,
        /// Headers that `*` leaves out.
        "ignoreHeaders" ignore_headers: Vec<At<String>>,
        /// JSON pointers (RFC 6901) whose values do not matter; the part `*` stands for every item or key.
        "ignore" ignore: Vec<At<String>>,
        /// JSON pointers of arrays whose order does not matter.
        "sort" sort: Vec<At<String>>,
        /// Replacements in bodies and headers before they are compared.
        "replace" replace: Vec<At<ReplaceText>>,
        /// `allow`: the file may hold requests that change something. Every side is sent them.
        "unsafe" allow: AllowWord,
    }
}

record! {
    ReplaceText needs ["pattern"] {
        /// A regular expression.
        "pattern" pattern: String,
        /// What stands in its place; `$1` is the first group. Nothing without it.
        "with" with: String,
    }
}

record! {
    /// One number, and what it must be like. Texts may hold `${service}`, `${environment}`, `${release}`, `${revision}`, `${slot}` and
    /// `${cloud}`.
    MetricText needs [] {
        "prometheus" prometheus: PrometheusText,
        "cloudwatch" cloudwatch: CloudWatchText,
        "azureMonitor" azure_monitor: AzureMonitorText,
        /// It must not be above this.
        "max" max: Figure,
        /// It must not be below this.
        "min" min: Figure,
        /// `blue`: the same is asked of blue at the same time, and it must not be worse.
        "against" against: BlueWord,
        /// How much worse than blue it may be: `10%` of blue's value, or a number.
        "tolerance" tolerance: Tolerance,
        /// `lower` (the default) or `higher`: which way is good.
        "better" better: Better,
    }
}

record! {
    /// A query of one of the daemon's Prometheus servers.
    PrometheusText needs ["query"] {
        /// PromQL that gives one number.
        "query" query: String,
        /// Name of the server in the daemon's configuration. Without it: the only one.
        "server" server: String,
    }
}

record! {
    /// One statistic of one metric, in the account and region of the environment.
    CloudWatchText needs ["metric", "statistic"] {
        "metric" metric: String,
        /// `AWS/Lambda` without it.
        "namespace" namespace: String,
        /// `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile such as `p99`.
        "statistic" statistic: String,
        /// One function of the service: fills in the dimensions of its slot.
        "function" function: FunctionName,
        "dimensions" dimensions: Named<String, String>,
        /// Whole minutes up to now; 5m without it.
        "over" over: Length,
    }
}

record! {
    /// One aggregation of one metric, in the subscription of the environment.
    AzureMonitorText needs ["metric", "aggregation"] {
        "metric" metric: String,
        "namespace" namespace: String,
        /// `Total`, `Average`, `Minimum`, `Maximum` or `Count`.
        "aggregation" aggregation: String,
        /// Id of a resource. Without it: the slot of the service's Function App.
        "resource" resource: String,
        /// Such as `StatusCode eq '500'`.
        "filter" filter: String,
        /// Whole minutes up to now; 5m without it.
        "over" over: Length,
    }
}
