"""MLflow's REST interface to runs, and its client where that is installed in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlkit import World, make_world, pointed_at

from tui.sandbox.daemon import SandboxInfo

# One worker trains all of these: each process that trains has to load the training libraries first.
pytestmark = [pytest.mark.usefixtures("sandbox_env"), pytest.mark.xdist_group("training")]

# Its own environment, which `make clients` makes: azureml-mlflow wants an older azure-storage-blob than ours.
PYTHON = Path(os.environ.get("PHIFT_MLFLOW_PYTHON", Path(sys.prefix) / "clients/mlflow/bin/python"))

# Run by the other interpreter: the client's own way from the workspace's tracking URI to a run and its metrics.
CLIENT = """
import json, sys
import mlflow
from mlflow.tracking import MlflowClient
uri, run_id = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = MlflowClient()
run = client.get_run(run_id)
experiment = client.get_experiment_by_name("tests")
found = client.search_runs([experiment.experiment_id])
print(json.dumps({
    "status": run.info.status,
    "params": run.data.params,
    "metrics": sorted(run.data.metrics),
    "history": [(m.step, m.value) for m in client.get_metric_history(run_id, "eval_loss")],
    "found": [r.info.run_id for r in found],
    "artifacts": [f.path for f in client.list_artifacts(run_id)],
    "log": len(open(client.download_artifacts(run_id, "user_logs/std_log.txt")).read()),
}))
"""


@pytest.fixture(scope="module")
def world(sandbox: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with pointed_at(sandbox, folder):
        world = make_world(sandbox, "mlflow", folder)
        assert world.submit("tracked").status_code == 201
        assert world.ended("tracked") == "Completed"
        yield world


def api(world: World, path: str) -> str:
    """A URL of MLflow's interface to the project."""
    return f"https://eastus2.api.azureml.ms/mlflow/v2.0{world.project['id']}/api/2.0/mlflow/{path}"


def test_a_run_has_its_parameters_and_newest_metrics(world: World) -> None:
    run = world.cloud.ok("GET", api(world, "runs/get"), run_id="tracked")["run"]
    assert (run["info"]["run_id"], run["info"]["status"]) == ("tracked", "FINISHED")
    assert {"key": "num_train_epochs", "value": "1"} in run["data"]["params"]
    assert "eval_loss" in {metric["key"] for metric in run["data"]["metrics"]}


def test_a_metrics_history_is_read_in_pages(world: World) -> None:
    ask = {"run_id": "tracked", "metric_key": "eval_loss"}
    whole = world.cloud.ok("GET", api(world, "metrics/get-history"), **ask)["metrics"]
    assert whole[0]["step"] == 0
    first = world.cloud.ok("GET", api(world, "metrics/get-history"), **ask, max_results="1")
    rest = world.cloud.ok("GET", api(world, "metrics/get-history"), **ask, page_token=first["next_page_token"])
    assert [*first["metrics"], *rest["metrics"]] == whole


def test_an_experiment_leads_to_its_runs(world: World) -> None:
    found = world.cloud.ok("GET", api(world, "experiments/get-by-name"), experiment_name="tests")["experiment"]
    runs = world.cloud.ok("POST", api(world, "runs/search"), {"experiment_ids": [found["experiment_id"]]})["runs"]
    assert [run["info"]["run_id"] for run in runs] == ["tracked"]


def test_artifacts_are_the_log_and_the_outputs(world: World) -> None:
    top = world.cloud.ok("GET", api(world, "artifacts/list"), run_id="tracked")["files"]
    assert {file["path"] for file in top} == {"outputs", "user_logs"}
    inside = world.cloud.ok("GET", api(world, "artifacts/list"), run_id="tracked", path="outputs/registered_model")
    assert "outputs/registered_model/config.json" in {file["path"] for file in inside["files"]}


def test_an_unknown_run_is_refused_in_mlflows_words(world: World) -> None:
    response = world.cloud.call("GET", api(world, "runs/get"), run_id="nobody")
    assert (response.status_code, response.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.clients
@pytest.mark.skipif(not PYTHON.exists(), reason="azureml-mlflow is not installed; `make clients` does it")
def test_the_mlflow_client_reads_the_run(world: World) -> None:
    uri = world.project["properties"]["mlFlowTrackingUri"]
    done = subprocess.run([PYTHON, "-c", CLIENT, uri, "tracked"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert (read["status"], read["found"]) == ("FINISHED", ["tracked"])
    assert read["params"]["num_train_epochs"] == "1"
    assert "train_loss" in read["metrics"]
    assert read["history"][0][0] == 0
    assert "outputs" in read["artifacts"]
    assert read["log"] > 100
