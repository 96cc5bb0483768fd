//! Requests to functions that let in only whom they know, signed as the daemon.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use reqwest::{
    Request,
    header::{HeaderName, HeaderValue},
};
use url::Url;

use crate::observed::talk::Signable;

/// Who signs.
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync {
    /// The headers to add.
    ///
    /// # Errors
    ///
    /// Why there are none, for people.
    async fn sign(&self, request: &Signable<'_>) -> Result<Vec<(String, String)>, String>;
}

/// What is signed, and by whom. Nothing that goes elsewhere is.
#[derive(Debug)]
pub(super) struct Signing {
    origins: BTreeSet<String>,
    signer: Arc<dyn Signer>,
}

impl Signing {
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a Url>,
        signer: Arc<dyn Signer>,
    ) -> Self {
        Self {
            origins: addresses.map(origin).collect(),
            signer,
        }
    }

    /// Adds the headers to a request that goes to one of the addresses.
    ///
    /// # Errors
    ///
    /// Why it cannot be signed, for people.
    pub(super) async fn sign(&self, request: &mut Request) -> Result<(), String> {
        if !self.origins.contains(&origin(request.url())) {
            return Ok(());
        }
        let body = request.body().and_then(|body| body.as_bytes());
        let signable = Signable {
            method: request.method().as_str(),
            url: request.url(),
            body: body.unwrap_or_default(),
        };
        let added = self.signer.sign(&signable).await;
        let added = added.map_err(|why| format!("the request cannot be signed: {why}"))?;
        for (name, value) in added {
            let header = name.parse::<HeaderName>().ok();
            let header = header.zip(HeaderValue::from_str(&value).ok());
            // The value says who we are, so the message does not hold it.
            let header = header.ok_or_else(|| format!("the signature's `{name}` cannot be sent"));
            let (name, mut value) = header?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
