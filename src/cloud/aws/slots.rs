//! From single functions to what a slot holds. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    roles,
    settings::alias_fields,
    survey::{Pointer, Seen},
};
use crate::{
    name::{ReleaseDigest, Slot},
    observed::{Canary, Holding, SlotContent},
};

/// A function and where one of its aliases points.
type Placed<'a> = (&'a Seen, &'a Pointer);

/// Blue is whole only if every function that serves users is of one release, and none of that release is missing.
pub(super) fn blue(seen: &[Seen]) -> SlotContent {
    let placed = placed(seen, Slot::Blue);
    let releases: BTreeSet<_> = placed.iter().map(|(_, it)| it.marks.release).collect();
    match releases.into_iter().collect::<Vec<_>>().as_slice() {
        [] => SlotContent::Empty,
        [Some(release)] if is_complete(&placed, *release) => whole(&placed, *release, canary(seen)),
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
        Some(release) => whole(&placed, release, None),
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

/// What takes a share of blue's requests. It is a release where every function that both have gives the same share to the version of it
/// that green holds.
fn canary(seen: &[Seen]) -> Option<Canary> {
    let shares = |it: &Seen| {
        let blue = it.blue.as_ref()?;
        let green = it.green.as_ref();
        let given = blue.detail.shares.iter().next();
        // AWS allows one other version for each alias.
        Some(given.map(|(version, weight)| {
            let green = green.filter(|green| green.version == *version);
            (green.and_then(|green| green.marks.release), *weight)
        }))
    };
    let shares: Vec<_> = seen
        .iter()
        .filter_map(|it| Some((it, shares(it)?)))
        .collect();
    let given: BTreeSet<_> = shares.iter().filter_map(|(_, share)| *share).collect();
    let weight = given.iter().map(|(_, weight)| *weight).max()?;
    let release = match given.iter().collect::<Vec<_>>().as_slice() {
        [(release, _)] => *release,
        _ => None,
    };
    let has_candidate = |it: &Seen| {
        it.green
            .as_ref()
            .is_some_and(|it| it.marks.release == release)
    };
    let is_whole = shares
        .iter()
        .all(|(it, share)| share.is_some() || !has_candidate(it));
    Some(Canary {
        release: release.filter(|_| is_whole),
        weight,
    })
}

fn whole(placed: &[Placed<'_>], release: ReleaseDigest, canary: Option<Canary>) -> SlotContent {
    let of_release = || placed.iter().filter(|(_, it)| it.holds(release));
    let mut holding = Holding {
        release,
        revision: of_release().find_map(|(_, it)| it.marks.revision.clone()),
        addresses: BTreeMap::new(),
        fields: BTreeMap::new(),
        label: String::new(),
        canary,
    };
    let mut versions = BTreeSet::new();
    for (seen, pointer) in of_release() {
        let name = &seen.function;
        let detail = &pointer.detail;
        let alias = alias_fields(name, !detail.is_split(), &detail.access());
        holding.fields.extend(pointer.settings.fields(name));
        holding.fields.extend(alias);
        // On green nothing is attached: what stands there is what the release will have on blue.
        let found = detail.found.as_ref().map(|found| found.fields(name));
        let duties = found.unwrap_or_else(|| pointer.marks.blue.fields(name));
        holding.fields.extend(duties);
        holding.fields.extend(roles::found::fields(seen, pointer));
        if let Some(address) = &detail.address {
            holding.addresses.insert(name.clone(), address.url.clone());
        }
        versions.insert(pointer.version.clone());
    }
    let plural = if versions.len() == 1 { "" } else { "s" };
    let versions: Vec<_> = versions.into_iter().collect();
    holding.label = format!("version{plural} {}", versions.join(", "));
    SlotContent::Whole(holding)
}

#[cfg(test)]
mod tests {
    use super::{super::survey::Standing, *};
    use crate::{
        cloud::aws::{
            duties::Duties,
            settings::{Extras, Marks, Settings},
            survey::AliasDetail,
        },
        name::{EnvironmentName, FunctionName, ServiceKey, ServiceName},
    };

    fn release(name: &str) -> ReleaseDigest {
        ReleaseDigest::of(name.as_bytes())
    }

    /// `R1/2@7`: release R1, which has two functions, published at time 7.
    fn pointer(text: &str) -> Option<Pointer> {
        let (name, rest) = text.split_once('/')?;
        let (functions, modified) = rest.split_once('@')?;
        let marks = Marks {
            release: (name != "?").then(|| release(name)),
            revision: None,
            functions: functions.parse().ok(),
            http: None,
            blue: Duties::default(),
        };
        let settings = Settings {
            code: String::new(),
            runtime: String::new(),
            handler: String::new(),
            role: String::new(),
            memory: 128,
            timeout: 1,
            architectures: BTreeSet::new(),
            extras: Extras::default(),
            env: BTreeMap::new(),
        };
        Some(Pointer {
            version: modified.to_owned(),
            modified: modified.to_owned(),
            settings,
            marks,
            detail: AliasDetail::default(),
        })
    }

    fn seen(aliases: &[(&str, &str)]) -> Vec<Seen> {
        let functions = aliases.iter().enumerate();
        let seen = functions.map(|(index, (blue, green))| Seen {
            service: ServiceKey {
                environment: EnvironmentName::new("prod").expect("a name"),
                service: ServiceName::new("shop").expect("a name"),
            },
            function: FunctionName::new(format!("f{index}")).expect("a name"),
            name: String::new(),
            standing: Standing::Missing,
            blue: pointer(blue),
            green: pointer(green),
        });
        seen.collect()
    }

    fn told(content: &SlotContent) -> String {
        match content {
            SlotContent::Empty => "empty".to_owned(),
            SlotContent::Torn(_) => "torn".to_owned(),
            SlotContent::Whole(holding) => {
                let known = ["R1", "R2"].into_iter();
                let name = known
                    .into_iter()
                    .find(|name| release(name) == holding.release);
                name.unwrap_or("other").to_owned()
            }
        }
    }

    #[test]
    fn a_slot_is_whole_only_with_all_functions_of_one_release() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
        let table: &[Row<'_>] = &[
            (&[("-", "-"), ("-", "-")], "empty", "empty"),
            (&[("R1/2@1", "R2/2@2"), ("R1/2@1", "R2/2@2")], "R1", "R2"),
            // One function of two is there.
            (&[("R1/2@1", "R2/2@2"), ("-", "-")], "torn", "torn"),
            // Half staged, half promoted.
            (
                &[("R2/2@2", "R2/2@2"), ("R1/2@1", "R1/2@1")],
                "torn",
                "torn",
            ),
            // A version that somebody published without our marks.
            (&[("?/1@1", "?/1@1")], "torn", "torn"),
            // R2 drops the second function, which is a leftover on green and must not serve on blue.
            (&[("R2/1@2", "R2/1@2"), ("R1/2@1", "R1/2@1")], "torn", "R2"),
            // R2 shares no function with R1, which blue holds.
            (&[("R1/1@1", "R1/1@1"), ("-", "R2/1@2")], "R1", "R2"),
            // Two whole releases on green, none of them blue's: the newer one.
            (&[("other/1@0", "R1/1@1"), ("-", "R2/1@2")], "other", "R2"),
        ];
        for (aliases, blue_told, green_told) in table {
            let seen = seen(aliases);
            let blue = blue(&seen);
            assert_eq!(told(&blue), *blue_told, "blue of {aliases:?}");
            let green = green(&seen, blue.release());
            assert_eq!(told(&green), *green_told, "green of {aliases:?}");
        }
    }
}
