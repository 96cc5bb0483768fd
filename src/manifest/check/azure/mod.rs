//! The `azure:` of services and environments: forms and bounds, each as Azure has them.

mod front;
mod limits;
mod parts;
mod settings;
mod target;

use std::collections::{BTreeMap, BTreeSet};

pub(in crate::manifest) use self::{front::is_address_range, settings::is_setting, target::plan};
pub(super) use self::{limits::app_limits, target::azure_target};
use super::{
    super::{
        azure::AzureApp,
        raw::{At, AzureAppText, Named, Report},
    },
    value,
};

/// Azure takes fifty tags, and ours are among them.
const TAGS_MAX: usize = 44;

/// Lengths of a Function App's name; a label of a host name has 63 characters, of which `-green` takes six.
const NAMES: std::ops::RangeInclusive<usize> = 2..=57;

/// What one service's `azure:` says. What is wrong is reported and left out, since no release is made of a document with faults.
pub(super) fn azure(written: &Option<At<AzureAppText>>, report: &mut Report) -> Option<AzureApp> {
    let AzureAppText {
        name,
        settings,
        sticky,
        host,
        cors,
        auth,
        network,
        scale,
        domains,
        identity,
        roles,
        tags,
        preview,
        api,
    } = &written.as_ref()?.value;
    let app = AzureApp {
        name: name.as_ref().and_then(|at| name_of(at, report)),
        settings: settings::plain(settings, report),
        sticky: settings::sticky(sticky, settings, report),
        host: settings::host(host, report),
        cors: cors.as_ref().map(|at| parts::cors(at, report)),
        auth: auth.as_ref().and_then(|at| parts::auth(at, report)),
        network: network.as_ref().and_then(|at| parts::network(at, report)),
        scale: scale.as_ref().map(|at| parts::scale(at, report)),
        domains: words(
            domains,
            is_host_name,
            "is no host name",
            "such as `stock.shop.example`",
            report,
        ),
        identity: identity_of(identity, report),
        roles: parts::roles(roles, report),
        tags: tags_of(tags, report),
        preview: value(preview).unwrap_or_default(),
        api: api.as_ref().and_then(|at| front::api(at, report)),
    };
    Some(app)
}

/// By Azure's own rule, and so that the host name of slot `green` fits a label. Azure minds no case.
fn name_of(name: &At<String>, report: &mut Report) -> Option<String> {
    let text = &name.value;
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    if NAMES.contains(&text.len()) && text.bytes().all(is_part) && ends_well {
        return Some(text.to_ascii_lowercase());
    }
    let help = "2 to 57 letters, digits and hyphens, no hyphen at either end: the name alone, not the resource id";
    report.fault(&name.place, "is no name of a Function App", help);
    None
}

/// Words of a list that each obey a rule.
fn words(
    written: &Option<At<Vec<At<String>>>>,
    rule: fn(&str) -> bool,
    message: &str,
    help: &str,
    report: &mut Report,
) -> BTreeSet<String> {
    let mut good = BTreeSet::new();
    for word in written.iter().flat_map(|at| &at.value) {
        if !rule(&word.value) {
            report.fault(&word.place, message, help);
        } else if !good.insert(word.value.clone()) {
            report.fault(&word.place, "stands here twice", "keep one");
        }
    }
    good
}

fn is_host_name(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        let ends_well = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(is_part) && ends_well
    };
    let is_own = text.ends_with(".azurewebsites.net");
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label) && !is_own
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Whether a text is the id of a resource of this type, such as `Microsoft.Web/sites`: types and names in turn behind the provider.
fn is_resource(text: &str, kind: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_plain = text.chars().all(|c| c.is_ascii_graphic()) && !text.contains("//");
    let [
        "",
        subscriptions,
        subscription,
        groups,
        _group,
        providers,
        rest @ ..,
    ] = &parts[..]
    else {
        return false;
    };
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let mut wanted = kind.split('/');
    let provider = wanted.next().unwrap_or_default();
    let kinds: Vec<&str> = wanted.collect();
    let pairs = rest.get(1..).unwrap_or_default();
    let has_kinds = pairs.len() == 2 * kinds.len()
        && pairs
            .chunks(2)
            .zip(&kinds)
            .all(|(pair, kind)| same(pair[0], kind) && !pair[1].is_empty());
    is_plain
        && same(subscriptions, "subscriptions")
        && is_uuid(subscription)
        && same(groups, "resourceGroups")
        && same(providers, "providers")
        && rest.first().is_some_and(|it| same(it, provider))
        && has_kinds
}

/// The id of a resource of this type, or a fault with an example.
fn resource(written: &Option<At<String>>, kind: &str, report: &mut Report) -> Option<String> {
    let written = written.as_ref()?;
    if is_resource(&written.value, kind) {
        return Some(written.value.clone());
    }
    let message = format!("is no id of a resource of type `{kind}`");
    let names: Vec<String> = kind
        .split('/')
        .skip(1)
        .map(|part| format!("{part}/NAME"))
        .collect();
    let provider = kind.split('/').next().unwrap_or_default();
    let help = format!(
        "such as `/subscriptions/ID/resourceGroups/GROUP/providers/{provider}/{}`",
        names.join("/")
    );
    report.fault(&written.place, message, help);
    None
}

const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

fn identity_of(written: &Option<At<String>>, report: &mut Report) -> Option<String> {
    resource(written, IDENTITY, report)
}

fn tags_of(
    written: &Option<At<Named<String, String>>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let Some(written) = written else {
        return BTreeMap::new();
    };
    if written.value.0.len() > TAGS_MAX {
        let message = format!("has {} tags", written.value.0.len());
        report.fault(&written.place.key(), message, "at most 44 beside our own");
    }
    let mut folded = BTreeSet::new();
    for (name, text) in &written.value.0 {
        let lower = name.value.to_lowercase();
        let taken = ["verdigris-", "microsoft", "azure", "windows"];
        if taken.iter().any(|start| lower.starts_with(start)) {
            let help = "tags that start with `verdigris-` are Verdigris's, with `microsoft`, `azure` or `windows` Azure's";
            report.fault(&name.place, "is taken", help);
        }
        let is_bad = name.value.contains(['<', '>', '%', '&', '\\', '?', '/']);
        let fits = !name.value.is_empty() && name.value.len() <= 512 && text.value.len() <= 256;
        if is_bad || !fits {
            let help = "no `<>%&\\?/` in a name; a name has at most 512 characters, a value 256";
            report.fault(&name.place, "is no tag that Azure takes", help);
        }
        if !folded.insert(lower) {
            let help = "names must differ in more than case";
            report.fault(&name.place, "Azure cannot tell it from another", help);
        }
    }
    written.value.to_map()
}
