"""Shows what it was sent, and misbehaves when asked to."""

import os

STARTED = []


async def body_of(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    return body


def echo(scope, body):
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    lines = [scope["method"].encode() + b" " + target]
    lines += [name + b": " + value for name, value in scope["headers"]]
    return b"\n".join(lines) + b"\n\n" + body


def answer(scope, body):
    path = scope["path"]
    text = [(b"content-type", b"text/plain")]
    if path == "/cookies":
        return 200, [(b"Set-Cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"), (b"X-Many", b"1"), (b"x-many", b"2"), *text], b"two"
    if path == "/binary":
        return 200, [(b"content-type", b"application/octet-stream")], bytes(range(256))
    if path == "/large":
        return 200, text, b"0123456789abcdef" * 131072
    if path == "/untyped":
        return 200, [], b"what is it"
    if path == "/nothing":
        return 200, [], b""
    if path == "/created":
        return 201, [(b"location", b"/made/%2Fx"), *text], b"made"
    if path == "/gone":
        return 204, [], b""
    if path == "/latin":
        return 200, [(b"x-name", b"caf\xe9"), *text], b"ok"
    if path == "/unicode":
        return 200, [(b"content-type", b"text/plain; charset=utf-8")], "a\u2028\U0001f600\"\\\u0000\x7f".encode()
    if path == "/error":
        return 503, text, b"later"
    return 200, text, echo(scope, body)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        STARTED.append(True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert STARTED == [True], "lifespan comes first, and once"
    body = await body_of(receive)
    if scope["path"] == "/boom":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a secret detail")
    status, headers, content = answer(scope, body)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content[:3], "more_body": True})
    await send({"type": "http.response.body", "body": content[3:]})


async def events(scope, receive, send):
    """Knows no lifespan: takes events, writes down what it saw, and refuses some."""
    assert scope["type"] == "http"
    body = await body_of(receive)
    with open(os.environ["SEEN"], "ab") as file:
        file.write(echo(scope, body) + b"\n---\n")
    await send({"type": "http.response.start", "status": 500 if b"bad" in body else 200, "headers": []})
    await send({"type": "http.response.body"})
