"""Drives an Azure Resource Manager endpoint with the az command line, and checks what comes back.

usage: python az_cli.py ENDPOINT CA_FILE

ENDPOINT is an https address, CA_FILE the certificate to trust. Runs the `az` beside this Python. Exits non-zero at the first thing that
is not as it should be.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

from azure_package import package

GROUP, ACCOUNT, PLAN, APP, SLOT = "az-group", "azaccount", "az-plan", "az-app", "green"
TENANT = "00000000-0000-0000-0000-0000000000aa"


class Az:
    def __init__(self, folder, ca_file):
        self.program = str(pathlib.Path(sys.executable).parent / "az")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AZURE_CONFIG_DIR": str(folder / "config"),
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            "REQUESTS_CA_BUNDLE": ca_file,
        }

    def run(self, *arguments):
        command = [self.program, *arguments, "--output", "json", "--only-show-errors"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)

    def __call__(self, *arguments):
        ended = self.run(*arguments)
        if ended.returncode != 0:
            sys.exit(f"az {' '.join(arguments)}: exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return json.loads(ended.stdout) if ended.stdout.strip() else None

    def refused(self, *arguments):
        ended = self.run(*arguments)
        expect(ended.returncode != 0, f"az {' '.join(arguments)} is refused", ended.stdout)
        return ended.stderr


def expect(holds, what, got):
    if not holds:
        sys.exit(f"{what}: got {got}")
    print(f"ok  {what}")


def answer(host):
    with urllib.request.urlopen(f"http://{host}/ping", timeout=30) as response:
        return response.read().decode()


def main(endpoint, ca_file):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        az = Az(folder, ca_file)
        sign_in(az, endpoint)
        create(az)
        archive = folder / "app.zip"
        archive.write_bytes(package("ping", "RELEASE", "PLACE"))
        deploy(az, archive)
        swap(az)
        put_message(az)
        look(az)
        clean_up(az)


def sign_in(az, endpoint):
    az(
        "cloud", "register", "--name", "local",
        "--endpoint-resource-manager", endpoint, "--endpoint-management", endpoint,
        "--endpoint-active-directory", endpoint, "--endpoint-active-directory-resource-id", endpoint,
    )
    az("cloud", "set", "--name", "local")
    accounts = az("login", "--service-principal", "--username", "local", "--password", "local", "--tenant", TENANT)
    expect(len(accounts) == 1, "a service principal signs in and sees its subscription", accounts)


def create(az):
    az("group", "create", "--name", GROUP, "--location", "westeurope")
    az("storage", "account", "create", "-g", GROUP, "-n", ACCOUNT, "--location", "westeurope", "--sku", "Standard_LRS")
    plan = az(
        "functionapp", "plan", "create", "-g", GROUP, "-n", PLAN,
        "--location", "westeurope", "--sku", "EP1", "--is-linux", "true",
    )
    expect(plan["sku"]["name"] == "EP1", "a Premium plan is made", plan["sku"])
    app = az(
        "functionapp", "create", "-g", GROUP, "-n", APP, "--plan", PLAN, "--storage-account", ACCOUNT,
        "--os-type", "Linux", "--runtime", "custom", "--functions-version", "4", "--disable-app-insights",
    )
    expect(app["state"] == "Running", "a function app is made", app["state"])
    slot = az("functionapp", "deployment", "slot", "create", "-g", GROUP, "-n", APP, "--slot", SLOT)
    expect(slot["name"].endswith(SLOT), "a slot is made", slot["name"])
    slots = az("functionapp", "deployment", "slot", "list", "-g", GROUP, "-n", APP)
    expect([it["name"].split("/")[-1] for it in slots] == [SLOT], "the slot is listed", slots)


def deploy(az, archive):
    at_slot = ("-g", GROUP, "-n", APP, "--slot", SLOT)
    az("functionapp", "config", "appsettings", "set", "-g", GROUP, "-n", APP, "--slot-settings", "PLACE=blue")
    az("functionapp", "config", "appsettings", "set", *at_slot, "--slot-settings", "PLACE=green", "--settings", "RELEASE=one")
    settings = az("functionapp", "config", "appsettings", "list", *at_slot)
    told = {it["name"]: (it["value"], it["slotSetting"]) for it in settings}
    expect(told["RELEASE"] == ("one", False), "a setting of the release moves in a swap", told)
    expect(told["PLACE"] == ("green", True), "a setting of the slot stays", told)
    deployment = az("functionapp", "deployment", "source", "config-zip", *at_slot, "--src", str(archive))
    expect(deployment["status"] == 4, "a package is deployed to the slot", deployment)
    site = az("functionapp", "show", *at_slot)
    expect(answer(site["defaultHostName"]) == "one green", "the slot answers with its own settings", site["defaultHostName"])


def swap(az):
    az("functionapp", "deployment", "slot", "swap", "-g", GROUP, "-n", APP, "--slot", SLOT, "--action", "preview")
    az("functionapp", "deployment", "slot", "swap", "-g", GROUP, "-n", APP, "--slot", SLOT, "--action", "reset")
    az("functionapp", "deployment", "slot", "swap", "-g", GROUP, "-n", APP, "--slot", SLOT)
    site = az("functionapp", "show", "-g", GROUP, "-n", APP)
    expect(answer(site["defaultHostName"]) == "one blue", "the swap brings the release, and leaves the slot's settings", site)


def put_message(az):
    key = az("storage", "account", "keys", "list", "-g", GROUP, "-n", ACCOUNT)[0]["value"]
    queues = az("storage", "account", "show", "-g", GROUP, "-n", ACCOUNT)["primaryEndpoints"]["queue"]
    connection = f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={key};QueueEndpoint={queues}"
    by_key = ("--connection-string", connection)
    az("storage", "queue", "create", "--name", "orders", *by_key)
    az("storage", "message", "put", "--queue-name", "orders", "--content", "aGVsbG8=", *by_key)
    seen = az("storage", "message", "peek", "--queue-name", "orders", *by_key)
    expect([it["content"] for it in seen] == ["aGVsbG8="], "a message is put into a queue of the account", seen)


def look(az):
    functions = az("functionapp", "function", "list", "-g", GROUP, "-n", APP)
    expect([it["name"] for it in functions] == [f"{APP}/ping"], "the functions are listed", functions)
    keys = az("functionapp", "keys", "list", "-g", GROUP, "-n", APP)
    expect(bool(keys["masterKey"]), "the keys are listed", keys)
    others = [f"{APP}-{number}" for number in range(2)]
    for other in others:
        az(
            "functionapp", "create", "-g", GROUP, "-n", other, "--plan", PLAN, "--storage-account", ACCOUNT,
            "--os-type", "Linux", "--runtime", "custom", "--functions-version", "4", "--disable-app-insights",
        )
    apps = az("functionapp", "list", "-g", GROUP)
    expect(sorted(it["name"] for it in apps) == [APP, *others], "the apps of the group are listed over two pages", apps)
    for other in others:
        az("functionapp", "delete", "-g", GROUP, "-n", other)
    said = az.refused("functionapp", "deployment", "slot", "swap", "-g", GROUP, "-n", "nobody", "--slot", SLOT)
    expect("ResourceNotFound" in said, "what is not there is told as that", said)


def clean_up(az):
    az("functionapp", "delete", "-g", GROUP, "-n", APP, "--slot", SLOT)
    az("functionapp", "delete", "-g", GROUP, "-n", APP)
    expect(az("functionapp", "list", "-g", GROUP) == [], "nothing is left of the app", "an app")
    az("group", "delete", "--name", GROUP, "--yes")


main(*sys.argv[1:])
