//! Looks at what serves, again and again, with as few calls as tell the truth.
//!
//! No list of Lambda's tells where aliases point: one call a function is the least. Versions cannot be edited, so where blue's alias has its
//! version, the settings behind it are what they were; `GetFunction` tells both. Where nothing is under way, green is the way back and
//! serves nobody: it is looked at with all the rest, whenever details are read again.

use std::time::Duration;

use super::{
    AwsCloud,
    memory::Quiet,
    settings::alias,
    survey::{Seen, all, pointer, version},
};
use crate::{
    cloud::CloudError,
    name::{FunctionName, ServiceKey, Slot},
    observed::Scope,
};

impl AwsCloud {
    /// How old may be what is remembered of weights, addresses, duties and tags. Where many functions are known it is longer, so that
    /// reading it again takes no more than a share of what the account grants.
    pub(super) fn details_for(&self) -> Duration {
        let least = self.options.details_for;
        match least.is_zero() {
            true => least,
            false => least.max(self.options.limits.rotation()),
        }
    }

    /// Every function of the scope, for those who change nothing.
    pub(super) async fn look(&self, scope: &Scope) -> Result<Vec<Seen>, CloudError> {
        let functions = scope.functions.iter();
        all(functions
            .map(|function| self.look_at(&scope.service, function))
            .collect())
        .await
    }

    /// Whoever just looks around lets those go before who have something to do.
    async fn look_at(
        &self,
        service: &ServiceKey,
        function: &FunctionName,
    ) -> Result<Seen, CloudError> {
        let name = self.lambda_name(service, function)?;
        let looker = self.memory.looker(service, &name);
        let _room = self.options.limits.looking.enter(looker).await;
        let Some(quiet) = self.memory.quiet(service, &name, self.details_for()) else {
            return self.survey_one(service, function).await;
        };
        let Quiet {
            standing,
            blue: detail,
            green,
        } = quiet;
        let blue = self.lambda.function(&name, Some(alias(Slot::Blue))).await?;
        let Some(blue) = blue.filter(|blue| version(blue) == detail.version) else {
            return self.survey_one(service, function).await;
        };
        Ok(Seen {
            blue: Some(pointer(&blue, Some(&detail))),
            green,
            ..Seen::bare(service, function, name, standing)
        })
    }
}
