//! Figures of CloudWatch.

use serde_json::{Value, json};

use super::super::signed::{Signed, json::Service};
use crate::{
    cloud::CloudError,
    manifest::gates::CloudWatchQuery,
    name::{CloudName, Timestamp},
};

const MONITORING: Service = Service {
    name: "monitoring",
    protocol: "GraniteServiceVersion20100801",
    version: "1.0",
};

const OPERATION: &str = "GetMetricData";

/// CloudWatch.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Monitoring(pub(in crate::cloud::aws::lambda) Signed);

impl Monitoring {
    /// What a query gives for the periods that the time meets, newest first; nothing where CloudWatch has no data.
    ///
    /// # Errors
    ///
    /// As [`Signed::ask`]; what CloudWatch refuses, and an answer that is not whole.
    pub(in crate::cloud::aws) async fn values(
        &self,
        query: &CloudWatchQuery,
        until: Timestamp,
    ) -> Result<Vec<f64>, CloudError> {
        let body = asked(query, until);
        let answer = self
            .0
            .ask_json(MONITORING, OPERATION, &query.metric, &body)
            .await?;
        let answer = answer.map_err(|refusal| refusal.sorted(OPERATION, &query.metric))?;
        told(&answer).map_err(|message| CloudError::Unreachable {
            cloud: CloudName::Aws,
            operation: format!("{OPERATION} of `{}`", query.metric),
            message,
        })
    }
}

fn asked(query: &CloudWatchQuery, until: Timestamp) -> Value {
    let CloudWatchQuery {
        namespace,
        metric,
        dimensions,
        statistic,
        over,
    } = query;
    // CloudWatch keeps minutes; a beginning in the middle of one would leave a part of it out.
    let until = until.millis() / 60_000 * 60;
    let over = i64::try_from(over.as_secs()).unwrap_or(i64::MAX);
    let dimensions = dimensions.iter();
    let dimensions: Vec<Value> = dimensions
        .map(|(name, value)| json!({"Name": name, "Value": value}))
        .collect();
    let metric = json!({"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions});
    // One period for all of the time.
    let statistic = json!({"Metric": metric, "Period": over, "Stat": statistic});
    json!({
        "StartTime": until.saturating_sub(over),
        "EndTime": until,
        "MetricDataQueries": [{"Id": "value", "MetricStat": statistic, "ReturnData": true}],
    })
}

/// A part of the numbers says nothing of the whole, least of all of a sum.
fn told(answer: &Value) -> Result<Vec<f64>, String> {
    let Some(results) = answer["MetricDataResults"].as_array() else {
        return Err("the answer is none of CloudWatch's".to_owned());
    };
    let mut values = Vec::new();
    for result in results {
        match result["StatusCode"].as_str() {
            Some("Complete") | None => {}
            Some(status) => return Err(format!("the answer is not whole: {status}")),
        }
        let numbers = result["Values"].as_array().into_iter().flatten();
        values.extend(numbers.filter_map(Value::as_f64));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_counts() {
        let one = |status| json!({"MetricDataResults": [{"Id": "value", "StatusCode": status, "Values": [1.5, 2]}]});
        assert_eq!(told(&one("Complete")), Ok(vec![1.5, 2.0]));
        let wanted = "the answer is not whole: PartialData".to_owned();
        assert_eq!(told(&one("PartialData")), Err(wanted));
        assert_eq!(told(&json!({"MetricDataResults": []})), Ok(Vec::new()));
        let wanted = "the answer is none of CloudWatch's".to_owned();
        assert_eq!(told(&Value::Null), Err(wanted));
    }
}
