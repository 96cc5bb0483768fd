//! The Lambda Runtime API: asks for events, one after the other, and posts what came of them.

use std::{env, net::TcpStream, path::Path};

use super::{
    base64,
    contract::{Answer, Event, Headers, Origin, Request, moment},
    http::{Connection, Fault, Message},
    json::{self, Value},
    program::Flow,
    shim::Shim,
    streamed,
};

pub(crate) const RUNTIME: &str = "/2018-06-01/runtime";
/// What the cloud calls our own failures.
pub(crate) const ERROR: &str = "Verdigris.Shim";

/// Works until the cloud hangs up.
pub(crate) fn run(root: &Path, address: &str) -> Result<(), String> {
    let mut api = Api {
        address,
        connection: None,
    };
    let function = env::var("VERDIGRIS_FUNCTION").unwrap_or_default();
    let ready = Shim::load(root).and_then(|shim| shim.program(&function)?.port().map(|_| shim));
    let shim = match ready {
        Ok(shim) => shim,
        Err(error) => {
            api.post("/init/error", &failure(&error))?;
            return Err(error);
        }
    };
    let streams = streamed::is_asked();
    loop {
        let message = api.call("GET", "/invocation/next", b"")?;
        let Some(id) = message.head.get("lambda-runtime-aws-request-id") else {
            return Err("the Lambda Runtime API gave an event without an id".to_owned());
        };
        match handle(&shim, &function, &message.body, streams) {
            Ok(Told::Whole(payload)) => {
                api.post(&format!("/invocation/{id}/response"), &payload)?
            }
            Ok(Told::Begun(begun)) => {
                streamed::send(&mut api, id, begun)?;
            }
            Err(error) => {
                eprintln!("verdigris: {error}");
                api.post(&format!("/invocation/{id}/error"), &failure(&error))?;
            }
        }
    }
}

pub(crate) struct Api<'a> {
    pub(crate) address: &'a str,
    connection: Option<Connection>,
}

/// What came of an event.
enum Told<'a> {
    Whole(Value),
    /// An answer that is passed on as it is made, or one that was made here.
    Begun(Result<Flow<'a>, Answer>),
}

impl Api<'_> {
    fn post(&mut self, path: &str, value: &Value) -> Result<(), String> {
        let mut text = String::new();
        value.write(&mut text);
        self.call("POST", path, text.as_bytes()).map(|_| ())
    }

    fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Message, String> {
        let failed = |fault| failed(path, &fault);
        let mut connection = self.connection().map_err(failed)?;
        let line = format!("{method} {RUNTIME}{path} HTTP/1.1");
        let length = body.len().to_string();
        let headers = [
            ("host", self.address),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ];
        connection
            .send(&line, &headers, body)
            .map_err(|error| failed(error.into()))?;
        let message = connection.response(method).map_err(failed)?;
        if message.keep {
            self.connection = Some(connection);
        }
        Ok(message)
    }

    /// The one that is there, or a new one.
    pub(crate) fn connection(&mut self) -> Result<Connection, Fault> {
        match self.connection.take().filter(Connection::is_alive) {
            Some(connection) => Ok(connection),
            None => Ok(Connection::new(TcpStream::connect(self.address)?)?),
        }
    }
}

pub(crate) fn failed(path: &str, fault: &Fault) -> String {
    format!("the Lambda Runtime API failed at {path}: {fault:?}")
}

fn handle<'a>(
    shim: &'a Shim,
    function: &str,
    event: &[u8],
    streams: bool,
) -> Result<Told<'a>, String> {
    let event = json::parse(event).ok_or("the event is not JSON")?;
    let about = event.get("requestContext").get("http");
    if *about == Value::Null {
        return deliver(shim, function, &event).map(Told::Whole);
    }
    let request = request(&event, about)?;
    Ok(match streams {
        true => Told::Begun(shim.open(&request, Some(function))),
        false => Told::Whole(payload(shim.answer(&request, Some(function)))),
    })
}

fn deliver(shim: &Shim, function: &str, event: &Value) -> Result<Value, String> {
    let records = event.get("Records").list();
    let named = |name: &str| records.first().and_then(|it| it.get(name).text());
    match named("eventSource").or_else(|| named("EventSource")) {
        Some("aws:sqs") => Ok(messages(shim, function, records)),
        Some("aws:sns" | "aws:s3") => announced(shim, function, records),
        Some("aws:kinesis" | "aws:dynamodb") => Ok(stream(shim, function, records)),
        _ if *event.get("detail-type") != Value::Null => {
            let taken = shim.deliver(function, schedule(event), Origin::Schedule);
            let taken = taken.then_some(Value::Null);
            taken.ok_or_else(|| "the program did not accept the scheduled event".to_owned())
        }
        _ => Err("an event of a kind that Verdigris does not pass on".to_owned()),
    }
}

fn request(event: &Value, about: &Value) -> Result<Request, String> {
    let text = event.get("body").text().unwrap_or_default();
    let body = match event.get("isBase64Encoded") {
        Value::Bool(true) => base64::decode(text).ok_or("the event's body is not base64")?,
        Value::Bool(false)
        | Value::Null
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Object(_) => text.as_bytes().to_vec(),
    };
    let cookies = event.get("cookies").list().iter().filter_map(Value::text);
    let cookies: Headers = cookies
        .map(|cookie| ("cookie".to_owned(), cookie.to_owned()))
        .collect();
    let headers = event.get("headers").members().iter();
    let headers = headers
        .filter(|(name, _)| cookies.is_empty() || !name.eq_ignore_ascii_case("cookie"))
        .filter_map(|(name, value)| Some((name.clone(), value.text()?.to_owned())));
    let headers = headers.chain(cookies.clone()).collect();
    let method = about.get("method").text().unwrap_or("GET");
    let path = event.get("rawPath").text().unwrap_or("/");
    let query = event.get("rawQueryString").text().unwrap_or_default();
    Ok(Request::new(method, path, query, headers, body))
}

fn payload(mut answer: Answer) -> Value {
    let body = std::mem::take(&mut answer.body);
    let (body, encoded) = match String::from_utf8(body) {
        Ok(text) => (text, false),
        Err(error) => (base64::encode(error.as_bytes()), true),
    };
    let [status, headers, cookies] = head(answer);
    object([
        status,
        headers,
        cookies,
        ("body", Value::Text(body)),
        ("isBase64Encoded", Value::Bool(encoded)),
    ])
}

/// All of an answer but its body.
pub(crate) fn head(answer: Answer) -> [(&'static str, Value); 3] {
    let headers = answer.headers.into_iter();
    let headers = headers.map(|(name, value)| (name, Value::Text(value)));
    let cookies = answer.cookies.into_iter().map(Value::Text);
    [
        ("statusCode", Value::Number(answer.status.to_string())),
        ("headers", Value::Object(headers.collect())),
        ("cookies", Value::List(cookies.collect())),
    ]
}

/// Says which messages failed. A queue that keeps an order is not to see a later message before them.
fn messages(shim: &Shim, function: &str, records: &[Value]) -> Value {
    let mut failed = Vec::new();
    for record in records {
        let source = record.get("eventSourceARN").text().unwrap_or_default();
        let queue = shim
            .package
            .queue(function)
            .or_else(|| source.rsplit(':').next())
            .unwrap_or_default();
        let held = source.ends_with(".fifo") && !failed.is_empty();
        if held || !shim.deliver(function, message(record), Origin::Queue(queue)) {
            failed.push(object([(
                "itemIdentifier",
                record.get("messageId").clone(),
            )]));
        }
    }
    object([("batchItemFailures", Value::List(failed))])
}

fn message(record: &Value) -> Event {
    let attributes = record.get("attributes");
    Event {
        id: owned(record.get("messageId")),
        time: attributes.get("SentTimestamp").text().and_then(moment),
        deliveries: owned(attributes.get("ApproximateReceiveCount")),
        body: record
            .get("body")
            .text()
            .unwrap_or_default()
            .as_bytes()
            .to_vec(),
    }
}

/// Of a topic or a bucket. Lambda tries again what fails as a whole.
fn announced(shim: &Shim, function: &str, records: &[Value]) -> Result<Value, String> {
    for record in records {
        let told = record.get("Sns");
        let taken = if *told == Value::Null {
            let bucket = record.get("s3").get("bucket").get("name").text();
            let origin = Origin::Bucket(bucket.unwrap_or_default());
            shim.deliver(function, change(record), origin)
        } else {
            let topic = told.get("TopicArn").text().unwrap_or_default();
            let topic = topic.rsplit(':').next().unwrap_or_default();
            shim.deliver(function, notice(told), Origin::Topic(topic))
        };
        if !taken {
            return Err("the program did not accept the event".to_owned());
        }
    }
    Ok(Value::Null)
}

fn notice(told: &Value) -> Event {
    let body = told.get("Message").text().unwrap_or_default();
    Event {
        id: owned(told.get("MessageId")),
        time: owned(told.get("Timestamp")),
        deliveries: None,
        body: body.as_bytes().to_vec(),
    }
}

fn change(record: &Value) -> Event {
    let object = record.get("s3").get("object");
    let part = |name: &str| object.get(name).text().unwrap_or_default();
    Event {
        id: Some(format!("{}@{}", part("key"), part("sequencer"))),
        time: owned(record.get("eventTime")),
        deliveries: None,
        body: written(record),
    }
}

/// A stream keeps its order: Lambda comes again from the first that failed.
fn stream(shim: &Shim, function: &str, records: &[Value]) -> Value {
    let failed = records.iter().find(|record| {
        let source = record.get("eventSourceARN").text().unwrap_or_default();
        let name = source.split('/').nth(1).unwrap_or_default();
        !shim.deliver(function, entry(record), Origin::Stream(name))
    });
    let number = |record: &Value| match record.get("kinesis").get("sequenceNumber") {
        Value::Null => record.get("dynamodb").get("SequenceNumber").clone(),
        number => number.clone(),
    };
    let failed = failed.map(|record| object([("itemIdentifier", number(record))]));
    let failed = failed.into_iter().collect();
    object([("batchItemFailures", Value::List(failed))])
}

fn entry(record: &Value) -> Event {
    let kinesis = record.get("kinesis");
    let (at, body) = match kinesis {
        Value::Null => {
            let at = record.get("dynamodb").get("ApproximateCreationDateTime");
            (at, written(record))
        }
        told => {
            let data = told.get("data").text().and_then(base64::decode);
            let at = told.get("approximateArrivalTimestamp");
            (at, data.unwrap_or_default())
        }
    };
    Event {
        id: owned(record.get("eventID")),
        time: millis(at).and_then(|it| moment(&it)),
        deliveries: None,
        body,
    }
}

/// Of seconds with a fraction, however they are written.
fn millis(seconds: &Value) -> Option<String> {
    let mut text = String::new();
    seconds.write(&mut text);
    let seconds: f64 = text.parse().ok()?;
    Some(format!("{:.0}", (seconds * 1000.0).floor()))
}

fn written(record: &Value) -> Vec<u8> {
    let mut text = String::new();
    record.write(&mut text);
    text.into_bytes()
}

fn schedule(event: &Value) -> Event {
    Event {
        id: owned(event.get("id")),
        time: owned(event.get("time")),
        ..Event::default()
    }
}

fn owned(value: &Value) -> Option<String> {
    value.text().map(str::to_owned)
}

pub(crate) fn failure(error: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    object([
        ("errorMessage", text(error)),
        ("errorType", text(ERROR)),
        ("stackTrace", Value::List(Vec::new())),
    ])
}

pub(crate) fn object<const COUNT: usize>(members: [(&str, Value); COUNT]) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
