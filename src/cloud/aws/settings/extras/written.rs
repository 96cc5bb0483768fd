//! The same as manifests write it. Pure.

use serde_yaml::Value;

use super::{Extras, INFO, Log, STORAGE, TEXT};
use crate::import::clouds::map;

impl Extras {
    /// As manifests write it below `aws`; what is as everywhere is left out. `kept` is how many days the log group keeps logs.
    pub(in crate::cloud::aws) fn written(&self, kept: Option<u32>) -> Vec<(&'static str, Value)> {
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
        let text = |text: &String| Value::from(text.as_str());
        let list =
            |set: &mut dyn Iterator<Item = &String>| Value::from(set.map(text).collect::<Vec<_>>());
        let yes = |is: &bool| is.then(|| Value::from(true));
        let network = map([
            ("subnets", Some(list(&mut subnets.iter()))),
            ("securityGroups", Some(list(&mut security_groups.iter()))),
            ("ipv6", yes(ipv6)),
        ]);
        let mounted = |(point, mount): &(String, String)| {
            let parts = [
                ("accessPoint", Some(text(point))),
                ("mount", Some(text(mount))),
            ];
            map(parts)
        };
        let all = [
            (
                "ephemeralStorage",
                (*storage != STORAGE).then(|| Value::from(format!("{storage}Mi"))),
            ),
            (
                "layers",
                (!layers.is_empty()).then(|| list(&mut layers.iter())),
            ),
            ("vpc", network.filter(|_| !subnets.is_empty())),
            ("fileSystem", file_system.as_ref().and_then(mounted)),
            ("deadLetter", dead_letter.as_ref().map(text)),
            ("snapStart", yes(snap_start)),
            ("tracing", yes(tracing)),
            ("logs", log.written(kept)),
            ("kmsKey", kms_key.as_ref().map(text)),
        ];
        let set = all.into_iter();
        set.filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Log {
    fn written(&self, kept: Option<u32>) -> Option<Value> {
        let Self {
            format,
            levels,
            group,
        } = self;
        let other = |level: &String| {
            let level = Some(level.to_lowercase()).filter(|_| level != INFO);
            level.map(Value::from)
        };
        let (own, system) = levels
            .as_ref()
            .map_or((None, None), |(own, system)| (other(own), other(system)));
        map([
            (
                "format",
                (format != TEXT).then(|| format.to_lowercase().into()),
            ),
            ("level", own),
            ("systemLevel", system),
            ("group", group.as_deref().map(Value::from)),
            ("retention", kept.map(Value::from)),
        ])
    }
}
