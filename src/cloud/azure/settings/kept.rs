//! Which settings a swap must leave where they are, and which it must carry. Pure.

use std::collections::BTreeSet;

use super::{RELEASE, REVISION, Settings, disabled, exclusive, fields::field, marks};
use crate::{cloud::azure::duties::Duties, name::Slot, observed::Fields};

const CARRIED: &str = "carried away by the next swap";
const LEFT: &str = "left behind by the next swap";

/// What must stay: the switches of functions that only blue runs, and what the release asks for.
fn stays(settings: &Settings) -> BTreeSet<String> {
    let Some(marks) = marks(settings) else {
        return BTreeSet::new();
    };
    let switches = exclusive(&marks.triggers).map(disabled);
    let sticky = marks.duties.sticky.keys().cloned();
    switches.chain(sticky).collect()
}

/// Where a setting that must go is told.
fn path_of(settings: &Settings, name: &str) -> Option<String> {
    let value = settings.get(name)?;
    match name {
        RELEASE | REVISION => Some("release".to_owned()),
        _ => {
            let duties = marks(settings)?.duties;
            field(name, value, &duties).map(|(path, _)| path)
        }
    }
}

/// Names that must stay and names that must go, by two slots; where they disagree the first counts.
pub(in crate::cloud::azure) fn stays_and_goes(
    first: &Settings,
    second: &Settings,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let goes = |settings: &Settings| {
        let names = settings.keys();
        let names = names.filter(|name| path_of(settings, name).is_some());
        names.cloned().collect::<BTreeSet<_>>()
    };
    let [first, second] = [first, second].map(|it| (stays(it), goes(it)));
    let stays = &first.0 | &(&second.0 - &first.1);
    let goes = &first.1 | &(&second.1 - &first.0);
    (stays, goes)
}

/// Green's settings with what the release there, which left blue for another, wants of the names that stay for one of them and not for
/// the other; `was` is what blue had of it. None where green has all of that.
///
/// Blue was given what the other one wants to stay there, and what the swap carried away was lost or somebody else's.
pub(in crate::cloud::azure) fn with_own(
    green: &Settings,
    was: &Settings,
    other: &Duties,
) -> Option<Settings> {
    let own = marks(was)?.duties;
    let on_green = own.sticky_on(Slot::Green);
    let mut all = green.clone();
    for name in own.sticky.keys().chain(other.sticky.keys()) {
        let wanted = match own.sticky.contains_key(name) {
            true => on_green.get(name),
            false => was.get(name),
        };
        match wanted {
            Some(value) => drop(all.insert(name.clone(), value.clone())),
            None => drop(all.remove(name)),
        }
    }
    (all != *green).then_some(all)
}

/// Tells in a slot's fields which of its settings a swap would treat otherwise than it must.
pub(in crate::cloud::azure) fn tell_kept(
    fields: &mut Fields,
    settings: &Settings,
    kept: &BTreeSet<String>,
) {
    let Some(marks) = marks(settings) else {
        return;
    };
    for name in marks.duties.sticky.keys().filter(|it| !kept.contains(*it)) {
        fields.insert(format!("sticky.{name}"), CARRIED.to_owned());
    }
    for folder in exclusive(&marks.triggers).filter(|it| !kept.contains(&disabled(it))) {
        let trigger = marks.triggers.get(folder);
        let word = trigger.map(|trigger| trigger.word()).unwrap_or_default();
        fields.insert(format!("{folder}.{word}"), CARRIED.to_owned());
    }
    for name in kept {
        if let Some(path) = path_of(settings, name) {
            fields.insert(path, LEFT.to_owned());
        }
    }
}
