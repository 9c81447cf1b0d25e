"""Metrics to MLflow, where a job runs on Azure ML, whose run history is an MLflow server."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable


def tracker() -> Callable[[dict[str, float], int], None] | None:
    """A function that sends the values of one step, or None where no MLflow server is set or its client is missing.

    Azure ML sets `MLFLOW_TRACKING_URI` and `MLFLOW_RUN_ID` in the processes of a job.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI") or importlib.util.find_spec("mlflow") is None:
        return None
    mlflow = importlib.import_module("mlflow")

    def send(values: dict[str, float], step: int) -> None:
        mlflow.log_metrics(values, step=step)

    return send
