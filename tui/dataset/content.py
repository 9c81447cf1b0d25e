"""What the text of a row holds that should not be learnt: harmful characters, personal data, secrets, unsafe words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.dataset import characters, personal, safety

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.dataset.structure import Add, Message

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
            for code, said in characters.faults(message.content):
                add(code, f"messages[{index}].content", said)
    if personal.may_hold_any(whole, words):
        for index, message in enumerate(row):
            _add_mentions(message.content, f"messages[{index}].content", add)
    if categories := safety.suspected(words):
        for index, message in enumerate(row):
            if guessed := safety.guess(message.content, categories):
                said = f"words of the category {guessed[0]} at character {guessed[1] + 1}"
                add("W221", f"messages[{index}].content", said)
    for index, message in enumerate(row):
        content = message.content
        if message.role == "assistant" and content and (content[0].isspace() or content[-1].isspace()):
            add("W225", f"messages[{index}].content", "the answer starts or ends with white space")


def _add_mentions(text: str, path: str, add: Add) -> None:
    counts: dict[tuple[str, str], list[int]] = {}
    for mention in personal.mentions(text):
        counts.setdefault((mention.code, mention.kind), []).append(mention.start)
    for (code, kind), places in counts.items():
        # The value itself is never repeated: a report travels further than the data does.
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        add(code, path, f"{kind} at character {places[0] + 1}{more}")
