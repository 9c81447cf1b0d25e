"""The catalogue of texts: complete in each language, compiled, with the same places to fill as the English."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from assets import ROOT
from tui import messages

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "messages.py"))
LANGUAGES = sorted(path.name for path in (ROOT / "locale").iterdir())
PLACES = re.compile(r"{(\w+)")


def catalogues(language: str):  # type: ignore[no-untyped-def]
    """The source and the compiled form of a language."""
    folder = ROOT / "locale" / language / "LC_MESSAGES"
    with (folder / "phift.po").open("rb") as source, (folder / "phift.mo").open("rb") as compiled:
        return read_po(source, locale=language), read_mo(compiled)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_has_a_translation_that_is_compiled(language: str) -> None:
    source, compiled = catalogues(language)
    for text in SCRIPT["texts"]():
        found = source.get(text[0] if isinstance(text, tuple) else text)
        assert found is not None, f"run scripts/messages.py: {text!r}"
        assert found.string, f"no translation in {language}: {text!r}"
        assert list(compiled.get(found.id).string) == list(found.string), f"run scripts/messages.py: {text!r}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_fills_the_same_places(language: str) -> None:
    source, _ = catalogues(language)
    for message in source:
        ids = (message.id,) if isinstance(message.id, str) else message.id
        strings = (message.string,) if isinstance(message.string, str) else message.string
        allowed = set(PLACES.findall(" ".join(ids)))
        for string in strings:
            assert set(PLACES.findall(string)) <= allowed, message.id
            if isinstance(message.id, str):
                assert set(PLACES.findall(string)) == allowed, message.id


def test_a_count_takes_the_form_of_its_language() -> None:
    try:
        messages.use("bg_BG.UTF-8")
        one, five = messages.n("{count} row", "{count} rows", 1), messages.n("{count} row", "{count} rows", 5)
        assert one != five
        assert "5" in five
        assert "row" not in five
    finally:
        messages.use("en")
    assert messages.n("{count} row", "{count} rows", 5) == "5 rows"
