//! What a function may do elsewhere.

use std::collections::BTreeSet;

use super::super::super::{
    aws::Rights,
    raw::{At, Report, RightsText},
};

pub(super) fn rights(written: &At<RightsText>, report: &mut Report) -> Option<Rights> {
    let RightsText { actions, on } = &written.value;
    let help = "a service and what is done there, such as `dynamodb:GetItem` or `s3:Get*`";
    let actions = texts(actions, is_action, "is no action", help, report);
    let help = "an ARN, such as `arn:aws:dynamodb:*:*:table/orders`; `*` alone where the action knows no resources";
    let on = texts(on, is_resource, "is no resource", help, report);
    Some(Rights {
        actions: actions?,
        on: on?,
    })
}

fn texts(
    written: &Option<At<Vec<At<String>>>>,
    is_good: impl Fn(&str) -> bool,
    message: &str,
    help: &str,
    report: &mut Report,
) -> Option<BTreeSet<String>> {
    let written = written.as_ref()?;
    if written.value.is_empty() {
        report.fault(&written.place.key(), "is empty", help);
    }
    for text in written.value.iter().filter(|it| !is_good(&it.value)) {
        report.fault(&text.place, message, help);
    }
    Some(written.value.iter().map(|it| it.value.clone()).collect())
}

/// A function that may do everything everywhere is no function of least privilege.
pub(in crate::manifest) fn is_action(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-*?".contains(c);
    let Some((service, action)) = text.split_once(':') else {
        return false;
    };
    let is_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let has_service = !service.is_empty() && service.chars().all(is_service);
    has_service && !action.is_empty() && action.chars().all(is_part)
}

pub(in crate::manifest) fn is_resource(text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    text == "*" || text.starts_with("arn:") && text.splitn(6, ':').count() == 6 && is_plain
}
