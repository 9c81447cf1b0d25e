"""While a key is being answered, imports in other threads wait, and those of the event loop do not."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from threading import Thread

import pytest

from tui import courtesy


def test_only_other_threads_wait_and_only_after_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    for name in ("early", "own", "other"):
        (tmp_path / f"courtesy_{name}.py").touch()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(courtesy._courtesy, "until", 0.0)
    monkeypatch.setattr(courtesy, "sleep", waits.append)
    monkeypatch.setattr(courtesy, "monotonic", lambda: 1000.0)
    courtesy.begin()

    def load(name: str) -> None:
        thread = Thread(target=import_module, args=[f"courtesy_{name}"])
        thread.start()
        thread.join()
        assert f"courtesy_{name}" in sys.modules

    load("early")
    assert not waits
    courtesy.key_pressed()
    import_module("courtesy_own")
    assert not waits
    load("other")
    assert len(waits) == 1
    assert waits[0] > 0
