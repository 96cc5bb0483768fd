//! Environments: forms of regions, roles, subscriptions and plans.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{
    super::{
        raw::{At, AwsText, AzureText, EnvironmentDocument, FollowsLong, FollowsText, Report},
        spec::{AwsTarget, AzurePlan, AzureTarget, Environment, Follows, Role},
        yaml::Place,
    },
    window::windows,
};
use crate::name::EnvironmentName;

/// An environment whose own document is right, and where it says whom it follows.
pub(in crate::manifest) fn environment(
    document: &EnvironmentDocument,
    report: &mut Report,
) -> Option<(Environment, Option<Place>)> {
    let name = document.metadata.as_ref()?.value.name.clone();
    let spec = document.spec.as_ref()?;
    if spec.value.aws.is_none() && spec.value.azure.is_none() && report.drafts.is_empty() {
        let help = "add `aws: { region, role }`, `azure: { … }` or both";
        report.fault(&spec.place.key(), "has no cloud", help);
    }
    let aws = spec.value.aws.as_ref().map(|aws| aws_target(aws, report));
    let known_name = name.as_ref().map(|name| &name.value);
    let azure = spec.value.azure.as_ref();
    let azure = azure.map(|azure| azure_target(azure, known_name, report));
    let windows = windows(&spec.value.windows, report);
    let follows = spec.value.follows.as_ref();
    let (follows, place) = match follows.map(follows_of) {
        None => (None, None),
        Some(followed) => {
            let followed = followed?;
            let follows = Follows {
                environment: followed.environment.value,
                after: followed.after,
            };
            (Some(follows), Some(followed.environment.place))
        }
    };
    let environment = Environment {
        name: name?.value,
        aws: transpose(aws)?,
        azure: transpose(azure)?,
        windows: windows?,
        follows,
    };
    Some((environment, place))
}

struct Followed {
    environment: At<EnvironmentName>,
    after: Duration,
}

fn follows_of(follows: &At<FollowsText>) -> Option<Followed> {
    match &follows.value {
        FollowsText::Short(environment) => Some(Followed {
            environment: environment.clone(),
            after: Duration::ZERO,
        }),
        FollowsText::Long(FollowsLong { environment, after }) => Some(Followed {
            environment: environment.clone()?,
            after: after.as_ref().map_or(Duration::ZERO, |at| at.value.0),
        }),
    }
}

/// None where a target was written and is wrong.
#[expect(clippy::option_option, reason = "written or not, then good or not")]
fn transpose<T>(target: Option<Option<T>>) -> Option<Option<T>> {
    match target {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn aws_target(aws: &At<AwsText>, report: &mut Report) -> Option<AwsTarget> {
    let AwsText {
        region,
        role,
        account,
    } = &aws.value;
    let region = checked(
        region,
        is_region,
        "is no region",
        "such as `eu-west-1`",
        report,
    );
    let role = match (role, account) {
        (Some(_), None) => {
            let help = "such as `arn:aws:iam::123456789012:role/functions`";
            checked(role, is_role, "is no ARN of a role", help, report).map(Role::Given)
        }
        (None, Some(_)) => {
            let help = "twelve digits, in quotes";
            let account = checked(account, is_account, "is no account", help, report);
            account.map(|account| Role::Own { account })
        }
        (None, None) | (Some(_), Some(_)) => {
            let help = "`role: ARN` for all functions, or `account: 'DIGITS'` for a role of its own for each";
            report.fault(&aws.place, "needs one of `role` and `account`", help);
            None
        }
    };
    Some(AwsTarget {
        region: region?,
        role: role?,
    })
}

fn azure_target(
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

fn checked(
    field: &Option<At<String>>,
    rule: fn(&str) -> bool,
    message: &str,
    help: &str,
    report: &mut Report,
) -> Option<String> {
    let field = field.as_ref()?;
    if rule(&field.value) {
        return Some(field.value.clone());
    }
    report.fault(&field.place, message, help);
    None
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            let has_number = number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit());
            (2..=4).contains(&words.len()) && words.iter().all(is_word) && has_number
        }
        None => false,
    }
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, role] = parts[..] else {
        return false;
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+=,.@-_/".contains(c);
    let name = role.strip_prefix("role/").unwrap_or("");
    let has_name = !name.is_empty() && name.len() <= 512 && name.chars().all(is_part);
    let is_iam = arn == "arn" && service == "iam" && region.is_empty();
    is_iam && partition.starts_with("aws") && is_account(account) && has_name
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
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

const PLANS: [&str; 16] = [
    "Y1", "EP1", "EP2", "EP3", "S1", "S2", "S3", "P0v3", "P1v2", "P2v2", "P3v2", "P1v3", "P2v3",
    "P3v3", "I1v2", "I2v2",
];
/// Plans that exist and have no slot for green.
const WITHOUT_SLOTS: [&str; 7] = ["F1", "D1", "B1", "B2", "B3", "FC1", "FREE"];

fn azure_plan(plan: &At<String>, report: &mut Report) -> Option<AzurePlan> {
    let is_written = |known: &&&str| known.eq_ignore_ascii_case(&plan.value);
    if let Some(known) = PLANS.iter().find(is_written) {
        return Some(AzurePlan((*known).to_owned()));
    }
    let help = format!("plans with slots: {}", PLANS.join(", "));
    if WITHOUT_SLOTS.iter().any(|known| is_written(&known)) {
        report.fault(&plan.place, "this plan has no slots, so no green", help);
    } else {
        report.fault(&plan.place, "is no known plan", help);
    }
    None
}
