"""What the state keeps and forgets, how paths are read, and that operations finish once and in order."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.sandbox.errors import ServiceError
from tui.sandbox.operations import finisher
from tui.sandbox.paths import canonical, name_of, parent_of
from tui.sandbox.server import Sandbox
from tui.sandbox.state import State

KIND = "Microsoft.MachineLearningServices/workspaces/jobs"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def put(state: State, name: str, **body: Any) -> str:
    return state.put(f"{WORKSPACE}/jobs/{name}", KIND, {"name": name, **body})


def test_resources_are_found_without_regard_to_case_and_in_order(state: State) -> None:
    for name in ("b", "a", "C"):
        put(state, name)
    first = state.etag(f"{WORKSPACE}/jobs/a")
    put(state, "a", changed=True)
    assert state.etag(f"{WORKSPACE}/jobs/A") != first
    assert [one["name"] for one in state.children(WORKSPACE.upper(), KIND.lower())] == ["b", "a", "C"]
    assert [one["name"] for one in state.children(WORKSPACE, KIND, offset=1, limit=1, newest_first=True)] == ["a"]
    assert state.get(f"{WORKSPACE}/JOBS/c") == {"name": "C"}
    assert state.of_type(KIND, "B") == [{"name": "b"}]
    assert state.count(WORKSPACE, KIND) == 3
    with pytest.raises(ServiceError, match="workspaces/jobs/w/nothing' under resource group 'g' was not found"):
        state.require(f"{WORKSPACE}/jobs/nothing")


def test_a_tree_goes_with_its_root_and_takes_no_neighbour(state: State) -> None:
    for resource_id in (WORKSPACE, f"{WORKSPACE}/jobs/a", f"{WORKSPACE}2", f"{WORKSPACE}-b/jobs/x", f"{WORKSPACE}.c"):
        state.put(resource_id, KIND, {"id": resource_id})
    assert [one["id"] for one in state.inside(WORKSPACE)] == [f"{WORKSPACE}/jobs/a"]
    state.delete_tree(WORKSPACE.lower())
    assert {one["id"] for one in state.of_type(KIND)} == {f"{WORKSPACE}2", f"{WORKSPACE}-b/jobs/x", f"{WORKSPACE}.c"}


def test_a_failed_transaction_leaves_nothing_and_an_inner_one_only_its_own(state: State) -> None:
    def failing(inner: bool) -> None:
        with state.transaction():
            put(state, "outer")
            try:
                with state.transaction():
                    put(state, "inner")
                    raise RuntimeError("stop")
            except RuntimeError:
                if not inner:
                    raise

    with pytest.raises(RuntimeError, match="stop"):
        failing(inner=False)
    assert state.of_type(KIND) == []
    failing(inner=True)
    assert [one["name"] for one in state.of_type(KIND)] == ["outer"]


def test_threads_take_turns(state: State) -> None:
    state.settings.set("n", 0)

    def add() -> None:
        for _ in range(20):
            with state.transaction():
                state.settings.set("n", state.settings.get("n") + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.settings.get("n") == 80
    state.settings.delete("n")
    assert state.settings.get("n", "none") == "none"


def test_an_acknowledged_write_is_there_for_another_process(state: State, tmp_path: Path) -> None:
    put(state, "kept")
    assert State(tmp_path / "state").of_type(KIND) == [{"name": "kept"}]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/SUBSCRIPTIONS/s/resourcegroups/Jobs", "/subscriptions/s/resourceGroups/Jobs"),
        (
            "/subscriptions/s/resourcegroups/g/Providers/microsoft.machinelearningservices/WORKSPACES/Models/MODELS/jobs",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/Models/models/jobs",
        ),
        (
            "/history/v1.0/subscriptions/s/resourcegroups/g/providers/microsoft.machinelearningservices/workspaces/W/RUNS/r",
            "/history/v1.0/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/W/runs/r",
        ),
        (
            "/subscriptions/s/providers/microsoft.network/REGISTER",
            "/subscriptions/s/providers/Microsoft.Network/register",
        ),
        ("/metadata/endpoints", "/metadata/endpoints"),
        ("/subscriptions", "/subscriptions"),
    ],
)
def test_fixed_segments_get_one_spelling_and_names_keep_theirs(asked: str, expected: str) -> None:
    assert canonical(asked) == expected


@given(st.lists(st.text(st.characters(exclude_characters="/"), max_size=8), max_size=12))
def test_one_spelling_is_stable_and_changes_case_only(segments: list[str]) -> None:
    path = "/subscriptions/" + "/".join(segments)
    once = canonical(path)
    assert canonical(once) == once
    assert once.casefold() == path.casefold()


@pytest.mark.parametrize(
    ("resource_id", "parent"),
    [
        (f"{WORKSPACE}/jobs/j", WORKSPACE),
        (WORKSPACE, "/subscriptions/s/resourceGroups/g"),
        ("/subscriptions/s/resourceGroups/g", "/subscriptions/s"),
        ("/subscriptions/s/providers/Microsoft.Network", "/subscriptions/s"),
        ("/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/r", "/subscriptions/s"),
        ("/subscriptions/s", ""),
    ],
)
def test_parents(resource_id: str, parent: str) -> None:
    assert parent_of(resource_id) == parent
    assert resource_id.endswith(name_of(resource_id))


@finisher("test-note")
def note(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    sandbox.state.settings.set("notes", [*sandbox.state.settings.get("notes", []), payload["text"]])
    if payload["text"] == "bad":
        raise ServiceError(409, "Conflict", "no")


def test_operations_finish_once_in_order_and_tell_their_failure(tmp_path: Path) -> None:
    own = Sandbox(tmp_path / "state", pace=0)
    planned = [own.operations.plan("test-note", "/x", 0.0, {"text": text}) for text in ("one", "bad", "two")]
    own.operations.begun()
    own.operations.finish_due()
    # What the failed one wrote is undone, and it says why.
    assert own.state.settings.get("notes") == ["one", "two"]
    assert [own.operations.get(one)["status"] for one in planned] == ["Succeeded", "Failed", "Succeeded"]
    assert own.operations.get(planned[1])["error"] == {"code": "Conflict", "message": "no"}
    with pytest.raises(ServiceError, match="was not found"):
        own.operations.get("unknown")


def test_an_operation_is_found_again_and_ends_with_its_resource(tmp_path: Path) -> None:
    own = Sandbox(tmp_path / "state", pace=1)
    started = own.operations.start("test-note", f"{WORKSPACE}/jobs/a", 60, {"text": "late"})
    again = Sandbox(tmp_path / "state", pace=1)
    body = again.operations.get(started)
    assert (body["status"], body["percentComplete"] < 50) == ("InProgress", True)
    assert again.operations.pending(f"{WORKSPACE}/JOBS/a", "test-note") == [started]
    again.delete(WORKSPACE)
    assert again.operations.get(started)["status"] == "Canceled"
    assert again.operations.pending(f"{WORKSPACE}/jobs/a") == []
