//! What an app of Flex Consumption is besides its settings: its runtime, the size of its instances, and how many there are. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    desired::Release,
    manifest::{azure::Scale, spec::Runtime},
};

/// Sizes of instances that there are, in megabytes.
const SIZES: [u32; 3] = [512, 2048, 4096];

/// Instances at most, where nobody says how many: as many as the platform gives by itself.
const MOST: u32 = 100;

/// The group of all functions that answer HTTP, which scale together.
const HTTP: &str = "http";

/// What a release asks of an app on a plan without slots.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::cloud::azure) struct FlexApp {
    /// Name and version.
    pub(in crate::cloud::azure) runtime: (String, String),
    /// Megabytes of one instance.
    pub(in crate::cloud::azure) memory: u32,
}

impl FlexApp {
    /// The smallest instance that holds the largest function.
    pub(in crate::cloud::azure) fn wanted(release: &Release) -> Self {
        let functions = release.content.functions.values();
        let largest = functions.map(|function| function.memory.0).max();
        let largest = largest.unwrap_or_default();
        let fits = SIZES.into_iter().find(|size| *size >= largest);
        let (name, version) = match &release.content.runtime {
            Runtime::Python(version) => ("python", version.as_str()),
            Runtime::Node(version) => ("node", version.as_str()),
            Runtime::Executable => ("custom", "1.0"),
        };
        Self {
            runtime: (name.to_owned(), version.to_owned()),
            memory: fits.unwrap_or(SIZES[SIZES.len() - 1]),
        }
    }
}

/// `functionAppConfig`, which replaces all that was there.
pub(in crate::cloud::azure) fn flex_config(
    app: &FlexApp,
    scale: Option<Scale>,
    deployment: &Value,
) -> Value {
    let Scale {
        most,
        ready,
        warm: _,
    } = scale.unwrap_or_default();
    let ready: Vec<Value> = ready
        .filter(|count| *count > 0)
        .map(|count| json!({ "name": HTTP, "instanceCount": count }))
        .into_iter()
        .collect();
    let (name, version) = &app.runtime;
    json!({
        "deployment": deployment,
        "runtime": { "name": name, "version": version },
        "scaleAndConcurrency": {
            "instanceMemoryMB": app.memory,
            "maximumInstanceCount": most.unwrap_or(MOST),
            "alwaysReady": ready,
        },
    })
}

/// Instances that there are at most.
pub(in crate::cloud::azure) fn most_of(config: &Value) -> Option<u64> {
    config["scaleAndConcurrency"]["maximumInstanceCount"].as_u64()
}

/// Instances that are always ready to answer HTTP.
pub(in crate::cloud::azure) fn always_ready(config: &Value) -> u64 {
    let groups = config["scaleAndConcurrency"]["alwaysReady"].as_array();
    let mut groups = groups.into_iter().flatten();
    let http = groups.find(|group| group["name"] == HTTP);
    http.and_then(|group| group["instanceCount"].as_u64())
        .unwrap_or_default()
}

/// Whether an app takes its packages from the container that has its name.
pub(in crate::cloud::azure) fn has_container(config: &Value, app: &str) -> bool {
    let storage = &config["deployment"]["storage"];
    let address = storage["value"].as_str().unwrap_or_default();
    let container = address.trim_end_matches('/').rsplit('/').next();
    let is_blob = storage["type"]
        .as_str()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("blobContainer"));
    is_blob && container.is_some_and(|it| it.eq_ignore_ascii_case(app))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_says_what_is_read_out_of_it() {
        let app = FlexApp {
            runtime: ("python".to_owned(), "3.12".to_owned()),
            memory: 2048,
        };
        let scale = |most, ready| Scale {
            most,
            ready,
            warm: None,
        };
        let deployment = json!({ "storage": {
            "type": "blobContainer",
            "value": "https://shop.blob.core.windows.net/vg-prod-stock-a",
        }});
        let config = flex_config(&app, Some(scale(Some(40), Some(2))), &deployment);
        assert_eq!((most_of(&config), always_ready(&config)), (Some(40), 2));
        assert!(has_container(&config, "vg-prod-stock-a"));
        assert!(!has_container(&config, "vg-prod-stock-b"));
        let plain = flex_config(&app, None, &deployment);
        assert_eq!((most_of(&plain), always_ready(&plain)), (Some(100), 0));
    }
}
