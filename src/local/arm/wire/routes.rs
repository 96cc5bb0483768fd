//! The catalogue: which method and path is which operation, and who carries it out.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;

use crate::local::arm::{
    catalogue,
    cloud::Cloud,
    resources::{
        components, containers, fronts, functions, groups, insights, places, plans, settings,
        site_names, sites, tags,
    },
    slots::{deployment, swap},
    trust::{references, roles, vaults},
    wire::{
        activity,
        answer::{Answer, ArmError},
        call::{Call, fit},
        identity,
    },
};

/// Carries out an operation. None of them waits: what takes time goes on as a long-running operation.
pub(in crate::local::arm) type Handler = fn(&Arc<Cloud>, &Call) -> Result<Answer, ArmError>;

/// One line of the catalogue.
pub(in crate::local::arm) struct Route {
    method: &'static str,
    pattern: &'static str,
    /// The operation's name, for faults and counts.
    pub operation: &'static str,
    pub handler: Handler,
}

const fn route(
    method: &'static str,
    pattern: &'static str,
    operation: &'static str,
    handler: Handler,
) -> Route {
    Route {
        method,
        pattern,
        operation,
        handler,
    }
}

/// What stands before the patterns of [`SITE`]: the site alone is its production slot.
const SITE_BEFORE: &str =
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}";

/// Segments of [`SITE_BEFORE`], and where a slot's name follows.
const SITE_SEGMENTS: usize = 8;
const SLOT_SEGMENTS: usize = SITE_SEGMENTS + 2;

#[rustfmt::skip]
const PLAIN: &[Route] = &[
    route("GET", "/tenants", "tenants.list", identity::tenants),
    route("GET", "/subscriptions", "subscriptions.list", identity::subscriptions),
    route("GET", "/subscriptions/{subscription}", "subscriptions.get", identity::subscription),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values", "activity.list", activity::list),
    route("POST", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Insights/components/{component}/query", "insights.query", insights::query),
    route("GET", "/subscriptions/{subscription}/locations", "locations.list", catalogue::locations),
    route("GET", "/subscriptions/{subscription}/resourceGroups", "groups.list", groups::list),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}", "groups.put", groups::put),
    route("PATCH", "/subscriptions/{subscription}/resourceGroups/{group}", "groups.patch", groups::patch),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}", "groups.get", groups::get),
    route("HEAD", "/subscriptions/{subscription}/resourceGroups/{group}", "groups.head", groups::head),
    route("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}", "groups.delete", groups::delete),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/resources", "resources.list", groups::resources),
    route("GET", "/subscriptions/{subscription}/resources", "resources.list", groups::resources),
    route("GET", "/subscriptions/{subscription}/operationresults/{operation}", "operations.get", groups::operation_result),
    route("POST", "/subscriptions/{subscription}/providers/Microsoft.Storage/checkNameAvailability", "storage.checkname", plans::check_account_name),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}", "storage.put", plans::put_account),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}", "storage.get", plans::get_account),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.Storage/locations/{location}/asyncoperations/{operation}", "operations.get", plans::account_made),
    route("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}", "storage.delete", plans::delete_account),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{container}", "containers.put", containers::put),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{container}", "containers.get", containers::get),
    route("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{container}", "containers.delete", containers::delete),
    route("POST", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}/listKeys", "storage.listkeys", plans::account_keys),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}", "vaults.put", vaults::put),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}", "vaults.get", vaults::get),
    route("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}", "vaults.delete", vaults::delete),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}/secrets/{secret}", "secrets.put", vaults::put_secret),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}/secrets/{secret}", "secrets.get", vaults::get_secret),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}", "vaults.deleted", vaults::get_deleted),
    route("POST", "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}/purge", "vaults.purge", vaults::purge),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Insights/components/{component}", "insights.put", components::put),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Insights/components/{component}", "insights.get", components::get),
    route("GET", "/providers/Microsoft.Web/functionAppStacks", "stacks.list", catalogue::stacks),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.Web/geoRegions", "georegions.list", catalogue::geo_regions),
    route("POST", "/subscriptions/{subscription}/providers/Microsoft.Web/checknameavailability", "sites.checkname", site_names::check),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.Web/serverfarms", "plans.list", plans::list),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/serverfarms", "plans.list", plans::list),
    route("PUT", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/serverfarms/{plan}", "plans.put", plans::put),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/serverfarms/{plan}", "plans.get", plans::get),
    route("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/serverfarms/{plan}", "plans.delete", plans::delete),
    route("GET", "/subscriptions/{subscription}/providers/Microsoft.Web/sites", "sites.list", sites::list),
    route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites", "sites.list", sites::list),
];

/// Operations of a site and of each of its slots alike; the operation `sites.…` is called `slots.…` on a slot.
#[rustfmt::skip]
const SITE: &[Route] = &[
    route("PUT", "/", "sites.put", sites::put),
    route("PATCH", "/", "sites.patch", sites::patch),
    route("GET", "/", "sites.get", sites::get),
    route("HEAD", "/", "sites.head", sites::get),
    route("DELETE", "/", "sites.delete", sites::delete),
    route("GET", "/slots", "slots.list", sites::list_slots),
    route("POST", "/start", "start", sites::start),
    route("POST", "/stop", "stop", sites::stop),
    route("POST", "/restart", "restart", sites::restart),
    route("PUT", "/config/appsettings", "appsettings.put", settings::put_app_settings),
    route("POST", "/config/appsettings/list", "appsettings.list", settings::list_app_settings),
    route("PUT", "/config/connectionstrings", "connectionstrings.put", settings::put_connections),
    route("POST", "/config/connectionstrings/list", "connectionstrings.list", settings::list_connections),
    route("PUT", "/config/slotConfigNames", "slotconfignames.put", settings::put_sticky),
    route("GET", "/config/slotConfigNames", "slotconfignames.get", settings::get_sticky),
    route("GET", "/config/web", "config.get", settings::get_web),
    route("PUT", "/config/web", "config.put", settings::put_web),
    route("PATCH", "/config/web", "config.patch", settings::patch_web),
    route("PUT", "/config/authsettingsV2", "auth.put", places::put_auth),
    route("GET", "/config/authsettingsV2", "auth.get", places::get_auth),
    route("GET", "/config/authsettingsV2/list", "auth.get", places::get_auth),
    route("GET", "/config/configreferences/appsettings", "references.list", references::list),
    route("PUT", "/hostNameBindings/{hostname}", "hostnames.put", places::bind),
    route("DELETE", "/hostNameBindings/{hostname}", "hostnames.delete", places::unbind),
    route("GET", "/hostNameBindings", "hostnames.list", places::bindings),
    route("GET", "/hostruntime/admin/host/status", "host.status", places::host_status),
    route("POST", "/config/publishingcredentials/list", "publishingcredentials.list", settings::credentials),
    route("POST", "/publishxml", "publishxml", settings::publish_profiles),
    route("GET", "/basicPublishingCredentialsPolicies/{policy}", "publishingpolicies.get", settings::policy),
    route("GET", "/basicPublishingCredentialsPolicies", "publishingpolicies.list", settings::policies),
    route("GET", "/functions", "functions.list", functions::list),
    route("GET", "/functions/{function}", "functions.get", functions::get),
    route("POST", "/host/default/listkeys", "host.listkeys", functions::host_keys),
    route("PUT", "/host/default/{kind}/{key}", "host.putkey", functions::put_host_key),
    route("POST", "/functions/{function}/listkeys", "functions.listkeys", functions::function_keys),
    route("POST", "/host/default/sync", "host.sync", functions::sync),
    route("POST", "/syncfunctiontriggers", "syncfunctiontriggers", functions::sync),
    route("POST", "/slotsswap", "slotsswap", swap::swap),
    route("POST", "/applySlotConfig", "applyslotconfig", swap::apply_config),
    route("POST", "/resetSlotConfig", "resetslotconfig", swap::reset_config),
    route("GET", "/operationresults/{operation}", "operations.get", swap::result),
    route("PUT", "/extensions/onedeploy", "onedeploy", deployment::one_deploy),
    route("GET", "/extensions/onedeploy", "onedeploy.get", deployment::last_deployment),
    route("GET", "/deployments", "deployments.list", deployment::arm_deployments),
    route("GET", "/deploymentStatus/{deployment}", "deploymentstatus.get", deployment::deployment_status),
    route("GET", "/providers/Microsoft.Resources/tags/default", "tags.get", tags::get),
    route("PUT", "/providers/Microsoft.Resources/tags/default", "tags.put", tags::put),
    route("PATCH", "/providers/Microsoft.Resources/tags/default", "tags.patch", tags::patch),
];

/// An operation with what its path captured.
pub(in crate::local::arm) struct Found {
    pub operation: &'static str,
    pub handler: Handler,
    pub captured: BTreeMap<&'static str, String>,
}

/// The operation that a method and a path ask for.
pub(in crate::local::arm) fn find(method: &Method, path: &[String]) -> Option<Found> {
    if let Some(found) = fronts_at(method, path) {
        return Some(found);
    }
    if let Some(found) = roles_at(method, path) {
        return Some(found);
    }
    let (head, rest) = path.split_at_checked(SITE_SEGMENTS).unwrap_or((path, &[]));
    let Some(site) = fit(SITE_BEFORE, head) else {
        return pick(PLAIN, method, path);
    };
    let names_slot = |path: &[String]| {
        path.len() >= SLOT_SEGMENTS && path[SITE_SEGMENTS].eq_ignore_ascii_case("slots")
    };
    let (slot, rest) = if names_slot(path) {
        (Some(path[SITE_SEGMENTS + 1].clone()), &rest[2..])
    } else {
        (None, rest)
    };
    let mut found = pick(SITE, method, rest)?;
    found.captured.extend(site);
    if let Some(slot) = slot {
        found.captured.insert("slot", slot);
        found.operation = slot_operation(found.operation);
    }
    Some(found)
}

/// API Management: a service, its APIs, and what is in each, all kept alike.
fn fronts_at(method: &Method, path: &[String]) -> Option<Found> {
    let provider = path.get(5)?;
    if !provider.eq_ignore_ascii_case("Microsoft.ApiManagement") {
        return None;
    }
    // Types and names in turn: an odd number of parts names a list.
    let is_list = path.len() % 2 == 1;
    let is_status = |part: &String| part.eq_ignore_ascii_case("operationResults");
    let (operation, handler): (&'static str, Handler) = match (method.as_str(), is_list) {
        ("GET", true) if path.get(9).is_some_and(is_status) => ("operations.get", fronts::status),
        ("GET", false) => ("api.get", fronts::get),
        ("GET", true) => ("api.list", fronts::list),
        ("PUT", false) => ("api.put", fronts::put),
        ("DELETE", false) => ("api.delete", fronts::delete),
        _ => return None,
    };
    let captured = BTreeMap::from([
        ("subscription", path.get(1)?.clone()),
        ("group", path.get(3)?.clone()),
    ]);
    Some(Found {
        operation,
        handler,
        captured,
    })
}

/// Roles are given on resources of any kind, whose ids stand before.
fn roles_at(method: &Method, path: &[String]) -> Option<Found> {
    let is = |at: usize, word: &str| path.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word));
    let at = (0..path.len())
        .rev()
        .find(|at| is(*at, "Microsoft.Authorization"))?;
    let provider = at
        .checked_sub(1)
        .filter(|before| is(*before, "providers"))?;
    if !is(at + 1, "roleAssignments") {
        return None;
    }
    let scope = format!("/{}", path[..provider].join("/"));
    let mut captured = BTreeMap::from([("scope", scope)]);
    captured.extend(path.get(1).map(|id| ("subscription", id.clone())));
    let handler: (&'static str, Handler) = match (method.as_str(), path.get(at + 2)) {
        ("GET", None) => ("roles.list", roles::list),
        ("PUT", Some(_)) => ("roles.put", roles::put),
        ("DELETE", Some(_)) => ("roles.delete", roles::delete),
        _ => return None,
    };
    captured.extend(path.get(at + 2).map(|name| ("assignment", name.clone())));
    Some(Found {
        operation: handler.0,
        handler: handler.1,
        captured,
    })
}

fn pick(routes: &'static [Route], method: &Method, path: &[String]) -> Option<Found> {
    let of_method = routes
        .iter()
        .filter(|route| route.method == method.as_str());
    of_method.into_iter().find_map(|route| {
        Some(Found {
            captured: fit(route.pattern, path)?,
            operation: route.operation,
            handler: route.handler,
        })
    })
}

fn slot_operation(operation: &'static str) -> &'static str {
    match operation {
        "sites.put" => "slots.put",
        "sites.patch" => "slots.patch",
        "sites.get" => "slots.get",
        "sites.head" => "slots.head",
        "sites.delete" => "slots.delete",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::arm::wire::call::segments;

    #[test]
    fn paths_find_their_operations() {
        let site = "/subscriptions/s/resourcegroups/g/providers/Microsoft.Web/sites/app";
        let cases = [
            ("PUT", String::new(), "sites.put", ""),
            ("PUT", "/slots/green".to_owned(), "slots.put", "green"),
            ("GET", "/slots".to_owned(), "slots.list", ""),
            (
                "POST",
                "/slots/green/slotsswap".to_owned(),
                "slotsswap",
                "green",
            ),
            (
                "POST",
                "/slots/green/config/AppSettings/list".to_owned(),
                "appsettings.list",
                "green",
            ),
        ];
        for (method, tail, operation, slot) in cases {
            let path = segments(&format!("{site}{tail}"));
            let found = find(&method.parse().unwrap(), &path).unwrap();
            assert_eq!(found.operation, operation, "{method} {tail}");
            let named = found.captured.get("slot").map_or("", String::as_str);
            assert_eq!(named, slot, "{method} {tail}");
            assert_eq!(found.captured["site"], "app");
        }
        assert!(find(&Method::GET, &segments("/nothing")).is_none());
    }
}
