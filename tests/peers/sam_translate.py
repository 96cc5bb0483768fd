"""Holds what an endpoint makes of templates of SAM against what SAM's own translator makes of them.

usage: python sam_translate.py ENDPOINT

Exits non-zero where they differ. Needs aws-sam-translator and boto3.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

REGION = "eu-west-1"

TEMPLATES = {
    "least": """
Transform: AWS::Serverless-2016-10-31
Resources:
  Stock:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: s3://packages/abc}
""",
    "published": """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Mode: {Type: String, Default: one}
  Alias: {Type: String, Default: live-now}
Globals:
  Function:
    Runtime: python3.11
    Environment: {Variables: {MODE: !Ref Mode, STAGE: dev}}
    Tags: {team: shop}
Resources:
  Stock:
    Type: AWS::Serverless::Function
    Metadata: {SamResourceId: Stock}
    Properties:
      FunctionName: sam-stock
      Handler: app.handler
      CodeUri: {Bucket: packages, Key: abc, Version: '7'}
      Timeout: 10
      MemorySize: 256
      Environment: {Variables: {STAGE: prod, NAME: 'Grün 𝄞'}}
      Description: what is there
      AutoPublishAlias: !Ref Alias
      VersionDescription: as published
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}
      FunctionUrlConfig: {AuthType: NONE, InvokeMode: BUFFERED, Cors: {AllowOrigins: ['*']}}
      EventInvokeConfig: {MaximumRetryAttempts: 1, MaximumEventAgeInSeconds: 60}
      Events:
        Nightly: {Type: Schedule, Properties: {Schedule: rate(5 minutes), Input: '{"a": 1}', Enabled: false}}
Outputs:
  Address: {Value: !GetAtt StockUrl.FunctionUrl}
""",
    "events": """
Transform: AWS::Serverless-2016-10-31
Conditions: {IsThere: !Equals [a, a]}
Globals: {Function: {Runtime: nodejs22.x, Handler: index.handler, Layers: [one]}}
Resources:
  Orders: {Type: AWS::SQS::Queue}
  News: {Type: AWS::SNS::Topic}
  Uploads: {Type: AWS::S3::Bucket}
  Reorder:
    Type: AWS::Serverless::Function
    DependsOn: Orders
    Properties:
      InlineCode: 'exports.handler = async () => 1'
      Layers: [two]
      Policies:
        - AWSLambdaBasicExecutionRole
        - AmazonS3ReadOnlyAccess
        - arn:aws:iam::aws:policy/AWSLambda_FullAccess
        - Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]
      RolePath: /shop/
      Tracing: Active
      VpcConfig: {SubnetIds: [subnet-1], SecurityGroupIds: [sg-1]}
      ReservedConcurrentExecutions: 2
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Orders.Arn}
      Events:
        Orders: {Type: SQS, Properties: {Queue: !GetAtt Orders.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures]}}
        News: {Type: SNS, Properties: {Topic: !Ref News, FilterPolicy: {kind: [sold]}}}
        Uploads: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'],
          Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}]}}}}
        Clicks: {Type: Kinesis, Properties: {Stream: 'arn:aws:kinesis:eu-west-1:123456789012:stream/clicks', StartingPosition: LATEST}}
  Sometimes:
    Type: AWS::Serverless::Function
    Condition: IsThere
    DeletionPolicy: Retain
    Properties:
      InlineCode: 'exports.handler = async () => 2'
      Role: arn:aws:iam::123456789012:role/functions
      AutoPublishAlias: live
      AutoPublishCodeSha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
      Events:
        News: {Type: SNS, Properties: {Topic: !Ref News}}
""",
}


class Policies:
    def load(self):
        return {"AmazonS3ReadOnlyAccess": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}


def sorted_lists(value):
    """Without the order of lists, which nobody acts on."""
    if isinstance(value, dict):
        return {name: sorted_lists(it) for name, it in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(it) for it in value), key=lambda it: json.dumps(it, sort_keys=True))
    return value


def main():
    (endpoint,) = sys.argv[1:]
    os.environ["AWS_DEFAULT_REGION"] = REGION
    client = boto3.client(
        "cloudformation", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    for name, text in TEMPLATES.items():
        client.create_change_set(
            StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=text,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )
        told = client.describe_change_set(StackName=name, ChangeSetName="first")
        assert told["Status"] == "CREATE_COMPLETE", told
        ours = client.get_template(StackName=name, ChangeSetName="first", TemplateStage="Processed")["TemplateBody"]
        ours = json.loads(ours) if isinstance(ours, str) else ours
        tree = yaml_parse(text)
        given = {key: it["Default"] for key, it in tree.get("Parameters", {}).items()}
        theirs = json.loads(json.dumps(transform(tree, given, Policies())))
        ours, theirs = sorted_lists(ours["Resources"]), sorted_lists(theirs["Resources"])
        for resource in sorted(ours.keys() | theirs.keys()):
            mine, other = ours.get(resource), theirs.get(resource)
            assert mine == other, f"{name}: {resource}\nours:   {json.dumps(mine)}\ntheirs: {json.dumps(other)}"
    refused = client.create_change_set(
        StackName="refused", ChangeSetName="first", ChangeSetType="CREATE",
        TemplateBody="Transform: AWS::Serverless-2016-10-31\nResources: {Api: {Type: AWS::Serverless::Api}}",
    )
    told = client.describe_change_set(ChangeSetName=refused["Id"])
    assert told["Status"] == "FAILED" and "AWS::Serverless::Api" in told["StatusReason"], told


main()
