//! What differs between the template of a stack and the next one, and in which order resources are made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Fault, fault,
    resource::{self, Kind},
    template::Template,
    value::{Scope, text_of},
};

/// What would become of one resource.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Planned {
    pub action: Action,
    pub logical: String,
    pub kind: String,
    #[serde(default)]
    pub physical: Option<String>,
    /// Of a change: whether it takes another resource.
    #[serde(default)]
    pub is_replaced: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Action {
    Add,
    Modify,
    Remove,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Modify => "Modify",
            Self::Remove => "Remove",
        }
    }
}

/// A template with the values that it is to have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    pub template: Template,
    pub parameters: BTreeMap<String, Value>,
}

impl Desired {
    pub fn scope<'s>(
        &'s self,
        place: &'s super::value::Place,
        resources: Option<&'s BTreeMap<String, super::value::Made>>,
    ) -> Scope<'s> {
        Scope {
            place,
            parameters: &self.parameters,
            mappings: &self.template.mappings,
            conditions: &self.template.conditions,
            resources,
        }
    }

    /// The resources that conditions leave in, each after those that it needs.
    ///
    /// # Errors
    ///
    /// Fails where they need one another, or a condition is malformed.
    pub fn order(&self, place: &super::value::Place) -> Result<Vec<String>, Fault> {
        let scope = self.scope(place, None);
        let mut waiting = BTreeMap::new();
        for (name, resource) in &self.template.resources {
            let is_in = resource
                .condition
                .as_ref()
                .map_or(Ok(true), |it| scope.condition(it))?;
            if is_in {
                waiting.insert(name.clone(), self.needs(&scope, name)?);
            }
        }
        let left_in: BTreeSet<_> = waiting.keys().cloned().collect();
        for needs in waiting.values_mut() {
            needs.retain(|it| left_in.contains(it));
        }
        sorted(waiting)
    }

    /// After conditions were decided: what is behind the other side of an `Fn::If` is not needed.
    fn needs(&self, scope: &Scope<'_>, name: &str) -> Result<BTreeSet<String>, Fault> {
        let Some(resource) = self.template.resources.get(name) else {
            return Ok(BTreeSet::new());
        };
        let left = scope.resolve(&resource.properties)?.unwrap_or_default();
        let mut needs = super::value::references(&left);
        needs.extend(resource.depends_on.iter().cloned());
        Ok(needs)
    }

    /// The properties of each resource, as far as they can be known before anything is made.
    fn known(
        &self,
        place: &super::value::Place,
    ) -> Result<BTreeMap<String, (String, Value)>, Fault> {
        let scope = self.scope(place, None);
        let known = self.order(place)?.into_iter().map(|name| {
            let resource = &self.template.resources[&name];
            let properties = scope.resolve(&resource.properties)?.unwrap_or_default();
            Ok((name, (resource.kind.clone(), properties)))
        });
        known.collect()
    }
}

fn sorted(mut waiting: BTreeMap<String, BTreeSet<String>>) -> Result<Vec<String>, Fault> {
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let ready: Vec<_> = waiting
            .iter()
            .filter(|(_, needs)| needs.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        if ready.is_empty() {
            let names: Vec<_> = waiting.into_keys().collect();
            let names = names.join(", ");
            return fault(format!("Circular dependency between resources: [{names}]"));
        }
        for name in &ready {
            waiting.remove(name);
        }
        for needs in waiting.values_mut() {
            needs.retain(|it| !ready.contains(it));
        }
        order.extend(ready);
    }
    Ok(order)
}

/// What would change, by the names of the resources. `physical` tells which are there.
///
/// A resource changes where its own properties do, or where it names one that is made anew.
///
/// # Errors
///
/// Fails where one of the templates cannot be read.
pub fn changes(
    old: &Desired,
    new: &Desired,
    place: &super::value::Place,
    physical: &BTreeMap<String, String>,
) -> Result<Vec<Planned>, Fault> {
    let (before, after) = (old.known(place)?, new.known(place)?);
    let mut planned = BTreeMap::new();
    let mut anew = BTreeSet::new();
    for logical in new.order(place)? {
        let (kind, properties) = &after[&logical];
        let action = match before.get(&logical) {
            None => Some((Action::Add, false)),
            Some((was, _)) if was != kind => {
                return fault(format!(
                    "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{logical}]"
                ));
            }
            Some((_, was)) => modified(kind, was, properties, &anew),
        };
        let Some((action, is_replaced)) = action else {
            continue;
        };
        if action == Action::Add || is_replaced {
            anew.insert(logical.clone());
        }
        planned.insert(
            logical.clone(),
            one(action, &logical, kind, physical, is_replaced),
        );
    }
    for (logical, (kind, _)) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        planned.insert(
            logical.clone(),
            one(Action::Remove, logical, kind, physical, false),
        );
    }
    Ok(planned.into_values().collect())
}

fn one(
    action: Action,
    logical: &str,
    kind: &str,
    physical: &BTreeMap<String, String>,
    is_replaced: bool,
) -> Planned {
    Planned {
        action,
        logical: logical.to_owned(),
        kind: kind.to_owned(),
        physical: physical.get(logical).cloned(),
        is_replaced,
    }
}

/// A property that names what is made anew counts as changed.
fn modified(
    kind: &str,
    was: &Value,
    is: &Value,
    anew: &BTreeSet<String>,
) -> Option<(Action, bool)> {
    let marked = |value: &Value| match super::value::references(value).is_disjoint(anew) {
        true => value.clone(),
        false => json!(["made anew", value]),
    };
    let members = is.as_object().into_iter().flatten();
    let is: Map<_, _> = members
        .map(|(name, value)| (name.clone(), marked(value)))
        .collect();
    let is = Value::Object(is);
    let change = match Kind::parse(kind) {
        Some(kind) => kind.change(was, &is),
        None if *was == is => resource::Change::None,
        None => resource::Change::Update,
    };
    match change {
        resource::Change::None => None,
        resource::Change::Update => Some((Action::Modify, false)),
        resource::Change::Replace => Some((Action::Modify, true)),
    }
}

/// The capabilities that a template asks for: roles may be made, or made with given names.
pub fn capabilities(template: &Template) -> Option<&'static str> {
    let roles = template
        .resources
        .values()
        .filter(|it| it.kind.starts_with("AWS::IAM::"));
    let roles: Vec<_> = roles.collect();
    let is_named = roles
        .iter()
        .any(|it| it.properties.get("RoleName").is_some());
    match (roles.is_empty(), is_named) {
        (true, _) => None,
        (false, true) => Some("CAPABILITY_NAMED_IAM"),
        (false, false) => Some("CAPABILITY_IAM"),
    }
}

/// The outputs of a stack whose resources are there: value and export by name.
///
/// # Errors
///
/// Fails where one names what is not there.
pub fn outputs(desired: &Desired, scope: &Scope<'_>) -> Result<Vec<Shown>, Fault> {
    let mut shown = Vec::new();
    for (name, output) in &desired.template.outputs {
        if !output
            .condition
            .as_ref()
            .map_or(Ok(true), |it| scope.condition(it))?
        {
            continue;
        }
        let value = scope.resolve(&output.value)?.as_ref().and_then(text_of);
        let Some(value) = value else {
            return fault(format!(
                "Template format error: Output {name} is malformed. The Value field of every Outputs member must evaluate to a String."
            ));
        };
        let export = output
            .export
            .as_ref()
            .map(|it| scope.resolve(it))
            .transpose()?;
        shown.push(Shown {
            name: name.clone(),
            value,
            description: output.description.clone(),
            export: export.flatten().as_ref().and_then(text_of),
        });
    }
    Ok(shown)
}

/// One output.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Shown {
    pub name: String,
    pub value: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub export: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::{
        template::read,
        value::{Place, parameters},
    };
    use super::*;

    const FIRST: &str = "
Resources:
  Stock: {Type: AWS::Lambda::Function, Properties: {Role: !GetAtt Role.Arn, Timeout: 3}}
  Role: {Type: AWS::IAM::Role}
  Version1: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Stock}}
  Live: {Type: AWS::Lambda::Alias, Properties: {Name: live, FunctionName: !Ref Stock, FunctionVersion: !GetAtt Version1.Version}}
";

    fn desired(text: &str) -> Desired {
        let template = read(text).and_then(|tree| Template::parse(&tree)).unwrap();
        let parameters = parameters(&template, &BTreeMap::new()).unwrap();
        Desired {
            template,
            parameters,
        }
    }

    fn place() -> Place {
        Place {
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            stack_name: "shop".to_owned(),
            stack_id: "arn".to_owned(),
        }
    }

    fn told(old: &Desired, new: &Desired) -> Vec<String> {
        let changes = changes(old, new, &place(), &BTreeMap::new()).unwrap();
        let told = changes.into_iter().map(|it| {
            let anew = if it.is_replaced { ", anew" } else { "" };
            format!("{:?} {}{anew}", it.action, it.logical)
        });
        told.collect()
    }

    #[test]
    fn what_is_needed_comes_first() {
        let order = desired(FIRST).order(&place()).unwrap();
        assert_eq!(order, ["Role", "Stock", "Version1", "Live"]);
        let circle =
            "Resources: {A: {Type: X, DependsOn: B}, B: {Type: X, DependsOn: A}, C: {Type: X}}";
        let Fault(message) = desired(circle).order(&place()).unwrap_err();
        assert_eq!(message, "Circular dependency between resources: [A, B]");
    }

    #[test]
    fn changes_are_those_of_properties_and_of_what_they_name() {
        let none = Desired::default();
        let first = desired(FIRST);
        assert_eq!(
            told(&none, &first),
            ["Add Live", "Add Role", "Add Stock", "Add Version1"]
        );
        assert!(told(&first, &first).is_empty());
        let second = desired(
            &FIRST
                .replace("Version1", "Version2")
                .replace("Timeout: 3", "Timeout: 4"),
        );
        assert_eq!(
            told(&first, &second),
            [
                "Modify Live",
                "Modify Stock",
                "Remove Version1",
                "Add Version2"
            ]
        );
        // What hangs on a function that is made anew is made anew with it.
        let renamed = desired(&FIRST.replace("Timeout: 3", "FunctionName: stock"));
        assert_eq!(
            told(&first, &renamed),
            [
                "Modify Live, anew",
                "Modify Stock, anew",
                "Modify Version1, anew"
            ]
        );
    }

    #[test]
    fn conditions_leave_resources_out() {
        let text = "
Parameters: {Stage: {Type: String, Default: dev}}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Resources:
  Queue: {Type: AWS::SQS::Queue, Condition: IsProd}
  Stock: {Type: AWS::Lambda::Function, Properties: {Role: !Sub 'r-${Stage}', Layers: !If [IsProd, [!Ref Queue], !Ref AWS::NoValue]}}
";
        let desired = desired(text);
        assert_eq!(desired.order(&place()).unwrap(), ["Stock"]);
        assert_eq!(
            desired.known(&place()).unwrap()["Stock"].1,
            json!({"Role": "r-dev"})
        );
    }
}
