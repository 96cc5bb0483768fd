"""Holds calls to AWS and their answers against the models that AWS ships with its own client.

usage: python aws_model.py UPSTREAM [POLICY]
       python aws_model.py -

The first stands between a client and an endpoint: it listens on a free port of loopback and prints its address. Then it prints one line of
JSON for each call: the service, the operation, what it is about, the status, and what the model does not allow. With a file of an IAM
policy, what that does not allow goes no further, and is refused as AWS would; that needs moto.

The second reads lines of JSON, each a list of calls with their answers, bodies in base64, and prints such a list of lines for each.

Needs botocore. Knows all services that speak JSON or as Lambda does, S3, and those that take forms and are named here; of CloudWatch's
figures only which operation is asked for.
"""

import base64
import http.client
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from aws_shapes import Forms, Model, Objects
from botocore.loaders import Loader

# By the start of the header that names an operation.
TARGETS = {
    "AmazonSQS": "sqs",
    "AWSEvents": "events",
    "Logs_20140328": "logs",
    "CloudTrail_20131101": "cloudtrail",
    "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
}

# Services that take forms, by the version that these name.
FORMS = {"2010-05-08": "iam", "2010-03-31": "sns", "2010-05-15": "cloudformation", "2011-06-15": "sts"}

# What a call is about, by the name of a member.
ABOUT = ("FunctionName", "Resource", "Rule", "Name", "QueueName", "logGroupName", "resourceArn", "UUID")

# What a call of a service that takes forms is about.
ABOUT_FORMS = ("RoleName", "TopicArn", "SubscriptionArn")


class Models:
    """All models, and which of them a call is held against."""

    def __init__(self):
        self.load = Loader().load_service_model
        self.forms = {name: Forms(self.load(name, "service-2")) for name in FORMS.values()}
        self.objects = Objects(self.load("s3", "service-2"))
        self.models = {}

    def model(self, service):
        if service not in self.models:
            self.models[service] = Model(self.load(service, "service-2"))
        return self.models[service]

    def check(self, method, target, headers, sent, status, answered, body):
        """The service, the operation, its faults, and what it is about."""
        start, _, name = headers.get("x-amz-target", "").rpartition(".")
        service = TARGETS.get(start) or service_of(headers, sent)
        if service == "s3":
            return service, *self.objects.check(method, target, headers, sent, status, answered, body)
        if service == "monitoring":
            return service, name or urlsplit(target).path.rpartition("/")[2], [], None
        if service in self.forms:
            operation, faults, asked_of = self.forms[service].check(sent.decode(), status, answered, body)
            return service, operation, faults, next((asked_of[name] for name in ABOUT_FORMS if name in asked_of), None)
        model = self.model(service)
        if model.is_json:
            operation, faults, named = model.check_json(name, sent, status, body)
        else:
            operation, faults, named = model.check(method, target, headers, sent, status, answered, body)
        about = next((named[name] for name in ABOUT if name in named), None)
        return service, operation, faults, about

    def verdict(self, method, target, headers, sent, status, answered, body):
        service, operation, faults, about = self.check(method, target, headers, sent, status, answered, body)
        return {"service": service, "operation": operation, "about": about, "status": status, "faults": faults}


def service_of(headers, sent):
    """As the call is signed. A form that is not says by its version whom it is for."""
    scope = re.search(r"Credential=[^/]*/[^/]*/[^/]*/(\w+)/", headers.get("authorization", ""))
    if scope:
        return scope.group(1)
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    version = dict(parse_qsl(sent.decode())).get("Version") if is_form else None
    return FORMS.get(version, "lambda")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write, and no waiting for more: a proxy must not make calls slow.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    models, upstream, guard, refusal_of, printing = None, None, None, None, threading.Lock()

    def log_message(self, *_):
        pass

    def pass_on(self):
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        service = operation = None
        if self.guard:
            service, operation, refusal = self.judged(sent)
            if refusal:
                self.refuse(*refusal)
                return
        way = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=120)
        hop = ("connection", "expect", "content-length", "host")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        way.request(self.command, self.path, sent, headers)
        answer = way.getresponse()
        body = answer.read()
        way.close()
        if self.guard:
            self.guard.learn(service, operation, sent, answer.status, body)
        self.report(sent, answer, body)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def judged(self, sent):
        """The service, the operation, and the answer where the policy does not allow the call."""
        asked = {name.lower(): value for name, value in self.headers.items()}
        # As if it had been refused already: then no answer is held against the model.
        service, operation, _, about = self.models.check(self.command, self.path, asked, sent, 599, {}, b"")
        found = self.guard.refusal(service, operation, sent, self.path, about)
        return service, operation, found and self.refusal_of(service, *found)

    def refuse(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode() if self.command != "HEAD" else b"")
        self.wfile.flush()

    def report(self, sent, answer, body):
        asked = {name.lower(): value for name, value in self.headers.items()}
        answered = {name.lower(): value for name, value in answer.getheaders()}
        verdict = self.models.verdict(self.command, self.path, asked, sent, answer.status, answered, body)
        with self.printing:
            print(json.dumps(verdict), flush=True)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = pass_on


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def judge():
    models = Models()
    for line in sys.stdin:
        print(json.dumps([judged(models, call) for call in json.loads(line)]), flush=True)


def judged(models, call):
    sent, body = base64.b64decode(call["sent"]), base64.b64decode(call["body"])
    headers, status = call["headers"], call["status"]
    try:
        return models.verdict(call["method"], call["target"], headers, sent, status, call["answered"], body)
    except Exception as fault:
        # Of another service, perhaps: whoever adds one says how it is judged.
        return {"service": "unknown", "operation": None, "about": None, "status": status, "faults": [repr(fault)]}


def main():
    upstream, *policy = sys.argv[1:]
    if upstream == "-":
        judge()
        return
    Handler.upstream = urlsplit(upstream)
    Handler.models = Models()
    for path in policy:
        # Only who asks for it waits for moto.
        import iam_guard

        Handler.refusal_of = staticmethod(iam_guard.answer)
        with open(path) as file:
            Handler.guard = iam_guard.Guard(json.load(file)["Statement"])
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


main()
