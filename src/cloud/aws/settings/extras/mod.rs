//! Settings of a version that stand under `aws:`: as asked for, as read, as fields, and as AWS's client takes them. Pure.

mod written;

use std::collections::BTreeSet;

use aws_sdk_lambda::types::{
    ApplicationLogLevel, DeadLetterConfig, EphemeralStorage, FileSystemConfig,
    FunctionConfiguration, LogFormat, LoggingConfig, SnapStart, SnapStartApplyOn, SystemLogLevel,
    TracingConfig, TracingMode, VpcConfig,
};

use crate::manifest::aws::{AwsFunction, FileSystem, LogFormat as Format, Logs, Vpc};

/// What every function gets that asks for nothing, in MiB.
const STORAGE: i32 = 512;
const TEXT: &str = "Text";
const INFO: &str = "INFO";

/// Nothing asked for, and nothing set, are the same value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Extras {
    storage: i32,
    /// In the order in which they are laid.
    layers: Vec<String>,
    subnets: BTreeSet<String>,
    security_groups: BTreeSet<String>,
    ipv6: bool,
    /// Access point and folder.
    file_system: Option<(String, String)>,
    dead_letter: Option<String>,
    snap_start: bool,
    tracing: bool,
    log: Log,
    kms_key: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Log {
    format: String,
    /// Of the application and of Lambda itself; without JSON there are none.
    levels: Option<(String, String)>,
    /// Another one than Lambda's own.
    group: Option<String>,
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

/// As the client's calls take them. `None` is not sent, and what is not sent stays as it is.
#[derive(Debug, Default)]
pub(in crate::cloud::aws) struct Parts {
    pub(in crate::cloud::aws) storage: Option<EphemeralStorage>,
    pub(in crate::cloud::aws) layers: Option<Vec<String>>,
    pub(in crate::cloud::aws) vpc: Option<VpcConfig>,
    pub(in crate::cloud::aws) file_systems: Option<Vec<FileSystemConfig>>,
    pub(in crate::cloud::aws) dead_letter: Option<DeadLetterConfig>,
    pub(in crate::cloud::aws) snap_start: Option<SnapStart>,
    pub(in crate::cloud::aws) tracing: Option<TracingConfig>,
    pub(in crate::cloud::aws) logging: Option<LoggingConfig>,
    pub(in crate::cloud::aws) kms_key: Option<String>,
}

impl Extras {
    /// What must be sent for a function that has `before` to have this. What is emptied is sent as empty.
    pub(in crate::cloud::aws) fn parts(&self, before: &Self) -> Parts {
        Parts {
            storage: (self.storage != before.storage).then(|| {
                let builder = EphemeralStorage::builder().size(self.storage);
                // The size is set in the line above.
                builder.build().expect("an ephemeral storage with a size")
            }),
            layers: (self.layers != before.layers).then(|| self.layers.clone()),
            vpc: self.vpc(before),
            file_systems: (self.file_system != before.file_system).then(|| self.file_systems()),
            dead_letter: (self.dead_letter != before.dead_letter).then(|| {
                let target = self.dead_letter.clone().unwrap_or_default();
                DeadLetterConfig::builder().target_arn(target).build()
            }),
            snap_start: (self.snap_start != before.snap_start).then(|| {
                let on = match self.snap_start {
                    true => SnapStartApplyOn::PublishedVersions,
                    false => SnapStartApplyOn::None,
                };
                SnapStart::builder().apply_on(on).build()
            }),
            tracing: (self.tracing != before.tracing).then(|| {
                let mode = match self.tracing {
                    true => TracingMode::Active,
                    false => TracingMode::PassThrough,
                };
                TracingConfig::builder().mode(mode).build()
            }),
            logging: (self.log != before.log).then(|| self.logging()),
            kms_key: (self.kms_key != before.kms_key)
                .then(|| self.kms_key.clone().unwrap_or_default()),
        }
    }

    fn vpc(&self, before: &Self) -> Option<VpcConfig> {
        let of = |it: &Self| (it.subnets.clone(), it.security_groups.clone(), it.ipv6);
        (of(self) != of(before)).then(|| {
            let all = |set: &BTreeSet<String>| Some(set.iter().cloned().collect());
            VpcConfig::builder()
                .set_subnet_ids(all(&self.subnets))
                .set_security_group_ids(all(&self.security_groups))
                .ipv6_allowed_for_dual_stack(self.ipv6)
                .build()
        })
    }

    fn file_systems(&self) -> Vec<FileSystemConfig> {
        let mounted = self.file_system.iter().map(|(point, mount)| {
            let builder = FileSystemConfig::builder().arn(point);
            // Both are set, here and in the line above.
            let built = builder.local_mount_path(mount).build();
            built.expect("a file system with access point and folder")
        });
        mounted.collect()
    }

    fn logging(&self) -> LoggingConfig {
        let builder = LoggingConfig::builder()
            .log_format(LogFormat::from(self.log.format.as_str()))
            .set_log_group(self.log.group.clone());
        match &self.log.levels {
            None => builder.build(),
            Some((own, system)) => builder
                .application_log_level(ApplicationLogLevel::from(own.as_str()))
                .system_log_level(SystemLogLevel::from(system.as_str()))
                .build(),
        }
    }
}
