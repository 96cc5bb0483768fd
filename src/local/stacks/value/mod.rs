//! Values with intrinsic functions in them, made plain.

mod functions;
mod references;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::references::references;
use self::{
    functions::{Part, join, parts, select, split, sub_of},
    references::{attribute, function},
};
use super::{
    Fault, fault,
    template::{Parameter, Template},
};

/// Functions in functions; more is no honest template.
const DEPTH_MAX: usize = 64;

/// Where a stack stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    pub region: String,
    pub account: String,
    pub stack_name: String,
    pub stack_id: String,
}

/// What a resource became: what `Ref` and `Fn::GetAtt` mean.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Made {
    pub physical: String,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// What values may name.
#[derive(Clone, Debug)]
pub struct Scope<'s> {
    pub place: &'s Place,
    pub parameters: &'s BTreeMap<String, Value>,
    pub mappings: &'s Value,
    pub conditions: &'s BTreeMap<String, Value>,
    /// None while no resource is known: references to them stay as they are.
    pub resources: Option<&'s BTreeMap<String, Made>>,
}

/// The values of a template's parameters: as given, else the default.
///
/// # Errors
///
/// Fails where one has no value, a value that is not allowed, or one is given that is not there.
pub fn parameters(
    template: &Template,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Fault> {
    if let Some(name) = given
        .keys()
        .find(|it| !template.parameters.contains_key(*it))
    {
        return fault(format!("Parameters: [{name}] do not exist in the template"));
    }
    let mut values = BTreeMap::new();
    for (name, parameter) in &template.parameters {
        let given = given.get(name).map(|it| json!(it));
        let Some(value) = given.or_else(|| parameter.default.clone()) else {
            return fault(format!("Parameters: [{name}] must have values"));
        };
        values.insert(name.clone(), allowed(name, parameter, value)?);
    }
    Ok(values)
}

fn allowed(name: &str, parameter: &Parameter, value: Value) -> Result<Value, Fault> {
    let told = text_of(&value).unwrap_or_default();
    let is_allowed = |it: &Value| text_of(it).is_some_and(|it| it == told);
    if !parameter.allowed.is_empty() && !parameter.allowed.iter().any(is_allowed) {
        let all: Vec<_> = parameter.allowed.iter().filter_map(text_of).collect();
        let all = all.join(", ");
        return fault(format!(
            "Parameter '{name}' must be one of AllowedValues [{all}]"
        ));
    }
    let kind = parameter.kind.as_str();
    if kind == "Number" && told.parse::<f64>().is_err() {
        return fault(format!("Parameter '{name}' must be a number."));
    }
    match kind.starts_with("List<") || kind == "CommaDelimitedList" {
        true => Ok(told.split(',').map(|part| json!(part.trim())).collect()),
        false => Ok(json!(told)),
    }
}

/// A scalar as CloudFormation writes it into a text.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Scope<'_> {
    /// The value without functions; none where it is `AWS::NoValue`.
    ///
    /// # Errors
    ///
    /// Fails at functions that are not known or malformed, and at names that are not there.
    pub fn resolve(&self, value: &Value) -> Result<Option<Value>, Fault> {
        self.at(value, 0)
    }

    fn at(&self, value: &Value, depth: usize) -> Result<Option<Value>, Fault> {
        if depth > DEPTH_MAX {
            return fault("Template format error: functions are nested too deep");
        }
        let next = |it: &Value| self.at(it, depth + 1);
        match value {
            Value::Array(all) => {
                let all = all.iter().map(next).filter_map(Result::transpose);
                Ok(Some(Value::Array(all.collect::<Result<_, _>>()?)))
            }
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.call(name, argument, depth + 1),
                None => {
                    let pairs = members
                        .iter()
                        .map(|(key, it)| Ok(next(it)?.map(|it| (key.clone(), it))));
                    let pairs = pairs.filter_map(Result::transpose);
                    Ok(Some(Value::Object(pairs.collect::<Result<_, Fault>>()?)))
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Ok(Some(value.clone()))
            }
        }
    }

    fn call(&self, name: &str, argument: &Value, depth: usize) -> Result<Option<Value>, Fault> {
        let plain = |it: &Value| Ok(self.at(it, depth)?.unwrap_or_default());
        let told = match name {
            "Ref" => return self.reference(argument),
            "Fn::If" => return self.choose(argument, depth),
            "Fn::GetAtt" => self.attribute(argument)?,
            "Fn::Sub" => self.substitute(argument, depth)?,
            "Fn::Join" => join(&plain(argument)?)?,
            "Fn::Select" => select(&plain(argument)?)?,
            "Fn::Split" => split(&plain(argument)?)?,
            "Fn::FindInMap" => self.find(&plain(argument)?)?,
            "Fn::Base64" => {
                use base64::{Engine as _, engine::general_purpose::STANDARD};

                let told = plain(argument)?;
                match told.as_str() {
                    Some(text) => json!(STANDARD.encode(text)),
                    None => json!({name: told}),
                }
            }
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                json!(self.holds(&json!({name: argument}), depth)?)
            }
            other => {
                return fault(format!(
                    "Template error: this endpoint does not know the function {other}"
                ));
            }
        };
        Ok(Some(told))
    }

    fn reference(&self, argument: &Value) -> Result<Option<Value>, Fault> {
        let Some(name) = argument.as_str() else {
            return fault("Template error: every Ref object must have a single String value.");
        };
        let Place {
            region,
            account,
            stack_name,
            stack_id,
        } = self.place;
        Ok(Some(match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => json!(region),
            "AWS::AccountId" => json!(account),
            "AWS::StackName" => json!(stack_name),
            "AWS::StackId" => json!(stack_id),
            "AWS::Partition" => json!("aws"),
            "AWS::URLSuffix" => json!("amazonaws.com"),
            "AWS::NotificationARNs" => json!([]),
            _ => match (self.parameters.get(name), self.resources) {
                (Some(value), _) => value.clone(),
                (None, None) => json!({"Ref": name}),
                (None, Some(resources)) => match resources.get(name) {
                    Some(made) => json!(made.physical),
                    None => {
                        return fault(format!(
                            "Unresolved resource dependencies [{name}] in the template"
                        ));
                    }
                },
            },
        }))
    }

    fn attribute(&self, argument: &Value) -> Result<Value, Fault> {
        let Some((resource, name)) = attribute(argument) else {
            return fault(
                "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
            );
        };
        let Some(resources) = self.resources else {
            return Ok(json!({"Fn::GetAtt": [resource, name]}));
        };
        let told = resources
            .get(&resource)
            .and_then(|made| made.attributes.get(&name));
        match told {
            Some(told) => Ok(json!(told)),
            None => fault(format!(
                "Template error: resource {resource} does not support attribute type {name} in Fn::GetAtt"
            )),
        }
    }

    fn substitute(&self, argument: &Value, depth: usize) -> Result<Value, Fault> {
        let Some((template, own)) = sub_of(argument) else {
            return fault(
                "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments.",
            );
        };
        let told = parts(template).into_iter().map(|part| match part {
            Part::Text(text) => Ok(json!(text)),
            Part::Name(name) => {
                let value = match (own.get(name), name.split_once('.')) {
                    (Some(own), _) => own.clone(),
                    (None, Some((resource, attribute))) => {
                        json!({"Fn::GetAtt": [resource, attribute]})
                    }
                    (None, None) => json!({"Ref": name}),
                };
                Ok(self.at(&value, depth)?.unwrap_or_default())
            }
        });
        let told: Vec<Value> = told.collect::<Result<_, Fault>>()?;
        join(&json!(["", told]))
    }

    fn find(&self, argument: &Value) -> Result<Value, Fault> {
        let Some([map, first, second]) = argument.as_array().map(Vec::as_slice) else {
            return fault("Template error: every Fn::FindInMap object requires three parameters");
        };
        let [map, first, second] = [map, first, second].map(|it| text_of(it).unwrap_or_default());
        match self.mappings[&map][&first].get(&second) {
            Some(value) => Ok(value.clone()),
            None => fault(format!(
                "Template error: Unable to get mapping for {map}::{first}::{second}"
            )),
        }
    }

    fn choose(&self, argument: &Value, depth: usize) -> Result<Option<Value>, Fault> {
        let Some([condition, yes, no]) = argument.as_array().map(Vec::as_slice) else {
            return fault("Template error: Fn::If requires a list argument with three elements");
        };
        match self.holds(&json!({"Condition": condition}), depth)? {
            true => self.at(yes, depth),
            false => self.at(no, depth),
        }
    }

    /// Whether a named condition of the template holds.
    ///
    /// # Errors
    ///
    /// Fails where it is not there or malformed.
    pub fn condition(&self, name: &str) -> Result<bool, Fault> {
        self.holds(&json!({"Condition": name}), 0)
    }

    fn holds(&self, value: &Value, depth: usize) -> Result<bool, Fault> {
        if depth > DEPTH_MAX {
            return fault("Template format error: conditions are nested too deep");
        }
        let Some((name, argument)) = value.as_object().and_then(function) else {
            return fault(
                "Template format error: a condition must be Fn::And, Fn::Or, Fn::Not, Fn::Equals or Condition",
            );
        };
        let each = || argument.as_array().into_iter().flatten();
        match name {
            "Condition" => {
                let named = argument.as_str().unwrap_or_default();
                match self.conditions.get(named) {
                    Some(condition) => self.holds(condition, depth + 1),
                    None => fault(format!(
                        "Template format error: Unresolved condition dependency {named}"
                    )),
                }
            }
            "Fn::Equals" => {
                let sides: Vec<_> = each()
                    .map(|it| self.at(it, depth + 1))
                    .collect::<Result<_, _>>()?;
                let [left, right] = sides.as_slice() else {
                    return fault(
                        "Template error: every Fn::Equals object requires a list of 2 string parameters.",
                    );
                };
                let text = |side: &Option<Value>| side.as_ref().and_then(text_of);
                Ok(left == right || (text(left).is_some() && text(left) == text(right)))
            }
            "Fn::Not" => each().next().map_or_else(
                || fault("Template error: every Fn::Not object requires one condition"),
                |it| Ok(!self.holds(it, depth + 1)?),
            ),
            "Fn::And" => each().try_fold(true, |all, it| Ok(all & self.holds(it, depth + 1)?)),
            "Fn::Or" => each().try_fold(false, |any, it| Ok(any | self.holds(it, depth + 1)?)),
            other => fault(format!("Template format error: {other} is no condition")),
        }
    }
}
