"""Bring the catalogue of texts up to date: collect what the program shows, merge it into each language, compile.

`python scripts/messages.py` rewrites `assets/locale/*/LC_MESSAGES/phift.po` (translations are kept) and compiles the
`phift.mo` beside it. Texts without a translation are listed.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "assets" / "locale"
FUNCTIONS = {"t": 1, "n": 2}
"""The translating functions of tui/messages.py and how many texts each takes."""
CONSTANT = re.compile(r"^_?[A-Z][A-Z_]*$")
NO_TEXT = re.compile(r"^(-[a-z]+|\S*[$:./_^\[\]{}|]\S*|\W*|phift|#.*|bold .*|\w+ \{.*|.*\n.*)$", re.DOTALL)
"""Strings in constants that are names, styles, selectors or glyphs."""
TEXT_ARGUMENTS = {"Action": (2, 3)}
"""Which arguments of the registries' entries are shown to people."""

Text = str | tuple[str, str]


def sources() -> list[Path]:
    """The modules that show texts to people."""
    folders = (ROOT / "screens", ROOT / "tui" / "widgets", ROOT / "tui")
    return [
        path
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        if path.name == "messages.py" or "from tui.messages import" in path.read_text(encoding="utf-8")
    ]


def in_calls(tree: ast.AST) -> Iterator[Text]:
    """Texts given to `t` and `n` as they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            given = [each.value for each in node.args[: FUNCTIONS[node.func.id]] if isinstance(each, ast.Constant)]
            texts = [each for each in given if isinstance(each, str) and each]
            if len(texts) == FUNCTIONS[node.func.id]:
                yield texts[0] if len(texts) == 1 else (texts[0], texts[1])


def in_constants(tree: ast.AST) -> Iterator[Text]:
    """Texts in upper-case constants of modules and classes; they go through `t` when they are shown."""
    for node in ast.walk(tree):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if not any(CONSTANT.match(name) for name in names) or node.value is None or "BINDINGS" in names:
            continue
        hidden = {id(key) for part in ast.walk(node.value) if isinstance(part, ast.Dict) for key in part.keys}
        for part in ast.walk(node.value):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                shown = TEXT_ARGUMENTS.get(part.func.id, ())
                hidden |= {id(each) for number, each in enumerate(part.args) if number not in shown}
        for part in ast.walk(node.value):
            given = part.value if isinstance(part, ast.Constant) and id(part) not in hidden else None
            if isinstance(given, str) and given and not NO_TEXT.match(given):
                yield given


def of_the_places() -> Iterator[Text]:
    """The titles on the rail."""
    sys.path.insert(0, str(ROOT))
    yield from (place.title for place in importlib.import_module("tui.wizard").PLACES)


def of_the_recipe() -> Iterator[Text]:
    """The help line of each field of the recipe."""
    sys.path.insert(0, str(ROOT))
    recipe = importlib.import_module("tui.recipe")
    for part in recipe.Recipe.model_fields.values():
        if hasattr(part.annotation, "model_fields"):
            for field in part.annotation.model_fields.values():
                if field.description:
                    yield field.description


def texts() -> list[Text]:
    """All texts, each once, in the order of the sources."""
    found: dict[Text, None] = {}
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= dict.fromkeys([*in_calls(tree), *in_constants(tree)])
    found |= dict.fromkeys([*of_the_places(), *of_the_recipe()])
    plural = {text[0] for text in found if isinstance(text, tuple)}
    return [text for text in found if text not in plural]


def update(folder: Path) -> list[Text]:
    """Merge the texts into one language and compile it; returns those that have no translation."""
    path = folder / "LC_MESSAGES" / "phift.po"
    old = read_po(path.open("rb"), locale=folder.name) if path.exists() else Catalog(locale=folder.name)
    new = Catalog(
        locale=folder.name, project="phift-tui", version="", charset="utf-8", fuzzy=False,
        creation_date=old.creation_date if path.exists() else dt.datetime.now(dt.UTC), revision_date=old.revision_date,
        last_translator="", language_team="", copyright_holder="", msgid_bugs_address="", header_comment="# phift-tui",
    )  # fmt: skip
    missing = []
    for text in texts():
        known = old.get(text[0] if isinstance(text, tuple) else text)
        string = known.string if known and known.string and any(known.string) else None
        new.add(text, string)
        if string is None:
            missing.append(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, new, sort_output=True, omit_header=False, width=120)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, new)
    return missing


def main() -> int:
    """Update all languages; 1 where a text has no translation."""
    complete = True
    for folder in sorted(LOCALES.iterdir()):
        for text in update(folder):
            complete = False
            print(f"{folder.name}: no translation: {text!r}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
