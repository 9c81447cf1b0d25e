"""Bring the catalogue of texts up to date: collect what the program shows, merge it into each language, compile.

`python scripts/messages.py` rewrites `assets/locale/*/LC_MESSAGES/phift.po` (translations are kept; those of texts that
are gone are kept as obsolete, until `--prune`) and compiles the `phift.mo` beside it. Texts without a translation are
listed.

A text is found where it stands in a call of `t`, `n` or `mark`, or in a variable that `t` is given; in a constant that
such a call names, as in `t(TITLES[code])`; in any constant of the screens and widgets; and in the tables and models
named below.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "assets" / "locale"
FUNCTIONS = {"t": 1, "mark": 1, "n": 2, "said": 1, "counted": 2}
"""The functions of tui/messages.py and tui/dataset/said.py that take texts, and how many each takes."""
CONSTANT = re.compile(r"^_?[A-Z][A-Z_]*$")
NO_TEXT = re.compile(
    r"^(-[a-z]+|\^.*|[a-z]+(-[a-z]+)+|[EW]\d+|\S*[$:./_^\[\]{}|]\S*|\W*|phift|#.*|bold .*|\w+ \{.*|.*\n.*)$", re.DOTALL
)
"""Strings in constants that are names, styles, selectors or glyphs."""
TEXT_ARGUMENTS = {"Action": (2, 3), "Code": (1, 2)}
"""Which arguments of the registries' entries are shown to people."""
WHOLLY = ("screens", "tui/widgets", "tui")
"""Folders of whose modules all constants are shown; of the others, those that a call of `t` names."""
FOLDERS = (*WHOLLY, "tui/commands", "tui/services", "tui/dataset", "tui/evaluation")
SIGNS = ("from tui.messages import", "from tui.dataset.said import", "class Code:")
"""What a module with texts has."""
OF_ARGPARSE = (
    "usage: ",
    "positional arguments",
    "options",
    "show this help message and exit",
    "%(prog)s: error: %(message)s\n",
    "the following arguments are required: %s",
    "unrecognized arguments: %s",
    "invalid choice: %(value)r (choose from %(choices)s)",
    "expected one argument",
    "argument %(argument_name)s: %(message)s",
    "invalid %(type)s value: %(value)r",
    "ambiguous option: %(option)s could match %(matches)s",
    "ignored explicit argument %r",
)
"""What argparse itself says on a command line like ours; it takes its words from the catalogue in use."""

Text = str | tuple[str, str]


class NotAText(ValueError):
    """A translating function is given something that no catalogue can hold."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """The modules that show texts to people: (path from the top, syntax tree)."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.py")):
            code = path.read_text(encoding="utf-8")
            if path.name == "messages.py" or any(sign in code for sign in SIGNS):
                yield path.relative_to(ROOT).as_posix(), ast.parse(code)


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be: a constant, either side of a choice, the values of a table in place."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from literals(node.body)
            yield from literals(node.orelse)
        case ast.BoolOp():
            for side in node.values:
                yield from literals(side)
        case ast.Subscript(value=ast.Dict(values=values)):
            for value in values:
                yield from literals(value)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of the translating functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and node.args:
            yield node


def in_calls(place: str, tree: ast.AST) -> Iterator[Text]:
    """Texts given to the translating functions as they stand.

    Raises:
        NotAText: one is put together in place (an f-string, a sum), so that no catalogue can hold it.
    """
    for node in calls(tree):
        given = node.args[: FUNCTIONS[node.func.id]]  # type: ignore[attr-defined]  # calls() looked
        for each in given:
            if isinstance(each, ast.JoinedStr | ast.BinOp):
                raise NotAText(f"{place}:{each.lineno}: a text is one sentence with named places, never glued")
        texts = [text for each in given for text in literals(each) if text]
        if len(given) == 2 and len(texts) == 2:
            yield texts[0], texts[1]
        elif len(given) == 1:
            yield from texts


def in_variables(tree: ast.AST) -> Iterator[Text]:
    """Texts put into a variable that a call of `t` is given."""
    given = {node.args[0].id for node in calls(tree) if isinstance(node.args[0], ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id in given for each in node.targets
        ):
            yield from filter(None, literals(node.value))


def named_in_calls(trees: list[ast.Module]) -> set[str]:
    """The constants that calls of `t` name: their texts are shown."""
    found: set[str] = set()
    for tree in trees:
        for node in calls(tree):
            for part in ast.walk(node.args[0]):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                if CONSTANT.match(name):
                    found.add(name)
    return found


def in_constants(tree: ast.AST, shown: Callable[[str], bool]) -> Iterator[Text]:
    """Texts in upper-case constants of modules and classes; they go through `t` when they are shown.

    Args:
        tree: of a module.
        shown: whether all texts in the constant of that name are; of the others, those in the registries' entries.
    """
    for node in ast.walk(tree):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names = [target.id for target in targets if isinstance(target, ast.Name) and CONSTANT.match(target.id)]
        if not names or node.value is None or "BINDINGS" in names:
            continue
        entries: set[int] = set()
        hidden = {id(key) for part in ast.walk(node.value) if isinstance(part, ast.Dict) for key in part.keys}
        for part in ast.walk(node.value):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                texts = TEXT_ARGUMENTS.get(part.func.id, ())
                entries |= {id(each) for number, each in enumerate(part.args) if number in texts}
                hidden |= {id(each) for number, each in enumerate(part.args) if number not in texts}
        whole = any(shown(name) for name in names)
        for part in ast.walk(node.value):
            if not isinstance(part, ast.Constant) or not isinstance(part.value, str) or id(part) in hidden:
                continue
            if id(part) in entries or (whole and part.value and not NO_TEXT.match(part.value)):
                yield part.value


def of_the_places() -> Iterator[Text]:
    """The titles on the rail."""
    sys.path.insert(0, str(ROOT))
    yield from (place.title for place in importlib.import_module("tui.wizard").PLACES)


def of_the_recipe() -> Iterator[Text]:
    """The help line of each field of the recipe."""
    sys.path.insert(0, str(ROOT))
    recipe = importlib.import_module("tui.recipe")
    for name, part in recipe.Recipe.model_fields.items():
        for field in getattr(part.annotation, "model_fields", ()):
            if said := recipe.help_of(f"{name}.{field}"):
                yield said


def texts() -> list[Text]:
    """All texts, each once, in the order of the sources.

    Raises:
        NotAText: one is put together in place.
    """
    modules = list(sources())
    named = named_in_calls([tree for _, tree in modules])
    found: dict[Text, None] = {}
    for place, tree in modules:
        whole = place.rpartition("/")[0] in WHOLLY
        found |= dict.fromkeys([*in_calls(place, tree), *in_variables(tree)])
        found |= dict.fromkeys(in_constants(tree, lambda name, whole=whole: whole or name in named))
    found |= dict.fromkeys([*of_the_places(), *of_the_recipe(), *OF_ARGPARSE])
    plural = {text[0] for text in found if isinstance(text, tuple)}
    return [text for text in found if text not in plural]


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that whoever reads it meanwhile sees the old or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        write(file)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def update(folder: Path, *, prune: bool = False) -> list[Text]:
    """Merge the texts into one language and compile it; returns those that have no translation."""
    path = folder / "LC_MESSAGES" / "phift.po"
    lock = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, one would drop what the other has added
    try:
        with path.open("rb") as file:
            old = read_po(file, locale=folder.name)
        new = Catalog(
            locale=folder.name, project="phift-tui", version="all", charset="utf-8", fuzzy=False,
            creation_date=old.creation_date, revision_date=old.creation_date, last_translator="the project",
            language_team=folder.name, copyright_holder="the project", msgid_bugs_address="the project",
            header_comment="# phift-tui",
        )  # fmt: skip
        known = {
            **old.obsolete,
            **{message.id if isinstance(message.id, str) else message.id[0]: message for message in old},
        }
        missing: list[Text] = []
        for text in texts():
            before = known.pop(text[0] if isinstance(text, tuple) else text, None)
            done = before is not None and all([*before.string] if isinstance(text, tuple) else [before.string])
            new.add(text, before.string if done else None)
            if not done:
                missing.append(text)
        if not prune:
            new.obsolete |= {name: message for name, message in known.items() if name and message.string}
        replace(path, partial(write_po, catalog=new, sort_output=True, width=120))
        replace(path.with_suffix(".mo"), partial(write_mo, catalog=new))
    finally:
        os.close(lock)
    return missing


def main() -> int:
    """Update all languages; 1 where a text has no translation."""
    parser = argparse.ArgumentParser(description="Bring the catalogue of texts up to date.")
    parser.add_argument("--prune", action="store_true", help="drop translations of texts that are gone")
    prune = parser.parse_args().prune
    complete = True
    for folder in sorted(LOCALES.iterdir()):
        for text in update(folder, prune=prune):
            complete = False
            print(f"{folder.name}: no translation: {text!r}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
