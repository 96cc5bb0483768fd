//! A program of the package: started with `PORT`, awaited, asked, and started again when it has died.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{
    contract::{Answer, Request, is_bodiless},
    head::Head,
    http::{Begun, Connection, Fault, Left, Message},
};

pub(crate) struct Program {
    root: PathBuf,
    path: String,
    running: Mutex<Option<Running>>,
    /// Connections that wait for a next request, with the port they lead to.
    idle: Mutex<Vec<(u16, Connection)>>,
}

struct Running {
    child: Child,
    port: u16,
}

/// An answer that has begun, and whose body comes piece by piece.
pub(crate) struct Flow<'a> {
    program: &'a Program,
    port: u16,
    connection: Connection,
    pub(crate) answer: Answer,
    left: Left,
    keep: bool,
}

/// AWS Lambda gives a runtime ten seconds to begin; a program that needs more would not start there.
const START_LIMIT: Duration = Duration::from_secs(9);
/// Between a program's last sign of life and the moment that its parent can tell.
const DEATH_PAUSE: Duration = Duration::from_millis(20);
const START_PAUSE: Duration = Duration::from_millis(2);
/// A second, which is far longer than a process takes to start.
const BUSY_TRIES: u32 = 500;
/// A refused connection on loopback takes no time worth counting.
const START_TRIES: u128 = START_LIMIT.as_millis() / START_PAUSE.as_millis();

impl Program {
    pub(crate) fn new(root: &Path, path: &str) -> Self {
        Self {
            root: root.to_owned(),
            path: path.to_owned(),
            running: Mutex::new(None),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Makes sure that the program runs and accepts connections, and tells where.
    pub(crate) fn port(&self) -> Result<u16, String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = running.as_mut() {
            match known.child.try_wait() {
                Ok(None) => return Ok(known.port),
                Ok(Some(status)) => eprintln!(
                    "verdigris: `{}` ended with {status}: starting it again",
                    self.path
                ),
                Err(error) => eprintln!("verdigris: lost sight of `{}`: {error}", self.path),
            }
            *running = None;
        }
        let started = self.start()?;
        let port = started.port;
        *running = Some(started);
        Ok(port)
    }

    /// Passes a request on and brings the answer back.
    pub(crate) fn ask(&self, request: &Request, release: &str) -> Result<Answer, String> {
        let (port, connection, message) = self.exchange(request, Connection::response)?;
        let Message { head, body, keep } = message;
        let status = self.status(&head)?;
        if keep {
            self.keep(port, connection);
        }
        Ok(Answer::new(
            status,
            head.headers,
            body,
            &request.method,
            release,
        ))
    }

    /// Passes a request on, and brings the answer back as soon as it begins.
    pub(crate) fn open(&self, request: &Request, release: &str) -> Result<Flow<'_>, String> {
        let (port, connection, begun) = self.exchange(request, Connection::begin)?;
        let Begun { head, left, keep } = begun;
        let status = self.status(&head)?;
        let has_none = matches!(left, Left::Nothing | Left::Bytes(0));
        // A body that no client is to see is not read either, and so the connection is not good for another request.
        let is_unwanted = !has_none && is_bodiless(status, &request.method);
        let has_body = !has_none && !is_unwanted;
        Ok(Flow {
            program: self,
            port,
            connection,
            answer: Answer::head(status, head.headers, has_body, release),
            left: if has_body { left } else { Left::Nothing },
            keep: keep && !is_unwanted,
        })
    }

    /// Asks on a connection that is there or a new one, and reads what `read` reads of the answer.
    fn exchange<T>(
        &self,
        request: &Request,
        read: fn(&mut Connection, &str) -> Result<T, Fault>,
    ) -> Result<(u16, Connection, T), String> {
        let (port, mut connection, reused) = self.connection()?;
        let told = match exchange(&mut connection, request, read) {
            Err(_) if reused && is_repeatable(&request.method) => {
                (_, connection) = self.connect(port)?;
                exchange(&mut connection, request, read)
            }
            outcome => outcome,
        };
        let told = told.map_err(|fault| self.failed(&fault))?;
        Ok((port, connection, told))
    }

    /// One that hangs up may be dying. The next request is to find it dead, and not its last breath.
    fn failed(&self, fault: &Fault) -> String {
        thread::sleep(DEATH_PAUSE);
        self.describe(fault)
    }

    fn status(&self, head: &Head) -> Result<u16, String> {
        let status = head.line[1].parse().ok();
        let status = status.filter(|status| (200..=599).contains(status));
        status.ok_or_else(|| format!("`{}` answered with status {}", self.path, head.line[1]))
    }

    fn keep(&self, port: u16, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((port, connection));
    }

    fn start(&self) -> Result<Running, String> {
        let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
        let child = self
            .spawn(port)
            .map_err(|error| format!("failed to start `{}`: {error}", self.path))?;
        let mut running = Running { child, port };
        match self.wait(&mut running) {
            Ok(()) => Ok(running),
            Err(reason) => {
                // Both fail only where it has ended already.
                let _ = running.child.kill();
                let _ = running.child.wait();
                Err(reason)
            }
        }
    }

    /// A file that was just unpacked may still be open for writing in a process that the unpacking one is starting.
    fn spawn(&self, port: u16) -> std::io::Result<Child> {
        let mut command = Command::new(self.root.join(&self.path));
        command
            .current_dir(&self.root)
            .env("PORT", port.to_string())
            .env_remove("AWS_LAMBDA_RUNTIME_API")
            .env_remove("FUNCTIONS_CUSTOMHANDLER_PORT")
            .stdin(Stdio::null());
        for _ in 0..BUSY_TRIES {
            match command.spawn() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    thread::sleep(START_PAUSE);
                }
                outcome => return outcome,
            }
        }
        command.spawn()
    }

    fn wait(&self, running: &mut Running) -> Result<(), String> {
        for _ in 0..START_TRIES {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = running.child.try_wait() {
                let path = &self.path;
                return Err(format!(
                    "`{path}` ended with {status} before it accepted connections"
                ));
            }
            thread::sleep(START_PAUSE);
        }
        let (path, port) = (&self.path, running.port);
        Err(format!(
            "`{path}` does not listen on $PORT ({port}) after {START_LIMIT:?}"
        ))
    }

    /// A connection, where it leads, and whether it has been used before. A program that accepts none is given a moment
    /// to be seen as dead, and is then started again.
    fn connection(&self) -> Result<(u16, Connection, bool), String> {
        let port = self.port()?;
        if let Some(connection) = self.idle_connection(port) {
            return Ok((port, connection, true));
        }
        self.connect(port)
            .or_else(|_| {
                thread::sleep(DEATH_PAUSE);
                let port = self.port()?;
                self.connect(port)
            })
            .map(|(port, connection)| (port, connection, false))
    }

    fn idle_connection(&self, port: u16) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((known, connection)) = idle.pop() {
            if known == port && connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    fn connect(&self, port: u16) -> Result<(u16, Connection), String> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .and_then(Connection::new)
            .map(|connection| (port, connection))
            .map_err(|error| format!("`{}` does not accept connections: {error}", self.path))
    }

    fn describe(&self, fault: &Fault) -> String {
        match fault {
            Fault::Ended => format!("`{}` hung up without an answer", self.path),
            Fault::Bad(_, text) => format!(
                "`{}` answered with something that is not HTTP: {text}",
                self.path
            ),
            Fault::Io(error) => format!("`{}` did not answer: {error}", self.path),
        }
    }
}

impl Flow<'_> {
    /// What has come of the body; none at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let piece = self.connection.piece(&mut self.left);
        piece.map_err(|fault| self.program.failed(&fault))
    }

    /// After the last piece.
    pub(crate) fn end(self) {
        if self.keep {
            self.program.keep(self.port, self.connection);
        }
    }
}

/// Asked twice is as good as once: the first may have been lost on a connection that was closing.
fn is_repeatable(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

fn exchange<T>(
    connection: &mut Connection,
    request: &Request,
    read: fn(&mut Connection, &str) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let query = if request.query.is_empty() { "" } else { "?" };
    let line = format!(
        "{} {}{query}{} HTTP/1.1",
        request.method, request.path, request.query
    );
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    connection.send(&line, &headers, &request.body)?;
    read(connection, &request.method)
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
