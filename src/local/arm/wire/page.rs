//! Lists a page at a time, with a link to the next.

use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

/// The page that the call asks for: `$skipToken` says how many came before it, `$top` may make it smaller.
///
/// Only what is on the page is rendered, so that a long list costs a page and not itself.
pub(in crate::local::arm) fn answer<T>(
    cloud: &Cloud,
    call: &Call,
    all: impl Iterator<Item = T>,
    render: impl FnMut(T) -> Value,
) -> Result<Answer, ArmError> {
    let before: usize = match call.query("$skipToken") {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ArmError::Invalid("The $skipToken is not valid.".to_owned()))?,
    };
    let top = call.query("$top").and_then(|top| top.parse().ok());
    let size = top
        .unwrap_or(usize::MAX)
        .min(cloud.options.page_size)
        .max(1);
    let mut rest = all.skip(before);
    let value: Vec<Value> = rest.by_ref().take(size).map(render).collect();
    let mut body = json!({"value": value});
    if rest.next().is_some() {
        body["nextLink"] = json!(next_link(call, before + size));
    }
    Ok(Answer::ok(body))
}

fn next_link(call: &Call, before: usize) -> String {
    let kept = call
        .query
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("$skipToken"));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("$skipToken", &before.to_string())
        .finish();
    format!("{}{}?{query}", call.base, call.path)
}
