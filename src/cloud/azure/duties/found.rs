//! What a place has, as far as its release asks for it. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Duties, SYNC_TAG, body::auth_body, fixed};
use crate::{
    cloud::azure::{
        flex::{FlexApp, always_ready, has_container, most_of},
        names::{Tags, tag},
        observe::tags_of,
    },
    manifest::azure::{AzureCors, Network, Scale},
    name::CodeDigest,
    observed::Fields,
};

/// A place as the cloud tells it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::cloud::azure) struct Found {
    /// `config/web`; not read where nothing in it is asked for.
    pub(in crate::cloud::azure) web: Option<Value>,
    /// `config/authsettingsV2`, likewise.
    pub(in crate::cloud::azure) auth: Option<Value>,
    /// `functionAppConfig`, on plans without slots.
    pub(in crate::cloud::azure) flex: Option<Value>,
    /// The app's own name.
    pub(in crate::cloud::azure) name: String,
    pub(in crate::cloud::azure) identity: Value,
    pub(in crate::cloud::azure) subnet: Option<String>,
    /// Id of its plan.
    pub(in crate::cloud::azure) plan: Option<String>,
    /// The kind of that plan.
    pub(in crate::cloud::azure) tier: Option<String>,
    pub(in crate::cloud::azure) https_only: Option<bool>,
    /// Who reads its secrets from the vault; the platform's own word for its own identity where it is its own.
    pub(in crate::cloud::azure) vault_identity: Option<String>,
    /// What the site itself tells of its configuration; null where it tells nothing.
    pub(in crate::cloud::azure) config: Value,
    pub(in crate::cloud::azure) host_names: Vec<String>,
    /// The platform was not told yet to look at its triggers.
    pub(in crate::cloud::azure) sync_due: bool,
    /// Names of settings that stay in a swap; not looked at on green, and nothing where there are no slots.
    pub(in crate::cloud::azure) kept: Option<BTreeSet<String>>,
    /// The API in front of it is as asked for, or nobody asks for one.
    pub(in crate::cloud::azure) has_front: bool,
}

impl Found {
    /// What a site's own answer tells.
    pub(in crate::cloud::azure) fn of_site(site: &Value) -> Self {
        let properties = &site["properties"];
        let names = properties["hostNames"].as_array().into_iter().flatten();
        let text = |name: &str| properties[name].as_str().map(str::to_owned);
        Self {
            web: None,
            auth: None,
            has_front: true,
            kept: None,
            sync_due: tag(&tags_of(site), SYNC_TAG).is_some(),
            plan: text("serverFarmId"),
            tier: text("sku"),
            https_only: properties["httpsOnly"].as_bool(),
            vault_identity: text("keyVaultReferenceIdentity"),
            config: fixed::told_config(site),
            flex: properties
                .get("functionAppConfig")
                .filter(|it| it.is_object())
                .cloned(),
            name: site["name"].as_str().unwrap_or_default().to_owned(),
            identity: site["identity"].clone(),
            subnet: text("virtualNetworkSubnetId"),
            host_names: names
                .filter_map(Value::as_str)
                .map(str::to_lowercase)
                .collect(),
        }
    }

    /// Who the app is: an id that roles are given to. Azure tells it some moments after it made the app.
    pub(in crate::cloud::azure) fn principal(&self, duties: &Duties) -> Option<&str> {
        let Some(identity) = &duties.identity else {
            return self.identity["principalId"].as_str();
        };
        let all = self.identity["userAssignedIdentities"].as_object()?;
        let own = all.iter().find(|(id, _)| id.eq_ignore_ascii_case(identity));
        own?.1["principalId"].as_str()
    }

    fn reads_vault_as(&self, duties: &Duties) -> bool {
        let identity = duties.identity.as_deref().unwrap_or_default();
        let found = self.vault_identity.as_deref();
        found.is_some_and(|it| it.eq_ignore_ascii_case(identity))
    }

    pub(in crate::cloud::azure) fn has_identity(&self, duties: &Duties) -> bool {
        let kind = self.identity["type"].as_str().unwrap_or_default();
        let all = self.identity["userAssignedIdentities"].as_object();
        match &duties.identity {
            None => kind.contains("SystemAssigned"),
            Some(id) => all.is_some_and(|all| all.keys().any(|it| it.eq_ignore_ascii_case(id))),
        }
    }
}

impl Duties {
    /// Whether `config/web` says anything that is asked for.
    pub(in crate::cloud::azure) fn concerns_web(&self) -> bool {
        let is_elsewhere = self.flex.is_some();
        self.cors.is_some() || !is_elsewhere && (self.network.is_some() || self.scale.is_some())
    }

    /// The fields of a place that has everything.
    pub(in crate::cloud::azure) fn fields(&self) -> Fields {
        self.told(|_, wanted| wanted.unwrap_or_default())
    }

    /// The fields of a place as it was found: those that the release asks for, and one more where the place has what another asked for.
    pub(in crate::cloud::azure) fn fields_of(&self, found: &Found, tags: &Tags) -> Fields {
        let web = found.web.as_ref().map(|web| &web["properties"]);
        let mut fields = self.told(|field, wanted| {
            let is = |is_so: bool| match is_so {
                true => wanted.clone().unwrap_or_default(),
                false => "otherwise".to_owned(),
            };
            match field {
                Field::Identity => is(found.has_identity(self)),
                Field::VaultIdentity => is(found.reads_vault_as(self)),
                Field::Cors => web.map_or_else(String::new, |web| cors_text(&cors_of(web))),
                Field::Network => self.network_of(found, web),
                Field::Scale(part) => match &found.flex {
                    Some(config) => flex_scale(config, part),
                    None => web.map_or_else(String::new, |web| scale_of(web, part)),
                },
                Field::Flex(path) => {
                    let config = found.flex.as_ref();
                    config.map_or_else(String::new, |config| flex_text(config, path))
                }
                Field::Container => is(found
                    .flex
                    .as_ref()
                    .is_some_and(|config| has_container(config, &found.name))),
                Field::Auth => is(self.has_auth(found)),
                Field::Api => is(found.has_front),
                Field::Tag(name) => tag(tags, name)
                    .cloned()
                    .unwrap_or_else(|| "missing".to_owned()),
                Field::Domain(name) => match found.host_names.iter().any(|it| it == name) {
                    true => wanted.unwrap_or_default(),
                    false => "not bound".to_owned(),
                },
            }
        });
        if !self.is_given(tags) {
            fields.insert("app".to_owned(), "as another release asked for".to_owned());
        }
        fields
    }

    /// Without slots all requests leave by the subnet, and nothing says so.
    fn network_of(&self, found: &Found, web: Option<&Value>) -> String {
        let route_all = match found.flex {
            Some(_) => self.network.as_ref().map(|it| it.route_all),
            None => web.and_then(|web| web["vnetRouteAllEnabled"].as_bool()),
        };
        network_text(found.subnet.as_deref(), route_all.unwrap_or_default())
    }

    fn has_auth(&self, found: &Found) -> bool {
        let wanted = auth_body(self.auth.as_ref());
        let has = |found: &Value| covers(&found["properties"], &wanted["properties"]);
        found.auth.as_ref().is_some_and(has)
    }

    fn told(&self, value: impl Fn(&Field<'_>, Option<String>) -> String) -> Fields {
        let mut fields = Fields::new();
        let mut tell = |path: &str, field: &Field<'_>, wanted: String| {
            fields.insert(format!("app.{path}"), value(field, Some(wanted)));
        };
        if let Some(identity) = &self.identity {
            tell("identity", &Field::Identity, identity.clone());
            tell("vault", &Field::VaultIdentity, identity.clone());
        }
        if let Some(cors) = &self.cors {
            tell("cors", &Field::Cors, cors_text(cors));
        }
        if let Some(Network { subnet, route_all }) = &self.network {
            let text = format!("{}{}", subnet.to_lowercase(), all(*route_all));
            tell("network", &Field::Network, text);
        }
        let Scale { most, ready, warm } = self.scale.unwrap_or_default();
        for (name, part, number) in [
            ("most", MOST, most),
            ("ready", "minimumElasticInstanceCount", ready),
            ("warm", "preWarmedInstanceCount", warm),
        ] {
            if let Some(number) = number {
                tell(
                    &format!("scale.{name}"),
                    &Field::Scale(part),
                    number.to_string(),
                );
            }
        }
        if let Some(FlexApp { runtime, memory }) = &self.flex {
            let (name, version) = runtime;
            tell("memory", &Field::Flex(MEMORY), memory.to_string());
            tell("runtime", &Field::Flex(RUNTIME), name.clone());
            tell("version", &Field::Flex(VERSION), version.clone());
            let own = "its own container".to_owned();
            tell("packages", &Field::Container, own);
        }
        if let Some(auth) = &self.auth {
            let text = auth_body(Some(auth)).to_string();
            let digest = CodeDigest::of(text.as_bytes()).short();
            tell("auth", &Field::Auth, digest);
        }
        if let Some(api) = &self.api {
            tell("api", &Field::Api, api.front.path.clone());
        }
        for (name, text) in &self.tags {
            tell(&format!("tag.{name}"), &Field::Tag(name), text.clone());
        }
        for name in &self.domains {
            tell(
                &format!("domain.{name}"),
                &Field::Domain(name),
                "bound".to_owned(),
            );
        }
        fields
    }
}

const MOST: &str = "functionAppScaleLimit";

/// One thing that a place has.
enum Field<'a> {
    Identity,
    /// Who reads its secrets.
    VaultIdentity,
    Cors,
    Network,
    Scale(&'a str),
    /// A part of `functionAppConfig`.
    Flex(&'a str),
    /// Where its packages are put.
    Container,
    Auth,
    Api,
    Tag(&'a str),
    Domain(&'a str),
}

/// Which pages may ask, by `config/web`.
pub(in crate::cloud::azure) fn cors_of(web: &Value) -> AzureCors {
    let cors = &web["cors"];
    let origins = cors["allowedOrigins"].as_array().into_iter().flatten();
    AzureCors {
        origins: origins
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        credentials: cors["supportCredentials"].as_bool().unwrap_or_default(),
    }
}

fn cors_text(cors: &AzureCors) -> String {
    let origins: Vec<&str> = cors.origins.iter().map(String::as_str).collect();
    let credentials = match cors.credentials {
        true => " with credentials",
        false => "",
    };
    format!("{}{credentials}", origins.join(","))
}

fn all(route_all: bool) -> &'static str {
    match route_all {
        true => " for all requests",
        false => "",
    }
}

fn network_text(subnet: Option<&str>, route_all: bool) -> String {
    let Some(subnet) = subnet else {
        return "none".to_owned();
    };
    format!("{}{}", subnet.to_lowercase(), all(route_all))
}

const MEMORY: &str = "/scaleAndConcurrency/instanceMemoryMB";
const RUNTIME: &str = "/runtime/name";
const VERSION: &str = "/runtime/version";

fn flex_text(config: &Value, path: &str) -> String {
    match config.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "unsaid".to_owned(),
    }
}

fn flex_scale(config: &Value, part: &str) -> String {
    match part {
        MOST => most_of(config).map_or_else(|| "unsaid".to_owned(), |most| most.to_string()),
        _ => always_ready(config).to_string(),
    }
}

fn scale_of(web: &Value, part: &str) -> String {
    match web[part].as_u64() {
        Some(number) => number.to_string(),
        None => "unsaid".to_owned(),
    }
}

/// Whether everything that is wanted is there; the cloud adds more by itself.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let empty = wanted.as_array().is_some_and(Vec::is_empty);
            found.get(key).map_or(empty, |found| covers(found, wanted))
        }),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (found, wanted) => found == wanted,
    }
}
