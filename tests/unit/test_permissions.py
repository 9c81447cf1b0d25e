"""Effective permissions: what Azure's action lists allow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.services.access import Subscription, allowed

ML = "Microsoft.MachineLearningServices"
OWNER = {"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}
# hub-rbac-foundry.md of MicrosoftDocs/azure-ai-docs.
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
    "notActions": [f"{ML}/workspaces/delete", f"{ML}/workspaces/write", f"{ML}/workspaces/hubs/write"],
}
READER = {"actions": ["*/read"], "notActions": []}
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@pytest.mark.parametrize(
    ("entries", "action", "expected"),
    [
        ([OWNER], f"{ML}/workspaces/hubs/write", True),
        ([DEVELOPER], f"{ML}/workspaces/write", False),
        ([DEVELOPER], f"{ML}/workspaces/hubs/write", False),
        ([DEVELOPER], f"{ML}/workspaces/hubs/join/action", True),
        ([DEVELOPER], f"{ML}/workspaces/jobs/write", True),
        ([DEVELOPER], f"{ML}/WORKSPACES/JOBS/WRITE", True),
        ([DEVELOPER], "Microsoft.Network/register/action", False),
        # Nothing between the slashes is enough: so it is that a developer sees the hub.
        ([DEVELOPER], f"{ML}/workspaces/read", True),
        ([DEVELOPER], f"{ML}/workspaces", False),
        ([READER], f"{ML}/workspaces/read", True),
        ([READER], f"{ML}/workspaces/jobs/write", False),
        ([], f"{ML}/workspaces/read", False),
        # What one role excludes, another may still grant.
        ([DEVELOPER, OWNER], f"{ML}/workspaces/write", True),
    ],
)
def test_an_action_is_allowed_by_one_entry_without_its_exclusions(
    entries: list[dict[str, Any]], action: str, expected: bool
) -> None:
    assert allowed(entries, action) is expected


def test_data_actions_are_apart_from_actions() -> None:
    contributor = {"actions": [], "dataActions": [f"{BLOBS}/*"], "notDataActions": []}
    assert allowed([contributor], f"{BLOBS}/write", data=True)
    assert not allowed([contributor], f"{BLOBS}/write")
    assert not allowed([OWNER], f"{BLOBS}/write", data=True)


PATTERNS = st.text("ab/*.", max_size=8)


@given(pattern=PATTERNS, action=st.text("ab/.", max_size=8))
def test_a_star_stands_for_anything_between_slashes_for_nothing_too_and_a_dot_for_a_dot(
    pattern: str, action: str
) -> None:
    def matches(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest.startswith("/*/") and text[:1] == "/" and matches(rest[3:], text[1:]):
            return True
        if rest[0] == "*":
            return any(matches(rest[1:], text[at:]) for at in range(len(text) + 1))
        return bool(text) and rest[0] == text[0] and matches(rest[1:], text[1:])

    assert allowed([{"actions": [pattern]}], action) == matches(pattern, action)


@pytest.mark.parametrize(
    ("quota", "free"),
    [
        ("PayAsYouGo", False),
        ("EnterpriseAgreement", False),
        ("FreeTrial", True),
        ("AzureForStudents", True),
        ("", False),
    ],
)
def test_free_offers_are_told_by_their_quota_id(quota: str, free: bool) -> None:
    assert Subscription("id", "name", "Enabled", quota).is_free is free
