"""The program at the monitor in a real terminal, its job played by a file: `watched_program.py FOLDER`.

Every poll adds a byte to FOLDER/polls. While FOLDER/moving exists, every answer is another one; where FOLDER/hung
exists, there is none. Where FOLDER/hostile exists, every text of the answers ends with what a terminal could be hurt
by.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hostile import EVERY, poisoned
from run_fakes import job, metric, program, snapshot

from tui import backend
from tui.services.runs import Snapshot

FOLDER = Path(sys.argv[1])


class Watch:
    """A job that trains on while it is told to."""

    interval = 0.5

    def __init__(self, *rest: Any) -> None:
        self._step = 40

    def poll(self) -> Snapshot:
        """The answer."""
        log = ""
        if (FOLDER / "moving").exists():
            self._step += 5
            log = f"2026-11-22T17:03:22Z step {self._step} of 1600, training loss 0.1234, learning rate 0.00002\n"
        with (FOLDER / "polls").open("ab") as file:
            file.write(b".")
        if (FOLDER / "hung").exists():
            threading.Event().wait()
        names = ("train_loss", "eval_loss", "eval_perplexity", "eval_token_accuracy", "learning_rate", "grad_norm")
        metrics = {name: metric(name, *(1 / (1 + step) for step in range(self._step))) for name in names}
        answer = snapshot(job(), metrics=metrics, progress=(self._step, 1600), seconds_left=131.0, log_tail=log)
        return poisoned(answer, EVERY, keep=frozenset({"status"})) if (FOLDER / "hostile").exists() else answer


backend.runs = SimpleNamespace(Watch=Watch)
program(FOLDER / "state", "monitor", job="support-agent-1").run(mouse=False)
