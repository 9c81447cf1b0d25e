"""Template expressions: values, lazy branches, dependencies, and refusals that are always Azure's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from tui.sandbox.errors import ServiceError
from tui.sandbox.templates import expand

GROUP = {"id": "/subscriptions/s1/resourceGroups/rg1", "name": "rg1", "location": "eastus2"}


def evaluate(expression: Any, given: dict[str, Any] | None = None, **template: Any) -> Any:
    resource = {"type": "Microsoft.Storage/storageAccounts", "name": "a", "value": expression}
    whole = {"resources": [resource], **template}
    return expand(whole, given or {}, GROUP, "t1")[0].body["value"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        ("[[not an expression]", "[not an expression]"),
        ("[concat('it''s ', 'on')]", "it's on"),
        ("[concat(array('x'), array('y'))]", ["x", "y"]),
        ("[if(equals('a', 'b'), json('not json at all'), 'lazy')]", "lazy"),
        ("[not(or(equals('1', '2'), empty('')))]", False),
        ("[subscription().tenantId]", "t1"),
        ("[resourceGroup().location]", "eastus2"),
        ("[resourceId('Microsoft.KeyVault/vaults', 'v')]", GROUP["id"] + "/providers/Microsoft.KeyVault/vaults/v"),
        (
            "[resourceId('s2', 'rg2', 'Microsoft.Network/virtualNetworks/subnets', 'n', 'x')]",
            "/subscriptions/s2/resourceGroups/rg2/providers/Microsoft.Network/virtualNetworks/n/subnets/x",
        ),
        ("[toLower('ABC')]", "abc"),
        ("[json('{\"a\": [1, 2]}').a[1]]", 2),
        ("[json('null')]", None),
        ({"[concat('k', '1')]": "[string(1)]"}, {"k1": "1"}),
    ],
)
def test_expressions(expression: Any, value: Any) -> None:
    assert evaluate(expression) == value


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(ServiceError, match="The template function 'nonsense' is not valid"):
        evaluate("[nonsense(1)]")


def test_parameters_and_variables() -> None:
    template: dict[str, Any] = {
        "parameters": {
            "kind": {"type": "string", "allowedValues": ["hub", "project"]},
            "name": {"type": "string", "defaultValue": "[concat(parameters('KIND'), '-1')]"},
        },
        "variables": {"both": "[concat(parameters('name'), '/', parameters('kind'))]"},
    }
    assert evaluate("[variables('both')]", {"Kind": {"value": "hub"}}, **template) == "hub-1/hub"
    # What azure-ai-ml sends for an enumeration.
    assert evaluate("[parameters('kind')]", {"kind": {"value": "WorkspaceKind.HUB"}}, **template) == "hub"
    for parameters, reason in (
        ({"kind": {"value": "lake"}}, "not part of the allowed value"),
        ({}, "'KIND' is not provided"),
        ({"kind": {"value": "hub"}, "extra": {"value": 1}}, "'extra' in the parameters file are not valid"),
    ):
        with pytest.raises(ServiceError, match=reason):
            evaluate("[variables('both')]", parameters, **template)


def test_resources_come_after_what_they_depend_on() -> None:
    kind = "Microsoft.Storage/storageAccounts"
    resources = [
        {"type": kind, "name": "last", "dependsOn": [f"[resourceId('{kind}', 'first')]", "middle"]},
        {"type": kind, "name": "middle", "dependsOn": ["first", "skipped"]},
        {"type": kind, "name": "skipped", "condition": "[equals(1, 2)]"},
        {"type": kind, "name": "first"},
    ]
    found = expand({"resources": resources}, {}, GROUP, "t1")
    assert [resource.body["name"] for resource in found] == ["first", "middle", "last"]
    circle = [{"type": kind, "name": "a", "dependsOn": ["b"]}, {"type": kind, "name": "b", "dependsOn": ["a"]}]
    with pytest.raises(ServiceError, match="Circular dependency"):
        expand({"resources": circle}, {}, GROUP, "t1")


@given_any(st.text("abc'()[],. 1", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_value_or_azure_s_refusal(text: str) -> None:
    try:
        evaluate(f"[{text}]")
    except ServiceError as error:
        refusal = (error.status, error.code)
    else:
        refusal = None
    assert refusal in (None, (400, "InvalidTemplate"))


@given_any(st.text(max_size=40))
def test_a_quoted_text_is_itself(text: str) -> None:
    quoted = text.replace("'", "''")
    assert evaluate(f"[concat('{quoted}')]") == text
