"""Writes an OpenAPI document of the part of Azure Resource Manager that an app and what stands around it need.

usage: arm_openapi.py OUT.json [OTHER.json]
       arm_openapi.py --account OUT.json

The second describes what only the environment of the az command line has a package for; the first adds that to its own.

It says what Azure's own Python clients know: their source tells each operation's method, URL, query and accepted statuses; their models
tell what bodies hold. So a checker that reads the document holds us against what Microsoft's clients would send and accept.
"""

import ast
import importlib
import json
import pathlib
import re
import sys

from arm_models import Schemas

SITE_PARTS = "|".join([
    r"config/((appsettings|connectionstrings)(/list)?|slotConfigNames|web|authsettingsV2(/list)?|configreferences/appsettings)",
    r"config/publishingcredentials/list|basicPublishingCredentialsPolicies(/\w+)?|publishxml",
    r"functions(/\{functionName\}(/listkeys)?)?|slots|slotsswap|applySlotConfig|resetSlotConfig|syncfunctiontriggers",
    r"hostNameBindings(/\{hostName\})?|host/default/(listkeys|sync|\{keyType\}/\{keyName\})|start|stop|restart",
    r"extensions/onedeploy|deployments|deploymentStatus/\{deploymentStatusId\}",
])

SITES = rf"sites(/\{{name\}}(/slots/\{{slot\}})?(/({SITE_PARTS}))?)?"

# What is described: a package, and a pattern on its URLs.
PARTS = [
    ("web", rf"/Microsoft\.Web/(serverfarms(/\{{name\}})?|{SITES}|geoRegions|checknameavailability)$"),
    ("web", r"^/providers/Microsoft\.Web/functionAppStacks$"),
    ("resource.resources", r"/(resourcegroups(/\{resourceGroupName\}(/resources)?)?|\{subscriptionId\}/resources|providers/Microsoft\.Resources/tags/default)$"),
    ("storage", r"Microsoft\.Storage/(checkNameAvailability|storageAccounts/\{accountName\}(/listKeys|/blobServices/default/containers/\{containerName\})?)$"),
    ("keyvault.v2023_07_01", r"Microsoft\.KeyVault/(locations/\{location\}/deletedVaults|vaults)/\{vaultName\}(/secrets/\{secretName\}|/purge)?$"),
    ("authorization.v2022_04_01", r"^/\{scope\}/providers/Microsoft\.Authorization/roleAssignments(/\{roleAssignmentName\})?$"),
    ("applicationinsights.v2020_02_02", r"Microsoft\.Insights/components/\{resourceName\}$"),
    ("apimanagement", r"Microsoft\.ApiManagement/service(/\{serviceName\}(/apis(/\{apiId\}(/operations(/\{operationId\})?|/policies/\{policyId\})?)?)?)?$"),
    ("monitor", r"(eventtypes/management/values|^/\{resourceUri\}/providers/Microsoft\.Insights/metrics)$"),
]

# The same of whoever signs in.
ACCOUNT = [
    ("resource.subscriptions.v2022_12_01", r"^/tenants$|^/subscriptions(/\{subscriptionId\}(/locations)?)?$"),
]

GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
RESOURCE = GROUP + "/providers/{namespace}/{type}/{name}"
CHILD = RESOURCE + "/{childType}/{childName}"

# A description cannot say "any path": these are the depths of what may stand there.
SCOPES = ["/subscriptions/{subscriptionId}", GROUP, RESOURCE, CHILD, CHILD + "/{grandchildType}/{grandchildName}"]


class Client:
    """One package: its source, and its models."""

    def __init__(self, path):
        package = importlib.import_module(f"azure.mgmt.{path}")
        self.name = "".join(part.capitalize() for part in path.split(".") if not re.match(r"v\d", part))
        self.models = importlib.import_module(f"{package.__name__}.models")
        self.annotations = {}
        if (pathlib.Path(package.__file__).parent / "models" / "_models.py").exists():
            self.annotations = vars(importlib.import_module(f"{package.__name__}.models._models"))
        sources = (pathlib.Path(package.__file__).parent / "operations").glob("*_operations.py")
        self.trees = [ast.parse(source.read_text()) for source in sorted(sources)]


def calls(node):
    return (found for found in ast.walk(node) if isinstance(found, ast.Call))


def called(call):
    """The last part of what is called: `self._deserialize` is `_deserialize`."""
    name = call.func
    return name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""


def texts(node):
    return [found.value for found in ast.walk(node) if isinstance(found, ast.Constant) and isinstance(found.value, str)]


def builder(function):
    """Method, URL template, query and version of a function that builds a request."""
    method = url = version = None
    query, optional = [], set()
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            optional.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(function):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "_url" and url is None:
            url = next((text for text in texts(node.value) if text.startswith("/")), None)
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == "_params":
            query.append((target.slice.value, id(node) not in optional))
    for call in calls(function):
        if called(call) == "HttpRequest":
            method = next(word.value.value for word in call.keywords if word.arg == "method")
        if called(call) == "pop" and texts(call)[:1] == ["api-version"]:
            version = texts(call)[1]
    return {"method": method, "url": url, "query": query, "version": version}


def model_names(node):
    """Names of models that an expression speaks of: `_models.Site`, `List[_models.Site]`."""
    attributes = (found for found in ast.walk(node) if isinstance(found, ast.Attribute))
    return [
        found.attr
        for found in attributes
        if isinstance(found.value, ast.Name) and found.value.id == "_models"
    ]


def answer_of(function, models):
    """The model of what comes back, and whether it is the item of a list."""
    for call in calls(function):
        if called(call) != "_deserialize" or not call.args:
            continue
        for name in model_names(call.args[0]) or texts(call.args[0]):
            if "Error" not in name and hasattr(models, name):
                return name, isinstance(call.args[0], ast.Subscript)
    return None


# By what an answer says where its end is told of.
LINKS = ("location", "azure-asyncoperation")


def links(node):
    """The links that a client reads: of which statuses, and of all of them where it asks for none."""
    found = []
    for inner in ast.iter_child_nodes(node):
        status = None
        if isinstance(inner, ast.If) and "status_code" in ast.dump(inner.test):
            numbers = [text.value for text in ast.walk(inner.test) if isinstance(text, ast.Constant)]
            status = numbers[0] if len(numbers) == 1 and isinstance(inner.test.ops[0], ast.Eq) else None
        target = inner.targets[0] if isinstance(inner, ast.Assign) else None
        if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == "response_headers":
            found.append((None, target.slice.value.lower()))
        found += [(status or of, name) for of, name in links(inner)]
    return [(status, name) for status, name in found if name in LINKS]


def operation(function, waits, models):
    """What a method of the client sends, and which answers it takes."""
    built = [called(call) for call in calls(function) if called(call).startswith("build_")]
    statuses = None
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.NotIn):
            if "status_code" in ast.dump(node.left):
                statuses = [status.value for status in node.comparators[0].elts]
    if not built or statuses is None:
        return None
    # What is waited for comes back in the end.
    answer = answer_of(function, models) or answer_of(waits.get(function.name, ast.Pass()), models)
    bodies = [
        name
        for argument in function.args.args + function.args.kwonlyargs
        if argument.annotation is not None
        for name in model_names(argument.annotation)
        if not hasattr(getattr(models, name, None), "__members__")
    ]
    body = bodies[0] if bodies else None
    return built[0], {"statuses": statuses, "answer": answer, "body": body, "links": links(function)}


def parameters(url, request):
    described = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", url)
    ]
    for name, required in request["query"]:
        schema = {"type": "string"}
        if name == "api-version":
            schema["enum"] = [request["version"]]
        described.append({"name": name, "in": "query", "required": required, "schema": schema})
    return described


def described(name, url, request, answer, sent, schemas):
    """One operation as OpenAPI."""
    result = {"operationId": name, "parameters": parameters(url, request), "responses": {}}
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
        read = {name for of, name in answer["links"] if of in (None, status)}
        response = {"description": "accepted by the client", "headers": link_headers(status, read)}
        if schema and status in (200, 201):
            response["content"] = {"application/json": {"schema": schema}}
        result["responses"][str(status)] = response
    result["responses"]["default"] = {"description": "a refusal", "content": REFUSAL}
    return result


def link_headers(status, read):
    """What no client reads must not be there: it would be followed to nowhere. What it reads must, unless 200 may say that all is done."""
    needed = status != 200 or len(read) == len(LINKS)
    link = {"required": needed, "schema": {"type": "string", "minLength": 1}}
    return {name: link if name in read else {"schema": {"type": "string", "maxLength": 0}} for name in LINKS}


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


def places(url):
    """The paths that a URL template stands for. One client writes `resourcegroups`, another `resourceGroups`: Azure takes either, and a
    checker does not, so that all are written small here, and are to be asked for so."""
    scope = re.match(r"/\{(scope|resourceUri)\}", url)
    urls = [scope_path + url[scope.end():] for scope_path in SCOPES] if scope else [url]
    return [re.sub(r"(?<=/)[^/{]+", lambda word: word[0].lower(), one) for one in urls]


def describe(client, pattern, paths, components):
    # A server may say more than its client knows; a client that does has misspelt something.
    sent, answered = Schemas(client, "Sent", True), Schemas(client, "", False)
    for tree in client.trees:
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        requests = {found.name: builder(found) for found in functions if found.name.startswith("build_")}
        for group in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            methods = [node for node in group.body if isinstance(node, ast.FunctionDef)]
            waits = {
                f"_{found.name.removeprefix('begin_')}_initial": found
                for found in methods
                if found.name.startswith("begin_")
            }
            for found in (operation(function, waits, client.models) for function in methods):
                request = requests.get(found[0]) if found else None
                if not request or not request["url"] or not re.search(pattern, request["url"]):
                    continue
                name = f"{client.name}.{group.name}.{found[0]}"
                for depth, url in enumerate(places(request["url"])):
                    one = described(f"{name}.{depth}", url, request, found[1], sent, answered)
                    paths.setdefault(url, {})[request["method"].lower()] = one
    components.update(sent.known)
    components.update(answered.known)


def document(parts):
    paths, components = {}, {}
    for path, pattern in parts:
        describe(Client(path), pattern, paths, components)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Azure Resource Manager as Azure's own clients know it", "version": "1"},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def main():
    is_account = sys.argv[1] == "--account"
    out, *others = sys.argv[1 + is_account:]
    written = document(ACCOUNT if is_account else PARTS)
    for other in map(json.loads, (pathlib.Path(other).read_text() for other in others)):
        written["paths"].update(other["paths"])
        written["components"]["schemas"].update(other["components"]["schemas"])
    pathlib.Path(out).write_text(json.dumps(written))
    operations = sum(len(methods) for methods in written["paths"].values())
    print(f"{operations} operations, {len(written['components']['schemas'])} schemas")


main()
