//! What every place has, whatever its release asks of it: its plan, requests by https only, the image of its runtime, and that it stays
//! awake. Pure.

use serde_json::Value;

use super::Found;
use crate::{
    cloud::azure::names::{Names, stack},
    manifest::spec::Runtime,
    observed::Fields,
};

const PLAN: &str = "app.plan";
const HTTPS: &str = "app.https";
const IMAGE: &str = "app.image";
const AWAKE: &str = "app.awake";
const TRIGGERS: &str = "app.triggers";

/// What is said where a place stands on the plan that we gave it.
const OWN_PLAN: &str = "as asked for";

/// The part of a site's configuration that the site itself tells; null where it tells none.
pub(super) fn told_config(site: &Value) -> Value {
    let config = &site["properties"]["siteConfig"];
    let tells = config.get("linuxFxVersion").is_some_and(Value::is_string);
    if tells { config.clone() } else { Value::Null }
}

/// The fields of a place as we make it.
pub(in crate::cloud::azure) fn wanted(names: &Names, runtime: &Runtime, https: bool) -> Fields {
    let mut fields = Fields::from([
        (PLAN.to_owned(), OWN_PLAN.to_owned()),
        (HTTPS.to_owned(), https_text(https)),
    ]);
    if !names.is_flex() {
        fields.insert(IMAGE.to_owned(), image(&stack(runtime)["linuxFxVersion"]));
    }
    if names.is_dedicated() {
        fields.insert(AWAKE.to_owned(), true.to_string());
    }
    if names.runs_from_url() {
        fields.insert(TRIGGERS.to_owned(), triggers(false));
    }
    fields
}

/// The same of a place as it was found. What the platform does not tell is left out; it tells all of it of a place that runs.
pub(in crate::cloud::azure) fn found(names: &Names, found: &Found) -> Fields {
    let mut fields = Fields::new();
    if let Some(plan) = &found.plan {
        let own = match names.is_flex() {
            true => names.plan_of(&found.name),
            false => names.plan_id(),
        };
        // Azure writes ids with other capitals than they were given with.
        let is_own = plan.eq_ignore_ascii_case(&own);
        // An app that was there before us stays on the plan that it is on.
        let text = match is_own || names.called.is_some() {
            true => OWN_PLAN.to_owned(),
            false => plan.to_lowercase(),
        };
        fields.insert(PLAN.to_owned(), text);
    }
    if names.runs_from_url() {
        fields.insert(TRIGGERS.to_owned(), triggers(found.sync_due));
    }
    if let Some(https) = found.https_only {
        fields.insert(HTTPS.to_owned(), https_text(https));
    }
    let web = found.web.as_ref().map(|web| &web["properties"]);
    let told = Some(&found.config).filter(|config| config.is_object());
    if let Some(config) = told.or(web).filter(|_| !names.is_flex()) {
        fields.insert(IMAGE.to_owned(), image(&config["linuxFxVersion"]));
        if names.is_dedicated() {
            let awake = config["alwaysOn"].as_bool().unwrap_or_default();
            fields.insert(AWAKE.to_owned(), awake.to_string());
        }
    }
    fields
}

/// Whether the field tells of triggers that the platform must be told of.
pub(in crate::cloud::azure) fn is_triggers(field: &str) -> bool {
    field == TRIGGERS
}

fn triggers(is_due: bool) -> String {
    match is_due {
        true => "not told to the platform".to_owned(),
        false => "told to the platform".to_owned(),
    }
}

fn https_text(only: bool) -> String {
    match only {
        true => "only".to_owned(),
        false => "or http".to_owned(),
    }
}

/// Azure changes the capitals of an image, too.
fn image(written: &Value) -> String {
    match written.as_str().map(str::trim) {
        None | Some("") => "none".to_owned(),
        Some(image) => image.to_lowercase(),
    }
}
