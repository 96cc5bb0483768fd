//! What becomes of the provider: the environment.

use serde_yaml::{Mapping, Value};

use crate::{
    import::{
        Job,
        tree::{At, filled, map, put},
    },
    manifest,
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
    let location = location(job);
    let place = Place::of(job, &at);
    let azure = map([
        ("subscription", Some(place.subscription.clone().into())),
        ("resourceGroup", Some(place.group.clone().into())),
        ("location", Some(location.into())),
        ("plan", Some(plan(job, &at).into())),
        ("prefix", prefix(job, &at)),
        ("storage", named(job, &at, "storageAccount", is_account)),
        ("vault", vault(job, &at, &place)),
        ("insights", insights(job, &at, &place)),
        ("apiManagement", management(job, &at, &place)),
        ("tags", tags(job, &at)),
    ]);
    let mut spec = Mapping::new();
    put(&mut spec, "azure", azure);
    spec
}

/// Where everything of the file lies.
struct Place {
    subscription: String,
    group: String,
}

impl Place {
    fn of(job: &mut Job<'_>, at: &At<'_>) -> Self {
        let location = location(job);
        let service = job.stack.service.clone();
        Self {
            subscription: subscription(job, at),
            group: group(job, at, &location, &service),
        }
    }

    fn id(&self, kind: &str, name: &str) -> String {
        let Self {
            subscription,
            group,
        } = self;
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}")
    }
}

fn location(job: &Job<'_>) -> String {
    job.stack.region.to_lowercase().split_whitespace().collect()
}

/// The subnet that the app's own requests leave by.
pub(super) fn network(job: &mut Job<'_>, root: &At<'_>) -> Option<Value> {
    let at = root.get("provider")?;
    let network = at.get("virtualNetwork")?;
    let name = network.get("name").and_then(|at| at.text());
    let (Some(name), false) = (name, plan(job, &at) == "Y1") else {
        job.ledger.impossible(
            &network,
            "no subnet is reached from plan `Y1`, and none that has no name: choose `EP1`, and write `azure.network.subnet`",
        );
        return None;
    };
    if at.get("type").and_then(|at| at.text()).as_deref() == Some("ase") {
        job.ledger.impossible(
            &network,
            "an app of an App Service Environment is in its network already: keep it with Bicep or Terraform",
        );
        return None;
    }
    let place = Place::of(job, &at);
    let subnet = format!(
        "{}/subnets/default",
        place.id("Microsoft.Network/virtualNetworks", &name)
    );
    job.ledger.changed(
        &network,
        "spec.azure.network.subnet, which must be there and be delegated to Microsoft.Web/serverFarms",
    );
    job.ledger.todo("look at `azure.network.subnet` of each service: the file names a network, and Serverless calls its subnet `default`");
    map([("subnet", Some(subnet.into()))])
}

/// The name of something that is there already and is used on.
fn named(job: &mut Job<'_>, at: &At<'_>, key: &str, is_name: fn(&str) -> bool) -> Option<Value> {
    let name = at.get(key)?.get("name")?;
    let text = name.text()?;
    if !is_name(&text) {
        job.ledger
            .impossible(&name, "is no name that Azure takes: one is made");
        return None;
    }
    let field = if key == "storageAccount" {
        "storage"
    } else {
        "vault"
    };
    job.ledger.taken(
        &name,
        format!("spec.azure.{field} of the environment: it is used as it is"),
    );
    Some(text.into())
}

fn is_account(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=24).contains(&text.len()) && text.bytes().all(is_part)
}

fn is_vault(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (3..=24).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(is_part)
        && !text.ends_with('-')
        && !text.contains("--")
}

fn vault(job: &mut Job<'_>, at: &At<'_>, place: &Place) -> Option<Value> {
    let config = at.get("keyVaultConfig")?;
    if let Some(group) = config.get("resourceGroup") {
        if group
            .text()
            .is_some_and(|text| !text.eq_ignore_ascii_case(&place.group))
        {
            job.ledger.impossible(
                &config,
                "the vault lies in the resource group of the environment: one is made there; copy the secrets",
            );
            return None;
        }
        job.ledger
            .taken(&group, "spec.azure.resourceGroup of the environment");
    }
    named(job, at, "keyVaultConfig", is_vault)
}

fn insights(job: &mut Job<'_>, at: &At<'_>, place: &Place) -> Option<Value> {
    let name = at.get("appInsights")?.get("name")?;
    let text = name.text()?;
    job.ledger.taken(
        &name,
        "spec.azure.insights.component of the environment: it is used as it is",
    );
    let id = place.id("Microsoft.Insights/components", &text);
    map([("component", Some(id.into()))])
}

/// API Management itself is kept by people: the one that Serverless made stays.
fn management(job: &mut Job<'_>, at: &At<'_>, place: &Place) -> Option<Value> {
    let apim = at.get("apim").filter(|at| !at.is_false())?;
    let name = apim.get("name");
    let text = name.as_ref().and_then(At::text).unwrap_or_else(|| {
        job.ledger.todo(
            "look at `apiManagement` of each environment: Serverless made that name by itself",
        );
        format!("{}-apim", place.group.trim_end_matches("-rg"))
    });
    if let Some(name) = &name {
        job.ledger.taken(
            name,
            "spec.azure.apiManagement of the environment: it is used as it is, and must be there",
        );
    }
    Some(place.id("Microsoft.ApiManagement/service", &text).into())
}

fn tags(job: &mut Job<'_>, at: &At<'_>) -> Option<Value> {
    let mut tags = Mapping::new();
    for (name, at) in at.get("tags")?.entries() {
        let lower = name.to_lowercase();
        let is_taken = ["verdigris-", "microsoft", "azure", "windows"];
        let is_bad = name.contains(['<', '>', '%', '&', '\\', '?', '/'])
            || is_taken.iter().any(|start| lower.starts_with(start));
        match at.text().filter(|text| !is_bad && text.len() <= 256) {
            Some(text) => {
                job.ledger.taken(&at, "spec.azure.tags of the environment");
                put(&mut tags, &name, Some(text.into()));
            }
            None => job
                .ledger
                .impossible(&at, "is no tag that Azure takes, or one of its own"),
        }
    }
    filled(tags)
}

fn subscription(job: &mut Job<'_>, at: &At<'_>) -> String {
    let written = at.get("subscriptionId");
    let text = written.as_ref().and_then(At::text).unwrap_or_default();
    let is_id = text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    match (written, is_id) {
        (Some(at), true) => {
            job.ledger
                .taken(&at, "spec.azure.subscription of the environment");
            text
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
            SUBSCRIPTION.to_owned()
        }
    }
}

/// Serverless makes the name of prefix, region, stage and service.
fn group(job: &mut Job<'_>, at: &At<'_>, location: &str, service: &str) -> String {
    if let Some(at) = at.get("resourceGroup")
        && let Ok(text) = job.stack.text(at.value)
    {
        job.ledger
            .taken(&at, "spec.azure.resourceGroup of the environment");
        return text;
    }
    job.ledger
        .todo("look at `resourceGroup` of each environment: Serverless made that name by itself");
    let prefix = at
        .get("prefix")
        .and_then(|at| at.text())
        .unwrap_or_else(|| "sls".to_owned());
    format!("{prefix}-{location}-{}-{service}-rg", job.stack.stage)
}

fn plan(job: &mut Job<'_>, at: &At<'_>) -> &'static str {
    let sku = at.get("appServicePlan").and_then(|plan| plan.get("sku"));
    let name = sku.as_ref().and_then(|sku| sku.get("name"));
    let known = name
        .as_ref()
        .and_then(At::text)
        .and_then(|name| manifest::plan(&name));
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
    known.unwrap_or(plan)
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
    if let Some(at) = at.get("hostingEnvironment") {
        job.ledger.impossible(&at, NOT_MADE);
    }
    if let Some(at) = at.get("appInsights").filter(|at| at.get("name").is_none()) {
        job.ledger.changed(
            &at,
            "write `insights` into the environment's `azure`: a component that is there, or a workspace to have one made on",
        );
    }
    if let Some(at) = at
        .get("storageAccount")
        .filter(|at| at.get("name").is_none())
    {
        job.ledger.changed(
            &at,
            "made where there is none, and reached by the app's own identity",
        );
    }
    if at.get("keyVaultConfig").is_some() {
        job.ledger
            .todo("`@Microsoft.KeyVault(…)` in variables is `{ secret: name }` here");
    }
    let plan = at.get("appServicePlan");
    for key in ["name", "hostingEnvironment"] {
        if let Some(at) = plan.as_ref().and_then(|plan| plan.get(key)) {
            job.ledger
                .changed(&at, "a plan is made for each environment");
        }
    }
}
