//! What becomes of the provider: the environment.

use serde_yaml::{Mapping, Value};

use super::map;
use crate::import::{
    Job,
    tree::{At, put},
};

const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

const NOT_MADE: &str = "is not made here: keep it with Bicep or Terraform";

pub(super) fn environment(job: &mut Job<'_>, root: &At<'_>) -> Mapping {
    let at = root.get("provider").unwrap_or_else(|| root.clone());
    for (key, told) in [
        ("name", "spec.azure of the environment"),
        ("stage", "stages are environments"),
        ("region", "spec.azure.location of the environment"),
    ] {
        if let Some(at) = at.get(key) {
            job.ledger.taken(&at, told);
        }
    }
    resources(job, &at);
    let location: String = job.stack.region.to_lowercase().split_whitespace().collect();
    let service = job.stack.service.clone();
    let group = group(job, &at, &location, &service);
    let azure = map([
        ("subscription", Some(subscription(job, &at))),
        ("resourceGroup", Some(group)),
        ("location", Some(location.into())),
        ("plan", Some(plan(job, &at))),
        ("prefix", prefix(job, &at)),
    ]);
    let mut spec = Mapping::new();
    put(&mut spec, "azure", azure);
    spec
}

fn subscription(job: &mut Job<'_>, at: &At<'_>) -> Value {
    let written = at.get("subscriptionId");
    let text = written.as_ref().and_then(At::text).unwrap_or_default();
    let is_id = text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    match (written, is_id) {
        (Some(at), true) => {
            job.ledger
                .taken(&at, "spec.azure.subscription of the environment");
            text.into()
        }
        (at, _) => {
            if let Some(at) = at {
                job.ledger.impossible(
                    &at,
                    "is known to Serverless only: write it as `subscription` of the environment",
                );
            }
            job.ledger
                .todo("write the id of the subscription as `subscription` of each environment");
            SUBSCRIPTION.into()
        }
    }
}

/// Serverless makes the name of prefix, region, stage and service.
fn group(job: &mut Job<'_>, at: &At<'_>, location: &str, service: &str) -> Value {
    if let Some(at) = at.get("resourceGroup")
        && let Ok(text) = job.stack.text(at.value)
    {
        job.ledger
            .taken(&at, "spec.azure.resourceGroup of the environment");
        return text.into();
    }
    job.ledger
        .todo("look at `resourceGroup` of each environment: Serverless made that name by itself");
    let prefix = at
        .get("prefix")
        .and_then(|at| at.text())
        .unwrap_or_else(|| "sls".to_owned());
    format!("{prefix}-{location}-{}-{service}-rg", job.stack.stage).into()
}

/// Plans that have slots.
const SKUS: [&str; 14] = [
    "Y1", "EP1", "EP2", "EP3", "S1", "S2", "S3", "P0v3", "P1v2", "P2v2", "P3v2", "P1v3", "P2v3",
    "P3v3",
];

fn plan(job: &mut Job<'_>, at: &At<'_>) -> Value {
    let sku = at.get("appServicePlan").and_then(|plan| plan.get("sku"));
    let name = sku.as_ref().and_then(|sku| sku.get("name"));
    let known = name
        .as_ref()
        .and_then(At::text)
        .and_then(|name| SKUS.iter().find(|sku| sku.eq_ignore_ascii_case(&name)));
    let field = "spec.azure.plan of the environment";
    if let Some(sku) = &sku {
        match known {
            Some(_) => job.ledger.taken(sku, field),
            None => job
                .ledger
                .changed(sku, format!("{field}: one that has slots")),
        }
    }
    let kind = at.get("type");
    let word = kind.as_ref().and_then(At::text).unwrap_or_default();
    let plan = match word.as_str() {
        "premium" => "EP1",
        "ase" => "I1v2",
        _ => "Y1",
    };
    if let Some(kind) = &kind {
        job.ledger.taken(kind, field);
    }
    known.map_or(plan, |sku| *sku).into()
}

fn prefix(job: &mut Job<'_>, at: &At<'_>) -> Option<Value> {
    let at = at.get("prefix")?;
    let text = at.text().unwrap_or_default();
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    if (1..=16).contains(&text.len()) && text.bytes().all(is_part) && ends_well {
        job.ledger
            .taken(&at, "spec.azure.prefix of the environment");
        return Some(text.into());
    }
    job.ledger.impossible(
        &at,
        "a prefix has at most 16 lower-case letters, digits and hyphens: one is made up",
    );
    None
}

/// What the provider makes besides apps.
fn resources(job: &mut Job<'_>, at: &At<'_>) {
    for key in ["hostingEnvironment", "virtualNetwork", "apim"] {
        if let Some(at) = at.get(key) {
            job.ledger.impossible(&at, NOT_MADE);
        }
    }
    for (key, told) in [
        (
            "appInsights",
            "an instance for each environment comes with the plan's apps, or is kept with Bicep or Terraform",
        ),
        (
            "storageAccount",
            "made where there is none, and reached by the app's own identity",
        ),
    ] {
        if let Some(at) = at.get(key) {
            job.ledger.changed(&at, told);
        }
    }
    if let Some(at) = at.get("keyVaultConfig") {
        job.ledger.changed(&at, "secrets are `{ secret: name }`, in the key vault that the daemon's configuration names");
    }
    if let Some(tags) = at.get("tags") {
        job.ledger.impossible(
            &tags,
            "no key of manifests says so: tag the resource group itself",
        );
    }
    let plan = at.get("appServicePlan");
    for key in ["name", "hostingEnvironment"] {
        if let Some(at) = plan.as_ref().and_then(|plan| plan.get(key)) {
            job.ledger
                .changed(&at, "a plan is made for each environment");
        }
    }
}
