//! Requests as the services take them, and what they answer.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::Document;
use serde_json::Value;

use crate::local::stacks::{Fault, fault};

/// Who is asked, and in which manner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Service {
    /// By method and path.
    Lambda,
    /// By method and path.
    S3,
    /// By a header: `AmazonSQS.CreateQueue`.
    Json(&'static str),
    /// By a form with an `Action`.
    Form,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub service: Service,
    pub method: &'static str,
    /// With the query.
    pub path: String,
    pub body: String,
}

/// A request, and what must be so before the next one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    pub request: Request,
    /// A function that is to be neither Pending nor InProgress afterwards.
    pub settled: Option<String>,
    /// An answer that there is no such thing counts as success.
    pub may_be_gone: bool,
    /// Asked again until there is no such thing.
    pub until_gone: bool,
}

impl Step {
    fn new(service: Service, method: &'static str, path: String, body: String) -> Self {
        Self {
            request: Request {
                service,
                method,
                path,
                body,
            },
            settled: None,
            may_be_gone: false,
            until_gone: false,
        }
    }

    pub(super) fn lambda(method: &'static str, path: String, body: &Value) -> Self {
        let body = match body.is_null() {
            true => String::new(),
            false => body.to_string(),
        };
        Self::new(Service::Lambda, method, path, body)
    }

    pub(super) fn s3(method: &'static str, path: String, body: String) -> Self {
        Self::new(Service::S3, method, path, body)
    }

    pub(super) fn json(target: &'static str, body: &Value) -> Self {
        let (path, body) = ("/".to_owned(), body.to_string());
        Self::new(Service::Json(target), "POST", path, body)
    }

    pub(super) fn form(action: &str, members: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).extend_pairs(members);
        Self::new(Service::Form, "POST", "/".to_owned(), form.finish())
    }

    pub(super) fn then_settled(mut self, function: &str) -> Self {
        self.settled = Some(function.to_owned());
        self
    }

    pub(super) fn may_be_gone(mut self) -> Self {
        self.may_be_gone = true;
        self
    }

    pub(super) fn until_gone(mut self) -> Self {
        self.until_gone = true;
        self.may_be_gone()
    }
}

/// One segment of a path, or a value of a query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What a service said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer(pub String);

impl Answer {
    /// A member of a JSON answer.
    pub(super) fn member(&self, name: &str) -> Result<String, Fault> {
        let told: Value = serde_json::from_str(&self.0).unwrap_or_default();
        match told[name].as_str() {
            Some(text) => Ok(text.to_owned()),
            None => fault(format!("the answer of the service has no {name}")),
        }
    }

    /// An element of an answer in XML.
    ///
    /// # Errors
    ///
    /// Fails where the answer is no XML, or has no such element with a text.
    pub fn element(&self, name: &str) -> Result<String, Fault> {
        let document = Document::parse(&self.0);
        let text = document.ok().and_then(|document| {
            let mut all = document.descendants();
            let found = all.find(|it| it.tag_name().name() == name)?;
            found.text().map(str::to_owned)
        });
        text.map_or_else(
            || fault(format!("the answer of the service has no {name}")),
            Ok,
        )
    }
}

/// The first answer.
pub(super) fn first(answers: &[Answer]) -> Result<&Answer, Fault> {
    answers
        .first()
        .map_or_else(|| fault("the service said nothing"), Ok)
}
