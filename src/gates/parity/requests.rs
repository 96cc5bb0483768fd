//! Reads `.http` files: requests between lines of `###`, each a line with method and path, headers, an empty line and a body.
//!
//! Variables of the file (`@sku = 42`, then `{{sku}}`) are filled in. What only an editor could do, such as scripts, prompts and included
//! files, is refused by its line. An address keeps its path alone: the host is always a slot's.

use std::collections::BTreeMap;

use url::Url;

/// Largest file that is read.
pub const FILE_MAX: u64 = 256 * 1024;

/// More requests would take longer than people wait for a gate.
const REQUESTS_MAX: usize = 500;

/// Headers that the sender itself writes.
const SENT_ANYWAY: [&str; 3] = ["host", "content-length", "connection"];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// One request of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Of its first line, from 1 on.
    pub line: usize,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
}

impl Recorded {
    /// Whether HTTP says that it changes nothing.
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadFile {
    pub line: usize,
    pub what: String,
}

/// Reads a file. Unsafe requests are refused unless they are allowed.
///
/// # Errors
///
/// The first line that cannot be understood or may not be sent, and what to write instead.
pub fn read(text: &str, allow_unsafe: bool) -> Result<Vec<Recorded>, BadFile> {
    let mut variables = BTreeMap::new();
    let mut requests = Vec::new();
    let mut block = Vec::new();
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    for (number, line) in lines {
        if line.starts_with("###") {
            requests.extend(request(&block, &mut variables)?);
            block.clear();
        } else {
            block.push((number, line));
        }
    }
    requests.extend(request(&block, &mut variables)?);
    let mut held = requests.iter().filter(|it| !it.is_safe() && !allow_unsafe);
    if let Some(request) = held.next() {
        let method = &request.method;
        let what = format!("{method} may change something: write `unsafe: allow` to send it");
        return bad(request.line, what);
    }
    match requests.len() {
        0 => bad(1, "no request is in this file".to_owned()),
        1..=REQUESTS_MAX => Ok(requests),
        many => bad(
            1,
            format!("{many} requests are in this file, and {REQUESTS_MAX} are allowed"),
        ),
    }
}

fn bad<T>(line: usize, what: String) -> Result<T, BadFile> {
    Err(BadFile { line, what })
}

type Variables = BTreeMap<String, String>;

/// What stands between two separators; None where that is nothing but comments and variables.
fn request(
    block: &[(usize, &str)],
    variables: &mut Variables,
) -> Result<Option<Recorded>, BadFile> {
    let mut lines = block.iter().copied().peekable();
    let first = loop {
        let Some((number, line)) = lines.next() else {
            return Ok(None);
        };
        let trimmed = line.trim();
        if let Some(variable) = trimmed.strip_prefix('@') {
            let (name, value) = split(variable, '=', number, "write it like `@sku = 42`")?;
            let value = filled(value, variables, number)?;
            variables.insert(name.to_owned(), value);
        } else if !trimmed.is_empty() && !is_comment(trimmed) {
            break (number, trimmed);
        }
    };
    let (number, line) = first;
    let mut target = filled(line, variables, number)?;
    // A long query may go on over several lines.
    while let Some((number, more)) = lines.peek().copied()
        && more.starts_with([' ', '\t'])
        && more.trim_start().starts_with(['?', '&'])
    {
        target.push_str(&filled(more.trim(), variables, number)?);
        lines.next();
    }
    let (method, path) = request_line(&target, number)?;
    let mut headers = BTreeMap::new();
    for (number, line) in lines.by_ref() {
        if line.trim().is_empty() {
            break;
        }
        if is_comment(line.trim()) {
            continue;
        }
        let (name, value) = split(line, ':', number, "write headers like `accept: text/html`")?;
        let name = name.to_ascii_lowercase();
        if !SENT_ANYWAY.contains(&name.as_str()) {
            headers.insert(name, filled(value, variables, number)?);
        }
    }
    let body = body(&lines.collect::<Vec<_>>(), variables)?;
    Ok(Some(Recorded {
        line: number,
        method,
        path,
        headers,
        body,
    }))
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("//")
}

fn split<'t>(
    text: &'t str,
    at: char,
    line: usize,
    help: &str,
) -> Result<(&'t str, &'t str), BadFile> {
    match text.split_once(at) {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value.trim())),
        Some(_) | None => bad(line, format!("cannot be read: {help}")),
    }
}

/// `GET /stock/42 HTTP/1.1`, `GET https://host/stock/42`, `/stock/42`.
fn request_line(text: &str, line: usize) -> Result<(String, String), BadFile> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let (method, target) = if first.starts_with('/') || first.contains("://") {
        ("GET".to_owned(), first)
    } else {
        (first.to_ascii_uppercase(), words.next().unwrap_or_default())
    };
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with("HTTP/");
    if !METHODS.contains(&method.as_str()) || !is_end(words.next().unwrap_or_default()) {
        return bad(
            line,
            "is no request: write it like `GET /stock/42`".to_owned(),
        );
    }
    let path = match Url::parse(target) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
        Ok(_) | Err(_) => target.to_owned(),
    };
    if !path.starts_with('/') {
        let what = "has no path that starts with `/`: the host is always the slot's";
        return bad(line, what.to_owned());
    }
    Ok((method, path))
}

fn body(lines: &[(usize, &str)], variables: &Variables) -> Result<Option<String>, BadFile> {
    let mut text = Vec::new();
    for (number, line) in lines {
        if line.starts_with("< ") || line.starts_with("<@") {
            let what = "bodies from other files are not read: write the body here";
            return bad(*number, what.to_owned());
        }
        if line.starts_with("> ") || line.starts_with("<> ") {
            let what = "scripts and kept answers are for editors: remove this line";
            return bad(*number, what.to_owned());
        }
        text.push(filled(line, variables, *number)?);
    }
    let text = text.join("\n");
    let text = text.trim_end();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The text with every `{{name}}` filled in.
fn filled(text: &str, variables: &Variables, line: usize) -> Result<String, BadFile> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        let Some(value) = variables.get(name.trim()) else {
            let what = format!("`{}` is not set: write `@NAME = value` above", name.trim());
            return bad(line, what);
        };
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match read(text, true) {
            Err(error) => error.to_string(),
            Ok(requests) => {
                let tell = |it: &Recorded| {
                    let Recorded {
                        line,
                        method,
                        path,
                        headers,
                        body,
                    } = it;
                    format!("{line}: {method} {path} {headers:?} {body:?}")
                };
                requests.iter().map(tell).collect::<Vec<_>>().join("\n")
            }
        }
    }

    #[test]
    fn requests_are_read_as_editors_write_them() {
        let text = "\
@sku = 42
### one
# a comment
GET /stock/{{sku}} HTTP/1.1
Accept: application/json
Host: example.com

###
/plain

### posted
POST https://example.com/orders?dry=1
    &full=1
Content-Type: application/json

{ \"sku\": \"{{sku}}\",

  \"count\": 1 }

";
        let wanted = "\
4: GET /stock/42 {\"accept\": \"application/json\"} None
9: GET /plain {} None
12: POST /orders?dry=1&full=1 {\"content-type\": \"application/json\"} Some(\"{ \\\"sku\\\": \\\"42\\\",\\n\\n  \\\"count\\\": 1 }\")";
        assert_eq!(told(text), wanted);
        assert_eq!(told(&text.replace('\n', "\r\n")), wanted);
    }

    #[test]
    fn what_cannot_be_sent_is_told_by_its_line() {
        for (text, wanted) in [
            ("", "line 1: no request is in this file"),
            ("# nothing\n", "line 1: no request is in this file"),
            (
                "FETCH /x\n",
                "line 1: is no request: write it like `GET /stock/42`",
            ),
            (
                "GET x\n",
                "line 1: has no path that starts with `/`: the host is always the slot's",
            ),
            (
                "GET /x\naccept\n",
                "line 2: cannot be read: write headers like `accept: text/html`",
            ),
            (
                "\nGET /{{$guid}}\n",
                "line 2: `$guid` is not set: write `@NAME = value` above",
            ),
            (
                "POST /x\n\n< ./body.json\n",
                "line 3: bodies from other files are not read: write the body here",
            ),
            (
                "GET /x\n\n> {% check() %}\n",
                "line 3: scripts and kept answers are for editors: remove this line",
            ),
        ] {
            assert_eq!(told(text), wanted);
        }
        let unsafe_one = read("GET /x\n###\nDELETE /x\n", false).map_err(|it| it.to_string());
        let wanted = "line 3: DELETE may change something: write `unsafe: allow` to send it";
        assert_eq!(unsafe_one, Err(wanted.to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(GET |POST |/x|\\{\\{|\\}\\}|@a = b|###|\n|\r|: |<|>|\\PC){0,30}") {
            for request in read(&text, true).unwrap_or_default() {
                proptest::prop_assert!(request.path.starts_with('/'));
            }
        }
    }
}
