"""What a check found, bounded in memory however much there is to find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tui.dataset.codes import CODES
from tui.messages import grouped, n, t

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.dataset.describe import Stats
    from tui.dataset.said import Said

KEPT_PER_CODE = 100
"""Findings kept of each code; the rest is counted."""
_SHOWN_LINES = 5


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _place(finding: Finding) -> str:
    """Return where a finding is, as `line 3 column 7 messages[1].content`."""
    parts = [finding.file] if finding.file != "train" else []
    parts.append(t("line {line}", line=grouped(finding.line)) if finding.line else t("the file"))
    if finding.column is not None:
        parts.append(t("column {column}", column=grouped(finding.column)))
    return " ".join([*parts, finding.path]).rstrip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place.

    Attributes:
        code: Stable code, see `codes.CODES`.
        line: Line of the file from 1; 0 for the file as a whole.
        path: JSON path like `messages[1].content`, "" for the whole row.
        said: What is wrong there; `message` has it in the language in use.
        column: Character of the line from 1, where the fault has one.
        file: Which file of the check: "train" or "validation".
    """

    code: str
    line: int
    path: str
    said: str | Said
    column: int | None = None
    file: str = "train"

    @property
    def message(self) -> str:
        """What is wrong there, one line; control characters of the data are escaped in it."""
        return str(self.said)

    @property
    def advice(self) -> str:
        """What to do next."""
        return t(CODES[self.code].advice)

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return "error" if CODES[self.code].is_error else "warning"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the command line's JSON has it."""
        made: dict[str, Any] = {"code": self.code, "line": self.line, "path": self.path, "message": self.message}
        if self.column is not None:
            made["column"] = self.column
        if self.file != "train":
            made["file"] = self.file
        return made


@dataclass(slots=True)
class Group:
    """All findings of one code: how many, and the first of them in file order."""

    code: str
    count: int = 0
    first: list[Finding] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What the fault is called."""
        return t(CODES[self.code].title)

    @property
    def advice(self) -> str:
        """What to do next."""
        return t(CODES[self.code].advice)


class Collector:
    """Gathers findings code by code, keeping the first KEPT_PER_CODE of each."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def note(self, code: str, line: int, path: str, message: str | Said, column: int | None = None) -> None:
        """Count a finding of the training file, and make and keep it while its code has room."""
        group = self.groups.get(code)
        if group is None:
            group = self.groups[code] = Group(code)
        group.count += 1
        if len(group.first) < KEPT_PER_CODE:
            group.first.append(Finding(code, line, path, message, column))

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while its code has room."""
        self.extend(finding.code, 1, (finding,))

    def extend(self, code: str, count: int, first: Iterable[Finding]) -> None:
        """Add `count` findings of a code, of which `first` are at hand."""
        group = self.groups.get(code)
        if group is None:
            group = self.groups[code] = Group(code)
        group.count += count
        room = KEPT_PER_CODE - len(group.first)
        if room > 0:
            group.first.extend(list(first)[:room])

    def merge(self, other: Collector, *, lines: int = 0, file: str = "train") -> None:
        """Add what another collector found in the part of `file` that starts after `lines` lines."""
        for group in other.groups.values():
            moved = [
                Finding(f.code, f.line + lines if f.line else 0, f.path, f.said, f.column, file) for f in group.first
            ]
            self.extend(group.code, group.count, moved)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    Attributes:
        file: Path as it was given.
        rows: Rows in the training file, faulty ones included, blank lines not.
        bytes: Size of the training file.
        errors: Groups that refuse the file, by code.
        warnings: Groups that do not, by code.
        stats: Lengths, tokens, languages.
        complete: False for a report given while the check is still running.
        notes: What was not looked at, and why, in whole sentences.
    """

    file: str
    rows: int
    bytes: int
    errors: list[Group]
    warnings: list[Group]
    stats: Stats
    complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing refuses the file."""
        return not self.errors

    @property
    def findings(self) -> list[Finding]:
        """The kept findings: errors before warnings, each in file order."""
        return [
            finding
            for groups in (self.errors, self.warnings)
            for finding in sorted((f for g in groups for f in g.first), key=lambda f: (f.file, f.line, f.code))
        ]

    def lines(self) -> list[str]:
        """Return the report for people as lines of plain text: the groups with their first places, then the numbers."""
        made = []
        for group in (*self.errors, *self.warnings):
            kind = t("error") if CODES[group.code].is_error else t("warning")
            made.append(f"{kind} {group.code}: {group.title}, {grouped(group.count)} ×. {_sentence(group.advice)}")
            for finding in group.first[:_SHOWN_LINES]:
                place = f"{_place(finding)}: " if finding.line or finding.file != "train" else ""
                made.append(f"    {place}{finding.message}")
            if group.count > _SHOWN_LINES:
                made.append("    " + n("and {count} more", "and {count} more", group.count - _SHOWN_LINES))
        stats = self.stats
        if stats.rows:
            numbers = {
                "tokens": grouped(stats.tokens_total),
                "error": f"{stats.tokens_error:.1%}",
                "answers": grouped(stats.tokens_assistant),
                "longest": grouped(stats.row_tokens.maximum),
            }
            made.append(
                t(
                    "about {tokens} tokens (an estimate, ± {error}), {answers} of them in answers; "
                    "the longest row has {longest}.",
                    **numbers,
                )
                if stats.tokens_are_estimate
                else t("{tokens} tokens, {answers} of them in answers; the longest row has {longest}.", **numbers)
            )
        made.append(
            t(
                "{verdict}: {rows}, {errors}, {warnings}.",
                verdict=t("accepted") if self.ok else t("refused"),
                rows=n("{count} row", "{count} rows", self.rows),
                errors=n("{count} error", "{count} errors", sum(group.count for group in self.errors)),
                warnings=n("{count} warning", "{count} warnings", sum(group.count for group in self.warnings)),
            )
        )
        return [*made, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of `phift-tui check --json`: bounded, with the true count of each code under `counts`."""
        groups = [*self.errors, *self.warnings]
        return {
            "file": self.file,
            "rows": self.rows,
            "errors": [f.to_json() for f in self.findings if f.severity == "error"],
            "warnings": [f.to_json() for f in self.findings if f.severity == "warning"],
            "counts": {group.code: group.count for group in groups},
            "truncated": any(group.count > len(group.first) for group in groups),
            "notes": list(self.notes),
            "stats": self.stats.to_json(),
        }
