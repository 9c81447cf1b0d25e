"""The program with a heartbeat: `measured_program.py OUT [ARGUMENTS]` writes its event loop's lags to OUT.

It imports the Azure SDK in a background task from the moment the letter x is typed, as the first call to Azure does,
and writes OUT when the import has ended: one lag in milliseconds a line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import import_module
from pathlib import Path

from textual import events

from tui.__main__ import main
from tui.app import PhiftApp

FIRST = "x"
BEAT = 0.005  # seconds between two looks at the clock
OUT = Path(sys.argv[1])
lags: list[float] = []
loaded = False


def load(report: object, cancel: object) -> None:
    """Import what a call to Azure needs."""
    for name in ("azure.ai.ml", "azure.identity", "azure.storage.blob"):
        import_module(name)


async def beat() -> None:
    """Note how much later than wanted the event loop came back, until the SDK is loaded."""
    while not loaded:
        due = time.perf_counter() + BEAT
        await asyncio.sleep(BEAT)
        lags.append((time.perf_counter() - due) * 1000)
    write()


def write() -> None:
    """Leave what was measured."""
    OUT.write_text("\n".join(f"{lag:.3f}" for lag in lags))


class Measured(PhiftApp):
    """The program, measured from a letter on."""

    async def on_event(self, event: events.Event) -> None:
        """Begin with the letter."""
        if isinstance(event, events.Key) and event.key == FIRST and not self.tasks.of("sdk") and not loaded:

            def ended(_: None) -> None:
                global loaded
                loaded = True

            self.tasks.start("sdk", "", load, done=ended, quiet=True)
            self.beating = asyncio.create_task(beat())
        await super().on_event(event)


import tui.app  # noqa: E402  # `main` takes the class from there

tui.app.PhiftApp = Measured  # type: ignore[misc]  # this program is that one
raise SystemExit(main(sys.argv[2:]))
