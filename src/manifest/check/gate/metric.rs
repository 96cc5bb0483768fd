//! `metric` gates: one source, and something to compare its number with.

use std::{collections::BTreeMap, time::Duration};

use super::super::{
    super::{
        gates::{
            AzureMonitorQuery, Baseline, CloudWatchQuery, Figure, MetricGate, MetricSource,
            PrometheusQuery, Tolerance,
        },
        raw::{
            At, AzureMonitorText, CloudWatchText, Length, MetricText, Named, PrometheusText, Report,
        },
    },
    filled, value,
};
use crate::name::FunctionName;

const OVER: Duration = Duration::from_secs(300);
/// Both clouds keep minutes for at least so long.
const OVER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a text may hold in `${…}`.
const PLACEHOLDERS: [&str; 6] = [
    "service",
    "environment",
    "release",
    "revision",
    "slot",
    "cloud",
];

const STATISTICS: [&str; 5] = ["Sum", "Average", "Minimum", "Maximum", "SampleCount"];
const AGGREGATIONS: [&str; 5] = ["Total", "Average", "Minimum", "Maximum", "Count"];

pub(in crate::manifest::check) fn metric(
    text: &At<MetricText>,
    report: &mut Report,
) -> Option<MetricGate> {
    let MetricText {
        prometheus,
        cloudwatch,
        azure_monitor,
        max,
        min,
        against,
        tolerance,
        better,
    } = &text.value;
    let by_prometheus = prometheus
        .as_ref()
        .map(|at| (at, self::prometheus(&at.value, report)))
        .map(|(at, query)| (at.place.clone(), query.map(MetricSource::Prometheus)));
    let by_cloudwatch = cloudwatch
        .as_ref()
        .map(|at| (at, self::cloudwatch(&at.value, report)))
        .map(|(at, query)| (at.place.clone(), query.map(MetricSource::CloudWatch)));
    let by_azure = azure_monitor
        .as_ref()
        .map(|at| (at, self::azure_monitor(&at.value, report)))
        .map(|(at, query)| (at.place.clone(), query.map(MetricSource::AzureMonitor)));
    let mut written: Vec<_> = [by_prometheus, by_cloudwatch, by_azure]
        .into_iter()
        .flatten()
        .collect();
    if let [_, (second, _), ..] = &written[..] {
        let help = "make it a gate of its own";
        report.fault(&second.key(), "a metric has one source only", help);
    }
    if written.is_empty() && !report.has_fault_below(&text.place) {
        let help = "add one of: prometheus, cloudwatch, azureMonitor";
        report.fault(&text.place.key(), "this metric has no source", help);
    }
    if max.is_none() && min.is_none() && against.is_none() {
        let help = "add one of: max, min, `against: blue`";
        report.fault(&text.place.key(), "nothing is asked of this metric", help);
    }
    for (place, word) in [place(tolerance, "tolerance"), place(better, "better")]
        .into_iter()
        .flatten()
        .filter(|_| against.is_none())
    {
        let message = format!("`{word}` means something together with `against: blue` only");
        report.fault(&place, message, "");
    }
    if let (Some(low), Some(high)) = (min, max)
        && low.value > high.value
    {
        report.fault(&low.place, "no number is above `min` and below `max`", "");
    }
    let baseline = against.as_ref().map(|_| Baseline {
        tolerance: value(tolerance).unwrap_or(Tolerance::Absolute(Figure::ZERO)),
        better: value(better).unwrap_or_default(),
    });
    let (_, source) = written.pop()?;
    Some(MetricGate {
        source: source?,
        max: value(max),
        min: value(min),
        baseline,
    })
}

fn place<T>(
    field: &Option<At<T>>,
    word: &'static str,
) -> Option<(crate::manifest::yaml::Place, &'static str)> {
    field.as_ref().map(|at| (at.place.key(), word))
}

fn prometheus(text: &PrometheusText, report: &mut Report) -> Option<PrometheusQuery> {
    let PrometheusText { query, server } = text;
    let query = template(query.as_ref()?, report);
    let server = server.as_ref().map(|server| filled(server, report));
    Some(PrometheusQuery {
        query: query?,
        server: match server {
            None => None,
            Some(server) => Some(server?),
        },
    })
}

fn cloudwatch(text: &CloudWatchText, report: &mut Report) -> Option<CloudWatchQuery> {
    let CloudWatchText {
        metric,
        namespace,
        statistic,
        function,
        dimensions,
        over,
    } = text;
    let over = minutes(over, report);
    let dimensions = dimensions_of(dimensions, function, report);
    let namespace = match namespace {
        None => Some("AWS/Lambda".to_owned()),
        Some(namespace) => template(namespace, report),
    };
    let statistic = statistic.as_ref()?;
    if !STATISTICS.contains(&statistic.value.as_str()) && !is_percentile(&statistic.value) {
        let help = format!("write one of: {}, p99", STATISTICS.join(", "));
        report.fault(&statistic.place, "is no statistic of CloudWatch", help);
    }
    Some(CloudWatchQuery {
        namespace: namespace?,
        metric: filled(metric.as_ref()?, report)?,
        dimensions,
        statistic: statistic.value.clone(),
        over: over?,
    })
}

/// `p50`, `p99.9`.
fn is_percentile(text: &str) -> bool {
    let number = text.strip_prefix('p').and_then(|rest| rest.parse().ok());
    number.is_some_and(|number: f64| (0.0..=100.0).contains(&number))
}

/// The dimensions that Lambda gives to what is called by an alias, and those that stand there.
fn dimensions_of(
    dimensions: &Option<At<Named<String, String>>>,
    function: &Option<At<FunctionName>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut filled = BTreeMap::new();
    if let Some(function) = function {
        let name = format!("${{environment}}-${{service}}-{}", function.value);
        filled.insert("Resource".to_owned(), format!("{name}:${{slot}}"));
        filled.insert("FunctionName".to_owned(), name);
    }
    if let Some(dimensions) = dimensions {
        for (name, value) in &dimensions.value.0 {
            if let Some(text) = template(value, report) {
                filled.insert(name.value.clone(), text);
            }
        }
    }
    filled
}

fn azure_monitor(text: &AzureMonitorText, report: &mut Report) -> Option<AzureMonitorQuery> {
    let AzureMonitorText {
        metric,
        namespace,
        aggregation,
        resource,
        filter,
        over,
    } = text;
    let over = minutes(over, report);
    let resource = resource.as_ref().map(|at| resource_id(at, report));
    let filter = filter.as_ref().map(|at| template(at, report));
    let aggregation = aggregation.as_ref()?;
    if !AGGREGATIONS.contains(&aggregation.value.as_str()) {
        let help = format!("write one of: {}", AGGREGATIONS.join(", "));
        report.fault(
            &aggregation.place,
            "is no aggregation of Azure Monitor",
            help,
        );
    }
    Some(AzureMonitorQuery {
        resource: flat(resource)?,
        metric: filled(metric.as_ref()?, report)?,
        namespace: value(namespace),
        aggregation: aggregation.value.clone(),
        filter: flat(filter)?,
        over: over?,
    })
}

/// None where something was written that is wrong.
fn flat<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(written) => written.map(Some),
    }
}

fn resource_id(text: &At<String>, report: &mut Report) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\');
    let is_id = text.value.starts_with("/subscriptions/")
        && text.value.chars().all(is_plain)
        && !text.value.split('/').any(|part| matches!(part, "." | ".."));
    if !is_id {
        let help = "write its id: `/subscriptions/…/resourceGroups/…/providers/…`";
        report.fault(&text.place, "is no id of a resource", help);
        return None;
    }
    template(text, report)
}

/// Both clouds count by the minute.
fn minutes(over: &Option<At<Length>>, report: &mut Report) -> Option<Duration> {
    let Some(over) = over else {
        return Some(OVER);
    };
    let Length(time) = over.value;
    let is_whole = time.as_secs().is_multiple_of(60) && time.subsec_nanos() == 0;
    if is_whole && !time.is_zero() && time <= OVER_MAX {
        return Some(time);
    }
    let message = "must be whole minutes, and at most a day";
    report.fault(&over.place, message, "such as `5m`");
    None
}

/// A text whose placeholders are known.
fn template(text: &At<String>, report: &mut Report) -> Option<String> {
    let told = filled(text, report)?;
    let known = || {
        let all: Vec<String> = PLACEHOLDERS.iter().map(|it| format!("${{{it}}}")).collect();
        format!("known here: {}", all.join(", "))
    };
    for rest in told.split("${").skip(1) {
        let name = rest.split_once('}').map(|(name, _)| name);
        if !name.is_some_and(|name| PLACEHOLDERS.contains(&name)) {
            let name = name.unwrap_or_default();
            report.fault(&text.place, format!("`${{{name}}}` is not known"), known());
            return None;
        }
    }
    Some(told)
}
