//! What an app is made of: its slot's package and settings, and what the platform adds.

use std::{collections::BTreeMap, sync::Arc};

use crate::local::arm::{
    cloud::{Cloud, slot_key},
    host::app::{App, Limits, Parts},
    model::{PRODUCTION, Site, Slot},
    slots::rules::Rules,
    trust,
};

impl Cloud {
    /// The app that belongs into a slot as it is now.
    pub(in crate::local::arm) fn app(&self, site: &Site, slot: &Slot) -> Arc<App> {
        self.app_from(site, slot, slot, site.effective_settings(slot))
    }

    /// `code`'s package in the place of `place`, with `settings`.
    pub(in crate::local::arm) fn app_from(
        &self,
        site: &Site,
        code: &Slot,
        place: &Slot,
        settings: BTreeMap<String, String>,
    ) -> Arc<App> {
        let digest = code.content.package.as_ref();
        let who = (&trust::principals(place), self.clock.now());
        let storage = trust::storage::of(self, place, &settings);
        let (settings, fetched) = self.trust().resolved(settings, who);
        App::new(Parts {
            package: digest.and_then(|digest| self.disk.package(digest)),
            environment: environment(site, code, place, &settings),
            settings,
            fetched,
            storage,
            running: place.running,
            keys: place.keys.clone(),
            rules: Rules {
                auth: place.auth.clone(),
                cors: place
                    .content
                    .config
                    .get("cors")
                    .cloned()
                    .unwrap_or_default(),
            },
            limits: Limits {
                memory: self.options.memory_limit,
                start: self.options.start_timeout,
                request: self.options.request_timeout,
            },
            python: self.options.python.clone(),
            logs: self.logs_of(&slot_key(site, place)),
        })
    }
}

/// What the platform tells an app by its environment, and the app's own settings over it.
fn environment(
    site: &Site,
    code: &Slot,
    place: &Slot,
    settings: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_production = place.name.eq_ignore_ascii_case(PRODUCTION);
    let slot_name = if is_production {
        "Production"
    } else {
        &place.name
    };
    let mut environment = BTreeMap::from([
        ("WEBSITE_SITE_NAME".to_owned(), site.name.clone()),
        ("WEBSITE_SLOT_NAME".to_owned(), slot_name.to_owned()),
        (
            "WEBSITE_HOSTNAME".to_owned(),
            format!("127.0.0.1:{}", place.front_port),
        ),
        ("WEBSITE_RESOURCE_GROUP".to_owned(), site.group.clone()),
        ("REGION_NAME".to_owned(), place.location.clone()),
    ]);
    for (name, connection) in &code.content.connections {
        if let Some(value) = connection["value"].as_str() {
            let kind = connection["type"].as_str().unwrap_or("Custom");
            let prefix = format!("{}CONNSTR_", kind.to_ascii_uppercase());
            environment.insert(format!("{prefix}{name}"), value.to_owned());
        }
    }
    // A name that no environment can hold would make the app impossible to start.
    let settable = |(name, value): &(&String, &String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    let settings = settings.iter().filter(settable);
    environment.extend(settings.map(|(name, value)| (name.clone(), value.clone())));
    environment
}
