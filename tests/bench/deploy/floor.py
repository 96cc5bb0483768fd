"""The least that AWS's interface allows, by the vendor's own client: what a person would write who knows exactly what there is.

usage: python floor.py ENDPOINT ROLE FUNCTIONS {first|change|nothing}

Each function has one alias, where ours have two. Code is packed in memory; eight functions are
worked on at once, as ours are. Prints how many milliseconds it was at work, which Python's own
start is no part of.
"""

import io
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

ENDPOINT, ROLE, COUNT, STEP = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
AT_ONCE = 8


def package(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", f"def handler(event, context):\n    return {text!r}\n")
    return packed.getvalue()


def first(client, name):
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": package(f"{name} one")},
        Publish=True,
    )
    wait(client, name, made["Version"])
    client.create_alias(FunctionName=name, Name="blue", FunctionVersion=made["Version"])


def change(client, name):
    code = package(f"{name} two")
    made = client.update_function_code(FunctionName=name, ZipFile=code, Publish=True)
    wait(client, name, made["Version"])
    client.update_alias(FunctionName=name, Name="blue", FunctionVersion=made["Version"], RoutingConfig={})


def nothing(client, name):
    client.get_function(FunctionName=name, Qualifier="blue")


def wait(client, name, version):
    client.get_waiter("function_active_v2").wait(FunctionName=name, Qualifier=version)


def main():
    config = Config(max_pool_connections=AT_ONCE, retries={"max_attempts": 3})
    client = boto3.client(
        "lambda",
        endpoint_url=ENDPOINT,
        region_name="eu-west-1",
        aws_access_key_id="verdigris",
        aws_secret_access_key="verdigris",
        config=config,
    )
    names = [f"floor-{number}" for number in range(COUNT)]
    # One function changes; all are new, and all are looked at.
    work = {"first": (first, names), "change": (change, names[:1]), "nothing": (nothing, names)}
    step, of = work[STEP]
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: step(client, name), of))
    print(round((time.monotonic() - started) * 1000))


main()
