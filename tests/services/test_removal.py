"""A removal that is stopped while Azure is at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tui.services import cleanup, deployments
from tui.services.clients import Azure
from tui.services.errors import Cancelled
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress
from tui.services.projects import Workspace

BASE = "azureml://registries/azureml/models/Phi-4-mini-instruct"


def test_the_time_of_a_removal_that_was_stopped_is_kept_because_azure_goes_on_with_it(
    azure: Azure, project: Workspace, journal: Journal, upset: Callable[..., None]
) -> None:
    deployments.deploy(azure, project, BASE, "stopped", journal=journal)
    items = [item for item in cleanup.inventory(azure, project) if item.name == "stopped"]
    upset("GET */serverlessEndpoints/stopped", "stale")  # it is answered as before it was deleted
    deployments.get(azure, project, "stopped")
    cancel = Cancel()
    told: list[Progress] = []

    def stop(progress: Progress) -> None:
        told.append(progress)
        if len(told) > 1:  # the first is told before Azure is asked
            cancel.set()

    began = azure.now()
    with pytest.raises(Cancelled):
        cleanup.remove(azure, items, report=stop, cancel=cancel)
    entry = journal.find("endpoint", "stopped", project.id)
    assert entry
    assert began.isoformat() <= entry.detail["removed"] <= azure.now().isoformat()
