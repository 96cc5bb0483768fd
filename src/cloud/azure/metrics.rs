//! One number of Azure Monitor, by the REST interface that every resource has.

use serde_json::Value;

use super::{AzureCloud, arm::operation::METRICS_LIST, observe::View};
use crate::{
    cloud::{CloudError, MetricQuestion},
    manifest::gates::{AzureMonitorQuery, MetricSource},
    name::{CloudName, ServiceName, Slot},
};

const INSIGHTS_API: &str = "2024-02-01";

impl AzureCloud {
    /// The resource that is a slot. Without slots it takes a look to know.
    async fn id_of(&self, service: &ServiceName, slot: Slot) -> Result<String, CloudError> {
        if self.names.is_flex()
            && let View::Ours(site) = self.view(service).await?
        {
            return Ok(match slot {
                Slot::Blue => site.blue.id,
                Slot::Green => site.green_id,
            });
        }
        Ok(self.names.slot_id(&self.names.app(service), slot))
    }

    pub(super) async fn metric_value(
        &self,
        question: &MetricQuestion<'_>,
    ) -> Result<Option<f64>, CloudError> {
        let query = match question.source {
            MetricSource::AzureMonitor(query) => query,
            MetricSource::Prometheus(_) | MetricSource::CloudWatch(_) => {
                return Err(CloudError::Invalid {
                    cloud: CloudName::Azure,
                    operation: METRICS_LIST.name.to_owned(),
                    message: "only Azure Monitor is asked here".to_owned(),
                });
            }
        };
        let AzureMonitorQuery {
            resource,
            metric,
            namespace,
            aggregation,
            filter,
            over,
        } = query;
        let id = match resource {
            Some(resource) => resource.trim_end_matches('/').to_owned(),
            None => self.id_of(question.service, question.slot).await?,
        };
        let until = question.until;
        let from = until.before(*over);
        let timespan = format!("{from}/{until}");
        let mut parameters = vec![
            ("api-version", INSIGHTS_API),
            ("metricnames", metric),
            ("aggregation", aggregation),
            ("timespan", &timespan),
            // One data point for all of it.
            ("interval", "FULL"),
        ];
        if let Some(namespace) = namespace {
            parameters.push(("metricnamespace", namespace));
        }
        if let Some(filter) = filter {
            parameters.push(("$filter", filter));
        }
        let path = format!("{id}/providers/Microsoft.Insights/metrics");
        let call = self.arm.call(METRICS_LIST, &path, &parameters, &id);
        let answer = self.arm.ask(call).await?.json();
        Ok(total(&answer, aggregation))
    }
}

/// All series and points of an answer as one number; with a filter there may be several series.
fn total(answer: &Value, aggregation: &str) -> Option<f64> {
    let field = aggregation.to_ascii_lowercase();
    let metrics = answer["value"].as_array()?.iter();
    let series = metrics.filter_map(|metric| metric["timeseries"].as_array());
    let points = series.flatten().filter_map(|it| it["data"].as_array());
    let numbers: Vec<f64> = points
        .flatten()
        .filter_map(|point| point[&field].as_f64())
        .collect();
    if numbers.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an answer has few points")]
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    Some(match field.as_str() {
        "average" => sum / count,
        "maximum" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "minimum" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        _ => sum,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_become_one_number() {
        let answer = |points: Value| json!({ "value": [{ "timeseries": [{ "data": points }] }] });
        let points = json!([{ "total": 3.0, "maximum": 2.0, "average": 1.5 }, { "total": 4.0, "maximum": 9.0, "average": 2.5 }]);
        let of = |aggregation| total(&answer(points.clone()), aggregation);
        assert_eq!(
            (of("Total"), of("Maximum"), of("Average"), of("Minimum")),
            (Some(7.0), Some(9.0), Some(2.0), None)
        );
        assert_eq!(total(&answer(json!([{ "timeStamp": "x" }])), "Total"), None);
        assert_eq!(total(&json!({ "value": [] }), "Total"), None);
    }
}
