"""An endpoint of the base model, to compare the tuned one with: made after a question."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from screens.confirm import Confirm
from screens.run_page import RunPage
from tui import backend
from tui.messages import t
from tui.services.progress import Cancel, Report
from tui.text import clean_line

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.projects import Workspace


def make(
    azure: Azure, workspace: Workspace, name: str, journal: Path, report: Report, cancel: Cancel
) -> Endpoint | None:
    """Serve the base model of that name; None where Azure does not serve it here. For a background task.

    Raises:
        PhiftError: Azure refused for another reason.
    """
    model = backend.catalog.find(backend.catalog.models(azure), name)
    if model is None:
        return None
    return backend.deployments.deploy_base(
        azure, workspace, model, journal=backend.journal.Journal(journal), report=report, cancel=cancel
    )


def offer(page: RunPage, made: Callable[[Endpoint], None]) -> None:
    """Ask whether to make an endpoint of the recipe's base model; `made` is called with it."""
    name = page.wizard.recipe.model.name
    azure, workspace, path = page.azure, page.workspace, page.program.settings.journal

    def done(endpoint: Endpoint | None) -> None:
        if endpoint is None:
            page.notice(t("Azure does not serve the base model in this region."), problem=True)
        else:
            made(endpoint)

    def agreed(yes: bool | None) -> None:
        if yes:
            title = t("Making an endpoint of {name}", name=clean_line(name, limit=60))
            page.run_change(azure, "base-endpoint", title, partial(make, azure, workspace, name, path), done)

    body = t("It is billed by the token, not by the hour, and stays until it is removed (Clean up).")
    title = t("Make an endpoint of {name}?", name=clean_line(name, limit=60))
    page.app.push_screen(Confirm(title, body, yes=t("Make it"), enter_is_yes=True), agreed)
