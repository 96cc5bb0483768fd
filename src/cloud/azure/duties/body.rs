//! Duties as the bodies that give them to a place. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Duties;
use crate::{
    cloud::azure::{flex::flex_config, names::Names},
    manifest::azure::{Auth, Unauthenticated},
};

impl Duties {
    /// Who the app is.
    pub(in crate::cloud::azure) fn identity_body(&self) -> Value {
        match &self.identity {
            None => json!({ "type": "SystemAssigned" }),
            Some(id) => {
                let one = BTreeMap::from([(id, json!({}))]);
                json!({ "type": "UserAssigned", "userAssignedIdentities": one })
            }
        }
    }

    /// Adds what the place has to a site's body. Where nothing was ever asked for nothing is said, and so nothing is reset.
    pub(in crate::cloud::azure) fn add_to(
        &self,
        names: &Names,
        deployment: Option<&Value>,
        was_settled: bool,
        body: &mut Value,
    ) {
        body["identity"] = self.identity_body();
        let properties = &mut body["properties"];
        if let (Some(app), Some(deployment)) = (&self.flex, deployment) {
            properties["functionAppConfig"] = flex_config(app, self.scale, deployment);
        }
        if let Some(identity) = &self.identity {
            properties["keyVaultReferenceIdentity"] = json!(identity);
        } else if was_settled {
            properties["keyVaultReferenceIdentity"] = json!("SystemAssigned");
        }
        match &self.network {
            Some(network) => properties["virtualNetworkSubnetId"] = json!(network.subnet),
            None if was_settled => properties["virtualNetworkSubnetId"] = Value::Null,
            None => {}
        }
        let config = self.site_config(names, was_settled);
        match properties["siteConfig"].as_object_mut() {
            Some(known) => known.extend(config),
            None => properties["siteConfig"] = Value::Object(config),
        }
    }

    fn site_config(&self, names: &Names, resets: bool) -> Map<String, Value> {
        let mut config = Map::new();
        let mut say = |name: &str, value: Option<Value>, otherwise: Value| {
            let value = value.or_else(|| resets.then_some(otherwise));
            config.extend(value.map(|value| (name.to_owned(), value)));
        };
        let cors = self.cors.as_ref().map(|cors| {
            json!({ "allowedOrigins": cors.origins, "supportCredentials": cors.credentials })
        });
        let nobody = json!({ "allowedOrigins": [], "supportCredentials": false });
        say("cors", cors, nobody);
        if self.flex.is_some() {
            return config;
        }
        let network = self.network.as_ref().map(|it| json!(it.route_all));
        say("vnetRouteAllEnabled", network, json!(false));
        let scale = self.scale.unwrap_or_default();
        let number = |number: Option<u32>| number.map(|number| json!(number));
        let plan = &names.target.plan;
        say("functionAppScaleLimit", number(scale.most), json!(0));
        if plan.is_elastic() {
            say("minimumElasticInstanceCount", number(scale.ready), json!(0));
            say("preWarmedInstanceCount", number(scale.warm), json!(1));
        }
        if names.is_dedicated() {
            // Without it the host sleeps when nobody calls, and schedules with it.
            say("alwaysOn", Some(json!(true)), json!(true));
        }
        config
    }
}

/// `authsettingsV2`; nobody checks anything where there is none.
pub(super) fn auth_body(auth: Option<&Auth>) -> Value {
    let Some(auth) = auth else {
        return json!({ "properties": { "platform": { "enabled": false } } });
    };
    let Auth {
        tenant,
        client,
        audiences,
        unauthenticated,
        exclude,
    } = auth;
    let (is_required, action) = match unauthenticated {
        Unauthenticated::Refuse => (true, "Return401"),
        Unauthenticated::Allow => (false, "AllowAnonymous"),
    };
    json!({ "properties": {
        "platform": { "enabled": true },
        "globalValidation": {
            "requireAuthentication": is_required,
            "unauthenticatedClientAction": action,
            "excludedPaths": exclude,
        },
        "httpSettings": { "requireHttps": true },
        "identityProviders": { "azureActiveDirectory": {
            "enabled": true,
            "registration": {
                "openIdIssuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
                "clientId": client,
            },
            "validation": { "allowedAudiences": audiences },
        }},
        "login": { "tokenStore": { "enabled": false } },
    }})
}
