"""Writes an OpenAPI document of a part of Microsoft.Web, as Azure's own Python client knows it.

usage: arm_openapi.py PATTERN OUT.json      PATTERN is a regular expression on URL templates

The client's source tells each operation's method, URL, query and accepted statuses; its models tell what bodies hold. So a checker
that reads the document holds us against what Microsoft's client would send and accept.
"""

import ast
import datetime
import enum
import inspect
import json
import pathlib
import re
import sys
import typing

import azure.mgmt.web as web
from azure.mgmt.web import models
from azure.mgmt.web.models import _models
from azure.mgmt.web._utils.model_base import Model

API_VERSION = "2025-05-01"
PLAIN = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    bytes: "string",
    datetime.datetime: "string",
}


def calls(node):
    return (found for found in ast.walk(node) if isinstance(found, ast.Call))


def called(call):
    return call.func.id if isinstance(call.func, ast.Name) else ""


def builder(function):
    """Method, URL template and query of a function that builds a request."""
    method = url = None
    query, optional = [], set()
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            optional.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == "_url" and isinstance(node.value, ast.Constant):
                url = node.value.value
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0]
            if isinstance(target.value, ast.Name) and target.value.id == "_params":
                query.append((target.slice.value, id(node) not in optional))
    for call in calls(function):
        if called(call) == "HttpRequest":
            method = next(word.value.value for word in call.keywords if word.arg == "method")
    return {"method": method, "url": url, "query": query}


def model_names(node):
    """Names of models that an expression speaks of: `_models.Site`, `List[_models.Site]`."""
    attributes = (found for found in ast.walk(node) if isinstance(found, ast.Attribute))
    return [
        found.attr
        for found in attributes
        if isinstance(found.value, ast.Name) and found.value.id == "_models"
    ]


def operation(function):
    """What a method of the client sends, and which answers it takes."""
    built = [called(call) for call in calls(function) if called(call).startswith("build_")]
    statuses = None
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.NotIn):
            if "status_code" in ast.dump(node.left):
                statuses = [status.value for status in node.comparators[0].elts]
    if not built or statuses is None:
        return None
    answers = [
        (name, isinstance(call.args[0], ast.Subscript))
        for call in calls(function)
        if called(call) == "_deserialize" and call.args
        for name in model_names(call.args[0])
        if "Error" not in name
    ]
    bodies = [
        name
        for argument in function.args.args + function.args.kwonlyargs
        if argument.annotation is not None
        for name in model_names(argument.annotation)
    ]
    return built[0], {
        "statuses": statuses,
        "answer": answers[0] if answers else None,
        "body": bodies[0] if bodies else None,
    }


class Schemas:
    """Models as they are spoken of, each once. Closed ones hold what the client knows and nothing else."""

    def __init__(self, prefix, is_closed):
        self.prefix, self.is_closed = prefix, is_closed
        self.known = {}
        classes = vars(models).items()
        self.classes = {
            name: found
            for name, found in classes
            if inspect.isclass(found) and issubclass(found, Model)
        }
        self.names = {**vars(_models), "_models": models, "datetime": datetime}

    def of(self, name):
        key = f"{self.prefix}{name}"
        if key not in self.known:
            self.known[key] = {}
            self.known[key] = self.build(self.classes[name])
        return {"$ref": f"#/components/schemas/{key}"}

    def build(self, found):
        found.__new__(found)  # fills in the table of fields
        hints = typing.get_type_hints(found, self.names)
        properties, required = {}, []
        for attribute, field in found._attr_to_rest_field.items():
            schema = self.kind(hints[attribute])
            name = field._rest_name
            if type(None) not in typing.get_args(hints[attribute]) and field._visibility != ["read"]:
                required.append(name)
            properties[name] = or_null(schema)
        schema = {"type": "object", "properties": properties}
        if self.is_closed:
            schema["additionalProperties"] = False
        return {**schema, "required": required} if required else schema

    def kind(self, hint):
        arguments = [word for word in typing.get_args(hint) if word is not type(None)]
        origin = typing.get_origin(hint)
        if origin is typing.Union:
            enums = [word for word in arguments if inspect.isclass(word) and issubclass(word, enum.Enum)]
            return {"type": "string"} if enums else self.kind(arguments[0])
        if origin is list:
            return {"type": "array", "items": self.kind(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.kind(arguments[1])}
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if isinstance(hint, str):
            name = hint.split(".")[-1]
            return self.of(name) if name in self.classes else {}
        if inspect.isclass(hint) and issubclass(hint, Model):
            return self.of(hint.__name__)
        if inspect.isclass(hint) and issubclass(hint, enum.Enum):
            return {"type": "string"}
        return {"type": PLAIN[hint]} if hint in PLAIN else {}


def or_null(schema):
    """Azure sends null for what it leaves out, and its client takes it so. Beside a reference nothing else counts."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "object", "maxProperties": 0, "nullable": True}]}
    return {**schema, "nullable": True}


def parameters(request):
    in_path = re.findall(r"{(\w+)}", request["url"])
    described = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in in_path
    ]
    for name, required in request["query"]:
        schema = {"type": "string"}
        if name == "api-version":
            schema["enum"] = [API_VERSION]
        described.append({"name": name, "in": "query", "required": required, "schema": schema})
    return described


def described(name, request, answer, sent, schemas):
    """One operation as OpenAPI."""
    result = {"operationId": name, "parameters": parameters(request), "responses": {}}
    if answer["body"] and request["method"] in ("PUT", "PATCH", "POST"):
        content = {"application/json": {"schema": sent.of(answer["body"])}}
        result["requestBody"] = {"required": True, "content": content}
    schema = None
    if answer["answer"]:
        model, is_list = answer["answer"]
        schema = schemas.of(model)
        if is_list:
            value = {"type": "array", "items": schema}
            schema = {"type": "object", "properties": {"value": value}, "required": ["value"]}
    elif answer["body"] and request["method"] == "PUT":
        schema = schemas.of(answer["body"])
    for status in answer["statuses"]:
        response = {"description": "accepted by the client"}
        if schema and status in (200, 201):
            response["content"] = {"application/json": {"schema": schema}}
        result["responses"][str(status)] = response
    result["responses"]["default"] = {"description": "a refusal", "content": REFUSAL}
    return result


REFUSAL = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                    "required": ["code", "message"],
                }
            },
            "required": ["error"],
        }
    }
}


def document(pattern):
    source = pathlib.Path(web.__file__).parent / "operations" / "_operations.py"
    tree = ast.parse(source.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    requests = {
        function.name: builder(function)
        for function in functions
        if function.name.startswith("build_")
    }
    # A server may say more than its client knows; a client that does has misspelt something.
    sent, answered, paths = Schemas("Sent", True), Schemas("", False), {}
    for group in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for function in (node for node in group.body if isinstance(node, ast.FunctionDef)):
            found = operation(function)
            if found is None:
                continue
            name, answer = found
            request = requests[name]
            if request["url"] and re.search(pattern, request["url"]):
                operations = paths.setdefault(request["url"], {})
                operations[request["method"].lower()] = described(
                    name, request, answer, sent, answered
                )
    return {
        "openapi": "3.0.3",
        "info": {"title": "Microsoft.Web as azure-mgmt-web knows it", "version": API_VERSION},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": {**sent.known, **answered.known},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def main():
    pattern, out = sys.argv[1:]
    written = document(pattern)
    pathlib.Path(out).write_text(json.dumps(written))
    operations = sum(len(methods) for methods in written["paths"].values())
    print(f"{operations} operations, {len(written['components']['schemas'])} schemas")


main()
