//! Logs of a function, and one call of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::super::{AwsCloud, duties::Account, lambda::Answered, settings::alias};
use crate::{
    clock::{Clock as _, SystemClock},
    cloud::CloudError,
    name::CloudName,
    observed::talk::{Input, Invocation, Invoked, LogsTold, LogsWanted},
};

impl AwsCloud {
    /// `FilterLogEvents`, page by page; before it one `GetFunction`, which says where the function logs.
    pub(in crate::cloud::aws) async fn logs_of(
        &self,
        wanted: &LogsWanted,
    ) -> Result<LogsTold, CloudError> {
        let name = self.lambda_name(&wanted.service, &wanted.function)?;
        let latest = self.lambda.function(&name, None).await?;
        let config = latest.as_ref().and_then(|it| it.config.logging_config());
        let own = format!("/aws/lambda/{name}");
        let group = config.and_then(|it| it.log_group()).unwrap_or(&own);
        let now = SystemClock.now();
        self.log_groups.lines(group, wanted, now).await
    }

    /// One call of `Invoke`, through the alias, with the end of the log.
    pub(in crate::cloud::aws) async fn call(
        &self,
        call: &Invocation,
    ) -> Result<Invoked, CloudError> {
        let name = self.lambda_name(&call.service, &call.function)?;
        let event = match &call.input {
            Input::Http { method, path, body } => http_event(method, path, body.as_deref()),
            Input::Message(message) => queue_event(message, &self.account()),
        };
        let answered = self.lambda.invoke(&name, alias(call.slot), &event).await?;
        let Some(answered) = answered else {
            return Err(CloudError::Invalid {
                cloud: CloudName::Aws,
                operation: format!("Invoke of `{name}`"),
                message: format!("slot {} has no such function", call.slot),
            });
        };
        Ok(told(answered, &call.input))
    }
}

fn told(answered: Answered, input: &Input) -> Invoked {
    let Answered {
        version,
        failed,
        payload,
        log,
    } = answered;
    // An answer that is made piece by piece has its body behind its head, with zeros in between.
    let (head, rest) = match payload.split_once("\0\0\0\0\0\0\0\0") {
        Some((head, rest)) => (head, Some(rest)),
        None => (payload.as_str(), None),
    };
    let answer: Value = serde_json::from_str(head).unwrap_or_default();
    let status = answer["statusCode"].as_u64();
    let (status, body) = match (input, status) {
        (Input::Http { .. }, Some(status)) => {
            let body = rest.map_or_else(|| body_of(&answer), str::to_owned);
            (u16::try_from(status).ok(), body)
        }
        (Input::Http { .. } | Input::Message(_), _) => (None, payload),
    };
    let log = STANDARD.decode(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    Invoked {
        label: format!("version {version}"),
        status,
        body,
        failure: failed,
        log: log.lines().map(str::to_owned).collect(),
    }
}

fn body_of(answer: &Value) -> String {
    let text = answer["body"].as_str().unwrap_or_default();
    match answer["isBase64Encoded"].as_bool() {
        Some(true) => {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some(false) | None => text.to_owned(),
    }
}

/// As a function URL would call it.
fn http_event(method: &str, path: &str, body: Option<&str>) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "verdigris.invalid", "content-type": "application/json", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "domainName": "verdigris.invalid",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "verdigris",
            },
            "requestId": uuid::Uuid::new_v4(),
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// As a queue would call it.
fn queue_event(message: &str, account: &Account) -> Value {
    json!({"Records": [{
        "messageId": uuid::Uuid::new_v4(),
        "receiptHandle": "verdigris",
        "body": message,
        "attributes": {"ApproximateReceiveCount": "1", "SenderId": "verdigris"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": account.queue("verdigris"),
        "awsRegion": account.region(),
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_the_same_whether_it_was_made_at_once_or_piece_by_piece() {
        let head = r#"{"statusCode":404,"headers":{},"cookies":[]"#;
        let cases = [
            format!(r#"{head},"body":"no \"such\" thing","isBase64Encoded":false}}"#),
            format!(r#"{head},"body":"bm8gInN1Y2giIHRoaW5n","isBase64Encoded":true}}"#),
            format!("{head}}}\0\0\0\0\0\0\0\0no \"such\" thing"),
        ];
        for payload in cases {
            let answered = Answered {
                version: "7".to_owned(),
                failed: None,
                payload,
                log: String::new(),
            };
            let input = Input::Http {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                body: None,
            };
            let Invoked { status, body, .. } = told(answered, &input);
            assert_eq!((status, body.as_str()), (Some(404), r#"no "such" thing"#));
        }
    }
}
