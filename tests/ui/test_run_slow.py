"""The pages about what runs on Azure while Azure is slow to answer, and where it does not answer at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_fakes import AZURE, NOW, endpoint, job, program, put, shown, until

from tui.services.cleanup import Item
from tui.services.errors import Unreachable


class Slow:
    """Services that answer when they are let, and fail where they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.fails = False
        done = job(status="Completed")
        put(
            monkeypatch,
            jobs={"listing": self._answer([done]), "get": self._answer(done)},
            deployments={"listing": self._answer([endpoint()]), "default_name": lambda *rest: "another"},
            cleanup={"inventory": self._answer([Item("endpoint", "e", "left-over", True, None, NOW)])},
            journal={"Journal": lambda path: type("Journal", (), {"of": lambda self, project: []})()},
            costs={"prices": lambda *rest: type("Prices", (), {"of": lambda self, *what: None})()},
            spending={"so_far": lambda *rest: type("Spent", (), {"line": lambda self: "spent nothing"})()},
        )

    def _answer(self, answer: Any) -> Any:
        def call(*rest: Any) -> Any:
            self.gate.wait(120)
            if self.fails:
                raise Unreachable("No answer", code="ConnectTimeout")
            return answer

        return call


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """The services in place."""
    monkeypatch.setattr(AZURE, "now", lambda: NOW, raising=False)
    made = Slow(monkeypatch)
    yield made
    made.gate.set()


PLACES = [
    ("jobs", "support-agent-1", "monitor"),
    ("deploy", "Completed", ""),
    ("playground", "support-agent ·", "evaluate"),
    ("evaluate", "support-agent", ""),
]


@pytest.mark.parametrize(("place", "content", "leads_to"), PLACES)
async def test_enter_is_taken_up_once_azure_has_answered_and_without_an_answer_the_page_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: Slow, place: str, content: str, leads_to: str
) -> None:
    app = program(tmp_path, place)
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    slow.fails = True
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Asking Azure" in shown(app) or place == "deploy")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Goes on when Azure has answered" in shown(app))
        slow.gate.set()
        await until(pilot, lambda: "does not answer" in shown(app) and "Nothing is known yet" in shown(app))
        assert "Goes on when" not in shown(app)
        assert gone == [], "a page that Azure did not answer is not left by an Enter from before"
        slow.fails = False
        slow.gate.clear()
        await pilot.press("f5", "enter")
        await until(pilot, lambda: "Goes on when Azure has answered" in shown(app))
        if not leads_to:
            await pilot.press("escape")
        slow.gate.set()
        await until(pilot, lambda: content in shown(app) and "does not answer" not in shown(app))
        if leads_to:
            await until(pilot, lambda: gone)
        assert gone == ([leads_to] if leads_to else [])


async def test_the_clean_up_says_that_there_is_no_answer_and_asks_again(tmp_path: Path, slow: Slow) -> None:
    app = program(tmp_path, "cleanup")
    slow.fails = True
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Asking Azure what there is" in shown(app))
        slow.gate.set()
        await until(pilot, lambda: "does not answer" in shown(app) and "Nothing is known yet" in shown(app))
        slow.fails = False
        await pilot.press("f5")
        await until(pilot, lambda: "left-over" in shown(app) and "does not answer" not in shown(app))
