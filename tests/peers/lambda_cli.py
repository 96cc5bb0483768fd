"""Drives a Lambda endpoint with the aws command line, as a person at a terminal would.

usage: python lambda_cli.py ENDPOINT FOLDER

FOLDER is for its files. Exits non-zero at the first thing that is not as it should be.
"""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

NAME = "typed"
ROLE = "arn:aws:iam::111122223333:role/functions"


def package(folder, word):
    path = folder / f"{word}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("app.py", f"def handler(event, context):\n    return ['{word}', context.function_version, event['n']]\n")
    return f"fileb://{path}"


def main():
    endpoint, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    aws = pathlib.Path(sys.executable).parent / "aws"
    environment = {
        "PATH": os.defpath, "HOME": str(folder), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": endpoint,
        "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "",
    }

    def run(operation, *arguments, fails_with=None):
        done = subprocess.run(
            [sys.executable, aws, "lambda", *operation.split(), *arguments, "--output", "json"],
            env=environment, capture_output=True, text=True, timeout=120,
        )
        if fails_with:
            assert done.returncode != 0 and fails_with in done.stderr, (operation, done.stdout, done.stderr)
            return None
        assert done.returncode == 0, (operation, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def invoke(qualifier):
        out = folder / "answer.json"
        told = run("invoke --payload", '{"n": 5}', "--qualifier", qualifier, "--function-name", NAME, str(out))
        assert told["StatusCode"] == 200 and "FunctionError" not in told, told
        return json.loads(out.read_text())

    named = ("--function-name", NAME)
    made = run("create-function --runtime python3.12 --handler app.handler --publish", "--role", ROLE, *named,
               "--zip-file", package(folder, "one"), "--tags", "owner=peer")
    assert (made["State"], made["Version"]) == ("Pending", "1"), made
    run("wait function-active-v2", *named)
    run("create-alias --name blue --function-version 1", *named)
    assert invoke("blue") == ["one", "1", 5]
    run("update-function-configuration --memory-size 192", *named)
    run("wait function-updated-v2", *named)
    run("update-function-code", "--zip-file", package(folder, "two"), *named)
    run("wait function-updated-v2", *named)
    assert run("publish-version", *named)["Version"] == "2"
    run("update-alias --name blue --function-version 2", *named)
    assert invoke("blue") == ["two", "2", 5]
    assert [one["Version"] for one in run("list-versions-by-function --page-size 1", *named)["Versions"]] == ["$LATEST", "1", "2"]
    run("publish-version --revision-id 0", *named, fails_with="PreconditionFailedException")
    run("delete-function", *named)
    run("get-function", *named, fails_with="ResourceNotFoundException")
    print("all as it should be")


if __name__ == "__main__":
    sys.exit(main())
