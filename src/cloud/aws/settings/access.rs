//! Who reaches an alias by its address, and how it answers. Pure.

use crate::{
    manifest::{
        aws::{UrlAuth, UrlOptions},
        spec::Function,
    },
    name::FunctionName,
    observed::{Fields, SIGNED},
};

/// Fields that the alias has, and not the version behind it.
pub(in crate::cloud::aws) fn alias_fields(
    function: &FunctionName,
    whole_traffic: bool,
    access: &Access,
) -> Fields {
    let traffic = if whole_traffic { "all" } else { "split" };
    let mut fields = Fields::from([(format!("{function}.traffic"), traffic.to_owned())]);
    let Some((told, options)) = access.told() else {
        return fields;
    };
    fields.insert(format!("{function}.url"), told.to_owned());
    if options.stream {
        fields.insert(format!("{function}.url.mode"), "stream".to_owned());
    }
    if let Some(cors) = &options.cors {
        // Cannot fail: every key is a string and every value has a JSON form.
        let cors = serde_json::to_string(cors).unwrap_or_default();
        fields.insert(format!("{function}.url.cors"), cors);
    }
    fields
}

/// Who may call an alias by its URL, and how it answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) enum Access {
    /// There is no URL.
    None,
    /// There is one for everyone, and AWS answers everyone with 403.
    Refused(UrlOptions),
    Public(UrlOptions),
    /// Whoever signs, and is permitted.
    Signed(UrlOptions),
}

impl Access {
    /// Of an alias that is as asked for.
    pub(in crate::cloud::aws) fn wanted(url: Option<&UrlOptions>) -> Self {
        match url {
            None => Self::None,
            Some(options) => Self::of(options, true),
        }
    }

    pub(in crate::cloud::aws) fn of(options: &UrlOptions, is_permitted: bool) -> Self {
        match (options.auth, is_permitted) {
            (UrlAuth::Iam, _) => Self::Signed(options.clone()),
            (UrlAuth::None, true) => Self::Public(options.clone()),
            (UrlAuth::None, false) => Self::Refused(options.clone()),
        }
    }

    fn told(&self) -> Option<(&'static str, &UrlOptions)> {
        match self {
            Self::None => None,
            Self::Refused(options) => Some(("without permission", options)),
            Self::Public(options) => Some(("public", options)),
            Self::Signed(options) => Some((SIGNED, options)),
        }
    }
}

/// How the addresses of a function answer; none without HTTP.
pub(super) fn url(function: &Function) -> Option<UrlOptions> {
    let asked = function.aws.as_ref().and_then(|it| it.url.clone());
    function.http.as_ref().map(|_| asked.unwrap_or_default())
}
