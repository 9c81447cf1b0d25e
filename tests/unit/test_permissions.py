"""Effective permissions: wildcards as Microsoft's pages on role definitions and built-in roles use them."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.services.access import allowed

ML = "Microsoft.MachineLearningServices"
# Azure AI Developer, as hub-rbac-foundry.md of MicrosoftDocs/azure-ai-docs gives it.
DEVELOPER = {
    "actions": [
        f"{ML}/workspaces/*/read",
        f"{ML}/workspaces/*/action",
        f"{ML}/workspaces/*/delete",
        f"{ML}/workspaces/*/write",
        f"{ML}/locations/*/read",
        "Microsoft.Authorization/*/read",
        "Microsoft.Resources/deployments/*",
    ],
    "notActions": [
        f"{ML}/workspaces/delete",
        f"{ML}/workspaces/write",
        f"{ML}/workspaces/listKeys/action",
        f"{ML}/workspaces/hubs/write",
        f"{ML}/workspaces/hubs/delete",
        f"{ML}/workspaces/featurestores/*",
    ],
}
CONTRIBUTOR = {
    "actions": ["*"],
    "notActions": [
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
    ],
}
names = st.text("abAB.1", min_size=1, max_size=4)
actions = st.lists(names, min_size=2, max_size=6).map("/".join)
patterns = st.lists(st.one_of(names, st.just("*"), st.builds("{}*".format, names)), min_size=1, max_size=6).map(
    "/".join
)


def may(pattern: str, action: str) -> bool:
    return allowed([{"actions": [pattern]}], action)


@pytest.mark.parametrize(
    ("role", "action", "yes"),
    [
        (DEVELOPER, f"{ML}/workspaces/jobs/write", True),
        (DEVELOPER, f"{ML}/workspaces/datastores/listSecrets/action", True),
        (DEVELOPER, f"{ML}/workspaces/serverlessEndpoints/delete", True),
        (DEVELOPER, f"{ML}/workspaces/hubs/join/action", True),
        (DEVELOPER, f"{ML}/workspaces/read", True),
        (DEVELOPER, f"{ML}/workspaces/write", False),
        (DEVELOPER, f"{ML}/workspaces/hubs/write", False),
        (DEVELOPER, f"{ML}/workspaces/featurestores/read", False),
        (DEVELOPER, "Microsoft.Storage/storageAccounts/write", False),
        (DEVELOPER, "Microsoft.Network/register/action", False),
        (CONTRIBUTOR, "Microsoft.Network/register/action", True),
        (CONTRIBUTOR, "microsoft.authorization/roleAssignments/write", False),
        (CONTRIBUTOR, "Microsoft.Authorization/roleAssignments/read", True),
        ({"actions": ["*/read"]}, f"{ML}/workspaces/jobs/read", True),
        ({"actions": ["*/read"]}, f"{ML}/workspaces/jobs/write", False),
        ({"actions": ["Microsoft.CostManagement/*/query/*"]}, "Microsoft.CostManagement/views/query/read", True),
    ],
)
def test_microsofts_roles(role: dict[str, list[str]], action: str, yes: bool) -> None:
    assert allowed([role], action) == yes


def test_what_one_role_leaves_out_another_may_give_and_data_is_apart() -> None:
    write = f"{ML}/workspaces/write"
    assert allowed([DEVELOPER, {"actions": [f"{ML}/workspaces/*"]}], write)
    data = {"dataActions": ["Microsoft.Storage/*/blobs/*"], "notDataActions": ["Microsoft.Storage/*/blobs/delete"]}
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    assert not allowed([CONTRIBUTOR], f"{blobs}/write", data=True)
    assert not allowed([data], f"{blobs}/write")
    assert allowed([data], f"{blobs}/write", data=True)
    assert not allowed([data], f"{blobs}/delete", data=True)
    assert not allowed([], write)


@given(actions, st.data())
def test_any_part_may_be_a_wildcard_and_case_does_not_count(action: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(action)))
    end = data.draw(st.integers(start, len(action)))
    assert may(f"{action[:start]}*{action[end:]}", action)
    assert may(action.upper(), action.lower())
    assert may("*", action)


@given(actions, actions)
def test_without_a_wildcard_only_the_action_itself(pattern: str, action: str) -> None:
    assert may(pattern, action) == (pattern.casefold() == action.casefold())


def plain(pattern: str, action: str) -> bool:
    """Whether a pattern matches where `*` stands for any characters and for nothing else."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


@given(patterns, st.data())
def test_a_star_between_slashes_stands_for_one_slash_too_and_else_for_any_characters(
    pattern: str, data: st.DataObject
) -> None:
    pieces = pattern.split("/*/")
    readings = [
        "".join(f"{piece}{joint}" for piece, joint in zip(pieces, (*joints, ""), strict=True))
        for joints in product(("/", "/*/"), repeat=len(pieces) - 1)
    ]
    meant = data.draw(st.sampled_from(readings))
    filled = re.sub(r"\*", lambda star: data.draw(actions), meant)
    assert may(pattern, filled)
    for action in (filled[1:], filled[:-1], f"{filled}x", data.draw(actions)):
        assert may(pattern, action) == any(plain(one, action) for one in readings)
