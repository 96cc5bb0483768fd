//! Reads what is attached to an alias: its address, its policy, and on blue all that calls it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AwsCloud,
    duties::{Duties, Known},
    lambda::permit_url,
    settings::alias,
    survey::AliasDetail,
};
use crate::{cloud::CloudError, name::Slot};

/// What to ask of an alias.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) name: &'a str,
    pub(super) has_url: bool,
    /// Of blue: what the releases in the slots want.
    pub(super) asked: Option<&'a Duties>,
    pub(super) reserved: Option<i32>,
    /// Of the function.
    pub(super) tags: &'a BTreeMap<String, String>,
}

impl AwsCloud {
    /// One call for each kind of thing that should be there.
    pub(super) async fn read_attached(
        &self,
        asking: Asking<'_>,
        slot: Slot,
        detail: &mut AliasDetail,
    ) -> Result<(), CloudError> {
        let Asking {
            name,
            has_url,
            asked,
            reserved,
            tags,
        } = asking;
        let alias = alias(slot);
        let mut statements = BTreeSet::new();
        if has_url || asked.is_some_and(Duties::permits) {
            statements = self.lambda.statements(name, alias).await?;
        }
        if has_url {
            detail.address = self.lambda.url(name, alias).await?;
            detail.is_permitted = permit_url(&statements, alias);
        }
        if let Some(asked) = asked {
            let known = Known {
                name,
                asked,
                reserved,
                tags,
                statements: &statements,
            };
            detail.found = Some(self.found(known).await?);
        }
        Ok(())
    }
}
