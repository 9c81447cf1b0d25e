"""What a project has cost: each endpoint once, whatever became of its removal."""

from __future__ import annotations

from tui.services import deployments, spending
from tui.services.clients import Azure
from tui.services.journal import DONE, Journal
from tui.services.projects import Workspace

BASE = "azureml://registries/azureml/models/Phi-4-mini-instruct"


def test_an_endpoint_whose_removal_failed_is_counted_once_and_one_that_is_gone_until_it_went(
    azure: Azure, project: Workspace, journal: Journal
) -> None:
    endpoint = deployments.deploy(azure, project, BASE, "stands", journal=journal)
    of_a_tuned_model = {"id": endpoint.id, "model": f"{project.id}/models/tuned/versions/1"}
    journal.finish(journal.begin("endpoint", "stands", project.id, of_a_tuned_model), DONE)

    def counted() -> list[str]:
        return [one.name for one in spending.so_far(azure, project).items]

    journal.removed(endpoint.id, azure.now())  # Azure had taken the removal, and did not carry it out
    assert "stands" not in counted()  # as what stands, it is of a base model, which is not billed by the hour
    deployments.delete(azure, project, "stands")
    assert "stands" in counted()
