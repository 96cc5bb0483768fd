//! Settings in a form that can be compared, and the seal that tells whether somebody changed them. Pure.

use url::Url;

use super::{
    CODE, DUTIES, FUNCTIONS, RELEASE, REVISION, RUN_FROM, SETTINGS, STORAGE_START, Settings,
    Trigger, disabled, is_fixed, is_platform, marks,
};
use crate::{
    cloud::azure::duties::Duties,
    name::{CodeDigest, Slot},
    observed::Fields,
};

/// The field of [`SETTINGS`].
const SEAL: &str = "seal";

/// A digest of a slot's comparable form, the same on either slot. The seal itself is no part of it.
pub(super) fn seal(settings: &Settings, slot: Slot) -> String {
    let fields = fields(settings, slot);
    let lines = fields.iter().filter(|(path, _)| *path != SEAL);
    let lines = lines.map(|(path, value)| format!("{path}={value}\n"));
    CodeDigest::of(lines.collect::<String>().as_bytes()).to_string()
}

/// Whether a slot still has all that it was given with its release, and nothing beside it.
pub(in crate::cloud::azure) fn is_sealed(settings: &Settings, slot: Slot) -> bool {
    settings.get(SETTINGS) == Some(&seal(settings, slot))
}

/// Whether two sets of settings ask for the same; the commit that asked first does not matter.
pub(in crate::cloud::azure) fn is_same(one: &Settings, other: &Settings) -> bool {
    let matters = |name: &&String| name.as_str() != REVISION;
    let names = one.keys().chain(other.keys()).filter(matters);
    let mut differing = names.filter(|name| one.get(*name) != other.get(*name));
    differing.next().is_none()
}

/// A slot's settings in comparable form. What the platform adds by itself is left out; what a person added is not.
pub(in crate::cloud::azure) fn fields(settings: &Settings, slot: Slot) -> Fields {
    let mut fields = Fields::new();
    let (triggers, duties) = match marks(settings) {
        Some(marks) => (marks.triggers, marks.duties),
        None => Default::default(),
    };
    for (name, value) in settings {
        if let Some((path, value)) = field(name, value, &duties) {
            fields.insert(path, value);
        }
    }
    for name in duties.sticky.keys() {
        let wanted = duties.sticky_on(slot);
        let place = match settings.get(name) == wanted.get(name) {
            true => "as asked for on its slot",
            false => "otherwise than asked for on its slot",
        };
        fields.insert(format!("sticky.{name}"), place.to_owned());
    }
    for (folder, trigger) in triggers {
        let is_off = settings.get(&disabled(&folder)).is_some_and(|value| {
            matches!(value.as_str(), "1") || value.eq_ignore_ascii_case("true")
        });
        let place = place(trigger, slot, is_off);
        fields.insert(format!("{folder}.{}", trigger.word()), place.to_owned());
    }
    fields
}

fn field(name: &str, value: &str, duties: &Duties) -> Option<(String, String)> {
    let digest = || CodeDigest::of(value.as_bytes()).short();
    let is_ours = name.starts_with(STORAGE_START) || is_fixed(name);
    match name {
        RELEASE | REVISION => None,
        CODE => Some(("package".to_owned(), value.to_owned())),
        FUNCTIONS => Some(("functions".to_owned(), value.to_owned())),
        SETTINGS => Some((SEAL.to_owned(), value.to_owned())),
        DUTIES => Some(("duties".to_owned(), digest())),
        _ if duties.sticky.contains_key(name) => None,
        _ if duties.set.contains(name) => Some((format!("setting.{name}"), digest())),
        RUN_FROM => Some((format!("setting.{name}"), package(value))),
        _ if is_ours => Some((format!("setting.{name}"), value.to_owned())),
        _ if is_platform(name) => None,
        _ => Some((format!("env.{name}"), digest())),
    }
}

/// A package's container and name: the address before them is the storage account's. A query may hold a signature, which is nobody's
/// business.
fn package(address: &str) -> String {
    let (address, query) = match address.split_once('?') {
        Some((address, _)) => (address, "?…"),
        None => (address, ""),
    };
    let mut ends = address.rmatch_indices('/').map(|(at, _)| at + 1);
    let from = ends.nth(1).filter(|_| address.contains("://"));
    let name = from.map_or(address, |from| &address[from..]);
    format!("{name}{query}")
}

/// The field of a package that is not at our storage account, whose blobs are at `blobs`.
pub(in crate::cloud::azure) fn elsewhere(
    settings: &Settings,
    blobs: &str,
) -> Option<(String, String)> {
    let address = settings.get(RUN_FROM)?;
    let is_elsewhere = address.contains("://") && !address.starts_with(blobs);
    is_elsewhere.then(|| {
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
        let told = format!("{} at {host}", package(address));
        (format!("setting.{RUN_FROM}"), told)
    })
}

/// Where a function runs, as far as one slot can tell. In order, both slots tell the same.
fn place(trigger: Trigger, slot: Slot, is_off: bool) -> &'static str {
    match (trigger.is_exclusive(), slot, is_off) {
        (true, Slot::Blue, false) | (true, Slot::Green, true) => "on blue only",
        (true, Slot::Green, false) => "on green too",
        (false, Slot::Blue | Slot::Green, false) => "on both slots",
        (true, Slot::Blue, true) | (false, Slot::Blue | Slot::Green, true) => "switched off",
    }
}
