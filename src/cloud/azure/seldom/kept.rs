//! Names of settings that stay with their slot (`slotConfigNames`). A name too few, and a swap carries a setting away; a name too many, and
//! it leaves a release's own setting behind.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::operation,
            names::WEB_API,
            observe::{SiteView, SlotView},
            settings::{self, Settings},
        },
    },
    name::ServiceName,
};

const PART: &str = "/config/slotConfigNames";

impl AzureCloud {
    /// The names that stay in a swap, as they were seen lately. At most one call; none where an app has no slots.
    pub(in crate::cloud::azure) async fn kept_names(
        &self,
        service: &ServiceName,
    ) -> Result<Option<BTreeSet<String>>, CloudError> {
        if self.names.is_flex() {
            return Ok(None);
        }
        let app = self.names.app(service);
        if let Some(known) = self.seldom.kept.younger(&app, self.stands()) {
            return Ok(Some(known));
        }
        let properties = self.read_kept(&app).await?;
        Ok(Some(names_in(&properties)))
    }

    async fn read_kept(&self, app: &str) -> Result<Value, CloudError> {
        let id = self.names.site_id(app);
        let found = self.get(operation::STICKY_GET, &id, PART).await?;
        let properties = found.map(|it| it["properties"].clone());
        let properties = properties
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        self.seldom.kept.note(app, names_in(&properties));
        Ok(properties)
    }

    /// A swap leaves what must stay and carries what must go, as two slots have it; where they disagree the first counts. Names of others
    /// stay in the list.
    pub(in crate::cloud::azure) async fn keep_names(
        &self,
        service: &ServiceName,
        first: &Settings,
        second: &Settings,
    ) -> Result<(), CloudError> {
        if self.names.is_flex() {
            return Ok(());
        }
        let (stays, goes) = settings::stays_and_goes(first, second);
        let app = self.names.app(service);
        let mut properties = self.read_kept(&app).await?;
        let before = names_in(&properties);
        let names: BTreeSet<String> = before.union(&stays).cloned().collect();
        let names: BTreeSet<String> = names.difference(&goes).cloned().collect();
        if names == before {
            return Ok(());
        }
        properties["appSettingNames"] = json!(names);
        let id = format!("{}{PART}", self.names.site_id(&app));
        let body = json!({ "properties": properties });
        self.put(operation::STICKY_PUT, &id, WEB_API, body).await?;
        self.seldom.kept.note(&app, names);
        Ok(())
    }
}

impl AzureCloud {
    /// Gives the release that went to green its own settings again, so that it can come back as it is: one call, and none where both
    /// releases want the same to stay. Where that fails it is staged again before it comes back.
    pub(in crate::cloud::azure) async fn give_back(&self, was: &SlotView, now: &SiteView) {
        let (Some(green), false) = (&now.green, self.names.is_flex()) else {
            return;
        };
        let had = settings::marks(&was.settings).map(|it| it.release);
        let is_the_one = settings::marks(&green.settings).map(|it| it.release) == had;
        let other = now.blue.duties();
        let own = settings::with_own(&green.settings, &was.settings, &other);
        let Some(own) = own.filter(|_| is_the_one) else {
            return;
        };
        if let Err(error) = self.put_settings(&green.id, &own).await {
            tracing::warn!(slot = %green.id, %error, "green has not all settings of its release, which is staged again before it comes back");
        }
    }
}

impl SlotView {
    /// Whether a swap would leave and carry what it must.
    pub(in crate::cloud::azure) fn swaps_well(&self) -> bool {
        let mut told = crate::observed::Fields::new();
        if let Some(kept) = &self.found.kept {
            settings::tell_kept(&mut told, &self.settings, kept);
        }
        told.is_empty()
    }
}

fn names_in(properties: &Value) -> BTreeSet<String> {
    let listed = properties["appSettingNames"].as_array();
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    listed.map(str::to_owned).collect()
}
