//! SAM's transform: functions written short become what CloudFormation knows.
//!
//! Functions with their roles, versions, aliases, URLs and events are expanded to the same resources, names and properties as by SAM's own
//! translator. Other types of SAM, and what functions can have beyond that, are refused by name.

mod events;
mod function;
mod role;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Fault, fault, template::transforms, value::text_of};

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";
const FUNCTION: &str = "AWS::Serverless::Function";

type Resources = Map<String, Value>;

/// The tree with its transform carried out; `given` are values of parameters.
///
/// # Errors
///
/// Fails at other transforms, and at what cannot be expanded.
pub fn expanded(tree: &Value, given: &BTreeMap<String, String>) -> Result<Value, Fault> {
    let asked = transforms(tree);
    if asked.is_empty() {
        return Ok(tree.clone());
    }
    if let Some(other) = asked.iter().find(|it| *it != TRANSFORM) {
        return fault(format!(
            "Transform {other} failed: this endpoint does not know it"
        ));
    }
    let mut out = tree.clone();
    let globals = &tree["Globals"]["Function"];
    let mut resources = Resources::new();
    let written = tree["Resources"].as_object().into_iter().flatten();
    let (ours, others): (Vec<_>, Vec<_>) = written.partition(|(_, it)| it["Type"] == FUNCTION);
    resources.extend(
        others
            .into_iter()
            .map(|(name, it)| (name.clone(), it.clone())),
    );
    let values = values(tree, given);
    for (name, it) in ours {
        let mut written = it.clone();
        written["Properties"] = merged(globals, &it["Properties"]);
        let function = Written {
            name,
            it: &written,
            values: &values,
        };
        function
            .expand(&mut resources)
            .map_err(|Fault(why)| refused(name, &why))?;
    }
    let is_sam = |it: &Value| {
        it["Type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("AWS::Serverless::"))
    };
    if let Some((name, it)) = resources.iter().find(|(_, it)| is_sam(it)) {
        let kind = it["Type"].as_str().unwrap_or_default();
        return Err(refused(
            name,
            &format!("this endpoint does not expand {kind}"),
        ));
    }
    if let Some(members) = out.as_object_mut() {
        members.remove("Transform");
        members.remove("Globals");
        members.insert("Resources".to_owned(), Value::Object(resources));
    }
    Ok(out)
}

fn refused(name: &str, why: &str) -> Fault {
    Fault(format!(
        "Transform {TRANSFORM} failed with: Invalid Serverless Application Specification document. Number of errors found: 1. Resource with id [{name}] is invalid. {why}"
    ))
}

/// What parameters are known to be before anything is made.
fn values(tree: &Value, given: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let parameters = tree["Parameters"].as_object().into_iter().flatten();
    let values = parameters.filter_map(|(name, it)| {
        let given = given.get(name).map(|it| json!(it));
        Some((name.clone(), given.or_else(|| it.get("Default").cloned())?))
    });
    values.collect()
}

/// Maps are put together, lists one behind the other; for the rest the function's own word counts.
fn merged(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own)) => {
            let mut all = global.clone();
            for (name, value) in own {
                let before = all.get(name).cloned().unwrap_or_default();
                all.insert(name.clone(), merged(&before, value));
            }
            Value::Object(all)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().chain(own).cloned().collect(),
        (global, Value::Null) => global.clone(),
        (_, own) => own.clone(),
    }
}

/// A function as it is written, with what is meant for all of them.
struct Written<'w> {
    name: &'w str,
    it: &'w Value,
    values: &'w BTreeMap<String, Value>,
}

impl Written<'_> {
    fn property(&self, name: &str) -> Option<&Value> {
        self.it["Properties"].get(name).filter(|it| !it.is_null())
    }

    /// Another resource with the attributes that all resources of a function have.
    fn resource(&self, kind: &str, properties: Map<String, Value>) -> Value {
        let mut resource = json!({"Type": kind, "Properties": properties});
        for name in ["Condition", "DeletionPolicy", "UpdateReplacePolicy"] {
            if let Some(value) = self.it.get(name) {
                resource[name] = value.clone();
            }
        }
        resource
    }

    /// A value whose references to parameters are replaced.
    fn known(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                match value["Ref"].as_str().and_then(|it| self.values.get(it)) {
                    Some(known) if members.len() == 1 => known.clone(),
                    Some(_) | None => {
                        let members = members
                            .iter()
                            .map(|(name, it)| (name.clone(), self.known(it)));
                        Value::Object(members.collect())
                    }
                }
            }
            Value::Array(all) => all.iter().map(|it| self.known(it)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn known_text(&self, name: &str) -> Option<String> {
        text_of(&self.known(self.property(name)?))
    }
}

/// Members that are there.
fn members<const N: usize>(all: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let there = all
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.collect()
}
