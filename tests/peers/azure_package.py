"""A package for an Azure Functions app: one function behind a custom handler, which answers with two settings of its slot."""

import io
import json
import zipfile

HOST = {
    "version": "2.0",
    "customHandler": {
        "description": {"defaultExecutablePath": "python3", "arguments": ["handler.py"]},
        "enableForwardingHttpRequest": True,
    },
    "extensions": {"http": {"routePrefix": ""}},
}
TRIGGER = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "methods": ["get"]}
FUNCTION = {"bindings": [TRIGGER, {"type": "http", "direction": "out", "name": "res"}]}

# A custom handler: any HTTP server on the port that it is told.
PROGRAM = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = " ".join(os.environ[name] for name in SETTINGS).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

port = int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def package(function, *settings):
    """The bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("host.json", json.dumps(HOST))
        archive.writestr(f"{function}/function.json", json.dumps(FUNCTION))
        archive.writestr("handler.py", f"SETTINGS = {settings!r}\n{PROGRAM}")
    return buffer.getvalue()
