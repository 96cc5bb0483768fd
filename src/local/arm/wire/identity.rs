//! What Azure's clients ask for first: discovery, tokens, tenants and subscriptions.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

/// Tokens are good for an hour.
const TOKEN_SECONDS: i64 = 3600;

/// Answers what is asked for before there is a token; `None` for everything else.
pub(in crate::local::arm) fn before_token(
    cloud: &Cloud,
    method: &Method,
    path: &[String],
    base: &str,
) -> Option<Answer> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (method.as_str(), path.as_slice()) {
        ("GET", ["metadata", "endpoints"]) => Some(Answer::ok(metadata(cloud, base))),
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
            Some(Answer::ok(openid(base, tenant)))
        }
        ("GET", [tenant, ".well-known", "openid-configuration"]) => {
            Some(Answer::ok(openid(base, tenant)))
        }
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => Some(token(cloud, base, tenant, 2)),
        ("POST", [tenant, "oauth2", "token"]) => Some(token(cloud, base, tenant, 1)),
        ("GET", ["common", "discovery", "instance"]) => Some(Answer::ok(instance(cloud, base))),
        _ => None,
    }
}

fn metadata(cloud: &Cloud, base: &str) -> Value {
    json!({
        "name": "VerdigrisLocal",
        "portal": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": [base, "https://management.azure.com/", "https://management.core.windows.net/"],
            "tenant": cloud.options.tenant,
            "identityProvider": "AAD",
        },
        "media": base,
        "graphAudience": base,
        "graph": base,
        "microsoftGraphResourceId": base,
        "activeDirectoryDataLake": base,
        "batch": base,
        "gallery": base,
        "resourceManager": base,
        "sqlManagement": base,
        "vmImageAliasDoc": base,
        "logAnalyticsResourceId": base,
        "suffixes": {
            "storage": "core.local",
            "keyVaultDns": "vault.local",
            "sqlServerHostname": "database.local",
            "acrLoginServer": "azurecr.local",
        },
    })
}

fn openid(base: &str, tenant: &str) -> Value {
    json!({
        "issuer": format!("{base}/{tenant}/v2.0"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": base,
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    })
}

fn instance(cloud: &Cloud, base: &str) -> Value {
    let tenant = &cloud.options.tenant;
    json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [],
    })
}

/// Any credential gets a token: who may do what is not what this endpoint is about.
fn token(cloud: &Cloud, base: &str, tenant: &str, version: u8) -> Answer {
    let now = cloud.clock.now().millis() / 1000;
    let claims = json!({
        "aud": "https://management.azure.com/",
        "iss": format!("{base}/{tenant}/v2.0"),
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "tid": tenant,
        "oid": "00000000-0000-0000-0000-0000000000bb",
        "appid": "00000000-0000-0000-0000-0000000000cc",
        "sub": "verdigris-local",
        "ver": "1.0",
    });
    let header = json!({"typ": "JWT", "alg": "none"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    // Shaped like a signed token, since clients split it at its dots; there is nothing to verify it against.
    let token = format!(
        "{}.{}.{}",
        part(&header),
        part(&claims),
        URL_SAFE_NO_PAD.encode("local")
    );
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "ext_expires_in": TOKEN_SECONDS,
        "access_token": token,
    });
    if version == 1 {
        body["expires_in"] = json!(TOKEN_SECONDS.to_string());
        body["expires_on"] = json!((now + TOKEN_SECONDS).to_string());
        body["resource"] = json!("https://management.azure.com/");
    }
    Answer::ok(body)
}

pub(in crate::local::arm) fn tenants(cloud: &Arc<Cloud>, _: &Call) -> Result<Answer, ArmError> {
    let tenant = &cloud.options.tenant;
    let body = json!({
        "id": format!("/tenants/{tenant}"),
        "tenantId": tenant,
        "displayName": "Verdigris local",
        "tenantCategory": "Home",
    });
    Ok(Answer::ok(json!({"value": [body]})))
}

/// The configured subscription, and any other that something was made in.
pub(in crate::local::arm) fn subscriptions(
    cloud: &Arc<Cloud>,
    _: &Call,
) -> Result<Answer, ArmError> {
    let configured = cloud.options.subscription.clone();
    let state = cloud.state();
    let of_group = |id: &str| id.split('/').nth(2).map(str::to_ascii_lowercase);
    let groups = state.world.groups.values();
    let used: BTreeSet<String> = groups.filter_map(|group| of_group(&group.id)).collect();
    let others = used
        .into_iter()
        .filter(|id| !id.eq_ignore_ascii_case(&configured));
    let all: Vec<Value> = std::iter::once(configured.clone())
        .chain(others)
        .map(|id| subscription_body(cloud, &id))
        .collect();
    let count = json!({"type": "Total", "value": all.len()});
    Ok(Answer::ok(json!({"value": all, "count": count})))
}

pub(in crate::local::arm) fn subscription(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    Ok(Answer::ok(subscription_body(
        cloud,
        call.arg("subscription"),
    )))
}

fn subscription_body(cloud: &Cloud, id: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{id}"),
        "authorizationSource": "RoleBased",
        "subscriptionId": id,
        "tenantId": cloud.options.tenant,
        "displayName": "Verdigris local",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    })
}
