"""`phift-tui deployments`: list, create, delete endpoints, and show their keys."""

from __future__ import annotations

import argparse

from tui.commands import common, output
from tui.messages import t


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("deployments", help=t("list, create, delete deployments; show keys"))
    leaves = common.add_verbs(
        parser,
        shared,
        {
            "list": (t("all endpoints of the project"), _list),
            "create": (t("deploy the model of a completed job"), _create),
            "delete": (t("delete an endpoint; it stops billing"), _delete),
            "keys": (t("the keys of an endpoint"), _keys),
        },
    )
    create, delete, keys = leaves["create"], leaves["delete"], leaves["keys"]
    create.add_argument("job", type=common.name, help=t("name of the completed job"))
    create.add_argument("--name", type=_name, default="", help=t("name of the endpoint (default: from the model)"))
    create.add_argument("--no-content-safety", action="store_true", help=t("without Azure AI Content Safety"))
    common.add_yes(create)
    delete.add_argument("name", type=common.name, help=t("name of the endpoint"))
    common.add_yes(delete)
    keys.add_argument("name", type=common.name, help=t("name of the endpoint"))
    keys.add_argument(
        "--regenerate", choices=("primary", "secondary"), help=t("make a new key; the old one stops at once")
    )


def _name(text: str) -> str:
    from tui.recipe import Recipe, RecipeError

    try:
        return Recipe().with_(deployment__endpoint=text).deployment.endpoint
    except RecipeError:
        raise argparse.ArgumentTypeError(
            t("{text} is not an endpoint's name: 2 to 52 letters, digits and hyphens, a letter first", text=repr(text))
        ) from None


def _list(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure, place = common.opened(args)
    found = deployments.listing(azure, place)
    if common.wants_json(args):
        output.data([endpoint.to_json() for endpoint in found])
    else:
        output.table(
            (t("NAME"), t("KIND"), t("STATE"), t("CONTENT SAFETY"), t("MODEL"), t("ADDRESS")),
            [
                (
                    endpoint.name,
                    endpoint.kind,
                    endpoint.state,
                    t({True: "on", False: "off", None: "unknown"}[endpoint.content_safety]),
                    ":".join(part for part in (endpoint.model_name, endpoint.model_version) if part),
                    endpoint.uri,
                )
                for endpoint in found
            ],
        )
    return 0


def _create(args: argparse.Namespace) -> int:
    from tui.services import deployments
    from tui.services.journal import Journal

    azure, place = common.opened(args)
    job = common.job_named(azure, place, args.job)
    name = args.name or deployments.default_name(job.output_model or job.name, job.output_version)
    question = t(
        "Deploy {model} as {name}? It bills by the hour until it is deleted.", model=job.output_model, name=name
    )
    if not common.confirm(question, args):
        return 7
    with common.cancel_on_signal() as cancel:
        endpoint = deployments.deploy(
            azure,
            place,
            job,
            name,
            content_safety=not args.no_content_safety,
            journal=Journal(azure.settings.journal),
            report=output.ProgressLine(),
            cancel=cancel,
        )
    if common.wants_json(args):
        output.data(endpoint.to_json())
    else:
        output.say(t("{endpoint} answers at {address}", endpoint=endpoint.name, address=endpoint.uri))
        output.say(t("To try it: phift-tui chat {endpoint}", endpoint=endpoint.name))
        output.say(t("To remove it: phift-tui deployments delete {endpoint}", endpoint=endpoint.name))
    return 0


def _delete(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure, place = common.opened(args)
    endpoint = common.endpoint_named(azure, place, args.name)
    question = t("Delete endpoint {name}? Programs that call it will fail.", name=endpoint.name)
    if not common.confirm(question, args):
        return 7
    with common.cancel_on_signal() as cancel:
        deployments.delete(azure, place, endpoint.name, report=output.ProgressLine(), cancel=cancel)
    output.say(t("Deleted {name}; it is no longer billed.", name=endpoint.name))
    if common.wants_json(args):
        output.data({"deleted": endpoint.name})
    return 0


def _keys(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure, place = common.opened(args)
    endpoint = common.endpoint_named(azure, place, args.name)
    if args.regenerate:
        primary, secondary = deployments.regenerate(azure, place, endpoint.name, args.regenerate)
    else:
        primary, secondary = deployments.keys(azure, place, endpoint.name)
    shown = {"primary": primary.get_secret_value(), "secondary": secondary.get_secret_value()}
    if common.wants_json(args):
        output.data(shown)
    else:
        for name, key in shown.items():
            output.result(f"{name:10} {key}")
    return 0
