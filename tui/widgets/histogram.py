"""A histogram as lines of text: range, bar, rows."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui.messages import grouped


def histogram(bins: Sequence[tuple[int, int, int]], *, width: int = 24, rows: int = 8) -> Content:
    """Bars of (from, up to and without, rows), at most `rows` lines: neighbouring bins are put together.

    Args:
        bins: as `tui.dataset.describe.Distribution.bins`.
        width: cells of the longest bar.
        rows: lines at most.
    """
    kept = list(bins)
    while len(kept) > rows:
        kept = [
            (kept[i][0], kept[min(i + 1, len(kept) - 1)][1], sum(each[2] for each in kept[i : i + 2]))
            for i in range(0, len(kept), 2)
        ]
    longest = max((count for _, _, count in kept), default=0)
    lines = []
    for low, high, count in kept:
        bar = "█" * max(round(width * count / longest), 1 if count else 0) if longest else ""
        name = grouped(low) if high - low <= 1 else f"{grouped(low)}–{grouped(high - 1)}"
        lines.append(Content.assemble((f"{name:>13} ", "$text-quiet"), (bar, "$primary"), f" {grouped(count)}"))
    return Content("\n").join(lines)
