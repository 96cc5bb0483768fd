//! Settings of a version that stand under `aws:`: as asked for, as read, as fields, and as AWS's client takes them. Pure.

mod written;

use std::collections::BTreeSet;

use aws_sdk_lambda::types::{FunctionConfiguration, LogFormat, SnapStartApplyOn, TracingMode};

use crate::manifest::aws::{AwsFunction, FileSystem, LogFormat as Format, Logs, Vpc};

/// What every function gets that asks for nothing, in MiB.
const STORAGE: i32 = 512;
const TEXT: &str = "Text";
const INFO: &str = "INFO";

/// Nothing asked for, and nothing set, are the same value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Extras {
    pub(super) storage: i32,
    /// In the order in which they are laid.
    pub(super) layers: Vec<String>,
    pub(super) subnets: BTreeSet<String>,
    pub(super) security_groups: BTreeSet<String>,
    pub(super) ipv6: bool,
    /// Access point and folder.
    pub(super) file_system: Option<(String, String)>,
    pub(super) dead_letter: Option<String>,
    pub(super) snap_start: bool,
    pub(super) tracing: bool,
    pub(super) log: Log,
    pub(super) kms_key: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Log {
    pub(super) format: String,
    /// Of the application and of Lambda itself; without JSON there are none.
    pub(super) levels: Option<(String, String)>,
    /// Another one than Lambda's own.
    pub(super) group: Option<String>,
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            storage: STORAGE,
            layers: Vec::new(),
            subnets: BTreeSet::new(),
            security_groups: BTreeSet::new(),
            ipv6: false,
            file_system: None,
            dead_letter: None,
            snap_start: false,
            tracing: false,
            log: Log {
                format: TEXT.to_owned(),
                levels: None,
                group: None,
            },
            kms_key: None,
        }
    }
}

impl Extras {
    pub(super) fn wanted(aws: Option<&AwsFunction>) -> Self {
        let Some(aws) = aws else {
            return Self::default();
        };
        let vpc = aws.vpc.clone();
        let (subnets, security_groups, ipv6) = match vpc {
            Some(Vpc {
                subnets,
                security_groups,
                ipv6,
            }) => (subnets, security_groups, ipv6),
            None => Default::default(),
        };
        let mounted = |it: &FileSystem| (it.access_point.clone(), it.mount.clone());
        Self {
            storage: aws
                .ephemeral_storage
                .map_or(STORAGE, |size| i32::try_from(size.0).unwrap_or(i32::MAX)),
            layers: aws.layers.clone().unwrap_or_default(),
            subnets,
            security_groups,
            ipv6,
            file_system: aws.file_system.as_ref().map(mounted),
            dead_letter: aws.dead_letter.clone(),
            snap_start: aws.snap_start.unwrap_or_default(),
            tracing: aws.tracing.unwrap_or_default(),
            log: Log::wanted(aws.logs.as_ref()),
            kms_key: aws.kms_key.clone(),
        }
    }

    pub(super) fn read(config: &FunctionConfiguration) -> Self {
        let filled = |text: Option<&str>| {
            let text = text.filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let layers = config.layers().iter();
        let vpc = config.vpc_config();
        let set = |items: Option<&[String]>| items.unwrap_or_default().iter().cloned().collect();
        let file_system = config.file_system_configs().first();
        let snap_start = config.snap_start().and_then(|it| it.apply_on());
        let tracing = config.tracing_config().and_then(|it| it.mode());
        Self {
            storage: config.ephemeral_storage().map_or(STORAGE, |it| it.size()),
            layers: layers
                .filter_map(|it| it.arn().map(str::to_owned))
                .collect(),
            subnets: set(vpc.map(|it| it.subnet_ids())),
            security_groups: set(vpc.map(|it| it.security_group_ids())),
            ipv6: vpc
                .and_then(|it| it.ipv6_allowed_for_dual_stack())
                .unwrap_or_default(),
            file_system: file_system
                .map(|it| (it.arn().to_owned(), it.local_mount_path().to_owned())),
            dead_letter: filled(config.dead_letter_config().and_then(|it| it.target_arn())),
            snap_start: snap_start == Some(&SnapStartApplyOn::PublishedVersions),
            tracing: tracing == Some(&TracingMode::Active),
            log: Log::read(config),
            kms_key: filled(config.kms_key_arn()),
        }
    }

    /// Whether calls that failed for good go to the same place.
    pub(in crate::cloud::aws) fn fails_like(&self, other: &Self) -> bool {
        self.dead_letter == other.dead_letter
    }

    /// By path below the function; what is as everywhere is left out.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let Self {
            storage,
            layers,
            subnets,
            security_groups,
            ipv6,
            file_system,
            dead_letter,
            snap_start,
            tracing,
            log,
            kms_key,
        } = self;
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let yes = |is: &bool| is.then(|| "true".to_owned());
        let plain = Self::default();
        let fields = [
            (
                "storage",
                (*storage != STORAGE).then(|| storage.to_string()),
            ),
            ("layers", (!layers.is_empty()).then(|| layers.join(","))),
            ("vpc.subnets", (!subnets.is_empty()).then(|| join(subnets))),
            (
                "vpc.securityGroups",
                (!security_groups.is_empty()).then(|| join(security_groups)),
            ),
            ("vpc.ipv6", yes(ipv6)),
            (
                "fileSystem",
                file_system
                    .as_ref()
                    .map(|(point, mount)| format!("{point} at {mount}")),
            ),
            ("deadLetter", dead_letter.clone()),
            ("snapStart", yes(snap_start)),
            ("tracing", yes(tracing)),
            ("logs", (*log != plain.log).then(|| log.told())),
            ("kmsKey", kms_key.clone()),
        ];
        let set = fields.into_iter();
        set.filter_map(|(path, value)| Some((path, value?)))
            .collect()
    }
}

impl Log {
    fn wanted(logs: Option<&Logs>) -> Self {
        let Some(logs) = logs else {
            return Extras::default().log;
        };
        let Logs {
            format,
            level,
            system_level,
            group,
            retention: _,
        } = logs;
        let word = |level: &Option<crate::manifest::aws::LogLevel>| {
            level.map_or(INFO, |level| level.as_str()).to_owned()
        };
        Self {
            format: format.as_str().to_owned(),
            levels: (*format == Format::Json).then(|| (word(level), word(system_level))),
            group: group.clone(),
        }
    }

    /// Lambda tells its own group and its own levels where none were asked for.
    fn read(config: &FunctionConfiguration) -> Self {
        let Some(read) = config.logging_config() else {
            return Extras::default().log;
        };
        let own = format!("/aws/lambda/{}", config.function_name().unwrap_or_default());
        let format = read.log_format().map_or(TEXT, LogFormat::as_str);
        let application = read.application_log_level().map(|it| it.as_str());
        let system = read.system_log_level().map(|it| it.as_str());
        let level = |level: Option<&str>| level.unwrap_or(INFO).to_owned();
        Self {
            format: format.to_owned(),
            levels: (format != TEXT).then(|| (level(application), level(system))),
            group: read
                .log_group()
                .filter(|group| !group.is_empty() && *group != own)
                .map(str::to_owned),
        }
    }

    fn told(&self) -> String {
        let Self {
            format,
            levels,
            group,
        } = self;
        let levels = levels
            .as_ref()
            .map(|(own, system)| format!(" {own} {system}"));
        let group = group.as_ref().map(|group| format!(" in {group}"));
        format!(
            "{format}{}{}",
            levels.unwrap_or_default(),
            group.unwrap_or_default()
        )
    }
}
