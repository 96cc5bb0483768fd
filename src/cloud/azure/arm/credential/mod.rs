//! Who we are to Azure: one way that was chosen, or the vendor's own chain of them, tried in turn.
//!
//! No way writes anything down. Tokens are kept in memory, by [`bearer`], and files are read anew each time they are needed.

mod assertion;
mod bearer;
mod patient;
mod refusals;
mod source;

use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::ClientOptions,
    time::OffsetDateTime,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use url::Url;

pub(super) use self::{bearer::Bearer, refusals::Lasting};
use self::{patient::Patient, source::Maker};

/// Where a token comes from.
#[derive(Clone, Debug)]
pub enum CredentialChoice {
    /// One fixed token, for local endpoints.
    Token(SecretString),
    /// The ways that the environment names, in the vendor's order: the first that gives a token is kept.
    Chain(AzureIdentity),
    /// This way and no other.
    Only(AzureSource),
}

/// One way to be somebody.
#[derive(Clone, Debug)]
pub enum AzureSource {
    /// A service principal that knows a secret.
    Secret {
        principal: Principal,
        secret: SecretString,
    },
    /// A service principal that signs with the key of a certificate: a PEM file with both, read at each token.
    Certificate {
        principal: Principal,
        file: PathBuf,
        /// Sends the certificate too, for applications that trust its issuer.
        with_chain: bool,
    },
    /// A service principal that another issuer speaks for: a file with its token, read at each of ours.
    Federated { principal: Principal, file: PathBuf },
    /// The identity of the machine or App Service that we run on: the system's, or the one of this client id.
    Managed {
        client: Option<String>,
        /// Where the machine's metadata service is, if it is not at its usual address.
        metadata: Option<Url>,
    },
    /// Whoever signed in with the az command line.
    Cli { tenant: Option<String> },
}

/// An application in a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    pub tenant: String,
    pub client: String,
}

/// What the environment says about us, by the vendor's own names of variables; read by whoever makes an
/// [`super::super::AzureCloud`].
#[derive(Clone, Debug, Default)]
pub struct AzureIdentity {
    /// `AZURE_TENANT_ID`
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`
    pub client: Option<String>,
    /// `AZURE_CLIENT_SECRET`
    pub secret: Option<SecretString>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`
    pub certificate: Option<PathBuf>,
    /// `AZURE_CLIENT_SEND_CERTIFICATE_CHAIN`
    pub with_chain: bool,
    /// `AZURE_FEDERATED_TOKEN_FILE`
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`
    pub authority: Option<Url>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`
    pub metadata: Option<Url>,
}

/// The end of time, as far as this date type goes: a fixed token never ends by itself.
const NEVER: i64 = 253_402_300_799;

/// Gives tokens, and keeps those that it gave.
pub(super) trait Giver: TokenCredential {
    /// What it gave was refused: the next token is another, where there is another.
    fn forget(&self);
}

/// Who gives the tokens of a choice. `authority` gives them to service principals.
pub(super) fn giver(
    choice: &CredentialChoice,
    client: &ClientOptions,
    authority: &Url,
) -> azure_core::Result<Arc<dyn Giver>> {
    let maker = Arc::new(Maker {
        client: client.clone(),
        authority: authority.clone(),
    });
    match choice {
        CredentialChoice::Token(token) => Ok(Arc::new(FixedToken(token.clone()))),
        CredentialChoice::Only(source) => Ok(Arc::new(Patient::of(&maker, source)?)),
        CredentialChoice::Chain(identity) => Ok(Arc::new(Chain::new(identity, &maker)?)),
    }
}

#[derive(Debug)]
struct FixedToken(SecretString);

#[async_trait]
impl TokenCredential for FixedToken {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let never = OffsetDateTime::from_unix_timestamp(NEVER)
            .map_err(|error| azure_core::Error::new(ErrorKind::Other, error))?;
        Ok(AccessToken::new(self.0.expose_secret().to_owned(), never))
    }
}

impl Giver for FixedToken {
    /// There is no other.
    fn forget(&self) {}
}

impl AzureIdentity {
    /// The ways that are described well enough to be tried, in the vendor's order.
    fn sources(&self) -> Vec<AzureSource> {
        let Self {
            tenant,
            client,
            secret,
            certificate,
            with_chain,
            federated_token_file,
            authority: _,
            metadata,
        } = self.clone();
        let principal = tenant
            .zip(client.clone())
            .map(|(tenant, client)| Principal { tenant, client });
        let mut sources = Vec::new();
        if let Some(principal) = principal {
            let own = || principal.clone();
            sources.extend(secret.map(|secret| AzureSource::Secret {
                principal: own(),
                secret,
            }));
            sources.extend(certificate.map(|file| AzureSource::Certificate {
                principal: own(),
                file,
                with_chain,
            }));
            sources.extend(federated_token_file.map(|file| AzureSource::Federated {
                principal: own(),
                file,
            }));
        }
        sources.push(AzureSource::Managed { client, metadata });
        sources.push(AzureSource::Cli { tenant: None });
        sources
    }
}

impl AzureSource {
    fn word(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client secret",
            Self::Certificate { .. } => "client certificate",
            Self::Federated { .. } => "workload identity",
            Self::Managed { .. } => "managed identity",
            Self::Cli { .. } => "azure cli",
        }
    }

    /// Whether somebody said that we are this one; the others are tried because they cost no more than that.
    fn is_said(&self) -> bool {
        match self {
            Self::Secret { .. } | Self::Certificate { .. } | Self::Federated { .. } => true,
            Self::Managed { .. } | Self::Cli { .. } => false,
        }
    }
}

/// Sources in turn. The first that gave a token is asked alone from then on.
struct Chain {
    sources: Vec<Link>,
    chosen: OnceCell<usize>,
}

struct Link {
    word: &'static str,
    is_said: bool,
    giver: Patient,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.sources.iter().map(|link| link.word).collect();
        f.debug_tuple("Chain").field(&words).finish()
    }
}

impl Chain {
    fn new(identity: &AzureIdentity, maker: &Arc<Maker>) -> azure_core::Result<Self> {
        let mut sources = Vec::new();
        for source in identity.sources() {
            match Patient::of(maker, &source) {
                Ok(giver) => sources.push(Link {
                    word: source.word(),
                    is_said: source.is_said(),
                    giver,
                }),
                Err(error) if source.is_said() => return Err(error),
                // A machine without a managed identity may refuse already here; then the next source is asked.
                Err(_) => {}
            }
        }
        Ok(Self {
            sources,
            chosen: OnceCell::new(),
        })
    }

    async fn choose(&self, scopes: &[&str]) -> azure_core::Result<usize> {
        let mut refusals = Vec::new();
        let mut cause = None;
        for (index, link) in self.sources.iter().enumerate() {
            let Err(error) = link.giver.get_token(scopes, None).await else {
                tracing::info!(source = link.word, "azure credentials found");
                return Ok(index);
            };
            refusals.push(format!("{}: {}", link.word, super::chain_of(&error)));
            if link.is_said && cause.is_none() {
                cause = Some(error);
            }
        }
        let message = format!("no source gave a token ({})", refusals.join("; "));
        // Whether it may pass by itself is for the source to tell that we were said to be.
        Err(match cause {
            Some(cause) => azure_core::Error::with_error(ErrorKind::Credential, cause, message),
            None => azure_core::Error::with_message(ErrorKind::Credential, message),
        })
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let index = self.chosen.get_or_try_init(|| self.choose(scopes)).await?;
        // `choose` returns an index of this same list.
        let link = &self.sources[*index];
        link.giver.get_token(scopes, options).await
    }
}

impl Giver for Chain {
    fn forget(&self) {
        let chosen = self.chosen.get().and_then(|index| self.sources.get(*index));
        if let Some(link) = chosen {
            link.giver.forget();
        }
    }
}
