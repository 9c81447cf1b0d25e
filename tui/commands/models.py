"""`phift-tui models`: the tuned models of a project, and the catalogue they come from."""

from __future__ import annotations

import argparse

from tui.commands import common, output
from tui.messages import grouped, t

_STATUS = {"available": "available", "deprecated": "deprecated", "retired": "retired", "unknown": "unknown"}
_OFFERED = {True: "yes", False: "no", None: "unknown"}


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("models", help=t("list the catalogue and the tuned models; delete a tuned model"))
    leaves = common.add_verbs(
        parser,
        shared,
        {
            "list": (t("models that can be tuned; --tuned: those of the project"), _list),
            "delete": (t("delete a tuned model (its deployments first)"), _delete),
        },
    )
    leaves["list"].add_argument("--tuned", action="store_true", help=t("the tuned models of the project"))
    delete = leaves["delete"]
    delete.add_argument("name", type=_model, metavar="NAME[:VERSION]", help=t("model; all its versions without one"))
    common.add_yes(delete)


def _list(args: argparse.Namespace) -> int:
    from tui.services import catalog, models

    azure = common.connect(args)
    if args.tuned:
        tuned = models.listing(azure, common.workspace(azure, args))
        if common.wants_json(args):
            output.data([model.to_json() for model in tuned])
        else:
            head = (t("NAME"), t("VERSION"), t("BASE"))
            output.table(head, [(model.name, model.version, model.base) for model in tuned])
        return 0
    found = catalog.models(azure)
    if common.wants_json(args):
        output.data(found.to_json())
    else:
        today = catalog.today(azure)
        output.table(
            (t("MODEL"), t("STATUS"), t("CONTEXT"), t("SERVERLESS"), t("RETIRES")),
            [
                (
                    model.name,
                    t(_STATUS[model.status(today)]),
                    grouped(model.context_length) if model.context_length else t("unknown"),
                    t(_OFFERED[model.availability("serverless", today).ok]),
                    model.finetune_retirement or t("no date"),
                )
                for model in found.models
            ],
        )
    return 0


def _delete(args: argparse.Namespace) -> int:
    from tui.services import models

    azure, place = common.opened(args)
    name, version = args.name
    deleted = []
    with common.hint(t("See them all with `phift-tui models list --tuned`.")):
        found = models.select(azure, place, name, version)
    for model in found:
        question = t(
            "Delete model {name}, version {version}? This cannot be undone.", name=model.name, version=model.version
        )
        if not common.confirm(question, args):
            return 7
        models.delete(azure, place, model.name, model.version)
        deleted.append(f"{model.name}:{model.version}")
        output.say(t("Deleted {name}", name=deleted[-1]))
    if common.wants_json(args):
        output.data({"deleted": deleted})
    return 0


def _model(text: str) -> tuple[str, str]:
    name, _, version = text.partition(":")
    return common.name(name), common.name(version) if version else ""
