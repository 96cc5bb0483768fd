//! Environments: what they have, whom they follow, and forms of regions and roles.

use std::time::Duration;

use super::{
    super::{
        raw::{AssumeText, At, AwsText, EnvironmentDocument, FollowsLong, FollowsText, Report},
        spec::{Assume, AwsTarget, Environment, Follows, Role},
        yaml::Place,
    },
    azure::azure_target,
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
        assume,
    } = &aws.value;
    let assume = assume.as_ref().map(|at| assume_of(at, report));
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
        assume: transpose(assume)?,
    })
}

fn assume_of(assume: &At<AssumeText>, report: &mut Report) -> Option<Assume> {
    let AssumeText {
        role,
        external_id,
        session,
    } = &assume.value;
    let help = "such as `arn:aws:iam::123456789012:role/verdigris`";
    let role = checked(role, is_role, "is no ARN of a role", help, report);
    let help = "2 to 1224 letters, digits and `_+=,.@:/-`";
    let message = "is no external id that AWS takes";
    let told = checked(external_id, is_external_id, message, help, report);
    let help = "2 to 64 letters, digits and `_+=,.@-`";
    let message = "is no name of a session that AWS takes";
    let named = checked(session, is_session, message, help, report);
    let is_good = told.is_some() == external_id.is_some() && named.is_some() == session.is_some();
    let assume = Assume {
        role: role?,
        external_id: told,
        session: named,
    };
    is_good.then_some(assume)
}

pub(super) fn checked(
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

fn is_external_id(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    (2..=1224).contains(&text.len()) && text.chars().all(is_part)
}

fn is_session(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (2..=64).contains(&text.len()) && text.chars().all(is_part)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
