//! From single functions to what a slot holds. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    settings::alias_fields,
    survey::{Pointer, Seen},
};
use crate::{
    name::{ReleaseDigest, Slot},
    observed::{Holding, SlotContent},
};

/// A function and where one of its aliases points.
type Placed<'a> = (&'a Seen, &'a Pointer);

/// Blue is whole only if every function that serves users is of one release, and none of that release is missing.
pub(super) fn blue(seen: &[Seen]) -> SlotContent {
    let placed = placed(seen, Slot::Blue);
    let releases: BTreeSet<_> = placed.iter().map(|(_, it)| it.marks.release).collect();
    match releases.into_iter().collect::<Vec<_>>().as_slice() {
        [] => SlotContent::Empty,
        [Some(release)] if is_complete(&placed, *release) => whole(&placed, *release),
        _ => torn(seen, Slot::Blue),
    }
}

/// On green, a function that the release does not have is a leftover, which serves nobody and does no harm. Where leftovers look like a
/// release of their own, blue's is not the candidate, and the one published last is.
pub(super) fn green(seen: &[Seen], blue: Option<ReleaseDigest>) -> SlotContent {
    let placed = placed(seen, Slot::Green);
    let complete: BTreeSet<_> = placed
        .iter()
        .filter_map(|(_, it)| it.marks.release)
        .filter(|release| is_complete(&placed, *release))
        .collect();
    let newest = |release: &ReleaseDigest| {
        let versions = placed.iter().filter(|(_, it)| it.holds(*release));
        let modified = versions.map(|(_, it)| it.modified.clone()).max();
        (Some(*release) != blue, modified)
    };
    match complete.into_iter().max_by_key(newest) {
        Some(release) => whole(&placed, release),
        None if placed.is_empty() => SlotContent::Empty,
        None => torn(seen, Slot::Green),
    }
}

fn placed(seen: &[Seen], slot: Slot) -> Vec<Placed<'_>> {
    let pointers = seen.iter().map(|function| (function, function.slot(slot)));
    pointers
        .filter_map(|(function, pointer)| pointer.map(|pointer| (function, pointer)))
        .collect()
}

fn is_complete(placed: &[Placed<'_>], release: ReleaseDigest) -> bool {
    let of_release: Vec<_> = placed.iter().filter(|(_, it)| it.holds(release)).collect();
    of_release
        .iter()
        .all(|(_, it)| it.marks.functions == Some(of_release.len()))
}

fn torn(seen: &[Seen], slot: Slot) -> SlotContent {
    let release = |function: &Seen| function.slot(slot).and_then(|it| it.marks.release);
    SlotContent::Torn(
        seen.iter()
            .map(|it| (it.function.clone(), release(it)))
            .collect(),
    )
}

fn whole(placed: &[Placed<'_>], release: ReleaseDigest) -> SlotContent {
    let of_release = || placed.iter().filter(|(_, it)| it.holds(release));
    let mut holding = Holding {
        release,
        revision: of_release().find_map(|(_, it)| it.marks.revision.clone()),
        addresses: BTreeMap::new(),
        fields: BTreeMap::new(),
        label: String::new(),
    };
    let mut versions = BTreeSet::new();
    for (seen, pointer) in of_release() {
        let name = &seen.function;
        let detail = &pointer.detail;
        let alias = alias_fields(name, !detail.split, detail.url.is_some());
        holding.fields.extend(pointer.settings.fields(name));
        holding.fields.extend(alias);
        if let Some(url) = &detail.url {
            holding.addresses.insert(name.clone(), url.clone());
        }
        versions.insert(pointer.version.clone());
    }
    let plural = if versions.len() == 1 { "" } else { "s" };
    let versions: Vec<_> = versions.into_iter().collect();
    holding.label = format!("version{plural} {}", versions.join(", "));
    SlotContent::Whole(holding)
}
