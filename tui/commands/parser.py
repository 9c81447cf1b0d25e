"""The command line's parser: what a person mistyped, or a file was named, is repeated to them without harm."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tui.text import clean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """Python's own, but that what it prints is cleaned: it repeats arguments as they are."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        super()._print_message(clean(message), file)
