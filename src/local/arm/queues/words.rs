//! How the Queue service speaks: XML, moments, and refusals with a code. Pure.

use http::StatusCode;

use crate::{cloud::xml::escaped, local::queue::Message, name::Timestamp};

/// Why not: status, code and words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
}

/// When what stays for ever is gone.
const NEVER: &str = "Fri, 31 Dec 9999 23:59:59 GMT";

/// How much of a message is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// To whoever put it.
    Receipt,
    /// To whoever reads it.
    All,
    /// To whoever only looks.
    Text,
}

pub(super) fn refused(status: StatusCode, code: &str, message: &str) -> Refusal {
    Refusal {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

pub(super) fn bad(code: &str, message: &str) -> Refusal {
    refused(StatusCode::BAD_REQUEST, code, message)
}

pub(super) fn missing(code: &str, what: &str) -> Refusal {
    let message = format!("The specified {what} does not exist.");
    refused(StatusCode::NOT_FOUND, code, &message)
}

pub(super) fn document(inner: &str) -> String {
    format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>{inner}")
}

pub(super) fn error(refusal: &Refusal) -> String {
    let Refusal {
        status: _,
        code,
        message,
    } = refusal;
    let (code, message) = (element("Code", code), element("Message", message));
    document(&format!("<Error>{code}{message}</Error>"))
}

pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

/// Messages as an answer lists them.
pub(super) fn listed(messages: &[Message], told: Told) -> String {
    let messages: String = messages.iter().map(|it| one(it, told)).collect();
    document(&format!(
        "<QueueMessagesList>{messages}</QueueMessagesList>"
    ))
}

fn one(message: &Message, told: Told) -> String {
    let expires = message.expires.map_or_else(|| NEVER.to_owned(), moment);
    let mut text = element("MessageId", &message.id);
    text += &element("InsertionTime", &moment(message.sent));
    text += &element("ExpirationTime", &expires);
    if told != Told::Text {
        text += &element("PopReceipt", &message.receipt);
        text += &element("TimeNextVisible", &moment(message.visible));
    }
    if told != Told::Receipt {
        text += &element("DequeueCount", &message.reads.to_string());
        text += &element("MessageText", &message.body);
    }
    format!("<QueueMessage>{text}</QueueMessage>")
}

/// `Sat, 21 Nov 2026 10:00:00 GMT`
pub(super) fn moment(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The text of a message that is sent.
pub(super) fn text_in(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body)
        .ok()?
        .trim_start_matches('\u{feff}');
    let document = roxmltree::Document::parse(body).ok()?;
    let root = document.root_element();
    let text = root.children().find(|it| it.has_tag_name("MessageText"))?;
    let pieces = text.children().filter_map(|it| it.text());
    let is_message = root.has_tag_name("QueueMessage");
    is_message.then(|| pieces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_http_writes_it() {
        let at = "2026-11-21T10:00:07.9Z".parse().unwrap();
        assert_eq!(moment(at), "Sat, 21 Nov 2026 10:00:07 GMT");
    }

    #[test]
    fn a_message_is_read_out_of_its_document() {
        for (body, expected) in [
            (
                "<QueueMessage><MessageText>a &lt; b</MessageText></QueueMessage>",
                Some("a < b"),
            ),
            (
                "<?xml version='1.0' encoding='utf-8'?>\n<QueueMessage><MessageText /></QueueMessage>",
                Some(""),
            ),
            (
                "<QueueMessage><MessageText>a<![CDATA[<b>]]></MessageText></QueueMessage>",
                Some("a<b>"),
            ),
            ("<Other><MessageText>a</MessageText></Other>", None),
            ("<QueueMessage/>", None),
            ("a", None),
        ] {
            assert_eq!(text_in(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn whoever_only_looks_is_told_no_receipt() {
        let message = Message::new("a & b".to_owned(), Timestamp::from_millis(0));
        assert!(!listed(std::slice::from_ref(&message), Told::Text).contains("PopReceipt"));
        assert!(!listed(std::slice::from_ref(&message), Told::Receipt).contains("MessageText"));
        let all = listed(&[message], Told::All);
        let document = roxmltree::Document::parse(&all[3..]).unwrap();
        let text = document
            .descendants()
            .find(|it| it.has_tag_name("MessageText"));
        assert_eq!(text.and_then(|it| it.text()), Some("a & b"));
    }
}
