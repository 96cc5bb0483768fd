//! Services that would be one on a cloud: of one name there, or apps that Azure's host would take for one.

use std::collections::BTreeMap;

use super::{
    super::{
        check::limits::{app_called, app_given, host_id, lambda_called, lambda_given},
        spec::{Environment, Service},
    },
    assemble::Assembly,
};
use crate::name::{CloudName, EnvironmentName, ServiceName};

/// A name on a cloud, and what it must be the only one in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Claim {
    cloud: CloudName,
    place: String,
    name: String,
}

/// Whoever has a name, for people: `stock`, `stock.list`.
type Owner = (ServiceName, String);

impl Assembly<'_> {
    /// No two services would be one on a cloud.
    pub(super) fn check_clashes(&mut self) {
        self.check_names();
        self.check_host_ids();
    }

    /// Nothing has a name that something else has, given or ours. Whoever wrote it is stopped: the other may be live already.
    fn check_names(&mut self) {
        let mut owners: BTreeMap<Claim, Vec<Owner>> = BTreeMap::new();
        self.claims(true, |claim, owner| {
            owners.entry(claim).or_default().push(owner);
        });
        if owners.is_empty() {
            return;
        }
        let mut clashes = BTreeMap::new();
        for (claim, given) in &owners {
            for pair in given.windows(2) {
                clashes.insert(pair[1].0.clone(), (claim.clone(), pair[0].1.clone()));
            }
        }
        self.claims(false, |claim, (_, other)| {
            for (name, _) in owners.get(&claim).into_iter().flatten() {
                clashes.insert(name.clone(), (claim.clone(), other.clone()));
            }
        });
        for (name, (claim, other)) in clashes {
            self.tell_taken(&name, &claim, &other);
        }
    }

    /// Every name on a cloud: those that manifests give, or ours.
    fn claims(&self, are_given: bool, mut take: impl FnMut(Claim, Owner)) {
        for (name, placed) in &self.placed {
            for environment in &placed.environments {
                let service = placed.in_environment(environment);
                let Some(found) = self.environments.get(environment) else {
                    continue;
                };
                for (claim, owner, is_given) in claims_of(&found.value, environment, service) {
                    if is_given == are_given {
                        take(claim, (name.clone(), owner));
                    }
                }
            }
        }
    }

    fn tell_taken(&mut self, name: &ServiceName, claim: &Claim, other: &str) {
        let Some(placed) = self.placed.remove(name) else {
            return;
        };
        let Claim {
            cloud,
            place: _,
            name: taken,
        } = claim;
        let message = format!("`{taken}` is the name of {other} on {cloud}, too");
        let help = "each function is one service's in one environment: write another `name`, or remove it there; `${param:…}` tells environments apart";
        self.faults
            .push(placed.name_fault(message, Some(help.to_owned())));
        self.held.services.insert(name.clone());
    }

    /// Apps that share prefix and storage must differ in the part of their names that Azure's host takes for its id.
    fn check_host_ids(&mut self) {
        let mut owners: BTreeMap<String, ServiceName> = BTreeMap::new();
        let mut clashes = Vec::new();
        for (name, placed) in &self.placed {
            for environment in &placed.environments {
                let found = self.environments.get(environment);
                let Some(azure) = found.and_then(|found| found.value.azure.as_ref()) else {
                    continue;
                };
                let app = app_called(azure, environment, placed.in_environment(environment));
                let id = host_id(&app).to_owned();
                let key = format!("{}/{}/{id}", azure.subscription, azure.resource_group);
                match owners.get(&key) {
                    Some(owner) if owner != name => {
                        clashes.push((name.clone(), owner.clone(), id));
                    }
                    Some(_) | None => {
                        owners.insert(key, name.clone());
                    }
                }
            }
        }
        for (name, owner, id) in clashes {
            self.tell_clash(&name, &owner, &id);
        }
    }

    /// The later name of the two is stopped; the other may be live already.
    fn tell_clash(&mut self, name: &ServiceName, owner: &ServiceName, id: &str) {
        let Some(placed) = self.placed.remove(name) else {
            return;
        };
        let message = format!(
            "its Function App and that of `{owner}` both start with `{id}`, so Azure's host gives both one id"
        );
        let help = "rename one, or shorten the environment's prefix";
        self.faults
            .push(placed.name_fault(message, Some(help.to_owned())));
        self.held.services.insert(name.clone());
    }
}

/// Names of a service in one environment; whether its manifest gives them.
fn claims_of(
    environment: &Environment,
    name: &EnvironmentName,
    service: &Service,
) -> Vec<(Claim, String, bool)> {
    let mut claims = Vec::new();
    if let Some(aws) = &environment.aws {
        for function in service.functions.keys() {
            let claim = Claim {
                cloud: CloudName::Aws,
                place: format!("{}/{}", aws.account(), aws.region),
                name: lambda_called(environment, service, function),
            };
            let owner = format!("`{function}` of `{name}/{}`", service.name);
            let is_given = lambda_given(service, function).is_some();
            claims.push((claim, owner, is_given));
        }
    }
    if let Some(azure) = &environment.azure {
        let claim = Claim {
            cloud: CloudName::Azure,
            // In all the world.
            place: String::new(),
            name: app_called(azure, name, service),
        };
        let owner = format!("`{name}/{}`", service.name);
        claims.push((claim, owner, app_given(service).is_some()));
    }
    claims
}

/// The names that a service's manifest gives.
pub(super) fn given_names(service: &Service) -> impl Iterator<Item = &str> {
    let functions = service.functions.keys();
    let on_aws = functions.filter_map(|function| lambda_given(service, function));
    on_aws.chain(app_given(service))
}
