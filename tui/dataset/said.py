"""What a finding says: a text of the catalogue and its values, put into words only where it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that is not put into a language yet; `str` does that.

    A million findings may be counted of which a hundred are kept, and they are made in another process than the one
    that shows them.

    Attributes:
        text: The English text with named places.
        values: What goes into the places.
        many: The English text for a count other than one, "" for a text without a count.
        count: The count, which fills the place `{count}` too.
    """

    text: str
    values: dict[str, object] = field(default_factory=dict)
    many: str = ""
    count: int = 0

    def __str__(self) -> str:
        """Return the sentence in the language in use."""
        from tui.messages import n, t  # which the check's helper process need not wait for

        values = {name: str(value) for name, value in self.values.items()}
        if self.many:
            return n(self.text, self.many, self.count, **values)
        return t(self.text, **values)


@dataclass(frozen=True, slots=True)
class Grouped:
    """A number in a sentence; its thousands are set apart as the language has it, where it is shown."""

    number: int

    def __str__(self) -> str:
        """Return the number in the language in use."""
        from tui.messages import grouped  # as above

        return grouped(self.number)


def said(text: str, /, **values: object) -> Said:
    """Return a sentence with its values."""
    return Said(text, values)


def counted(one: str, many: str, count: int, /, **values: object) -> Said:
    """Return a sentence about `count` things with its values."""
    return Said(one, values, many, count)
