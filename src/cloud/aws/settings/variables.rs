//! Variables of a version: the user's, and ours, by which a version says what it is. Pure.

use std::collections::BTreeMap;

use super::{
    super::duties::{Account, Duties},
    access::url,
};
use crate::{
    desired::Release,
    manifest::{aws::UrlOptions, spec::EnvValue},
    name::{FunctionName, ReleaseDigest, Revision},
};

/// The variables that we add, which no variable of a user may replace.
pub(in crate::cloud::aws) const FUNCTION: &str = "VERDIGRIS_FUNCTION";
pub(in crate::cloud::aws) const RELEASE: &str = "VERDIGRIS_RELEASE";
pub(in crate::cloud::aws) const REVISION: &str = "VERDIGRIS_REVISION";
/// How many functions the release has, so that a half-staged release cannot look whole.
pub(in crate::cloud::aws) const FUNCTIONS: &str = "VERDIGRIS_FUNCTIONS";
/// Set on functions whose name says nothing of whose they are: the service with its environment.
pub(in crate::cloud::aws) const SERVICE: &str = "VERDIGRIS_SERVICE";
/// Set on functions that answer HTTP: their aliases have a function URL, which answers like this.
pub(in crate::cloud::aws) const HTTP: &str = "VERDIGRIS_HTTP";
/// What `blue` has besides the version. Not set where there is nothing.
pub(in crate::cloud::aws) const BLUE: &str = "VERDIGRIS_BLUE";
pub(super) const OURS: &str = "VERDIGRIS_";

/// What our variables say about a version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Marks {
    pub(in crate::cloud::aws) release: Option<ReleaseDigest>,
    pub(in crate::cloud::aws) revision: Option<Revision>,
    pub(in crate::cloud::aws) functions: Option<usize>,
    pub(in crate::cloud::aws) http: Option<UrlOptions>,
    pub(in crate::cloud::aws) blue: Duties,
}

/// The user's variables, then ours.
///
/// Lambda puts no secret of a store into a variable, and we must not read one. So a variable `DB_PASSWORD` whose value is a secret
/// becomes `DB_PASSWORD_SECRET`, which holds the *name* of the secret in AWS Secrets Manager; the function asks for its value, with
/// the role that it runs as. The password itself is nowhere in the function's configuration.
pub(super) fn variables(
    release: &Release,
    function: &FunctionName,
    account: &Account,
) -> BTreeMap<String, String> {
    let content = &release.content;
    let user = content
        .env_of(function)
        .into_iter()
        .map(|(name, value)| match value {
            EnvValue::Plain(text) => (name, text),
            EnvValue::Secret(secret) => (format!("{name}_SECRET"), secret),
        });
    let mut env: BTreeMap<String, String> = user.collect();
    env.insert(FUNCTION.to_owned(), function.to_string());
    env.insert(RELEASE.to_owned(), release.digest.to_string());
    env.insert(REVISION.to_owned(), release.revision.to_string());
    env.insert(FUNCTIONS.to_owned(), content.functions.len().to_string());
    let asked = content.functions.get(function).map(AsRef::as_ref);
    // Cannot fail: every key is a string and every value has a JSON form.
    let http = asked.and_then(url);
    let http = http.and_then(|options| serde_json::to_string(&options).ok());
    let blue = asked.map(|it| Duties::wanted(it, account));
    let blue = blue.filter(|it| !it.is_none());
    let blue = blue.and_then(|it| serde_json::to_string(&it).ok());
    let is_named = asked.is_some_and(|it| it.aws.as_ref().is_some_and(|aws| aws.name.is_some()));
    let service = is_named.then(|| release.service.to_string());
    for (name, value) in [(SERVICE, service), (HTTP, http), (BLUE, blue)] {
        match value {
            Some(value) => env.insert(name.to_owned(), value),
            None => env.remove(name),
        };
    }
    env
}
