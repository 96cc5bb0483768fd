"""Lets through what an IAM policy allows, as AWS would: actions, resources and conditions of each call, and what a call needs besides.

moto judges actions and resources; conditions are judged here, by the few words that our policy uses. A role that nobody made has no path, so
that who may only ask below one is refused: the real IAM does so, too.
"""

import fnmatch
import json
from urllib.parse import parse_qsl, unquote, urlsplit

from moto.iam.access_control import IAMPolicy, PermissionResult

PLACE = "eu-west-1:123456789012"
IAM = "arn:aws:iam::123456789012"
LISTS = {"ListFunctions", "ListEventSourceMappings", "DescribeLogGroups", "ListRoles"}
ROLES = ("CreateFunction", "UpdateFunctionConfiguration")


class Guard:
    def __init__(self, statements):
        self.statements = statements
        # Where each role is that was made, and what each mapping calls.
        self.roles, self.mappings = {}, {}

    def refusal(self, service, operation, sent, target, about):
        """The first action that is not allowed, and on what."""
        for action, resource, context in self.needed(service, operation, sent, target, about or ""):
            if not self.allows(action, resource, context):
                return action, resource
        return None

    def allows(self, action, resource, context):
        met = [plain(one) for one in self.statements if is_met(one.get("Condition", {}), context)]
        policy = IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": met}))
        return policy.is_action_permitted(action, resource) is PermissionResult.PERMITTED

    def needed(self, service, operation, sent, target, about):
        path = unquote(urlsplit(target).path).lstrip("/")
        if service == "s3":
            operation = {"HeadObject": "GetObject"}.get(operation, operation).removesuffix("Configuration")
            yield f"s3:{operation}", f"arn:aws:s3:::{path}", {}
        elif service == "monitoring":
            yield f"cloudwatch:{operation}", "*", {}
        elif service == "iam":
            yield from self.of_role(operation, dict(parse_qsl(sent.decode())))
        elif service == "lambda":
            yield from self.of_function(operation, told(sent), path, about)
        else:
            yield f"{service}:{operation}", of_other(service, operation, about), {}
            body = told(sent)
            if body.get("Tags") or body.get("tags"):
                yield f"{service}:TagResource", of_other(service, operation, about), {}

    def of_role(self, operation, form):
        if operation in LISTS:
            yield f"iam:{operation}", "*", {}
            return
        name = form["RoleName"]
        made = {**self.roles, **({name: form.get("Path", "/")} if operation == "CreateRole" else {})}
        resource = f"{IAM}:role{made[name]}{name}" if name in made else f"role {name}"
        yield f"iam:{operation}", resource, {}
        if any(key.startswith("Tags.") for key in form):
            yield "iam:TagRole", resource, {}

    def of_function(self, operation, body, path, about):
        action = "lambda:" + {"Invoke": "InvokeFunction"}.get(operation, operation)
        name = about.split(":function:")[-1].split(":")[0]
        function = f"arn:aws:lambda:{PLACE}:function:{name}"
        if operation in LISTS:
            yield action, "*", {}
        elif operation == "CreateEventSourceMapping":
            called = body["FunctionName"].split(":function:")[-1].split(":")[0]
            yield action, "*", {"lambda:FunctionArn": f"arn:aws:lambda:{PLACE}:function:{called}"}
            tags = {f"aws:RequestTag/{name}": value for name, value in body.get("Tags", {}).items()}
            if tags:
                yield "lambda:TagResource", f"arn:aws:lambda:{PLACE}:event-source-mapping:new", tags
        elif operation.endswith("EventSourceMapping"):
            mapping = path.rstrip("/").split("/")[-1]
            yield action, f"arn:aws:lambda:{PLACE}:event-source-mapping:{mapping}", {"lambda:FunctionArn": self.mappings.get(mapping, "")}
        else:
            yield action, function, {}
        if operation in ROLES and "Role" in body:
            yield "iam:PassRole", body["Role"], {"iam:PassedToService": "lambda.amazonaws.com"}

    def learn(self, service, operation, sent, status, answered):
        """What there is since a call that succeeded."""
        if status >= 300:
            return
        if service == "iam" and operation in ("CreateRole", "DeleteRole"):
            form = dict(parse_qsl(sent.decode()))
            self.roles.pop(form["RoleName"], None)
            if operation == "CreateRole":
                self.roles[form["RoleName"]] = form.get("Path", "/")
        for one in told(answered).get("EventSourceMappings", [told(answered)]) if service == "lambda" else []:
            if one.get("UUID"):
                self.mappings[one["UUID"]] = one.get("FunctionArn", "")


def of_other(service, operation, about):
    if service == "sns":
        return about if operation in ("ListSubscriptionsByTopic", "Subscribe") else "*"
    if service == "events":
        return f"arn:aws:events:{PLACE}:rule/{about}"
    if service == "logs" and operation not in LISTS:
        return f"arn:aws:logs:{PLACE}:log-group:{about.rpartition(':log-group:')[2]}"
    return "*"


def plain(statement):
    return {name: value for name, value in statement.items() if name != "Condition"}


def is_met(conditions, context):
    for word, wanted in conditions.items():
        for key, value in wanted.items():
            if word not in ("ArnLike", "StringEquals"):
                raise ValueError(f"nobody has taught this judge {word}")
            if not fnmatch.fnmatchcase(context.get(key, ""), value):
                return False
    return True


def told(body):
    try:
        read = json.loads(body) if body else {}
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def answer(service, action, resource):
    """Status, headers and body, in the words of the service."""
    message = (
        f"User: {IAM}:user/verdigris is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    if service == "s3":
        return 403, {"content-type": "application/xml"}, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    if service in ("iam", "sns"):
        error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return 403, {"content-type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>"
    kind = "AccessDeniedException"
    body = json.dumps({"__type": kind, "Message": message})
    status = 403 if service == "lambda" else 400
    return status, {"content-type": "application/json", "x-amzn-errortype": kind}, body
