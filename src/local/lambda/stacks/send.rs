//! Requests of stacks, sent the way that any client's arrive.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request as Incoming, State},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::Value;

use super::Lambda;
use crate::local::{
    lambda::{control, wire::Reference},
    listen::LostReply,
    stacks::{
        Fault, fault,
        resource::{Answer, Request, Service, Step},
    },
};

const ANSWER_MAX: usize = 16 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(50);
/// How often a service is asked again that is busy: for a minute in all.
const TRIES_MAX: usize = 1200;

/// What a service refused.
struct Refused {
    code: String,
    message: String,
}

impl Refused {
    /// Busy with the same thing, or asked too much: later it may do it.
    fn is_passing(&self) -> bool {
        let Self { code, message } = self;
        let codes = [
            "TooManyRequestsException",
            "ResourceInUseException",
            "ThrottlingException",
        ];
        codes.contains(&code.as_str())
            || message.contains("in progress")
            || message.contains("state: Pending")
            || message.contains("cannot be assumed")
    }

    fn is_of_missing(&self) -> bool {
        let words = ["NotFound", "NoSuch", "NonExistent", "DoesNotExist"];
        words.iter().any(|word| self.code.contains(word))
    }
}

/// Sends a step, again where the service is busy or what was deleted still there, and waits for what must be so afterwards.
pub(super) async fn send(lambda: &Arc<Lambda>, step: &Step) -> Result<Answer, Fault> {
    let mut tries = 0;
    let answer = loop {
        match once(lambda, &step.request).await {
            Ok(_) if step.until_gone && tries == TRIES_MAX => {
                return fault("what was deleted is still there");
            }
            Ok(_) if step.until_gone => {
                tries += 1;
                pause(lambda).await?;
            }
            Ok(answer) => break answer,
            Err(refused) if step.may_be_gone && refused.is_of_missing() => {
                return Ok(Answer(String::new()));
            }
            Err(refused) if refused.is_passing() && tries < TRIES_MAX => {
                tries += 1;
                pause(lambda).await?;
            }
            Err(Refused { code, message }) => {
                return fault(format!(
                    "Resource handler returned message: \"{message}\" (HandlerErrorCode: {code})"
                ));
            }
        }
    };
    if let Some(function) = &step.settled {
        settle(lambda, function).await?;
    }
    Ok(answer)
}

/// Nobody waits for an endpoint that stops.
async fn pause(lambda: &Lambda) -> Result<(), Fault> {
    if lambda.tasks.is_closed() {
        return fault("the endpoint stopped before this was done");
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

async fn settle(lambda: &Arc<Lambda>, function: &str) -> Result<(), Fault> {
    let Ok(reference) = Reference::parse(function, None) else {
        return Ok(());
    };
    for _ in 0..TRIES_MAX {
        let is_settled = lambda.see(&reference, |it| Ok(it.latest.phase.is_settled()));
        if is_settled.unwrap_or(true) {
            return Ok(());
        }
        pause(lambda).await?;
    }
    fault(format!("function {function} did not become active in time"))
}

async fn once(lambda: &Arc<Lambda>, request: &Request) -> Result<Answer, Refused> {
    let request = incoming(request).map_err(|why| Refused {
        code: "InvalidRequest".to_owned(),
        message: why.to_string(),
    })?;
    // Boxed, for it may lead back here.
    let answer = Box::pin(control::serve(State(Arc::clone(lambda)), request)).await;
    let (parts, body) = answer.into_parts();
    if parts.extensions.get::<LostReply>().is_some() {
        return Err(Refused {
            code: "NetworkFailure".to_owned(),
            message: "the answer was lost".to_owned(),
        });
    }
    let text = to_bytes(body, ANSWER_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    match parts.status.is_success() {
        true => Ok(Answer(text)),
        false => Err(refused(parts.status, &parts.headers, &text)),
    }
}

fn incoming(request: &Request) -> Result<Incoming, axum::http::Error> {
    let Request {
        service,
        method,
        path,
        body,
    } = request;
    let made = Incoming::builder()
        .method(*method)
        .uri(path)
        .header(header::HOST, "localhost");
    let scope = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=cloudformation/20260101/local/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    };
    let made = match service {
        Service::Lambda => made.header(header::AUTHORIZATION, scope("lambda")),
        Service::S3 => made.header(header::AUTHORIZATION, scope("s3")),
        Service::Json(target) => made
            .header("x-amz-target", *target)
            .header(header::AUTHORIZATION, scope("json")),
        Service::Form => made
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, scope("form")),
    };
    made.body(Body::from(body.clone()))
}

/// Some services answer in JSON, the others in XML.
fn refused(status: StatusCode, headers: &HeaderMap, text: &str) -> Refused {
    if let Ok(told) = serde_json::from_str::<Value>(text) {
        let code = headers
            .get("x-amzn-errortype")
            .and_then(|it| it.to_str().ok());
        let code = code.or(told["__type"].as_str()).unwrap_or_default();
        let message = told["message"].as_str().or(told["Message"].as_str());
        return Refused {
            code: code.to_owned(),
            message: message.unwrap_or_default().to_owned(),
        };
    }
    let answer = Answer(text.to_owned());
    let code = answer.element("Code");
    let message = answer.element("Message");
    Refused {
        code: code.unwrap_or_else(|_| status.as_u16().to_string()),
        message: message.unwrap_or(answer.0),
    }
}
