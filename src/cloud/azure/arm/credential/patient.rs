//! One source: not waited for without end, and made anew where what it gave was refused.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use tokio::time::timeout;

use super::{AzureSource, Giver, source::Maker};

/// One source may take so long. The metadata service of a machine that is not in Azure never answers, and the vendor's client asks it for
/// longer than a whole call may take.
const SOURCE_MAX: Duration = Duration::from_secs(15);

type Made = Arc<dyn TokenCredential>;

/// A credential of the vendor's, and how it is made.
pub(super) struct Patient {
    make: Box<dyn Fn() -> azure_core::Result<Made> + Send + Sync>,
    made: Mutex<Made>,
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patient").field(&self.made()).finish()
    }
}

impl Patient {
    pub(super) fn of(maker: &Arc<Maker>, source: &AzureSource) -> azure_core::Result<Self> {
        let (maker, source) = (Arc::clone(maker), source.clone());
        Self::new(move || maker.make(&source))
    }

    pub(super) fn new(
        make: impl Fn() -> azure_core::Result<Made> + Send + Sync + 'static,
    ) -> azure_core::Result<Self> {
        let made = Mutex::new(make()?);
        let make = Box::new(make);
        Ok(Self { make, made })
    }

    fn made(&self) -> Made {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&made)
    }
}

#[async_trait]
impl TokenCredential for Patient {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let made = self.made();
        match timeout(SOURCE_MAX, made.get_token(scopes, options)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(no_answer()),
        }
    }
}

impl Giver for Patient {
    /// The vendor's credentials give the same token until shortly before its end, whatever became of it: only a new one asks again.
    fn forget(&self) {
        match (self.make)() {
            Ok(new) => *self.made.lock().unwrap_or_else(PoisonError::into_inner) = new,
            Err(error) => tracing::warn!(
                error = super::super::chain_of(&error),
                "a source of tokens cannot be asked anew"
            ),
        }
    }
}

/// A source that was waited for in vain. It may answer later.
pub(super) fn no_answer() -> azure_core::Error {
    let cause = io::Error::new(io::ErrorKind::TimedOut, "no answer");
    azure_core::Error::with_error(ErrorKind::Credential, cause, "no token came in time")
}
