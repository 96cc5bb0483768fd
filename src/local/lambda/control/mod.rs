//! The control plane: one small function per operation.

mod account;
mod aliases;
mod asynchronous;
mod concurrency;
mod functions;
mod mappings;
mod policies;
mod tags;
mod updates;
mod urls;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{
    Lambda,
    around::{self, Target},
    invoke,
    record::Function,
    wire::{ApiError, Call, Operation, Reference, route},
};
use crate::{
    local::{
        faults::{LogSource, Verdict, admin_routes},
        listen,
    },
    name::CodeDigest,
};

/// Lambda's limit of a whole request.
const REQUEST_MAX: usize = 70_167_211;

/// Everything that the endpoint's own port serves.
pub(super) fn routes(lambda: &Arc<Lambda>) -> Router {
    let runner = Arc::clone(&lambda.runner);
    let logs: LogSource = Arc::new(move |name| Some(runner.kept_logs(name)?.lines()));
    Router::new()
        .route("/_verdigris/packages/{digest}", get(package))
        .fallback(serve)
        .with_state(Arc::clone(lambda))
        .merge(admin_routes(lambda.faults.clone(), logs))
}

/// The zip behind GetFunction's `Code.Location`.
async fn package(State(lambda): State<Arc<Lambda>>, Path(digest): Path<String>) -> Response {
    let Ok(digest) = format!("sha256:{digest}").parse::<CodeDigest>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match lambda.packages.zip(digest).await {
        Ok(zip) => ([(header::CONTENT_TYPE, "application/zip")], zip).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn serve(State(lambda): State<Arc<Lambda>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target");
    if let Some(target) = target.and_then(|it| Target::parse(it.to_str().ok()?)) {
        return serve_target(&lambda, target, &parts.headers, body).await;
    }
    if around::is_form(&parts) {
        return serve_form(&lambda, parts.headers, body).await;
    }
    if let Some(asked) = around::Asked::parse(&parts) {
        return serve_bucket(&lambda, &asked, body).await;
    }
    let path = parts.uri.path();
    let Some((operation, captured)) = route(&parts.method, path) else {
        return ApiError::unknown(parts.method.as_str(), path).into_response();
    };
    let query = parts.uri.query().unwrap_or_default();
    let query = ::url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let Ok(body) = to_bytes(body, REQUEST_MAX).await else {
        let name = operation.as_str();
        let message =
            format!("Request must be smaller than {REQUEST_MAX} bytes for the {name} operation");
        return ApiError::too_large(message).into_response();
    };
    let call = Call {
        path: captured,
        query,
        headers: parts.headers,
        body,
    };
    serve_call(&lambda, operation, call).await
}

async fn serve_call(lambda: &Arc<Lambda>, operation: Operation, call: Call) -> Response {
    match lambda.faults.before(operation.as_str()).await {
        Verdict::Proceed => answer(lambda, operation, call).await,
        Verdict::Fail {
            status,
            code,
            message,
        } => ApiError::injected(status, &code, &message).into_response(),
        Verdict::Throttle => ApiError::throttled("CallerRateLimitExceeded").into_response(),
        Verdict::LoseReply => {
            drop(answer(lambda, operation, call).await);
            listen::lost_reply()
        }
    }
}

/// A service that takes the operation and its parameters as a form.
async fn serve_form(lambda: &Arc<Lambda>, headers: HeaderMap, body: Body) -> Response {
    let Ok(body) = to_bytes(body, REQUEST_MAX).await else {
        return ApiError::too_large("the request is too large").into_response();
    };
    match Target::of_form(&body) {
        Some(target) => serve_target(lambda, target, &headers, Body::from(body)).await,
        None => {
            let call = Call {
                path: Vec::new(),
                query: Vec::new(),
                headers,
                body,
            };
            serve_call(lambda, Operation::GetCallerIdentity, call).await
        }
    }
}

/// S3, which names operations by method, path and query.
async fn serve_bucket(lambda: &Arc<Lambda>, asked: &around::Asked, body: Body) -> Response {
    let Ok(body) = to_bytes(body, REQUEST_MAX).await else {
        return ApiError::too_large("the request is too large").into_response();
    };
    match lambda.faults.before(asked.operation()).await {
        Verdict::Proceed => around::carry_out_on_bucket(lambda, asked, &body),
        Verdict::Fail {
            status,
            code,
            message,
        } => around::refused_by_bucket(status, &code, &message),
        Verdict::Throttle => around::refused_by_bucket(
            StatusCode::SERVICE_UNAVAILABLE,
            "SlowDown",
            "Please reduce your request rate.",
        ),
        Verdict::LoseReply => {
            drop(around::carry_out_on_bucket(lambda, asked, &body));
            listen::lost_reply()
        }
    }
}

/// What another service of the same account is asked for, on the same port.
async fn serve_target(
    lambda: &Arc<Lambda>,
    target: Target,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, REQUEST_MAX).await else {
        return ApiError::too_large("the request is too large").into_response();
    };
    match lambda.faults.before(&target.operation).await {
        Verdict::Proceed => around::carry_out(lambda, target, headers, &body).await,
        Verdict::Fail {
            status,
            code,
            message,
        } => target.failing(status, &code, &message),
        Verdict::Throttle => target.throttled(),
        Verdict::LoseReply => {
            drop(around::carry_out(lambda, target, headers, &body).await);
            listen::lost_reply()
        }
    }
}

async fn answer(lambda: &Arc<Lambda>, operation: Operation, call: Call) -> Response {
    let made = around::of_call(operation, &call);
    let told = lambda.as_told(|| lambda.touch(operation, &call));
    let answer = carry_out(&told, operation, call).await;
    lambda.note(made.filter(|_| answer.is_ok()));
    let mut response = answer.unwrap_or_else(|error| {
        if error.status().is_server_error() {
            tracing::error!(
                operation = operation.as_str(),
                ?error,
                "an operation failed"
            );
        }
        error.into_response()
    });
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(id) = id.parse() {
        response
            .headers_mut()
            .entry("x-amzn-requestid")
            .or_insert(id);
    }
    response
}

async fn carry_out(
    lambda: &Arc<Lambda>,
    operation: Operation,
    call: Call,
) -> Result<Response, ApiError> {
    use Operation as O;
    lambda.quota.take(operation, lambda.clock.now())?;
    match operation {
        O::CreateFunction => functions::create(lambda, &call).await,
        O::ListFunctions => functions::list(lambda, &call),
        O::GetFunction => functions::get(lambda, &call),
        O::GetFunctionConfiguration => functions::get_configuration(lambda, &call),
        O::DeleteFunction => functions::delete(lambda, &call),
        O::ListVersionsByFunction => functions::list_versions(lambda, &call),
        O::UpdateFunctionCode => updates::code(lambda, &call).await,
        O::UpdateFunctionConfiguration => updates::configuration(lambda, &call),
        O::PublishVersion => updates::publish(lambda, &call),
        O::CreateAlias => aliases::create(lambda, &call),
        O::GetAlias => aliases::get(lambda, &call),
        O::UpdateAlias => aliases::update(lambda, &call),
        O::DeleteAlias => aliases::delete(lambda, &call),
        O::ListAliases => aliases::list(lambda, &call),
        O::CreateFunctionUrlConfig => urls::create(lambda, &call).await,
        O::GetFunctionUrlConfig => urls::get(lambda, &call),
        O::UpdateFunctionUrlConfig => urls::update(lambda, &call),
        O::DeleteFunctionUrlConfig => urls::delete(lambda, &call),
        O::ListFunctionUrlConfigs => urls::list(lambda, &call),
        O::AddPermission => policies::add(lambda, &call),
        O::GetPolicy => policies::get(lambda, &call),
        O::RemovePermission => policies::remove(lambda, &call),
        O::ListTags => tags::list(lambda, &call),
        O::TagResource => tags::add(lambda, &call),
        O::UntagResource => tags::remove(lambda, &call),
        O::PutFunctionConcurrency => account::put_concurrency(lambda, &call),
        O::GetFunctionConcurrency => account::get_concurrency(lambda, &call),
        O::DeleteFunctionConcurrency => account::delete_concurrency(lambda, &call),
        O::PutProvisionedConcurrencyConfig => concurrency::put(lambda, &call),
        O::GetProvisionedConcurrencyConfig => concurrency::get(lambda, &call),
        O::DeleteProvisionedConcurrencyConfig => concurrency::delete(lambda, &call),
        O::PutFunctionEventInvokeConfig => asynchronous::put(lambda, &call),
        O::UpdateFunctionEventInvokeConfig => asynchronous::update(lambda, &call),
        O::GetFunctionEventInvokeConfig => asynchronous::get(lambda, &call),
        O::ListFunctionEventInvokeConfigs => asynchronous::list(lambda, &call),
        O::DeleteFunctionEventInvokeConfig => asynchronous::delete(lambda, &call),
        O::GetAccountSettings => Ok(account::settings(lambda)),
        O::GetFunctionCodeSigningConfig => account::code_signing(lambda, &call),
        O::GetCallerIdentity => account::caller_identity(lambda, &call),
        O::Invoke => invoke::invoke(lambda, call).await,
        O::CreateEventSourceMapping => mappings::create(lambda, &call),
        O::ListEventSourceMappings => mappings::list(lambda, &call),
        O::GetEventSourceMapping => mappings::get(lambda, &call),
        O::UpdateEventSourceMapping => mappings::update(lambda, &call),
        O::DeleteEventSourceMapping => mappings::delete(lambda, &call),
    }
}

impl Lambda {
    /// Looks at a function as it is now.
    pub(super) fn see<T>(
        &self,
        reference: &Reference,
        look: impl FnOnce(&Function) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        reference.check_place(&self.place)?;
        let mut functions = self.functions();
        let function = functions
            .get_mut(&reference.name)
            .ok_or_else(|| self.missing(reference))?;
        function.settle(self.clock.now());
        look(function)
    }

    /// Changes a function, and writes it down before the answer is given. A refusal changes nothing.
    fn change<T>(
        &self,
        reference: &Reference,
        change: impl FnOnce(&mut Function) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        reference.check_place(&self.place)?;
        let mut functions = self.functions();
        let function = functions
            .get_mut(&reference.name)
            .ok_or_else(|| self.missing(reference))?;
        function.settle(self.clock.now());
        let mut changed = function.clone();
        let told = change(&mut changed)?;
        self.save(&changed)?;
        *function = changed;
        Ok(told)
    }

    /// For operations that have their own words for a missing function.
    fn known(&self, reference: &Reference, message: &str) -> Result<(), ApiError> {
        reference.check_place(&self.place)?;
        if self.functions().contains_key(&reference.name) {
            return Ok(());
        }
        Err(ApiError::not_found(message))
    }

    fn missing(&self, reference: &Reference) -> ApiError {
        let arn = self
            .place
            .arn(&reference.name, reference.qualifier.as_deref());
        ApiError::not_found(format!("Function not found: {arn}"))
    }
}
