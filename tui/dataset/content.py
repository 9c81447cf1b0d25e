"""What the text of a row holds that should not be learnt: harmful characters, personal data, secrets, unsafe words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.dataset import characters, personal, safety
from tui.dataset.said import Grouped, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.dataset.said import Said
    from tui.dataset.structure import Add, Message

_LONG = 1000
_LONG_WORDS = 150
_LONG_WORD = 12
_SEQUENCE = 4
_FEW = 4

SEPARATOR = "\n\n"
"""What stands between the messages where a row is looked at as one text."""


def check_content(row: Sequence[Message], whole: str, words: Sequence[str], add: Add) -> None:
    """Judge the text of one row.

    Args:
        row: Its messages.
        whole: Their contents, joined with SEPARATOR: nearly all rows are clean, and one look spares one a message.
        words: `whole` in small letters, split at white space.
        add: Called with (code, JSON path, message) for every kind of fault in every message.
    """
    if characters.faults(whole):
        for index, message in enumerate(row):
            for code, fault in characters.faults(message.content):
                add(code, f"messages[{index}].content", fault)
    if personal.may_hold_any(whole, words):
        for index, message in enumerate(row):
            _add_mentions(message.content, f"messages[{index}].content", add)
    if categories := safety.suspected(words):
        for index, message in enumerate(row):
            if guessed := safety.guess(message.content, categories):
                text = said(
                    "words of the category {category} at character {position}",
                    category=said(guessed[0]),
                    position=guessed[1] + 1,
                )
                add("W221", f"messages[{index}].content", text)
    for index, message in enumerate(row):
        content = message.content
        if len(content) >= _LONG and (repeated := _repeated(content)):
            add("W231", f"messages[{index}].content", repeated)
        if message.role == "assistant" and content and (content[0].isspace() or content[-1].isspace()):
            add("W225", f"messages[{index}].content", said("the answer starts or ends with white space"))


def _repeated(text: str) -> Said | None:
    """Return what to say of a text whose words come again and again, None for any other.

    The different words of a natural text grow with the square root of its length or faster (Heaps' law), from some
    seven times the root on; a loop of a generator has as many as one round of it, however long it is.
    """
    words = text.split()
    if len(words) * _LONG_WORD < len(text) and not text.isascii():
        # A script without spaces between words: sequences of characters stand for them, and grow as quickly at least.
        sequences = len({text[start : start + _SEQUENCE] for start in range(len(text) - _SEQUENCE + 1)})
        if sequences**2 >= _FEW * len(text):
            return None
        return said(
            "{characters} characters, with only {different} different sequences of four",
            characters=Grouped(len(text)),
            different=Grouped(sequences),
        )
    different = len(set(words))
    if len(words) < _LONG_WORDS or different**2 >= _FEW * len(words):
        return None
    return said(
        "{words} words, of which {different} are different", words=Grouped(len(words)), different=Grouped(different)
    )


def _add_mentions(text: str, path: str, add: Add) -> None:
    counts: dict[tuple[str, str], list[int]] = {}
    for mention in personal.mentions(text):
        counts.setdefault((mention.code, mention.kind), []).append(mention.start)
    for (code, kind), places in counts.items():
        # The value itself is never repeated: a report travels further than the data does.
        more = len(places) - 1
        what, position = said(kind), places[0] + 1
        found = said("{what} at character {position}", what=what, position=position)
        if more:
            found = said("{what} at character {position}, and {more} more", what=what, position=position, more=more)
        add(code, path, found)
