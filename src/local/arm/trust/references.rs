//! Settings that refer to a secret: what they lead to, and where they do not, why.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::Trust;
use crate::{
    local::arm::{
        cloud::Cloud,
        wire::{
            answer::{Answer, ArmError},
            call::Call,
            page,
        },
    },
    name::Timestamp,
};

/// What became of references, by the settings that they stand in.
pub(in crate::local::arm) type Fetched = BTreeMap<String, &'static str>;

/// `Key Vault Secrets User`.
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// `@Microsoft.KeyVault(VaultName=shop;SecretName=db)`.
struct Reference<'a> {
    vault: &'a str,
    secret: &'a str,
}

impl<'a> Reference<'a> {
    fn of(value: &'a str) -> Option<Self> {
        let inner = value
            .strip_prefix("@Microsoft.KeyVault(")?
            .strip_suffix(')')?;
        let part = |name: &str| {
            let mut parts = inner.split(';').filter_map(|part| part.split_once('='));
            parts.find_map(|(key, value)| {
                key.trim()
                    .eq_ignore_ascii_case(name)
                    .then_some(value.trim())
            })
        };
        Some(Self {
            vault: part("VaultName")?,
            secret: part("SecretName")?,
        })
    }
}

impl Trust {
    /// The secret, or the word for why there is none.
    fn resolve(
        &self,
        reference: &Reference<'_>,
        (principals, now): (&BTreeSet<String>, Timestamp),
    ) -> Result<&str, &'static str> {
        let mut vaults = self.vaults.values();
        let vault = vaults.find(|vault| vault.resource.name.eq_ignore_ascii_case(reference.vault));
        let vault = vault.ok_or("VaultNotFound")?;
        if principals.is_empty() {
            return Err("MSINotEnabled");
        }
        let may = |principal: &String| {
            let vault = (vault.resource.id.as_str(), now);
            self.may(principal, SECRETS_USER, vault)
        };
        if !principals.iter().any(may) {
            return Err("AccessToKeyVaultDenied");
        }
        let secret = vault.secrets.get(reference.secret);
        secret.map(String::as_str).ok_or("SecretNotFound")
    }

    /// Settings as the code sees them: a reference that leads nowhere stays as it is written. And what became of each.
    pub(in crate::local::arm) fn resolved(
        &self,
        mut settings: BTreeMap<String, String>,
        who: (&BTreeSet<String>, Timestamp),
    ) -> (BTreeMap<String, String>, Fetched) {
        let mut fetched = Fetched::new();
        for (name, value) in &mut settings {
            let Some(found) = Reference::of(value).map(|it| self.resolve(&it, who)) else {
                continue;
            };
            let word = found.map_or_else(|word| word, |_| "Resolved");
            fetched.insert(name.clone(), word);
            if let Ok(secret) = found {
                *value = secret.to_owned();
            }
        }
        (settings, fetched)
    }
}

/// What became of each reference in a slot's settings, when they were followed the last time: when the app was made.
pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    let (id, settings) = {
        let state = cloud.state();
        let (site, slot) = state.site(&key).ok_or_else(|| call.no_site())?;
        (slot.id.clone(), site.effective_settings(slot))
    };
    let fetched = cloud.doors.fetched(&key);
    let all = settings.iter().filter_map(|(name, value)| {
        let reference = Reference::of(value)?;
        let status = fetched.get(name).copied().unwrap_or("Initialized");
        Some(render(&id, name, value, &reference, status))
    });
    page::answer(cloud, call, all, |body| body)
}

fn render(id: &str, name: &str, value: &str, reference: &Reference<'_>, status: &str) -> Value {
    json!({
        "id": format!("{id}/config/configreferences/appsettings/{name}"),
        "name": name,
        "type": "Microsoft.Web/sites/config/configreferences",
        "properties": {
            "reference": value,
            "status": status,
            "vaultName": reference.vault,
            "secretName": reference.secret,
            "source": "KeyVault",
            "details": "",
        },
    })
}
