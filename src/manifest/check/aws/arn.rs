//! Names of resources.

/// Whether a text is an ARN of one of these services. Which of its resources exist is the cloud's to say.
pub(in crate::manifest) fn is_arn(text: &str, services: &[&str]) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, _region, account, resource] = parts[..] else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    // Buckets belong to no account by their name.
    let has_account = is_account || (account.is_empty() && service == "s3");
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    arn == "arn"
        && partition.starts_with("aws")
        && services.contains(&service)
        && has_account
        && !resource.is_empty()
        && is_plain
}

/// An ARN of the first of them.
pub(super) fn example(services: &[&str]) -> &'static str {
    match services.first().copied().unwrap_or_default() {
        "sqs" => "such as `arn:aws:sqs:eu-west-1:123456789012:failed`",
        "sns" => "such as `arn:aws:sns:eu-west-1:123456789012:news`",
        "kms" => "such as `arn:aws:kms:eu-west-1:123456789012:key/…`",
        "iam" => "such as `arn:aws:iam::123456789012:role/functions`",
        "kinesis" => "such as `arn:aws:kinesis:eu-west-1:123456789012:stream/clicks`",
        "dynamodb" => {
            "such as `arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000`"
        }
        "elasticfilesystem" => {
            "such as `arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-…`"
        }
        _ => "",
    }
}
