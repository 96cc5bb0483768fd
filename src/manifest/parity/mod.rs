//! What is asked of one cloud that not every cloud can do, and the nearest that the others can: one table, which drives what `plan` and
//! `validate` tell.

mod table;

use std::fmt;

pub use self::table::FEATURES;
use super::{aws::AwsFunction, azure::AzureApp, spec::Functions};
use crate::name::{CloudName, FunctionName};

/// One thing that may be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// As manifests write it: of AWS below a function or its service, of Azure below the service.
    pub name: &'static str,
    /// The one cloud that has it.
    pub only: CloudName,
    /// The nearest that the other can.
    pub nearest: &'static str,
    asked: Asked,
}

/// Where it is asked for, and where the nearest is: who asks for both has lost nothing.
#[derive(Clone, Copy, Debug)]
enum Asked {
    OfAws(fn(&AwsFunction) -> bool, fn(&AzureApp) -> bool),
    OfAzure(fn(&AzureApp) -> bool, fn(&AwsFunction) -> bool),
}

impl Feature {
    /// Who asks for it.
    fn askers(&self, functions: &Functions, app: Option<&AzureApp>) -> Vec<Asker> {
        match self.asked {
            Asked::OfAws(_, answers) if app.is_some_and(answers) => Vec::new(),
            Asked::OfAws(asks, _) => {
                let asking = functions
                    .iter()
                    .filter(|(_, function)| function.aws.as_deref().is_some_and(asks));
                asking
                    .map(|(name, _)| Asker::Function(name.clone()))
                    .collect()
            }
            Asked::OfAzure(asks, answers) => {
                let answered = functions
                    .values()
                    .all(|function| function.aws.as_deref().is_some_and(answers));
                let asked = app.is_some_and(asks) && !answered;
                asked.then_some(Asker::Service).into_iter().collect()
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asker {
    Function(FunctionName),
    /// In its `azure`.
    Service,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(name) => write!(f, "{name}"),
            Self::Service => f.write_str("the service"),
        }
    }
}

/// What is asked for that a cloud of its environment cannot do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    pub asker: Asker,
    pub feature: &'static str,
    /// The cloud that lacks it.
    pub cloud: CloudName,
    pub nearest: &'static str,
}

impl Gap {
    /// One sentence, without the way out.
    pub fn told(&self) -> String {
        let Self {
            asker,
            feature,
            cloud,
            nearest: _,
        } = self;
        format!("`{feature}` of {asker} means nothing to {cloud}")
    }
}

/// Everything that one of the clouds cannot do, by feature.
pub fn gaps(functions: &Functions, app: Option<&AzureApp>, clouds: &[CloudName]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for feature in FEATURES {
        let Some(cloud) = clouds.iter().find(|cloud| **cloud != feature.only) else {
            continue;
        };
        let askers = feature.askers(functions, app).into_iter();
        gaps.extend(askers.map(|asker| Gap {
            asker,
            feature: feature.name,
            cloud: *cloud,
            nearest: feature.nearest,
        }));
    }
    gaps
}
