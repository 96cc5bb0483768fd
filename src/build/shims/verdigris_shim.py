"""Runs the ASGI applications of a Verdigris package on AWS Lambda and on Azure Functions.

On Lambda, `handler` takes the events of a function URL, of SQS and of EventBridge. On Azure, this file is a program that
serves the Functions host on FUNCTIONS_CUSTOMHANDLER_PORT. Both ways lead through the same `answer` and `deliver`, so that
an application cannot tell the clouds apart. Needs Python 3.9 and nothing else.
"""

import asyncio
import base64
import importlib
import json
import os
import signal
import sys
import traceback
from datetime import datetime, timezone
from urllib.parse import quote, unquote, unquote_to_bytes

ROOT = os.path.dirname(os.path.abspath(__file__))
RELEASE = os.environ.get("VERDIGRIS_RELEASE", "")
# Only events have paths that begin so: a client's request to one of them is not found.
EVENTS = "/.verdigris/"
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}
BODILESS = {204, 205, 304}
HEAD_MAX = 64 * 1024
BODY_MAX = 100 * 1024 * 1024
SHUTDOWN_SECONDS = 5
# Set by whatever stands between a client and this program on Azure; the host's own invocations carry none of them.
CLIENT_MARKS = {"x-forwarded-for", "x-original-url", "x-arr-log-id", "disguised-host"}


class Request:
    """A request as the application is to see it, whichever cloud it came through."""

    def __init__(self, method, path, query, headers, body, client=None):
        self.method = method
        self.path = visible(path) or "/"
        self.query = visible(query)
        self.headers = request_headers(headers, method, body)
        self.body = body
        self.client = client

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)


class Answer:
    """What goes back: header names in lower case and once each, cookies apart."""

    def __init__(self, status, headers=(), body=b"", method="GET"):
        self.status = status
        self.cookies = [value for name, value in headers if name == "set-cookie"]
        kept = {}
        for name, value in headers:
            if name not in HOP_BY_HOP and name not in ("set-cookie", "content-length"):
                kept[name] = kept[name] + ", " + value if name in kept else value
        self.body = b"" if method == "HEAD" or status in BODILESS else body
        if self.body:
            kept.setdefault("content-type", "application/octet-stream")
        kept["x-verdigris-release"] = RELEASE
        self.headers = kept


def plain(status, text, method="GET", extra=()):
    headers = [("content-type", "text/plain; charset=utf-8"), *extra]
    return Answer(status, headers, text.encode() + b"\n", method)


def visible(text):
    """Leaves a raw path or query as it is, except for what could not have been sent so."""
    return "".join(c if "!" <= c <= "~" else quote(c) for c in text)


def encode(value):
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


def request_headers(pairs, method, body):
    joined = {}
    for name, value in pairs:
        name = name.lower()
        if name in HOP_BY_HOP or name in ("content-length", "expect"):
            continue
        glue = "; " if name == "cookie" else ","
        joined[name] = joined[name] + glue + value if name in joined else value
    if body or method in ("POST", "PUT", "PATCH"):
        joined["content-length"] = str(len(body))
    return sorted(joined.items())


# === Routes ===


class Route:
    def __init__(self, function, methods, pattern):
        self.function = function
        self.methods = methods
        self.segments = pattern[1:].split("/")

    def rank(self):
        """Sorts literal segments before names, and names before the rest of a path."""
        kinds = [2 if is_rest(s) else 1 if is_name(s) else 0 for s in self.segments]
        return kinds, -len(kinds), self.function

    def matches(self, path):
        given = path[1:].split("/")
        for index, wanted in enumerate(self.segments):
            if is_rest(wanted):
                return "".join(given[index:]) != ""
            if index >= len(given):
                return False
            if is_name(wanted):
                if not given[index]:
                    return False
            elif unquote_to_bytes(given[index]) != wanted.encode():
                return False
        return len(given) == len(self.segments)


def is_name(segment):
    return segment.startswith("{") and segment.endswith("}")


def is_rest(segment):
    return is_name(segment) and segment.endswith("+}")


class Package:
    """What verdigris.json says."""

    def __init__(self, root):
        with open(os.path.join(root, "verdigris.json"), encoding="utf-8") as file:
            self.functions = json.load(file)["functions"]
        routes = []
        for name, entry in self.functions.items():
            http = entry.get("http")
            if http:
                routes.append(Route(name, http["methods"], http["path"]))
        self.routes = sorted(routes, key=Route.rank)

    def find(self, method, path, only=None):
        """The function that answers, or None and the methods that would have been right for this path."""
        allowed = set()
        if path.startswith(EVENTS):
            return None, allowed
        for route in self.routes:
            if (only is None or route.function == only) and route.matches(path):
                if not route.methods or method in route.methods:
                    return route.function, allowed
                allowed.update(route.methods)
        return None, allowed

    def invoked(self, name):
        """The function and the kind of trigger that an Azure function of this name stands for."""
        base, _, suffix = name.partition("_")
        entry = self.functions.get(base)
        if entry is None or suffix not in ("", "queue", "schedule"):
            return None
        kinds = [kind for kind in ("http", "queue", "schedule") if entry.get(kind)]
        kind = suffix or (kinds[0] if kinds else None)
        if kind in ("queue", "schedule") and kind in kinds:
            return base, kind
        return None


# === Applications ===


class App:
    """One ASGI application with its lifespan, which begins before its first request."""

    def __init__(self, application):
        self.application = application
        self.state = {}
        self.inbox = None
        self.task = None
        self.outcome = None

    async def start(self):
        if self.task is None:
            self.inbox = asyncio.Queue()
            self.outcome = asyncio.get_running_loop().create_future()
            self.task = asyncio.ensure_future(self._live())
            await self.inbox.put({"type": "lifespan.startup"})
        failure = await asyncio.shield(self.outcome)
        if failure is not None:
            self.task = None
            raise RuntimeError("the application's startup failed: " + failure)

    async def stop(self):
        if self.task is not None and not self.task.done():
            await self.inbox.put({"type": "lifespan.shutdown"})
            await asyncio.wait([self.task], timeout=SHUTDOWN_SECONDS)

    async def _live(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.application(scope, self.inbox.get, self._heard)
        except Exception:
            # An application that does not know lifespans says so by raising; later it is a fault worth telling.
            if self.outcome.done():
                traceback.print_exc()
        finally:
            self._settle(None)

    async def _heard(self, message):
        if message["type"] == "lifespan.startup.complete":
            self._settle(None)
        elif message["type"] == "lifespan.startup.failed":
            self._settle(message.get("message", ""))

    def _settle(self, failure):
        if not self.outcome.done():
            self.outcome.set_result(failure)

    async def call(self, request):
        await self.start()
        exchange = Exchange(request)
        scope = self._scope(request)
        await self.application(scope, exchange.receive, exchange.send)
        return exchange.answer()

    def _scope(self, request):
        scheme = request.header("x-forwarded-proto")
        whole = request.header("host") or "localhost"
        host, _, port = whole.rpartition(":")
        if not (host and port.isascii() and port.isdigit()):
            host, port = whole, "443"
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": scheme if scheme in ("http", "https") else "https",
            "path": unquote(request.path, errors="replace"),
            "raw_path": request.path.encode("ascii"),
            "query_string": request.query.encode("ascii"),
            "root_path": "",
            "headers": [(name.encode("latin-1"), encode(value)) for name, value in request.headers],
            "client": (request.client, 0) if request.client else None,
            "server": (host, int(port)),
            "state": self.state.copy(),
        }


class Exchange:
    """The two ends that an ASGI application holds during one request."""

    def __init__(self, request):
        self.request = request
        self.unread = True
        self.done = asyncio.Event()
        self.status = None
        self.headers = []
        self.body = []

    async def receive(self):
        if self.unread:
            self.unread = False
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        await self.done.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        kind = message["type"]
        if kind == "http.response.start" and self.status is None:
            self.status = int(message["status"])
            pairs = message.get("headers", ())
            self.headers = [(n.decode("latin-1").lower(), one_line(v.decode("latin-1"))) for n, v in pairs]
        elif kind == "http.response.body" and self.status is not None and not self.done.is_set():
            self.body.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self.done.set()
        else:
            raise RuntimeError("the application sent " + kind + " out of turn")

    def answer(self):
        if not self.done.is_set():
            raise RuntimeError("the application returned before its answer was complete")
        if not 200 <= self.status <= 599:
            raise RuntimeError("the application answered with status " + str(self.status))
        return Answer(self.status, self.headers, b"".join(self.body), self.request.method)


def one_line(value):
    """What an application passes on from a stranger must not become a header of its own."""
    return value.replace("\r", "").replace("\n", "")


class Shim:
    def __init__(self, root):
        if root not in sys.path:
            sys.path.insert(0, root)
        self.package = Package(root)
        self.apps = {}

    def app(self, function):
        """Loaded at the first request, so that one broken handler does not take the others with it."""
        module, _, attribute = self.package.functions[function]["handler"].partition(":")
        found = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        return self.apps.setdefault(id(found), App(found))

    async def run(self, function, request):
        """What the client is told of a failure says nothing about its cause: that goes to the log."""
        try:
            return await self.app(function).call(request)
        except (Exception, SystemExit, asyncio.CancelledError):
            traceback.print_exc()
            sys.stderr.flush()
            return plain(500, "internal server error", request.method)

    async def answer(self, request, only=None):
        function, allowed = self.package.find(request.method, request.path, only)
        if function is not None:
            return await self.run(function, request)
        if allowed:
            allow = [("allow", ", ".join(sorted(allowed)))]
            return plain(405, "method not allowed", request.method, allow)
        return plain(404, "not found", request.method)

    async def deliver(self, function, event):
        """Posts a CloudEvent to the application; true when it took it."""
        answer = await self.run(function, event.request(function))
        return answer.status < 300

    async def stop(self):
        for app in self.apps.values():
            await app.stop()


class Event:
    """A CloudEvent in binary mode."""

    def __init__(self, kind, source, identity, time, body=b"", deliveries=None):
        self.attributes = {"id": identity, "source": source, "specversion": "1.0", "time": time, "type": kind}
        self.attributes["deliverycount"] = deliveries
        self.body = body

    def request(self, function):
        headers = [("ce-" + key, visible(str(value))) for key, value in self.attributes.items() if value]
        if self.body:
            headers.append(("content-type", content_type(self.body)))
        headers.append(("host", "localhost"))
        return Request("POST", EVENTS + "events/" + function, "", headers, self.body)


def refuse(word):
    """Python would read NaN and its like, which no other reader of JSON does."""
    raise ValueError(word)


def content_type(body):
    try:
        json.loads(body.decode(), parse_constant=refuse)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"


def message_event(queue, identity, time, body, deliveries):
    return Event("dev.verdigris.queue.message", "/queues/" + queue, identity, time, body, deliveries)


def schedule_event(function, identity, time):
    return Event("dev.verdigris.schedule", "/schedules/" + function, identity, time)


def topic_event(told):
    topic = told.get("TopicArn", "").rpartition(":")[2]
    body = told.get("Message", "").encode()
    return Event("dev.verdigris.topic.message", "/topics/" + topic, told.get("MessageId"), told.get("Timestamp"), body)


def bucket_event(record):
    told = record.get("s3", {})
    thing = told.get("object", {})
    source = "/buckets/" + told.get("bucket", {}).get("name", "")
    identity = thing.get("key", "") + "@" + thing.get("sequencer", "")
    return Event("dev.verdigris.bucket.change", source, identity, record.get("eventTime"), written(record))


def stream_event(record):
    source = "/streams/" + (record.get("eventSourceARN", "").split("/") + [""])[1]
    told = record.get("kinesis")
    if told is None:
        at = record.get("dynamodb", {}).get("ApproximateCreationDateTime")
        body = written(record)
    else:
        at = told.get("approximateArrivalTimestamp")
        body = base64.b64decode(told.get("data", ""))
    time = moment(at * 1000) if isinstance(at, (int, float)) else None
    return Event("dev.verdigris.stream.record", source, record.get("eventID"), time, body)


def written(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def moment(millis):
    try:
        at = datetime.fromtimestamp(int(millis) / 1000, timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (at.microsecond // 1000)


# === AWS ===


class Lambda:
    def __init__(self):
        self.shim = Shim(ROOT)
        self.function = os.environ.get("VERDIGRIS_FUNCTION", "")
        self.loop = asyncio.new_event_loop()

    def handle(self, event):
        if not isinstance(event, dict):
            event = {}
        if "http" in event.get("requestContext", {}):
            return self.loop.run_until_complete(self.http(event))
        records = event.get("Records") or [{}]
        source = records[0].get("eventSource") or records[0].get("EventSource")
        if source == "aws:sqs":
            return self.loop.run_until_complete(self.messages(records))
        if source in ("aws:sns", "aws:s3"):
            return self.loop.run_until_complete(self.announced(records))
        if source in ("aws:kinesis", "aws:dynamodb"):
            return self.loop.run_until_complete(self.stream(records))
        if "detail-type" in event:
            return self.loop.run_until_complete(self.schedule(event))
        raise ValueError("an event of a kind that Verdigris does not pass on")

    async def http(self, event):
        about = event["requestContext"]["http"]
        body = event.get("body") or ""
        body = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        headers = [(name, value) for name, value in event.get("headers", {}).items() if name.lower() != "cookie"]
        cookies = event.get("cookies") or [v for n, v in event.get("headers", {}).items() if n.lower() == "cookie"]
        headers.extend(("cookie", cookie) for cookie in cookies)
        path, query = event.get("rawPath", "/"), event.get("rawQueryString", "")
        request = Request(about["method"], path, query, headers, body, about.get("sourceIp"))
        answer = await self.shim.answer(request, self.function)
        return self.payload(answer)

    @staticmethod
    def payload(answer):
        try:
            body, encoded = answer.body.decode("utf-8"), False
        except UnicodeDecodeError:
            body, encoded = base64.b64encode(answer.body).decode("ascii"), True
        return {
            "statusCode": answer.status,
            "headers": answer.headers,
            "cookies": answer.cookies,
            "body": body,
            "isBase64Encoded": encoded,
        }

    async def messages(self, records):
        """Says which messages failed. A queue that keeps an order is not to see a later message before them."""
        failed = []
        for record in records:
            fifo = record.get("eventSourceARN", "").endswith(".fifo")
            if not (fifo and failed) and await self.shim.deliver(self.function, self.message(record)):
                continue
            failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    def message(self, record):
        attributes = record.get("attributes", {})
        queue = self.shim.package.functions[self.function].get("queue") or record.get("eventSourceARN", "").rpartition(":")[2]
        body = record.get("body", "").encode()
        time = moment(attributes.get("SentTimestamp"))
        return message_event(queue, record["messageId"], time, body, attributes.get("ApproximateReceiveCount"))

    async def announced(self, records):
        """Lambda tries again what fails as a whole."""
        for record in records:
            event = topic_event(record["Sns"]) if "Sns" in record else bucket_event(record)
            if not await self.shim.deliver(self.function, event):
                raise RuntimeError("the application did not accept the event")

    async def stream(self, records):
        """A stream keeps its order: Lambda comes again from the first that failed."""
        for record in records:
            if not await self.shim.deliver(self.function, stream_event(record)):
                told = record.get("kinesis") or record.get("dynamodb") or {}
                number = told.get("sequenceNumber") or told.get("SequenceNumber")
                return {"batchItemFailures": [{"itemIdentifier": number}]}
        return {"batchItemFailures": []}

    async def schedule(self, event):
        if not await self.shim.deliver(self.function, schedule_event(self.function, event.get("id"), event.get("time"))):
            raise RuntimeError("the application did not accept the scheduled event")


LAMBDA = None


def handler(event, context):
    global LAMBDA
    if LAMBDA is None:
        LAMBDA = Lambda()
    return LAMBDA.handle(event)


# === Azure ===


class BadRequest(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Host:
    """Serves the Functions host: HTTP/1.1 with connections that are kept."""

    def __init__(self):
        self.shim = Shim(ROOT)

    async def serve(self, port):
        server = await asyncio.start_server(self.connection, "127.0.0.1", port, limit=HEAD_MAX)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        server.close()
        await self.shim.stop()

    async def connection(self, reader, writer):
        try:
            while await self.exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except BadRequest as error:
            writer.write(wire(plain(error.status, str(error)), "GET", False))
        except Exception:
            traceback.print_exc()
        finally:
            writer.close()

    async def exchange(self, reader, writer):
        """One request and its answer; false when the connection is to end."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        except asyncio.LimitOverrunError:
            raise BadRequest(431, "the request's headers are too large") from None
        method, target, version, headers = parse_head(head)
        fields = {name.lower(): value for name, value in headers}
        if fields.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await read_body(reader, headers, fields)
        tokens = fields.get("connection", "").lower()
        keep = "close" not in tokens and (version == "HTTP/1.1" or "keep-alive" in tokens)
        answer = await self.answer(method, target, headers, fields, body)
        writer.write(wire(answer, method, keep))
        await writer.drain()
        return keep

    async def answer(self, method, target, headers, fields, body):
        if not target.startswith("/"):
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        client = fields.get("x-forwarded-for", "").partition(",")[0].strip() or None
        request = Request(method, path, query, headers, body, client)
        invoked = self.invoked(request, fields)
        if invoked is None:
            return await self.shim.answer(request)
        function, kind = invoked
        if await self.shim.deliver(function, self.event(function, kind, fields, body)):
            done = json.dumps({"Outputs": {}, "Logs": [], "ReturnValue": None})
            return Answer(200, [("content-type", "application/json")], done.encode())
        return plain(500, "the application did not accept the event")

    def invoked(self, request, fields):
        """The host posts events to /<function>. Where a route of ours matches that path as well, only what no client
        could have sent counts as the host's."""
        name = request.path[1:]
        if request.method != "POST" or not self.shim.package.invoked(name):
            return None
        function, _ = self.shim.package.find("POST", request.path)
        if function is not None and CLIENT_MARKS & fields.keys():
            return None
        return self.shim.package.invoked(name)

    def event(self, function, kind, fields, body):
        try:
            told = json.loads(body, parse_constant=refuse)
            data, metadata = told.get("Data", {}), told.get("Metadata", {})
        except (ValueError, AttributeError):
            raise BadRequest(400, "the invocation is not a JSON object") from None
        system = metadata.get("sys", {}) if isinstance(metadata.get("sys"), dict) else {}
        identity = unquoted(metadata.get("Id")) or fields.get("x-azure-functions-invocationid")
        if kind == "schedule":
            return schedule_event(function, identity, system.get("UtcNow"))
        queue = self.shim.package.functions[function]["queue"]
        time, count = unquoted(metadata.get("InsertionTime")), unquoted(metadata.get("DequeueCount"))
        return message_event(queue, identity, time, message_text(data.get("message")).encode(), count)


def unquoted(value):
    """Metadata may be JSON inside JSON."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def message_text(value):
    """The host hands a message over as JSON text in a string; a message that is a text itself is quoted twice."""
    if not isinstance(value, str):
        return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    return inner if isinstance(inner, str) else value


def parse_head(head):
    lines = head[:-4].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1]:
        raise BadRequest(400, "the request line is malformed")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header is malformed")
        headers.append((name, value.strip(" \t")))
    return parts[0], parts[1], parts[2], headers


async def read_body(reader, headers, fields):
    lengths = {value for name, value in headers if name.lower() == "content-length"}
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if lengths or coding.lower() != "chunked":
            raise BadRequest(400, "the length of the request is ambiguous")
        return await read_chunks(reader)
    if not lengths:
        return b""
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "the length of the request is malformed")
    if int(length) > BODY_MAX:
        raise BadRequest(413, "the request is too large")
    return await reader.readexactly(int(length))


async def read_chunks(reader):
    body = bytearray()
    while True:
        line = await read_line(reader)
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadRequest(400, "a chunk is malformed")
        size = int(digits, 16)
        if len(body) + size > BODY_MAX:
            raise BadRequest(413, "the request is too large")
        if size == 0:
            while await read_line(reader):
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise BadRequest(400, "a chunk is malformed")


async def read_line(reader):
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError:
        raise BadRequest(400, "a chunk is malformed") from None


def wire(answer, method, keep):
    """One write: head and body in two would wait for each other's acknowledgement."""
    lines = ["HTTP/1.1 %d Answer" % answer.status]
    lines.extend(name + ": " + value for name, value in answer.headers.items())
    lines.extend("set-cookie: " + cookie for cookie in answer.cookies)
    if method != "HEAD" and answer.status not in (204, 304):
        lines.append("content-length: %d" % len(answer.body))
    if not keep:
        lines.append("connection: close")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + answer.body


if __name__ == "__main__":
    PORT = os.environ.get("FUNCTIONS_CUSTOMHANDLER_PORT", "")
    if not PORT.isdigit():
        sys.exit("FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Azure Functions host starts this program")
    asyncio.run(Host().serve(int(PORT)))
