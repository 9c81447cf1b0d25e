"""`phift-tui models`: the tuned models of a project, and the catalogue they come from."""

from __future__ import annotations

import argparse

from tui.commands import common, output


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("models", help="list the catalogue and the tuned models; delete a tuned model")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", parents=[shared], help="models that can be tuned; --tuned: those of the project")
    listing.add_argument("--tuned", action="store_true", help="the tuned models of the project")
    common.add_place(listing)
    listing.set_defaults(run=_list)
    delete = verbs.add_parser("delete", parents=[shared], help="delete a tuned model (its deployments first)")
    delete.add_argument("name", type=_model, metavar="NAME[:VERSION]", help="model; all its versions without one")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    common.add_place(delete)
    delete.set_defaults(run=_delete)


def _list(args: argparse.Namespace) -> int:
    from tui.services import catalog, models

    azure = common.connect(args)
    if args.tuned:
        tuned = models.listing(azure, common.workspace(azure, args))
        if common.wants_json(args):
            output.data([model.to_json() for model in tuned])
        else:
            output.table(("NAME", "VERSION", "BASE"), [(model.name, model.version, model.base) for model in tuned])
        return 0
    found = catalog.models(azure)
    if common.wants_json(args):
        output.data(found.to_json())
    else:
        today = catalog.today(azure)
        output.table(
            ("MODEL", "STATUS", "CONTEXT", "SERVERLESS", "RETIRES"),
            [
                (
                    model.name,
                    model.status(today),
                    f"{model.context_length:,}" if model.context_length else "unknown",
                    model.availability("serverless", today).label,
                    model.finetune_retirement or "no date",
                )
                for model in found.models
            ],
        )
    return 0


def _delete(args: argparse.Namespace) -> int:
    from tui.services import models

    azure = common.connect(args)
    place = common.workspace(azure, args)
    name, version = args.name
    deleted = []
    with common.hint("See them all with `phift-tui models list --tuned`."):
        found = models.select(azure, place, name, version)
    for model in found:
        if not common.confirm(f"Delete model {model.name}, version {model.version}? This cannot be undone.", args):
            return 7
        models.delete(azure, place, model.name, model.version)
        deleted.append(f"{model.name}:{model.version}")
        output.say(f"Deleted {deleted[-1]}")
    if common.wants_json(args):
        output.data({"deleted": deleted})
    return 0


def _model(text: str) -> tuple[str, str]:
    name, _, version = text.partition(":")
    return common.name(name), common.name(version) if version else ""
