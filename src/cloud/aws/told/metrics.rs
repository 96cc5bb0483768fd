//! One number of CloudWatch, in the account and region of the environment.

use super::super::AwsCloud;
use crate::{
    cloud::{CloudError, MetricQuestion},
    manifest::gates::MetricSource,
    name::CloudName,
};

impl AwsCloud {
    pub(in crate::cloud::aws) async fn metric_data(
        &self,
        question: &MetricQuestion<'_>,
    ) -> Result<Option<f64>, CloudError> {
        let query = match question.source {
            MetricSource::CloudWatch(query) => query,
            MetricSource::Prometheus(_) | MetricSource::AzureMonitor(_) => {
                return Err(CloudError::Invalid {
                    cloud: CloudName::Aws,
                    operation: "GetMetricData".to_owned(),
                    message: "only CloudWatch is asked here".to_owned(),
                });
            }
        };
        let monitoring = self.lambda.monitoring();
        let values = monitoring.values(query, question.until).await?;
        Ok(total(&values, &query.statistic))
    }
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
