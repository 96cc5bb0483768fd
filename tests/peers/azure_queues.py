"""Drives the queues of a storage account on an Azure endpoint with Microsoft's own Python client, and checks what comes back.

usage: python azure_queues.py ENDPOINT CA_FILE

ENDPOINT is an https address, CA_FILE the certificate to trust. Needs azure-storage-queue, azure-mgmt-storage,
azure-mgmt-resource and azure-identity. Exits non-zero at the first thing that is not as it should be.
"""

import base64
import ssl
import sys
import time
from urllib.error import HTTPError
from urllib.request import urlopen

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.queue import (
    QueueClient,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-0000000000aa"
GROUP, ACCOUNT, PLACE = "peer", "peerqueues", "westeurope"


def main():
    endpoint, ca_file = sys.argv[1:]
    options = {"connection_verify": ca_file, "retry_total": 0}
    credential = ClientSecretCredential(
        TENANT, "00000000-0000-0000-0000-0000000000cc", "secret",
        authority=endpoint, disable_instance_discovery=True, connection_verify=ca_file,
    )
    address, key = make(endpoint, credential, options)
    connection = f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={key};QueueEndpoint={address}"
    service = QueueServiceClient.from_connection_string(connection, **options)
    queues(service)
    orders = service.create_queue("orders")
    messages(orders)
    time_passes(orders)
    refusals(service, orders)
    strangers(address, options)
    binary(service)
    service.delete_queue("orders")
    refused("QueueNotFound", 404, orders.receive_message)
    print("all as it should be")


def make(endpoint, credential, options):
    scopes = [f"{endpoint}/.default"]
    named = {"base_url": endpoint, "credential_scopes": scopes, **options}
    resources = ResourceManagementClient(credential, SUBSCRIPTION, **named)
    storage = StorageManagementClient(credential, SUBSCRIPTION, **named)
    resources.resource_groups.create_or_update(GROUP, {"location": PLACE})
    wanted = {"location": PLACE, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account = storage.storage_accounts.begin_create(GROUP, ACCOUNT, wanted).result()
    keys = storage.storage_accounts.list_keys(GROUP, ACCOUNT)["keys"]
    return account.primary_endpoints.queue, keys[1]["value"]


def refused(code, status, call, *args, **kwargs):
    try:
        answer = call(*args, **kwargs)
    except HttpResponseError as error:
        told = (getattr(error.error_code, "value", error.error_code), error.status_code)
        assert told == (code, status), (code, told)
        return
    raise AssertionError(f"{code} was expected, and there was {answer}")


def queues(service):
    assert list(service.list_queues()) == []
    for name in ["b-two", "a-one", "b-one"]:
        service.create_queue(name, metadata={"made": name})
    assert [it.name for it in service.list_queues()] == ["a-one", "b-one", "b-two"]
    pages = service.list_queues(name_starts_with="b-", include_metadata=True, results_per_page=1).by_page()
    told = [[(it.name, it.metadata) for it in page] for page in pages]
    assert told == [[("b-one", {"made": "b-one"})], [("b-two", {"made": "b-two"})]], told
    one = service.get_queue_client("a-one")
    one.set_queue_metadata({"kind": "other"})
    assert one.get_queue_properties().metadata == {"kind": "other"}
    for name in ["b-two", "a-one", "b-one"]:
        service.delete_queue(name)
    assert list(service.list_queues()) == []


def messages(orders):
    put = [orders.send_message(f"m{number} <&> é\n") for number in range(5)]
    assert len({it.id for it in put}) == 5
    assert (put[0].expires_on - put[0].inserted_on).days == 7
    assert orders.get_queue_properties().approximate_message_count == 5
    seen = orders.peek_messages(max_messages=32)
    assert [it.content for it in seen] == [f"m{number} <&> é\n" for number in range(5)]
    assert {it.dequeue_count for it in seen} == {0} and seen[0].pop_receipt is None
    read = list(orders.receive_messages(max_messages=3, visibility_timeout=60))
    assert [it.id for it in read] == [it.id for it in put[:3]]
    assert {it.dequeue_count for it in read} == {1}
    assert [it.id for it in orders.peek_messages(max_messages=32)] == [it.id for it in put[3:]]
    orders.delete_message(read[0])
    assert orders.get_queue_properties().approximate_message_count == 4
    # Given back at once, with another text; whoever read it before has lost it.
    changed = orders.update_message(read[1], content="changed", visibility_timeout=0)
    assert changed.pop_receipt != read[1].pop_receipt and changed.content == "changed"
    refused("PopReceiptMismatch", 400, orders.delete_message, read[1])
    again = orders.receive_message(visibility_timeout=60)
    assert (again.id, again.content, again.dequeue_count) == (read[1].id, "changed", 2), again
    refused("MessageNotFound", 404, orders.delete_message, read[0])
    # Whoever put a message may delete it.
    orders.delete_message(put[4].id, put[4].pop_receipt)
    orders.clear_messages()
    assert orders.get_queue_properties().approximate_message_count == 0


def time_passes(orders):
    orders.send_message("late", visibility_timeout=2)
    orders.send_message("short", time_to_live=1)
    orders.send_message("for ever", time_to_live=-1)
    assert [it.content for it in orders.peek_messages(max_messages=9)] == ["short", "for ever"]
    read = orders.receive_messages(max_messages=9, visibility_timeout=1)
    for_ever = [it for it in read if it.content == "for ever"]
    assert for_ever[0].expires_on.year == 9999, for_ever
    time.sleep(2.2)
    back = {it.content: it.dequeue_count for it in orders.receive_messages(max_messages=9)}
    assert back == {"late": 1, "for ever": 2}, back
    orders.clear_messages()


def refusals(service, orders):
    service.create_queue("made-twice", metadata={"by": "one"})
    refused("QueueAlreadyExists", 409, service.create_queue, "made-twice", metadata={"by": "other"})
    # Made as it is there: no refusal on the wire, and one to this client.
    refused("QueueAlreadyExists", 204, service.create_queue, "made-twice", metadata={"by": "one"})
    service.delete_queue("made-twice")
    refused("InvalidResourceName", 400, service.create_queue, "Upper")
    refused("InvalidResourceName", 400, service.create_queue, "two--dashes")
    refused("OutOfRangeInput", 400, service.create_queue, "ab")
    missing = service.get_queue_client("missing")
    for call in [missing.get_queue_properties, missing.clear_messages, missing.delete_queue, missing.peek_messages]:
        refused("QueueNotFound", 404, call)
    refused("QueueNotFound", 404, missing.send_message, "lost")
    refused("OutOfRangeQueryParameterValue", 400, orders.receive_message, visibility_timeout=7 * 24 * 3600 + 1)
    refused("OutOfRangeQueryParameterValue", 400, orders.send_message, "x", visibility_timeout=9, time_to_live=9)
    refused("MessageTooLarge", 400, orders.send_message, "x" * (64 * 1024 + 1))
    refused("RequestBodyTooLarge", 413, orders.send_message, "x" * (2 << 20))
    orders.send_message("x" * (64 * 1024))
    orders.clear_messages()


def strangers(address, options):
    """A wrong key opens nothing; a token does."""
    wrong = AzureNamedKeyCredential(ACCOUNT, base64.b64encode(b"another key").decode())
    refused("AuthenticationFailed", 403, QueueClient(address, "orders", credential=wrong, **options).peek_messages)
    # This client asks nothing as nobody.
    try:
        trusting = ssl.create_default_context(cafile=options["connection_verify"])
        urlopen(f"{address.rstrip('/')}/orders/messages?peekonly=true", context=trusting)
    except HTTPError as refusal:
        assert (refusal.code, refusal.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation"), refusal.headers
    else:
        raise AssertionError("nobody was let in")
    by_token = QueueClient(address, "orders", credential=Token(), **options)
    by_token.send_message("by token")
    assert by_token.receive_message().content == "by token"
    by_token.clear_messages()


class Token:
    """Any: who it is for does not matter here."""

    def get_token(self, *scopes, **_):
        from azure.core.credentials import AccessToken

        assert scopes == ("https://storage.azure.com/.default",), scopes
        return AccessToken("token", int(time.time()) + 3600)


def binary(service):
    """As functions expect it unless their host.json says otherwise."""
    policies = {"message_encode_policy": TextBase64EncodePolicy(), "message_decode_policy": TextBase64DecodePolicy()}
    orders = service.get_queue_client("orders", **policies)
    orders.send_message("in base64")
    assert service.get_queue_client("orders").peek_messages()[0].content == base64.b64encode(b"in base64").decode()
    assert orders.receive_message().content == "in base64"
    orders.clear_messages()


if __name__ == "__main__":
    main()
