"""Drives CloudFormation with boto3: stacks are made, changed, fail and go back, and are removed.

usage: python cloudformation_client.py ENDPOINT

Exits non-zero at the first thing that is not as it should be.
"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Description: what the shop needs & more
Parameters:
  Mode: {Type: String, Default: one, AllowedValues: [one, two]}
  Key: {Type: String, Default: hidden, NoEcho: true}
Conditions:
  IsTwo: !Equals [!Ref Mode, two]
Mappings:
  Sizes: {one: {memory: 128}, two: {memory: 256}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}]
      ManagedPolicyArns: ['arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole']
      Policies: [{PolicyName: own, PolicyDocument: {Version: '2012-10-17', Statement: []}}]
  Orders: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}
  News: {Type: AWS::SNS::Topic}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub '/aws/lambda/${AWS::StackName}-stock', RetentionInDays: 7}}
  Uploads: {Type: AWS::S3::Bucket, DependsOn: ByBucket, Properties: {NotificationConfiguration: {LambdaConfigurations: [
    {Function: !GetAtt Stock.Arn, Event: 's3:ObjectCreated:*', Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}]}}}]}}}
  Stock:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Sub '${AWS::StackName}-stock'
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      MemorySize: !FindInMap [Sizes, !Ref Mode, memory]
      Code: {ZipFile: "import os\\ndef handler(event, context):\\n    return {'mode': os.environ['MODE'], 'event': event}\\n"}
      Environment: {Variables: {MODE: !Ref Mode, QUEUE: !Ref Orders, EXTRA: !If [IsTwo, yes, !Ref 'AWS::NoValue']}}
  Version1: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Stock}}
  Live: {Type: AWS::Lambda::Alias, Properties: {Name: live, FunctionName: !Ref Stock, FunctionVersion: !GetAtt Version1.Version}}
  Reads: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref Live, EventSourceArn: !GetAtt Orders.Arn, BatchSize: 2}}
  ByBucket: {Type: AWS::Lambda::Permission, Properties: {FunctionName: !Ref Stock, Action: 'lambda:InvokeFunction',
    Principal: s3.amazonaws.com, SourceAccount: !Ref 'AWS::AccountId'}}
  ByTopic: {Type: AWS::Lambda::Permission, Properties: {FunctionName: !Ref Live, Action: 'lambda:InvokeFunction',
    Principal: sns.amazonaws.com, SourceArn: !Ref News}}
  Hears: {Type: AWS::SNS::Subscription, Properties: {TopicArn: !Ref News, Protocol: lambda, Endpoint: !Ref Live}}
  Nightly: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 day), Targets: [{Id: stock, Arn: !Ref Live}]}}
  Later: {Type: AWS::Lambda::EventInvokeConfig, Properties: {FunctionName: !Ref Stock, Qualifier: live, MaximumRetryAttempts: 1},
    DependsOn: Live}
  Url: {Type: AWS::Lambda::Url, Properties: {TargetFunctionArn: !Ref Live, AuthType: AWS_IAM}}
Outputs:
  Arn: {Value: !GetAtt Stock.Arn, Description: of the function, Export: {Name: !Sub '${AWS::StackName}-arn'}}
  Two: {Value: two, Condition: IsTwo}
"""

CAPABLE = ["CAPABILITY_IAM"]


def refused(call, code, words):
    try:
        call()
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code and words in told["Message"], told
        return
    raise AssertionError(f"{code} was expected: {words}")


def wait(client, name, stack="shop"):
    client.get_waiter(name).wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def stack(client, name="shop"):
    (told,) = client.describe_stacks(StackName=name)["Stacks"]
    return told


def events(client, name="shop"):
    pages = client.get_paginator("describe_stack_events").paginate(StackName=name)
    return [(it["LogicalResourceId"], it["ResourceStatus"], it.get("ResourceStatusReason", "")) for page in pages for it in page["StackEvents"]]


def invoke(functions, qualifier="live"):
    told = functions.invoke(FunctionName="shop-stock", Qualifier=qualifier, Payload=json.dumps({"n": 5}))
    return json.loads(told["Payload"].read())


def made(client, functions):
    told = client.validate_template(TemplateBody=TEMPLATE)
    assert told["Capabilities"] == CAPABLE and told["Description"] == "what the shop needs & more", told
    refused(lambda: client.validate_template(TemplateBody="Resources: {A: {}}"), "ValidationError", "must contain a Type")
    refused(lambda: client.create_stack(StackName="shop", TemplateBody=TEMPLATE), "InsufficientCapabilitiesException", "CAPABILITY_IAM")
    refused(lambda: client.create_stack(StackName="0", TemplateBody=TEMPLATE, Capabilities=CAPABLE), "ValidationError", "stackName")
    refused(lambda: client.describe_stacks(StackName="shop"), "ValidationError", "does not exist")
    client.create_stack(StackName="shop", TemplateBody=TEMPLATE, Capabilities=CAPABLE, Tags=[{"Key": "team", "Value": "a/b"}])
    wait(client, "stack_create_complete")
    told = stack(client)
    parameters = {it["ParameterKey"]: it["ParameterValue"] for it in told["Parameters"]}
    assert parameters == {"Mode": "one", "Key": "****"}, parameters
    (output,) = told["Outputs"]
    assert output["OutputValue"].endswith(":function:shop-stock") and output["ExportName"] == "shop-arn", output
    assert client.list_exports()["Exports"][0]["Value"] == output["OutputValue"]
    refused(lambda: client.create_stack(StackName="shop", TemplateBody=TEMPLATE, Capabilities=CAPABLE), "AlreadyExistsException", "shop")
    answer = invoke(functions)
    assert answer == {"mode": "one", "event": {"n": 5}}, answer
    described = functions.get_function(FunctionName="shop-stock")
    assert described["Configuration"]["MemorySize"] == 128 and described["Tags"] == {"team": "a/b"}, described
    assert "EXTRA" not in described["Configuration"]["Environment"]["Variables"]
    resources = client.describe_stack_resources(StackName="shop")["StackResources"]
    assert len(resources) == 15, resources
    summaries = [it for page in client.get_paginator("list_stack_resources").paginate(StackName="shop") for it in page["StackResourceSummaries"]]
    assert len(summaries) == 15, summaries
    detail = client.describe_stack_resource(StackName="shop", LogicalResourceId="Version1")["StackResourceDetail"]
    assert detail["PhysicalResourceId"].endswith(":shop-stock:1"), detail
    refused(lambda: client.describe_stack_resource(StackName="shop", LogicalResourceId="No"), "ValidationError", "No does not exist")
    told = client.get_template_summary(StackName="shop")
    assert "AWS::Lambda::Alias" in told["ResourceTypes"] and len(told["Parameters"]) == 2, told


def changed(client, functions):
    two = [{"ParameterKey": "Mode", "ParameterValue": "two"}]
    refused(lambda: client.update_stack(StackName="shop", UsePreviousTemplate=True, Capabilities=CAPABLE), "ValidationError", "No updates")
    refused(lambda: client.update_stack(StackName="no", TemplateBody=TEMPLATE), "ValidationError", "does not exist")
    text = TEMPLATE.replace("Version1", "Version2")
    asked = {"StackName": "shop", "ChangeSetName": "two", "TemplateBody": text, "Parameters": two, "Capabilities": CAPABLE}
    client.create_change_set(**asked)
    client.get_waiter("change_set_create_complete").wait(StackName="shop", ChangeSetName="two")
    changes = client.describe_change_set(StackName="shop", ChangeSetName="two")["Changes"]
    changes = {it["ResourceChange"]["LogicalResourceId"]: it["ResourceChange"]["Action"] for it in changes}
    assert changes == {"Stock": "Modify", "Version1": "Remove", "Version2": "Add", "Live": "Modify"}, changes
    assert len(client.list_change_sets(StackName="shop")["Summaries"]) == 1
    client.execute_change_set(StackName="shop", ChangeSetName="two")
    wait(client, "stack_update_complete")
    assert invoke(functions)["mode"] == "two"
    assert {it["OutputKey"] for it in stack(client)["Outputs"]} == {"Arn", "Two"}
    client.create_change_set(**{**asked, "ChangeSetName": "again"})
    told = client.describe_change_set(StackName="shop", ChangeSetName="again")
    assert told["Status"] == "FAILED" and "didn't contain changes" in told["StatusReason"], told
    refused(lambda: client.execute_change_set(StackName="shop", ChangeSetName="again"), "InvalidChangeSetStatus", "FAILED")
    client.delete_change_set(StackName="shop", ChangeSetName="again")
    refused(lambda: client.describe_change_set(StackName="shop", ChangeSetName="again"), "ChangeSetNotFound", "again")


def failed(client, functions):
    """What is not known is refused by name, and all goes back."""
    text = TEMPLATE.replace("Version1", "Version2").replace("MODE: !Ref Mode", "MODE: three")
    text = text.replace("  Later:", "  Table: {Type: AWS::DynamoDB::Table, DependsOn: Stock}\n  Later:")
    client.update_stack(StackName="shop", TemplateBody=text, Capabilities=CAPABLE, Parameters=[{"ParameterKey": "Mode", "UsePreviousValue": True}])
    try:
        wait(client, "stack_update_complete")
        raise AssertionError("a table is not known")
    except WaiterError:
        pass
    wait(client, "stack_rollback_complete")
    assert stack(client)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stack(client)
    why = [reason for logical, status, reason in events(client) if logical == "Table" and status == "CREATE_FAILED"]
    assert why and "AWS::DynamoDB::Table" in why[0] and "Table" in why[0], why
    assert invoke(functions)["mode"] == "two" and invoke(functions, "$LATEST")["mode"] == "two"
    broken = "Resources: {Queue: {Type: AWS::SQS::Queue}, Topic: {Type: AWS::SNS::Topic, DependsOn: Queue, Properties: {FifoTopic: true}}}"
    client.create_stack(StackName="broken", TemplateBody=broken)
    try:
        wait(client, "stack_create_complete", "broken")
        raise AssertionError("a property is not known")
    except WaiterError:
        pass
    while stack(client, "broken")["StackStatus"] != "ROLLBACK_COMPLETE":
        time.sleep(0.1)
    why = [reason for logical, status, reason in events(client, "broken") if status == "CREATE_FAILED"]
    assert "FifoTopic of AWS::SNS::Topic (Topic)" in why[0], why
    assert not client.describe_stack_resources(StackName="broken")["StackResources"]
    client.delete_stack(StackName="broken")
    wait(client, "stack_delete_complete", "broken")


def gone(client, functions):
    told = client.get_template(StackName="shop")
    assert "Version2" in str(told["TemplateBody"]), told
    identity = stack(client)["StackId"]
    client.delete_stack(StackName="shop")
    wait(client, "stack_delete_complete")
    assert stack(client, identity)["StackStatus"] == "DELETE_COMPLETE"
    assert not functions.list_functions()["Functions"]
    assert not functions.list_event_source_mappings()["EventSourceMappings"]
    listed = client.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert {"shop", "broken"} <= {it["StackName"] for it in listed}, listed
    client.delete_stack(StackName="shop")


def main():
    (endpoint,) = sys.argv[1:]
    settings = {
        "endpoint_url": endpoint, "region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test",
        "config": Config(retries={"total_max_attempts": 1}),
    }
    client, functions = boto3.client("cloudformation", **settings), boto3.client("lambda", **settings)
    made(client, functions)
    changed(client, functions)
    failed(client, functions)
    gone(client, functions)


main()
