"""Hooks for schemathesis: real rows for paths and links, and one check of our own.

Generated ids name nothing, so nearly every call would end in 404 or an unknown reference. Valid ids
are therefore replaced by rows that the test planted; ids that are meant to be wrong stay wrong.
Knows the API's description and the planted rows (JUDGE_ROWS, a JSON file), nothing else.
"""

import atexit
import json
import os
import random

import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["JUDGE_ROWS"], encoding="utf-8") as _file:
    # {"routes": {"events": [id, …]}, "links": {"events.events": [id, …]}}
    ROWS = json.load(_file)

RANDOM = random.Random(int(os.environ["JUDGE_SEED"]))
# One id in so many stays as it was generated, so that unknown rows are asked for too.
STRANGERS = 8


# Statuses seen, by operation: what the test says was covered.
SEEN = {}


@atexit.register
def _write_down():
    with open(os.environ["JUDGE_SEEN"], "w", encoding="utf-8") as file:
        json.dump(SEEN, file)


def is_negative(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


def planted(ids):
    return RANDOM.choice(ids) if ids and RANDOM.randrange(STRANGERS) else None


def resolve(case, schema):
    while isinstance(schema, dict) and "$ref" in schema:
        found = case.operation.schema.raw_schema
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema if isinstance(schema, dict) else {}


def links(case, schema, value):
    """Gives links in a body the ids of planted rows, and some texts a value that is known to be good."""
    schema = resolve(case, schema)
    if isinstance(value, list):
        for item in value:
            links(case, schema.get("items", {}), item)
    if not isinstance(value, dict):
        return
    for name, part in schema.get("properties", {}).items():
        if name not in value:
            continue
        part = resolve(case, part)
        # Patterns cannot say which zones there are; half of the values are a known good one.
        if part.get("examples") and isinstance(value[name], str) and RANDOM.randrange(2):
            value[name] = RANDOM.choice(part["examples"])
            continue
        target = part.get("x-link")
        found = planted(ROWS["links"].get(target, [])) if isinstance(value[name], str) else None
        if found:
            value[name] = found
        else:
            links(case, part, value[name])


@schemathesis.hook
def before_call(context, case, kwargs):
    route = case.operation.path.strip("/").split("/")[0]
    parameters = case.path_parameters or {}
    if "id" in parameters and not is_negative(case, ParameterLocation.PATH):
        found = planted(ROWS["routes"].get(route, []))
        if found:
            parameters["id"] = found
    content = case.operation.definition.raw.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema and not is_negative(case, ParameterLocation.BODY):
        links(case, schema, case.body)


@schemathesis.hook
def after_call(context, case, response):
    if case.method.upper() == case.operation.method.upper():
        statuses = SEEN.setdefault(case.operation.definition.raw["operationId"], {})
        status = str(response.status_code)
        statuses[status] = statuses.get(status, 0) + 1


@schemathesis.check
def every_reply_is_described(ctx, response, case):
    """`default` describes refusals alone: a success has its status in the description, and a refusal
    is a problem document."""
    if case.method.upper() != case.operation.method.upper():
        # Another method was tried on purpose; what it answers is not this operation's.
        return
    status = str(response.status_code)
    documented = case.operation.definition.raw["responses"]
    if response.status_code < 400:
        assert status in documented, f"{status} is not described, only {sorted(documented)}"
        return
    assert status in documented or "default" in documented, f"{status} is not described"
    kind = (response.headers.get("content-type") or [""])[0]
    assert kind.startswith("application/problem+json"), f"{status} is answered as {kind or 'nothing'}"
