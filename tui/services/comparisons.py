"""A comparison from its first question to its file, and the last one of a job found again."""

from __future__ import annotations

import glob
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from tui.recipe import write_private
from tui.services import deployments
from tui.services.catalog import Model
from tui.services.evaluations import AnswerComparison, Asked, compare_endpoints, folder, scored
from tui.wording import system_words

if TYPE_CHECKING:
    from tui.recipe import Evaluation
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.evaluations import RunComparison
    from tui.services.journal import Journal
    from tui.services.progress import Cancel, Report
    from tui.services.projects import Workspace
    from tui.settings import Settings


@dataclass(frozen=True)
class Written:
    """A comparison and its file."""

    found: AnswerComparison
    outcomes: list[str]
    """Of each question, as `Asked.outcome` names them."""
    job: str
    """That trained the model; empty: not known."""
    time: datetime
    """When it was made."""
    file: Path
    refused: str = ""
    """Why the disk did not take it; empty: it is written."""


def make(
    azure: Azure,
    workspace: Workspace,
    tuned: Endpoint,
    base: Endpoint | Model | None,
    data: Path,
    chosen: Evaluation,
    *,
    job: str,
    validation: RunComparison | None,
    journal: Journal,
    report: Report | None = None,
    cancel: Cancel,
) -> Written:
    """Ask held-out questions of a tuned model, compare, and write what came of it.

    Args:
        azure: the connection.
        workspace: the project of the endpoints.
        tuned: the tuned model's endpoint.
        base: the base model's endpoint; or the base model, served for the time of the comparison; None: it is not
            asked.
        data: chat JSONL, whose last assistant turns are the right answers.
        chosen: how many questions, and how long an answer.
        job: that trained the model; empty: not known.
        validation: what the run itself measured, for the document.
        journal: of what is about to be made.
        report: told of each answer.
        cancel: stops between answers.

    Raises:
        UsageError: the file has no question.
        PhiftError: an endpoint cannot be made, or refused for another reason than content safety.
    """
    served: AbstractContextManager[Endpoint | None]
    if isinstance(base, Model):
        served = deployments.base_endpoint(azure, workspace, base, journal=journal, report=report, cancel=cancel)
    else:
        served = deployments.standing_endpoint(azure, workspace, base) if base else nullcontext()
    with served as against:
        found = compare_endpoints(
            azure, workspace, against, tuned, data, questions=chosen.questions, max_tokens=chosen.max_tokens,
            seed=chosen.seed, report=report, cancel=cancel,
        )  # fmt: skip
        # Before the base model's endpoint is removed: what was asked is not lost where that fails.
        return _write(azure, found, job, chosen.seed, {
            "file": str(data), "tuned": tuned.name, "base": against.name if against else None,
            "validation": validation.to_json() if validation else None,
        })  # fmt: skip


def _write(azure: Azure, found: AnswerComparison, job: str, seed: int, about: dict[str, Any]) -> Written:
    time = azure.now()
    file = folder(azure.settings) / f"{job or about['tuned']}-{time:%Y%m%d-%H%M%S}.json"
    document = {"time": time.isoformat(), "job": job, "seed": seed, **about, **found.to_json()}
    try:
        write_private(file, json.dumps(document, indent=1, ensure_ascii=False))
    except OSError as error:  # what was asked and paid for is shown all the same
        return _written(found, job, time, file, system_words(error))
    return _written(found, job, time, file)


def _written(found: AnswerComparison, job: str, time: datetime, file: Path, refused: str = "") -> Written:
    return Written(found, [one.outcome() for one in found.asked], job, time, file, refused)


class _Document(BaseModel):
    time: datetime
    seed: int
    refused: int
    answers: Annotated[list[Asked], Field(min_length=1)]


def latest(settings: Settings, job: str) -> Written | None:
    """The last comparison of a job; None: there is none that can be read."""
    for file in sorted(folder(settings).glob(f"{glob.escape(job)}-????????-??????.json"), reverse=True):
        try:
            document = _Document.model_validate_json(file.read_bytes())
            found = scored(document.answers, document.seed, refused=document.refused)
        except (OSError, ValueError):  # somebody changed it; one before it may do
            continue
        return _written(found, job, document.time, file)
    return None
