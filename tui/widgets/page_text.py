"""What widgets show, as plain text: for a screen reader, the clipboard or a file."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import OptionList, Static

from tui.widgets.choice import Choice
from tui.widgets.field import Field


def page_text(widgets: Iterable[Widget]) -> str:
    """The visible ones among `widgets`, line by line; a field is one line with its label, value and help."""
    lines: list[str] = []
    for widget in widgets:
        if not all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget)):
            continue
        if isinstance(widget, Field):
            lines.append(widget.plain_text())
        elif isinstance(widget, OptionList):
            lines += [str(option.prompt) for option in widget.options]
        elif isinstance(widget, Static | Choice) and not any(isinstance(each, Field) for each in widget.ancestors):
            lines.append(str(widget.render()))
    return "\n".join(line for line in lines if line.strip())
