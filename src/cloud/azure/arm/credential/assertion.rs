//! What a service principal shows instead of a secret: a token that it signed itself, or one of an issuer that speaks for it.
//!
//! The files are read at each token, so that what replaces them counts from then on.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use azure_core::{error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use crate::clock::{Clock as _, SystemClock};

/// An assertion is used at once; minutes allow for clocks that differ.
const LIFE_SECONDS: i64 = 300;

/// A certificate with its chain has some kilobytes.
const FILE_MAX: u64 = 1 << 20;

/// A token signed with the key of a certificate.
pub(super) struct Signed {
    /// PEM: a certificate, what it was issued by, and its key, in any order.
    pub(super) file: PathBuf,
    pub(super) with_chain: bool,
    pub(super) client: String,
    pub(super) audience: String,
}

/// The token of another issuer.
pub(super) struct Federated {
    pub(super) file: PathBuf,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        f.debug_struct("Signed")
            .field("file", file)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Federated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Federated").field(&self.file).finish()
    }
}

#[async_trait]
impl ClientAssertion for Federated {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let bytes = read(&self.file).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.is_empty() {
            return Err(wrong(&self.file, "it is empty"));
        }
        Ok(text)
    }
}

#[async_trait]
impl ClientAssertion for Signed {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let pem = read(&self.file).await?;
        let now = SystemClock.now().millis() / 1000;
        let id = uuid::Uuid::new_v4().to_string();
        self.sign(&pem, now, &id)
            .map_err(|message| wrong(&self.file, &message))
    }
}

impl Signed {
    /// The assertion that the vendor documents for certificates.
    fn sign(&self, pem: &[u8], now: i64, id: &str) -> Result<String, String> {
        let key = private_key(pem)?;
        let chain = own_first(certificates(pem)?, &key)?;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "aud": self.audience,
            "iss": self.client,
            "sub": self.client,
            "jti": id,
            "nbf": now,
            "iat": now,
            "exp": now + LIFE_SECONDS,
        });
        let signed = format!(
            "{}.{}",
            part(&header(&chain, self.with_chain)),
            part(&claims)
        );
        let mut signature = vec![0; key.public_modulus_len()];
        let random = SystemRandom::new();
        key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        )
        .map_err(|_| "its key cannot sign".to_owned())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The certificate is named by its thumbprint; the chain is sent where the application trusts an issuer.
fn header(chain: &[CertificateDer<'_>], with_chain: bool) -> Value {
    let thumbprint = chain.first().map(|own| {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, own);
        URL_SAFE_NO_PAD.encode(digest)
    });
    let mut header = json!({ "alg": "RS256", "typ": "JWT", "x5t": thumbprint });
    if with_chain {
        let all: Vec<String> = chain.iter().map(|one| STANDARD.encode(one)).collect();
        header["x5c"] = json!(all);
    }
    header
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("its certificate cannot be read: {error}"))?;
    if read.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(read)
}

/// A certificate holds its public key as it stands, and whoever issued it has another.
fn own_first<'a>(
    mut chain: Vec<CertificateDer<'a>>,
    key: &KeyPair,
) -> Result<Vec<CertificateDer<'a>>, String> {
    let public = key.public_key().as_ref();
    let is_own = |it: &CertificateDer<'_>| it.windows(public.len()).any(|part| part == public);
    let own = chain.iter().position(is_own);
    let own = own.ok_or("none of its certificates is the one of its key")?;
    chain[..=own].rotate_right(1);
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<KeyPair, String> {
    let no_key = "it holds no RSA key in PEM without a passphrase";
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| no_key.to_owned())?;
    let read = match &key {
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(_) | _ => return Err(no_key.to_owned()),
    };
    read.map_err(|_| no_key.to_owned())
}

async fn read(file: &Path) -> azure_core::Result<Vec<u8>> {
    let size = tokio::fs::metadata(file).await.map(|about| about.len());
    match size {
        Ok(size) if size > FILE_MAX => Err(wrong(file, "it is too large")),
        Ok(_) => tokio::fs::read(file)
            .await
            .map_err(|error| wrong(file, &error.to_string())),
        Err(error) => Err(wrong(file, &error.to_string())),
    }
}

/// A file that is not as it should be. What it says is nobody's business, so none of it is told.
fn wrong(file: &Path, message: &str) -> azure_core::Error {
    let message = format!("`{}` cannot be used: {message}", file.display());
    azure_core::Error::with_message(ErrorKind::Credential, message)
}
