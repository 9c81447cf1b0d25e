"""The catalogue of texts: complete in each language, compiled, with the same places to fill as the English."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from assets import ROOT
from tui import messages
from tui.dataset.said import Grouped, said

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
        for string in filter(None, strings):  # what has none is told by the test before
            assert set(PLACES.findall(string)) <= allowed, message.id
            if isinstance(message.id, str):
                assert set(PLACES.findall(string)) == allowed, message.id


def test_thousands_are_set_apart_as_the_language_has_it() -> None:
    found = said("{tokens} of {most}", tokens=Grouped(1_234_567), most=Grouped(999))
    assert [str(found), messages.grouped(1234.5, 2), messages.size(2.5e9)] == [
        "1,234,567 of 999", "1,234.50", "2,500.0 MB",
    ]  # fmt: skip
    messages.use("bg")
    try:
        # With a point, as in the fields: what is shown can be typed.
        assert [str(found), messages.grouped(1234.5, 2), messages.grouped(10**400)[-8:]] == [
            "1\u00a0234\u00a0567 of 999", "1\u00a0234.50", "\u00a0000\u00a0000",
        ]  # fmt: skip
        assert messages.n("{count} row", "{count} rows", 12_000).startswith("12\u00a0000 ")
    finally:
        messages.use("en")


def test_a_count_takes_the_form_of_its_language() -> None:
    messages.use("bg_BG.UTF-8")
    one, five = messages.n("{count} row", "{count} rows", 1), messages.n("{count} row", "{count} rows", 5)
    assert one != five
    assert "5" in five
    assert "row" not in five
    messages.use("en")
    assert messages.n("{count} row", "{count} rows", 5) == "5 rows"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "bg_BG.UTF-8"}, "bg"),
        ({"LC_MESSAGES": "en_US.UTF-8", "LANG": "bg_BG.UTF-8"}, "en"),
        ({"LC_ALL": "bg_BG", "LC_MESSAGES": "en_US.UTF-8"}, "bg"),
        ({"LANGUAGE": "de:bg", "LC_ALL": "en_US.UTF-8"}, "bg"),
        ({"LANGUAGE": "en:bg", "LANG": "bg_BG.UTF-8"}, "en"),
        ({"LC_ALL": "C.UTF-8", "LANG": "bg_BG.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "bg_BG.UTF-8"}, "bg"),
        ({"LANG": "xx/../../etc"}, "en"),
        ({}, "en"),
    ],
)
def test_the_environment_names_the_language_in_gettexts_order(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    messages.use()
    assert messages.t("just now") == {"en": "just now", "bg": "току-що"}[language]


def collected(code: str, *, whole: bool = False) -> list[object]:
    """The texts that the collector finds in a module."""
    tree = ast.parse(code)
    named = SCRIPT["named_in_calls"]([tree])
    found = [*SCRIPT["in_calls"]("module.py", tree), *SCRIPT["in_variables"](tree)]
    found += [*SCRIPT["in_constants"](tree, lambda name: whole or name in named)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('t("One {name}", name=x)', ["One {name}"]),
        ('n("{count} row", "{count} rows", 3)', [("{count} row", "{count} rows")]),
        ('t("On" if ready else "Off")', ["On", "Off"]),
        ('t({True: "On", False: "Off"}[ready])', ["On", "Off"]),
        ('NEEDS = (Need("Microsoft.X/write", mark("create it")),)', ["create it"]),
        ('TITLES = {"a": "First title"}\nOTHER = "Another thing"\nt(TITLES[key])', ["First title"]),
        ('ALL = (Code("E101", "malformed JSON", "correct it"),)', ["malformed JSON", "correct it"]),
        ('said = "One {name}"\nt(said, name=x)', ["One {name}"]),
        ('lower = "no text"\nt(other)', []),
    ],
)
def test_the_collector_finds_what_is_shown(code: str, found: list[object]) -> None:
    assert collected(code) == found


@pytest.mark.parametrize("code", ['t(f"{name} runs")', 't("It " + "runs")', 'n(f"{count} row", "rows", 2)'])
def test_the_collector_refuses_a_text_put_together_in_place(code: str) -> None:
    with pytest.raises(ValueError, match="named places"):
        collected(code)


def test_two_collectors_at_once_keep_what_is_translated(tmp_path: Path) -> None:
    language = tmp_path / "bg"
    shutil.copytree(ROOT / "locale" / "bg", language)
    path = language / "LC_MESSAGES" / "phift.po"
    gone = 'msgid "A text that no module has"\nmsgstr "Текст, който никой модул няма"\n'
    path.write_text(path.read_text(encoding="utf-8") + "\n" + gone, encoding="utf-8")
    before = len(path.read_text(encoding="utf-8"))
    with ThreadPoolExecutor() as pool:
        list(pool.map(SCRIPT["update"], [language] * 3))
    after = path.read_text(encoding="utf-8")
    assert '#~ msgstr "Текст, който никой модул няма"' in after
    assert len(after) >= before
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []
    SCRIPT["update"](language, prune=True)
    assert "никой модул" not in path.read_text(encoding="utf-8")
