"""Ways through the program by its keys."""

from __future__ import annotations

from emulated_terminal import Terminal

NEXT = b"\x1b[19~"


def at_project(terminal: Terminal) -> None:
    """Go to the page of hub and project, whose first field has the focus."""
    for page in ("Sign in", "Access"):
        terminal.wait_for(page)
        terminal.quiet(0.1)
        terminal.send(NEXT)
    terminal.wait_for("phift-hub")
    terminal.quiet(0.1)
