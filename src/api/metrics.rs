//! `/metrics` in Prometheus' text form: what the process counted, and how the services stand. Labels are bounded: no service's name is one.

use std::fmt::Write as _;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;

use super::{Site, problem::ProblemDocument, read::fleet::counted};
use crate::status::{row::Summary, service::phase::ServicePhase};

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

fn write(text: &mut String, site: &Site) -> std::fmt::Result {
    let Summary {
        services,
        attention,
        ready,
        rolling,
        suspended,
        phases,
        environments,
        clouds,
    } = counted(site);
    let mut gauge = |name: &str, help: &str, rows: Vec<(String, usize)>| -> std::fmt::Result {
        writeln!(
            text,
            "# HELP verdigris_{name} {help}\n# TYPE verdigris_{name} gauge"
        )?;
        for (labels, value) in rows {
            writeln!(text, "verdigris_{name}{labels} {value}")?;
        }
        Ok(())
    };
    let plain = |value: usize| vec![(String::new(), value)];
    gauge("services", "Services that are known.", plain(services))?;
    gauge(
        "services_ready",
        "Services whose newest commit is live.",
        plain(ready),
    )?;
    gauge(
        "services_attention",
        "Services that a person should look at.",
        plain(attention),
    )?;
    gauge(
        "services_suspended",
        "Services that are suspended.",
        plain(suspended),
    )?;
    gauge("rollouts_active", "Rollouts under way.", plain(rolling))?;
    gauge(
        "workqueue_depth",
        "Services that wait for a pass.",
        plain(site.api.handle.queue_depth()),
    )?;
    let phase = |phase: ServicePhase| {
        let count = phases.get(&phase).copied().unwrap_or(0);
        (format!("{{phase=\"{}\"}}", phase.as_str()), count)
    };
    let by_phase = ServicePhase::ALL.into_iter().map(phase).collect();
    gauge("services_by_phase", "Services in each phase.", by_phase)?;
    let environment = |(name, count)| (format!("{{environment=\"{name}\"}}"), count);
    let by_environment = environments.into_iter().map(environment).collect();
    gauge(
        "services_by_environment",
        "Services in each environment.",
        by_environment,
    )?;
    let by_health = clouds.into_iter().flat_map(|(cloud, healths)| {
        let row = move |(health, count): (crate::status::service::target::Health, usize)| {
            (
                format!("{{cloud=\"{cloud}\",health=\"{}\"}}", health.as_str()),
                count,
            )
        };
        healths.into_iter().map(row)
    });
    gauge(
        "targets",
        "Targets of each cloud by health.",
        by_health.collect(),
    )?;
    let is_ready = |source: &crate::status::source::SourceReport| {
        (
            format!("{{repository=\"{}\"}}", source.name),
            usize::from(source.is_ready()),
        )
    };
    let sources = site.api.sources.borrow().iter().map(is_ready).collect();
    gauge("source_ready", "Whether a repository can be read.", sources)
}
