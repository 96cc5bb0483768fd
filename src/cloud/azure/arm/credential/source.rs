//! The vendor's own credential of each way.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{AsyncRawResponse, ClientOptions, HttpClient, Request, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    AzureSource, Principal,
    assertion::{Federated, Signed},
};

/// Makes credentials that share one connection and one authority.
pub(super) struct Maker {
    pub(super) client: ClientOptions,
    pub(super) authority: Url,
}

impl Maker {
    pub(super) fn make(
        &self,
        source: &AzureSource,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        match source {
            AzureSource::Secret { principal, secret } => self.secret(principal, secret),
            AzureSource::Certificate {
                principal,
                file,
                with_chain,
            } => {
                let audience = self.token_address(principal)?;
                let signed = Signed {
                    file: file.clone(),
                    with_chain: *with_chain,
                    client: principal.client.clone(),
                    audience: audience.to_string(),
                };
                let Principal { tenant, client } = principal.clone();
                let options = Some(self.assertion_options());
                Ok(ClientAssertionCredential::new(
                    tenant, client, signed, options,
                )?)
            }
            AzureSource::Federated { principal, file } => {
                let Principal { tenant, client } = principal.clone();
                let options = Some(self.assertion_options());
                let federated = Federated { file: file.clone() };
                Ok(ClientAssertionCredential::new(
                    tenant, client, federated, options,
                )?)
            }
            AzureSource::Managed { client, metadata } => self.managed(client.clone(), metadata),
            AzureSource::Cli { tenant } => {
                let options = AzureCliCredentialOptions {
                    tenant_id: tenant.clone(),
                    ..AzureCliCredentialOptions::default()
                };
                Ok(AzureCliCredential::new(Some(options))?)
            }
        }
    }

    fn secret(
        &self,
        principal: &Principal,
        secret: &SecretString,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let options = ClientSecretCredentialOptions {
            client_options: self.client.clone(),
        };
        let Principal { tenant, client } = principal;
        let secret = Secret::new(secret.expose_secret().to_owned());
        let made = ClientSecretCredential::new(tenant, client.clone(), secret, Some(options));
        Ok(made?)
    }

    /// It goes to the machine's own service: by no proxy, and never by our authority.
    fn managed(
        &self,
        client: Option<String>,
        metadata: &Option<Url>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let direct = Direct {
            http: direct_client()?,
            metadata: metadata.clone(),
        };
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(UserAssignedId::ClientId),
            client_options: ClientOptions {
                transport: Some(Transport::new(Arc::new(direct))),
                ..self.client.clone()
            },
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    fn assertion_options(&self) -> ClientAssertionCredentialOptions {
        ClientAssertionCredentialOptions {
            client_options: self.client.clone(),
        }
    }

    /// Whom an assertion is for.
    fn token_address(&self, principal: &Principal) -> azure_core::Result<Url> {
        let path = format!("/{}/oauth2/v2.0/token", principal.tenant);
        let address = self.authority.join(&path);
        address.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

fn direct_client() -> azure_core::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(super::super::transport::CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none());
    let built = builder.build();
    built.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
}

/// The address of a machine's metadata service.
const METADATA: &str = "169.254.169.254";

/// Sends without a proxy, and to another metadata service than the usual one where one is named.
struct Direct {
    http: reqwest::Client,
    metadata: Option<Url>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Direct {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let named = self.metadata.as_ref();
        let Some(place) = named.filter(|_| request.url().host_str() == Some(METADATA)) else {
            return self.http.execute_request(request).await;
        };
        let mut there = place.clone();
        there.set_path(request.url().path());
        there.set_query(request.url().query());
        let mut moved = request.clone();
        *moved.url_mut() = there;
        self.http.execute_request(&moved).await
    }
}
