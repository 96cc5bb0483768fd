"""A Lambda runtime in a few lines: asks the Runtime API for events and gives them to the handler."""

import http.client
import json
import os

import verdigris_shim

connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = connection.getresponse()
    event = json.loads(reply.read())
    at = "/2018-06-01/runtime/invocation/" + reply.headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        body, at = verdigris_shim.handler(event, None), at + "/response"
    except Exception as error:
        body, at = {"errorMessage": str(error)}, at + "/error"
    connection.request("POST", at, json.dumps(body))
    connection.getresponse().read()
