"""docs/openapi.yaml: valid itself, and what the front door answers to requests made from it."""

from __future__ import annotations

import re

import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stack.layout import REPO

DOCUMENT = yaml.safe_load((REPO / "docs" / "openapi.yaml").read_text())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _without_streams():
    """The document for values that exist; streams stay open, so test_resume.py reads them."""
    document = yaml.safe_load((REPO / "docs" / "openapi.yaml").read_text())
    document["components"]["parameters"]["Name"]["schema"] = {
        "type": "string",
        # Not the counter: sums near the end of 64 bits would reject what other tests add.
        "enum": ["sum.openapi", "headline", "sum.never-released", "nobody"],
    }
    for parameter in document["paths"]["/values/{name}"]["get"]["parameters"]:
        if parameter.get("name") == "as":
            parameter["schema"] = {"type": "string", "enum": ["json"]}
        # Of a value without a release, 0 is the newest version.
        if parameter.get("name") == "wait":
            parameter["schema"]["maximum"] = 3
        if parameter.get("name") == "Prefer":
            parameter["example"] = "wait=2"
    return document


SCHEMA = schemathesis.openapi.from_dict(_without_streams()).include(path_regex="^/values/")


# What changes something is tried in tests/integration/test_operators_api.py: here it would change
# the rates of all the other tests.
DESK = schemathesis.openapi.from_dict(_without_streams()).include(path_regex="^/api/", method="GET")


def test_the_document_is_valid_openapi():
    validate(DOCUMENT)


def test_the_document_has_the_routes_of_the_contract():
    contract = (REPO / "docs" / "contract.md").read_text()
    for path in DOCUMENT["paths"]:
        assert re.search(rf"`[A-Z /]*{re.escape(path)}`", contract), path


@SCHEMA.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_front_door_answers_as_the_document_says(case, stack):
    case.call_and_validate(base_url=stack.url, checks=CHECKS, timeout=15)


@DESK.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_operators_api_answers_as_the_document_says(case, stack):
    case.call_and_validate(
        base_url=stack.url,
        checks=CHECKS,
        timeout=15,
        headers={"Authorization": f"Bearer {stack.operator_token}"},
    )
