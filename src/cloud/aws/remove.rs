//! What is ours on the target, and how it goes away.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::FunctionConfiguration;
use tokio::time::Instant;

use super::{
    AwsCloud,
    settings::{FUNCTION, RELEASE, SERVICE, Settings, alias},
    survey::{all, name_of, previous, standing},
    tags,
};
use crate::{
    cloud::{CloudError, line::in_line},
    name::{Called, FunctionName, ServiceKey, ServiceName, Slot},
    observed::{Owned, Scope},
};

/// A function that is ours by its own word.
#[derive(Debug)]
pub(super) struct Claim {
    service: ServiceKey,
    function: FunctionName,
    /// Where it is not the one that we give.
    name: Option<String>,
    arn: String,
}

fn of_service(claims: &[Claim], service: &ServiceKey) -> Scope {
    let mut scope = Scope {
        service: service.clone(),
        functions: BTreeSet::new(),
        called: Called::default(),
    };
    for claim in claims.iter().filter(|claim| claim.service == *service) {
        scope.functions.insert(claim.function.clone());
        claim.note_name(&mut scope.called);
    }
    scope
}

impl Claim {
    fn note_name(&self, called: &mut Called) {
        let name = self.name.clone().map(|name| (self.function.clone(), name));
        called.aws.extend(name);
    }
}

impl AwsCloud {
    pub(super) async fn owned(&self) -> Result<Vec<Owned>, CloudError> {
        let mut services: BTreeMap<ServiceKey, Owned> = BTreeMap::new();
        for claim in self.claims().await? {
            let none = || Owned {
                service: claim.service.clone(),
                functions: BTreeSet::new(),
                called: Called::default(),
                resources: Vec::new(),
            };
            let owned = services.entry(claim.service.clone()).or_insert_with(none);
            claim.note_name(&mut owned.called);
            owned.functions.insert(claim.function);
            owned.resources.push(claim.arn);
        }
        let mut owned: Vec<Owned> = services.into_values().collect();
        owned.iter_mut().for_each(|it| it.resources.sort());
        Ok(owned)
    }

    /// Every function of the service that the target has, known to us or not.
    async fn known(&self, service: &ServiceKey) -> Result<Scope, CloudError> {
        Ok(of_service(&self.claims().await?, service))
    }

    /// The same, from a list that is as old as details may be, and with what we came across since: to list all functions takes a call for
    /// every fifty, and many may be repaired at once.
    pub(super) async fn known_lately(&self, service: &ServiceKey) -> Result<Scope, CloudError> {
        let start = format!("{}-{}-", service.environment, service.service);
        let met = self.memory.names_after(service, &start).into_iter();
        let met = met.filter_map(|name| FunctionName::new(name).ok());
        let mut listed = in_line(self.listed.lock()).await;
        let is_young = |(at, _): &(Instant, _)| at.elapsed() < self.options.details_for;
        let (at, claims) = match listed.take().filter(is_young) {
            Some(young) => young,
            None => (Instant::now(), self.claims().await?),
        };
        let mut known = of_service(&claims, service);
        *listed = Some((at, claims));
        known.functions.extend(met);
        Ok(known)
    }

    /// `ListFunctions` tells no tags, but variables; ours say who a function is. Where they were edited away, the tags are asked for.
    async fn claims(&self) -> Result<Vec<Claim>, CloudError> {
        let prefix = format!("{}-", self.options.environment);
        let listed = self.lambda.functions().await?;
        let by_name = |it: &FunctionConfiguration| {
            it.function_name()
                .is_some_and(|name| name.starts_with(&prefix))
        };
        let says =
            |it: &FunctionConfiguration| self.service_said(&Settings::read(it).env).is_some();
        let named = listed.iter().filter(|it| by_name(it) || says(it));
        let claims = all(named.map(|it| self.claim(it)).collect()).await?;
        Ok(claims.into_iter().flatten().collect())
    }

    async fn claim(&self, listed: &FunctionConfiguration) -> Result<Option<Claim>, CloudError> {
        let name = listed.function_name().unwrap_or_default();
        let env = Settings::read(listed).env;
        if let (Some(function), true) = (env.get(FUNCTION), env.contains_key(RELEASE))
            && let Some(service) = self
                .service_said(&env)
                .or_else(|| self.service_in(name, function))
        {
            let claim = self.claim_of(listed, &service, function);
            return self.proven(claim, name).await;
        }
        let Some(full) = self.lambda.function(name, None).await? else {
            return Ok(None);
        };
        let tags = full.tags.unwrap_or_default();
        let is = |tag: &str, value: &str| tags.get(tag).is_some_and(|it| it == value);
        let ours = is(tags::OWNER, tags::VERDIGRIS)
            && is(tags::ENVIRONMENT, self.options.environment.as_str());
        let Some(service) = tags.get(tags::SERVICE).filter(|_| ours) else {
            return Ok(None);
        };
        let before = format!("{}-{service}-", self.options.environment);
        let function = name.strip_prefix(&before);
        Ok(function.and_then(|function| self.claim_of(listed, service, function)))
    }

    /// Whoever copies a function by hand copies its variables, too. So a name that we would not give needs our tags beside them; where they
    /// may not be read, it is not ours to delete.
    async fn proven(&self, claim: Option<Claim>, name: &str) -> Result<Option<Claim>, CloudError> {
        let Some(claim) = claim else {
            return Ok(None);
        };
        if claim.name.is_none() {
            return Ok(Some(claim));
        }
        match self.lambda.function(name, None).await {
            Ok(full) => {
                let is_ours = full.is_some_and(|it| {
                    let told = standing(&claim.service, &it);
                    told.is_of(&claim.service)
                });
                Ok(Some(claim).filter(|_| is_ours))
            }
            Err(error @ CloudError::Denied { .. }) => {
                tracing::warn!(function = name, %error, "it says that it is ours, and its tags cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The service that a function says it is of, where its name does not.
    fn service_said(&self, env: &BTreeMap<String, String>) -> Option<String> {
        let said: ServiceKey = env.get(SERVICE)?.parse().ok()?;
        let is_here = said.environment == self.options.environment;
        is_here.then(|| said.service.to_string())
    }

    /// The service in `{environment}-{service}-{function}`.
    fn service_in(&self, name: &str, function: &str) -> Option<String> {
        let rest = name.strip_prefix(self.options.environment.as_str())?;
        let rest = rest.strip_prefix('-')?.strip_suffix(function)?;
        rest.strip_suffix('-').map(str::to_owned)
    }

    fn claim_of(
        &self,
        listed: &FunctionConfiguration,
        service: &str,
        function: &str,
    ) -> Option<Claim> {
        let service = ServiceKey {
            environment: self.options.environment.clone(),
            service: ServiceName::new(service).ok()?,
        };
        let function = FunctionName::new(function).ok()?;
        let name = listed.function_name().unwrap_or_default();
        let is_ours = name == name_of(&Called::default(), &service, &function);
        Some(Claim {
            name: (!is_ours).then(|| name.to_owned()),
            service,
            function,
            arn: listed.function_arn().unwrap_or_default().to_owned(),
        })
    }

    pub(super) async fn prune_service(&self, scope: &Scope) -> Result<(), CloudError> {
        let mut known = self.known(&scope.service).await?;
        known.functions.extend(scope.functions.iter().cloned());
        // What is remembered first: a claim is the word of a variable.
        let called = scope.called.clone().or(&known.called);
        let cloud = self.calling(&called);
        let functions = known.functions.iter();
        let removals = functions.map(|function| cloud.prune_one(&scope.service, function));
        all(removals.collect()).await?;
        self.delete_all_roles(&scope.service).await
    }

    /// The tags are read right before anything is deleted. What is not ours stays.
    pub(super) async fn prune_one(
        &self,
        service: &ServiceKey,
        function: &FunctionName,
    ) -> Result<(), CloudError> {
        let name = self.lambda_name(service, function)?;
        let latest = self.lambda.function(&name, None).await?;
        let own = latest.filter(|it| standing(service, it).is_of(service));
        let Some(own) = own else {
            self.lose(&name);
            return Ok(());
        };
        self.forget(&name);
        // Mappings and rules outlive the function that they call.
        let seen = self.survey_one(service, function).await?;
        if let Some(blue) = &seen.blue {
            self.remove(&seen, Slot::Blue, blue).await?;
        }
        let caller = self.account().blue(&name);
        for mapping in self.lambda.sources(&caller).await? {
            let id = mapping.uuid().unwrap_or_default();
            self.lambda.remove_source(&caller, id).await?;
        }
        for slot in [Slot::Blue, Slot::Green] {
            self.lambda.delete_url(&name, alias(slot)).await?;
            self.lambda.delete_alias(&name, alias(slot)).await?;
        }
        let versions = self.lambda.versions(&name).await?;
        let versions = versions.iter().chain([&own.config]);
        let gone: Vec<_> = versions.map(Settings::read).collect();
        self.delete_roles(service, &gone, &[]).await?;
        self.lambda.delete(&name, None).await?;
        self.lose(&name);
        Ok(())
    }

    /// Nobody looks at it again: what it took to look at it is others' to use.
    fn lose(&self, name: &str) {
        let price = self.memory.take(name);
        self.options.limits.note_price(price, 0);
    }

    /// Keeps what any alias uses, what blue would go back to, and the newest few. Failing here costs storage and nothing else, so it is
    /// told in the log and tried again at the next release.
    pub(super) async fn delete_old_versions(
        &self,
        service: &ServiceKey,
        name: &str,
        just_staged: &str,
    ) {
        let deleted = self.try_delete_old_versions(service, name, just_staged);
        if let Err(error) = deleted.await {
            tracing::warn!(function = name, %error, "old versions could not be deleted");
        }
    }

    async fn try_delete_old_versions(
        &self,
        service: &ServiceKey,
        name: &str,
        just_staged: &str,
    ) -> Result<(), CloudError> {
        let versions = self.lambda.versions(name).await?;
        let mut ours: Vec<u64> = versions
            .iter()
            .filter(|version| Settings::read(version).marks().release.is_some())
            .filter_map(|version| version.version()?.parse().ok())
            .collect();
        ours.sort_unstable_by(|a, b| b.cmp(a));
        // Some servers list the newest twice, and one of the newest few would be lost for it.
        ours.dedup();
        if ours.len() <= self.options.keep_versions {
            return Ok(());
        }
        let mut used = self.used_versions(name).await?;
        used.insert(just_staged.to_owned());
        let mut deleted = BTreeSet::new();
        for old in ours.into_iter().skip(self.options.keep_versions) {
            let old = old.to_string();
            if !used.contains(&old) {
                self.lambda.delete(name, Some(&old)).await?;
                deleted.insert(old);
            }
        }
        self.memory.note_deleted(name, &deleted);
        let is_gone =
            |it: &&FunctionConfiguration| it.version().is_some_and(|it| deleted.contains(it));
        let (gone, left): (Vec<_>, Vec<_>) = versions.iter().partition(is_gone);
        let settings = |of: Vec<&FunctionConfiguration>| {
            of.into_iter().map(Settings::read).collect::<Vec<_>>()
        };
        self.delete_roles(service, &settings(gone), &settings(left))
            .await
    }

    async fn used_versions(&self, name: &str) -> Result<BTreeSet<String>, CloudError> {
        let mut used = BTreeSet::new();
        for alias in self.lambda.aliases(name).await? {
            used.extend(alias.function_version().map(str::to_owned));
            used.extend(previous(alias.description()));
            let weights = alias
                .routing_config()
                .and_then(|it| it.additional_version_weights());
            used.extend(
                weights
                    .into_iter()
                    .flatten()
                    .map(|(version, _)| version.clone()),
            );
        }
        Ok(used)
    }
}
