"""Asks a Lambda endpoint what the real service was asked, and holds its answers against what the real service said.

usage: python lambda_recorded.py ENDPOINT ACCOUNT REGION

What is expected here was recorded on AWS between November 2025 and January 2026: statuses, error codes, messages, states, ARNs, which
revision equals which, and which members an answer has. Prints one line of JSON for each group: how many of the recorded cases it goes
through, how many answers there are, which of them differ, how, and what was recorded that the vendor's own model does not allow.
"""

import hashlib
import base64
import io
import json
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

FUNCTION = {
    "Architectures", "CodeSha256", "CodeSize", "Description", "EphemeralStorage", "FunctionArn", "FunctionName", "Handler",
    "LastModified", "LoggingConfig", "MemorySize", "PackageType", "RevisionId", "Role", "Runtime", "SnapStart", "Timeout",
    "TracingConfig", "Version",
}
RUNNING = FUNCTION | {"RuntimeVersionConfig", "State"}
PENDING = RUNNING | {"StateReason", "StateReasonCode"}
SETTLED = RUNNING | {"LastUpdateStatus"}
UPDATING = SETTLED | {"LastUpdateStatusReason", "LastUpdateStatusReasonCode"}
ALIAS = {"AliasArn", "Description", "FunctionVersion", "Name", "RevisionId"}
URL_MADE = {"AuthType", "CreationTime", "FunctionArn", "FunctionUrl"}
URL = URL_MADE | {"InvokeMode", "LastModifiedTime"}

GONE = (404, "ResourceNotFoundException")
WRONG = (400, "InvalidParameterValueException")
MALFORMED = (400, "ValidationException")
CONFLICT = (409, "ResourceConflictException")
STALE = (412, "PreconditionFailedException",
         "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
STALE_POLICY = (412, "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id")
NOT_THERE = (*GONE, "The resource you requested does not exist.")
MISMATCH = (*WRONG, "The derived qualifier from the function name does not match the specified qualifier.")
NO_WARM = (404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")
# Every service of AWS may refuse with these, so no operation lists them.
ANYWHERE = {"AccessDeniedException": 403, "RequestEntityTooLargeException": 413, "ValidationException": 400}
NEVER = "5ca1ab1e-0000-0000-0000-000000000000"


def pattern(value, member, regex):
    text = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
    return (*MALFORMED, f"{text}Member must satisfy regular expression pattern: {regex}")


def package(word):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), f"def handler(event, context):\n    return '{word}'\n")
    return buffer.getvalue()


def digest(content):
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def faults_of(value, shape):
    """What a value has that its shape does not allow."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        yield report.generate_report()
    if isinstance(value, str) and getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{value!r} is none of the known words"


class Group:
    """Questions about one function of its own, and the answers that differ."""

    def __init__(self, connect, name, account, region):
        self.connect, self.client, self.name = connect, connect("lambda"), name
        self.account, self.region = account, region
        self.role = f"arn:aws:iam::{account}:role/functions"
        self.asked, self.differ, self.revisions, self.unfit = 0, [], {}, []

    def arn(self, rest=""):
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}{rest}"

    def other(self, name):
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"

    def say(self, what, was, wanted):
        self.differ.append(f"{what}: {was!r} and not {wanted!r}")

    def call(self, operation, **params):
        params = {"FunctionName": self.name, **params}
        if params["FunctionName"] is None:
            del params["FunctionName"]
        return getattr(self.client, operation)(**params)

    def model(self, operation):
        """Of the vendor's own client."""
        name = self.client.meta.method_to_api_mapping[operation]
        return self.client.meta.service_model.operation_model(name)

    def fits(self, what, operation, status, told, members):
        """Holds what was recorded against the model."""
        model = self.model(operation)
        # DeleteFunction has two outcomes since it can be asynchronous; an invocation tells by its status how it was made.
        known = {"DeleteFunction": {204}, "Invoke": {200, 202, 204}}.get(model.name, {model.http.get("responseCode", 200)})
        if status not in known:
            self.unfit.append(f"{what}: status {status} and not {sorted(known)}")
        shape = model.output_shape
        shape = shape and shape.members.get("Configuration", shape)
        there = shape.members if shape else {}
        for name in sorted({*(told or {}), *(members or ())} - set(there)):
            self.unfit.append(f"{what}: the model knows no member {name}")
        for name, value in (told or {}).items():
            faults = faults_of(value, there[name]) if name in there and value is not None else []
            self.unfit.extend(f"{what}.{name}: {fault}" for fault in faults)

    def fits_refusal(self, what, operation, status, code):
        errors = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in self.model(operation).error_shapes}
        known = {**ANYWHERE, **errors}
        if code not in known:
            self.unfit.append(f"{what}: {code} is no error of {operation}")
        elif status not in (None, known[code]):
            self.unfit.append(f"{what}: {code} with status {status} and not {known[code]}")

    def no(self, what, told, operation, **params):
        """A refusal: status, code, message."""
        self.asked += 1
        self.fits_refusal(what, operation, *told[:2])
        try:
            answer = self.call(operation, **params)
        except ClientError as error:
            was = (error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"],
                   error.response["Error"].get("Message"))
            if was != told:
                self.say(what, was, told)
            return
        self.say(what, answer["ResponseMetadata"]["HTTPStatusCode"], told)

    def refused(self, what, told, operation, **params):
        """A refusal: its code, and all that is wrong."""
        self.asked += 1
        self.fits_refusal(what, operation, None, told[0])
        try:
            was = ("nothing", str(self.call(operation, **params)["ResponseMetadata"]["HTTPStatusCode"]))
        except ClientError as error:
            was = (error.response["Error"]["Code"], *faults(error.response["Error"]["Message"]))
        code, *wrong = told
        if was != (code, *sorted(wrong)):
            self.say(what, was, told)

    def yes(self, what, status, operation, told=None, members=None, revision=None, **params):
        """An answer: its status, some of its members with their values, all of its members by name, which revision it has."""
        self.asked += 1
        self.fits(what, operation, status, told, members)
        try:
            answer = self.call(operation, **params)
        except ClientError as error:
            self.say(what, str(error), status)
            return {}
        was = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        if was != status:
            self.say(what, was, status)
        config = answer.get("Configuration", answer)
        for name, value in (told or {}).items():
            if config.get(name) != value:
                self.say(f"{what}.{name}", config.get(name), value)
        if members is not None and set(config) != members:
            self.say(f"{what}'s members", sorted(set(config) - members), sorted(members - set(config)))
        if revision:
            self.is_revision(what, revision, config.get("RevisionId"))
        return answer

    def is_revision(self, what, label, found):
        """Equal labels are equal revisions, and different ones are different."""
        known = self.revisions.setdefault(label, found)
        same = [other for other, value in self.revisions.items() if value == found and other != label]
        if known != found or same or not found:
            self.say(f"{what}'s revision", same or "another", label)

    def make(self, **params):
        made = {"Runtime": "python3.12", "Role": self.role, "Handler": "index.handler", "Code": {"ZipFile": package("one")}}
        return {**made, **params}

    def settle(self, version=None):
        """Until nothing is under way; GetFunction is asked, and its answers are not held against anything."""
        named = {"Qualifier": version} if version else {}
        for _ in range(400):
            config = self.call("get_function", **named)["Configuration"]
            if config["State"] == "Active" and config.get("LastUpdateStatus") != "InProgress":
                return
            time.sleep(0.02)

    def ready(self, **params):
        self.call("create_function", **self.make(**params))
        self.settle()


GROUPS = []


def group(cases):
    """A group, and how many of the recorded cases it goes through."""
    def add(work):
        GROUPS.append((work, cases))
        return work
    return add


@group(1)
def lifecycle(g):
    env = {"Variables": {}}
    g.yes("create", 201, "create_function", {"State": "Pending", "StateReasonCode": "Creating", "FunctionArn": g.arn(), "Version": "$LATEST"},
          PENDING | {"Environment"}, "1", **g.make(Environment=env, MemorySize=256))
    g.settle()
    got = g.yes("get", 200, "get_function", {"State": "Active", "LastUpdateStatus": "Successful"}, SETTLED | {"Environment"}, "2")
    if set(got) - {"Tags"} != {"Code", "Configuration"} or set(got.get("Code", [])) != {"Location", "RepositoryType"}:
        g.say("get's parts", sorted(got), ["Code", "Configuration"])
    g.yes("configure", 200, "update_function_configuration",
          {"State": "Active", "LastUpdateStatus": "InProgress", "LastUpdateStatusReasonCode": "Creating", "MemorySize": 512,
           "LastUpdateStatusReason": "The function is being created."},
          UPDATING | {"Environment"}, "3", Description="Changed", MemorySize=512, Environment={"Variables": {"ENV_A": "a"}})
    g.settle()
    g.yes("get after it", 200, "get_function", {"LastUpdateStatus": "Successful"}, SETTLED | {"Environment"}, "4")
    g.yes("update code", 200, "update_function_code", {"LastUpdateStatus": "InProgress", "CodeSha256": digest(package("two"))},
          UPDATING | {"Environment"}, "5", ZipFile=package("two"))
    g.settle()
    g.yes("get after that", 200, "get_function", {"LastUpdateStatus": "Successful"}, SETTLED | {"Environment"}, "6")
    g.yes("delete", 204, "delete_function")
    g.no("delete again", (*GONE, f"Function not found: {g.arn()}"), "delete_function")


@group(1)
def updates_that_change_nothing(g):
    g.ready()
    for round_, (first, then) in enumerate([("2", "3"), ("4", "5")]):
        g.yes(f"update {round_}", 200, "update_function_configuration", {"State": "Active", "LastUpdateStatus": "InProgress"},
              UPDATING, first, Description="the same")
        g.settle()
        g.yes(f"configuration {round_}", 200, "get_function_configuration", {"LastUpdateStatus": "Successful"}, SETTLED, then)
        g.yes(f"get {round_}", 200, "get_function", {"LastUpdateStatus": "Successful"}, SETTLED, then)


@group(2)
def updates_at_once(g):
    g.ready()
    busy = (*CONFLICT, f"The operation cannot be performed at this time. An update is in progress for resource: {g.arn()}")
    g.call("update_function_code", ZipFile=package("two"))
    g.no("code during code", busy, "update_function_code", ZipFile=package("three"))
    g.settle()
    g.call("update_function_configuration", Description="one")
    g.no("settings during settings", busy, "update_function_configuration", Description="two")


@group(1)
def published_on_creation(g):
    g.yes("create", 201, "create_function", {"State": "Pending", "Version": "1", "FunctionArn": g.arn()}, PENDING, "1", **g.make(Publish=True))
    g.settle()
    g.settle("1")
    g.yes("get", 200, "get_function", {"Version": "$LATEST", "FunctionArn": g.arn()}, SETTLED, "2")
    g.yes("get version", 200, "get_function", {"Version": "1", "FunctionArn": g.arn(":1"), "State": "Active"}, SETTLED, "3", Qualifier="1")
    g.yes("get latest", 200, "get_function", {"Version": "$LATEST", "FunctionArn": g.arn(":$LATEST")}, SETTLED, "2", Qualifier="$LATEST")
    listed = g.yes("list", 200, "list_versions_by_function")
    if [one["Version"] for one in listed.get("Versions", [])] != ["$LATEST", "1"]:
        g.say("list", listed, ["$LATEST", "1"])
    g.yes("publish again", 201, "publish_version", {"Version": "1", "FunctionArn": g.arn(":1"), "LastUpdateStatus": "Successful"}, SETTLED, "3")
    listed = g.yes("list after it", 200, "list_versions_by_function")
    if len(listed.get("Versions", [])) != 2:
        g.say("list after it", listed, 2)


@group(1)
def versions(g):
    g.yes("create", 201, "create_function", {"Version": "$LATEST", "State": "Pending"}, PENDING, "1", **g.make(Description="none"))
    g.settle()
    g.yes("get", 200, "get_function", {"Version": "$LATEST"}, SETTLED, "2")
    g.yes("update", 200, "update_function_configuration", {"LastUpdateStatus": "InProgress"}, UPDATING, "3", Description="first")
    g.settle()
    g.yes("get updated", 200, "get_function", {"Description": "first"}, SETTLED, "4")
    g.yes("publish", 201, "publish_version", {"Version": "1", "Description": "said here", "State": "Active", "LastUpdateStatus": "Successful"},
          SETTLED, "5", Description="said here")
    g.yes("get version", 200, "get_function", {"Version": "1", "Description": "said here"}, SETTLED, "5", Qualifier="1")
    g.yes("its settings", 200, "get_function_configuration", {"Version": "1"}, SETTLED, "5", Qualifier="1")
    g.yes("update again", 200, "update_function_configuration", {"LastUpdateStatus": "InProgress"}, UPDATING, "6", Description="second")
    g.yes("the version meanwhile", 200, "get_function", {"Description": "said here", "LastUpdateStatus": "Successful"}, SETTLED, "5", Qualifier="1")
    g.settle()
    g.yes("publish second", 201, "publish_version", {"Version": "2", "Description": "second"}, SETTLED, "7")
    g.yes("publish unchanged", 201, "publish_version", {"Version": "2", "Description": "second"}, SETTLED, "7")
    listed = g.yes("list", 200, "list_versions_by_function").get("Versions", [])
    if [one["Version"] for one in listed] != ["$LATEST", "1", "2"] or any(set(one) != FUNCTION for one in listed):
        extra = sorted({name for one in listed for name in set(one) ^ FUNCTION})
        g.say("list", [[one["Version"] for one in listed], extra], ["$LATEST", "1", "2"])
    g.call("delete_function", Qualifier="1")
    listed = g.yes("list after a deletion", 200, "list_versions_by_function").get("Versions", [])
    if [one["Version"] for one in listed] != ["$LATEST", "2"]:
        g.say("list after a deletion", listed, ["$LATEST", "2"])


@group(2)
def publishing_what_somebody_changed(g):
    g.ready()
    g.yes("get", 200, "get_function", {"Version": "$LATEST"}, SETTLED, "2")
    g.no("by another revision", STALE, "publish_version", RevisionId=NEVER)
    current = digest(package("one"))
    g.no("by another digest", (*WRONG, "CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST "
                               f"({current}). Please try again with the CodeSHA256 in $LATEST."),
         "publish_version", CodeSha256="somenonexistentsha256")
    g.yes("by the right digest", 201, "publish_version", {"Version": "1"}, SETTLED, "3", CodeSha256=current)


@group(1)
def code_published_at_once(g):
    g.ready()
    g.yes("get", 200, "get_function", {"Version": "$LATEST"}, SETTLED, "2")
    g.yes("update", 200, "update_function_code", {"Version": "1", "State": "Pending", "StateReasonCode": "Creating", "FunctionArn": g.arn(":1")},
          PENDING, "3", ZipFile=package("two"), Publish=True)
    g.yes("get version", 200, "get_function", {"Version": "1", "State": "Pending"}, PENDING, "3", Qualifier="1")
    g.yes("get latest", 200, "get_function", {"LastUpdateStatus": "InProgress", "FunctionArn": g.arn(":$LATEST")}, UPDATING, "4", Qualifier="$LATEST")


@group(3)
def revisions(g):
    g.ready()
    g.yes("get", 200, "get_function", None, SETTLED, "2")
    g.no("code", STALE, "update_function_code", ZipFile=package("two"), RevisionId=NEVER)
    g.yes("code with it", 200, "update_function_code", None, UPDATING, "3", ZipFile=package("two"), RevisionId=g.revisions["2"])
    g.settle()
    g.yes("get after it", 200, "get_function", None, SETTLED, "4")
    g.no("settings", STALE, "update_function_configuration", Description="x", RevisionId=g.revisions["3"])
    g.yes("settings with it", 200, "update_function_configuration", None, UPDATING, "5", Description="x", RevisionId=g.revisions["4"])
    g.settle()
    g.yes("get after that", 200, "get_function", None, SETTLED, "6")
    g.no("version", STALE, "publish_version", RevisionId=NEVER)
    g.yes("version with it", 201, "publish_version", None, SETTLED, "v1", RevisionId=g.revisions["6"])
    g.yes("get version", 200, "get_function", None, SETTLED, "v1", Qualifier="1")
    g.yes("latest moved", 200, "get_function", None, SETTLED, "7")
    g.yes("alias", 201, "create_alias", None, ALIAS, "a1", Name="mine", FunctionVersion="1")
    g.yes("latest did not", 200, "get_function", None, SETTLED, "7")
    g.yes("nor the version", 200, "get_function", None, SETTLED, "v1", Qualifier="1")
    g.no("alias stale", STALE, "update_alias", Name="mine", RevisionId=NEVER)
    g.yes("alias with it", 200, "update_alias", {"Description": "changed"}, ALIAS, "a2", Name="mine", RevisionId=g.revisions["a1"], Description="changed")
    g.call("add_permission", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    g.no("permission stale", STALE_POLICY, "add_permission", StatementId="s4", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", RevisionId=NEVER)


@group(3)
def aliases(g):
    g.ready(Environment={"Variables": {"stage": "one"}})
    g.yes("publish", 201, "publish_version", {"Version": "1"}, SETTLED | {"Environment"}, "v1")
    g.call("update_function_configuration", Environment={"Variables": {"stage": "two"}})
    g.settle()
    g.yes("publish another", 201, "publish_version", {"Version": "2"}, SETTLED | {"Environment"}, "v2")
    weights = {"AdditionalVersionWeights": {"2": 0.2}}
    shared = {"AliasArn": g.arn(":shared"), "Description": "own", "FunctionVersion": "1", "RoutingConfig": weights}
    g.yes("create", 201, "create_alias", shared, ALIAS | {"RoutingConfig"}, "a1", Name="shared", FunctionVersion="1", Description="own", RoutingConfig=weights)
    g.yes("get", 200, "get_alias", shared, ALIAS | {"RoutingConfig"}, "a1", Name="shared")
    told = {"FunctionArn": g.arn(":shared"), "Version": "1"}
    g.yes("its function", 200, "get_function", told, SETTLED | {"Environment"}, "v1", Qualifier="shared")
    g.yes("its function by ARN", 200, "get_function", told, SETTLED | {"Environment"}, "v1", FunctionName=g.arn(":shared"))
    g.no("absent", (*GONE, f"Function not found: {g.arn(':absent')}"), "get_function", Qualifier="absent")
    g.no("absent by ARN", (*GONE, f"Function not found: {g.arn(':absent')}"), "get_function", FunctionName=g.arn(":absent"))
    g.yes("create plain", 201, "create_alias", {"Description": ""}, ALIAS, "a2", Name="plain", FunctionVersion="1")
    g.yes("get plain", 200, "get_alias", {"Description": ""}, ALIAS, "a2", Name="plain")
    g.yes("create second", 201, "create_alias", {"FunctionVersion": "2"}, ALIAS, "a3", Name="second", FunctionVersion="2")
    names = lambda **more: [one["Name"] for one in g.yes("list", 200, "list_aliases", **more).get("Aliases", [])]  # noqa: E731
    if (names(), names(FunctionVersion="1")) != (["plain", "second", "shared"], ["plain", "shared"]):
        g.say("list", names(), ["plain", "second", "shared"])
    g.yes("unshare", 200, "update_alias", {"FunctionVersion": "1", "Description": "own"}, ALIAS, "a4", Name="shared", RoutingConfig={"AdditionalVersionWeights": {}})
    g.yes("get unshared", 200, "get_alias", None, ALIAS, "a4", Name="shared")
    g.yes("delete", 204, "delete_alias", Name="shared")
    g.yes("delete what is not there", 204, "delete_alias", Name="shared")
    g.no("update what is not there", (*GONE, f"Alias not found: {g.arn(':shared')}"), "update_alias", Name="shared", Description="x")
    g.no("get what is not there", (*GONE, f"Cannot find alias arn: {g.arn(':shared')}"), "get_alias", Name="shared")
    if names() != ["plain", "second"]:
        g.say("list after a deletion", names(), ["plain", "second"])


@group(2)
def alias_refusals(g):
    g.ready(Publish=True)
    g.call("update_function_configuration", Description="x")
    g.settle()
    g.call("publish_version")
    new = lambda **more: {"Name": "custom", "FunctionVersion": "1", **more}  # noqa: E731
    weights = lambda **some: {"AdditionalVersionWeights": some}  # noqa: E731
    g.no("two weights", (*WRONG, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
         "create_alias", **new(RoutingConfig=weights(**{"1": 0.8, "2": 0.2})))
    for value, shown in [(2, "2.0"), (-1, "-1.0")]:
        g.no(f"weight {value}", (*MALFORMED, f"1 validation error detected: Value '{{2={shown}}}' at 'routingConfig.additionalVersionWeights' failed to "
             "satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value "
             "greater than or equal to 0.0, Member must not be null]"), "create_alias", **new(RoutingConfig=weights(**{"2": value})))
    g.no("the same version", (*WRONG, "Invalid function version 1. Function version 1 is already included in routing configuration."),
         "create_alias", **new(RoutingConfig=weights(**{"1": 0.5})))
    g.no("no such version", (*GONE, f"Function not found: {g.arn(':10')}"), "create_alias", **new(FunctionVersion="10", RoutingConfig=weights(**{"2": 0.5})))
    g.no("no such weight", (*GONE, f"Function not found: {g.arn(':10')}"), "create_alias", **new(RoutingConfig=weights(**{"10": 0.5})))
    g.no("latest with a weight", (*WRONG, "$LATEST is not supported for an alias pointing to more than 1 version"),
         "create_alias", **new(FunctionVersion="$LATEST", RoutingConfig=weights(**{"1": 0.5})))
    g.no("latest as a weight", (*MALFORMED, "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
         "constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to "
         "1, Member must satisfy regular expression pattern: [0-9]+]"), "create_alias", **new(RoutingConfig=weights(**{"$LATEST": 0.5})))
    g.yes("on latest", 201, "create_alias", {"FunctionVersion": "$LATEST"}, ALIAS, Name="latest", FunctionVersion="$LATEST")
    absent = f"{g.name}-unknown"
    g.no("no such function", (*GONE, f"Function not found: {g.other(absent)}:1"), "create_alias", FunctionName=absent, **new())
    g.yes("empty weights", 201, "create_alias", None, ALIAS, Name="empty", FunctionVersion="1", RoutingConfig=weights())
    g.yes("create", 201, "create_alias", None, ALIAS | {"RoutingConfig"}, **new(RoutingConfig=weights(**{"2": 0.5})))
    g.no("create again", (*CONFLICT, f"Alias already exists: {g.arn(':custom')}"), "create_alias", **new())
    g.yes("a date for a name", 201, "create_alias", {"AliasArn": g.arn(":2024-01-02")}, ALIAS, Name="2024-01-02", FunctionVersion="1")
    g.no("a number for a name", pattern("2024", "name", "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"), "create_alias", Name="2024", FunctionVersion="1")


@group(15)
def what_is_not_there(g):
    for operation in ("delete_function", "get_function", "get_function_configuration", "get_function_concurrency"):
        g.no(operation, (*GONE, f"Function not found: {g.arn()}"), operation)
    g.no("url", NOT_THERE, "get_function_url_config")
    g.no("asynchronous", (*GONE, f"The function {g.arn(':$LATEST')} doesn't have an EventInvokeConfig"), "get_function_event_invoke_config")
    g.no("delete a version", (*GONE, f"Function not found: {g.arn()}"), "delete_function", Qualifier="1")
    for operation in ("get_function", "get_function_configuration"):
        g.no(f"{operation} by name and another", MISMATCH, operation, FunctionName=f"{g.name}:$LATEST", Qualifier="1")
        g.no(f"{operation} by name and the same", (*GONE, f"Function not found: {g.arn(':$LATEST')}"), operation,
             FunctionName=f"{g.name}:$LATEST", Qualifier="$LATEST")
        g.no(f"{operation} elsewhere", (*GONE, f"Functions from 'ap-southeast-7' are not reachable in this region ('{g.region}')"), operation,
             FunctionName=f"arn:aws:lambda:ap-southeast-7:{g.account}:function:{g.name}")
    g.no("delete by name and another", MISMATCH, "delete_function", FunctionName=f"{g.name}:$LATEST", Qualifier="1")
    g.no("delete latest", (*WRONG, "$LATEST version cannot be deleted without deleting the function."), "delete_function",
         FunctionName=f"{g.name}:$LATEST", Qualifier="$LATEST")
    g.ready()
    for operation in ("get_function", "get_function_configuration"):
        g.no(f"{operation} of a version", (*GONE, f"Function not found: {g.arn(':1221')}"), operation, Qualifier="1221")
    g.no("asynchronous of a version", (*GONE, f"The function {g.arn(':1221')} doesn't have an EventInvokeConfig"),
         "get_function_event_invoke_config", Qualifier="1221")


@group(3)
def tags(g):
    g.call("create_function", **g.make(Tags={"made": "with"}))
    g.settle()
    got = g.yes("get", 200, "get_function")
    if got.get("Tags") != {"made": "with"}:
        g.say("get", got.get("Tags"), {"made": "with"})
    arn = {"FunctionName": None, "Resource": g.arn()}
    g.yes("list", 200, "list_tags", {"Tags": {"made": "with"}}, {"Tags"}, **arn)
    steps = [
        ("tag_resource", {"Tags": {"A": "a"}}, {"made": "with", "A": "a"}),
        ("tag_resource", {"Tags": {"A": "b", "B": "b"}}, {"made": "with", "A": "b", "B": "b"}),
        ("untag_resource", {"TagKeys": ["A"]}, {"made": "with", "B": "b"}),
        ("untag_resource", {"TagKeys": ["F"]}, {"made": "with", "B": "b"}),
        ("untag_resource", {"TagKeys": ["B", "F", "made"]}, {}),
    ]
    for at, (operation, params, left) in enumerate(steps):
        g.yes(f"step {at}", 204, operation, **arn, **params)
        g.yes(f"after step {at}", 200, "list_tags", {"Tags": left}, {"Tags"}, **arn)
    g.call("delete_function")
    gone = (*GONE, f"Function not found: {g.arn()}")
    g.no("tag", gone, "tag_resource", **arn, Tags={"A": "a"})
    g.no("untag", gone, "untag_resource", **arn, TagKeys=["A"])
    g.no("list what is gone", gone, "list_tags", **arn)


@group(2)
def reserved(g):
    g.no("of what is not there", (*GONE, f"Function not found: {g.other('doesnotexist')}:$LATEST"), "put_function_concurrency",
         FunctionName="doesnotexist", ReservedConcurrentExecutions=1)
    g.ready()
    g.no("of a version", (*WRONG, "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify "
         "either a function name or an unqualified function ARN."), "put_function_concurrency", FunctionName=g.arn(":$LATEST"), ReservedConcurrentExecutions=1)
    for number in (0, 1):
        g.yes(f"put {number}", 200, "put_function_concurrency", {"ReservedConcurrentExecutions": number}, {"ReservedConcurrentExecutions"},
              ReservedConcurrentExecutions=number)
    g.yes("get", 200, "get_function_concurrency", {"ReservedConcurrentExecutions": 1}, {"ReservedConcurrentExecutions"})
    g.yes("delete", 204, "delete_function_concurrency")
    g.yes("get after it", 200, "get_function_concurrency", None, set())


@group(2)
def provisioned(g):
    g.ready()
    g.yes("publish", 201, "publish_version", {"Version": "1"}, SETTLED, "1")
    g.call("create_alias", Name="warm", FunctionVersion="1")
    get, put, delete = (f"{it}_provisioned_concurrency_config" for it in ("get", "put", "delete"))
    one = {"ProvisionedConcurrentExecutions": 1}
    no_alias = (*GONE, f"Cannot find alias arn: {g.arn(':noalias')}")
    no_version = (*GONE, f"Function not found: {g.arn(':10')}")
    unfit = (*WRONG, "The function resource provided must be an alias or a published version.")
    g.no("get none", NO_WARM, get, Qualifier="1")
    g.no("get of no function", (*GONE, f"Cannot find alias arn: {g.other('doesnotexist')}:noalias"), get, FunctionName="doesnotexist", Qualifier="noalias")
    g.no("get of no alias", no_alias, get, Qualifier="noalias")
    g.no("get of no version", no_version, get, Qualifier="10")
    g.no("get of latest", unfit, get, Qualifier="$LATEST")
    g.no("delete of no function", (*GONE, f"Function not found: {g.other('doesnotexist')}:1"), delete, FunctionName="doesnotexist", Qualifier="1")
    g.no("delete of no alias", no_alias, delete, Qualifier="noalias")
    g.no("delete of no version", no_version, delete, Qualifier="10")
    g.no("delete of latest", unfit, delete, Qualifier="$LATEST")
    g.yes("delete none", 204, delete, Qualifier="1")
    g.no("put of no alias of no function", (*GONE, f"Cannot find alias arn: {g.other('doesnotexist')}:noalias"), put, FunctionName="doesnotexist",
         Qualifier="noalias", **one)
    g.no("put of no function", (*GONE, f"Function not found: {g.other('doesnotexist')}:1"), put, FunctionName="doesnotexist", Qualifier="1", **one)
    g.no("put of no alias", no_alias, put, Qualifier="noalias", **one)
    g.no("put of no version", no_version, put, Qualifier="10", **one)
    g.no("put of latest", (*WRONG, "Provisioned Concurrency Configs cannot be applied to unpublished function versions."), put, Qualifier="$LATEST", **one)
    began = {"Status": "IN_PROGRESS", "RequestedProvisionedConcurrentExecutions": 1, "AvailableProvisionedConcurrentExecutions": 0,
             "AllocatedProvisionedConcurrentExecutions": 0}
    g.yes("on the version", 202, put, began, {*began, "LastModified"}, Qualifier="1", **one)
    g.no("and on its alias", (*CONFLICT, "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"), put,
         Qualifier="warm", **one)
    g.yes("off the version", 204, delete, Qualifier="1")
    g.no("get it", NO_WARM, get, Qualifier="1")
    g.yes("on the alias", 202, put, began, {*began, "LastModified"}, Qualifier="warm", **one)
    g.no("and on its version", (*CONFLICT, "Version is pointed by a Provisioned Concurrency alias"), put, Qualifier="1", **one)
    g.call("delete_alias", Name="warm")
    g.no("with the alias", (*GONE, f"Cannot find alias arn: {g.arn(':warm')}"), get, Qualifier="warm")


@group(2)
def asynchronous(g):
    get, put, update, delete = (f"{it}_function_event_invoke_config" for it in ("get", "put", "update", "delete"))
    missing = (*GONE, "The function doesn't exist.")
    none = lambda rest: (*GONE, f"The function {g.arn(rest)} doesn't have an EventInvokeConfig")  # noqa: E731
    g.no("put of no function", missing, put, MaximumRetryAttempts=1)
    g.no("update of no function", missing, update, MaximumRetryAttempts=1)
    g.no("delete of no function", none(":$LATEST"), delete)
    g.ready()
    g.call("publish_version")
    g.call("create_alias", Name="later", FunctionVersion="1")
    g.no("put nothing", (*WRONG, "You must specify at least one of error handling or destination setting."), put)
    g.no("put of no alias", missing, put, Qualifier="absent", MaximumRetryAttempts=1)
    plain = {"OnSuccess": {}, "OnFailure": {}}
    members = {"DestinationConfig", "FunctionArn", "LastModified"}
    retries, age = members | {"MaximumRetryAttempts"}, members | {"MaximumEventAgeInSeconds"}
    on = lambda rest, **more: {"FunctionArn": g.arn(rest), "DestinationConfig": plain, **more}  # noqa: E731
    g.yes("put retries", 200, put, on(":$LATEST", MaximumRetryAttempts=0), retries, MaximumRetryAttempts=0)
    g.yes("put age", 200, put, on(":$LATEST", MaximumEventAgeInSeconds=60), age, MaximumEventAgeInSeconds=60)
    g.yes("update retries", 200, update, on(":$LATEST", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60), retries | age, MaximumRetryAttempts=1)
    g.yes("get", 200, get, on(":$LATEST", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60), retries | age)
    g.yes("put on the alias", 200, put, on(":later", MaximumRetryAttempts=1), retries, Qualifier="later", MaximumRetryAttempts=1)
    g.yes("put on the version", 200, put, on(":1", MaximumRetryAttempts=1), retries, Qualifier="1", MaximumRetryAttempts=1)
    g.no("by name and another", MISMATCH, put, FunctionName=f"{g.name}:later", Qualifier="1", MaximumRetryAttempts=1)
    g.yes("delete", 204, delete, Qualifier="later")
    g.no("get what is gone", none(":later"), get, Qualifier="later")
    g.no("update what is gone", none(":later"), update, Qualifier="later", MaximumRetryAttempts=1)


@group(3)
def urls(g):
    create, get, update, delete, listed = ("create_function_url_config", "get_function_url_config", "update_function_url_config",
                                           "delete_function_url_config", "list_function_url_configs")
    none, open_ = {"FunctionName": "doesnotexist"}, {"AuthType": "NONE"}
    missing = (*GONE, "Function does not exist")
    g.no("create of no function", missing, create, **none, **open_)
    g.no("get of no function", NOT_THERE, get, **none)
    g.no("update of no function", missing, update, **none, **open_)
    g.no("delete of no function", NOT_THERE, delete, **none)
    g.no("list of no function", missing, listed, **none)
    g.ready()
    g.call("publish_version")
    g.call("create_alias", Name="open", FunctionVersion="1")
    for operation, params in [(create, open_), (get, {}), (update, open_), (delete, {})]:
        for version in ("1", "2", "$LATEST"):
            g.no(f"{operation} of {version}", pattern(version, "qualifier", r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"), operation, Qualifier=version, **params)
        g.no(f"{operation} of no alias", missing if operation in (create, update) else NOT_THERE, operation, Qualifier="absent", **params)
        if operation != delete:
            g.no(f"{operation} by ARN and another", MISMATCH, operation, FunctionName=g.arn(":open"), Qualifier="else", **params)
    for operation, params in [(get, {}), (update, open_), (delete, {})]:
        g.no(f"{operation} of none", NOT_THERE, operation, **params)
    g.yes("list none", 200, listed, {"FunctionUrlConfigs": []}, {"FunctionUrlConfigs"})
    g.yes("create", 201, create, {"FunctionArn": g.arn(), "AuthType": "NONE"}, URL_MADE, **open_)
    g.no("create again", (*CONFLICT, f"Failed to create function url config for [functionArn = {g.arn()}]. Error message:  "
         "FunctionUrlConfig exists for this Lambda function"), create, **open_)
    g.yes("create on the alias", 201, create, {"FunctionArn": g.arn(":open")}, URL_MADE, Qualifier="open", **open_)
    told = g.yes("list", 200, listed).get("FunctionUrlConfigs", [])
    if [set(one) for one in told] != [URL, URL]:
        g.say("list", [sorted(set(one) ^ URL) for one in told], [])
    g.yes("get", 200, get, {"InvokeMode": "BUFFERED", "AuthType": "NONE"}, URL)
    g.yes("update", 200, update, {"AuthType": "AWS_IAM"}, URL_MADE | {"LastModifiedTime"}, AuthType="AWS_IAM")
    g.yes("delete", 204, delete)
    g.no("get what is gone", NOT_THERE, get)
    g.yes("the alias keeps its own", 200, get, {"FunctionArn": g.arn(":open"), "AuthType": "NONE"}, URL, Qualifier="open")


@group(6)
def permissions(g):
    add, get, remove = "add_permission", "get_policy", "remove_permission"
    s3 = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    g.no("add to no function", (*GONE, f"Function not found: {g.arn()}"), add, StatementId="s3", **s3)
    g.no("get of no function", NOT_THERE, get)
    g.no("remove from no function", (*GONE, f"No policy found for: {g.arn()}"), remove, StatementId="s3")
    g.ready()
    g.no("a dot in a name", pattern("example.com", "statementId", "([a-zA-Z0-9-_]+)"), add, StatementId="example.com", **s3)
    g.no("by name and another", MISMATCH, add, FunctionName=f"{g.name}:alias-not-42", Qualifier="42", StatementId="s3", **s3)
    g.no("of latest", (*WRONG, "We currently do not support adding policies for $LATEST."), add, Qualifier="$LATEST", StatementId="s3", **s3)
    g.no("for nobody", (*WRONG, "The provided principal was invalid. Please check the principal and try again."), add, StatementId="s3",
         Action="lambda:InvokeFunction", Principal="invalid.nonaws.com")
    g.no("get of no version", NOT_THERE, get, Qualifier="42")
    g.no("remove none", (*GONE, "No policy is associated with the given resource."), remove, StatementId="s3")
    g.no("to no alias", (*GONE, f"Cannot find alias arn: {g.arn(':alias-doesnotexist')}"), add, Qualifier="alias-doesnotexist", StatementId="s3", **s3)
    g.no("to no version", (*GONE, f"Function not found: {g.arn(':42')}"), add, Qualifier="42", StatementId="s3", **s3)
    g.no("to a malformed one", pattern("invalid-qualifier-with-?-char", "qualifier", r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"), add,
         Qualifier="invalid-qualifier-with-?-char", StatementId="s3", **s3)
    bucket = "arn:aws:s3:::uploads"
    statement = lambda name, rest="": {"Sid": name, "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",  # noqa: E731
                                       "Resource": g.arn(rest), "Condition": {"ArnLike": {"AWS:SourceArn": bucket}}}
    said = g.yes("add", 201, add, None, {"Statement"}, StatementId="s3", SourceArn=bucket, **s3)
    if json.loads(said.get("Statement", "{}")) != statement("s3"):
        g.say("add", said, statement("s3"))

    def policy(what, label, *wanted, **qualifier):
        said = g.yes(what, 200, get, None, {"Policy", "RevisionId"}, label, **qualifier)
        told = json.loads(said.get("Policy", "{}"))
        if told != {"Version": "2012-10-17", "Id": "default", "Statement": list(wanted)}:
            g.say(what, told, wanted)

    policy("get", "p1", statement("s3"))
    g.no("add again", (*CONFLICT, "The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing statement."),
         add, StatementId="s3", **s3)
    g.no("remove another", (*GONE, "Statement non-existent is not found in resource policy."), remove, StatementId="non-existent")
    g.call("publish_version")
    g.no("a new version has none", NOT_THERE, get, Qualifier="1")
    g.call(add, StatementId="s3", SourceArn=bucket, Qualifier="1", **s3)
    policy("of the version", "p2", statement("s3", ":1"), Qualifier="1")
    g.call("create_alias", Name="open", FunctionVersion="1")
    g.call(add, StatementId="s3", SourceArn=bucket, Qualifier="open", **s3)
    policy("of the alias", "p3", statement("s3", ":open"), Qualifier="open")
    g.call(add, StatementId="s4", SourceArn=bucket, **s3)
    policy("two", "p4", statement("s3"), statement("s4"))
    for name in ("s3", "s4"):
        g.yes(f"remove {name}", 204, remove, StatementId=name)
    g.no("after the last", NOT_THERE, get)


@group(6)
def creation_refusals(g):
    role = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
    g.no("a role", pattern("r1", "role", role), "create_function", **g.make(Role="r1"))
    g.no("two architectures", (*MALFORMED, "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must "
         "have length less than or equal to 1"), "create_function", **g.make(Architectures=["x86_64", "arm64"]))
    g.no("an architecture", (*MALFORMED, "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy "
         "constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"), "create_function", **g.make(Architectures=["X86_64"]))
    g.no("no zip", (*WRONG, "Could not unzip uploaded file. Please check your file, then try to upload again."), "create_function",
         **g.make(Code={"ZipFile": b"this is not a zipfile"}))
    large = {"LARGE": "x" * 4096}
    text = json.dumps(large, separators=(",", ":"))
    g.no("too much environment", (*WRONG, "Lambda was unable to configure your environment variables because the environment variables you have provided "
         f"exceeded the 4KB limit. String measured: {text}"), "create_function", **g.make(Environment={"Variables": large}))
    g.no("too large a zip", (413, "RequestEntityTooLargeException", "Zipped size must be smaller than 52428800 bytes"), "create_function",
         **g.make(Code={"ZipFile": b"x" * (52428800 + 1)}))
    near = {"NEAR": "x" * 4000}
    g.yes("nearly too much environment", 201, "create_function", {"Environment": {"Variables": near}}, **g.make(Environment={"Variables": near}))
    g.settle()
    g.no("another role", pattern("r1", "role", role), "update_function_configuration", Role="r1")


@group(2)
def sources(g):
    alone = {"FunctionName": None, "UUID": "00000000-0000-0000-0000-000000000000"}
    for operation in ("get", "update", "delete"):
        g.no(f"{operation} of none", NOT_THERE, f"{operation}_event_source_mapping", **alone)
    queue = f"arn:aws:sqs:{g.region}:{g.account}:orders"
    g.no("of no function", (*WRONG, "Function does not exist"), "create_event_source_mapping", EventSourceArn=queue)
    g.ready()
    g.no("of nothing", (*WRONG, "Unrecognized event source."), "create_event_source_mapping")
    stream = f"arn:aws:kinesis:{g.region}:{g.account}:stream/orders"
    g.no("without a start", (*WRONG, "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."),
         "create_event_source_mapping", EventSourceArn=stream)
    g.no("with a strange start", (*MALFORMED, "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must "
         "satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"), "create_event_source_mapping", EventSourceArn=stream, StartingPosition="invalid")

NAME = (r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)"
        r"(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?")
NEW_NAME = (r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)"
            r"(:(\$LATEST|[a-zA-Z0-9-_]+))?")
QUALIFIER = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"


def faults(message):
    """What is wrong with a request, in no order: the real service has none."""
    _, colon, rest = message.partition(" detected: ")
    return sorted(rest.split("; ")) if colon else [message]


@group(63)
def names_asked_for(g):
    fits = lambda value, member, regex: f"Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy regular expression pattern: {regex}"  # noqa: E731
    short = lambda value, member, most: f"Value '{value}' at '{member}' failed to satisfy constraint: Member must have length less than or equal to {most}"  # noqa: E731
    whole = f"arn:aws:lambda:{g.region}:{g.account}:function"
    astray = f"arn:aws:lambda:invalid-region:{g.account}:function"
    long, longer = "a" * 65, "a" * 129
    malformed = lambda *wrong: ("ValidationException", *wrong)  # noqa: E731
    unnamed = lambda name: malformed(fits(name, "functionName", NAME))  # noqa: E731
    gone = lambda arn: ("ResourceNotFoundException", f"Function not found: {arn}")  # noqa: E731
    alone = lambda name, *said: (name, None, *said)  # noqa: E731
    too_long = malformed(short(longer, "qualifier", 128))
    no_alias = (gone(f"{whole}:my-function:{long}"), ("InvalidParameterValueException", "Deletion of aliases is not currently supported."))
    cases = [
        *(alone(name, unnamed(name)) for name in (
            "*", "my-function!", "invalid-account:function:my-function", f"{astray}:my-function",
            f"arn:aws:ec2:{g.region}:{g.account}:instance:i-1234567890abcdef0", f"{astray}:my-function{'a' * 170}", f"{whole}:my-function:1:2",
            "function:my-function:$LATEST:extra", f"arn:aws:lambda::{g.account}:function:my-function",
            f"arn:aws:lambda:{g.region}::function:my-function", f"{whole}:my-function:$LATES",
        )),
        ("my-function", "invalid!", malformed(fits("invalid!", "qualifier", QUALIFIER))),
        ("my-function", longer, too_long),
        (f"{whole}:my-function", longer, too_long),
        (f"{astray}:my-function-{'a' * 170}", longer,
         malformed(short(longer, "qualifier", 128), fits(f"{astray}:my-function-{'a' * 170}", "functionName", NAME))),
        alone(long, gone(f"{whole}:{long}"), gone(f"{whole}:{long}"), gone(f"{whole}:{long}:$LATEST")),
        ("my-function", long, *no_alias, no_alias[0]),
        (f"{whole}:my-function", long, *no_alias, no_alias[0]),
        alone(whole, gone(f"{whole}:function"), gone(f"{whole}:function"), gone(f"{whole}:function:$LATEST")),
        (f"{whole}:my-function:$LATEST", "1",
         ("InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")),
        (f"{whole}:my-function", "$latest", gone(f"{whole}:my-function:$latest"), gone(f"{whole}:my-function"), gone(f"{whole}:my-function:$latest")),
    ]
    for name, qualifier, *said in cases:
        named = {"Qualifier": qualifier} if qualifier else {}
        for at, operation in enumerate(("get_function", "delete_function", "invoke")):
            g.refused(f"{operation} of {name[:60]} {(qualifier or '')[:12]}", said[at % len(said)], operation, FunctionName=name, **named)


@group(18)
def names_to_create(g):
    failed = "failed to satisfy constraint: Member must"
    fits = lambda value: f"Value '{value}' at 'functionName' {failed} satisfy regular expression pattern: {NEW_NAME}"  # noqa: E731
    short = lambda value, most: f"Value '{value}' at 'functionName' {failed} have length less than or equal to {most}"  # noqa: E731
    whole = f"arn:aws:lambda:{g.region}:{g.account}:function"
    astray = f"arn:aws:lambda:invalid-region:{g.account}:function"
    longer = "a" * 129
    for name in ("*", "my-function!", "my-function:invalid!", "invalid-account:function:my-function", f"{astray}:my-function",
                 f"arn:aws:ec2:{g.region}:{g.account}:instance:i-1234567890abcdef0", f"{whole}:my-function:1:2", "function:my-function:$LATEST:extra",
                 f"{whole}:my-function:$LATEST:1", f"{whole}:my-function:$latest", f"arn:aws:lambda::{g.account}:function:my-function",
                 f"arn:aws:lambda:{g.region}::function:my-function", f"{whole}:my-function:$LATES"):
        g.refused(f"create {name[:60]}", ("ValidationException", fits(name)), "create_function", FunctionName=name, **g.make())
    # Recorded twice.
    name = f"my-function:{longer}"
    g.refused("a long qualifier", ("ValidationException", short(name, 140)), "create_function", FunctionName=name, **g.make())
    for name in (f"{astray}:my-function{'a' * 170}", f"{astray}:my-function-{'a' * 170}:{longer}"):
        g.refused(f"create {name[:60]}", ("ValidationException", short(name, 140), fits(name)), "create_function", FunctionName=name, **g.make())
    name = "a" * 65
    g.refused("a long name", ("InvalidParameterValueException", short(name, 64)), "create_function", FunctionName=name, **g.make())


@group(8)
def runtimes_of_the_past(g):
    for runtime in ("java8", "go1.x", "provided", "ruby2.7", "nodejs14.x", "python3.7", "dotnetcore3.1", "nodejs12.x"):
        g.no(runtime, (*WRONG, f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend you "
                       "use a supported runtime while creating or updating functions."), "create_function", **g.make(Runtime=runtime))


@group(7)
def what_lies_elsewhere(g):
    away = f"arn:aws:lambda:ap-southeast-7:{g.account}:function:{g.name}"
    for operation in ("delete_function", "invoke", "get_function_url_config", "get_function_event_invoke_config", "get_function_concurrency"):
        g.no(operation, (*GONE, f"Functions from 'ap-southeast-7' are not reachable in this region ('{g.region}')"), operation, FunctionName=away)
    odd = f"arn:aws:lambda:{g.region}:123400000000@function:myfn"
    g.no("a malformed ARN", pattern(odd, "functionName", NAME), "invoke", FunctionName=odd)
    g.no("a strange snapshot", (*MALFORMED, "1 validation error detected: Value 'invalidOption' at 'snapStart.applyOn' failed to satisfy constraint: Member must "
         "satisfy enum value set: [PublishedVersions, None]"), "create_function", **g.make(SnapStart={"ApplyOn": "invalidOption"}))


@group(8)
def snapshots(g):
    for runtime in ("java11", "java17", "java21", "java25", "python3.12", "python3.13", "dotnet8", "dotnet10"):
        off = {"SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}}
        g.yes(f"{runtime} without", 201, "create_function", off, PENDING, **g.make(Runtime=runtime, MemorySize=1024, Timeout=5))
        g.settle()
        on = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}, "State": "Active", "LastUpdateStatus": "InProgress"}
        g.yes(f"{runtime} with", 200, "update_function_configuration", on, UPDATING, SnapStart={"ApplyOn": "PublishedVersions"})
        g.settle()
        g.call("delete_function")


@group(6)
def logging(g):
    own = f"/aws/lambda/{g.name}"
    text = {"LogFormat": "Text", "LogGroup": own}
    told = lambda **more: {"ApplicationLogLevel": "INFO", "LogFormat": "JSON", "LogGroup": own, "SystemLogLevel": "INFO", **more}  # noqa: E731
    cool = {"LogGroup": "cool_lambda"}
    stories = [
        (told(), {"LogFormat": "JSON"}, [(cool, told(**cool))]),
        (text, None, [({"LogFormat": "JSON"}, told()), ({"LogFormat": "Text"}, text)]),
        (text, None, [({"LogFormat": "JSON"}, told())]),
        (text, None, [({"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"}, told(ApplicationLogLevel="DEBUG"))]),
        (text, None, [({"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}, told(SystemLogLevel="DEBUG"))]),
        (text, None, [(cool, {**text, **cool})]),
    ]
    for at, (made, given, changes) in enumerate(stories):
        params = {"LoggingConfig": given} if given else {}
        g.yes(f"{at}: create", 201, "create_function", {"LoggingConfig": made}, PENDING, **g.make(**params))
        g.settle()
        g.yes(f"{at}: get", 200, "get_function", {"LoggingConfig": made}, SETTLED)
        g.yes(f"{at}: settings", 200, "get_function_configuration", {"LoggingConfig": made}, SETTLED)
        for change, becomes in changes:
            g.yes(f"{at}: {change}", 200, "update_function_configuration", {"LoggingConfig": becomes}, UPDATING, LoggingConfig=change)
            g.settle()
            g.yes(f"{at}: after {change}", 200, "get_function", {"LoggingConfig": becomes}, SETTLED)
        g.call("delete_function")


@group(8)
def snapshots_published(g):
    off = {"SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}}
    for runtime in ("java11", "java17", "java21", "java25", "python3.12", "python3.13", "dotnet8", "dotnet10"):
        g.revisions = {}
        g.yes(f"{runtime}: create", 201, "create_function", {**off, "State": "Pending"}, PENDING, "1", **g.make(Runtime=runtime, MemorySize=1024, Timeout=5))
        g.settle()
        g.call("publish_version", Description="version1")
        g.yes(f"{runtime}: get latest", 200, "get_function", {**off, "State": "Active"}, SETTLED, "2")
        g.yes(f"{runtime}: get version", 200, "get_function", {**off, "Version": "1", "Description": "version1", "State": "Active", "FunctionArn": g.arn(":1")},
              SETTLED, "3", Qualifier="1")
        g.call("delete_function")


TAGGED = (r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?"
          r"|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}"
          r"|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)")


@group(4)
def tag_refusals(g):
    whole = (*WRONG, "Tags on function aliases and versions are not supported. Please specify a function ARN.")
    named = lambda arn: {"FunctionName": None, "Resource": arn}  # noqa: E731
    g.no("a malformed ARN", pattern("arn:aws:something", "resource", TAGGED), "tag_resource", **named("arn:aws:something"), Tags={"A": "a"})
    g.no("no function", (*GONE, f"Function not found: {g.other('doesnotexist')}"), "tag_resource", **named(g.other("doesnotexist")), Tags={"A": "a"})
    g.ready(Tags={"key_a": "value_a"})
    g.call("publish_version")
    for rest in (":1", ":$LATEST", ":doesnotexist"):
        g.no(f"of {rest}", whole, "tag_resource", **named(g.arn(rest)), Tags={"A": "a"})
    # Tags are of no version, and yet another revision follows them.
    g.yes("get", 200, "get_function", None, SETTLED, "1")
    more = {f"key_{letter}": f"value_{letter}" for letter in "bcde"}
    g.yes("tag", 204, "tag_resource", **named(g.arn()), Tags=more)
    g.yes("list", 200, "list_tags", {"Tags": {"key_a": "value_a", **more}}, {"Tags"}, **named(g.arn()))
    g.yes("get tagged", 200, "get_function", None, SETTLED, "2")
    g.yes("overwrite", 204, "tag_resource", **named(g.arn()), Tags={"key_c": "value_x"})
    g.yes("list other", 200, "list_tags", {"Tags": {"key_a": "value_a", **more, "key_c": "value_x"}}, {"Tags"}, **named(g.arn()))
    g.yes("get other", 200, "get_function", None, SETTLED, "3")
    g.yes("untag", 204, "untag_resource", **named(g.arn()), TagKeys=["key_c", "key_d"])
    g.yes("list fewer", 200, "list_tags", {"Tags": {"key_a": "value_a", "key_b": "value_b", "key_e": "value_e"}}, {"Tags"}, **named(g.arn()))
    g.yes("get untagged", 200, "get_function", None, SETTLED, "4")
    g.yes("untag all", 204, "untag_resource", **named(g.arn()), TagKeys=["key_a", "key_b", "key_e"])
    got = g.yes("get bare", 200, "get_function", None, SETTLED, "5")
    if "Tags" in got:
        g.say("get bare", got["Tags"], None)
    g.yes("list none", 200, "list_tags", {"Tags": {}}, {"Tags"}, **named(g.arn()))
    g.yes("untag what is not there", 204, "untag_resource", **named(g.arn()), TagKeys=["nothing"])
    g.no("no keys", (*MALFORMED, "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"),
         "untag_resource", **named(g.arn()), TagKeys=[])
    g.no("no tags", (*WRONG, "An error occurred and the request cannot be processed."), "tag_resource", **named(g.arn()), Tags={})
    many = {f"{number}_key": f"{number}_value" for number in range(51)}
    g.no("too many", (*WRONG, "Number of tags exceeds resource tag limit."), "tag_resource", **named(g.arn()), Tags=many)
    many.popitem()
    g.yes("as many as there may be", 204, "tag_resource", **named(g.arn()), Tags=many)
    g.yes("list all", 200, "list_tags", {"Tags": many}, {"Tags"}, **named(g.arn()))
    g.no("one more", (*WRONG, "Number of tags exceeds resource tag limit."), "tag_resource", **named(g.arn()), Tags={"more": "x"})


@group(3)
def too_large(g):
    # Recorded twice: once with one large file, once with many.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), "def handler(event, context):\n    pass\n")
        archive.writestr("large", b"\0" * 262144000, zipfile.ZIP_DEFLATED)
    g.no("unzipped", (*WRONG, "Unzipped size must be smaller than 262144000 bytes"), "create_function", **g.make(Code={"ZipFile": buffer.getvalue()}))
    g.no("the request", (413, "RequestEntityTooLargeException", "Request must be smaller than 70167211 bytes for the CreateFunction operation"),
         "create_function", **g.make(Code={"ZipFile": b"x" * 52700000}))


@group(1)
def listed(g):
    g.yes("create published", 201, "create_function", {"Version": "1", "State": "Pending"}, PENDING, **g.make(Publish=True))
    g.settle()
    g.settle("1")
    second = g.name + "-two"
    g.yes("create another", 201, "create_function", {"Version": "$LATEST", "State": "Pending"}, PENDING, **g.make(FunctionName=second))
    g.no("of a strange version", (*MALFORMED, "1 validation error detected: Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member must "
         "satisfy enum value set: [ALL]"), "list_functions", FunctionName=None, FunctionVersion="invalid")
    for what, params, wanted in (
        ("all", {"FunctionVersion": "ALL"}, [(g.arn(":$LATEST"), "$LATEST"), (g.arn(":1"), "1"), (g.arn("-two:$LATEST"), "$LATEST")]),
        ("each", {}, [(g.arn(), "$LATEST"), (g.arn("-two"), "$LATEST")]),
    ):
        told = g.yes(what, 200, "list_functions", FunctionName=None, **params).get("Functions", [])
        told = [one for one in told if one["FunctionName"].startswith(g.name)]
        if [(one["FunctionArn"], one["Version"]) for one in told] != wanted or any(set(one) != FUNCTION for one in told):
            extra = sorted({name for one in told for name in set(one) ^ FUNCTION})
            g.say(what, [[(one["FunctionArn"], one["Version"]) for one in told], extra], wanted)


@group(1)
def addresses(g):
    g.no("of no function", (*GONE, "Function does not exist"), "list_function_url_configs", FunctionName="doesnotexist")
    g.ready(Runtime="nodejs20.x")
    g.yes("publish", 201, "publish_version", {"Version": "1"}, SETTLED)
    g.yes("alias", 201, "create_alias", {"FunctionVersion": "1"}, ALIAS, Name="urlalias", FunctionVersion="1")
    g.yes("none", 200, "list_function_url_configs", {"FunctionUrlConfigs": []}, {"FunctionUrlConfigs"})
    g.yes("make", 201, "create_function_url_config", {"FunctionArn": g.arn()}, URL_MADE, AuthType="NONE")
    g.yes("make the alias's", 201, "create_function_url_config", {"FunctionArn": g.arn(":urlalias")}, URL_MADE, AuthType="NONE", Qualifier="urlalias")
    told = g.yes("both", 200, "list_function_url_configs", None, {"FunctionUrlConfigs"}).get("FunctionUrlConfigs", [])
    if [one["FunctionArn"] for one in told] != [g.arn(), g.arn(":urlalias")] or any(set(one) != URL for one in told):
        g.say("both", told, [g.arn(), g.arn(":urlalias")])


@group(1)
def account(g):
    told = g.yes("settings", 200, "get_account_settings", None, {"AccountLimit", "AccountUsage"}, FunctionName=None)
    parts = {name: sorted(value) for name, value in told.items()}
    wanted = {"AccountLimit": ["CodeSizeUnzipped", "CodeSizeZipped", "ConcurrentExecutions", "TotalCodeSize", "UnreservedConcurrentExecutions"],
              "AccountUsage": ["FunctionCount", "TotalCodeSize"]}
    if parts != wanted:
        g.say("settings", parts, wanted)


@group(1)
def reserved_too_much(g):
    g.ready()
    limits = g.call("get_account_settings", FunctionName=None)["AccountLimit"]
    whole = (*WRONG, "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
    put = "put_function_concurrency"
    g.no("more than all", whole, put, ReservedConcurrentExecutions=limits["ConcurrentExecutions"] + 1)
    g.no("more than may be", whole, put, ReservedConcurrentExecutions=limits["UnreservedConcurrentExecutions"] - 99)


@group(1)
def warm_too_much(g):
    g.ready()
    g.call("publish_version")
    free = g.call("get_account_settings", FunctionName=None)["AccountLimit"]["UnreservedConcurrentExecutions"]
    put = "put_provisioned_concurrency_config"
    g.no("more than all", (*WRONG, f"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{free}]."), put,
         Qualifier="1", ProvisionedConcurrentExecutions=free + 1)
    g.no("more than may be", (*WRONG, "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value "
         "of [100]."), put, Qualifier="1", ProvisionedConcurrentExecutions=free - 99)


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@group(2)
def code_from_a_bucket(g):
    s3, bucket = g.connect("s3"), g.name
    s3.create_bucket(Bucket=bucket)
    for key, word in (("one.zip", "one"), ("two.zip", "two")):
        s3.put_object(Bucket=bucket, Key=key, Body=package(word))
    where = lambda bucket, key: {"S3Bucket": bucket, "S3Key": key}  # noqa: E731
    said = "Error occurred while GetObject. S3 Error Code: "
    no_bucket = (*WRONG, f"{said}NoSuchBucket. S3 Error Message: The specified bucket does not exist")
    no_key = (*WRONG, f"{said}NoSuchKey. S3 Error Message: The specified key does not exist.")
    astray = [("no bucket", f"{bucket}-absent", "one.zip", no_bucket), ("no key", bucket, "absent.zip", no_key)]
    for what, place, key, refusal in astray:
        g.no(what, refusal, "create_function", **g.make(Code=where(place, key)))
    g.yes("create", 201, "create_function", {"State": "Pending", "CodeSha256": digest(package("one")), "CodeSize": len(package("one"))}, PENDING, "1",
          **g.make(Code=where(bucket, "one.zip")))
    g.settle()
    g.yes("get", 200, "get_function", {"LastUpdateStatus": "Successful", "CodeSha256": digest(package("one"))}, SETTLED, "2")
    for what, place, key, refusal in astray:
        g.no(f"{what} for an update", refusal, "update_function_code", **where(place, key))
    told = {"LastUpdateStatus": "InProgress", "State": "Active", "CodeSha256": digest(package("two"))}
    g.yes("update", 200, "update_function_code", told, UPDATING, "3", **where(bucket, "two.zip"))
    g.yes("get meanwhile", 200, "get_function", told, UPDATING, "3")


@group(1)
def code_in_the_request(g):
    g.yes("create", 201, "create_function", {"State": "Pending", "CodeSha256": digest(package("one"))}, PENDING, "1", **g.make())
    g.settle()
    g.yes("get", 200, "get_function", {"LastUpdateStatus": "Successful", "CodeSha256": digest(package("one"))}, SETTLED, "2")
    told = {"LastUpdateStatus": "InProgress", "State": "Active", "CodeSha256": digest(package("two"))}
    g.yes("update", 200, "update_function_code", told, UPDATING, "3", ZipFile=package("two"))
    g.yes("get meanwhile", 200, "get_function", told, UPDATING, "3")


@group(1)
def nearly_too_large(g):
    # As large as it may be when unzipped, from a bucket.
    buffer, source = io.BytesIO(), b"def handler(event, context):\n    return 'large'\n"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), source)
        archive.writestr("large", b"\0" * (262144000 - len(source)), zipfile.ZIP_DEFLATED)
    s3 = g.connect("s3")
    s3.create_bucket(Bucket=g.name)
    s3.put_object(Bucket=g.name, Key="large.zip", Body=buffer.getvalue())
    g.yes("create", 201, "create_function", {"State": "Pending", "CodeSize": len(buffer.getvalue()), "Timeout": 10}, PENDING,
          **g.make(Code={"S3Bucket": g.name, "S3Key": "large.zip"}, Timeout=10))


@group(1)
def names_in_full(g):
    create = "create_function"
    bare = PENDING | {"Environment"}
    env = {"Environment": {"Variables": {}}}
    g.yes("by ARN", 201, create, {"FunctionName": g.name, "FunctionArn": g.arn(), "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{g.name}"}},
          bare, **g.make(FunctionName=g.arn(), **env))
    other = f"{g.name}-two"
    g.yes("by a part of it", 201, create, {"FunctionName": other, "FunctionArn": g.other(other)}, bare,
          **g.make(FunctionName=f"{g.account}:function:{other}", **env))
    g.no("no name", pattern("invalid:function:name", "functionName", NEW_NAME), create, **g.make(FunctionName="invalid:function:name"))
    short = lambda code, value, most: (400, code, f"1 validation error detected: Value '{value}' at 'functionName' failed to satisfy constraint: Member "  # noqa: E731
                                       f"must have length less than or equal to {most}")
    g.no("a long name", short("InvalidParameterValueException", "a" * 65, 64), create, **g.make(FunctionName="a" * 65))
    long = g.other("a" * (141 - len(g.other(""))))
    g.no("a long ARN", short("ValidationException", long, 140), create, **g.make(FunctionName=long))
    g.no("elsewhere", (*GONE, f"Functions from 'ap-southeast-1' are not reachable in this region ('{g.region}')"), create,
         **g.make(FunctionName=f"arn:aws:lambda:ap-southeast-1:{g.account}:function:{g.name}"))
    # The real one has no words for it.
    g.no("of another", (403, "AccessDeniedException", None), create, **g.make(FunctionName=f"arn:aws:lambda:{g.region}:123456789012:function:{g.name}"))


@group(1)
def networks(g):
    bad = lambda value, member, regex: (*MALFORMED, f"1 validation error detected: Value '[{value}]' at 'vpcConfig.{member}' failed to satisfy constraint: "  # noqa: E731
                                        "Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater "
                                        f"than or equal to 0, Member must satisfy regular expression pattern: {regex}]")
    inside = lambda subnet, guard: {"SubnetIds": [subnet], "SecurityGroupIds": [guard]}  # noqa: E731
    # Half of two recorded cases: whether something well named exists is not ours to know.
    g.no("a malformed subnet", bad("no-subnet", "subnetIds", "subnet-[0-9a-z]*"), "create_function", **g.make(VpcConfig=inside("no-subnet", "sg-1")))
    g.no("a malformed group", bad("no-group", "securityGroupIds", "sg-[0-9a-zA-Z]*"), "create_function", **g.make(VpcConfig=inside("subnet-1", "no-group")))
    shown = lambda answer: answer.get("Configuration", answer).get("VpcConfig", {})  # noqa: E731
    members = {"Environment", "VpcConfig"}
    env = {"Environment": {"Variables": {}}}

    def held(what, answer, subnets, guards, network):
        told = shown(answer)
        if told != {"Ipv6AllowedForDualStack": False, "SubnetIds": subnets, "SecurityGroupIds": guards, "VpcId": network}:
            g.say(what, told, (subnets, guards, network))

    one, two = (["subnet-0a1"], ["sg-0a1"]), (["subnet-0b2"], ["sg-0b2"])
    made = g.yes("create", 201, "create_function", {"State": "Pending"}, PENDING | members, "1",
                 **g.make(VpcConfig=inside("subnet-0a1", "sg-0a1"), MemorySize=256, Timeout=5, **env))
    network = shown(made).get("VpcId")
    if not (network or "").startswith("vpc-"):
        g.say("create's network", network, "vpc-…")
    held("create", made, *one, network)
    g.settle()
    held("get", g.yes("get", 200, "get_function", None, SETTLED | members, "2"), *one, network)
    told = g.yes("update", 200, "update_function_configuration", {"LastUpdateStatus": "InProgress"}, UPDATING | members, "3",
                 VpcConfig=inside("subnet-0b2", "sg-0b2"))
    held("update", told, *two, network)
    g.settle()
    held("get updated", g.yes("get updated", 200, "get_function", None, SETTLED | members, "4"), *two, network)
    told = g.yes("leave", 200, "update_function_configuration", {"LastUpdateStatus": "InProgress"}, UPDATING | members, "5",
                 VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})
    held("leave", told, [], [], "")
    g.settle()
    held("get left", g.yes("get left", 200, "get_function", None, SETTLED | members, "6"), [], [], "")


@group(2)
def who_may_call(g):
    g.ready()
    add = "add_permission"
    account, bucket, org = {"SourceAccount": g.account}, "arn:aws:s3:::uploads", "o-1234567890"
    source = {"StringEquals": {"AWS:SourceAccount": g.account}}
    user = f"arn:aws:iam::{g.account}:user/somebody"
    call = "lambda:InvokeFunction"
    token = "amzn1.ask.skill.xxxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
    cases = [
        ("anybody", "*", call, account, "*", source),
        ("lambda", "lambda.amazonaws.com", call, account, {"Service": "lambda.amazonaws.com"}, source),
        ("account-id", g.account, call, {}, {"AWS": f"arn:aws:iam::{g.account}:root"}, None),
        ("user-arn", user, call, account, {"AWS": user}, source),
        ("urlPermission", "*", "lambda:InvokeFunctionUrl", {**account, "SourceArn": bucket, "PrincipalOrgID": org, "FunctionUrlAuthType": "NONE"}, "*",
         {"StringEquals": {**source["StringEquals"], "lambda:FunctionUrlAuthType": "NONE", "aws:PrincipalOrgID": org},
          "ArnLike": {"AWS:SourceArn": bucket}}),
        ("alexaSkill", "*", call, {"EventSourceToken": token}, "*", {"StringEquals": {"lambda:EventSourceToken": token}}),
        ("logs", "logs.amazonaws.com", call, {}, {"Service": "logs.amazonaws.com"}, None),
        ("kinesis", "kinesis.amazonaws.com", call, {}, {"Service": "kinesis.amazonaws.com"}, None),
    ]
    wanted = []
    for name, principal, action, params, shown, condition in cases:
        statement = {"Sid": name, "Effect": "Allow", "Principal": shown, "Action": action, "Resource": g.arn()}
        wanted.append({**statement, "Condition": condition} if condition else statement)
        said = g.yes(name, 201, add, None, {"Statement"}, StatementId=name, Action=action, Principal=principal, **params)
        if json.loads(said.get("Statement", "{}")) != wanted[-1]:
            g.say(name, said, wanted[-1])
    told = json.loads(g.yes("all", 200, "get_policy", None, {"Policy", "RevisionId"}).get("Policy", "{}"))
    if told != {"Version": "2012-10-17", "Id": "default", "Statement": wanted}:
        g.say("all", told, wanted)


QUEUED = {"BatchSize", "EventSourceArn", "EventSourceMappingArn", "FunctionArn", "FunctionResponseTypes", "LastModified", "MaximumBatchingWindowInSeconds",
          "State", "StateTransitionReason", "UUID"}
STREAMED = QUEUED | {"BisectBatchOnFunctionError", "DestinationConfig", "LastProcessingResult", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts",
                     "ParallelizationFactor", "StartingPosition", "TumblingWindowInSeconds"}


def mapped(g, id_, state):
    """Until a mapping has that state."""
    for _ in range(400):
        if g.client.get_event_source_mapping(UUID=id_)["State"] == state:
            return
        time.sleep(0.02)


@group(5)
def sources_of_every_kind(g):
    create, get, delete = (f"{it}_event_source_mapping" for it in ("create", "get", "delete"))
    g.ready()
    g.call("publish_version")
    g.call("create_alias", Name="myalias", FunctionVersion="1")
    queue = f"arn:aws:sqs:{g.region}:{g.account}:{g.name}"
    queued = {"BatchSize": 10, "EventSourceArn": queue, "FunctionResponseTypes": [], "MaximumBatchingWindowInSeconds": 0, "State": "Creating",
              "StateTransitionReason": "USER_INITIATED"}
    g.no("a queue with a destination", (*WRONG, "Unsupported DestinationConfig parameter for given event source mapping type."), create,
         EventSourceArn=queue, DestinationConfig={"OnFailure": {"Destination": queue}})
    partial = f"{g.account}:function:{g.name}"
    for name, rest in ((g.name, ""), (f"{partial}:$LATEST", ":$LATEST"), (f"{partial}:1", ":1"), (f"{partial}:myalias", ":myalias"), (g.arn(), ""),
                       (g.arn(":1"), ":1"), (g.arn(":myalias"), ":myalias")):
        made = g.yes(f"queue of {name}", 202, create, {**queued, "FunctionArn": g.arn(rest)}, QUEUED, FunctionName=name, EventSourceArn=queue)
        mapped(g, made["UUID"], "Enabled")
        g.call(delete, FunctionName=None, UUID=made["UUID"])
        # Gone before the next one, which may have the same function.
        for _ in range(400):
            if not g.client.list_event_source_mappings(EventSourceArn=queue)["EventSourceMappings"]:
                break
            time.sleep(0.02)
    stream = f"arn:aws:dynamodb:{g.region}:{g.account}:table/orders/stream/2025-11-25T00:00:00.000"
    g.no("a stream from a moment on", (*WRONG, f"Unsupported starting position for arn type: {stream}"), create, EventSourceArn=stream,
         StartingPosition="AT_TIMESTAMP")
    g.no("a stream without a start", (*WRONG, "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be "
         "null."), create, EventSourceArn=stream)
    g.no("a stream with a strange start", (*MALFORMED, "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member "
         "must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"), create, EventSourceArn=stream, StartingPosition="invalid")
    streamed = {"BisectBatchOnFunctionError": False, "EventSourceArn": stream, "FunctionArn": g.arn(), "FunctionResponseTypes": [],
                "LastProcessingResult": "No records processed", "MaximumRecordAgeInSeconds": -1, "ParallelizationFactor": 1,
                "StateTransitionReason": "User action", "TumblingWindowInSeconds": 0}
    plain = {**streamed, "BatchSize": 100, "DestinationConfig": {"OnFailure": {}}, "MaximumBatchingWindowInSeconds": 0, "MaximumRetryAttempts": -1,
             "StartingPosition": "LATEST", "State": "Creating"}
    made = g.yes("without filters", 202, create, plain, STREAMED, EventSourceArn=stream, StartingPosition="LATEST", FilterCriteria={"Filters": []})
    mapped(g, made["UUID"], "Enabled")
    g.call(delete, FunctionName=None, UUID=made["UUID"])
    asked = {"BatchSize": 1, "DestinationConfig": {"OnFailure": {"Destination": queue}}, "MaximumBatchingWindowInSeconds": 1, "MaximumRetryAttempts": 1,
             "StartingPosition": "TRIM_HORIZON"}
    # Once deleted by itself, once after its function, which it outlives.
    for at, what in enumerate(("with its function", "without it")):
        source = f"{stream}{at}"
        told = {**streamed, **asked, "EventSourceArn": source}
        made = g.yes(f"{what}: create", 202, create, {**told, "State": "Creating"}, STREAMED, EventSourceArn=source, **asked)
        alone = {"FunctionName": None, "UUID": made["UUID"]}
        arn = f"arn:aws:lambda:{g.region}:{g.account}:event-source-mapping:{made['UUID']}"
        if made.get("EventSourceMappingArn") != arn:
            g.say(f"{what}: ARN", made.get("EventSourceMappingArn"), arn)
        mapped(g, made["UUID"], "Enabled")
        g.yes(f"{what}: get", 200, get, {**told, "State": "Enabled"}, STREAMED, **alone)
        if at:
            g.yes(f"{what}: delete the function", 204, "delete_function")
            g.yes(f"{what}: get after it", 200, get, {**told, "State": "Enabled"}, STREAMED, **alone)
        g.yes(f"{what}: delete", 202, delete, {**told, "State": "Deleting"}, STREAMED, **alone)


@group(5)
def tags_of_sources(g):
    named = lambda arn: {"FunctionName": None, "Resource": arn}  # noqa: E731
    absent = f"arn:aws:lambda:{g.region}:{g.account}:event-source-mapping:{NEVER}"
    for what, arn in (("function", g.other("doesnotexist")), ("event source mapping", absent)):
        gone = (*GONE, f"{what.capitalize()} not found: {arn}")
        g.no(f"tag no {what}", gone, "tag_resource", **named(arn), Tags={"A": "a"})
        g.no(f"untag no {what}", gone, "untag_resource", **named(arn), TagKeys=["A"])
        g.no(f"list of no {what}", gone, "list_tags", **named(arn))
    strange = f"arn:aws:lambda:{g.region}:{g.account}:foobar:doesnotexist"
    for arn in (f"{absent}:alias", strange):
        g.no(f"of {arn}", pattern(arn, "resource", TAGGED), "tag_resource", **named(arn), Tags={"A": "a"})
    g.no("of an alias", (*WRONG, "Tags on function aliases and versions are not supported. Please specify a function ARN."), "tag_resource",
         **named(g.other("doesnotexist:alias")), Tags={"A": "a"})
    g.ready()
    queue = f"arn:aws:sqs:{g.region}:{g.account}:{g.name}"
    made = g.yes("create", 202, "create_event_source_mapping", None, QUEUED, EventSourceArn=queue, Tags={"testtag": "given"})
    mapping = made["EventSourceMappingArn"]
    g.yes("given", 200, "list_tags", {"Tags": {"testtag": "given"}}, {"Tags"}, **named(mapping))
    g.yes("untag given", 204, "untag_resource", **named(mapping), TagKeys=["testtag"])
    for what, arn in (("function", g.arn()), ("mapping", mapping)):
        steps = [
            ("tag_resource", {"Tags": {"A": "tag-a"}}, {"A": "tag-a"}),
            ("tag_resource", {"Tags": {"B": "tag-b", "C": "tag-c"}}, {"A": "tag-a", "B": "tag-b", "C": "tag-c"}),
            ("tag_resource", {"Tags": {"C": "tag-c-newsuffix", "D": "tag-d"}}, {"A": "tag-a", "B": "tag-b", "C": "tag-c-newsuffix", "D": "tag-d"}),
            ("untag_resource", {"TagKeys": ["A"]}, {"B": "tag-b", "C": "tag-c-newsuffix", "D": "tag-d"}),
            ("untag_resource", {"TagKeys": ["B", "C"]}, {"D": "tag-d"}),
            ("untag_resource", {"TagKeys": ["F"]}, {"D": "tag-d"}),
            ("untag_resource", {"TagKeys": ["D", "F"]}, {}),
        ]
        for at, (operation, params, left) in enumerate(steps):
            g.yes(f"{what}: step {at}", 204, operation, **named(arn), **params)
            g.yes(f"{what}: after step {at}", 200, "list_tags", {"Tags": left}, {"Tags"}, **named(arn))


@group(1)
def code_held(g):
    """How much code the account holds; the other groups are quiet meanwhile."""
    held = lambda: g.yes("settings", 200, "get_account_settings", None, None, FunctionName=None)["AccountUsage"]["TotalCodeSize"]  # noqa: E731
    before = held()
    g.ready()
    made = held()
    g.call("update_function_configuration", Description="changed")
    g.settle()
    changed = held()
    g.call("publish_version")
    # A published version counts once more; other settings weigh nothing.
    size = len(package("one"))
    told, wanted = (made - before, changed - made, held() - changed), (size, 0, size)
    if told != wanted:
        g.say("sizes", told, wanted)


def main():
    endpoint, account, region = sys.argv[1:]
    # What is malformed must reach the endpoint.
    settings = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)
    keys = {"aws_access_key_id": account, "aws_secret_access_key": "test"}

    def connect(service):
        return boto3.client(service, endpoint_url=endpoint, region_name=region, config=settings, **keys)

    for work, cases in GROUPS:
        told = Group(connect, f"recorded-{work.__name__.replace('_', '-')}"[:60], account, region)
        work(told)
        print(json.dumps({"group": work.__name__, "cases": cases, "asked": told.asked, "differ": told.differ, "unfit": told.unfit}), flush=True)


main()
