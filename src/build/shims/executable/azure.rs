//! Azure's custom handler: serves the Functions host over HTTP, a thread per connection.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

use super::{
    contract::{Answer, Event, Origin, Request},
    head::Head,
    http::{Connection, Fault, Message},
    json::{self, Value},
    routes::{Found, Kind},
    shim::Shim,
};

/// Set by whatever stands between a client and this program; the host's own invocations carry none of them.
const CLIENT_MARKS: [&str; 4] = [
    "x-forwarded-for",
    "x-original-url",
    "x-arr-log-id",
    "disguised-host",
];

/// Serves until the host ends it.
pub(crate) fn run(root: &Path, port: &str) -> Result<(), String> {
    let port: u16 = port
        .parse()
        .map_err(|_| format!("FUNCTIONS_CUSTOMHANDLER_PORT is `{port}`, which is no port"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| format!("failed to listen on port {port}: {error}"))?;
    let shim = Arc::new(Shim::load(root)?);
    let early = Arc::clone(&shim);
    spawn(move || {
        for program in early.programs() {
            if let Err(error) = program.port() {
                eprintln!("verdigris: {error}");
            }
        }
    });
    for stream in listener.incoming().flatten() {
        let shim = Arc::clone(&shim);
        spawn(move || serve(&shim, stream));
    }
    Ok(())
}

/// Where no thread can be had, the connection is closed and the host tries again.
fn spawn(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().spawn(work) {
        eprintln!("verdigris: no thread can be started: {error}");
    }
}

fn serve(shim: &Shim, stream: TcpStream) {
    let Ok(mut connection) = Connection::new(stream) else {
        return;
    };
    loop {
        let (answer, method, keep) = match connection.request() {
            Ok(message) => {
                let method = message.head.line[0].clone();
                let keep = message.keep;
                (answer(shim, message), method, keep)
            }
            Err(Fault::Bad(status, text)) => {
                (shim.plain(status, text, "GET"), "GET".to_owned(), false)
            }
            Err(Fault::Ended | Fault::Io(_)) => return,
        };
        if send(&mut connection, &answer, &method, keep).is_err() || !keep {
            return;
        }
    }
}

fn answer(shim: &Shim, message: Message) -> Answer {
    let Message {
        head,
        body,
        keep: _,
    } = message;
    let (path, query) = split_target(&head.line[1]);
    let request = Request::new(&head.line[0], &path, query, head.headers.clone(), body);
    let Some((function, kind)) = invoked(shim, &head, &request) else {
        return shim.answer(&request, None);
    };
    let queue = match kind {
        Kind::Queue => shim.package.queue(function),
        Kind::Schedule => None,
    };
    let origin = queue.map_or(Origin::Schedule, Origin::Queue);
    let Some(event) = event(&head, &request.body, kind) else {
        return shim.plain(400, "the invocation is not a JSON object", "POST");
    };
    if !shim.deliver(function, event, origin) {
        return shim.plain(500, "the application did not accept the event", "POST");
    }
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let done = br#"{"Outputs": {}, "Logs": [], "ReturnValue": null}"#;
    Answer::new(200, headers, done.to_vec(), "POST", &shim.release)
}

/// A target may be a whole address.
fn split_target(target: &str) -> (String, &str) {
    let (place, query) = target.split_once('?').unwrap_or((target, ""));
    if place.starts_with('/') {
        return (place.to_owned(), query);
    }
    let after = place.split_once("://").map_or("", |(_, rest)| rest);
    let path = after.split_once('/').map_or("", |(_, path)| path);
    (format!("/{path}"), query)
}

/// The host posts events to /<function>. Where a route of ours matches that path as well, only what no client could have
/// sent counts as the host's.
fn invoked<'a>(shim: &Shim, head: &Head, request: &'a Request) -> Option<(&'a str, Kind)> {
    let found = shim.package.invoked(request.path.strip_prefix('/')?)?;
    let routed = matches!(
        shim.package.find("POST", &request.path, None),
        Found::Function(_)
    );
    let by_client = routed && CLIENT_MARKS.iter().any(|name| head.get(name).is_some());
    (request.method == "POST" && !by_client).then_some(found)
}

fn event(head: &Head, body: &[u8], kind: Kind) -> Option<Event> {
    let told = json::parse(body).filter(|told| matches!(told, Value::Object(_)))?;
    let metadata = told.get("Metadata");
    let id = unquoted(metadata.get("Id"));
    let id = id.or_else(|| {
        head.get("x-azure-functions-invocationid")
            .map(str::to_owned)
    });
    Some(match kind {
        Kind::Schedule => Event {
            id,
            time: unquoted(metadata.get("sys").get("UtcNow")),
            ..Event::default()
        },
        Kind::Queue => Event {
            id,
            time: unquoted(metadata.get("InsertionTime")),
            deliveries: unquoted(metadata.get("DequeueCount")),
            body: message_text(told.get("Data").get("message")).into_bytes(),
        },
    })
}

/// Metadata may be JSON inside JSON.
fn unquoted(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => {
            let inner = text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            Some(inner.unwrap_or(text).to_owned())
        }
        Value::Number(digits) => Some(digits.clone()),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// The host hands a message over as JSON text in a string; a message that is a text itself is quoted twice.
fn message_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => match json::parse(text.as_bytes()) {
            Some(Value::Text(inner)) => inner,
            Some(
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_),
            )
            | None => text.clone(),
        },
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => {
            let mut text = String::new();
            value.write(&mut text);
            text
        }
    }
}

fn send(
    connection: &mut Connection,
    answer: &Answer,
    method: &str,
    keep: bool,
) -> std::io::Result<()> {
    let line = format!("HTTP/1.1 {} Answer", answer.status);
    let length = answer.body.len().to_string();
    let mut headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    headers.extend(
        answer
            .cookies
            .iter()
            .map(|cookie| ("set-cookie", cookie.as_str())),
    );
    if method != "HEAD" && !matches!(answer.status, 204 | 304) {
        headers.push(("content-length", &length));
    }
    if !keep {
        headers.push(("connection", "close"));
    }
    connection.send(&line, &headers, &answer.body)
}
