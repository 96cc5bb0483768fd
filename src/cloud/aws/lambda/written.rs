//! What each writing call of ours makes of later answers: who reads before AWS tells it asks again.

use aws_sdk_lambda::{
    primitives::DateTime,
    types::{AliasConfiguration, EventSourceMappingConfiguration, FunctionConfiguration},
};

use super::{Address, Function, Lambda, Policy};
use crate::{
    cloud::{
        aws::settings::alias,
        unseen::{Mark, there},
    },
    manifest::aws::UrlOptions,
    name::Slot,
};

const REVISION: &str = "revision";
const THERE: &str = "there";
const VERSION: &str = "version";
const RESERVED: &str = "reserved";
const TAG: &str = "tag ";
/// As it is told of a mapping that goes.
const DELETING: &str = "Deleting";

pub(super) const ALL_FUNCTIONS: &str = "functions";

pub(super) fn one_function(name: &str, qualifier: Option<&str>) -> String {
    format!("function {name} {}", qualifier.unwrap_or_default())
}

pub(super) fn versions_of(name: &str) -> String {
    format!("versions {name}")
}

pub(super) fn aliases_of(name: &str) -> String {
    format!("aliases {name}")
}

pub(super) fn url_of(name: &str, alias: Option<&str>) -> String {
    format!("url {name} {}", alias.unwrap_or_default())
}

pub(super) fn policy_of(name: &str, alias: Option<&str>) -> String {
    format!("policy {name} {}", alias.unwrap_or_default())
}

pub(super) fn sources_of(function: &str) -> String {
    format!("sources {function}")
}

// === what answers say ===

pub(super) fn of_function(told: &Option<Function>, part: &str) -> Mark {
    let told = told.as_ref()?;
    match part {
        REVISION => told.config.revision_id().map(str::to_owned),
        VERSION => told.config.version().map(str::to_owned),
        RESERVED => told.reserved.map(|many| many.to_string()),
        THERE => there(true),
        tag => told.tags.as_ref()?.get(tag.strip_prefix(TAG)?).cloned(),
    }
}

pub(super) fn of_functions(told: &[FunctionConfiguration], name: &str) -> Mark {
    there(told.iter().any(|it| it.function_name() == Some(name)))
}

pub(super) fn of_versions(told: &[FunctionConfiguration], version: &str) -> Mark {
    there(told.iter().any(|it| it.version() == Some(version)))
}

pub(super) fn of_aliases(told: &[AliasConfiguration], alias: &str) -> Mark {
    let told = told.iter().find(|it| it.name() == Some(alias))?;
    Some(told.revision_id().unwrap_or_default().to_owned())
}

/// Not all of it: servers may say the rest in other words.
fn of_options(options: &UrlOptions) -> String {
    format!("{:?} {}", options.auth, options.stream)
}

pub(super) fn of_url(told: &Option<Address>, _: &str) -> Mark {
    told.as_ref().map(|it| of_options(&it.options))
}

pub(super) fn of_policy(told: &Policy, statement: &str) -> Mark {
    there(told.contains_key(statement))
}

/// By their sources whether they are there, by their ids when they were changed.
pub(super) fn of_sources(told: &[EventSourceMappingConfiguration], part: &str) -> Mark {
    let stays = |it: &&EventSourceMappingConfiguration| it.state() != Some(DELETING);
    let mut all = told.iter().filter(stays);
    if part.starts_with("arn:") {
        return there(all.any(|it| it.event_source_arn() == Some(part)));
    }
    let told = all.find(|it| it.uuid() == Some(part))?;
    Some(told.last_modified().map_or_else(String::new, moment))
}

/// Moments that compare as texts.
fn moment(at: &DateTime) -> String {
    format!("{:030}", at.as_nanos())
}

// === what was written ===

impl Lambda {
    pub(super) fn made_version(&self, name: &str, version: &str) {
        let asked = one_function(name, Some(version));
        self.unseen.replaced(&asked, THERE, None);
        self.unseen.replaced(&versions_of(name), version, None);
    }

    pub(super) fn made_function(&self, name: &str) {
        let asked = one_function(name, None);
        self.unseen.replaced(&asked, THERE, None);
        self.unseen.replaced(ALL_FUNCTIONS, name, None);
    }

    /// `$LATEST` is another since.
    pub(super) fn changed_latest(&self, name: &str, before: Option<&str>) {
        if let Some(before) = before {
            let asked = one_function(name, None);
            self.unseen
                .replaced(&asked, REVISION, Some(before.to_owned()));
        }
    }

    pub(super) fn deleted(&self, name: &str, version: Option<&str>) {
        let asked = one_function(name, version);
        self.unseen.wrote(&asked, THERE, None);
        match version {
            Some(version) => self.unseen.wrote(&versions_of(name), version, None),
            None => {
                self.unseen.wrote(ALL_FUNCTIONS, name, None);
                for slot in [Slot::Blue, Slot::Green] {
                    self.deleted_alias(name, alias(slot));
                }
            }
        }
    }

    /// Functions only.
    pub(super) fn tagged(&self, arn: &str, tag: &str, value: Option<&str>) {
        if let Some((_, name)) = arn.split_once(":function:") {
            let part = format!("{TAG}{tag}");
            let asked = one_function(name, None);
            self.unseen.wrote(&asked, &part, value.map(str::to_owned));
        }
    }

    pub(super) fn reserved(&self, name: &str, many: Option<i32>) {
        let many = many.map(|many| many.to_string());
        self.unseen.wrote(&one_function(name, None), RESERVED, many);
    }

    pub(super) fn made_alias(&self, name: &str, alias: &str, version: &str) {
        self.unseen.replaced(&aliases_of(name), alias, None);
        self.pointed(name, alias, version);
    }

    /// `before` is the revision that was replaced; some servers have none.
    pub(super) fn moved_alias(&self, (name, alias): (&str, &str), version: &str, before: Mark) {
        if before.is_some() {
            self.unseen.replaced(&aliases_of(name), alias, before);
        }
        self.pointed(name, alias, version);
    }

    fn pointed(&self, name: &str, alias: &str, version: &str) {
        let asked = one_function(name, Some(alias));
        self.unseen.wrote(&asked, VERSION, Some(version.to_owned()));
    }

    pub(super) fn deleted_alias(&self, name: &str, alias: &str) {
        let asked = one_function(name, Some(alias));
        self.unseen.wrote(&asked, VERSION, None);
        self.unseen.wrote(&aliases_of(name), alias, None);
        self.url_is(name, alias, None);
        self.unseen.forget(&policy_of(name, Some(alias)));
    }

    pub(super) fn url_is(&self, name: &str, alias: &str, now: Option<&UrlOptions>) {
        let asked = url_of(name, Some(alias));
        self.unseen.wrote(&asked, "", now.map(of_options));
    }

    pub(super) fn statement_is(&self, (name, alias): (&str, &str), id: &str, is_there: bool) {
        let asked = policy_of(name, Some(alias));
        self.unseen.wrote(&asked, id, there(is_there));
    }

    pub(super) fn added_source(&self, function: &str, source: &str) {
        self.unseen.replaced(&sources_of(function), source, None);
    }

    pub(super) fn changed_source(&self, function: &str, id: &str, at: Option<&DateTime>) {
        if let Some(at) = at {
            self.unseen.changed(&sources_of(function), id, moment(at));
        }
    }

    pub(super) fn removed_source(&self, function: &str, id: &str) {
        self.unseen.wrote(&sources_of(function), id, None);
    }
}
