//! The blocks below `aws:`.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use super::{
    super::{
        super::{
            aws::{
                Asynchronous, Concurrency, Cors, FileSystem, LogFormat, LogLevel, Logs, Permission,
                UrlOptions, Vpc,
            },
            raw::{
                AsynchronousText, At, ConcurrencyText, CorsText, FileSystemText, Length, LogsText,
                PermissionText, Report, UrlText, VpcText,
            },
        },
        bounded, filled, value,
    },
    arn::is_arn,
    arn_of,
};

/// Where results of asynchronous calls may go.
const DESTINATIONS: [&str; 5] = ["sqs", "sns", "lambda", "events", "s3"];

/// Days that CloudWatch Logs knows.
const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

pub(super) fn vpc(written: &At<VpcText>, report: &mut Report) -> Option<Vpc> {
    let VpcText {
        subnets,
        security_groups,
        ipv6,
    } = &written.value;
    let subnets = ids(subnets, "subnet-", report);
    let security_groups = ids(security_groups, "sg-", report);
    Some(Vpc {
        subnets: subnets?,
        security_groups: security_groups?,
        ipv6: value(ipv6).unwrap_or_default(),
    })
}

fn ids(
    written: &Option<At<Vec<At<String>>>>,
    start: &str,
    report: &mut Report,
) -> Option<BTreeSet<String>> {
    let written = written.as_ref()?;
    if written.value.is_empty() {
        report.fault(
            &written.place.key(),
            "is empty",
            format!("name at least one, such as `{start}0123abcd`"),
        );
        return None;
    }
    let mut good = BTreeSet::new();
    for id in &written.value {
        let rest = id.value.strip_prefix(start).unwrap_or_default();
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            report.fault(
                &id.place,
                format!("is no id that starts with `{start}`"),
                "",
            );
        }
        good.insert(id.value.clone());
    }
    Some(good)
}

pub(super) fn file_system(written: &At<FileSystemText>, report: &mut Report) -> Option<FileSystem> {
    let FileSystemText {
        access_point,
        mount,
    } = &written.value;
    let access_point = arn_of(access_point, &["elasticfilesystem"], report);
    let mount = mount.as_ref()?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let folder = mount.value.strip_prefix("/mnt/").unwrap_or_default();
    if folder.is_empty() || !folder.chars().all(is_part) {
        report.fault(
            &mount.place,
            "is no folder of `/mnt`",
            "such as `/mnt/data`",
        );
        return None;
    }
    Some(FileSystem {
        access_point: access_point?,
        mount: mount.value.clone(),
    })
}

pub(super) fn asynchronous(
    written: &At<AsynchronousText>,
    report: &mut Report,
) -> Option<Asynchronous> {
    let AsynchronousText {
        retries,
        max_age,
        on_success,
        on_failure,
    } = &written.value;
    let checked = Asynchronous {
        retries: bounded(retries, 0..=2, "Lambda", report),
        max_age: seconds(max_age, 60..=21_600, report),
        // A bucket takes what failed, never what succeeded.
        on_success: arn_of(on_success, &DESTINATIONS[..4], report),
        on_failure: arn_of(on_failure, &DESTINATIONS, report),
    };
    Some(checked)
}

pub(super) fn concurrency(
    written: &At<ConcurrencyText>,
    report: &mut Report,
) -> Option<Concurrency> {
    let ConcurrencyText {
        reserved,
        provisioned,
    } = &written.value;
    if let (Some(kept), Some(warm)) = (reserved, provisioned)
        && warm.value > kept.value
    {
        let message = format!("keeps {} warm of {} that may run", warm.value, kept.value);
        report.fault(&warm.place, message, "provision at most what is reserved");
    }
    if let Some(none) = reserved.as_ref().filter(|at| at.value == 0) {
        let help = "reserve at least 1, or remove the key";
        report.warn(
            &none.place,
            "stops the function: every call is refused",
            help,
        );
    }
    Some(Concurrency {
        reserved: value(reserved),
        provisioned: bounded(provisioned, 1..=100_000, "Lambda", report),
    })
}

pub(super) fn logs(written: &At<LogsText>, report: &mut Report) -> Option<Logs> {
    let LogsText {
        format,
        level,
        system_level,
        group,
        retention,
    } = &written.value;
    let format = value(format).unwrap_or_default();
    for at in [level, system_level].into_iter().flatten() {
        if format == LogFormat::Text {
            report.fault(
                &at.place,
                "needs `format: json`",
                "Lambda filters only logs that are JSON",
            );
        }
    }
    let system = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn];
    if let Some(at) = system_level
        .as_ref()
        .filter(|at| !system.contains(&at.value))
    {
        report.fault(
            &at.place,
            "is no level of Lambda's own lines",
            "write `debug`, `info` or `warn`",
        );
    }
    if let Some(at) = retention
        .as_ref()
        .filter(|at| !RETENTIONS.contains(&at.value))
    {
        let known = RETENTIONS.map(|days| days.to_string()).join(", ");
        report.fault(
            &at.place,
            "is no number of days that CloudWatch Logs keeps",
            format!("one of {known}"),
        );
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_./#-".contains(c);
    if let Some(at) = group
        .as_ref()
        .filter(|at| at.value.is_empty() || at.value.len() > 512 || !at.value.chars().all(is_part))
    {
        report.fault(
            &at.place,
            "is no name of a log group",
            "letters, digits and `_./#-`, such as `/shop/stock`",
        );
    }
    Some(Logs {
        format,
        level: value(level),
        system_level: value(system_level),
        group: value(group),
        retention: value(retention),
    })
}

pub(super) fn url(written: &At<UrlText>, report: &mut Report) -> Option<UrlOptions> {
    let UrlText { auth, stream, cors } = &written.value;
    Some(UrlOptions {
        auth: value(auth).unwrap_or_default(),
        stream: value(stream).unwrap_or_default(),
        cors: cors.as_ref().map(|at| cors_of(at, report)),
    })
}

fn cors_of(written: &At<CorsText>, report: &mut Report) -> Cors {
    let CorsText {
        origins,
        methods,
        headers,
        expose,
        credentials,
        max_age,
    } = &written.value;
    let is_origin = |text: &str| {
        let host = ["https://", "http://"]
            .iter()
            .find_map(|it| text.strip_prefix(it));
        text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
    };
    let cors = Cors {
        origins: words(
            origins,
            is_origin,
            "is no origin",
            "`*`, or scheme and host, such as `https://shop.example`",
            report,
        ),
        methods: words(
            methods,
            is_method,
            "is no HTTP method",
            "in capitals, such as `GET`; `*` is all",
            report,
        ),
        headers: words(headers, is_header, "is no name of a header", "", report),
        expose: words(expose, is_header, "is no name of a header", "", report),
        credentials: value(credentials).unwrap_or_default(),
        max_age: seconds(max_age, 0..=86_400, report),
    };
    if let Some(at) = credentials
        .as_ref()
        .filter(|at| at.value && cors.origins.contains("*"))
    {
        let help = "name the origins: browsers send credentials to nobody who trusts everybody";
        report.fault(&at.place, "does not go with the origin `*`", help);
    }
    cors
}

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
        }
        good.insert(word.value.clone());
    }
    good
}

/// Lambda answers OPTIONS itself, and takes it for no method of anybody's.
fn is_method(text: &str) -> bool {
    ["*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&text)
}

fn is_header(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_*".contains(&b);
    !text.is_empty() && text.bytes().all(is_part)
}

pub(super) fn permission(written: &At<PermissionText>, report: &mut Report) -> Option<Permission> {
    let PermissionText {
        principal,
        action,
        source_arn,
        source_account,
    } = &written.value;
    let principal = principal.as_ref().and_then(|at| filled(at, report))?;
    let action = match action {
        None => "lambda:InvokeFunction".to_owned(),
        Some(at) if at.value.starts_with("lambda:") => at.value.clone(),
        Some(at) => {
            report.fault(
                &at.place,
                "is no action of Lambda",
                "such as `lambda:InvokeFunction`",
            );
            return None;
        }
    };
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(at) = source_account.as_ref().filter(|at| !is_account(&at.value)) {
        report.fault(&at.place, "is no account", "twelve digits, in quotes");
    }
    if let Some(at) = source_arn
        .as_ref()
        .filter(|at| !at.value.starts_with("arn:"))
    {
        report.fault(&at.place, "is no ARN", "");
    }
    let is_open =
        principal.ends_with(".amazonaws.com") && source_arn.is_none() && source_account.is_none();
    if is_open || principal == "*" && source_arn.is_none() {
        let help = "add `sourceArn` or `sourceAccount`";
        report.warn(
            &written.place.key(),
            "lets anybody's resources call the function",
            help,
        );
    }
    Some(Permission {
        principal,
        action,
        source_arn: value(source_arn),
        source_account: value(source_account),
    })
}

/// Whole seconds within Lambda's bounds.
pub(super) fn seconds(
    written: &Option<At<Length>>,
    bounds: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<Duration> {
    let written = written.as_ref()?;
    let length = written.value.0;
    if length.subsec_nanos() == 0 && bounds.contains(&length.as_secs()) {
        return Some(length);
    }
    let message = format!(
        "is not from {}s to {}s, in whole seconds",
        bounds.start(),
        bounds.end()
    );
    report.fault(&written.place, message, "Lambda allows no other time");
    None
}

/// Where records go that failed for good.
pub(super) fn failed_to(written: &Option<At<String>>, report: &mut Report) -> Option<String> {
    let written = written.as_ref()?;
    if is_arn(&written.value, &["sqs", "sns", "s3"]) {
        return Some(written.value.clone());
    }
    report.fault(&written.place, "is no ARN of a queue, topic or bucket", "");
    None
}
