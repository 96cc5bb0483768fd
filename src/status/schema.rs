//! How the shared nouns look in JSON, for `/openapi.json`.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

use crate::name::{
    Actor, CloudName, EnvironmentName, FunctionName, GateName, GroupName, ReleaseDigest,
    RepositoryName, Revision, ServiceKey, ServiceName, Timestamp,
};

/// Says that a type is written as text, and what the text is like.
macro_rules! text_schema {
    ($($name:ident, $description:literal, $example:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.description(Some($description)).examples([$example]).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

text_schema! {
    EnvironmentName, "Where services run.", "prod";
    FunctionName, "One function of a service.", "stock";
    GateName, "A gate.", "answers";
    GroupName, "Services that are promoted together.", "checkout";
    ReleaseDigest, "What is deployed: code, configuration, environment and permissions.", "sha256:77b1…";
    RepositoryName, "A repository of the configuration.", "shop";
    Revision, "The commit that a release came from.", "main@sha1:4f2a…";
    ServiceKey, "One service in one environment.", "prod/inventory";
    ServiceName, "A set of functions that are deployed as one.", "inventory";
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }
}

impl PartialSchema for CloudName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .into()
    }
}

impl ToSchema for CloudName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CloudName")
    }
}

impl PartialSchema for Actor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("username", ObjectBuilder::new().schema_type(Type::String))
            .property("automated", ObjectBuilder::new().schema_type(Type::Boolean))
            .required("username")
            .required("automated")
            .into()
    }
}

impl ToSchema for Actor {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Actor")
    }
}
