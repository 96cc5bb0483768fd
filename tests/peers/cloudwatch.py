"""Writes figures to a CloudWatch endpoint with AWS's own Python client.

usage: python cloudwatch.py ENDPOINT NAMESPACE METRIC MOMENT SLOT=NUMBER...

MOMENT is in ISO 8601; each number is a data point of that moment with the dimension `slot`.
"""

import datetime
import sys

import boto3

endpoint, namespace, metric, moment, *figures = sys.argv[1:]
client = boto3.client(
    "cloudwatch",
    endpoint_url=endpoint,
    region_name="eu-west-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
at = datetime.datetime.fromisoformat(moment)
for figure in figures:
    slot, number = figure.split("=")
    point = {
        "MetricName": metric,
        "Dimensions": [{"Name": "slot", "Value": slot}],
        "Timestamp": at,
        "Value": float(number),
    }
    client.put_metric_data(Namespace=namespace, MetricData=[point])
