//! Gives `blue` what it should have, and takes away what only another release asked for.

use super::{
    super::{AwsCloud, settings::alias, tags},
    Account, Duties, Found, rule_name,
};
use crate::{
    cloud::CloudError,
    name::{ServiceKey, Slot},
};

const BLUE: &str = alias(Slot::Blue);

/// What a function has, and what it should have.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Settlement<'a> {
    pub(in crate::cloud::aws) service: &'a ServiceKey,
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) found: &'a Found,
    pub(in crate::cloud::aws) wanted: &'a Duties,
}

impl AwsCloud {
    /// Quiet where nothing differs. What is new comes before what is old goes; the alias is in its place already.
    ///
    /// A source that stays is changed where it is and never made anew, so that no message is lost or taken twice.
    pub(in crate::cloud::aws) async fn settle_duties(
        &self,
        work: Settlement<'_>,
    ) -> Result<(), CloudError> {
        let Settlement {
            service: _,
            name,
            found,
            wanted,
        } = work;
        let account = self.account();
        let statements = wanted.statements(name, &account);
        for (id, permission) in &statements {
            match found.statements.get(id) {
                Some(said) if said.is(permission) => {}
                // Somebody put another one under our name, and no statement can be changed.
                Some(_) => {
                    self.lambda.forbid(name, BLUE, id).await?;
                    self.lambda.permit(name, id, permission).await?;
                }
                None => self.lambda.permit(name, id, permission).await?,
            }
        }
        self.settle_labels(work).await?;
        self.settle_concurrency(name, found, wanted).await?;
        if found.duties.asynchronous != wanted.asynchronous {
            let asked = wanted.asynchronous.as_ref();
            self.lambda.set_asynchronous(name, asked).await?;
        }
        self.settle_sources(work, &account).await?;
        self.settle_topics(name, found, wanted, &account).await?;
        self.settle_notices(name, found, wanted, &account).await?;
        self.settle_rules(work, &account).await?;
        let old = found
            .statements
            .keys()
            .filter(|id| !statements.contains_key(*id));
        for id in old.chain(found.open.keys()) {
            self.lambda.forbid(name, BLUE, id).await?;
        }
        Ok(())
    }

    /// A reservation is made before anything is kept warm in it, and outlives what is kept warm.
    async fn settle_concurrency(
        &self,
        name: &str,
        found: &Found,
        wanted: &Duties,
    ) -> Result<(), CloudError> {
        let is_cold = found.cold.is_some();
        let found = &found.duties;
        if let (Some(_), None) = (found.provisioned, wanted.provisioned) {
            self.lambda.unprovision(name).await?;
        }
        if found.reserved != wanted.reserved {
            match wanted.reserved {
                Some(reserved) => self.lambda.reserve(name, reserved).await?,
                None => self.lambda.unreserve(name).await?,
            }
        }
        match wanted.provisioned {
            Some(provisioned) if is_cold || found.provisioned != wanted.provisioned => {
                self.lambda.provision(name, provisioned).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn settle_sources(
        &self,
        work: Settlement<'_>,
        account: &Account,
    ) -> Result<(), CloudError> {
        let Settlement {
            service,
            name,
            found,
            wanted,
        } = work;
        let blue = account.blue(name);
        for (arn, source) in &wanted.sources {
            let before = found.duties.sources.get(arn);
            match (found.mappings.get(arn), before) {
                (Some(_), Some(before)) if before.serves(source) => {}
                (Some(id), _) => self.lambda.change_source(&blue, id, source.parts()).await?,
                (None, _) => {
                    let (parts, tags) = (source.parts(), tags::of(service));
                    self.lambda.add_source(&blue, arn, parts, tags).await?;
                }
            }
        }
        for (arn, id) in &found.mappings {
            if !wanted.sources.contains_key(arn) {
                self.lambda.remove_source(&blue, id).await?;
            }
        }
        Ok(())
    }

    async fn settle_rules(
        &self,
        work: Settlement<'_>,
        account: &Account,
    ) -> Result<(), CloudError> {
        let Settlement {
            service,
            name,
            found,
            wanted,
        } = work;
        for expression in wanted.schedules.difference(&found.duties.schedules) {
            let rule = rule_name(name, expression);
            let tags = tags::of(service);
            self.events.put_rule(&rule, expression, &tags).await?;
            self.events.put_target(&rule, &account.blue(name)).await?;
        }
        for expression in found.rules.difference(&wanted.schedules) {
            self.events
                .remove_rule(&rule_name(name, expression))
                .await?;
        }
        Ok(())
    }
}
