//! The blocks below a service's `azure:`.

use std::collections::BTreeMap;

use super::super::{
    super::{
        azure::{Auth, AzureCors, Network, RoleGrant, Scale},
        raw::{At, AuthText, AzureCorsText, Named, NetworkText, Report, RoleText, ScaleText},
    },
    bounded, value,
};
use super::{is_uuid, resource, words};

pub(super) fn cors(written: &At<AzureCorsText>, report: &mut Report) -> AzureCors {
    let AzureCorsText {
        origins,
        credentials,
    } = &written.value;
    if let Some(none) = origins.as_ref().filter(|at| at.value.is_empty()) {
        let help = "name at least one, such as `https://shop.example`";
        report.fault(&none.place.key(), "is empty", help);
    }
    let help = "`*`, or scheme and host, such as `https://shop.example`";
    let cors = AzureCors {
        origins: words(origins, is_origin, "is no origin", help, report),
        credentials: value(credentials).unwrap_or_default(),
    };
    if let Some(at) = credentials
        .as_ref()
        .filter(|at| at.value && cors.origins.contains("*"))
    {
        let help = "name the origins: browsers send credentials to nobody who trusts everybody";
        report.fault(&at.place, "does not go with the origin `*`", help);
    }
    cors
}

fn is_origin(text: &str) -> bool {
    let host = ["https://", "http://"]
        .iter()
        .find_map(|it| text.strip_prefix(it));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

pub(super) fn auth(written: &At<AuthText>, report: &mut Report) -> Option<Auth> {
    let AuthText {
        tenant,
        client,
        audiences,
        unauthenticated,
        exclude,
    } = &written.value;
    let id = |at: &Option<At<String>>, what: &str, report: &mut Report| {
        let at = at.as_ref()?;
        if is_uuid(&at.value) {
            return Some(at.value.clone());
        }
        let help = "such as `11111111-2222-3333-4444-555555555555`";
        report.fault(&at.place, format!("is no id of {what}"), help);
        None
    };
    let tenant = id(tenant, "a tenant", report);
    let client = id(client, "an app registration", report);
    Some(Auth {
        audiences: words(
            audiences,
            |text| !text.is_empty(),
            "is empty",
            "such as `api://…`",
            report,
        ),
        unauthenticated: value(unauthenticated).unwrap_or_default(),
        exclude: words(
            exclude,
            |text| text.starts_with('/'),
            "is no path",
            "such as `/health`",
            report,
        ),
        tenant: tenant?,
        client: client?,
    })
}

pub(super) fn network(written: &At<NetworkText>, report: &mut Report) -> Option<Network> {
    let NetworkText { subnet, route_all } = &written.value;
    Some(Network {
        subnet: resource(subnet, "Microsoft.Network/virtualNetworks/subnets", report)?,
        route_all: value(route_all).unwrap_or_default(),
    })
}

pub(super) fn scale(written: &At<ScaleText>, report: &mut Report) -> Scale {
    let ScaleText { most, ready, warm } = &written.value;
    if let (Some(most), Some(ready)) = (most, ready)
        && ready.value > most.value
    {
        let message = format!("keeps {} ready of {} that may be", ready.value, most.value);
        report.fault(&ready.place, message, "keep at most what `most` allows");
    }
    Scale {
        most: bounded(most, 1..=1000, "Azure", report),
        ready: bounded(ready, 0..=20, "Azure", report),
        warm: bounded(warm, 0..=10, "Azure", report),
    }
}

pub(super) fn roles(
    written: &Option<At<Named<String, RoleText>>>,
    report: &mut Report,
) -> BTreeMap<String, RoleGrant> {
    let mut checked = BTreeMap::new();
    for (name, text) in written.iter().flat_map(|at| &at.value.0) {
        let RoleText { role, scope } = &text.value;
        let (Some(role), Some(scope)) = (role, scope) else {
            continue;
        };
        if !is_uuid(&role.value) {
            let help = "the UUID that `az role definition list --name NAME` shows as `name`";
            report.fault(&role.place, "is no id of a role's definition", help);
        }
        let is_scope = scope.value.starts_with("/subscriptions/")
            && !scope.value.ends_with('/')
            && scope.value.chars().all(|c| c.is_ascii_graphic());
        if !is_scope {
            let help =
                "the id of a resource, a group or a subscription, such as `/subscriptions/ID/…`";
            report.fault(&scope.place, "is nothing that a role is given on", help);
        }
        let grant = RoleGrant {
            role: role.value.to_ascii_lowercase(),
            scope: scope.value.clone(),
        };
        checked.insert(name.value.clone(), grant);
    }
    checked
}
