//! Names that functions have on a cloud by the word of their manifest, where those that we would give are not theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CloudName, FunctionName, ServiceKey};

/// What a service's functions are called on the clouds. What is not here has the name that we give.
///
/// It travels with a release and with every look at the clouds, and is remembered of a service for as long as anything of it may stand
/// there: a name that was lost would make a second function of the first.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(default)]
pub struct Called {
    /// Lambda functions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aws: BTreeMap<FunctionName, String>,
    /// The Function App, in lower case: Azure minds no case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<String>,
}

impl Called {
    /// What a Lambda function is called: as its manifest says, else as we would call it.
    pub fn lambda(&self, service: &ServiceKey, function: &FunctionName) -> String {
        let ServiceKey {
            environment,
            service,
        } = service;
        let given = self.aws.get(function);
        given.map_or_else(
            || format!("{environment}-{service}-{function}"),
            String::clone,
        )
    }

    /// What one cloud has of it.
    #[must_use]
    pub fn on(self, cloud: CloudName) -> Self {
        let Self { aws, azure } = self;
        match cloud {
            CloudName::Aws => Self { aws, azure: None },
            CloudName::Azure => Self {
                aws: BTreeMap::new(),
                azure,
            },
        }
    }

    /// What is left of it where the functions of a release go by another word, and the app with them.
    #[must_use]
    pub fn without<T>(mut self, functions: &BTreeMap<FunctionName, T>) -> Self {
        self.aws
            .retain(|function, _| !functions.contains_key(function));
        self.azure = None;
        self
    }

    /// The same with what another says where this one says nothing.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        let Self { aws, azure } = other;
        for (function, name) in aws {
            let known = self.aws.entry(function.clone());
            known.or_insert_with(|| name.clone());
        }
        self.azure = self.azure.or_else(|| azure.clone());
        self
    }
}
