//! Services that take the operation and its parameters as a form, and answer in XML.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/programming.html>

use url::form_urlencoded;

use super::{Asking, Said, Signed, json::Refusal};
use crate::cloud::CloudError;

/// One operation.
#[derive(Debug)]
pub(in crate::cloud::aws::lambda) struct Query<'a> {
    /// As hosts and signatures name it.
    pub(in crate::cloud::aws::lambda) service: &'a str,
    /// Of the interface.
    pub(in crate::cloud::aws::lambda) version: &'a str,
    pub(in crate::cloud::aws::lambda) operation: &'a str,
    pub(in crate::cloud::aws::lambda) resource: &'a str,
    pub(in crate::cloud::aws::lambda) parameters: Vec<(String, String)>,
}

/// The leaves of an answer in their order: names without their place, and texts.
#[derive(Debug)]
pub(in crate::cloud::aws::lambda) struct Leaves(Vec<(String, String)>);

impl Leaves {
    /// What is no XML has no leaves.
    pub(in crate::cloud::aws::lambda) fn read(xml: &str) -> Self {
        let parsed = roxmltree::Document::parse(xml);
        let leaves = parsed.iter().flat_map(|document| document.descendants());
        let named = leaves.filter(roxmltree::Node::is_element).filter_map(|it| {
            let has_children = it.children().any(|child| child.is_element());
            let name = it.tag_name().name().to_owned();
            (!has_children).then(|| (name, it.text().unwrap_or_default().to_owned()))
        });
        Self(named.collect())
    }

    pub(in crate::cloud::aws::lambda) fn all<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(it, _)| it == name);
        named.map(|(_, text)| text.as_str())
    }

    pub(in crate::cloud::aws::lambda) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, text)| text.as_str())
    }
}

impl Signed {
    /// # Errors
    ///
    /// As [`Signed::ask`]; what the service refuses is the inner error.
    pub(in crate::cloud::aws::lambda) async fn ask_query(
        &self,
        query: Query<'_>,
    ) -> Result<Result<Leaves, Refusal>, CloudError> {
        let Query {
            service,
            version,
            operation,
            resource,
            parameters,
        } = query;
        let body = form(operation, version, &parameters);
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let named = (service, operation, resource);
        let asking = Asking::at_root(named, vec![("content-type", kind.to_owned())], body);
        let Said { status, text } = self.ask(asking).await?;
        match status {
            200 => Ok(Ok(Leaves::read(&text))),
            status => Ok(Err(Refusal::in_xml(status, &text))),
        }
    }
}

impl Refusal {
    /// As those services word it that answer in XML.
    pub(in crate::cloud::aws::lambda) fn in_xml(status: u16, text: &str) -> Self {
        let leaves = Leaves::read(text);
        let told = |name: &str| leaves.first(name).unwrap_or_default().to_owned();
        Self {
            kind: told("Code"),
            status,
            message: told("Message"),
        }
    }
}

fn form(operation: &str, version: &str, parameters: &[(String, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation);
    form.append_pair("Version", version);
    form.extend_pairs(parameters).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_found_wherever_they_stand() {
        let leaves = Leaves::read(
            "<R xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><M><A>1</A><B/></M><M><A>&lt;2</A></M></R>",
        );
        assert_eq!(leaves.all("A").collect::<Vec<_>>(), ["1", "<2"]);
        assert_eq!(leaves.first("B"), Some(""));
        assert_eq!(Leaves::read("no xml").first("A"), None);
    }
}
