//! One number of CloudWatch, in the account and region of the environment.

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, Metric, MetricDataQuery, MetricStat},
};

use super::{
    AwsCloud,
    lambda::{asked, sorted},
};
use crate::{
    cloud::{CloudError, MetricQuestion},
    manifest::gates::{CloudWatchQuery, MetricSource},
    name::CloudName,
};

const OPERATION: &str = "GetMetricData";

impl AwsCloud {
    pub(super) async fn metric_data(
        &self,
        question: &MetricQuestion<'_>,
    ) -> Result<Option<f64>, CloudError> {
        let invalid = |message: String| CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: OPERATION.to_owned(),
            message,
        };
        let query = match question.source {
            MetricSource::CloudWatch(query) => query,
            MetricSource::Prometheus(_) | MetricSource::AzureMonitor(_) => {
                return Err(invalid("only CloudWatch is asked here".to_owned()));
            }
        };
        // CloudWatch keeps minutes; a beginning in the middle of one would leave a part of it out.
        let until = question.until.millis() / 60_000 * 60;
        let over = i64::try_from(query.over.as_secs()).unwrap_or(i64::MAX);
        let sent = self
            .lambda
            .watch
            .get_metric_data()
            .metric_data_queries(built(query))
            .start_time(DateTime::from_secs(until.saturating_sub(over)))
            .end_time(DateTime::from_secs(until))
            .send();
        let answer = sent
            .await
            .map_err(|error| sorted(asked(OPERATION, &query.metric), &error))?;
        let results = answer.metric_data_results().iter();
        let values: Vec<f64> = results.flat_map(|it| it.values().to_vec()).collect();
        Ok(total(&values, &query.statistic))
    }
}

fn built(query: &CloudWatchQuery) -> MetricDataQuery {
    let CloudWatchQuery {
        namespace,
        metric,
        dimensions,
        statistic,
        over,
    } = query;
    let dimension =
        |(name, value): (&String, &String)| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace(namespace)
        .metric_name(metric)
        .set_dimensions(Some(dimensions.iter().map(dimension).collect()))
        .build();
    // One period for all of the time.
    let period = i32::try_from(over.as_secs()).unwrap_or(i32::MAX);
    let statistic = MetricStat::builder()
        .metric(metric)
        .period(period)
        .stat(statistic)
        .build();
    MetricDataQuery::builder()
        .id("value")
        .metric_stat(statistic)
        .return_data(true)
        .build()
}

/// One number of the periods that the time meets.
fn total(values: &[f64], statistic: &str) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an answer has few points")]
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    Some(match statistic {
        "Sum" | "SampleCount" => sum,
        "Average" => sum / count,
        "Minimum" => values.iter().copied().fold(f64::INFINITY, f64::min),
        // A percentile of two periods is at most the larger one.
        _ => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}
