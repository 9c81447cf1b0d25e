"""`phift-tui jobs`: list, show, follow and cancel fine-tuning jobs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tui.commands import common, output

if TYPE_CHECKING:
    from tui.services.errors import PhiftError
    from tui.services.runs import Snapshot


_LIST = "See them all with `phift-tui jobs list`."


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("jobs", help="list, show, follow, cancel, resume fine-tuning jobs")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text, action in (
        ("list", "all jobs of the project", _list),
        ("show", "one job", _show),
        ("watch", "follow a job until it ends", _watch),
        ("cancel", "cancel a job", _cancel),
        ("metrics", "the metrics of a job", _metrics),
        ("resume", "submit the choices of a job that has ended again, under a new name", _resume),
    ):
        leaf = verbs.add_parser(verb, parents=[shared], help=text)
        common.add_place(leaf)
        if verb != "list":
            leaf.add_argument("name", type=common.name, help="name of the job")
        if verb in {"cancel", "resume"}:
            leaf.add_argument("--yes", action="store_true", help="do not ask")
        leaf.set_defaults(run=action)


def _list(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure = common.connect(args)
    found = jobs.listing(azure, common.workspace(azure, args))
    if common.wants_json(args):
        output.data([job.to_json() for job in found])
    else:
        output.table(
            ("NAME", "STATUS", "MODEL", "ENGINE", "CREATED"),
            [(job.name, job.status, job.model, job.engine, _time(job.created)) for job in found],
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint(_LIST):
        job = jobs.get(azure, place, args.name)
    if common.wants_json(args):
        output.data(job.to_json())
        return 0
    shown = {
        "Job": job.name,
        "Status": job.status,
        "Model": f"{job.model} ({job.engine or 'another engine'})",
        "Experiment": job.experiment,
        **(job.hyperparameters or {}),
        "Training data": _asset(job.training_uri),
        "Validation data": _asset(job.validation_uri),
        "Created": _time(job.created),
        "Started": _time(job.started),
        "Ended": _time(job.ended),
        "Tuned model": ":".join(part for part in (job.output_model, job.output_version) if part),
        "Portal": job.studio_url,
        "Error": job.error.message if job.error else "",
    }
    width = max(map(len, shown))
    for label, value in shown.items():
        if value:
            output.result(f"{label:{width}}  {value}")
    return 0


def _watch(args: argparse.Namespace) -> int:
    from tui.services import runs

    azure = common.connect(args)
    place = common.workspace(azure, args)

    def show(snapshot: Snapshot) -> None:
        if common.wants_json(args):
            output.data(snapshot.to_json())
        else:
            for line in snapshot.lines():
                output.result(line)

    def lost(error: PhiftError) -> None:
        output.say(f"{error.message} The job goes on; asking again until it answers.")

    with common.cancel_on_signal() as cancel, common.hint(_LIST):
        last = runs.follow(azure, place, args.name, on_snapshot=show, on_lost=lost, cancel=cancel)
    if last.failure:
        return output.ending(last.failure).show()
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint(_LIST):
        job = jobs.get(azure, place, args.name)
    if job.terminal:
        output.say(f"{job.name} has ended already: {job.status}")
    else:
        if not common.confirm(f"Cancel {job.name} ({job.status})?", args):
            return 7
        job = jobs.cancel(azure, place, job.name)
        output.say(f"{job.name}: {job.status}")
    if common.wants_json(args):
        output.data(job.to_json())
    return 0


def _metrics(args: argparse.Namespace) -> int:
    from tui.services import runs

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint(_LIST):
        snapshot = runs.Watch(azure, place, args.name).poll()
    if common.wants_json(args):
        output.data(
            {name: [[point.step, point.value] for point in metric.points] for name, metric in snapshot.metrics.items()}
        )
    else:
        output.table(
            ("METRIC", "POINTS", "FIRST", "LAST"),
            [
                (name, len(metric.points), f"{metric.points[0].value:.4g}", f"{metric.points[-1].value:.4g}")
                for name, metric in snapshot.metrics.items()
                if metric.points
            ],
        )
    return 0


def _resume(args: argparse.Namespace) -> int:
    from tui.services import jobs

    azure = common.connect(args)
    place = common.workspace(azure, args)
    if not common.confirm(f"Submit the choices of {args.name} again? The new job is billed as a run of its own.", args):
        return 7
    with common.hint(_LIST):
        job = jobs.resume(azure, place, args.name)
    output.say(f"{job.name}: {job.status}. Follow it with: phift-tui jobs watch {job.name}")
    if common.wants_json(args):
        output.data(job.to_json())
    return 0


def _time(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _asset(uri: str) -> str:
    """A data asset's `name:version`."""
    name, _, version = uri.rpartition("/data/")[2].partition("/versions/")
    return f"{name}:{version}" if version else uri
