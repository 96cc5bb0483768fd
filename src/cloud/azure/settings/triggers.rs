//! The functions of a package, as the platform knows them, and the switches that keep them from running. Pure.

use std::collections::BTreeMap;

use crate::{desired::Release, manifest::spec::Function, name::FunctionName};

const DISABLED_START: &str = "AzureWebJobs.";
const DISABLED_END: &str = ".Disabled";

/// What triggers one function of a package; Azure gives each function exactly one trigger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::azure) enum Trigger {
    Http,
    Queue,
    Schedule,
}

/// The functions of a package, by folder.
pub(in crate::cloud::azure) type Triggers = BTreeMap<String, Trigger>;

impl Trigger {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Queue => "queue",
            Self::Schedule => "schedule",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::Http, Self::Queue, Self::Schedule];
        all.into_iter().find(|trigger| trigger.word() == word)
    }

    /// Whether only one slot may have it: a message read by green is lost to blue.
    pub(super) fn is_exclusive(self) -> bool {
        match self {
            Self::Http => false,
            Self::Queue | Self::Schedule => true,
        }
    }
}

/// The functions of a release as its package lays them out: the first trigger keeps the function's name, each further one adds
/// `_queue` or `_schedule`.
pub(in crate::cloud::azure) fn triggers(release: &Release) -> Triggers {
    let functions = &release.content.functions;
    functions
        .iter()
        .flat_map(|(name, function)| triggers_of(name, function))
        .collect()
}

fn triggers_of(name: &FunctionName, function: &Function) -> Vec<(String, Trigger)> {
    let given = [
        (function.http.is_some(), Trigger::Http),
        (function.queue.is_some(), Trigger::Queue),
        (function.schedule.is_some(), Trigger::Schedule),
    ];
    let named = |(index, trigger): (usize, Trigger)| match index {
        0 => (name.to_string(), trigger),
        _ => (format!("{name}_{}", trigger.word()), trigger),
    };
    given
        .into_iter()
        .filter_map(|(is_given, trigger)| is_given.then_some(trigger))
        .enumerate()
        .map(named)
        .collect()
}

/// The folders that only blue may run.
pub(in crate::cloud::azure) fn exclusive(triggers: &Triggers) -> impl Iterator<Item = &str> {
    let only_blue = triggers
        .iter()
        .filter(|(_, trigger)| trigger.is_exclusive());
    only_blue.map(|(folder, _)| folder.as_str())
}

/// The name of the setting that keeps a function from running in its slot.
pub(in crate::cloud::azure) fn disabled(folder: &str) -> String {
    format!("{DISABLED_START}{folder}{DISABLED_END}")
}

pub(in crate::cloud::azure) fn written(triggers: &Triggers) -> String {
    let pairs = triggers.iter();
    let pairs = pairs.map(|(folder, trigger)| format!("{folder}:{}", trigger.word()));
    pairs.collect::<Vec<_>>().join(",")
}

pub(in crate::cloud::azure) fn read(text: &str) -> Triggers {
    let pair = |part: &str| {
        let (folder, word) = part.split_once(':')?;
        Some((folder.to_owned(), Trigger::parse(word)?))
    };
    text.split(',').filter_map(pair).collect()
}

/// The function that a switch belongs to.
pub(super) fn folder_of(name: &str) -> Option<&str> {
    name.strip_prefix(DISABLED_START)?
        .strip_suffix(DISABLED_END)
}
