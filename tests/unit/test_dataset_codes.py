"""The codes are stable, and the documentation tells all of them."""

from __future__ import annotations

import re
from pathlib import Path

from tui.dataset.codes import CODES
from tui.dataset.fix import TITLES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data-desk.md").read_text("utf-8")


def test_the_page_has_every_code_with_its_words() -> None:
    found = re.findall(r"^\| ([EW]\d{3}) \| (.*?) \| (.*?) \| (yes|) ?\|$", PAGE, re.MULTILINE)
    told = [(code.code, code.title, code.advice, "yes" if code.code in TITLES else "") for code in CODES.values()]
    assert found == told


def test_codes_are_named_by_their_weight() -> None:
    assert all(re.fullmatch(r"E1\d\d|W2\d\d", code) for code in CODES)
