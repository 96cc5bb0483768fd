//! Templates: YAML with its short forms, or JSON, taken apart and checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Fault, fault, value::references};

/// CloudFormation's limit for a template in a bucket.
const TEXT_MAX: usize = 1024 * 1024;
const RESOURCES_MAX: usize = 500;

/// What is asked for. References are known to lead somewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    pub description: Option<String>,
    pub transforms: Vec<String>,
    pub parameters: BTreeMap<String, Parameter>,
    pub mappings: Value,
    pub conditions: BTreeMap<String, Value>,
    pub resources: BTreeMap<String, Resource>,
    pub outputs: BTreeMap<String, Output>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub kind: String,
    pub default: Option<Value>,
    pub description: Option<String>,
    pub no_echo: bool,
    pub allowed: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `AWS::Lambda::Function`.
    pub kind: String,
    pub properties: Value,
    pub depends_on: Vec<String>,
    pub condition: Option<String>,
    /// Stays where it is when the stack drops it.
    pub is_retained: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub value: Value,
    pub description: Option<String>,
    pub condition: Option<String>,
    pub export: Option<Value>,
}

/// The text as a tree, with short forms written out.
///
/// # Errors
///
/// Fails where it is too long, or neither JSON nor YAML with a mapping.
pub fn read(text: &str) -> Result<Value, Fault> {
    if text.len() > TEXT_MAX {
        return fault(format!("Template may not exceed {TEXT_MAX} bytes in size."));
    }
    let tree = match serde_json::from_str(text) {
        Ok(tree) => tree,
        Err(_) => {
            let tree: serde_yaml::Value = serde_yaml::from_str(text).map_err(|why| {
                Fault(format!(
                    "Template format error: YAML not well-formed. ({why})"
                ))
            })?;
            plain(tree)?
        }
    };
    match tree {
        Value::Object(_) => Ok(tree),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            fault("Template format error: unsupported structure.")
        }
    }
}

fn plain(tree: serde_yaml::Value) -> Result<Value, Fault> {
    use serde_yaml::Value as Yaml;

    Ok(match tree {
        Yaml::Null => Value::Null,
        Yaml::Bool(it) => Value::Bool(it),
        Yaml::Number(it) => serde_json::to_value(it).unwrap_or_default(),
        Yaml::String(it) => Value::String(it),
        Yaml::Sequence(all) => all.into_iter().map(plain).collect::<Result<_, _>>()?,
        Yaml::Mapping(all) => {
            let pairs = all
                .into_iter()
                .map(|(key, value)| Ok((key_of(&key)?, plain(value)?)));
            Value::Object(pairs.collect::<Result<_, Fault>>()?)
        }
        Yaml::Tagged(tagged) => {
            let value = plain(tagged.value)?;
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            match name {
                "Ref" | "Condition" => json!({name: value}),
                "GetAtt" => json!({"Fn::GetAtt": attribute(value)}),
                _ => json!({format!("Fn::{name}"): value}),
            }
        }
    })
}

fn key_of(key: &serde_yaml::Value) -> Result<String, Fault> {
    use serde_yaml::Value as Yaml;

    match key {
        Yaml::String(it) => Ok(it.clone()),
        Yaml::Number(it) => Ok(it.to_string()),
        Yaml::Bool(it) => Ok(it.to_string()),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => {
            fault("Template format error: a key must be a text")
        }
    }
}

/// `Stock.Arn` as a pair.
fn attribute(value: Value) -> Value {
    match value.as_str().and_then(|text| text.split_once('.')) {
        Some((resource, name)) => json!([resource, name]),
        None => value,
    }
}

impl Template {
    /// Takes a tree apart.
    ///
    /// # Errors
    ///
    /// Fails where a section is malformed or something is named that is not there.
    pub fn parse(tree: &Value) -> Result<Self, Fault> {
        let resources = each(tree, "Resources", resource)?;
        if resources.is_empty() {
            return fault("Template format error: At least one Resources member must be defined.");
        }
        if resources.len() > RESOURCES_MAX {
            return fault(format!(
                "Template format error: Number of resources is greater than maximum allowed, {RESOURCES_MAX}"
            ));
        }
        let template = Self {
            description: text(tree, "Description"),
            transforms: transforms(tree),
            parameters: each(tree, "Parameters", parameter)?,
            mappings: tree["Mappings"].clone(),
            conditions: each(tree, "Conditions", |_, it| Ok(it.clone()))?,
            resources,
            outputs: each(tree, "Outputs", output)?,
        };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), Fault> {
        let known = |name: &String| {
            name.starts_with("AWS::")
                || self.parameters.contains_key(name)
                || self.resources.contains_key(name)
        };
        let check = |named: BTreeSet<String>, block: &str| {
            let unknown: Vec<_> = named.into_iter().filter(|it| !known(it)).collect();
            if unknown.is_empty() {
                return Ok(());
            }
            let unknown = unknown.join(", ");
            fault(format!(
                "Template format error: Unresolved resource dependencies [{unknown}] in the {block} block of the template"
            ))
        };
        for resource in self.resources.values() {
            let mut named = references(&resource.properties);
            named.extend(resource.depends_on.iter().cloned());
            check(named, "Resources")?;
        }
        for output in self.outputs.values() {
            check(references(&output.value), "Outputs")?;
        }
        let of_resources = self
            .resources
            .values()
            .filter_map(|it| it.condition.as_ref());
        let of_outputs = self.outputs.values().filter_map(|it| it.condition.as_ref());
        match of_resources
            .chain(of_outputs)
            .find(|it| !self.conditions.contains_key(*it))
        {
            Some(name) => fault(format!(
                "Template format error: Unresolved condition dependency {name} in the Resources block of the template"
            )),
            None => Ok(()),
        }
    }
}

/// The transforms that a template asks for.
pub fn transforms(tree: &Value) -> Vec<String> {
    names(&tree["Transform"])
}

/// One name, or a list of them.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(|it| Some(it.as_str()?.to_owned()))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Each member of a section.
fn each<T>(
    tree: &Value,
    section: &str,
    read: impl Fn(&str, &Value) -> Result<T, Fault>,
) -> Result<BTreeMap<String, T>, Fault> {
    let members = match &tree[section] {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(members) => members,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return fault(format!(
                "Template format error: {section} must be an object"
            ));
        }
    };
    let read = |(name, it): (&String, &Value)| Ok((name.clone(), read(name, it)?));
    members.iter().map(read).collect()
}

fn text(tree: &Value, name: &str) -> Option<String> {
    Some(tree[name].as_str()?.to_owned())
}

fn parameter(name: &str, tree: &Value) -> Result<Parameter, Fault> {
    let Some(kind) = text(tree, "Type") else {
        return fault(format!(
            "Template format error: Every Parameters object must contain a Type member. ({name})"
        ));
    };
    if kind.starts_with("AWS::SSM::") {
        return fault(format!(
            "Template format error: this endpoint knows no parameters of Systems Manager ({name}, {kind})"
        ));
    }
    Ok(Parameter {
        kind,
        default: tree.get("Default").cloned(),
        description: text(tree, "Description"),
        no_echo: tree["NoEcho"] == true || tree["NoEcho"] == "true",
        allowed: tree["AllowedValues"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
    })
}

fn resource(name: &str, tree: &Value) -> Result<Resource, Fault> {
    let sound = name.chars().all(|c| c.is_ascii_alphanumeric());
    if !sound || name.is_empty() {
        return fault(format!(
            "Template format error: Resource name {name} is non alphanumeric."
        ));
    }
    let Some(kind) = text(tree, "Type") else {
        return fault(format!(
            "Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        ));
    };
    let properties = match tree["Properties"].is_null() {
        true => Value::Object(Map::new()),
        false => tree["Properties"].clone(),
    };
    Ok(Resource {
        kind,
        properties,
        depends_on: names(&tree["DependsOn"]),
        condition: text(tree, "Condition"),
        is_retained: tree["DeletionPolicy"] == "Retain",
    })
}

fn output(name: &str, tree: &Value) -> Result<Output, Fault> {
    let Some(value) = tree.get("Value") else {
        return fault(format!(
            "Template format error: Every Outputs member must contain a Value object ({name})"
        ));
    };
    Ok(Output {
        value: value.clone(),
        description: text(tree, "Description"),
        condition: text(tree, "Condition"),
        export: tree["Export"].get("Name").cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_written_out() {
        let tree = read(
            "A: !Ref B\nC: !GetAtt D.Arn\nE: !Sub 'x-${F}'\nG: !If [H, 1, !Ref AWS::NoValue]\n",
        );
        assert_eq!(
            tree.unwrap(),
            json!({
                "A": {"Ref": "B"},
                "C": {"Fn::GetAtt": ["D", "Arn"]},
                "E": {"Fn::Sub": "x-${F}"},
                "G": {"Fn::If": ["H", 1, {"Ref": "AWS::NoValue"}]},
            })
        );
    }

    #[test]
    fn faults_name_what_is_wrong() {
        for (text, told) in [
            ("[]", "unsupported structure"),
            ("a: [", "not well-formed"),
            ("Resources: {}", "At least one Resources"),
            ("Resources: {a-b: {Type: X}}", "a-b is non alphanumeric"),
            ("Resources: {A: {}}", "[/Resources/A]"),
            (
                "Resources: {A: {Type: X, Properties: {B: !Ref C}}}",
                "dependencies [C]",
            ),
            (
                "Resources: {A: {Type: X, DependsOn: C}}",
                "dependencies [C]",
            ),
            (
                "Resources: {A: {Type: X, Condition: C}}",
                "condition dependency C",
            ),
            (
                "Resources: {A: {Type: X}}\nOutputs: {B: {Value: !GetAtt D.Arn}}",
                "[D] in the Outputs",
            ),
        ] {
            let read = read(text).and_then(|tree| Template::parse(&tree));
            let Fault(message) = read.unwrap_err();
            assert!(message.contains(told), "{text}: {message}");
        }
    }
}
