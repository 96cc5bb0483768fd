//! Refusals that asking again does not help against, and what does: quotas, rights and keys. Pure.

/// A refusal: its code (none for any), a part of its message, and what helps.
type Way = (&'static str, &'static str, &'static str);

const NO_INTERFACE: &str = "the network has no interface left: ask AWS for more, or share subnets and security groups between functions";
const NO_ADDRESS: &str = "a subnet has no address left: name another one, or a larger one";
const NO_KEY: &str = "the KMS key must be enabled, and the role of the function and the daemon must be let use it (`deploy/aws-policy-extras.json`)";
const NO_FILES: &str = "the function must reach a mount target of the file system: its subnets and security groups must let it, over port 2049";
const NO_SUCH_KEY: &str =
    "AWS does not know the access key: give the daemon another one, or another profile or role";
const WRONG_SECRET: &str = "the secret key is not that of the access key";
const MISSING_RIGHT: &str = "give the role of the function the permission that the message names";
const CLOCK: &str = "this machine's clock is wrong: set it";
const QUOTA: &str = "a quota of the account is used up: delete what nobody needs, or ask AWS for more in Service Quotas";

/// A person must do something outside of the manifest, most of it worded as a bad request.
const OF_PEOPLE: [Way; 35] = [
    (
        "CodeStorageExceededException",
        "",
        "the account's code storage is full: delete old versions of functions that are not Verdigris's (of its own it keeps the newest few, `clouds.aws.keepVersions`, and those in use), or ask AWS for more",
    ),
    (
        "PolicyLengthExceededException",
        "",
        "the policy of one alias holds 20 KB: ask for fewer permissions, or for wider ones",
    ),
    ("ENILimitReachedException", "", NO_INTERFACE),
    ("SubnetIPAddressLimitReachedException", "", NO_ADDRESS),
    (
        "EC2AccessDeniedException",
        "",
        "let the role of the function make network interfaces",
    ),
    ("KMSAccessDeniedException", "", NO_KEY),
    ("KMSDisabledException", "", NO_KEY),
    ("KMSInvalidStateException", "", NO_KEY),
    ("KMSNotFoundException", "", NO_KEY),
    ("InvalidParameterValueException", "KMS key", NO_KEY),
    ("EFSMountConnectivityException", "", NO_FILES),
    (
        "InvalidParameterValueException",
        "UnreservedConcurrentExecution",
        "the account must keep 100 (a new one 10) for functions without a reservation: reserve less, or ask AWS for more",
    ),
    (
        "InvalidParameterValueException",
        "unreserved concurrency",
        "the account runs no more at once: keep less warm, or ask AWS for more",
    ),
    (
        "InvalidParameterValueException",
        "assume",
        "let lambda.amazonaws.com assume the role; a new role takes a few seconds",
    ),
    (
        "InvalidParameterValueException",
        "permissions to call",
        MISSING_RIGHT,
    ),
    (
        "InvalidParameterValueException",
        "visibility timeout",
        "give the queue a visibility timeout of six times the function's timeout, or the function a shorter one",
    ),
    (
        "ValidationException",
        "less than or equal to 3008",
        "new accounts get 3008 MB for a function: ask AWS for more, or ask for less memory",
    ),
    (
        "LimitExceeded",
        "policy size",
        "the policy of one role holds 10 KB: ask for fewer rights, or for wider ones",
    ),
    (
        "LimitExceeded",
        "RolesPerAccount",
        "the account has as many roles as it may: delete what nobody needs, or ask AWS for more in Service Quotas",
    ),
    ("LimitExceeded", "", QUOTA),
    ("LimitExceededException", "", QUOTA),
    ("ServiceQuotaExceededException", "", QUOTA),
    ("SubscriptionLimitExceeded", "", QUOTA),
    (
        "FilterPolicyLimitExceeded",
        "",
        "SNS takes 200 filters for a topic and 10,000 for an account: ask for fewer, or ask AWS for more",
    ),
    (
        "InvalidArgument",
        "Configurations overlap",
        "the bucket tells somebody else of the same objects, and S3 allows only one: give another prefix or suffix, or take the other one away",
    ),
    (
        "",
        "explicit deny",
        "a policy of the account or of its organization forbids it: ask whoever wrote that",
    ),
    ("UnrecognizedClientException", "", NO_SUCH_KEY),
    ("InvalidClientTokenId", "", NO_SUCH_KEY),
    ("InvalidAccessKeyId", "", NO_SUCH_KEY),
    ("RequestTimeTooSkewed", "", CLOCK),
    ("InvalidSignatureException", "Signature expired", CLOCK),
    ("InvalidSignatureException", "not yet current", CLOCK),
    ("InvalidSignatureException", "", WRONG_SECRET),
    ("SignatureDoesNotMatch", "", WRONG_SECRET),
    (
        "OptInRequired",
        "",
        "the account has not enabled this service or region: enable it",
    ),
];

/// The manifest must say something else.
const OF_MANIFESTS: [Way; 5] = [
    (
        "RequestEntityTooLargeException",
        "",
        "name a bucket of the same region as `clouds.aws.bucket`, and large packages go through it",
    ),
    (
        "InvalidParameterValueException",
        "Unzipped size",
        "leave files out of the package, or run an image",
    ),
    (
        "InvalidParameterValueException",
        "environment variables you have provided",
        "4 KB hold a function's variables and what Verdigris writes beside them: put long values into secrets or files",
    ),
    (
        "InvalidParameterValueException",
        "Layers consume",
        "package and layers hold 250 MB together: leave something out, or run an image",
    ),
    (
        "InvalidParameterValueException",
        "Provisioned Concurrency",
        "no more can be kept warm than is reserved: keep less warm, or reserve more",
    ),
];

/// Why a function does not become active, by the code of its state.
const OF_STATES: [(&str, &str); 11] = [
    ("EniLimitExceeded", NO_INTERFACE),
    ("SubnetOutOfIPAddresses", NO_ADDRESS),
    ("InsufficientRolePermissions", MISSING_RIGHT),
    (
        "ImageAccessDenied",
        "let lambda.amazonaws.com read the repository, by its policy",
    ),
    ("KMSKeyAccessDenied", NO_KEY),
    ("KMSKeyNotFound", NO_KEY),
    ("DisabledKMSKey", NO_KEY),
    ("InvalidStateKMSKey", NO_KEY),
    ("EFSMountConnectivityError", NO_FILES),
    ("EFSMountFailure", NO_FILES),
    ("EFSMountTimeout", NO_FILES),
];

/// Services that AWS asks in the name of whoever makes a function.
const EXTRAS: [&str; 5] = [
    "ec2:",
    "ecr:",
    "elasticfilesystem:",
    "kms:",
    "lambda:GetLayerVersion",
];

/// What a person can do about a refusal, where only a person can.
pub(in crate::cloud::aws) fn of_people(code: &str, message: &str) -> Option<String> {
    let known = find(&OF_PEOPLE, code, message).map(str::to_owned);
    known.or_else(|| missing_right(code, message))
}

/// What the manifest could say instead.
pub(in crate::cloud::aws) fn of_manifests(code: &str, message: &str) -> Option<&'static str> {
    find(&OF_MANIFESTS, code, message)
}

/// What a person can do for a function that does not become active.
pub(in crate::cloud::aws) fn of_states(code: &str) -> Option<&'static str> {
    let found = OF_STATES.iter().find(|(it, _)| *it == code);
    found.map(|(_, help)| *help)
}

/// The message, and what helps.
pub(in crate::cloud::aws) fn with_help(message: String, help: Option<&str>) -> String {
    match help {
        Some(help) => format!("{}; {help}", message.trim_end_matches('.')),
        None => message,
    }
}

fn find(ways: &[Way], code: &str, message: &str) -> Option<&'static str> {
    let fits = |(of, part, _): &&Way| (of.is_empty() || *of == code) && message.contains(part);
    ways.iter().find(fits).map(|(_, _, help)| *help)
}

/// Some services name the action, and some say no more than no.
fn missing_right(code: &str, message: &str) -> Option<String> {
    let is_known = ["AccessDenied", "AccessDeniedException"].contains(&code);
    let named = message.split_once("not authorized to perform: ");
    let action = named.and_then(|(_, rest)| rest.split_whitespace().next());
    match action {
        Some(action) if let Some(group) = named_group(message) => Some(format!(
            "let the daemon do `{action}` on `{group}`: `deploy/aws-policy-extras.json` has it as `NamedLogGroups`, with `LOG_GROUP` for the name"
        )),
        Some(action) => {
            let is_extra = EXTRAS.iter().any(|it| action.starts_with(it));
            let file = if is_extra {
                "aws-policy-extras"
            } else {
                "aws-policy"
            };
            Some(format!(
                "let the daemon do `{action}`: `deploy/{file}.json` has it"
            ))
        }
        None if is_known => {
            Some("`deploy/aws-policy.json` has all that the daemon must be let do".to_owned())
        }
        None => None,
    }
}

/// The log group that a refusal is about, where a manifest named it: Lambda's own are in the policy.
fn named_group(message: &str) -> Option<&str> {
    let (_, resource) = message.split_once(" on resource: ")?;
    let (_, group) = resource.split_once(":log-group:")?;
    let end = group.find([':', ' ']).unwrap_or(group.len());
    let group = &group[..end];
    let is_named = !group.is_empty() && !group.starts_with("/aws/lambda/");
    is_named.then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_missing_is_named_with_the_file_that_has_it() {
        let refused = |action: &str| {
            format!(
                "User: arn:aws:iam::1:user/verdigris is not authorized to perform: {action} on resource: x because no identity-based policy allows it"
            )
        };
        let table = [
            (
                "AccessDeniedException",
                refused("lambda:CreateFunction"),
                "let the daemon do `lambda:CreateFunction`: `deploy/aws-policy.json` has it",
            ),
            (
                "AccessDeniedException",
                refused("lambda:GetLayerVersion"),
                "let the daemon do `lambda:GetLayerVersion`: `deploy/aws-policy-extras.json` has it",
            ),
            (
                "AccessDeniedException",
                refused("logs:PutRetentionPolicy").replace(
                    "resource: x",
                    "resource: arn:aws:logs:eu-west-1:1:log-group:/shop/stock:log-stream:",
                ),
                "let the daemon do `logs:PutRetentionPolicy` on `/shop/stock`: `deploy/aws-policy-extras.json` has it as `NamedLogGroups`, with `LOG_GROUP` for the name",
            ),
            (
                "AccessDeniedException",
                refused("logs:CreateLogGroup").replace(
                    "resource: x",
                    "resource: arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/prod-a-b:*",
                ),
                "let the daemon do `logs:CreateLogGroup`: `deploy/aws-policy.json` has it",
            ),
            (
                "AccessDenied",
                "Access Denied".to_owned(),
                "`deploy/aws-policy.json` has all that the daemon must be let do",
            ),
            (
                "AccessDeniedException",
                refused("lambda:CreateFunction")
                    + " with an explicit deny in a service control policy",
                "a policy of the account or of its organization forbids it: ask whoever wrote that",
            ),
        ];
        for (code, message, help) in table {
            assert_eq!(
                of_people(code, &message).as_deref(),
                Some(help),
                "{message}"
            );
        }
        assert_eq!(of_people("ServiceException", "it broke"), None);
    }

    #[test]
    fn the_first_way_that_fits_is_told() {
        let size = "Maximum policy size of 10240 bytes exceeded for role prod-shop";
        let told = of_people("LimitExceeded", size).unwrap_or_default();
        assert!(told.contains("10 KB"), "{told}");
        let roles = "Cannot exceed quota for RolesPerAccount: 1000";
        let told = of_people("LimitExceeded", roles).unwrap_or_default();
        assert!(told.contains("roles"), "{told}");
        // Each can be reached: none stands behind one that takes all of it.
        for ways in [&OF_PEOPLE[..], &OF_MANIFESTS] {
            for (code, part, help) in ways {
                assert_eq!(find(ways, code, part), Some(*help), "{code} {part}");
            }
        }
    }
}
