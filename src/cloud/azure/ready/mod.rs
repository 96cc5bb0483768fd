//! Waits until a slot answers as its release; and where it does not, says why: what the platform lists, which secrets it does not get,
//! what the host says of itself, and what the program said last.

mod why;

use std::{collections::BTreeSet, time::Duration};

use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    AzureCloud,
    arm::{chain_of, operation, pause, quote},
    deploy::unhealthy,
    duties::Duties,
    observe::{SlotView, app_in},
    settings,
};
use crate::{
    cloud::CloudError,
    desired::Release,
    manifest::{azure::Unauthenticated, spec::HttpRoute},
    name::{CloudName, ReleaseDigest},
};

/// The header by which a package says which release answers.
const RELEASE_HEADER: &str = "x-verdigris-release";

/// References that are as they should be, or not yet asked for.
const REFERENCE_GOOD: [&str; 2] = ["Resolved", "Initialized"];

/// What is said of who may not read a storage account or a vault.
const NOT_LET_IN: [&str; 3] = [
    "AuthorizationPermissionMismatch",
    "not authorized to perform this operation",
    "AccessToKeyVaultDenied",
];

/// A setting that is there for a moment only.
const ASKED_AGAIN: &str = "VERDIGRIS_ASKED_AGAIN";

/// How often a vault is asked again at most, in the time that a start may take.
const ASKS: u32 = 6;

/// Longest wait for an answer where one look of many asks.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// What green does not have yet.
struct Lack {
    what: What,
    reason: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    /// It lists no function at all.
    Functions,
    Secret,
    Else,
}

/// How often the vault was asked again, and when the last time.
struct Asked {
    times: u32,
    at: Instant,
}

impl Asked {
    /// Whether the setting is there that makes it be asked.
    fn is_marked(&self) -> bool {
        self.times % 2 == 1
    }
}

// === impl AzureCloud ===

impl AzureCloud {
    /// Green has the functions of the release, its secrets, and its host answers.
    ///
    /// # Errors
    ///
    /// [`CloudError::Unhealthy`] with what was missing at last, and what host and program say about it; [`CloudError::Busy`] with the same
    /// where it is a role that was given and may not count yet.
    pub(super) async fn until_green_answers(
        &self,
        release: &Release,
        green: &SlotView,
    ) -> Result<(), CloudError> {
        let end = Instant::now() + self.arm.limits.start;
        let mut looks = 0;
        let mut asked = Asked {
            times: 0,
            at: Instant::now(),
        };
        loop {
            match self.lack(release, green).await? {
                None if asked.is_marked() => self.ask_vault_again(green, &mut asked).await?,
                None => return Ok(()),
                Some(lack) if Instant::now() >= end => {
                    return Err(self.never_answered(release, green, lack).await);
                }
                Some(lack) => {
                    if lack.what == What::Secret
                        && asked.at.elapsed() >= self.arm.limits.start / ASKS
                    {
                        self.ask_vault_again(green, &mut asked).await?;
                    }
                    sleep(pause(looks)).await;
                    looks += 1;
                }
            }
        }
    }

    /// Secrets that were not found, or not shown, are asked for again when settings change, and else within a day: so one is set, and taken
    /// away by the next call.
    async fn ask_vault_again(&self, green: &SlotView, asked: &mut Asked) -> Result<(), CloudError> {
        asked.times += 1;
        asked.at = Instant::now();
        let mut all = green.settings.clone();
        if asked.is_marked() {
            all.insert(ASKED_AGAIN.to_owned(), asked.times.to_string());
        }
        self.put_settings(&green.id, &all).await
    }

    /// The first thing that green does not have yet.
    async fn lack(&self, release: &Release, green: &SlotView) -> Result<Option<Lack>, CloudError> {
        let lack = |what| move |reason| Lack { what, reason };
        if let Some(lack) = self.missing_functions(green, release).await? {
            return Ok(Some(lack));
        }
        if Duties::asked(&self.names, release).has_secrets(&self.names, release)
            && let Some(reason) = self.missing_secret(green).await?
        {
            return Ok(Some(lack(What::Secret)(reason)));
        }
        Ok(self.silence(green, release).await.map(lack(What::Else)))
    }

    async fn never_answered(
        &self,
        release: &Release,
        green: &SlotView,
        Lack { what, reason }: Lack,
    ) -> CloudError {
        let bound = self.arm.limits.start.as_secs();
        let why = self.why(green).await;
        let told = format!("after {bound}s {reason}{why}");
        // A package that is run from where it lies, and may not be read there, has no functions.
        let is_unread = what == What::Functions && self.names.runs_from_url();
        let is_refused = is_unread || NOT_LET_IN.iter().any(|word| told.contains(word));
        if !is_refused || !self.has_new_role(release, green).await {
            return unhealthy(told);
        }
        CloudError::Busy {
            cloud: CloudName::Azure,
            resource: app_in(&green.id).to_owned(),
            message: format!("a role that was given counts after some minutes: {told}"),
        }
    }

    /// Blue answers again after a swap, and not as another release: a swap has been seen to be followed by 503 for some seconds.
    ///
    /// # Errors
    ///
    /// [`CloudError::Unhealthy`] where it does not in the time that a start may take.
    pub(super) async fn until_blue_answers(
        &self,
        blue: &SlotView,
        release: ReleaseDigest,
    ) -> Result<(), CloudError> {
        let end = Instant::now() + self.arm.limits.start;
        let mut looks = 0;
        while let Some(reason) = self.refusal_of(blue, release).await {
            if looks == 0 {
                tracing::warn!(slot = %blue.id, %reason, "blue does not answer after its swap");
            }
            if Instant::now() >= end {
                let bound = self.arm.limits.start.as_secs();
                return Err(unhealthy(format!(
                    "blue does not answer {bound}s after its swap: {reason}"
                )));
            }
            sleep(pause(looks)).await;
            looks += 1;
        }
        Ok(())
    }

    /// What a slot's own address says that a release which serves would not.
    async fn refusal_of(&self, slot: &SlotView, release: ReleaseDigest) -> Option<String> {
        let url = slot.host.clone()?;
        let asked = self.arm.http.get(url.clone()).timeout(self.arm.limits.call);
        match asked.send().await {
            Ok(answer) => refusal_in(&url, &answer, release),
            Err(error) => Some(format!("{url}: {}", chain_of(&error))),
        }
    }

    /// The same at one look of many, which is over soon. Whoever gets no answer at all knows nothing: the way there may be what is broken.
    pub(super) async fn silence_of(
        &self,
        slot: &SlotView,
        release: ReleaseDigest,
    ) -> Option<String> {
        let url = slot.host.clone()?;
        let limit = self.arm.limits.call.min(LOOK_MAX);
        let asked = self.arm.http.get(url.clone()).timeout(limit).send().await;
        match asked {
            Ok(answer) => refusal_in(&url, &answer, release),
            Err(error) => {
                tracing::warn!(slot = %slot.id, error = %chain_of(&error), "blue could not be asked whether it answers");
                None
            }
        }
    }

    /// How the functions that green lists differ from those of the release.
    async fn missing_functions(
        &self,
        green: &SlotView,
        release: &Release,
    ) -> Result<Option<Lack>, CloudError> {
        let part = "/functions";
        let label = &green.label;
        let listed = match self.list(operation::FUNCTIONS_LIST, &green.id, part).await {
            Ok(listed) => listed,
            // A host that restarts cannot say.
            Err(CloudError::Unreachable { message, .. }) => {
                let reason = format!("{label} does not list its functions: {message}");
                let what = What::Else;
                return Ok(Some(Lack { what, reason }));
            }
            Err(error) => return Err(error),
        };
        let found: BTreeSet<&str> = listed
            .iter()
            .filter_map(|function| function["name"].as_str()?.rsplit('/').next())
            .collect();
        let triggers = settings::triggers(release);
        let wanted: BTreeSet<&str> = triggers.keys().map(String::as_str).collect();
        if found == wanted {
            return Ok(None);
        }
        let what = match found.is_empty() {
            true => What::Functions,
            false => What::Else,
        };
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        let (found, wanted) = (list(found), list(wanted));
        let reason = format!("{label} lists the functions [{found}] and not [{wanted}]");
        Ok(Some(Lack { what, reason }))
    }

    /// A secret that the platform does not get out of the vault.
    async fn missing_secret(&self, green: &SlotView) -> Result<Option<String>, CloudError> {
        let label = &green.label;
        let part = "/config/configreferences/appsettings";
        let listed = match self.list(operation::REFERENCES_LIST, &green.id, part).await {
            Ok(listed) => listed,
            Err(CloudError::Unreachable { message, .. }) => {
                return Ok(Some(format!(
                    "{label} does not tell its secrets: {message}"
                )));
            }
            Err(error) => return Err(error),
        };
        Ok(listed.iter().find_map(unresolved))
    }

    /// Why a slot gives no answer of the release's own. An answer of the release counts whatever its status; one that names no release
    /// is the platform's. Where no function answers GET, nothing of ours can be asked without effect, and the platform's word counts.
    async fn silence(&self, slot: &SlotView, release: &Release) -> Option<String> {
        let Some(host) = &slot.host else {
            return Some(format!("{} has no host name", slot.label));
        };
        let mut url = host.clone();
        let probe = probe(release);
        url.set_path(probe.as_deref().unwrap_or("/"));
        let asked = self.arm.http.get(url.clone()).timeout(self.arm.limits.call);
        let mut answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => return Some(format!("{url}: {}", chain_of(&error))),
        };
        let status = answer.status().as_u16();
        let wanted = release.digest.to_string();
        match answer.headers().get(RELEASE_HEADER) {
            Some(answering) if *answering == *wanted => None,
            Some(_) => Some(format!("{url} is still answered by another release")),
            None if probe.is_none() && !matches!(status, 502..=504) => None,
            // The platform asks for a token before anything of ours is asked.
            None if status == 401 && asks_for_tokens(release) => None,
            None => {
                let start = answer.chunk().await.ok().flatten().unwrap_or_default();
                let text = String::from_utf8_lossy(&start).into_owned();
                let whose = "which names no release and so is the platform's";
                Some(format!("{url} answers {status}, {whose}: {}", quote(&text)))
            }
        }
    }
}

/// What an answer says of who gave it: a release that serves names itself, and the platform's own 502 to 504 names none.
fn refusal_in(url: &Url, answer: &Response, release: ReleaseDigest) -> Option<String> {
    let status = answer.status().as_u16();
    match answer.headers().get(RELEASE_HEADER) {
        Some(answering) if *answering == *release.to_string() => None,
        Some(_) => Some(format!("{url} is still answered by another release")),
        None if matches!(status, 502..=504) => Some(format!("{url} answers {status}")),
        None => None,
    }
}

/// The path of a function that answers GET, with a word for each of its parameters.
fn probe(release: &Release) -> Option<String> {
    let functions = release.content.functions.values();
    let mut routes = functions.filter_map(|function| function.http.as_ref());
    let answers_get = |route: &&HttpRoute| {
        route.methods.is_empty() || route.methods.iter().any(|method| method == "GET")
    };
    let route = routes.find(answers_get)?;
    let word = |part| match part {
        part if str::starts_with(part, "{") => "verdigris-probe",
        part => part,
    };
    let words: Vec<_> = route.path.0.split('/').map(word).collect();
    Some(words.join("/"))
}

/// Whether the platform itself refuses who brings no token.
fn asks_for_tokens(release: &Release) -> bool {
    let app = release.content.azure.as_deref();
    let auth = app.and_then(|app| app.auth.as_ref());
    auth.is_some_and(|auth| match auth.unauthenticated {
        Unauthenticated::Refuse => true,
        Unauthenticated::Allow => false,
    })
}

/// What is told of a reference that does not lead to its secret.
fn unresolved(reference: &Value) -> Option<String> {
    let properties = &reference["properties"];
    let status = properties["status"].as_str()?;
    if REFERENCE_GOOD.contains(&status) {
        return None;
    }
    let text = |name: &str| properties[name].as_str().unwrap_or("?");
    let name = reference["name"].as_str().unwrap_or("?");
    let name = name.rsplit('/').next().unwrap_or(name);
    let (vault, secret) = (text("vaultName"), text("secretName"));
    let way_out = match status {
        "SecretNotFound" | "SecretVersionNotFound" => {
            format!("`az keyvault secret set --vault-name {vault} --name {secret} --value …`")
        }
        "AccessToKeyVaultDenied" | "MSINotEnabled" => {
            "its identity needs the role `Key Vault Secrets User` on the vault".to_owned()
        }
        "VaultNotFound" => {
            "make the vault, or name another by `vault` of the environment's `azure`".to_owned()
        }
        _ => quote(properties["details"].as_str().unwrap_or_default()),
    };
    Some(format!(
        "setting `{name}` does not get secret `{secret}` of vault `{vault}` ({status}): {way_out}"
    ))
}
