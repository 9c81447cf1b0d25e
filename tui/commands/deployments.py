"""`phift-tui deployments`: list, create, delete endpoints, and show their keys."""

from __future__ import annotations

import argparse

from tui.commands import common, output

_LIST = "See them all with `phift-tui deployments list`."


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("deployments", help="list, create, delete deployments; show keys")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", parents=[shared], help="all endpoints of the project")
    listing.set_defaults(run=_list)
    create = verbs.add_parser("create", parents=[shared], help="deploy the model of a completed job")
    create.add_argument("job", type=common.name, help="name of the completed job")
    create.add_argument("--name", type=_name, default="", help="name of the endpoint (default: from the model)")
    create.add_argument("--no-content-safety", action="store_true", help="without Azure AI Content Safety")
    create.add_argument("--yes", action="store_true", help="do not ask")
    create.set_defaults(run=_create)
    delete = verbs.add_parser("delete", parents=[shared], help="delete an endpoint; it stops billing")
    delete.add_argument("name", type=common.name, help="name of the endpoint")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(run=_delete)
    keys = verbs.add_parser("keys", parents=[shared], help="the keys of an endpoint")
    keys.add_argument("name", type=common.name, help="name of the endpoint")
    keys.add_argument(
        "--regenerate", choices=("primary", "secondary"), help="make a new key; the old one stops at once"
    )
    keys.set_defaults(run=_keys)
    for leaf in (listing, create, delete, keys):
        common.add_place(leaf)


def _name(text: str) -> str:
    from tui.recipe import Recipe, RecipeError

    try:
        return Recipe().with_(deployment__endpoint=text).deployment.endpoint
    except RecipeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an endpoint's name: 2 to 52 letters, digits and hyphens, a letter first"
        ) from None


def _list(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure = common.connect(args)
    found = deployments.listing(azure, common.workspace(azure, args))
    if common.wants_json(args):
        output.data([endpoint.to_json() for endpoint in found])
    else:
        output.table(
            ("NAME", "KIND", "STATE", "CONTENT SAFETY", "MODEL", "ADDRESS"),
            [
                (
                    endpoint.name,
                    endpoint.kind,
                    endpoint.state,
                    {True: "on", False: "off", None: "unknown"}[endpoint.content_safety],
                    ":".join(part for part in (endpoint.model_name, endpoint.model_version) if part),
                    endpoint.uri,
                )
                for endpoint in found
            ],
        )
    return 0


def _create(args: argparse.Namespace) -> int:
    from tui.services import deployments, jobs
    from tui.services.journal import Journal

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint("See the completed ones with `phift-tui jobs list`."):
        job = jobs.get(azure, place, args.job)
    name = args.name or deployments.default_name(job.output_model or job.name, job.output_version)
    if not common.confirm(f"Deploy {job.output_model} as {name}? It bills by the hour until it is deleted.", args):
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
        output.say(f"{endpoint.name} answers at {endpoint.uri}")
        output.say(f"Try it: phift-tui chat {endpoint.name}    Remove it: phift-tui deployments delete {endpoint.name}")
    return 0


def _delete(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint(_LIST):
        endpoint = deployments.get(azure, place, args.name)
    if not common.confirm(f"Delete endpoint {endpoint.name}? Programs that call it will fail.", args):
        return 7
    with common.cancel_on_signal() as cancel:
        deployments.delete(azure, place, endpoint.name, report=output.ProgressLine(), cancel=cancel)
    output.say(f"Deleted {endpoint.name}; it is no longer billed.")
    if common.wants_json(args):
        output.data({"deleted": endpoint.name})
    return 0


def _keys(args: argparse.Namespace) -> int:
    from tui.services import deployments

    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint(_LIST):
        if args.regenerate:
            primary, secondary = deployments.regenerate(azure, place, args.name, args.regenerate)
        else:
            primary, secondary = deployments.keys(azure, place, args.name)
    shown = {"primary": primary.get_secret_value(), "secondary": secondary.get_secret_value()}
    if common.wants_json(args):
        output.data(shown)
    else:
        for name, key in shown.items():
            output.result(f"{name:10} {key}")
    return 0
