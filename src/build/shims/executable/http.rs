//! HTTP/1.1 over a connection, as a server and as a client. One write a message, and no waiting for acknowledgements.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use super::{
    contract::value_bytes,
    head::{Head, parse_head},
};

const HEAD_MAX: usize = 64 * 1024;
pub(crate) const BODY_MAX: usize = 100 * 1024 * 1024;
const MALFORMED: Fault = Fault::Bad(400, "a chunk is malformed");

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came, and whether another may follow on the same connection.
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) keep: bool,
}

/// An answer whose body is still to come.
pub(crate) struct Begun {
    pub(crate) head: Head,
    pub(crate) left: Left,
    pub(crate) keep: bool,
}

/// How much of a body is still to come.
#[derive(Debug)]
pub(crate) enum Left {
    Nothing,
    Bytes(usize),
    /// A chunk's length comes next.
    NextChunk,
    /// This much of a chunk, and then its end.
    Chunk(usize),
    /// Whatever comes until the other side hangs up.
    Open,
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
        let Begun { head, left, keep } = self.begin(method)?;
        let body = match left {
            Left::Nothing => Vec::new(),
            Left::Bytes(length) => self.exactly(length)?,
            Left::NextChunk | Left::Chunk(_) => self.chunks()?,
            Left::Open => self.rest()?,
        };
        Ok(Message { head, body, keep })
    }

    /// Reads the head of an answer, and leaves its body to [`Self::piece`].
    pub(crate) fn begin(&mut self, method: &str) -> Result<Begun, Fault> {
        let mut head = self.head()?;
        while head.line[1].starts_with('1') {
            head = self.head()?;
        }
        let keep = head.keeps(&head.line[0]);
        let bodiless = method == "HEAD" || matches!(head.line[1].as_str(), "204" | "304");
        let (left, keep) = match self.framing(&head)? {
            _ if bodiless => (Left::Nothing, keep),
            Framing::Length(length) => (Left::Bytes(length), keep),
            Framing::Chunks => (Left::NextChunk, keep),
            Framing::Open => (Left::Open, false),
        };
        Ok(Begun { head, left, keep })
    }

    /// The next bytes of a body, as soon as there are any; none at its end.
    pub(crate) fn piece(&mut self, left: &mut Left) -> Result<Option<Vec<u8>>, Fault> {
        if matches!(left, Left::Chunk(0)) {
            self.chunk_end()?;
            *left = Left::NextChunk;
        }
        if matches!(left, Left::NextChunk) {
            *left = match self.chunk_size()? {
                0 => Left::Nothing,
                size => Left::Chunk(size),
            };
        }
        let most = match left {
            Left::Nothing | Left::NextChunk | Left::Bytes(0) => return Ok(None),
            Left::Bytes(count) | Left::Chunk(count) => *count,
            Left::Open => usize::MAX,
        };
        if self.buffer.is_empty() && !self.more()? {
            return match left {
                Left::Open => Ok(None),
                Left::Nothing | Left::Bytes(_) | Left::NextChunk | Left::Chunk(_) => {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                }
            };
        }
        let count = most.min(self.buffer.len());
        match left {
            Left::Bytes(rest) | Left::Chunk(rest) => *rest -= count,
            Left::Nothing | Left::NextChunk | Left::Open => {}
        }
        Ok(Some(self.buffer.drain(..count).collect()))
    }

    /// Sends a part of a body that goes in chunks. An empty one would end it.
    pub(crate) fn send_chunk(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// Ends a body that goes in chunks.
    pub(crate) fn send_end(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        let lines = trailers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let end = format!("0\r\n{}\r\n", lines.collect::<String>());
        self.stream.write_all(end.as_bytes())
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
                let length = length.parse().ok();
                length
                    .map(Framing::Length)
                    .ok_or(Fault::Bad(413, "the request is too large"))
            }
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            let size = self.chunk_size()?;
            if size > BODY_MAX - body.len() {
                return Err(Fault::Bad(413, "the request is too large"));
            }
            if size == 0 {
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.chunk_end()?;
        }
    }

    /// With the last one, whose size is nothing, go the trailers.
    fn chunk_size(&mut self) -> Result<usize, Fault> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = parse_hex(digits).ok_or(MALFORMED)?;
        if size == 0 {
            while !self.line()?.is_empty() {}
        }
        Ok(size)
    }

    fn chunk_end(&mut self) -> Result<(), Fault> {
        match self.line()?.is_empty() {
            true => Ok(()),
            false => Err(MALFORMED),
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
                return Err(MALFORMED);
            }
            self.need_more()?;
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        if length > BODY_MAX {
            return Err(Fault::Bad(413, "the request is too large"));
        }
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
