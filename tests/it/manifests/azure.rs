//! The `azure:` of services and of environments.

use verdigris::manifest::{
    azure::{AzureApp, Insights, Unauthenticated},
    differences::differences,
    fault::Fault,
};

use super::{PROD, read, told};

const SUBNET: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/shop/subnets/functions";
const IDENTITY: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/stock";
const APIM: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop/providers/Microsoft.ApiManagement/service/shop";

const FUNCTIONS: &str = "
  functions:
    api: { handler: app:app, http: / }
    reorder: { handler: app:reorder, queue: orders }
";

fn document(azure: &str) -> String {
    let indented = azure.replace('\n', "\n    ");
    format!(
        "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: {{ name: stock }}\nspec:\n  runtime: python3.13\n  source: services/stock{FUNCTIONS}  azure:\n    {indented}\n"
    )
}

fn environment(plan: &str, more: &str) -> String {
    let more = more.replace('\n', "\n    ");
    let prod = PROD.replace("plan: EP1", &format!("plan: {plan}"));
    format!("{}    {more}\n", prod.trim_start())
}

/// What is told of a service's `azure` in an environment with this plan, without the place in the file.
fn faults_on(plan: &str, more: &str, azure: &str) -> String {
    let prod = environment(plan, more);
    let set = read(&[("prod.yaml", &prod), ("a.yaml", &document(azure))]);
    let told = told(&set);
    let bare = told
        .lines()
        .filter(|line| !line.contains("means nothing to aws"))
        .filter_map(|line| Some(line.split_once(": ")?.1));
    bare.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn asked(azure: &str) -> AzureApp {
    let prod = environment("EP1", &format!("apiManagement: {APIM}"));
    let set = read(&[("prod.yaml", &prod), ("a.yaml", &document(azure))]);
    let mut faults = set.faults.iter();
    assert!(!faults.any(Fault::is_error), "{}", told(&set));
    let service = &set.services.values().next().unwrap().service;
    service.azure.as_deref().cloned().unwrap_or_default()
}

fn full() -> String {
    format!(
        r#"settings: {{ WEBSITE_TIME_ZONE: UTC }}
sticky:
  MODE: {{ blue: live, green: test }}
  KEY: {{ blue: {{ secret: live-key }} }}
host: {{ functionTimeout: "00:05:00", extensions: {{ queues: {{ batchSize: 4 }} }} }}
cors: {{ origins: ["https://shop.example"], credentials: true }}
auth: {{ tenant: 11111111-2222-3333-4444-555555555555, client: 22222222-2222-3333-4444-555555555555, audiences: ["api://stock"], exclude: [/health] }}
network: {{ subnet: {SUBNET}, routeAll: true }}
scale: {{ most: 10, ready: 2, warm: 1 }}
domains: [stock.shop.example]
identity: {IDENTITY}
roles: {{ reads: {{ role: 2A2B9908-6EA1-4AE2-8E65-A410DF84E7D1, scope: {SUBNET} }} }}
tags: {{ team: shop }}
api:
  path: /shop/stock/
  cors: {{ origins: ["*"] }}
  token: {{ openid: "https://login.example/.well-known/openid-configuration", audiences: ["api://stock"] }}
  addresses: [203.0.113.7, 203.0.113.1-203.0.113.9]
  headers: {{ X-Tenant: {{ values: [a, b], status: 403 }} }}"#
    )
}

#[test]
fn a_service_says_what_its_app_has() {
    let app = asked(&full());
    assert_eq!(
        app.auth.as_ref().unwrap().unauthenticated,
        Unauthenticated::Refuse
    );
    assert_eq!(app.scale.unwrap().ready, Some(2));
    assert_eq!(app.sticky["KEY"].green, None);
    assert_eq!(app.host["extensions"]["queues"]["batchSize"], 4);
    let api = app.api.as_ref().unwrap();
    assert_eq!(
        (api.path.as_str(), api.headers["x-tenant"].status),
        ("shop/stock", Some(403))
    );
    assert_eq!(
        app.roles["reads"].role,
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    );
    let json = serde_json::to_string(&app).unwrap();
    assert_eq!(serde_json::from_str::<AzureApp>(&json).unwrap(), app);
    assert_eq!(
        serde_json::from_str::<AzureApp>("{}").unwrap(),
        AzureApp::default()
    );
}

#[test]
fn a_plan_tells_what_differs_and_no_value_that_may_be_secret() {
    let old = asked(&full()).told();
    let new = asked(
        &full()
            .replace("most: 10", "most: 20")
            .replace("live, green", "other, green"),
    );
    let told = differences("azure", Some(&old), Some(&new.told()));
    let lines: Vec<String> = told
        .into_iter()
        .map(|it| format!("{} {} {}", it.path, it.from, it.to))
        .collect();
    let [scale, mode] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(scale, "azure.scale.most 10 20");
    assert!(mode.starts_with("azure.sticky.MODE.blue."), "{mode}");
    assert!(!mode.contains("live") && !mode.contains("other"), "{mode}");
}

/// What stands under `azure`, and what is told of it.
const REFUSED: &[(&str, &str)] = &[
    (
        "settings: { FUNCTIONS_WORKER_RUNTIME: node }",
        "is no setting of yours (help: remove it: it is set by Verdigris or by the platform)",
    ),
    (
        "settings: { AzureWebJobs.reorder.Disabled: \"false\" }",
        "switches a function off (help: remove it: queues and schedules run on blue alone, and Verdigris sees to that)",
    ),
    (
        "settings: { A: \"1\" }\nsticky: { A: { blue: b } }",
        "stands in `settings` too (help: keep one: a setting stays with its slot or moves with the code)",
    ),
    (
        "sticky: { A: {} }",
        "has no value on any slot (help: write `{ blue: …, green: … }`, or one of the two)",
    ),
    ("host: { version: \"2.0\" }", "is not yours to write"),
    (
        "host: { extensions: { http: { routePrefix: api } } }",
        "`routePrefix` would move every function (help: remove it: both clouds answer at the paths of `http`)",
    ),
    (
        "cors: { origins: [shop.example] }",
        "is no origin (help: `*`, or scheme and host, such as `https://shop.example`)",
    ),
    (
        "cors: { origins: [] }",
        "is empty (help: name at least one, such as `https://shop.example`)",
    ),
    (
        "cors: { origins: [\"*\"], credentials: true }",
        "does not go with the origin `*` (help: name the origins: browsers send credentials to nobody who trusts everybody)",
    ),
    (
        "auth: { tenant: shop, client: 22222222-2222-3333-4444-555555555555 }",
        "is no id of a tenant (help: such as `11111111-2222-3333-4444-555555555555`)",
    ),
    (
        "network: { subnet: functions }",
        "is no id of a resource of type `Microsoft.Network/virtualNetworks/subnets` (help: such as `/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Network/virtualNetworks/NAME/subnets/NAME`)",
    ),
    (
        "scale: { most: 1, ready: 2 }",
        "keeps 2 ready of 1 that may be (help: keep at most what `most` allows)",
    ),
    (
        "scale: { ready: 21 }",
        "is not from 0 to 20 (help: Azure allows no other number)",
    ),
    (
        "domains: [shop.azurewebsites.net]",
        "is no host name (help: such as `stock.shop.example`)",
    ),
    (
        "roles: { reads: { role: Reader, scope: /subscriptions/x } }",
        "is no id of a role's definition (help: the UUID that `az role definition list --name NAME` shows as `name`)",
    ),
    (
        "tags: { verdigris-owner: me }",
        "is taken (help: tags that start with `verdigris-` are Verdigris's, with `microsoft`, `azure` or `windows` Azure's)",
    ),
    (
        "tags: { a: x, A: y }",
        "Azure cannot tell it from another (help: names must differ in more than case)",
    ),
    (
        "preview: true",
        "a previewed swap gives green the switches of blue, so that `reorder` would run on both (help: remove `preview`, or put queues and schedules into a service of their own)",
    ),
    (
        "api: { path: shop }",
        "the environment names no API Management (help: add `apiManagement: /subscriptions/…` to the environment's `azure`, or remove `api`)",
    ),
    (
        "api: { path: \"a b\" }",
        "is no path below a gateway's address (help: such as `shop/stock`)",
    ),
    (
        "api: { path: shop, addresses: [10.0.0.9-10.0.0.1] }",
        "is no IPv4 address and no range (help: such as `203.0.113.7` or `203.0.113.1-203.0.113.9`)",
    ),
    (
        "api: { path: shop, headers: { X: { status: 200 } } }",
        "is no status that refuses a request (help: 401 without the key; 403 and 404 are usual too)",
    ),
    (
        "api: { path: shop, token: { openid: \"http://x\" } }",
        "is no address of an OpenID configuration",
    ),
    (
        "cros: {}",
        "spec.azure.cros: unknown key (help: did you mean `cors`?)",
    ),
];

#[test]
fn what_azure_does_not_take_is_told_with_the_way_out() {
    for (azure, expected) in REFUSED {
        let told = faults_on("EP1", "", azure);
        assert!(
            told.contains(expected),
            "`{azure}` is told as:\n{told}\nand not:\n{expected}"
        );
    }
}

#[test]
fn what_a_plan_does_not_have_is_told_where_service_and_environment_meet() {
    let network = format!("network: {{ subnet: {SUBNET} }}");
    for azure in [network.clone(), format!("{network}\nscale: {{ most: 5 }}")] {
        assert_eq!(
            faults_on("Y1", "", &azure),
            "spec.azure: in `prod`: plan Y1 reaches no subnet (help: remove `network`, or take a plan that has one of yours, such as `EP1`)"
        );
    }
    assert_eq!(faults_on("EP1", "", &network), "");
    let told = faults_on("S1", "", "scale: { ready: 1 }");
    assert_eq!(
        told,
        "spec.azure: in `prod`: plan S1 keeps no instance ready for one app (help: remove `ready` and `warm`, or take a plan `EP1`, `EP2`, `EP3` or `FC1`)"
    );
    assert_eq!(faults_on("FC1", "", "scale: { most: 40, ready: 1 }"), "");
    for (azure, expected) in [
        ("scale: { warm: 1 }", "keeps no instance warm"),
        ("preview: true", "has no slots, and so no preview of a swap"),
        ("domains: [a.shop.example]", "now one app is blue"),
    ] {
        let told = faults_on("FC1", "", azure);
        assert!(told.contains(expected), "`{azure}` is told as:\n{told}");
    }
}

#[test]
fn an_environment_says_what_its_services_share() {
    let more = format!(
        "storage: shopdata\nvault: shop-secrets\nidentity: {IDENTITY}\ngrantRoles: false\ninsights: {{ workspace: {} }}\ntags: {{ costs: \"17\" }}",
        APIM.replace(
            "Microsoft.ApiManagement/service",
            "Microsoft.OperationalInsights/workspaces"
        )
    );
    let set = read(&[("prod.yaml", &environment("EP1", &more))]);
    let azure = set.environments.values().next().unwrap().azure.as_ref();
    let shared = &azure.unwrap_or_else(|| panic!("{}", told(&set))).shared;
    assert_eq!(shared.storage.as_deref(), Some("shopdata"));
    assert!(shared.roles_by_people);
    assert!(matches!(shared.insights, Some(Insights::Workspace(_))));

    for (more, expected) in [
        ("storage: Shop-Data", "is no name of a storage account"),
        ("vault: 1shop", "is no name of a Key Vault"),
        ("insights: {}", "needs one of two keys"),
        ("identity: stock", "is no id of a resource of type"),
        (
            "apiManagement: shop",
            "`Microsoft.ApiManagement/service` (help: such as",
        ),
        ("tags: { azure-x: y }", "is taken"),
    ] {
        let set = read(&[("prod.yaml", &environment("EP1", more))]);
        let told = told(&set);
        assert!(told.contains(expected), "`{more}` is told as:\n{told}");
    }
}
