//! The head of an HTTP message: its first line and its headers. Pure.

use super::{contract::Headers, http::Fault};

/// The first line, in its three parts, and the headers.
pub(crate) struct Head {
    pub(crate) line: [String; 3],
    pub(crate) headers: Headers,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .rev()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn keeps(&self, version: &str) -> bool {
        let told = self
            .get("connection")
            .unwrap_or_default()
            .to_ascii_lowercase();
        !told.contains("close") && (version == "HTTP/1.1" || told.contains("keep-alive"))
    }
}

pub(crate) fn parse_head(text: &str) -> Result<Head, Fault> {
    let bad = Fault::Bad(400, "the request line is malformed");
    let mut lines = text.split("\r\n");
    let mut parts = lines
        .next()
        .unwrap_or_default()
        .splitn(3, ' ')
        .map(str::to_owned);
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return Err(bad);
    };
    let third = parts.next().unwrap_or_default();
    let headers: Option<Headers> = lines.map(parse_header).collect();
    let headers = headers.ok_or(Fault::Bad(400, "a header is malformed"))?;
    Ok(Head {
        line: [first, second, third],
        headers,
    })
}

pub(crate) fn parse_header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let proper = !name.is_empty() && !name.contains([' ', '\t']);
    proper.then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}
