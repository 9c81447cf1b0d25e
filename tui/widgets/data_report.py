"""What a check of a file found, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui import text
from tui.messages import grouped, n, size, t

if TYPE_CHECKING:
    from tui.dataset.report import Group, Report


def group_line(group: Group) -> Content:
    """A group of faults as one line: glyph, code, how many, what, where."""
    error = group.code.startswith("E")
    lines = [str(finding.line) for finding in group.first[:5] if finding.line]
    where = ""
    if lines:
        more = "…" if group.count > len(lines) else ""
        where = "  " + n("line {lines}", "lines {lines}", len(lines), lines=", ".join(lines) + more)
    return Content.assemble(
        ("✗ " if error else "! ", "$text-error" if error else "$text-warning"),
        (f"{group.code} ", "bold"),
        (f"{grouped(group.count)} × ", ""),
        text.clean_line(group.title, limit=80),
        (where, "$text-quiet"),
    )


def report_content(report: Report, *, typing: bool = False) -> Content:
    """The verdict, what the file holds, and what was not looked at; `typing` where letters go into a field."""
    stats = report.stats
    about = t("about {tokens} tokens") if stats.tokens_are_estimate else t("{tokens} tokens")
    known = [n("{count} row", "{count} rows", report.rows)] if report.rows else []
    if stats.rows:
        known.append(about.format(tokens=grouped(stats.tokens_total)))
        if stats.tokens_are_estimate and stats.tokens_error:
            known.append(t("estimate, ± {error}", error=f"{stats.tokens_error:.1%}"))
        known.append(t("{tokens} in answers", tokens=grouped(stats.tokens_assistant)))
    facts = " · ".join([size(report.bytes), *known])
    if not report.complete:
        errors = sum(group.count for group in report.errors)
        if typing:
            word = n("{count} error so far; Esc, then x stops the check.",
                     "{count} errors so far; Esc, then x stops the check.", errors)  # fmt: skip
        else:
            word = n("{count} error so far; x stops the check.", "{count} errors so far; x stops the check.", errors)
        head = Content.styled("◌ " + word, "bold $text-error" if errors else "bold")
    elif report.ok:
        warnings = sum(group.count for group in report.warnings)
        word = t("Good to train on") if not warnings else n(
            "Good to train on, with {count} warning", "Good to train on, with {count} warnings", warnings
        )  # fmt: skip
        head = Content.styled("✓ " + word, "bold $text-success")
    else:
        count = sum(group.count for group in report.errors)
        word = n("{count} error would doom the run", "{count} errors would doom the run", count)
        head = Content.styled("✗ " + word, "bold $text-error")
    notes = [text.content(note, "$text-quiet") for note in report.notes]
    return Content("\n").join([head, Content.styled(facts, "$text-quiet"), *notes])
