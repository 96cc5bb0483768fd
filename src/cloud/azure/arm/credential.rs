//! Who we are to Azure: the vendor's own credentials, tried in turn, and the policies that show a token.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{
        ClientOptions, Context, Request, StatusCode, headers,
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

    /// Another token than one that was refused: it may have run out, or been taken back, before its time.
    async fn another(&self, refused: &Secret) -> azure_core::Result<Option<Secret>> {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|(_, it)| it == refused) {
            *kept = None;
        }
        drop(kept);
        let token = self.token().await?;
        Ok((token != *refused).then_some(token))
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
        request.insert_header(headers::AUTHORIZATION, bearer(&token));
        // A pipeline ends with its transport, so that every other policy has a next one.
        let answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status() != StatusCode::Unauthorized {
            return Ok(answer);
        }
        let Some(token) = self.another(&token).await? else {
            return Ok(answer);
        };
        request.insert_header(headers::AUTHORIZATION, bearer(&token));
        request.body_mut().reset().await?;
        next[0].send(context, request, &next[1..]).await
    }
}

fn bearer(token: &Secret) -> String {
    format!("Bearer {}", token.secret())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::http::{AsyncRawResponse, Method, headers::Headers};

    use super::*;

    /// Gives another token each time, up to the last.
    #[derive(Debug)]
    struct Giver {
        given: AtomicUsize,
        last: usize,
    }

    #[async_trait]
    impl TokenCredential for Giver {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
            let ends = OffsetDateTime::from_unix_timestamp(NEVER).unwrap();
            let token = format!("token-{}", number.min(self.last));
            Ok(AccessToken::new(token, ends))
        }
    }

    /// Knows one token, and counts who comes.
    #[derive(Debug)]
    struct Door {
        knows: &'static str,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Policy for Door {
        async fn send(
            &self,
            _context: &Context,
            request: &mut Request,
            _next: &[Arc<dyn Policy>],
        ) -> PolicyResult {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let shown = request.headers().get_str(&headers::AUTHORIZATION)?;
            let status = match shown == format!("Bearer {}", self.knows) {
                true => StatusCode::Ok,
                false => StatusCode::Unauthorized,
            };
            Ok(AsyncRawResponse::from_bytes(status, Headers::new(), ""))
        }
    }

    async fn ask(knows: &'static str, last: usize) -> (StatusCode, usize) {
        let given = AtomicUsize::new(0);
        let bearer = PlainBearer::new(Arc::new(Giver { given, last }), "scope".to_owned());
        let asked = AtomicUsize::new(0);
        let door = Arc::new(Door { knows, asked });
        let next: [Arc<dyn Policy>; 1] = [door.clone()];
        let url = "http://127.0.0.1/".parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let answer = bearer.send(&Context::new(), &mut request, &next).await;
        (answer.unwrap().status(), door.asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_token_that_ran_out_is_replaced_once_and_no_other_refusal_is_asked_twice() {
        assert_eq!(ask("token-1", 9).await, (StatusCode::Ok, 1));
        assert_eq!(ask("token-2", 9).await, (StatusCode::Ok, 2));
        assert_eq!(ask("token-9", 9).await, (StatusCode::Unauthorized, 2));
        // Whoever has one token only has no other to show.
        assert_eq!(ask("token-2", 1).await, (StatusCode::Unauthorized, 1));
    }
}
