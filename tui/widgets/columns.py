"""Aligned columns of text, measured in terminal cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from textual.content import Content

GAP = 2


@dataclass(frozen=True)
class Column:
    """One column of a list."""

    title: str
    width: int
    """Cells; 0: what the others leave, for one column of a list."""
    right: bool = False
    """Numbers stand to the right."""
    from_width: int = 0
    """Left out of lists narrower than this."""


def narrowed(columns: Sequence[Column], rows: Sequence[Sequence[Content]], width: int) -> tuple[Column, ...]:
    """The columns of a list in `width` cells.

    Where a cell of the column that has what the others leave would be cut, the others are no wider than what is in
    them.
    """
    shown = [(place, column) for place, column in enumerate(columns) if width >= column.from_width]
    taken = sum(column.width for _, column in shown) + GAP * (len(shown) - 1)
    free = [place for place, column in shown if not column.width]
    if all(row[place].cell_length <= width - taken for row in rows for place in free):
        return tuple(columns)

    def widest(place: int) -> int:
        return max(Content(columns[place].title).cell_length, *(row[place].cell_length for row in rows))

    return tuple(
        replace(column, width=min(column.width, widest(place))) if column.width else column
        for place, column in enumerate(columns)
    )


def fit(cells: Sequence[Content], columns: Sequence[Column], width: int) -> Content:
    """The cells side by side in `width` cells of the terminal, each cut with an ellipsis at its column's width."""
    shown = [(cell, column) for cell, column in zip(cells, columns, strict=True) if width >= column.from_width]
    taken = sum(column.width for _, column in shown) + GAP * (len(shown) - 1)
    rest = max(width - taken, 4)
    parts: list[Content] = []
    for cell, column in shown:
        room = column.width or rest
        cut = cell.truncate(room, ellipsis=True)
        blank = " " * (room - cut.cell_length)
        parts.append(Content.assemble(blank, cut) if column.right else Content.assemble(cut, blank))
    return Content(" " * GAP).join(parts)
