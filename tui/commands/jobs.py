"""`phift-tui jobs`: list, show, follow and cancel fine-tuning jobs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tui.commands import common, output
from tui.messages import t

if TYPE_CHECKING:
    from datetime import datetime

    from tui.services.errors import PhiftError
    from tui.services.runs import Snapshot


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("jobs", help=t("list, show, follow, cancel, resume fine-tuning jobs"))
    leaves = common.add_verbs(
        parser,
        shared,
        {
            "list": (t("all jobs of the project"), _list),
            "show": (t("one job"), _show),
            "watch": (t("follow a job until it ends"), _watch),
            "cancel": (t("cancel a job"), _cancel),
            "metrics": (t("the metrics of a job"), _metrics),
            "resume": (t("submit the choices of a job that has ended again, under a new name"), _resume),
        },
    )
    for verb, leaf in leaves.items():
        if verb != "list":
            leaf.add_argument("name", type=common.name, help=t("name of the job"))
        if verb in {"cancel", "resume"}:
            common.add_yes(leaf)


def _list(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure, place = common.opened(args)
    found = jobs.listing(azure, place)
    if common.wants_json(args):
        output.data([job.to_json() for job in found])
    else:
        output.table(
            (t("NAME"), t("STATUS"), t("MODEL"), t("ENGINE"), t("CREATED")),
            [(job.name, job.status, job.model, job.engine, _time(job.created)) for job in found],
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    azure, place = common.opened(args)
    job = common.job_named(azure, place, args.name)
    if common.wants_json(args):
        output.data(job.to_json())
        return 0
    shown = {
        t("Job"): job.name,
        t("Status"): job.status,
        t("Model"): f"{job.model} ({job.engine or t('another engine')})",
        t("Experiment"): job.experiment,
        **(job.hyperparameters or {}),
        t("Training data"): _asset(job.training_uri),
        t("Validation data"): _asset(job.validation_uri),
        t("Created"): _time(job.created),
        t("Started"): _time(job.started),
        t("Ended"): _time(job.ended),
        t("Tuned model"): ":".join(part for part in (job.output_model, job.output_version) if part),
        t("Portal"): job.studio_url,
        t("Error"): job.error.message if job.error else "",
    }
    width = max(map(len, shown))
    for label, value in shown.items():
        if value:
            output.result(f"{label:{width}}  {value}")
    return 0


def _watch(args: argparse.Namespace) -> int:
    from tui.services import runs

    azure, place = common.opened(args)

    def show(snapshot: Snapshot) -> None:
        if common.wants_json(args):
            output.data(snapshot.to_json())
        else:
            for line in snapshot.lines():
                output.result(line)

    def lost(error: PhiftError) -> None:
        output.say(t("{error} The job goes on; asking again until it answers.", error=error.message))

    job = common.job_named(azure, place, args.name)
    with common.cancel_on_signal() as cancel:
        last = runs.follow(azure, place, job.name, on_snapshot=show, on_lost=lost, cancel=cancel)
    if last.failure:
        return output.show(output.ending(last.failure))
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure, place = common.opened(args)
    job = common.job_named(azure, place, args.name)
    if job.terminal:
        output.say(t("{job} has ended already: {status}", job=job.name, status=job.status))
    else:
        if not common.confirm(t("Cancel {job} ({status})?", job=job.name, status=job.status), args):
            return 7
        job = jobs.cancel(azure, place, job.name)
        output.say(f"{job.name}: {job.status}")
    if common.wants_json(args):
        output.data(job.to_json())
    return 0


def _metrics(args: argparse.Namespace) -> int:
    from tui.services import runs

    azure, place = common.opened(args)
    snapshot = runs.Watch(azure, place, common.job_named(azure, place, args.name).name).poll()
    if common.wants_json(args):
        output.data(
            {name: [[point.step, point.value] for point in metric.points] for name, metric in snapshot.metrics.items()}
        )
    else:
        output.table(
            (t("METRIC"), t("POINTS"), t("FIRST"), t("LAST")),
            [
                (name, len(metric.points), f"{metric.points[0].value:.4g}", f"{metric.points[-1].value:.4g}")
                for name, metric in snapshot.metrics.items()
                if metric.points
            ],
        )
    return 0


def _resume(args: argparse.Namespace) -> int:
    from tui.services import costs, submissions
    from tui.services.journal import Journal

    azure, place = common.opened(args)
    before = common.job_named(azure, place, args.name)
    journal = Journal(azure.settings.journal)
    noted = journal.find("job", before.name, place.id)
    cost = (noted.detail.get("cost") if noted else None) or {}
    costs.check_again(cost, azure.settings)
    price = t("its price is not known")
    if "low" in cost:
        price = t("about {amount}", amount=costs.amount_of(cost["low"], cost["high"], cost["currency"]))
    question = t(
        "Submit the choices of {job} again? The new job is billed as a run of its own: {price}.",
        job=before.name,
        price=price,
    )
    if not common.confirm(question, args):
        return 7
    job = submissions.resume(azure, place, before.name, journal=journal)
    output.say(t("{job}: {status}. To follow it: phift-tui jobs watch {job}", job=job.name, status=job.status))
    if common.wants_json(args):
        output.data(job.to_json())
    return 0


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def _asset(uri: str) -> str:
    """A data asset's `name:version`."""
    name, _, version = uri.rpartition("/data/")[2].partition("/versions/")
    return f"{name}:{version}" if version else uri
