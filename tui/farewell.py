"""What is said when the program ends: what runs on, and what is billed until somebody removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.confirm import Confirm
from tui import backend
from tui.messages import t
from tui.services.errors import PhiftError
from tui.tasks import within
from tui.text import clean_line

if TYPE_CHECKING:
    from tui.app import PhiftApp

_PATIENCE = 0.3  # seconds that the journal may take, which another run of the program may be writing


def farewell(program: PhiftApp) -> str:
    """Lines to print once the terminal is the shell's again; empty: nothing runs on."""
    job, watch = program.wizard.facts.job, program.followed
    lines = []
    if job and not (watch.job == job and watch.ended):
        command = _command(program, f"jobs watch {clean_line(job)}")
        lines.append(t("What runs on Azure goes on. To follow it: {command}", command=command))
    for name in _standing(program):
        command = _command(program, f"deployments delete {clean_line(name)}")
        said = (
            t("Endpoint {name} stays until it is removed: {command}")
            if program.sandbox
            else t("Endpoint {name} is billed by the hour until it is removed: {command}")
        )
        lines.append(said.format(name=clean_line(name), command=command))
    return "\n".join(lines)


def _command(program: PhiftApp, words: str) -> str:
    return f"phift-tui {words}" + (" --sandbox" if program.sandbox else "")


def _standing(program: PhiftApp) -> list[str]:
    """The project's endpoints by the journal: Azure is not asked, and the end does not wait for it."""
    workspace = program.wizard.facts.workspace
    if workspace is None:
        return []
    try:
        return within(_PATIENCE, lambda: backend.journal.Journal(program.settings.journal).standing(workspace.id))
    except (PhiftError, TimeoutError):
        return []  # who reads the journal to act on it is told what is wrong with it


def unsaved(error: PhiftError) -> Confirm:
    """The question before the end where the disk does not take the draft."""
    lost = t("What was not written is lost with the program.")
    return Confirm(t("Quit without the draft?"), f"{clean_line(error.message)}\n\n{lost}", yes=t("Quit"), no=t("Stay"))
