"""Stands between a client and an endpoint of AWS, and holds both against the models that AWS ships with its own client.

usage: python aws_model.py UPSTREAM [POLICY]

Listens on a free port of loopback and prints its address. Then prints one line of JSON for each call: the service, the operation,
what it is about, the status, and what the model does not allow. Needs botocore. It checks shapes, not behaviour. With a file of an IAM
policy, what that does not allow goes no further, and is refused as AWS would; that needs moto.

Knows Lambda, the services that speak JSON with the operation in a header: SQS, EventBridge, CloudWatch Logs, and IAM, SNS and
CloudFormation, which take forms. Of S3 and CloudWatch it knows which operation is asked for, and no more.
"""

import base64
import binascii
import http.client
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

NOT_IN_BODY = {"uri", "querystring", "header", "headers", "statusCode"}

# What AWS is known to answer beside its own model. DeleteFunction has two outcomes since it can be asynchronous; an invocation
# tells by its status how it was made.
STATUSES = {"DeleteFunction": {204}, "Invoke": {200, 202, 204}}

# Where the model lies, by the name that requests are signed with.
SERVICES = {"lambda": "lambda", "sqs": "sqs", "events": "events", "logs": "logs", "cloudtrail": "cloudtrail"}

# By the start of the header that names an operation.
TARGETS = {
    "AmazonSQS": "sqs",
    "AWSEvents": "events",
    "Logs_20140328": "logs",
    "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail",
}

# What a call is about, by the name of a member.
ABOUT = ("FunctionName", "Resource", "Rule", "Name", "QueueName", "logGroupName", "resourceArn", "UUID")

# What a call of a service that takes forms is about.
ABOUT_FORMS = ("RoleName", "TopicArn", "SubscriptionArn")

# Every service of AWS may refuse with these, so no operation lists them.
COMMON_ERRORS = {
    "ValidationException": 400,
    "RequestEntityTooLargeException": 413,
    "AccessDeniedException": 403,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "SerializationException": 400,
}

# Classes of characters as the model writes them, and as Python does.
CLASSES = {r"\p{L}": r"\w", r"\p{Z}": r"\s", r"\p{N}": r"\d"}

NUMBERS = {"integer", "long", "float", "double"}


class Operation:
    """One operation of the model, and which requests are meant for it."""

    def __init__(self, name, told):
        self.name, self.told = name, told
        self.method = told["http"]["method"]
        path, _, self.query = told["http"]["requestUri"].partition("?")
        parts = re.split(r"{(\w+)\+?}", path.rstrip("/"))
        # Every second part is the name of a placeholder.
        named = [f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
        self.path = re.compile("".join(named) + "/?")

    def match(self, method, path, query):
        wanted = {name for name, _ in parse_qsl(self.query, keep_blank_values=True)}
        found = self.path.fullmatch(path) if method == self.method else None
        return found if found and wanted <= query.keys() else None


class Model:
    def __init__(self, told):
        self.shapes = told["shapes"]
        self.is_json = told["metadata"]["protocol"] == "json"
        self.operations = [Operation(name, one) for name, one in told["operations"].items()]
        # Of two that match, the one that asks for more is meant.
        self.operations.sort(key=lambda operation: -len(operation.query))

    def named(self, name):
        return next((operation for operation in self.operations if operation.name == name), None)

    def find(self, method, path, query):
        for operation in self.operations:
            found = operation.match(method, path, query)
            if found:
                return operation, {name: unquote(value) for name, value in found.groupdict().items()}
        return None, {}

    # --- values ---

    def faults(self, value, name, at):
        """What a value has that its shape does not allow."""
        shape = self.shapes[name]
        kind = shape["type"]
        if value is None:
            return
        if kind == "structure":
            yield from self.structure(value, shape, at)
        elif kind == "list":
            if not isinstance(value, list):
                yield f"{at}: {value!r} is no list"
                return
            for index, one in enumerate(value):
                yield from self.faults(one, shape["member"]["shape"], f"{at}[{index}]")
        elif kind == "map":
            if not isinstance(value, dict):
                yield f"{at}: {value!r} is no map"
                return
            for key, one in value.items():
                yield from self.faults(key, shape["key"]["shape"], f"{at} (a key)")
                yield from self.faults(one, shape["value"]["shape"], f"{at}.{key}")
        else:
            yield from plain_faults(value, kind, shape, at)

    def structure(self, value, shape, at):
        if not isinstance(value, dict):
            yield f"{at}: {value!r} is no structure"
            return
        members = {
            member.get("locationName", name): member["shape"]
            for name, member in shape["members"].items()
            if member.get("location") not in NOT_IN_BODY
        }
        for name in shape.get("required", []):
            member = shape["members"][name]
            if member.get("location") not in NOT_IN_BODY and member.get("locationName", name) not in value:
                yield f"{at}.{name}: is missing"
        for name, one in value.items():
            if name in members:
                yield from self.faults(one, members[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}: the model knows no such member"

    # --- messages ---

    def placed(self, shape, where, given, at):
        """Members that do not travel in the body, from `given`: their texts by name."""
        for name, member in self.shapes[shape]["members"].items():
            if member.get("location") != where:
                continue
            there = member["locationName"]
            text = given.get(there.lower() if where == "header" else there)
            if text is None:
                if name in self.shapes[shape].get("required", []):
                    yield f"{at}.{name}: is missing"
                continue
            yield from self.faults(self.read(text, member["shape"]), member["shape"], f"{at}.{name}")

    def read(self, text, shape):
        kind = self.shapes[shape]["type"]
        if kind in NUMBERS and re.fullmatch(r"-?\d+(\.\d+)?", text):
            return float(text) if "." in text else int(text)
        if kind == "boolean" and text in ("true", "false"):
            return text == "true"
        if kind == "list":
            return [text]
        return text

    def body(self, shape, text, at):
        if "payload" in self.shapes[shape]:
            return
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            yield f"{at}: is no JSON"
            return
        yield from self.faults(value, shape, at)

    def request(self, operation, uri, query, headers, text):
        if "input" not in operation.told:
            return
        shape = operation.told["input"]["shape"]
        yield from self.placed(shape, "uri", uri, "request")
        yield from self.placed(shape, "querystring", query, "request")
        yield from self.placed(shape, "header", headers, "request")
        yield from self.body(shape, text, "request")

    def answer(self, operation, status, headers, text):
        if status >= 300:
            yield from self.refusal(operation, status, headers, text)
            return
        allowed = STATUSES.get(operation.name, {operation.told["http"].get("responseCode", 200)})
        if status not in allowed:
            yield f"answer: status {status}, and the model says {sorted(allowed)}"
        if "output" in operation.told:
            shape = operation.told["output"]["shape"]
            yield from self.placed(shape, "header", headers, "answer")
            yield from self.body(shape, text, "answer")
        elif text:
            yield f"answer: the model knows no content, and there is {text[:80]!r}"

    def refusal(self, operation, status, headers, text):
        kind = headers.get("x-amzn-errortype", "").split(":")[0]
        errors = {
            error["shape"]: self.shapes[error["shape"]].get("error", {}).get("httpStatusCode")
            for error in operation.told.get("errors", [])
        }
        known = {**COMMON_ERRORS, **errors}
        if not kind:
            yield f"refusal {status}: no x-amzn-errortype"
        elif kind not in known:
            yield f"refusal {status}: {kind} is no error of {operation.name}"
        elif known[kind] != status:
            yield f"refusal: {kind} with status {status}, and the model says {known[kind]}"
        try:
            told = json.loads(text)
        except ValueError:
            yield f"refusal {status}: is no JSON"
            return
        yield from self.message(status, told)

    def message(self, status, told):
        # AWS writes some messages with a capital letter.
        if not isinstance(told, dict) or not (told.get("message") or told.get("Message")):
            yield f"refusal {status}: has no message"

    def json_refusal(self, operation, status, text):
        """Of a service that names its operations in a header."""
        try:
            told = json.loads(text)
        except ValueError:
            yield f"refusal {status}: is no JSON"
            return
        kind = str(told.get("__type", "")).rsplit("#")[-1]
        errors = {error["shape"]: self.shapes[error["shape"]].get("error", {}) for error in operation.told.get("errors", [])}
        # SQS still answers with the codes of its first protocol.
        codes = {error.get("code", name): error for name, error in errors.items()} | errors
        if kind not in codes and kind not in COMMON_ERRORS:
            yield f"refusal {status}: {kind or 'nothing'} is no error of {operation.name}"
        elif status != codes.get(kind, {}).get("httpStatusCode", COMMON_ERRORS.get(kind, 400)):
            yield f"refusal: {kind} with status {status}"
        yield from self.message(status, told)

    def check_json(self, name, sent, status, body):
        operation = self.named(name)
        if operation is None:
            return None, [f"{name}: no such operation"], {}
        faults = []
        if status < 300:
            faults += self.body(operation.told["input"]["shape"], sent, "request")
        if status >= 300:
            faults += self.json_refusal(operation, status, body)
        elif "output" in operation.told:
            faults += self.body(operation.told["output"]["shape"], body, "answer")
        return operation.name, faults, read(sent)

    def check(self, method, target, headers, sent, status, answered, body):
        split = urlsplit(target)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        operation, uri = self.find(method, split.path, query)
        if operation is None:
            return None, [f"{method} {split.path}: no such operation"], {}
        faults = list(self.request(operation, uri, query, headers, sent)) if status < 300 else []
        faults += self.answer(operation, status, answered, body)
        return operation.name, faults, read(sent) | uri


class Forms:
    """A service that takes forms and answers in XML, as far as the vendor's own parser tells what it finds."""

    def __init__(self, told):
        self.model = ServiceModel(told)
        self.parser = create_parser("query")

    def check(self, sent, status, answered, body):
        asked = dict(parse_qsl(sent, keep_blank_values=True))
        name = asked.pop("Action", None)
        if name not in self.model.operation_names:
            return None, [f"{name}: no such operation"], {}
        operation = self.model.operation_model(name)
        shape = operation.input_shape
        members = {key.partition(".")[0] for key in asked} - {"Version"}
        faults = [f"request.{it}: the model knows no such member" for it in sorted(members - set(shape.members))]
        faults += [f"request.{it}: is missing" for it in shape.required_members if it not in members]
        if status == 599:
            return name, [], asked
        told = {"body": body.encode(), "headers": answered, "status_code": status}
        parsed = self.parser.parse(told, operation.output_shape)
        if status >= 300:
            faults += self.refusal(operation, status, parsed["Error"])
        elif operation.output_shape is not None:
            faults += missing(operation.output_shape, parsed, "answer")
        return name, faults, asked

    def refusal(self, operation, status, told):
        errors = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes}
        code = told.get("Code")
        if code not in errors and code not in ("ValidationError", "Throttling", "AccessDenied"):
            yield f"refusal {status}: {code} is no error of {operation.name}"
        elif errors.get(code, status) != status:
            yield f"refusal: {code} with status {status}"
        if not told.get("Message"):
            yield f"refusal {status}: has no message"


def missing(shape, value, at):
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{at}.{name}: is missing"
        for name, member in shape.members.items():
            if name in value:
                yield from missing(member, value[name], f"{at}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from missing(shape.member, one, f"{at}[]")


class Models:
    """All models, and which of them a call is held against."""

    def __init__(self):
        load = Loader().load_service_model
        self.models = {name: Model(load(where, "service-2")) for name, where in SERVICES.items()}
        self.forms = {name: Forms(load(name, "service-2")) for name in ("iam", "sns", "cloudformation")}

    def check(self, method, target, headers, sent, status, answered, body):
        """The service, the operation, its faults, and what it is about."""
        scope = re.search(r"Credential=[^/]*/[^/]*/[^/]*/(\w+)/", headers.get("authorization", ""))
        start, _, name = headers.get("x-amz-target", "").rpartition(".")
        service = TARGETS.get(start) or (scope.group(1) if scope else "lambda")
        if service == "s3":
            split = urlsplit(target)
            if "notification" in split.query:
                return service, method.capitalize() + "BucketNotificationConfiguration", [], split.path
            return service, {"PUT": "PutObject", "HEAD": "HeadObject"}.get(method), [], split.path
        if service == "monitoring":
            return service, name or urlsplit(target).path.rpartition("/")[2], [], None
        if service in self.forms:
            operation, faults, asked_of = self.forms[service].check(sent.decode(), status, answered, body.decode())
            return service, operation, faults, next((asked_of[name] for name in ABOUT_FORMS if name in asked_of), None)
        model = self.models[service]
        if model.is_json:
            operation, faults, named = model.check_json(name, sent, status, body)
        else:
            operation, faults, named = model.check(method, target, headers, sent, status, answered, body)
        about = next((named[name] for name in ABOUT if name in named), None)
        return service, operation, faults, about


def read(text):
    """A structure, where it is one."""
    try:
        told = json.loads(text) if text else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def plain_faults(value, kind, shape, at):
    if kind in ("string", "character"):
        if not isinstance(value, str):
            yield f"{at}: {value!r} is no text"
        elif "enum" in shape and value not in shape["enum"]:
            yield f"{at}: {value!r} is none of the known words"
        elif "pattern" in shape and not re.fullmatch(pattern(shape), value):
            yield f"{at}: {value!r} does not match {shape['pattern']}"
        else:
            yield from size_faults(len(value), shape, at)
    elif kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{at}: {value!r} is no number"
        else:
            yield from size_faults(value, shape, at)
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{at}: {value!r} is neither true nor false"
    elif kind == "timestamp" and not isinstance(value, (str, int, float)):
        yield f"{at}: {value!r} is no time"
    elif kind == "blob":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            yield f"{at}: is no base64"


def pattern(shape):
    told = shape["pattern"]
    for theirs, ours in CLASSES.items():
        told = told.replace(theirs, ours)
    return told


def size_faults(size, shape, at):
    if size < shape.get("min", size) or size > shape.get("max", size):
        yield f"{at}: {size} is outside {shape.get('min')}..{shape.get('max')}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write, and no waiting for more: a proxy must not make calls slow.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    models, upstream, guard, refusal_of, printing = None, None, None, None, threading.Lock()

    def log_message(self, *_):
        pass

    def pass_on(self):
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        service = operation = None
        if self.guard:
            service, operation, refusal = self.judged(sent)
            if refusal:
                self.refuse(*refusal)
                return
        way = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=120)
        hop = ("connection", "expect", "content-length", "host")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        way.request(self.command, self.path, sent, headers)
        answer = way.getresponse()
        body = answer.read()
        way.close()
        if self.guard:
            self.guard.learn(service, operation, sent, answer.status, body)
        self.report(sent, answer, body)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def judged(self, sent):
        """The service, the operation, and the answer where the policy does not allow the call."""
        asked = {name.lower(): value for name, value in self.headers.items()}
        # As if it had been refused already: then no answer is held against the model.
        service, operation, _, about = self.models.check(self.command, self.path, asked, sent, 599, {}, b"")
        found = self.guard.refusal(service, operation, sent, self.path, about)
        return service, operation, found and self.refusal_of(service, *found)

    def refuse(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode() if self.command != "HEAD" else b"")
        self.wfile.flush()

    def report(self, sent, answer, body):
        asked = {name.lower(): value for name, value in self.headers.items()}
        answered = {name.lower(): value for name, value in answer.getheaders()}
        service, operation, faults, about = self.models.check(
            self.command, self.path, asked, sent, answer.status, answered, body
        )
        line = {"service": service, "operation": operation, "about": about, "status": answer.status, "faults": faults}
        with self.printing:
            print(json.dumps(line), flush=True)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = pass_on


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    upstream, *policy = sys.argv[1:]
    Handler.upstream = urlsplit(upstream)
    Handler.models = Models()
    for path in policy:
        # Only who asks for it waits for moto.
        import iam_guard

        Handler.refusal_of = staticmethod(iam_guard.answer)
        with open(path) as file:
            Handler.guard = iam_guard.Guard(json.load(file)["Statement"])
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


main()
