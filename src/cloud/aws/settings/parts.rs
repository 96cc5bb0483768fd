//! What must be sent for a function to have its extras, as the client's calls take it. Pure.

use std::collections::BTreeSet;

use aws_sdk_lambda::types::{
    ApplicationLogLevel, DeadLetterConfig, EphemeralStorage, FileSystemConfig, LogFormat,
    LoggingConfig, SnapStart, SnapStartApplyOn, SystemLogLevel, TracingConfig, TracingMode,
    VpcConfig,
};

use super::Extras;

/// `None` is not sent, and what is not sent stays as it is.
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

    /// What must be taken for the state before this where nobody knows which of what is shown is there: what is asked for is not.
    pub(in crate::cloud::aws) fn unsure(&self, shown: Self) -> Self {
        fn doubt<T: PartialEq>(shown: T, wanted: &T, otherwise: T) -> T {
            if shown == *wanted { otherwise } else { shown }
        }
        let plain = Self::default();
        Self {
            storage: doubt(shown.storage, &self.storage, plain.storage),
            layers: doubt(shown.layers, &self.layers, plain.layers),
            subnets: doubt(shown.subnets, &self.subnets, plain.subnets),
            security_groups: doubt(
                shown.security_groups,
                &self.security_groups,
                plain.security_groups,
            ),
            ipv6: doubt(shown.ipv6, &self.ipv6, plain.ipv6),
            file_system: doubt(shown.file_system, &self.file_system, plain.file_system),
            dead_letter: doubt(shown.dead_letter, &self.dead_letter, plain.dead_letter),
            snap_start: doubt(shown.snap_start, &self.snap_start, plain.snap_start),
            tracing: doubt(shown.tracing, &self.tracing, plain.tracing),
            log: doubt(shown.log, &self.log, plain.log),
            kms_key: doubt(shown.kms_key, &self.kms_key, plain.kms_key),
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
