"""A job's status as Azure names it, with a symbol, what it means, and the phase of the run it belongs to."""

from __future__ import annotations

from textual.content import Content

from tui.messages import t
from tui.text import clean_line

PHASES = ("queued", "preparing", "training", "finishing")

# Azure's name: (symbol, theme colour, phase, what it means). Names: azure-ai-ml 1.35's JobStatus.
_STATUSES = {
    "NotStarted": ("·", "$text-quiet", "queued", "Azure has the job; nothing runs yet, and waiting is not billed."),
    "Queued": ("·", "$text-quiet", "queued", "It waits for capacity; waiting is not billed."),
    "Starting": ("◌", "$text-accent", "preparing", "Machines are started."),
    "Provisioning": ("◌", "$text-accent", "preparing", "Machines are made ready."),
    "Preparing": ("◌", "$text-accent", "preparing", "Data and model are loaded."),
    "Running": ("▸", "$text-primary", "training", "The model is being trained."),
    "Finalizing": ("▸", "$text-primary", "finishing", "The tuned model is being registered."),
    "CancelRequested": ("◌", "$text-warning", "", "Azure was asked to cancel it."),
    "Completed": ("✓", "$text-success", "done", "The tuned model is ready."),
    "Failed": ("✗", "$text-error", "", "It ended with an error."),
    "Canceled": ("□", "$text-warning", "", "It was cancelled."),
    "NotResponding": ("!", "$text-warning", "training", "Azure has no sign of life from it; it may come back."),
    "Paused": ("!", "$text-warning", "training", "It was paused."),
    "Unknown": ("?", "$text-warning", "", "Azure does not know its state."),
}


def meaning(status: str) -> str:
    """What a status means, in a sentence; empty for one not known here."""
    return t(_STATUSES[status][3]) if status in _STATUSES else ""


def badge(status: str) -> Content:
    """Symbol and Azure's own word for a status."""
    symbol, colour, _, _ = _STATUSES.get(status, ("?", "$text-warning", "", ""))
    return Content.styled(f"{symbol} {clean_line(status or 'Unknown', limit=30)}", colour)


def phases(status: str) -> Content:
    """The phases of a run with how far it is; empty for a run that ended without a model."""
    phase = _STATUSES.get(status, ("", "", "", ""))[2]
    if not phase:
        return Content("")
    reached = len(PHASES) if phase == "done" else PHASES.index(phase)
    parts = []
    for place, name in enumerate(PHASES):
        symbol, style = ("✓", "$text-success") if place < reached else ("▸", "bold $text-primary")
        if place > reached:
            symbol, style = "·", "$text-quiet"
        parts.append(Content.styled(f"{symbol} {t(name)}", style))
    return Content("  ").join(parts)
