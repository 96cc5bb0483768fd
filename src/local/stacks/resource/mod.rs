//! What each type of resource is made by: requests of the services' own interfaces.

mod around;
mod events;
mod function;
mod parts;
mod request;
mod role;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    request::{Answer, Request, Service, Step},
    table::Kind,
};
use super::{
    Fault, fault,
    value::{Made, Place, text_of},
};

/// A resource that is there.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Live {
    pub kind: String,
    pub made: Made,
    /// As they were last carried out, without functions in them.
    pub properties: Value,
    #[serde(default)]
    pub is_retained: bool,
}

/// A resource that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub place: &'a Place,
    /// What it is called where its properties do not say.
    pub name: &'a str,
    pub properties: &'a Value,
}

/// What becomes of a resource whose properties changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    None,
    Update,
    Replace,
}

impl Kind {
    /// # Errors
    ///
    /// Fails where the type is not known here, and names it and the resource.
    pub fn known(kind: &str, logical: &str) -> Result<Self, Fault> {
        Self::parse(kind).map_or_else(
            || {
                fault(format!(
                    "this endpoint does not know resources of type {kind} ({logical})"
                ))
            },
            Ok,
        )
    }

    /// Refuses properties by name that nothing here acts on.
    ///
    /// # Errors
    ///
    /// Fails at the first.
    pub fn check(self, logical: &str, properties: &Value) -> Result<(), Fault> {
        let known = self.properties();
        let names = properties.as_object().into_iter().flat_map(|it| it.keys());
        for name in names {
            if !known.iter().any(|(it, _)| it == name) {
                let kind = self.as_str();
                return fault(format!(
                    "this endpoint does not know the property {name} of {kind} ({logical})"
                ));
            }
        }
        Ok(())
    }

    /// Properties with the stack's own tags, for what can have tags.
    pub fn tagged(self, mut properties: Value, stack: &BTreeMap<String, String>) -> Value {
        let can = self.properties().iter().any(|(name, _)| *name == "Tags");
        if can && !stack.is_empty() {
            let mut tags = stack.clone();
            tags.extend(pairs(&properties["Tags"]));
            let tags = tags.into_iter();
            let tags = tags.map(|(key, value)| serde_json::json!({"Key": key, "Value": value}));
            properties["Tags"] = tags.collect();
        }
        properties
    }

    /// What it takes to get from one set of properties to another.
    pub fn change(self, old: &Value, new: &Value) -> Change {
        let differs = |name: &str| old.get(name) != new.get(name);
        let changed = self.properties().iter().filter(|(name, _)| differs(name));
        let replaced = |(_, is_fixed): &(&str, bool)| *is_fixed;
        let changed: Vec<_> = changed.copied().collect();
        match changed.iter().any(replaced) {
            true => Change::Replace,
            false if changed.is_empty() => Change::None,
            false => Change::Update,
        }
    }

    /// The property that names it, where it has one that must be unique.
    pub fn naming(self) -> Option<&'static str> {
        match self {
            Self::Function => Some("FunctionName"),
            Self::Alias => Some("Name"),
            Self::Role => Some("RoleName"),
            Self::LogGroup => Some("LogGroupName"),
            Self::Bucket => Some("BucketName"),
            Self::Queue => Some("QueueName"),
            Self::Topic => Some("TopicName"),
            Self::Rule => Some("Name"),
            Self::Version
            | Self::Permission
            | Self::Url
            | Self::Mapping
            | Self::Asynchronous
            | Self::BucketPolicy
            | Self::Subscription => None,
        }
    }

    /// A name for one that was given none.
    pub fn name(self, stack: &str, logical: &str, chance: &str) -> String {
        let chance: String = chance.chars().take(12).collect();
        let is_bucket = self == Self::Bucket;
        let most = if is_bucket { 63 } else { 64 } - chance.len() - 1;
        let start: String = format!("{stack}-{logical}").chars().take(most).collect();
        match is_bucket {
            true => format!("{start}-{chance}").to_lowercase(),
            false => format!("{start}-{}", chance.to_uppercase()),
        }
    }

    /// The requests that make it, in their order.
    ///
    /// # Errors
    ///
    /// Fails where a property is missing or malformed.
    pub fn create(self, asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
        match self {
            Self::Function => function::create(asked),
            Self::Version => parts::create_version(asked),
            Self::Alias => parts::create_alias(asked),
            Self::Permission => parts::create_permission(asked),
            Self::Url => parts::create_url(asked),
            Self::Mapping => events::create_mapping(asked),
            Self::Asynchronous => parts::put_asynchronous(asked),
            Self::Role => role::create(asked),
            Self::LogGroup => around::create_group(asked),
            Self::Bucket => around::create_bucket(asked),
            Self::BucketPolicy => around::put_policy(asked),
            Self::Queue => events::create_queue(asked),
            Self::Topic => events::create_topic(asked),
            Self::Subscription => events::subscribe(asked),
            Self::Rule => events::put_rule(asked, &Value::Null),
        }
    }

    /// What it became, by the answers to [`Self::create`].
    ///
    /// # Errors
    ///
    /// Fails where an answer does not say.
    pub fn made(self, asked: &Asked<'_>, answers: &[Answer]) -> Result<Made, Fault> {
        match self {
            Self::Function => function::made(asked),
            Self::Version => parts::made_version(answers),
            Self::Alias => parts::made_alias(answers),
            Self::Permission => Ok(made(asked.name, [("Id", asked.name)])),
            Self::Url => parts::made_url(answers),
            Self::Mapping => events::made_mapping(asked, answers),
            Self::Asynchronous => parts::made_asynchronous(asked),
            Self::Role => role::made(answers),
            Self::LogGroup => Ok(around::made_group(asked)),
            Self::Bucket => Ok(around::made_bucket(asked)),
            Self::BucketPolicy => Ok(made(&needed(asked, "Bucket")?, [])),
            Self::Queue => events::made_queue(asked, answers),
            Self::Topic => events::made_topic(asked, answers),
            Self::Subscription => events::made_subscription(answers),
            Self::Rule => Ok(events::made_rule(asked)),
        }
    }

    /// The requests that bring one that is there to other properties.
    ///
    /// # Errors
    ///
    /// Fails where a property is missing or malformed.
    pub fn update(self, asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
        match self {
            Self::Function => function::update(asked, live),
            Self::Alias => parts::update_alias(asked, live),
            Self::Url => parts::update_url(asked, live),
            Self::Mapping => events::update_mapping(asked, live),
            Self::Asynchronous => parts::put_asynchronous(asked),
            Self::Role => role::update(asked, live),
            Self::LogGroup => around::update_group(asked, live),
            Self::Bucket => around::update_bucket(asked, live),
            Self::BucketPolicy => around::put_policy(asked),
            Self::Queue => events::update_queue(asked, live),
            Self::Subscription => events::update_subscription(asked, live),
            Self::Rule => events::put_rule(asked, &live.properties),
            // Nothing of them can be changed that anything here acts on.
            Self::Version | Self::Permission | Self::Topic => Ok(Vec::new()),
        }
    }

    /// The requests that remove it. What they do not find is gone already.
    pub fn delete(self, live: &Live) -> Vec<Step> {
        let steps = match self {
            Self::Function => function::delete(live),
            Self::Version => parts::delete_version(live),
            Self::Alias => parts::delete_alias(live),
            Self::Permission => parts::delete_permission(live),
            Self::Url => parts::delete_url(live),
            Self::Mapping => events::delete_mapping(live),
            Self::Asynchronous => parts::delete_asynchronous(live),
            Self::Role => role::delete(live),
            Self::LogGroup => around::delete_group(live),
            Self::Bucket => around::delete_bucket(live),
            Self::BucketPolicy => around::delete_policy(live),
            Self::Queue => events::delete_queue(live),
            Self::Topic => events::delete_topic(live),
            Self::Subscription => events::unsubscribe(live),
            Self::Rule => events::delete_rule(live),
        };
        steps.into_iter().map(Step::may_be_gone).collect()
    }
}

fn made<const N: usize>(physical: &str, attributes: [(&str, &str); N]) -> Made {
    let attributes = attributes.into_iter();
    Made {
        physical: physical.to_owned(),
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// A text that a resource must have.
fn needed(asked: &Asked<'_>, name: &str) -> Result<String, Fault> {
    text(asked.properties, name).map_or_else(
        || {
            fault(format!(
                "Properties validation failed: required key [{name}] not found"
            ))
        },
        Ok,
    )
}

fn text(properties: &Value, name: &str) -> Option<String> {
    text_of(properties.get(name)?)
}

/// The name that properties give, else the one made up.
fn name_of(asked: &Asked<'_>, property: &str) -> String {
    text(asked.properties, property).unwrap_or_else(|| asked.name.to_owned())
}

/// A list of `Key` and `Value`.
fn tags(asked: &Asked<'_>) -> BTreeMap<String, String> {
    pairs(&asked.properties["Tags"])
}

fn pairs(list: &Value) -> BTreeMap<String, String> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|it| Some((text(it, "Key")?, text(it, "Value")?)))
        .collect()
}

/// Numbers and switches as such, where they came as texts.
fn typed(value: &Value) -> Value {
    match value.as_str() {
        Some("true") => Value::Bool(true),
        Some("false") => Value::Bool(false),
        Some(text) => text
            .parse::<i64>()
            .map_or_else(|_| value.clone(), Value::from),
        None => value.clone(),
    }
}
