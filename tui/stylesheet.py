"""A style sheet that reads its rules again only where the colours they stand on have changed.

Textual reads all rules anew whenever a page is shown, which takes longer than all else that a page takes.
"""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

_SOURCES = 512
"""More than the program has: Textual keeps 64 in the order of their use, and in a round of more none is kept."""


class LastingStylesheet(Stylesheet):
    """Keeps the rules it has read for as long as their variables are the same."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parse_cache: LRUCache[tuple, list[RuleSet]] = LRUCache(_SOURCES)  # type: ignore[type-arg]  # as Textual's

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the variables; the same ones change nothing."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Read the rules that are not known with these variables.

        Raises:
            StylesheetParseError: a rule is wrong; the ones before stay in force.
        """
        self.parse()
