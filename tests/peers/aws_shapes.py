"""What AWS's own models of its services allow: botocore ships them. They tell shapes, not behaviour."""

import base64
import binascii
import json
import re
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel
from botocore.parsers import create_parser

NOT_IN_BODY = {"uri", "querystring", "header", "headers", "statusCode"}

# What AWS is known to answer beside its own model. DeleteFunction has two outcomes since it can be asynchronous; an invocation
# tells by its status how it was made.
STATUSES = {"DeleteFunction": {204}, "Invoke": {200, 202, 204}}

# Every service of AWS may refuse with these, so no operation lists them.
COMMON_ERRORS = {
    "ValidationException": 400,
    "RequestEntityTooLargeException": 413,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "SerializationException": 400,
}

# The same of services that take forms; those that speak JSON refuse with 400.
COMMON_ERRORS_OF_FORMS = {
    "ValidationError": 400,
    "Throttling": 400,
    "AccessDenied": 403,
    "ExpiredToken": 403,
    "InternalFailure": 500,
    "InvalidAction": 400,
    "ServiceUnavailable": 503,
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
        parts = re.split(r"{(\w+\+?)}", path.rstrip("/"))
        # Every second part is the name of a placeholder.
        named = [placeholder(part) if at % 2 else re.escape(part) for at, part in enumerate(parts)]
        self.path = re.compile("".join(named) + "/?")

    def match(self, method, path, query):
        wanted = {name for name, _ in parse_qsl(self.query, keep_blank_values=True)}
        found = self.path.fullmatch(path) if method == self.method else None
        return found if found and wanted <= query.keys() else None


def placeholder(name):
    """One that ends with a plus goes on over slashes."""
    return f"(?P<{name[:-1]}>.+)" if name.endswith("+") else f"(?P<{name}>[^/]+)"


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
        shapes = [error["shape"] for error in operation.told.get("errors", [])]
        errors = {shape: self.shapes[shape].get("error", {}) for shape in shapes}
        faults = {shape for shape in shapes if self.shapes[shape].get("fault")}
        # SQS still answers with the codes of its first protocol.
        codes = {error.get("code", name): error for name, error in errors.items()} | errors
        if kind not in codes and kind not in COMMON_ERRORS:
            yield f"refusal {status}: {kind or 'nothing'} is no error of {operation.name}"
        elif status != codes.get(kind, {}).get("httpStatusCode", 500 if kind in faults else 400):
            yield f"refusal: {kind} with status {status}"
        yield from self.message(status, told)

    def check_json(self, name, sent, status, body):
        operation = self.named(name)
        if operation is None:
            return None, unknown_operation(name, status, 400, read(body).get("__type")), {}
        faults = []
        if status < 300:
            faults += self.body(operation.told["input"]["shape"], sent, "request")
        if status >= 300:
            faults += self.json_refusal(operation, status, body)
        elif status != 200:
            faults.append(f"answer: status {status}")
        elif "output" in operation.told:
            faults += self.body(operation.told["output"]["shape"], body, "answer")
        elif body not in (b"", b"{}"):
            faults.append(f"answer: the model knows no content, and there is {body[:80]!r}")
        return operation.name, faults, read(sent)

    def check(self, method, target, headers, sent, status, answered, body):
        split = urlsplit(target)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        operation, uri = self.find(method, split.path, query)
        if operation is None:
            kind = answered.get("x-amzn-errortype")
            return None, unknown_operation(f"{method} {split.path}", status, 404, kind), {}
        faults = list(self.request(operation, uri, query, headers, sent)) if status < 300 else []
        faults += self.answer(operation, status, answered, body)
        return operation.name, faults, read(sent) | uri


def unknown_operation(name, status, wanted, kind):
    """AWS says so, too."""
    is_refused = status == wanted and kind == "UnknownOperationException"
    return [] if is_refused else [f"{name}: no such operation"]


class Objects(Model):
    """S3: paths and XML."""

    def __init__(self, told):
        super().__init__(told)
        self.model = ServiceModel(told)
        # Of two for one path the deprecated one is not meant, and the one that asks for more is.
        current = [it for it in self.operations if not it.told.get("deprecated")]
        self.operations = sorted(current, key=lambda it: (-len(it.query), -len(self.needed(it))))

    def needed(self, operation):
        """What must stand beside the path."""
        shape = self.shapes[operation.told["input"]["shape"]] if "input" in operation.told else {}
        members = [shape["members"][name] for name in shape.get("required", [])]
        return {it["locationName"].lower() for it in members if it.get("location") in ("querystring", "header")}

    def check(self, method, target, headers, sent, status, answered, body):
        split = urlsplit(target)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        given = {name.lower() for name in query} | headers.keys()
        meant = (it for it in self.operations if it.match(method, split.path, query) and self.needed(it) <= given)
        operation = next(meant, None)
        if operation is None:
            return None, [f"{method} {target}: no such operation"], split.path
        faults = []
        told = self.model.operation_model(operation.name)
        if status < 300:
            faults += unknown_in_payload(told.input_shape, sent, "request")
            allowed = operation.told["http"].get("responseCode", 200)
            if status != allowed:
                faults.append(f"answer: status {status}, and the model says {allowed}")
        # Of S3's errors the model knows few.
        parsed, more = parsed_xml("rest-xml", told, status, answered, body)
        faults += more or (words(status, parsed["Error"]) if status >= 300 else [])
        return operation.name, faults, split.path


class Forms:
    """A service that takes forms and answers in XML."""

    def __init__(self, told):
        self.model = ServiceModel(told)

    def check(self, sent, status, answered, body):
        asked = dict(parse_qsl(sent, keep_blank_values=True))
        name = asked.pop("Action", None)
        if name not in self.model.operation_names:
            return None, [f"{name}: no such operation"], {}
        operation = self.model.operation_model(name)
        parsed, faults = parsed_xml("query", operation, status, answered, body)
        if status >= 300:
            return name, faults or list(self.refusal(operation, status, parsed["Error"])), asked
        members = {key.partition(".")[0] for key in asked} - {"Version"}
        shape = operation.input_shape
        known, required = (set(shape.members), shape.required_members) if shape else (set(), [])
        faults += [f"request.{it}: the model knows no such member" for it in sorted(members - known)]
        faults += [f"request.{it}: is missing" for it in required if it not in members]
        return name, faults, asked

    def refusal(self, operation, status, told):
        errors = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes}
        known = {**COMMON_ERRORS_OF_FORMS, **errors}
        code = told.get("Code")
        if code not in known:
            yield f"refusal {status}: {code} is no error of {operation.name}"
        elif known[code] != status:
            yield f"refusal: {code} with status {status}"
        yield from words(status, told)


def words(status, told):
    for name in ("Code", "Message"):
        if not told.get(name):
            yield f"refusal {status}: has no {name.lower()}"


# --- XML ---


def parsed_xml(protocol, operation, status, headers, body):
    """An answer as the vendor's own parser reads it, and its faults: also what that parser would pass over."""
    shape = operation.output_shape
    told = {"body": body, "headers": HeadersDict(headers), "status_code": status}
    try:
        parsed = create_parser(protocol).parse(told, shape)
        if status >= 300:
            return parsed, []
        faults = list(value_faults(shape, parsed, "answer")) if shape else []
        return parsed, faults + list(unknown_in_payload(shape, body, "answer"))
    except Exception as fault:
        return {}, [f"answer: cannot be read: {fault}"]


def value_faults(shape, value, at):
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{at}.{name}: is missing"
        for name, member in shape.members.items():
            if name in value:
                yield from value_faults(member, value[name], f"{at}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from value_faults(shape.member, one, f"{at}[]")
    elif shape.type_name == "map":
        for key, one in value.items():
            yield from value_faults(shape.key, key, f"{at} (a key)")
            yield from value_faults(shape.value, one, f"{at}.{key}")
    elif shape.type_name not in ("blob", "timestamp"):
        # Blobs and times could be read.
        yield from plain_faults(value, shape.type_name, shape.metadata, at)


def unknown_in_payload(shape, text, at):
    """Elements that no member stands for."""
    if shape is None or not text:
        return
    if "payload" in shape.serialization:
        shape = shape.members[shape.serialization["payload"]]
    if shape.type_name != "structure":
        return
    root = ElementTree.fromstring(text)
    wrapper = shape.serialization.get("resultWrapper")
    if wrapper:
        root = next((it for it in root if tag(it) == wrapper), root)
    yield from unknown_elements(shape, root, at)


def unknown_elements(shape, element, at):
    if shape.type_name == "structure":
        members = {element_name(name, member): member for name, member in shape.members.items()}
        for child in element:
            name, member = tag(child), members.get(tag(child))
            if member is None:
                yield f"{at}.{name}: the model knows no such member"
            elif is_flat(member) and member.type_name == "list":
                yield from unknown_elements(member.member, child, f"{at}.{name}")
            else:
                yield from unknown_elements(member, child, f"{at}.{name}")
    elif shape.type_name == "list":
        wanted = shape.member.serialization.get("name", "member")
        for child in element:
            if tag(child) != wanted:
                yield f"{at}.{tag(child)}: the model says {wanted}"
            yield from unknown_elements(shape.member, child, f"{at}[]")
    elif len(element) and shape.type_name != "map":
        yield f"{at}: has elements, and the model says {shape.type_name}"


def element_name(name, member):
    if is_flat(member) and member.type_name == "list":
        name = member.member.serialization.get("name", name)
    return member.serialization.get("name", name)


def is_flat(shape):
    return shape.serialization.get("flattened")


def tag(element):
    """Without its namespace."""
    return element.tag.rpartition("}")[2]


# --- plain values ---


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
    elif kind == "timestamp" and not isinstance(value, str if shape.get("timestampFormat") == "iso8601" else (int, float)):
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
