"""Runs a Python handler under the Lambda Runtime API. Used where awslambdaric is not installed."""

import http.client
import importlib
import json
import os
import sys
import time
import traceback


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))


def describe(error):
    return json.dumps(
        {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
    ).encode()


def load(handler):
    module, _, attribute = handler.rpartition(".")
    if not module:
        raise ValueError(f"Bad handler '{handler}': it must read module.function")
    sys.path.insert(0, os.getcwd())
    return getattr(importlib.import_module(module.replace("/", ".")), attribute)


class Api:
    BASE = "/2018-06-01/runtime"

    def __init__(self):
        self.connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, self.BASE + path, body=body, headers=headers)
        answer = self.connection.getresponse()
        return answer, answer.read()


def main():
    api = Api()
    try:
        handler = load(sys.argv[1])
    except BaseException as error:
        traceback.print_exc()
        api.call("POST", "/init/error", describe(error))
        sys.exit(1)
    while True:
        answer, body = api.call("GET", "/invocation/next")
        if answer.status != 200:
            return
        context = Context(answer.headers)
        os.environ["_X_AMZN_TRACE_ID"] = answer.headers.get("Lambda-Runtime-Trace-Id", "")
        path = f"/invocation/{context.aws_request_id}"
        try:
            result = json.dumps(handler(json.loads(body or b"null"), context)).encode()
            api.call("POST", path + "/response", result)
        except Exception as error:
            traceback.print_exc()
            api.call("POST", path + "/error", describe(error))
        sys.stdout.flush()


main()
