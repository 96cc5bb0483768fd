//! Where services run on Azure: forms of names, and the plans that there are.

use sha2::{Digest, Sha256};

use super::super::{
    super::{
        azure::{AzureShared, Insights},
        raw::{At, AzureText, InsightsText, Report},
        spec::{AzurePlan, AzureTarget},
    },
    environment::checked,
    value,
};
use super::{identity_of, is_uuid, resource, tags_of};
use crate::name::EnvironmentName;

pub(in crate::manifest::check) fn azure_target(
    azure: &At<AzureText>,
    environment: Option<&EnvironmentName>,
    report: &mut Report,
) -> Option<AzureTarget> {
    let AzureText {
        subscription,
        resource_group,
        location,
        plan,
        prefix,
        storage,
        vault,
        identity,
        grant_roles,
        insights,
        api_management,
        tags,
    } = &azure.value;
    let help = "such as `11111111-2222-3333-4444-555555555555`";
    let subscription = checked(
        subscription,
        is_uuid,
        "is no id of a subscription",
        help,
        report,
    );
    let help = "at most 90 letters, digits, `-`, `_`, `.` and parentheses, not ending with `.`";
    let message = "is no name of a resource group";
    let resource_group = checked(resource_group, is_resource_group, message, help, report);
    let help = "the short form, such as `westeurope`";
    let location = checked(location, is_location, "is no location", help, report);
    let plan = plan.as_ref().and_then(|plan| azure_plan(plan, report));
    let help = "at most 16 lower-case letters, digits and hyphens, starting and ending with a letter or digit";
    let written = checked(prefix, is_prefix, "is no prefix", help, report);
    let help = "3 to 24 lower-case letters and digits";
    let storage = checked(
        storage,
        is_account,
        "is no name of a storage account",
        help,
        report,
    );
    let help = "3 to 24 letters, digits and single hyphens, starting with a letter";
    let vault = checked(vault, is_vault, "is no name of a Key Vault", help, report);
    let shared = AzureShared {
        storage,
        vault,
        identity: identity_of(identity, report),
        roles_by_people: value(grant_roles) == Some(false),
        insights: insights.as_ref().and_then(|at| insights_of(at, report)),
        api_management: resource(api_management, "Microsoft.ApiManagement/service", report),
        tags: tags_of(tags, report),
    };
    let (subscription, resource_group) = (subscription?, resource_group?);
    let prefix = match prefix {
        Some(_) => written?,
        None => default_prefix(environment?, &subscription, &resource_group),
    };
    Some(AzureTarget {
        subscription,
        resource_group,
        location: location?,
        plan: plan?,
        prefix,
        shared,
    })
}

/// Short, since 43 characters must hold prefix, environment and service; the same for the same environment, for ever.
fn default_prefix(environment: &EnvironmentName, subscription: &str, group: &str) -> String {
    let digest = Sha256::digest(format!("{environment}\n{subscription}\n{group}").to_lowercase());
    let hex: String = digest
        .iter()
        .take(3)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("v{hex}")
}

fn insights_of(written: &At<InsightsText>, report: &mut Report) -> Option<Insights> {
    let InsightsText {
        component,
        workspace,
    } = &written.value;
    if component.is_some() == workspace.is_some() {
        let help = "write `component` to use one, or `workspace` to have one made on it";
        report.fault(&written.place.key(), "needs one of two keys", help);
        return None;
    }
    let component = resource(component, "Microsoft.Insights/components", report);
    let workspace = resource(
        workspace,
        "Microsoft.OperationalInsights/workspaces",
        report,
    );
    component
        .map(Insights::Component)
        .or_else(|| workspace.map(Insights::Workspace))
}

fn is_account(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=24).contains(&text.len()) && text.bytes().all(is_part)
}

fn is_vault(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    (3..=24).contains(&text.len())
        && text.bytes().all(is_part)
        && starts_well
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_resource_group(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_.()".contains(c);
    (1..=90).contains(&text.chars().count()) && text.chars().all(is_part) && !text.ends_with('.')
}

fn is_location(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !text.is_empty() && text.len() <= 40 && text.bytes().all(is_part)
}

fn is_prefix(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    (1..=16).contains(&text.len()) && text.bytes().all(is_part) && ends_well
}

const PLANS: [&str; 17] = [
    "FC1", "Y1", "EP1", "EP2", "EP3", "S1", "S2", "S3", "P0v3", "P1v2", "P2v2", "P3v2", "P1v3",
    "P2v3", "P3v3", "I1v2", "I2v2",
];
/// Plans that exist and have no slot for green.
const WITHOUT_SLOTS: [&str; 6] = ["F1", "D1", "B1", "B2", "B3", "FREE"];

/// As manifests write it.
pub(in crate::manifest) fn plan(text: &str) -> Option<&'static str> {
    let mut known = PLANS.iter();
    known.find(|it| it.eq_ignore_ascii_case(text)).copied()
}

fn azure_plan(written: &At<String>, report: &mut Report) -> Option<AzurePlan> {
    if let Some(known) = plan(&written.value) {
        return Some(AzurePlan(known.to_owned()));
    }
    let help = format!("plans that do: {}", PLANS.join(", "));
    let mut without = WITHOUT_SLOTS.iter();
    if without.any(|it| it.eq_ignore_ascii_case(&written.value)) {
        report.fault(&written.place, "this plan has no slots, so no green", help);
    } else {
        report.fault(&written.place, "is no known plan", help);
    }
    None
}
