//! Logs to standard error or a file, and the recorder of metrics.

use std::{fs::File, sync::Arc};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{self, time::SystemTime},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// How a line of the log reads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged where nothing else is said: our own doings, and of libraries only what is wrong.
pub const FILTER: &str = "warn,verdigris=info";

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter `{filter}` cannot be used: write it like `{FILTER}`")]
    Filter { filter: String, source: ParseError },
    #[error("logs are set up already")]
    Logs(#[from] TryInitError),
    #[error("failed to set up metrics")]
    Metrics(#[from] BuildError),
}

/// Sends logs to standard error. `filter` is written as `tracing-subscriber` has it: `warn,verdigris=debug`.
///
/// # Errors
///
/// A filter that cannot be one; logs that are set up already.
pub fn logs(format: LogFormat, filter: &str, is_colored: bool) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(parse(filter)?);
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(is_colored);
    match format {
        LogFormat::Text => registry.with(lines).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

/// Sends logs to a file, for people. `filter` is as in [`logs`].
///
/// # Errors
///
/// As [`logs`].
pub fn logs_to_file(file: File, filter: &str) -> Result<(), TelemetryError> {
    let lines = fmt::layer()
        .with_writer(Arc::new(file))
        .with_timer(SystemTime)
        .with_ansi(false);
    let registry = tracing_subscriber::registry().with(parse(filter)?);
    registry.with(lines).try_init()?;
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

/// Starts to count. The handle gives the text that `/metrics` answers with.
///
/// # Errors
///
/// Metrics that are set up already.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}
