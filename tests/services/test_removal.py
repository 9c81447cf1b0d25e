"""A removal that is stopped while Azure is at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tui.recipe import Recipe
from tui.services import catalog, cleanup, deployments
from tui.services.clients import Azure
from tui.services.errors import Cancelled
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress, listen
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


def test_a_base_models_endpoint_made_for_a_comparison_goes_after_a_stop(
    azure: Azure, project: Workspace, recipe: Recipe, journal: Journal
) -> None:
    model, cancel = catalog.require(azure, recipe), Cancel()

    def compare_and_stop() -> None:
        with deployments.base_endpoint(azure, project, model, journal=journal, report=None, cancel=cancel) as base:
            assert base
            cancel.set()
            cancel.check()

    listen(None, cancel)  # as a screen's task does: it stops what has no stop signal of its own
    try:
        with pytest.raises(Cancelled):
            compare_and_stop()
    finally:
        listen(None)
    assert deployments.base_name(model) not in [one.name for one in deployments.listing(azure, project)]
