"""Makes what a team may have in its account before it meets Verdigris, by the vendor's own client: ENDPOINT REGION ROLE.

A function with a layer, variables, tags, an alias, an address and a queue. Prints the ARN of the function.
"""

import io
import sys
import zipfile

import boto3

ENDPOINT, REGION, ROLE = sys.argv[1:]
NAME = "LegacyOrders_v2"


def client(service):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="123456789012",
        aws_secret_access_key="test",
    )


def archive(path, text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(path, text)
    return packed.getvalue()


functions, queues = client("lambda"), client("sqs")
layer = functions.publish_layer_version(
    LayerName="tools", Content={"ZipFile": archive("python/tools.py", "ANSWER = 42\n")}
)
made = functions.create_function(
    FunctionName=NAME,
    Runtime="python3.12",
    Role=ROLE,
    Handler="app.handler",
    Code={"ZipFile": archive("app.py", "def handler(event, context):\n    return {}\n")},
    MemorySize=512,
    Timeout=20,
    Layers=[layer["LayerVersionArn"]],
    Environment={"Variables": {"TABLE": "orders", "API_TOKEN": "hunter2"}},
    Tags={"team": "orders"},
)
functions.get_waiter("function_active_v2").wait(FunctionName=NAME)
version = functions.publish_version(FunctionName=NAME)["Version"]
functions.create_alias(FunctionName=NAME, Name="live", FunctionVersion=version)
functions.create_function_url_config(FunctionName=NAME, AuthType="AWS_IAM")
queue = queues.create_queue(QueueName="incoming")["QueueUrl"]
arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=NAME, BatchSize=5)
print(made["FunctionArn"])
