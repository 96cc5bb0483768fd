//! Settings that refer to a secret: what they lead to, and where they do not, why.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Trust, principals};
use crate::local::arm::{
    cloud::Cloud,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

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
        principals: &BTreeSet<String>,
    ) -> Result<&str, &'static str> {
        let mut vaults = self.vaults.values();
        let vault = vaults.find(|vault| vault.resource.name.eq_ignore_ascii_case(reference.vault));
        let vault = vault.ok_or("VaultNotFound")?;
        if principals.is_empty() {
            return Err("MSINotEnabled");
        }
        let may = |principal: &String| self.may(principal, SECRETS_USER, &vault.resource.id);
        if !principals.iter().any(may) {
            return Err("AccessToKeyVaultDenied");
        }
        let secret = vault.secrets.get(reference.secret);
        secret.map(String::as_str).ok_or("SecretNotFound")
    }

    /// Settings as the code sees them: a reference that leads nowhere stays as it is written.
    pub(in crate::local::arm) fn resolved(
        &self,
        settings: BTreeMap<String, String>,
        principals: &BTreeSet<String>,
    ) -> BTreeMap<String, String> {
        let value = |value: String| {
            let found = Reference::of(&value).map(|it| self.resolve(&it, principals));
            match found {
                Some(Ok(secret)) => secret.to_owned(),
                Some(Err(_)) | None => value,
            }
        };
        settings
            .into_iter()
            .map(|(name, text)| (name, value(text)))
            .collect()
    }
}

/// What becomes of each reference in a slot's settings.
pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let (id, settings, principals) = {
        let state = cloud.state();
        let (site, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
        (
            slot.id.clone(),
            site.effective_settings(slot),
            principals(slot),
        )
    };
    let trust = cloud.trust();
    let all = settings.iter().filter_map(|(name, value)| {
        let reference = Reference::of(value)?;
        let status = match trust.resolve(&reference, &principals) {
            Ok(_) => "Resolved",
            Err(word) => word,
        };
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
