"""Command jobs through azure-ai-ml: the project's own trainer runs, anything else is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, PyTorchDistribution, command
from azure.core.exceptions import HttpResponseError
from mlkit import PHI, World, make_world, pointed_at

import tui.trainer
from tui.sandbox.daemon import SandboxInfo

# One worker trains all of these: each process that trains has to load the training libraries first.
pytestmark = [pytest.mark.usefixtures("sandbox_env"), pytest.mark.xdist_group("training")]

ENVIRONMENT = "azureml://registries/azureml/environments/acft-hf-nlp-gpu/versions/90"
TRAIN = (
    "pip install -r trainer/requirements.txt && python -m trainer train --model ${{inputs.model}} "
    "--train-file ${{inputs.train}} --validation-file ${{inputs.held}} --output-dir ${{outputs.registered_model}}"
)


@pytest.fixture(scope="module")
def world(sandbox: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with pointed_at(sandbox, folder):
        yield make_world(sandbox, "commands", folder)


@pytest.fixture
def submit(world: World) -> Any:
    """Submit a command line under a name, with the trainer's sources as its code."""

    def with_sdk(name: str, line: str) -> Any:
        job = command(
            name=name,
            command=line,
            code=str(Path(tui.trainer.__file__).parent),
            environment=ENVIRONMENT,
            inputs={
                "train": Input(type="uri_file", path=world.train),
                "held": Input(type="uri_file", path=world.validation),
                "model": Input(type="custom_model", path=PHI),
            },
            outputs={"registered_model": Output(type="custom_model", name="scripted")},
            distribution=PyTorchDistribution(process_count_per_instance=2),
            instance_count=1,
            instance_type="Standard_NC24ads_A100_v4",
        )
        return world.ml.jobs.create_or_update(job)

    return with_sdk


def test_the_trainers_command_trains_and_registers_its_model(world: World, submit: Any) -> None:
    job = submit("scripted", f"{TRAIN} --epochs 2 --batch-size 8 --learning-rate 0.00002 --loss label_smoothing")
    assert job.status in ("NotStarted", "Preparing")
    assert world.ended("scripted") == "Completed", world.details("scripted")["error"]
    assert world.ml.models.get("scripted", version="1").job_name == "scripted"
    listed = world.cloud.ok("POST", world.plane("metric/v2.0", "scripted", "/list"), {})
    assert "eval_loss" in {entry["metricKey"]["name"] for entry in listed["value"]}
    scaled_down, rate = (warning["message"] for warning in world.details("scripted")["warnings"])
    assert "asked 1 × 2, used 1 × 1" in scaled_down
    assert "learning_rate 2e-05 is used as asked" in rate


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py --epochs 2", "only command jobs it runs"),
        (f"{TRAIN} --loss hinge", "loss"),
        (f"{TRAIN} --epochs many", "epochs"),
        (f"{TRAIN} --unheard-of 1", "unheard_of"),
    ],
    ids=["other", "choice", "number", "unknown"],
)
def test_a_command_that_cannot_run_here_is_refused(world: World, submit: Any, line: str, words: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        submit("refused", line)
    assert caught.value.status_code == 400
    assert words in caught.value.message
