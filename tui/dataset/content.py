"""What the text of a row holds that should not be learnt: harmful characters, personal data, secrets, unsafe words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.dataset import characters, personal, safety

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.dataset.structure import Add, Message

_SEPARATOR = "\n\x00\n"


def check_content(row: Sequence[Message], add: Add) -> None:
    """Judge the text of one row.

    Args:
        row: Its messages.
        add: Called with (code, JSON path, message) for every kind of fault in every message.
    """
    # Nearly all rows are clean: one look at the whole text spares a look at each message.
    whole = _SEPARATOR.join([message.content for message in row])
    if characters.faults(whole):
        for index, message in enumerate(row):
            for code, said in characters.faults(message.content):
                add(code, f"messages[{index}].content", said)
    if next(personal.mentions(whole), None) is not None:
        for index, message in enumerate(row):
            _add_mentions(message.content, f"messages[{index}].content", add)
    if safety.guess(whole) is not None:
        for index, message in enumerate(row):
            if guessed := safety.guess(message.content):
                add("W221", f"messages[{index}].content", f"words of the category {guessed[0]} at character {guessed[1] + 1}")
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
