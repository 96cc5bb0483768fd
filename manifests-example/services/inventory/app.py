"""How many of a thing are in stock. A plain ASGI application: it needs nothing but Python."""

import json
import os

VERSION = "v1"

STOCK = {"42": 17, "43": 3, "44": 0}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    parts = scope["path"].strip("/").split("/")
    match parts:
        case ["version"]:
            await answer(send, 200, {"service": "inventory", "version": VERSION})
        case ["stock", sku] if sku in STOCK:
            found = {
                "sku": sku,
                "left": STOCK[sku],
                "warehouse": os.environ.get("WAREHOUSE", ""),
                "version": VERSION,
            }
            await answer(send, 200, found)
        case _:
            await answer(send, 404, {"error": "there is no such thing", "version": VERSION})


async def answer(send, status, content):
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
