//! Templates as requests give them: in the body, in a bucket, or as before.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Lambda, invalid, refusal, types};
use crate::local::{
    lambda::around::{
        self,
        forms::{Form, Refusal},
    },
    stacks::{
        Fault,
        changes::{Desired, capabilities},
        record::Wish,
        sam,
        template::{Parameter, Template, read},
        value::{parameters, text_of},
    },
};

/// CloudFormation's limit for a template in a request.
const BODY_MAX: usize = 51_200;

/// The entries of a list: `Capabilities.member.1` and so on.
pub(super) fn members(form: &Form, list: &str) -> Vec<String> {
    let all = (1..).map_while(|number| form.get(&format!("{list}.member.{number}")));
    all.cloned().collect()
}

/// Pairs in a list of structures.
fn pairs(form: &Form, list: &str, key: &str, value: &str) -> BTreeMap<String, Option<String>> {
    let of =
        |number: usize, part: &str| form.get(&format!("{list}.member.{number}.{part}")).cloned();
    let all = (1..).map_while(|number| Some((of(number, key)?, of(number, value))));
    all.collect()
}

/// What a request asks for; what it leaves as it was, is so in `before`.
pub(super) fn wish(lambda: &Lambda, form: &Form, before: Option<&Wish>) -> Result<Wish, Refusal> {
    let is_previous = form
        .get("UsePreviousTemplate")
        .is_some_and(|it| it == "true");
    let text = match before.filter(|_| is_previous) {
        Some(before) => before.text.clone(),
        None => text(lambda, form)?,
    };
    let previous = before.map(|it| it.parameters.clone()).unwrap_or_default();
    let given = pairs(form, "Parameters", "ParameterKey", "ParameterValue");
    let given = given.into_iter().filter_map(|(name, value)| {
        let value = value.or_else(|| previous.get(&name).cloned())?;
        Some((name, value))
    });
    let given: BTreeMap<_, _> = given.collect();
    let tags = pairs(form, "Tags", "Key", "Value").into_iter();
    let tags: BTreeMap<_, _> = tags
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let tree = sam::expanded(&read(&text).map_err(refusal)?, &given).map_err(refusal)?;
    let old_tags = before.map(|it| it.tags.clone()).unwrap_or_default();
    Ok(Wish {
        text,
        tree,
        parameters: given,
        capabilities: members(form, "Capabilities"),
        tags: if tags.is_empty() { old_tags } else { tags },
    })
}

fn text(lambda: &Lambda, form: &Form) -> Result<String, Refusal> {
    if let Some(body) = form.get("TemplateBody") {
        if body.len() > BODY_MAX {
            return invalid(format!(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {BODY_MAX}"
            ));
        }
        return Ok(body.clone());
    }
    let Some(address) = form.get("TemplateURL") else {
        return invalid("Either Template URL or Template Body must be specified.");
    };
    let parsed = url::Url::parse(address).ok();
    let path = parsed.map(|it| it.path().trim_start_matches('/').to_owned());
    let path = path.unwrap_or_default();
    let path = percent_decode_str(&path).decode_utf8_lossy();
    let Some((bucket, key)) = path.split_once('/') else {
        return invalid("TemplateURL must be a supported URL.");
    };
    let content = around::content(lambda, bucket, key);
    let content = content
        .map_err(|(_, code, message)| refusal(Fault(format!("S3 error: {message} ({code})"))))?;
    String::from_utf8(content.to_vec())
        .map_err(|_| refusal(Fault("Template format error: not UTF-8".to_owned())))
}

/// A wish with its template taken apart.
pub(super) fn desired(wish: &Wish) -> Result<Desired, Fault> {
    if wish.tree.is_null() {
        return Ok(Desired::default());
    }
    let template = Template::parse(&wish.tree)?;
    let parameters = parameters(&template, &wish.parameters)?;
    Ok(Desired {
        template,
        parameters,
    })
}

/// Roles, and transforms outside of a change set, want to be agreed to.
pub(super) fn check_capabilities(
    wish: &Wish,
    wanted: &Desired,
    is_direct: bool,
) -> Result<(), Refusal> {
    let has = |name: &str| wish.capabilities.iter().any(|it| it == name);
    let needed = capabilities(&wanted.template);
    let lacks = match needed {
        Some(it @ "CAPABILITY_IAM") => (!has(it) && !has("CAPABILITY_NAMED_IAM")).then_some(it),
        Some(it) => (!has(it)).then_some(it),
        None => None,
    };
    let is_transformed = is_direct && read(&wish.text).is_ok_and(|it| !it["Transform"].is_null());
    let expands =
        (is_transformed && !has("CAPABILITY_AUTO_EXPAND")).then_some("CAPABILITY_AUTO_EXPAND");
    match lacks.or(expands) {
        None => Ok(()),
        Some(name) => {
            let message = format!("Requires capabilities : [{name}]");
            Err((
                StatusCode::BAD_REQUEST,
                "InsufficientCapabilitiesException",
                message,
            ))
        }
    }
}

/// `GetTemplateSummary`, of a template or a stack.
pub(super) fn summary(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    let named = form
        .get("StackName")
        .filter(|_| !form.contains_key("TemplateBody") && !form.contains_key("TemplateURL"));
    let text = match named {
        None => text(lambda, form)?,
        Some(named) => match lambda.stacks().find(named) {
            Some(stack) => stack.wish.text.clone(),
            None => return invalid(format!("Stack with id {named} does not exist")),
        },
    };
    let tree = read(&text).map_err(refusal)?;
    let template = Template::parse(&tree).map_err(refusal)?;
    let shown = template.parameters.iter();
    let shown = shown.map(|(name, it)| parameter(name, it, true));
    let wanted = Desired {
        template: template.clone(),
        parameters: BTreeMap::new(),
    };
    Ok(json!({
        "Description": template.description,
        "Parameters": shown.collect::<Vec<_>>(),
        "Capabilities": asked_for(&template),
        "ResourceTypes": types(&wanted),
        "Version": tree["AWSTemplateFormatVersion"].as_str(),
        "DeclaredTransforms": template.transforms,
    }))
}

fn asked_for(template: &Template) -> Vec<&'static str> {
    let expands = (!template.transforms.is_empty()).then_some("CAPABILITY_AUTO_EXPAND");
    capabilities(template).into_iter().chain(expands).collect()
}

fn parameter(name: &str, it: &Parameter, is_typed: bool) -> Value {
    let Parameter {
        kind,
        default,
        description,
        no_echo,
        allowed: _,
    } = it;
    json!({
        "ParameterKey": name,
        "DefaultValue": default.as_ref().and_then(text_of),
        "ParameterType": is_typed.then_some(kind),
        "NoEcho": no_echo,
        "Description": description,
    })
}

/// `ValidateTemplate`.
pub(super) fn validate(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    let text = text(lambda, form)?;
    let template = read(&text)
        .and_then(|tree| Template::parse(&tree))
        .map_err(refusal)?;
    let shown = template.parameters.iter();
    let shown = shown.map(|(name, it)| parameter(name, it, false));
    Ok(json!({
        "Description": template.description,
        "Parameters": shown.collect::<Vec<_>>(),
        "Capabilities": asked_for(&template),
        "DeclaredTransforms": template.transforms,
    }))
}
