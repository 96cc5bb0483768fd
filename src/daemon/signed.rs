//! The client of gates, which signs what is asked of functions that let in only whom they know.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::world::DaemonWorld;
use crate::{
    cloud::SharedCloud,
    gates::{http::Client, sign::Signer},
    manifest::{aws::UrlAuth, spec::Function},
    name::{CloudName, FunctionName},
    observed::talk::Signable,
    reconcile::world::{Question, World as _},
};

impl DaemonWorld {
    /// Whoever the daemon is in the environment signs.
    pub(super) async fn client_for(&self, question: &Question) -> Client {
        let client = &self.gates.client;
        let addresses = addresses(question);
        if addresses.is_empty() {
            return client.clone();
        }
        let cloud = match &question.environment {
            Some(environment) => self
                .cloud(environment, CloudName::Aws)
                .await
                .map_err(|failure| failure.message),
            None => Err("its environment is not known any more".to_owned()),
        };
        client.signing(addresses.into_iter(), Arc::new(OnBehalf(cloud)))
    }
}

/// Where green and blue answer whom they know only: green as the release asks for it, and blue as it was seen, since it may hold another
/// release, which let in others.
fn addresses(question: &Question) -> Vec<&Url> {
    let cloud = CloudName::Aws;
    let functions = &question.release.content.functions;
    let is_known = |name: &FunctionName| functions.get(name).is_some_and(|it| knows(it));
    let green = question.slots.get(&cloud).into_iter().flatten();
    let green = green.filter(|(name, _)| is_known(name));
    let blue = question.blue.get(&cloud).into_iter();
    let blue = blue.flat_map(|held| {
        let addresses = held.addresses.iter();
        addresses.filter(|(name, _)| held.is_signed(name))
    });
    green.chain(blue).map(|(_, address)| address).collect()
}

fn knows(function: &Function) -> bool {
    let url = function.aws.as_ref().and_then(|aws| aws.url.as_ref());
    url.is_some_and(|url| url.auth == UrlAuth::Iam)
}

/// A cloud's own signature, or why there is no cloud.
#[derive(Debug)]
struct OnBehalf(Result<SharedCloud, String>);

#[async_trait]
impl Signer for OnBehalf {
    async fn sign(&self, request: &Signable<'_>) -> Result<Vec<(String, String)>, String> {
        let cloud = self.0.as_ref().map_err(String::clone)?;
        match cloud.operate() {
            Some(operate) => operate
                .sign(request)
                .await
                .map_err(|error| error.to_string()),
            None => Ok(Vec::new()),
        }
    }
}
