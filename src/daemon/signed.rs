//! The client of gates, which signs what is asked of functions that let in only whom they know.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::world::DaemonWorld;
use crate::{
    cloud::SharedCloud,
    desired::ReleaseContent,
    gates::{http::Client, sign::Signer},
    manifest::{aws::UrlAuth, spec::Function},
    name::{CloudName, FunctionName},
    observed::{Addresses, talk::Signable},
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

/// Where green and blue answer whom they know only.
fn addresses(question: &Question) -> Vec<&Url> {
    let cloud = CloudName::Aws;
    let green = question.slots.get(&cloud);
    let blue = question.blue.get(&cloud).map(|held| &held.addresses);
    let content = &question.release.content;
    let both = green.into_iter().chain(blue);
    both.flat_map(|slot| of_slot(content, slot)).collect()
}

fn of_slot<'a>(
    content: &'a ReleaseContent,
    slot: &'a Addresses,
) -> impl Iterator<Item = &'a Url> + use<'a> {
    let is_known = |name: &FunctionName| content.functions.get(name).is_some_and(|it| knows(it));
    let known = slot.iter().filter(move |(name, _)| is_known(name));
    known.map(|(_, address)| address)
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
