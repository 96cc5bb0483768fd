//! HTTP/1.1 over a connection, as a server and as a client. One write a message, and no waiting for acknowledgements.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use super::contract::{Headers, value_bytes};

const HEAD_MAX: usize = 64 * 1024;
pub(crate) const BODY_MAX: usize = 100 * 1024 * 1024;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The first line, in its three parts, and the headers.
pub(crate) struct Head {
    pub(crate) line: [String; 3],
    pub(crate) headers: Headers,
}

/// What came, and whether another may follow on the same connection.
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) keep: bool,
}

#[derive(Debug)]
pub(crate) enum Fault {
    /// The other side hung up between two messages.
    Ended,
    /// What came was not what it should be; the status is what a client would be told.
    Bad(u16, &'static str),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
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

    fn keeps(&self, version: &str) -> bool {
        let told = self
            .get("connection")
            .unwrap_or_default()
            .to_ascii_lowercase();
        !told.contains("close") && (version == "HTTP/1.1" || told.contains("keep-alive"))
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Whether an idle connection is still good for a request.
    pub(crate) fn is_alive(&self) -> bool {
        let quiet = self.stream.set_nonblocking(true).is_ok()
            && matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        quiet && self.buffer.is_empty() && self.stream.set_nonblocking(false).is_ok()
    }

    pub(crate) fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut message = Vec::with_capacity(512 + body.len());
        message.extend_from_slice(line.as_bytes());
        for (name, value) in headers {
            message.extend_from_slice(b"\r\n");
            message.extend_from_slice(name.as_bytes());
            message.extend_from_slice(b": ");
            message.extend(
                value_bytes(value)
                    .iter()
                    .filter(|byte| !matches!(byte, b'\r' | b'\n')),
            );
        }
        message.extend_from_slice(b"\r\n\r\n");
        message.extend_from_slice(body);
        self.stream.write_all(&message)
    }

    /// Reads a request, as a server does.
    pub(crate) fn request(&mut self) -> Result<Message, Fault> {
        let head = self.head()?;
        if !head.line[2].starts_with("HTTP/1.") {
            return Err(Fault::Bad(400, "the request line is malformed"));
        }
        if head
            .get("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = match self.framing(&head)? {
            Framing::Length(length) => self.exactly(length)?,
            Framing::Chunks => self.chunks()?,
            Framing::Open => Vec::new(),
        };
        let keep = head.keeps(&head.line[2]);
        Ok(Message { head, body, keep })
    }

    /// Reads the answer to a request of this method, as a client does.
    pub(crate) fn response(&mut self, method: &str) -> Result<Message, Fault> {
        let mut head = self.head()?;
        while head.line[1].starts_with('1') {
            head = self.head()?;
        }
        let mut keep = head.keeps(&head.line[0]);
        let bodiless = method == "HEAD" || matches!(head.line[1].as_str(), "204" | "304");
        let body = match self.framing(&head)? {
            _ if bodiless => Vec::new(),
            Framing::Length(length) => self.exactly(length)?,
            Framing::Chunks => self.chunks()?,
            Framing::Open => {
                keep = false;
                self.rest()?
            }
        };
        Ok(Message { head, body, keep })
    }

    fn head(&mut self) -> Result<Head, Fault> {
        let end = loop {
            let end = find(&self.buffer, b"\r\n\r\n");
            if end.unwrap_or(self.buffer.len()) > HEAD_MAX {
                return Err(Fault::Bad(431, "the request's headers are too large"));
            }
            if let Some(end) = end {
                break end;
            }
            if !self.more()? {
                return Err(Fault::Ended);
            }
        };
        let text = latin1(&self.buffer[..end]);
        self.buffer.drain(..end + 4);
        parse_head(&text)
    }

    fn framing(&self, head: &Head) -> Result<Framing, Fault> {
        let mut lengths = head
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let first = lengths.next().map(|(_, value)| value);
        match (head.get("transfer-encoding"), first) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunks),
            (Some(_), _) => Err(Fault::Bad(400, "the length of the request is ambiguous")),
            (None, None) => Ok(Framing::Open),
            (None, Some(length)) => {
                let digits = length.bytes().all(|digit| digit.is_ascii_digit());
                if !digits || length.is_empty() || lengths.any(|(_, other)| other != length) {
                    return Err(Fault::Bad(400, "the length of the request is malformed"));
                }
                let length = length.parse().ok().filter(|length| *length <= BODY_MAX);
                length
                    .map(Framing::Length)
                    .ok_or(Fault::Bad(413, "the request is too large"))
            }
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Fault> {
        let bad = Fault::Bad(400, "a chunk is malformed");
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let Some(size) = parse_hex(digits) else {
                return Err(bad);
            };
            if size > BODY_MAX - body.len() {
                return Err(Fault::Bad(413, "the request is too large"));
            }
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(bad);
            }
        }
    }

    fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let text = latin1(&self.buffer[..end]);
                self.buffer.drain(..end + 2);
                return Ok(text);
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(Fault::Bad(400, "a chunk is malformed"));
            }
            self.need_more()?;
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        if self.buffer.len() >= length {
            return Ok(self.buffer.drain(..length).collect());
        }
        let mut body = std::mem::take(&mut self.buffer);
        let missing = length - body.len();
        // Memory follows what arrives, not what was announced.
        let read = (&mut self.stream)
            .take(missing as u64)
            .read_to_end(&mut body)?;
        if read < missing {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(body)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Fault> {
        let mut body = std::mem::take(&mut self.buffer);
        (&mut self.stream)
            .take(BODY_MAX as u64 + 1)
            .read_to_end(&mut body)?;
        if body.len() > BODY_MAX {
            return Err(Fault::Bad(413, "the answer is too large"));
        }
        Ok(body)
    }

    fn need_more(&mut self) -> Result<(), Fault> {
        if self.more()? {
            return Ok(());
        }
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }

    fn more(&mut self) -> Result<bool, Fault> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

enum Framing {
    Length(usize),
    Chunks,
    Open,
}

fn parse_head(text: &str) -> Result<Head, Fault> {
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

fn parse_header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let proper = !name.is_empty() && !name.contains([' ', '\t']);
    proper.then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn parse_hex(digits: &str) -> Option<usize> {
    let proper = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    proper.then(|| usize::from_str_radix(digits, 16).unwrap_or(usize::MAX))
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
