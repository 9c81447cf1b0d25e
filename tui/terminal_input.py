"""Divides what comes from the terminal into keys, pastes and its answers; what is none of them acts on nothing.

Textual's parser takes a sequence that it does not know for letters, which are keys here, and looks for sequences in
what is pasted, too; and it keeps all of a paste, character by character.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from textual.constants import ESCAPE_DELAY

from tui import text

PASTE_LIMIT = 32_768
"""Characters that are taken of a paste: more than any field of the recipe holds, enough for a prompt."""
ESC = "\x1b"
_BEGIN, _END = "\x1b[200~", "\x1b[201~"
_UNFINISHED = 0.5
"""Seconds of silence after which the rest of a sequence is not waited for: on a bad line it may come in pieces."""
_STALLED = 2.0
"""The same for the rest of a paste."""
_LONGEST = 32
"""Characters of the longest sequence that means something."""
_LONGEST_ANSWER = 256

# What begins the text, by ECMA-48. Of C1 characters, each of which stands for ESC and a letter, no key is made.
_PIECE = re.compile(
    r"(?P<letters>[^\x1b\x80-\x9f]+)"
    r"|(?P<string>\x1b[]P^_X]|[\x90\x98\x9d-\x9f])"
    r"|(?P<key>\x1b\[\[[A-E]"  # F1 to F5 on the Linux console
    r"|\x1b\[M[^\x00-\x1f]{3}"  # the mouse as X10 reports it
    r"|\x1b\[(?![\[M])[0-?]*[ -/]*[@-~]"
    r"|\x1bO[0-?]*[@-~]"
    r"|\x1b[0-9bf\t\x7f=-])"  # Alt and a key, as far as Textual has a name for them
    r"|(?P<begun>\x1b(?:\[(?:\[|M[^\x00-\x1f]{0,2}|[0-?]*[ -/]*)|O[0-?]*)?\Z|\x9b[0-?]*[ -/]*\Z)"
    r"|(?P<broken>\x1b\[(?:\[|M[^\x00-\x1f]{0,2}|[0-?]*[ -/]*)|\x1bO[0-?]+|\x9b[0-?]*[ -/]*[@-~]?|[\x80-\x9f])"
    r"|(?P<escape>\x1b)"
)
_STRING_END = re.compile(r"(?P<end>\x07|\x1b\\|\x9c)|[\x18\x1a]|(?=\x1b[^\\])")
# More letters at once than anybody types: a paste from a terminal, or a tmux, that does not mark it as one.
_FLOOD = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{200}")
_UNSAFE = re.compile(f"[{text.UNSAFE}]")


@dataclass(frozen=True)
class Pasted:
    """A paste, or as much of it as is taken."""

    text: str
    """On one line, without control characters."""
    length: int
    """Characters that came."""


@dataclass(frozen=True)
class Answer:
    """What an OSC string of the terminal says, such as `11;rgb:0000/0000/0000` of its background."""

    text: str


Piece = str | Pasted | Answer
"""A string is letters and control keys, or `ESC`, or the sequence of one key or report."""


class _Paste:
    """A paste that is still coming."""

    def __init__(self, end: str) -> None:
        self.end = end
        """What it ends with; empty: with a silence."""
        self.stalled = False
        self._kept: list[str] = []
        self._room = PASTE_LIMIT
        self._length = 0

    def add(self, come: str) -> None:
        """Keep as much as there is room for."""
        self._length += len(come)
        if kept := come[: self._room]:
            self._kept.append(kept)
            self._room -= len(kept)

    def taken(self) -> Pasted:
        """What came since it was asked before."""
        lines = "".join(self._kept).replace("\t", " ").splitlines()
        taken = Pasted(_UNSAFE.sub("", " ".join(filter(str.strip, lines))), self._length)
        self._kept, self._length = [], 0
        return taken


class InputParser:
    """Takes what was read of the terminal, gives it in pieces; keeps what is unfinished until the rest has come."""

    def __init__(self) -> None:
        self._held = ""
        """The beginning of a sequence, or of what ends a paste or a string."""
        self._paste: _Paste | None = None
        self._string: str | None = None
        """What came of a string; the first character tells its kind."""

    @property
    def waits(self) -> bool:
        """Whether silence would end something."""
        return bool(self._held or self._paste) or self._string is not None

    def take(self, come: str) -> Iterator[Piece]:
        """The pieces of what came, in its order."""
        if self._paste and self._paste.stalled:
            # After a silence one key is somebody's who waits for an answer; anything else is the rest of the paste.
            self._paste.stalled = False
            if len(come) == 1 or ((key := _PIECE.fullmatch(come)) and key["key"] and come not in (_BEGIN, _END)):
                self._paste = None
                self._held = ""
        rest, self._held = self._held + come, ""
        while rest:
            if self._paste:
                rest = yield from self._of_paste(self._paste, rest)
            elif self._string is not None:
                rest = yield from self._of_string(self._string, rest)
            else:
                rest = yield from self._of_keys(rest)

    def silent(self, seconds: float) -> Iterator[Piece]:
        """What is not waited for any longer after nothing has come for so long."""
        if self._paste:
            if seconds >= (_STALLED if self._paste.end else _UNFINISHED) and not self._paste.stalled:
                yield self._paste.taken()
                self._paste.stalled = True
                if not self._paste.end:
                    self._paste = None
        elif seconds >= (ESCAPE_DELAY if self._held == ESC and self._string is None else _UNFINISHED):
            held, self._held = self._held, ""
            if self._string is not None:
                self._string = None
            elif held.startswith(ESC):
                yield held

    def _of_keys(self, rest: str) -> Generator[Piece, None, str]:
        found = _PIECE.match(rest)
        assert found  # noqa: S101  # one of the alternatives matches any character
        piece, rest = found.group(), rest[found.end() :]
        if found["letters"]:
            if flood := _FLOOD.search(piece):
                self._paste = _Paste("")
                piece, rest = piece[: flood.start()], piece[flood.start() :] + rest
            if piece:
                yield piece
        elif piece == _BEGIN:
            self._paste = _Paste(_END)
        elif found["string"]:
            self._string = piece[-1]
        elif found["begun"]:
            self._held = piece[:_LONGEST]
        elif found["escape"] or (found["key"] and len(piece) <= _LONGEST):
            yield piece
        return rest

    def _of_paste(self, paste: _Paste, rest: str) -> Generator[Piece, None, str]:
        if not paste.end:
            paste.add(rest)
            return ""
        before, end, after = rest.partition(paste.end)
        if end:
            paste.add(before)
            self._paste = None
            yield paste.taken()
            return after
        last = before.rfind(ESC)
        if last >= 0 and paste.end.startswith(before[last:]):
            before, self._held = before[:last], before[last:]
        paste.add(before)
        return ""

    def _of_string(self, string: str, rest: str) -> Generator[Piece, None, str]:
        found = _STRING_END.search(rest)
        if found is None:
            self._held = ESC if rest.endswith(ESC) else ""
            self._string = (string + rest.removesuffix(ESC))[:_LONGEST_ANSWER]
            return ""
        self._string = None
        string += rest[: found.start()]
        if found["end"] and string[0] in "]\x9d" and len(string) < _LONGEST_ANSWER:
            yield Answer(string[1:])
        return rest[found.end() :]
