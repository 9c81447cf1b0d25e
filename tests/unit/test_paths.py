"""Paths as a person types and reads them."""

from __future__ import annotations

import pytest

from tui.paths import abbreviated


@pytest.mark.parametrize(
    ("home", "path", "shown"),
    [
        ("/home/me", "/home/me/rows.jsonl", "~/rows.jsonl"),
        ("/home/me/", "/home/me/", "~/"),
        ("/home/me", "/home/mean/rows.jsonl", "/home/mean/rows.jsonl"),
        ("/", "/etc/rows.jsonl", "/etc/rows.jsonl"),
    ],
)
def test_the_persons_home_is_a_tilde(monkeypatch: pytest.MonkeyPatch, home: str, path: str, shown: str) -> None:
    monkeypatch.setenv("HOME", home)
    assert abbreviated(path) == shown
