"""Drives a Lambda endpoint with boto3, as a person's scripts would, and checks what comes back and what runs.

usage: python lambda_client.py ENDPOINT

Exits non-zero at the first thing that is not as it should be.
"""

import base64
import hashlib
import io
import json
import sys
import urllib.error
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

NAME = "peer-stock"
ROLE = "arn:aws:iam::111122223333:role/functions"

CODE = """
import json, os, sys

def handler(event, context):
    if event.get("raise"):
        raise ValueError("as asked")
    print("said on the way")
    told = {"code": "CODE", "mode": os.environ["MODE"], "version": context.function_version,
            "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis() > 0,
            "python": sys.version_info[0], "event": event.get("n")}
    if "requestContext" in event:
        return {"statusCode": 203, "headers": {"x-mode": os.environ["MODE"]}, "body": json.dumps(told)}
    return told
"""


def package(code):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE.replace("CODE", code))
    return buffer.getvalue()


def digest(content):
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def main():
    (endpoint,) = sys.argv[1:]
    settings = Config(retries={"total_max_attempts": 1}, read_timeout=60)
    client = boto3.client(
        "lambda", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test", config=settings,
    )
    create(client)
    invoke(client)
    update(client)
    aliases(client)
    function_url(client)
    refusals(client)
    tags(client)
    pages(client)
    clean(client)
    print("all as it should be")


def ask(client, payload=None, **options):
    answer = client.invoke(FunctionName=NAME, Payload=json.dumps(payload or {}), **options)
    return answer, json.loads(answer["Payload"].read())


def create(client):
    first = package("first")
    made = client.create_function(
        FunctionName=NAME, Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": first}, Timeout=10,
        Environment={"Variables": {"MODE": "one"}}, Tags={"owner": "peer"}, Description="of the tests",
    )
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating"), made
    assert "LastUpdateStatus" not in made, made
    assert made["CodeSha256"] == digest(first), made
    assert made["FunctionArn"].endswith(f":function:{NAME}"), made
    client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    told = client.get_function(FunctionName=NAME)
    assert told["Configuration"]["LastUpdateStatus"] == "Successful", told
    assert told["Configuration"]["RevisionId"] != made["RevisionId"]
    assert told["Tags"] == {"owner": "peer"}, told
    with urllib.request.urlopen(told["Code"]["Location"], timeout=30) as code:
        assert code.read() == first
    print("created, active, and the code comes back as it went")


def invoke(client):
    answer, told = ask(client, {"n": 7}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST"), answer
    expected = {"code": "first", "mode": "one", "version": "$LATEST", "left": True, "python": 3, "event": 7}
    assert {name: told[name] for name in expected} == expected, told
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "said on the way" in log and "REPORT RequestId:" in log, log
    answer, told = ask(client, {"raise": True})
    assert (answer["FunctionError"], told["errorType"], told["errorMessage"]) == ("Unhandled", "ValueError", "as asked"), told
    assert ask_status(client, "Event") == 202
    assert ask_status(client, "DryRun") == 204
    print("invoked: its answer, its log, its error")


def ask_status(client, kind):
    return client.invoke(FunctionName=NAME, InvocationType=kind, Payload="{}")["StatusCode"]


def settled(client):
    client.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    return client.get_function_configuration(FunctionName=NAME)


def update(client):
    first = client.publish_version(FunctionName=NAME, Description="the first")
    assert (first["Version"], first["State"]) == ("1", "Active"), first
    again = client.publish_version(FunctionName=NAME, Description="the first")
    assert (again["Version"], again["RevisionId"]) == ("1", first["RevisionId"]), again

    changed = client.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"MODE": "two"}}, MemorySize=256)
    assert (changed["State"], changed["LastUpdateStatus"]) == ("Active", "InProgress"), changed
    refused(client.update_function_configuration, 409, "ResourceConflictException", FunctionName=NAME, Timeout=11)
    told = settled(client)
    assert told["MemorySize"] == 256 and told["RevisionId"] != changed["RevisionId"], told

    second = package("second")
    refused(client.update_function_code, 412, "PreconditionFailedException",
            FunctionName=NAME, ZipFile=second, RevisionId=changed["RevisionId"])
    code = client.update_function_code(FunctionName=NAME, ZipFile=second, RevisionId=told["RevisionId"], Publish=True)
    assert (code["Version"], code["CodeSha256"]) == ("2", digest(second)), code
    client.get_waiter("published_version_active").wait(FunctionName=NAME, Qualifier="2", WaiterConfig={"Delay": 1})
    settled(client)
    for version, expected in [("1", ("first", "one")), ("2", ("second", "two"))]:
        _, told = ask(client, Qualifier=version)
        assert (told["code"], told["mode"], told["version"]) == (*expected, version), told
    print("two versions, each with its own code and settings")


def aliases(client):
    made = client.create_alias(FunctionName=NAME, Name="blue", FunctionVersion="1")
    assert made["AliasArn"].endswith(f":{NAME}:blue"), made
    client.create_alias(FunctionName=NAME, Name="green", FunctionVersion="2")
    answer, told = ask(client, Qualifier="blue")
    assert (answer["ExecutedVersion"], told["code"]) == ("1", "first"), (answer, told)
    assert told["arn"].endswith(":blue"), told
    moved = client.update_alias(FunctionName=NAME, Name="blue", FunctionVersion="2", RevisionId=made["RevisionId"])
    assert moved["RevisionId"] != made["RevisionId"], moved
    refused(client.update_alias, 412, "PreconditionFailedException",
            FunctionName=NAME, Name="blue", FunctionVersion="1", RevisionId=made["RevisionId"])
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    client.update_alias(FunctionName=NAME, Name="blue", RoutingConfig=weights)
    seen = {ask(client, Qualifier="blue")[0]["ExecutedVersion"] for _ in range(40)}
    assert seen == {"1", "2"}, seen
    client.update_alias(FunctionName=NAME, Name="blue", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in client.get_alias(FunctionName=NAME, Name="blue")
    told = client.list_aliases(FunctionName=NAME, FunctionVersion="2")
    assert [one["Name"] for one in told["Aliases"]] == ["blue", "green"], told
    refused(client.delete_function, 409, "ResourceConflictException", FunctionName=NAME, Qualifier="2")
    print("aliases move, weights are honoured, and what they use stays")


def function_url(client):
    made = client.create_function_url_config(FunctionName=NAME, Qualifier="green", AuthType="NONE")
    url = made["FunctionUrl"]
    assert fetch(url)[0] == 403, "an address nobody opened"
    client.add_permission(FunctionName=NAME, Qualifier="green", StatementId="url", Principal="*",
                          Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    client.add_permission(FunctionName=NAME, Qualifier="green", StatementId="call", Principal="*",
                          Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True)
    status, headers, body = fetch(f"{url}stock/42?x=1")
    assert (status, headers["x-mode"], json.loads(body)["version"]) == (203, "two", "2"), (status, body)
    policy = json.loads(client.get_policy(FunctionName=NAME, Qualifier="green")["Policy"])
    assert {one["Sid"] for one in policy["Statement"]} == {"url", "call"}, policy
    client.remove_permission(FunctionName=NAME, Qualifier="green", StatementId="call")
    assert fetch(url)[0] == 403
    changed = client.update_function_url_config(FunctionName=NAME, Qualifier="green", InvokeMode="RESPONSE_STREAM")
    assert changed["InvokeMode"] == "RESPONSE_STREAM", changed
    assert client.get_function_url_config(FunctionName=NAME, Qualifier="green")["InvokeMode"] == "RESPONSE_STREAM"
    changed = client.update_function_url_config(FunctionName=NAME, Qualifier="green", AuthType="AWS_IAM")
    assert (changed["FunctionUrl"], changed["AuthType"]) == (url, "AWS_IAM"), changed
    assert client.get_function_url_config(FunctionName=NAME, Qualifier="green")["AuthType"] == "AWS_IAM"
    assert len(client.list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]) == 1
    client.delete_function_url_config(FunctionName=NAME, Qualifier="green")
    refused(client.get_function_url_config, 404, "ResourceNotFoundException", FunctionName=NAME, Qualifier="green")
    print("a function URL answers when it is open, and only then")


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def refused(call, status, code, **arguments):
    try:
        told = call(**arguments)
    except ClientError as error:
        told = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert told == (status, code), (told, error)
        return
    raise AssertionError(f"{call.__name__} was not refused: {told}")


def refusals(client):
    absent = {"FunctionName": "absent"}
    for call in (client.get_function, client.delete_function, client.invoke, client.publish_version, client.list_aliases):
        refused(call, 404, "ResourceNotFoundException", **absent)
    refused(client.get_alias, 404, "ResourceNotFoundException", FunctionName=NAME, Name="none")
    refused(client.create_alias, 409, "ResourceConflictException", FunctionName=NAME, Name="blue", FunctionVersion="1")
    refused(client.create_alias, 404, "ResourceNotFoundException", FunctionName=NAME, Name="x", FunctionVersion="9")
    again = {"FunctionName": NAME, "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": package("x")}}
    refused(client.create_function, 409, "ResourceConflictException", Runtime="python3.12", **again)
    refused(client.create_function, 400, "InvalidParameterValueException", Runtime="cobol85", **again)
    refused(client.publish_version, 400, "InvalidParameterValueException", FunctionName=NAME, CodeSha256=digest(b"other"))
    refused(client.update_function_code, 400, "InvalidParameterValueException", FunctionName=NAME, ZipFile=b"no zip")
    try:
        client.get_waiter("function_exists").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 2}, **absent)
    except WaiterError as error:
        assert "Max attempts exceeded" in str(error), error
    print("refusals as AWS gives them")


def tags(client):
    arn = client.get_function_configuration(FunctionName=NAME)["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"verdigris:owner": "verdigris", "owner": "another"})
    client.untag_resource(Resource=arn, TagKeys=["owner"])
    assert client.list_tags(Resource=arn)["Tags"] == {"verdigris:owner": "verdigris"}
    print("tags come and go")


def pages(client):
    names = [f"peer-page-{number}" for number in range(5)]
    for name in names:
        client.create_function(FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="app.handler",
                               Code={"ZipFile": package(name)})
    found = []
    for page in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}):
        assert len(page["Functions"]) <= 2, page
        found += [one["FunctionName"] for one in page["Functions"]]
    assert sorted(found) == sorted([*names, NAME]), found
    versions = [
        one["Version"]
        for page in client.get_paginator("list_versions_by_function").paginate(
            FunctionName=NAME, PaginationConfig={"PageSize": 1})
        for one in page["Versions"]
    ]
    assert versions == ["$LATEST", "1", "2"], versions
    for name in names:
        client.delete_function(FunctionName=name)
    print("lists come in pages and are whole")


def clean(client):
    client.delete_alias(FunctionName=NAME, Name="blue")
    client.delete_alias(FunctionName=NAME, Name="green")
    client.delete_function(FunctionName=NAME, Qualifier="1")
    client.delete_function(FunctionName=NAME)
    refused(client.get_function, 404, "ResourceNotFoundException", FunctionName=NAME)
    assert client.list_functions()["Functions"] == []
    print("everything is gone again")


if __name__ == "__main__":
    sys.exit(main())
