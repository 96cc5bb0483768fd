//! Who we are to Azure, where the configuration or the environment says so.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::SecretString;
use url::Url;

use super::{
    check::secret,
    raw::{RawIdentity, RawText, RawWay},
};
use crate::{
    cloud::azure::{AzureIdentity, AzureSource, Principal},
    name::EnvironmentName,
};

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The ways of all environments, and of each that has its own. `None` is the vendor's chain.
pub(super) fn identities(
    raw: BTreeMap<String, RawIdentity>,
    env: Env<'_>,
) -> Result<BTreeMap<EnvironmentName, Option<AzureSource>>, String> {
    let mut checked = BTreeMap::new();
    for (name, raw) in raw {
        let told = |message: String| format!("clouds.azure.identities: `{name}`: {message}");
        let environment = EnvironmentName::new(name.clone());
        let environment = environment.map_err(|error| told(error.to_string()))?;
        checked.insert(environment, identity(raw, env).map_err(told)?);
    }
    Ok(checked)
}

/// One way; `None` is the vendor's chain.
pub(super) fn identity(raw: RawIdentity, env: Env<'_>) -> Result<Option<AzureSource>, String> {
    let way = raw.from;
    let given = Given { raw, env };
    given.only_what_is_asked_for()?;
    Ok(match way {
        RawWay::Chain => None,
        RawWay::Secret => Some(AzureSource::Secret {
            principal: given.principal()?,
            secret: given.secret()?,
        }),
        RawWay::Certificate => Some(AzureSource::Certificate {
            principal: given.principal()?,
            file: given.file(&given.raw.certificate, CERTIFICATE)?,
            with_chain: given.raw.send_chain.unwrap_or_default(),
        }),
        RawWay::Federated => Some(AzureSource::Federated {
            principal: given.principal()?,
            file: given.file(&given.raw.token_file, TOKEN_FILE)?,
        }),
        RawWay::Managed => Some(AzureSource::Managed {
            client: given.optional(&given.raw.client, "client")?,
            metadata: address(given.env, METADATA)?,
        }),
        RawWay::Cli => Some(AzureSource::Cli {
            tenant: given.optional(&given.raw.tenant, "tenant")?,
        }),
    })
}

/// A field, and the vendor's variable that is read where it is not written.
type Named = (&'static str, &'static str);

const TENANT: Named = ("tenant", "AZURE_TENANT_ID");
const CLIENT: Named = ("client", "AZURE_CLIENT_ID");
const CERTIFICATE: Named = ("certificate", "AZURE_CLIENT_CERTIFICATE_PATH");
const TOKEN_FILE: Named = ("tokenFile", "AZURE_FEDERATED_TOKEN_FILE");
const SECRET: Named = ("secret", "AZURE_CLIENT_SECRET");
const METADATA: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// What the vendor's variables say, for the chain.
///
/// # Errors
///
/// A variable that should hold an address and holds none: our secrets would go elsewhere than was meant.
pub fn from_environment(env: Env<'_>) -> Result<AzureIdentity, String> {
    let of = |(_, variable): Named| said(env, variable);
    let with_chain = said(env, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
    Ok(AzureIdentity {
        tenant: of(TENANT),
        client: of(CLIENT),
        secret: of(SECRET).map(SecretString::from),
        certificate: of(CERTIFICATE).map(PathBuf::from),
        with_chain: with_chain.is_some_and(|it| it == "1" || it.eq_ignore_ascii_case("true")),
        federated_token_file: of(TOKEN_FILE).map(PathBuf::from),
        authority: address(env, "AZURE_AUTHORITY_HOST")?,
        metadata: address(env, METADATA)?,
    })
}

/// A variable that says something: an empty one is as good as none.
fn said(env: Env<'_>, variable: &str) -> Option<String> {
    let text = env(variable)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// An address; a bare host is spoken to by https.
fn address(env: Env<'_>, variable: &str) -> Result<Option<Url>, String> {
    let Some(text) = said(env, variable) else {
        return Ok(None);
    };
    let whole = match text.contains("://") {
        true => text,
        false => format!("https://{text}"),
    };
    let address = whole.parse().map(Some);
    address.map_err(|error| format!("variable `{variable}` is no address: {error}"))
}

struct Given<'a> {
    raw: RawIdentity,
    env: Env<'a>,
}

impl Given<'_> {
    fn principal(&self) -> Result<Principal, String> {
        Ok(Principal {
            tenant: self.text(&self.raw.tenant, TENANT)?,
            client: self.text(&self.raw.client, CLIENT)?,
        })
    }

    fn file(&self, written: &Option<RawText>, named: Named) -> Result<PathBuf, String> {
        self.text(written, named).map(PathBuf::from)
    }

    fn secret(&self) -> Result<SecretString, String> {
        let (field, variable) = SECRET;
        match &self.raw.secret {
            Some(raw) => secret(raw, self.env).map_err(|message| format!("{field}: {message}")),
            None => self.text(&None, (field, variable)).map(SecretString::from),
        }
    }

    fn text(&self, written: &Option<RawText>, (field, variable): Named) -> Result<String, String> {
        if let Some(text) = self.optional(written, field)? {
            return Ok(text);
        }
        let found = said(self.env, variable);
        found.ok_or_else(|| format!("{field} is missing: write it, or set {variable}"))
    }

    fn optional(&self, written: &Option<RawText>, field: &str) -> Result<Option<String>, String> {
        let text = match written {
            None => return Ok(None),
            Some(RawText::Written(text)) => text.clone(),
            Some(RawText::Named { env: variable }) => (self.env)(variable)
                .ok_or_else(|| format!("{field}: variable `{variable}` is not set"))?,
        };
        match text.trim() {
            "" => Err(format!("{field} is empty: write it, or leave it out")),
            text => Ok(Some(text.to_owned())),
        }
    }

    /// A field that says nothing for the way is a mistake: another way was meant.
    fn only_what_is_asked_for(&self) -> Result<(), String> {
        let RawIdentity {
            from,
            tenant,
            client,
            secret,
            certificate,
            send_chain,
            token_file,
        } = &self.raw;
        let written = [
            ("tenant", tenant.is_some()),
            ("client", client.is_some()),
            ("secret", secret.is_some()),
            ("certificate", certificate.is_some()),
            ("sendChain", send_chain.is_some()),
            ("tokenFile", token_file.is_some()),
        ];
        let known: &[&str] = match from {
            RawWay::Chain => &[],
            RawWay::Secret => &["tenant", "client", "secret"],
            RawWay::Certificate => &["tenant", "client", "certificate", "sendChain"],
            RawWay::Federated => &["tenant", "client", "tokenFile"],
            RawWay::Managed => &["client"],
            RawWay::Cli => &["tenant"],
        };
        let mut strange = written
            .iter()
            .filter(|(field, is_written)| *is_written && !known.contains(field));
        match strange.next() {
            None => Ok(()),
            Some((field, _)) => Err(format!(
                "`{field}` says nothing with `from: {}`: leave it out, or choose another `from`",
                from.word()
            )),
        }
    }
}

impl RawWay {
    fn word(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Secret => "secret",
            Self::Certificate => "certificate",
            Self::Federated => "federated",
            Self::Managed => "managed",
            Self::Cli => "cli",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::Config, *};

    fn azure(text: &str) -> Result<Config, String> {
        let env = |name: &str| match name {
            "AZURE_TENANT_ID" => Some("their-tenant".to_owned()),
            "SHOP_CLIENT" => Some("shop-client".to_owned()),
            "SHOP_SECRET" => Some("s3cret".to_owned()),
            _ => None,
        };
        let text = format!("clouds: {{ azure: {{ {text} }} }}");
        Config::parse(Path::new("verdigris.yaml"), &text, &env).map_err(|error| error.to_string())
    }

    #[test]
    fn each_environment_may_be_somebody_else() {
        let config = azure(
            "identity: { from: managed }, identities: { prod: { from: secret, client: { env: SHOP_CLIENT }, secret: { env: SHOP_SECRET } }, dev: { from: chain } }",
        );
        let azure = config.unwrap().azure;
        let of = |name| azure.source(&EnvironmentName::new(name).unwrap());
        let Some(AzureSource::Secret { principal, .. }) = of("prod") else {
            panic!("{:?}", of("prod"));
        };
        assert_eq!(
            (principal.tenant.as_str(), principal.client.as_str()),
            ("their-tenant", "shop-client")
        );
        assert!(of("dev").is_none());
        assert!(matches!(of("test"), Some(AzureSource::Managed { .. })));
        assert!(!format!("{azure:?}").contains("s3cret"));
    }

    #[test]
    fn variables_mean_the_same_to_the_chain_and_to_the_configuration() {
        let env = |name: &str| {
            let text = match name {
                "AZURE_CLIENT_SECRET" | "AZURE_CLIENT_ID" => " ",
                "AZURE_AUTHORITY_HOST" => "localhost:8443",
                METADATA => "metadata.example",
                "AZURE_TENANT_ID" => "their-tenant\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let AzureIdentity {
            tenant,
            client,
            secret,
            certificate,
            with_chain,
            federated_token_file,
            authority,
            metadata,
        } = from_environment(&env).unwrap();
        assert_eq!(tenant.as_deref(), Some("their-tenant"));
        assert!(client.is_none() && secret.is_none() && certificate.is_none());
        assert!(!with_chain && federated_token_file.is_none());
        let text = |url: Option<Url>| url.map(String::from);
        assert_eq!(text(authority).as_deref(), Some("https://localhost:8443/"));
        assert_eq!(
            text(metadata.clone()).as_deref(),
            Some("https://metadata.example/")
        );
        let managed = "clouds: { azure: { identity: { from: managed } } }";
        let config = Config::parse(Path::new("verdigris.yaml"), managed, &env).unwrap();
        let prod = EnvironmentName::new("prod").unwrap();
        let Some(AzureSource::Managed { metadata: same, .. }) = config.azure.source(&prod) else {
            panic!("{config:?}");
        };
        assert_eq!(same, metadata);

        let fault = from_environment(&|name| (name == METADATA).then(|| "a b".to_owned()));
        let fault = fault.unwrap_err();
        let start = "variable `AZURE_POD_IDENTITY_AUTHORITY_HOST` is no address";
        assert!(fault.starts_with(start), "{fault}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_told_with_the_way_out() {
        for (text, told) in [
            (
                "identity: { from: secret }",
                "clouds.azure.identity: client is missing: write it, or set AZURE_CLIENT_ID",
            ),
            (
                "identity: { from: certificate, client: me }",
                "clouds.azure.identity: certificate is missing: write it, or set AZURE_CLIENT_CERTIFICATE_PATH",
            ),
            (
                "identity: { from: managed, tenant: one }",
                "clouds.azure.identity: `tenant` says nothing with `from: managed`: leave it out, or choose another `from`",
            ),
            (
                "identities: { prod: { from: federated, client: { env: NOPE } } }",
                "clouds.azure.identities: `prod`: client: variable `NOPE` is not set",
            ),
        ] {
            let fault = azure(text).unwrap_err();
            assert!(fault.ends_with(told), "{fault}");
        }
    }
}
