"""The comparison with a specification sees what it is there to see, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import azure_openapi
import pytest

PATH = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/pets/one"
SPECIFICATION: dict[str, Any] = {
    "paths": {
        "/subscriptions/{subscriptionId}/resourceGroups/{g}/providers/Microsoft.MachineLearningServices/pets/{name}": {
            "put": {
                "operationId": "Pets_Put",
                "parameters": [
                    {"in": "body", "name": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}},
                    {"in": "query", "name": "api-version", "required": True, "type": "string"},
                ],
                "responses": {
                    "201": {
                        "schema": {"$ref": "#/definitions/Pet"},
                        "headers": {"Location": {"type": "string"}, "Retry-After": {"type": "integer"}},
                    },
                    "default": {"schema": {"$ref": "#/definitions/Error"}},
                },
            }
        }
    },
    "definitions": {
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}},
        "Pet": {
            "type": "object",
            "discriminator": "kind",
            "required": ["kind"],
            "properties": {
                "kind": {"type": "string", "enum": ["Cat", "Dog"]},
                "id": {"type": "string", "readOnly": True},
                "born": {"type": "string", "format": "date-time"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "Cat": {
            "allOf": [{"$ref": "#/definitions/Pet"}],
            "x-ms-discriminator-value": "Cat",
            "required": ["lives"],
            "properties": {"lives": {"type": "integer"}},
        },
    },
}
GOOD = {"kind": "Cat", "lives": 9, "id": "x", "born": "2026-11-22T17:00:00.0000000+00:00", "tags": {"a": "b"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"
    for version in azure_openapi.VERSIONS:
        kind = "preview" if version.endswith("preview") else "stable"
        (root / kind / version).mkdir(parents=True)
        (root / kind / version / "pets.json").write_text(json.dumps(SPECIFICATION))
    return tmp_path


def differences(folder: Path, **changes: Any) -> list[str]:
    exchange = {
        "method": "PUT",
        "path": PATH,
        "query": "api-version=2024-10-01",
        "status": 201,
        "headers": {"location": "x", "retry-after": "1"},
        "request": GOOD,
        "response": GOOD,
        **changes,
    }
    operation, found = azure_openapi.Specifications(folder).check(exchange)
    assert operation is not None
    assert operation.version == "2024-10-01"
    return [f"{one.place}: {one.what}" for one in found]


def test_what_fits_is_silent(folder: Path) -> None:
    assert differences(folder) == []
    assert differences(folder, request={"kind": "cat", "lives": 9, "more": 1}) == []
    assert differences(folder, status=404, response={"error": {}}, request=None, headers={}) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"response": {**GOOD, "kind": "cat"}}, "response.kind: 'cat' is not among Cat, Dog"),
        ({"response": {**GOOD, "lives": "9"}}, "response.lives: is str, not integer"),
        ({"response": {**GOOD, "tags": {"a": 1}}}, "response.tags.*: is int, not string"),
        ({"response": {**GOOD, "born": "yesterday"}}, "response.born: 'yesterday' is no date-time"),
        ({"response": {**GOOD, "wings": 2}}, "response.wings: is unknown to the specification"),
        ({"response": {"kind": "Cat"}}, "response.lives: is required and missing"),
        ({"response": None}, "response: is missing"),
        ({"request": {"lives": 9}}, "request.kind: is required and missing"),
        ({"status": 200}, "status: 200 is not among 201, default"),
        ({"headers": {"retry-after": "1"}}, "response header Location: is missing"),
        ({"headers": {"location": "x", "x-ms-retry-after-ms": "9"}}, "response header Retry-After: is in milliseconds"),
        ({"status": 404, "response": {"message": "no"}}, "response.error: is required and missing"),
    ],
)
def test_what_differs_is_named(folder: Path, change: dict[str, Any], expected: str) -> None:
    assert expected in differences(folder, **change)


def test_a_report_counts_operations_differences_and_strangers(folder: Path, tmp_path: Path) -> None:
    exchange = {"method": "PUT", "path": PATH, "query": "api-version=2024-10-01", "status": 201, "request": GOOD}
    lines = [
        {**exchange, "headers": {"location": "x", "x-ms-retry-after-ms": "9"}, "response": {**GOOD, "lives": "9"}},
        {**exchange, "path": PATH + "/unknown", "headers": {}, "response": None},
        {**exchange, "path": "/subscriptions/s", "headers": {}, "response": None},
    ]
    file = tmp_path / "exchanges.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    found = azure_openapi.report(folder, [file])
    assert found.exchanges == 2
    assert dict(found.covered) == {"Pets_Put 2024-10-01": 1}
    assert dict(found.unknown) == {"PUT pets/unknown": 1}
    assert [str(one) for one in found.differences] == ["Pets_Put · response.lives: is str, not integer"]
    assert len(found.meant) == 1
