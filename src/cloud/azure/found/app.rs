//! What a Function App of others has, as a manifest asks for it, and what no manifest can ask for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    cloud::azure::duties::cors_of,
    import::clouds::is_secret,
    manifest::{
        azure::{Auth, AzureApp, AzureCors, Network, Scale, Sticky, Unauthenticated},
        spec::EnvValue,
    },
};

/// Origins that the platform itself allows, for its own pages.
const PORTAL: [&str; 3] = [
    "https://portal.azure.com",
    "https://ms.portal.azure.com",
    "https://functions.azure.com",
];

/// Settings of the platform that people set, and releases may ask for.
const SETTABLE: [&str; 8] = [
    "WEBSITE_TIME_ZONE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_DNS_ALT_SERVER",
    "WEBSITE_LOAD_CERTIFICATES",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_SWAP_WARMUP_PING_PATH",
    "WEBSITE_SWAP_WARMUP_PING_STATUSES",
    "WEBSITE_HEALTHCHECK_MAXPINGFAILURES",
];

/// How Entra ID's issuers begin; the tenant comes next.
const ISSUERS: [&str; 2] = [
    "https://login.microsoftonline.com/",
    "https://sts.windows.net/",
];

/// What is told of an app.
pub(super) struct Told<'a> {
    /// The whole answer.
    pub(super) site: &'a Value,
    /// The `properties` of the answers.
    pub(super) web: &'a Value,
    pub(super) auth: &'a Value,
    pub(super) sticky: BTreeSet<String>,
    /// What its variables are.
    pub(super) variables: &'a mut BTreeMap<String, String>,
}

type Left = Vec<(String, String)>;

/// What the app has. Variables that are taken over as settings are no variables any more.
pub(super) fn app(told: Told<'_>, left: &mut Left) -> AzureApp {
    let Told {
        site,
        web,
        auth,
        sticky,
        variables,
    } = told;
    rest(site, web, left);
    let properties = &site["properties"];
    AzureApp {
        name: site["name"].as_str().map(str::to_lowercase),
        settings: settings(variables),
        sticky: kept(sticky, variables, left),
        cors: cors(web),
        auth: tokens(auth, left),
        network: network(properties, web),
        scale: scale(web),
        domains: domains(properties),
        identity: identity(site, left),
        tags: tags(site),
        ..AzureApp::default()
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn settings(variables: &mut BTreeMap<String, String>) -> BTreeMap<String, String> {
    let taken = SETTABLE
        .iter()
        .filter_map(|name| variables.remove_entry(*name));
    taken.collect()
}

/// Settings that stay with production. What the slots beside it have is for people to say.
fn kept(
    names: BTreeSet<String>,
    variables: &mut BTreeMap<String, String>,
    left: &mut Left,
) -> BTreeMap<String, Sticky> {
    let mut kept = BTreeMap::new();
    for name in names {
        if name.starts_with("AzureWebJobs") {
            continue;
        }
        let is_plain = |value: &String| !is_secret(&name, value);
        let Some(value) = variables
            .get(&name)
            .filter(|value| is_plain(value))
            .cloned()
        else {
            continue;
        };
        variables.remove(&name);
        left.push((
            format!("azure.sticky.{name}.green"),
            "stays with its slot: write what green has, which was not read".to_owned(),
        ));
        let blue = Some(EnvValue::Plain(value));
        kept.insert(name, Sticky { blue, green: None });
    }
    kept
}

fn cors(web: &Value) -> Option<AzureCors> {
    let mut cors = cors_of(web);
    cors.origins.retain(|one| !PORTAL.contains(&one.as_str()));
    (!cors.origins.is_empty()).then_some(cors)
}

/// Whether anything is said at all: the platform writes what is empty, too.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => all.iter().any(says),
        Value::Object(all) => all.values().any(says),
    }
}

fn tokens(auth: &Value, left: &mut Left) -> Option<Auth> {
    if auth["platform"]["enabled"] != true {
        return None;
    }
    let providers = auth["identityProviders"].as_object();
    for (name, provider) in providers.into_iter().flatten() {
        let is_on = provider["enabled"] == true || name == "customOpenIdConnectProviders";
        if is_on && name != "azureActiveDirectory" {
            let why = "tokens of Entra ID are what the platform can be asked to check";
            left.push((format!("azure.auth.{name}"), why.to_owned()));
        }
    }
    let entra = &auth["identityProviders"]["azureActiveDirectory"];
    let registration = &entra["registration"];
    let issuer = registration["openIdIssuer"].as_str().unwrap_or_default();
    let tenant = ISSUERS.iter().find_map(|start| issuer.strip_prefix(start));
    let tenant = tenant.and_then(|rest| rest.split('/').next());
    let (Some(tenant), Some(client)) = (tenant, registration["clientId"].as_str()) else {
        let why = "names no tenant and application of Entra ID: write `auth` by hand";
        left.push(("azure.auth".to_owned(), why.to_owned()));
        return None;
    };
    for (name, value) in entra["validation"].as_object().into_iter().flatten() {
        if name != "allowedAudiences" && says(value) {
            let why = "lets in fewer than every application of the tenant, and no key says so: check it in the function";
            left.push((format!("azure.auth.{name}"), why.to_owned()));
        }
    }
    let validation = &auth["globalValidation"];
    let action = validation["unauthenticatedClientAction"].as_str();
    if action == Some("RedirectToLoginPage") {
        let why = "callers without a token are answered 401, and are led to no page";
        left.push(("azure.auth.unauthenticated".to_owned(), why.to_owned()));
    }
    let lets_in = validation["requireAuthentication"] == false || action == Some("AllowAnonymous");
    Some(Auth {
        tenant: tenant.to_owned(),
        client: client.to_owned(),
        audiences: texts(&entra["validation"]["allowedAudiences"])
            .map(str::to_owned)
            .collect(),
        unauthenticated: match lets_in {
            true => Unauthenticated::Allow,
            false => Unauthenticated::Refuse,
        },
        exclude: texts(&validation["excludedPaths"])
            .map(str::to_owned)
            .collect(),
    })
}

fn network(site: &Value, web: &Value) -> Option<Network> {
    let subnet = site["virtualNetworkSubnetId"].as_str()?;
    Some(Network {
        subnet: subnet.to_owned(),
        route_all: web["vnetRouteAllEnabled"].as_bool().unwrap_or_default(),
    })
}

/// Zero is the platform's word for no limit, and one for what it keeps warm anyway.
fn scale(web: &Value) -> Option<Scale> {
    let number = |name: &str, unsaid: u64| {
        let number = web[name].as_u64().filter(|number| *number > unsaid)?;
        u32::try_from(number).ok()
    };
    let scale = Scale {
        // What Consumption and Premium say by themselves.
        most: number("functionAppScaleLimit", 0).filter(|most| *most < 100),
        ready: number("minimumElasticInstanceCount", 0),
        warm: number("preWarmedInstanceCount", 1),
    };
    (scale != Scale::default()).then_some(scale)
}

fn domains(site: &Value) -> BTreeSet<String> {
    let own = site["defaultHostName"].as_str().unwrap_or_default();
    let all = texts(&site["hostNames"]).filter(|name| *name != own);
    all.filter(|name| !name.ends_with(".azurewebsites.net"))
        .map(str::to_lowercase)
        .collect()
}

fn identity(site: &Value, left: &mut Left) -> Option<String> {
    let all = site["identity"]["userAssignedIdentities"].as_object()?;
    let mut ids = all.keys();
    let first = ids.next().cloned();
    for other in ids {
        let why = format!("an app runs as one identity: `{other}` is not taken over");
        left.push(("azure.identity".to_owned(), why));
    }
    first
}

fn tags(site: &Value) -> BTreeMap<String, String> {
    let tags = super::tags_of(site).into_iter();
    tags.filter(|(name, _)| !name.starts_with("hidden-") && !name.starts_with("verdigris-"))
        .collect()
}

/// What is there and has no key.
fn rest(site: &Value, web: &Value, left: &mut Left) {
    let mut tell = |is_there: bool, path: &str, why: &str| {
        if is_there {
            left.push((path.to_owned(), why.to_owned()));
        }
    };
    let rules = web["ipSecurityRestrictions"].as_array();
    let is_rule = |rule: &Value| rule["ipAddress"] != "Any" || rule["action"] == "Deny";
    tell(
        rules.is_some_and(|rules| rules.iter().any(is_rule)),
        "restrictions",
        "who may reach the app by its address is no part of a release: keep it with Bicep or Terraform, or put API Management in front",
    );
    tell(
        site["properties"]["clientCertEnabled"] == true,
        "certificates",
        "certificates of callers are checked by no key: check them in the function, or put API Management in front",
    );
    tell(
        web["webSocketsEnabled"] == true,
        "webSockets",
        "functions take no web sockets",
    );
    tell(
        web["azureStorageAccounts"]
            .as_object()
            .is_some_and(|all| !all.is_empty()),
        "mounts",
        "no share is mounted: reach files by an SDK",
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whom_entra_lets_in_beside_the_audience_is_told_since_no_key_says_it() {
        let told = |validation: Value| {
            let registration =
                json!({ "clientId": "shop", "openIdIssuer": "https://sts.windows.net/tenant/" });
            let entra =
                json!({ "enabled": true, "registration": registration, "validation": validation });
            let auth = json!({ "platform": { "enabled": true }, "identityProviders": { "azureActiveDirectory": entra } });
            let mut left = Left::new();
            let taken = tokens(&auth, &mut left).map(|auth| auth.tenant);
            assert_eq!(taken.as_deref(), Some("tenant"));
            left.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        let nothing = json!({
            "allowedAudiences": ["api://shop"],
            "defaultAuthorizationPolicy": { "allowedPrincipals": {}, "allowedApplications": null },
            "jwtClaimChecks": { "allowedGroups": [] },
        });
        assert!(told(nothing).is_empty());
        let less = json!({
            "defaultAuthorizationPolicy": { "allowedApplications": ["one"] },
            "jwtClaimChecks": { "allowedGroups": ["staff"] },
        });
        let paths = [
            "azure.auth.defaultAuthorizationPolicy",
            "azure.auth.jwtClaimChecks",
        ];
        assert_eq!(told(less), paths);
    }
}
