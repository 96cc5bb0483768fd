//! host.json and function.json as they are written, as far as they matter here. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{AuthLevel, Binding, CustomHandler, Direction, HttpTrigger, polling::RawQueues};
use crate::local::arm::host::route::{Methods, Template};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostFile {
    pub(super) custom_handler: Option<RawHandler>,
    pub(super) extensions: Option<RawExtensions>,
    pub(super) function_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHandler {
    #[serde(default)]
    pub(super) description: RawDescription,
    #[serde(default)]
    pub(super) enable_forwarding_http_request: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawDescription {
    pub(super) default_executable_path: String,
    pub(super) arguments: Vec<String>,
    pub(super) working_directory: String,
}

#[derive(Default, Deserialize)]
pub(super) struct RawExtensions {
    pub(super) http: Option<RawHttp>,
    pub(super) queues: Option<RawQueues>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHttp {
    pub(super) route_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawFunction {
    #[serde(default)]
    pub(super) bindings: Vec<RawBinding>,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) script_file: Option<String>,
    #[serde(default)]
    pub(super) entry_point: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBinding {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) direction: Direction,
    pub(super) name: Option<String>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) route: Option<String>,
    pub(super) auth_level: Option<AuthLevel>,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

impl RawBinding {
    pub(super) fn named(self) -> Option<(String, Binding)> {
        let binding = Binding {
            kind: self.r#type,
            direction: self.direction,
        };
        Some((self.name?, binding))
    }

    pub(super) fn http_trigger(&self, function: &str, all: &[Self]) -> Result<HttpTrigger, String> {
        let is_http = |binding: &Self| {
            binding.r#type.eq_ignore_ascii_case("httpTrigger")
                || binding.r#type.eq_ignore_ascii_case("http")
        };
        let route = self.route.as_deref().unwrap_or(function);
        Ok(HttpTrigger {
            binding: self.name.clone().unwrap_or_else(|| "req".to_owned()),
            methods: Methods::new(self.methods.as_deref().unwrap_or_default()),
            template: Template::parse(route)?,
            level: self.auth_level.unwrap_or_default(),
            http_only: all.iter().all(is_http),
        })
    }
}

impl RawHandler {
    pub(super) fn checked(self) -> Option<CustomHandler> {
        let Self {
            description,
            enable_forwarding_http_request,
        } = self;
        let RawDescription {
            default_executable_path,
            arguments,
            working_directory,
        } = description;
        (!default_executable_path.is_empty()).then_some(CustomHandler {
            executable: default_executable_path,
            arguments,
            working_directory,
            forwards: enable_forwarding_http_request,
        })
    }
}
