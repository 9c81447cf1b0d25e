"""The style sheet that reads its rules once: what reads them anew, and what does not."""

from __future__ import annotations

import pytest
from textual.css import stylesheet as textuals
from textual.css.stylesheet import StylesheetParseError

from tui.stylesheet import LastingStylesheet

RULES = 100  # more sources than Textual's own cache keeps


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were read, in their order."""
    sources: list[str] = []
    parse = textuals.parse

    def counted(scope: str, css: str, *rest: object, **options: object) -> object:
        sources.append(css)
        return parse(scope, css, *rest, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(textuals, "parse", counted)
    return sources


def _sheet() -> LastingStylesheet:
    sheet = LastingStylesheet(variables={"accent": "red"})
    for number in range(RULES):
        sheet.add_source(f"Static.c{number} {{ color: $accent; }}", read_from=("", str(number)))
    sheet.parse()
    return sheet


def _colours(sheet: LastingStylesheet) -> set[str]:
    return {rule.styles.color.hex for rule in sheet.rules}


def test_the_same_variables_and_rules_are_read_once(read: list[str]) -> None:
    sheet = _sheet()
    assert len(read) == RULES
    sheet.set_variables({"accent": "red"})
    sheet.reparse()
    sheet.add_source("Static { color: $accent; }", read_from=("", "another"))
    assert len(sheet.rules) == RULES + 1
    assert len(read) == RULES + 1


def test_other_variables_reach_every_rule(read: list[str]) -> None:
    sheet = _sheet()
    assert _colours(sheet) == {"#FF0000"}
    sheet.set_variables({"accent": "blue"})
    sheet.reparse()
    assert _colours(sheet) == {"#0000FF"}
    assert len(read) == 2 * RULES


def test_a_wrong_rule_leaves_those_before_it_in_force() -> None:
    sheet = _sheet()
    sheet.add_source("Static { color: nothing-like-it; }", read_from=("", "wrong"))
    with pytest.raises(StylesheetParseError):
        sheet.reparse()
    assert _colours(sheet) == {"#FF0000"}
