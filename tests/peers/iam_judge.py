"""Judges an IAM policy by what others know of IAM: parliament of every service's actions, resources and conditions, moto of which statement
allows what.

usage: python iam_judge.py POLICY CASES

CASES holds lines of JSON: whether it must be allowed, the action, the ARN. Prints what is wrong and exits non-zero: a finding of parliament's, a
case that goes the other way, or a statement that could be left out with all cases as they are. moto's judge is asked about actions and
resources; conditions are for parliament alone.
"""

import json
import sys

from moto.iam.access_control import IAMPolicy, PermissionResult
from parliament import analyze_policy_string


def allowed(statements, action, resource):
    policy = IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return policy.is_action_permitted(action, resource) is PermissionResult.PERMITTED


def wrong(statements, cases):
    return [case for case in cases if allowed(statements, *case[1:]) != case[0]]


def main():
    policy_file, cases_file = sys.argv[1:]
    with open(policy_file) as file:
        text = file.read()
    with open(cases_file) as file:
        cases = [json.loads(line) for line in file]
    found = [f"{one.issue}: {one.detail} {one.location}" for one in analyze_policy_string(text).findings]
    statements = [{name: value for name, value in one.items() if name != "Condition"} for one in json.loads(text)["Statement"]]
    found += [f"{action} on {resource} is {'refused' if must else 'allowed'}" for must, action, resource in wrong(statements, cases)]
    for at, one in enumerate(statements):
        if not wrong(statements[:at] + statements[at + 1:], cases):
            found.append(f"nothing needs the statement {one['Sid']}")
    print("\n".join(found) or f"{len(statements)} statements, {len(cases)} cases")
    sys.exit(bool(found))


main()
