//! `/metrics` in Prometheus' text form: what the process counted, and how the services stand. Labels are bounded: no service's name is one.

use std::fmt::Write as _;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;

use super::{Site, problem::ProblemDocument, read::fleet::counted};
use crate::status::{row::Summary, service::phase::ServicePhase, source::SourceReport};

#[utoipa::path(
    get,
    path = "/metrics",
    summary = "Numbers for Prometheus.",
    tag = "daemon",
    responses(
        (status = 200, body = String, content_type = "text/plain; version=0.0.4"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(super) async fn metrics(State(site): State<Site>) -> Response {
    let mut text = site
        .api
        .metrics
        .as_ref()
        .map(|handle| handle.render())
        .unwrap_or_default();
    // Writing to a text cannot fail.
    write(&mut text, &site).ok();
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, text).into_response()
}

/// Rows of one number: labels and value.
type Rows = Vec<(String, usize)>;

fn write(text: &mut String, site: &Site) -> std::fmt::Result {
    let summary = counted(site);
    let plain = |value: usize| vec![(String::new(), value)];
    let depth = site.api.handle.queue_depth();
    let gauges: [(&str, &str, Rows); 10] = [
        (
            "services",
            "Services that are known.",
            plain(summary.services),
        ),
        (
            "services_ready",
            "Services whose newest commit is live.",
            plain(summary.ready),
        ),
        (
            "services_attention",
            "Services that a person should look at.",
            plain(summary.attention),
        ),
        (
            "services_suspended",
            "Services that are suspended.",
            plain(summary.suspended),
        ),
        (
            "rollouts_active",
            "Rollouts under way.",
            plain(summary.rolling),
        ),
        (
            "workqueue_depth",
            "Services that wait for a pass.",
            plain(depth),
        ),
        (
            "services_by_phase",
            "Services in each phase.",
            by_phase(&summary),
        ),
        (
            "services_by_environment",
            "Services in each environment.",
            by_environment(&summary),
        ),
        (
            "targets",
            "Targets of each cloud by health.",
            by_health(&summary),
        ),
        (
            "source_ready",
            "Whether a repository can be read.",
            by_source(site),
        ),
    ];
    for (name, help, rows) in gauges {
        writeln!(
            text,
            "# HELP verdigris_{name} {help}\n# TYPE verdigris_{name} gauge"
        )?;
        for (labels, value) in rows {
            writeln!(text, "verdigris_{name}{labels} {value}")?;
        }
    }
    Ok(())
}

fn by_phase(summary: &Summary) -> Rows {
    let row = |phase: ServicePhase| {
        let count = summary.phases.get(&phase).copied().unwrap_or(0);
        (format!("{{phase=\"{}\"}}", phase.as_str()), count)
    };
    ServicePhase::ALL.into_iter().map(row).collect()
}

fn by_environment(summary: &Summary) -> Rows {
    let environments = summary.environments.iter();
    environments
        .map(|(name, count)| (format!("{{environment=\"{name}\"}}"), *count))
        .collect()
}

fn by_health(summary: &Summary) -> Rows {
    let mut rows = Vec::new();
    for (cloud, healths) in &summary.clouds {
        for (health, count) in healths {
            let health = health.as_str();
            rows.push((format!("{{cloud=\"{cloud}\",health=\"{health}\"}}"), *count));
        }
    }
    rows
}

fn by_source(site: &Site) -> Rows {
    let row = |source: &SourceReport| {
        let labels = format!("{{repository=\"{}\"}}", source.name);
        (labels, usize::from(source.is_ready()))
    };
    site.api.sources.borrow().iter().map(row).collect()
}
