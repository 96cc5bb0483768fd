//! Who we are to Azure: the vendor's own credentials, tried in turn, and the policies that show a token.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{
        ClientOptions, Context, Request, headers,
        policies::{Policy, PolicyResult},
    },
    time::OffsetDateTime,
};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{Mutex, OnceCell},
    time::{Instant, timeout},
};

/// Where a token comes from.
#[derive(Clone, Debug)]
pub enum CredentialChoice {
    /// One fixed token, for local endpoints.
    Token(SecretString),
    /// Workload identity, client secret, managed identity, Azure CLI: the first that gives a token is kept.
    Chain(AzureIdentity),
}

/// What the environment says about us (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`, `AZURE_FEDERATED_TOKEN_FILE`);
/// read by whoever makes an [`super::super::AzureCloud`].
#[derive(Clone, Debug, Default)]
pub struct AzureIdentity {
    pub tenant: Option<String>,
    pub client: Option<String>,
    pub secret: Option<SecretString>,
    pub federated_token_file: Option<PathBuf>,
}

/// One source may take so long. The metadata service of a machine that is not in Azure never answers.
const SOURCE_MAX: Duration = Duration::from_secs(15);

/// How long a token is shown again before its source is asked anew, over plain http; sources keep tokens themselves.
const TOKEN_KEPT: Duration = Duration::from_secs(240);

/// The end of time, as far as this date type goes: a fixed token never ends by itself.
const NEVER: i64 = 253_402_300_799;

pub(super) fn credential(
    choice: &CredentialChoice,
    client: &ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    match choice {
        CredentialChoice::Token(token) => Ok(Arc::new(FixedToken(token.clone()))),
        CredentialChoice::Chain(identity) => Ok(Arc::new(Chain::new(identity, client)?)),
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

/// Sources in turn. The first that gave a token is asked alone from then on.
struct Chain {
    sources: Vec<(&'static str, Arc<dyn TokenCredential>)>,
    chosen: OnceCell<usize>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.sources.iter().map(|(name, _)| name).collect();
        f.debug_tuple("Chain").field(&names).finish()
    }
}

impl Chain {
    fn new(identity: &AzureIdentity, client: &ClientOptions) -> azure_core::Result<Self> {
        let mut sources: Vec<(&'static str, Arc<dyn TokenCredential>)> = Vec::new();
        if let Some(workload) = workload(identity, client)? {
            sources.push(("workload identity", workload));
        }
        if let Some(secret) = client_secret(identity, client)? {
            sources.push(("client secret", secret));
        }
        // A machine without a managed identity may refuse already here; then the next source is asked.
        if let Ok(managed) = managed(identity, client) {
            sources.push(("managed identity", managed));
        }
        sources.push(("azure cli", AzureCliCredential::new(None)?));
        Ok(Self {
            sources,
            chosen: OnceCell::new(),
        })
    }

    async fn choose(&self, scopes: &[&str]) -> azure_core::Result<usize> {
        let mut refusals = Vec::new();
        for (index, (name, source)) in self.sources.iter().enumerate() {
            match timeout(SOURCE_MAX, source.get_token(scopes, None)).await {
                Ok(Ok(_)) => {
                    tracing::info!(source = name, "azure credentials found");
                    return Ok(index);
                }
                Ok(Err(error)) => refusals.push(format!("{name}: {}", super::chain_of(&error))),
                Err(_) => refusals.push(format!("{name}: no answer")),
            }
        }
        Err(azure_core::Error::with_message(
            ErrorKind::Credential,
            format!("no source gave a token ({})", refusals.join("; ")),
        ))
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
        self.sources[*index].1.get_token(scopes, options).await
    }
}

fn workload(
    identity: &AzureIdentity,
    client: &ClientOptions,
) -> azure_core::Result<Option<Arc<dyn TokenCredential>>> {
    let (Some(tenant), Some(id), Some(file)) = (
        &identity.tenant,
        &identity.client,
        &identity.federated_token_file,
    ) else {
        return Ok(None);
    };
    let credential_options = ClientAssertionCredentialOptions {
        client_options: client.clone(),
    };
    let options = WorkloadIdentityCredentialOptions {
        credential_options,
        client_id: Some(id.clone()),
        tenant_id: Some(tenant.clone()),
        token_file_path: Some(file.clone()),
    };
    Ok(Some(WorkloadIdentityCredential::new(Some(options))?))
}

fn client_secret(
    identity: &AzureIdentity,
    client: &ClientOptions,
) -> azure_core::Result<Option<Arc<dyn TokenCredential>>> {
    let (Some(tenant), Some(id), Some(secret)) =
        (&identity.tenant, &identity.client, &identity.secret)
    else {
        return Ok(None);
    };
    let options = ClientSecretCredentialOptions {
        client_options: client.clone(),
    };
    let secret = Secret::new(secret.expose_secret().to_owned());
    Ok(Some(ClientSecretCredential::new(
        tenant,
        id.clone(),
        secret,
        Some(options),
    )?))
}

/// The system's identity, or the one of the client id. It goes to the machine's own metadata service: never by our authority.
fn managed(
    identity: &AzureIdentity,
    client: &ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: identity.client.clone().map(UserAssignedId::ClientId),
        client_options: client.clone(),
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

/// Shows a token over plain http, which the vendor's own policy refuses to do: for endpoints that are configured so.
pub(super) struct PlainBearer {
    credential: Arc<dyn TokenCredential>,
    scope: String,
    kept: Mutex<Option<(Instant, Secret)>>,
}

impl fmt::Debug for PlainBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainBearer").finish_non_exhaustive()
    }
}

impl PlainBearer {
    pub(super) fn new(credential: Arc<dyn TokenCredential>, scope: String) -> Self {
        Self {
            credential,
            scope,
            kept: Mutex::new(None),
        }
    }

    async fn token(&self) -> azure_core::Result<Secret> {
        let mut kept = self.kept.lock().await;
        if let Some((since, token)) = kept.as_ref()
            && since.elapsed() < TOKEN_KEPT
        {
            return Ok(token.clone());
        }
        let token = self.credential.get_token(&[&self.scope], None).await?.token;
        *kept = Some((Instant::now(), token.clone()));
        Ok(token)
    }
}

#[async_trait]
impl Policy for PlainBearer {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let token = self.token().await?;
        let value = format!("Bearer {}", token.secret());
        request.insert_header(headers::AUTHORIZATION, value);
        // A pipeline ends with its transport, so that every other policy has a next one.
        next[0].send(context, request, &next[1..]).await
    }
}
