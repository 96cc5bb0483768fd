//! Which operation a method and a path stand for.

use axum::http::Method;
use percent_encoding::percent_decode_str;

/// Defines the operations with their names, methods and paths; `{}` stands for one segment.
macro_rules! operations {
    ($($name:ident $method:ident $path:literal,)*) => {
        /// What a client can ask for, by Lambda's own names.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(in crate::local::lambda) enum Operation {
            $($name,)*
        }

        impl Operation {
            pub(in crate::local::lambda) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        const ROUTES: &[(Operation, Method, &str)] = &[
            $((Operation::$name, Method::$method, $path),)*
        ];
    };
}

operations! {
    CreateFunction POST "/2015-03-31/functions",
    ListFunctions GET "/2015-03-31/functions",
    GetFunction GET "/2015-03-31/functions/{}",
    DeleteFunction DELETE "/2015-03-31/functions/{}",
    UpdateFunctionCode PUT "/2015-03-31/functions/{}/code",
    UpdateFunctionConfiguration PUT "/2015-03-31/functions/{}/configuration",
    GetFunctionConfiguration GET "/2015-03-31/functions/{}/configuration",
    PublishVersion POST "/2015-03-31/functions/{}/versions",
    ListVersionsByFunction GET "/2015-03-31/functions/{}/versions",
    CreateAlias POST "/2015-03-31/functions/{}/aliases",
    ListAliases GET "/2015-03-31/functions/{}/aliases",
    GetAlias GET "/2015-03-31/functions/{}/aliases/{}",
    UpdateAlias PUT "/2015-03-31/functions/{}/aliases/{}",
    DeleteAlias DELETE "/2015-03-31/functions/{}/aliases/{}",
    CreateFunctionUrlConfig POST "/2021-10-31/functions/{}/url",
    GetFunctionUrlConfig GET "/2021-10-31/functions/{}/url",
    UpdateFunctionUrlConfig PUT "/2021-10-31/functions/{}/url",
    DeleteFunctionUrlConfig DELETE "/2021-10-31/functions/{}/url",
    ListFunctionUrlConfigs GET "/2021-10-31/functions/{}/urls",
    AddPermission POST "/2015-03-31/functions/{}/policy",
    GetPolicy GET "/2015-03-31/functions/{}/policy",
    RemovePermission DELETE "/2015-03-31/functions/{}/policy/{}",
    ListTags GET "/2017-03-31/tags/{}",
    TagResource POST "/2017-03-31/tags/{}",
    UntagResource DELETE "/2017-03-31/tags/{}",
    PutFunctionConcurrency PUT "/2017-10-31/functions/{}/concurrency",
    GetFunctionConcurrency GET "/2019-09-30/functions/{}/concurrency",
    DeleteFunctionConcurrency DELETE "/2017-10-31/functions/{}/concurrency",
    PutProvisionedConcurrencyConfig PUT "/2019-09-30/functions/{}/provisioned-concurrency",
    GetProvisionedConcurrencyConfig GET "/2019-09-30/functions/{}/provisioned-concurrency",
    DeleteProvisionedConcurrencyConfig DELETE "/2019-09-30/functions/{}/provisioned-concurrency",
    PutFunctionEventInvokeConfig PUT "/2019-09-25/functions/{}/event-invoke-config",
    UpdateFunctionEventInvokeConfig POST "/2019-09-25/functions/{}/event-invoke-config",
    GetFunctionEventInvokeConfig GET "/2019-09-25/functions/{}/event-invoke-config",
    DeleteFunctionEventInvokeConfig DELETE "/2019-09-25/functions/{}/event-invoke-config",
    ListFunctionEventInvokeConfigs GET "/2019-09-25/functions/{}/event-invoke-config/list",
    GetAccountSettings GET "/2016-08-19/account-settings",
    Invoke POST "/2015-03-31/functions/{}/invocations",
    CreateEventSourceMapping POST "/2015-03-31/event-source-mappings",
    ListEventSourceMappings GET "/2015-03-31/event-source-mappings",
    GetEventSourceMapping GET "/2015-03-31/event-source-mappings/{}",
    UpdateEventSourceMapping PUT "/2015-03-31/event-source-mappings/{}",
    DeleteEventSourceMapping DELETE "/2015-03-31/event-source-mappings/{}",
    GetFunctionCodeSigningConfig GET "/2020-06-30/functions/{}/code-signing-config",
    GetCallerIdentity POST "/",
}

/// Operations whose events CloudTrail names as a second version.
const SECOND: [Operation; 6] = [
    Operation::UpdateFunctionCode,
    Operation::UpdateFunctionConfiguration,
    Operation::AddPermission,
    Operation::RemovePermission,
    Operation::TagResource,
    Operation::UntagResource,
];

impl Operation {
    pub(in crate::local::lambda) fn writes(self) -> bool {
        let name = self.as_str();
        !name.starts_with("Get") && !name.starts_with("List") && self != Self::Invoke
    }

    /// As CloudTrail names its events: with the date of the interface, `UpdateAlias20150331`.
    pub(in crate::local::lambda) fn event_name(self) -> String {
        let route = ROUTES.iter().find(|(operation, _, _)| *operation == self);
        let path = route.map_or("", |(_, _, path)| path);
        let date: String = path.chars().take(11).filter(char::is_ascii_digit).collect();
        let second = if SECOND.contains(&self) { "v2" } else { "" };
        format!("{}{date}{second}", self.as_str())
    }
}

/// The operation, and what its placeholders stand for, decoded.
pub(in crate::local::lambda) fn route(
    method: &Method,
    path: &str,
) -> Option<(Operation, Vec<String>)> {
    // Some clients end a path with a slash.
    let path = path
        .strip_suffix('/')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(path);
    ROUTES.iter().find_map(|(operation, of, pattern)| {
        let parts = (of == method).then(|| captures(pattern, path))??;
        Some((*operation, parts))
    })
}

fn captures(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected == "{}" {
            parts.push(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_in_a_path_is_one_segment() {
        let path =
            "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Astock";
        let (operation, parts) = route(&Method::GET, path).unwrap();
        assert_eq!(operation, Operation::ListTags);
        assert_eq!(
            parts,
            ["arn:aws:lambda:eu-west-1:111122223333:function:stock"]
        );
        assert_eq!(
            route(&Method::GET, "/2015-03-31/functions/").unwrap().0,
            Operation::ListFunctions
        );
        assert_eq!(route(&Method::PATCH, "/2015-03-31/functions"), None);
        assert_eq!(
            route(&Method::POST, "/").unwrap().0,
            Operation::GetCallerIdentity
        );
    }
}
