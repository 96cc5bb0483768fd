//! Logs of a Function App, and one call of a function.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{
    AzureCloud,
    arm::{
        Payload, chain_of,
        operation::{HOST_KEYS, INSIGHTS_QUERY},
        unreachable,
    },
    names::WEB_API,
    observe::{SlotView, View, app_in},
    settings::{Trigger, marks},
};
use crate::{
    cloud::CloudError,
    name::{CloudName, Slot},
    observed::talk::{Input, Invocation, Invoked, LogLine, LogsTold, LogsWanted},
};

const QUERY_API: &str = "2018-04-20";
const KEY: &str = "x-functions-key";

/// Longer than any function may take to answer: what stands before it gives up after 230 s.
const CALL_MAX: Duration = Duration::from_secs(240);

impl AzureCloud {
    /// One query of the Application Insights component that the app's slots tell how they are. It tells of all functions of the app.
    pub(super) async fn logs_of(&self, wanted: &LogsWanted) -> Result<LogsTold, CloudError> {
        let service = &wanted.service.service;
        let app = self.names.app(service);
        let roles = self.names.roles_of(service);
        let component = self.names.component_of(&app);
        let id = format!("{component}/query");
        let query = [("api-version", QUERY_API)];
        let mut call = self.arm.call(INSIGHTS_QUERY, &id, &query, &app);
        call.payload = Payload::Json(json!({ "query": question(&roles, wanted) }));
        let answer = self.arm.find(call).await?;
        let Some(answer) = answer else {
            return Err(invalid(
                "logs",
                format!(
                    "there is no Application Insights component `{component}`: write `insights: {{ workspace: … }}` in the environment's `azure` to have one made and the apps connected to it"
                ),
            ));
        };
        let rows = answer["tables"][0]["rows"].as_array();
        let mut lines: Vec<LogLine> = rows.into_iter().flatten().filter_map(line).collect();
        lines.sort();
        // The newest come first there, and no more than are wanted.
        Ok(LogsTold {
            lines,
            missing_before: None,
        })
    }

    /// HTTP functions are called at their address, with the host's key where that is asked for; the others through the host's own
    /// interface, which answers before the work is done.
    pub(super) async fn call(&self, call: &Invocation) -> Result<Invoked, CloudError> {
        let app = self.names.app(&call.service.service);
        let View::Ours(site) = self.view(&call.service.service).await? else {
            return Err(invalid("invoke", format!("there is no `{app}` of ours")));
        };
        let slot = match call.slot {
            Slot::Blue => Some(&site.blue),
            Slot::Green => site.green.as_ref(),
        };
        let Some((slot, host)) = slot.and_then(|slot| Some((slot, slot.host.as_ref()?))) else {
            return Err(invalid(
                "invoke",
                format!("slot {} of `{app}` has no address", call.slot),
            ));
        };
        let (status, body) = match &call.input {
            Input::Http { method, path, body } => {
                let request = (method.as_str(), path.as_str(), body.clone());
                let answer = self.at(host, request, None).await?;
                match answer.0 {
                    401 => {
                        let keys = self.keys(&slot.id).await?;
                        let key = keys["functionKeys"]["default"].as_str();
                        self.at(host, request_again(&call.input), key).await?
                    }
                    _ => answer,
                }
            }
            Input::Message(message) => {
                let folder = folder(slot, call)?;
                let path = format!("/admin/functions/{folder}");
                let keys = self.keys(&slot.id).await?;
                let body = json!({ "input": message }).to_string();
                let request = ("POST", path.as_str(), Some(body));
                self.at(host, request, keys["masterKey"].as_str()).await?
            }
        };
        Ok(Invoked {
            label: slot.label.clone(),
            status: Some(status),
            body,
            failure: None,
            log: Vec::new(),
        })
    }

    async fn keys(&self, id: &str) -> Result<Value, CloudError> {
        let path = format!("{id}/host/default/listkeys");
        let query = [("api-version", WEB_API)];
        let call = self.arm.call(HOST_KEYS, &path, &query, app_in(id));
        Ok(self.arm.ask(call).await?.json())
    }

    /// A question to the slot's own host, which no token is shown to.
    async fn at(
        &self,
        host: &Url,
        (method, path, body): (&str, &str, Option<String>),
        key: Option<&str>,
    ) -> Result<(u16, String), CloudError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| invalid("invoke", format!("`{method}` is no method")))?;
        let url = host
            .join(path)
            .ok()
            .filter(|url| url.host() == host.host() && url.port() == host.port())
            .ok_or_else(|| invalid("invoke", format!("`{path}` is no path")))?;
        let mut request = self.arm.http.request(method, url);
        request = request.timeout(CALL_MAX);
        if let Some(key) = key {
            request = request.header(KEY, key);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let lost = |error: reqwest::Error| unreachable(HOST_KEYS, chain_of(&error.without_url()));
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(lost)?))
    }
}

fn request_again(input: &Input) -> (&str, &str, Option<String>) {
    match input {
        Input::Http { method, path, body } => (method, path, body.clone()),
        Input::Message(message) => ("POST", "/", Some(message.clone())),
    }
}

/// The folder of the package that reads the function's queue.
fn folder(slot: &SlotView, call: &Invocation) -> Result<String, CloudError> {
    let marks = marks(&slot.settings);
    let triggers = marks.map(|marks| marks.triggers).unwrap_or_default();
    let name = call.function.as_str();
    let of_function = |folder: &str| {
        let rest = folder.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let mut found = triggers
        .into_iter()
        .filter(|(folder, trigger)| *trigger != Trigger::Http && of_function(folder));
    let found = found.next().map(|(folder, _)| folder);
    found.ok_or_else(|| invalid("invoke", format!("`{name}` reads no queue there")))
}

/// In the language of Application Insights. One component may hear many apps; each of ours has a role there.
fn question(roles: &[String], wanted: &LogsWanted) -> String {
    let LogsWanted {
        service: _,
        function: _,
        called: _,
        since,
        containing,
        lines_max,
    } = wanted;
    let containing = containing.as_ref().map(|text| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!(" | where message contains \"{text}\"")
    });
    let roles: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
    let roles = roles.join(", ");
    format!(
        "union traces, exceptions | where cloud_RoleName in~ ({roles}) | where timestamp >= datetime({since}){} | order by timestamp desc | take {lines_max} | project timestamp, message",
        containing.unwrap_or_default()
    )
}

fn line(row: &Value) -> Option<LogLine> {
    Some(LogLine {
        at: row[0].as_str()?.parse().ok()?,
        text: row[1].as_str()?.trim_end().to_owned(),
    })
}

fn invalid(operation: &str, message: String) -> CloudError {
    CloudError::Invalid {
        cloud: CloudName::Azure,
        operation: operation.to_owned(),
        message,
    }
}
