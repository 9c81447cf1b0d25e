"""`phift-tui sandbox`: start, find, stop and upset Azure on this machine's loopback interface."""

from __future__ import annotations

import argparse
import math
import shlex
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import assets
from tui.commands import common, output, stand_ins
from tui.messages import n, t

if TYPE_CHECKING:
    from tui.sandbox.daemon import SandboxInfo

EXIT_SANDBOX = 5  # the sandbox stands for Azure, and what it answered is an error of Azure's
_SCENARIOS = assets.ROOT / "scenarios"


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("sandbox", help=t("Azure on this machine, without an account: start, stop, faults"))
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text, action in (
        ("start", t("start it in the background, or find it running"), _start),
        ("serve", t("run it in the foreground until Ctrl+C"), _serve),
        ("stop", t("stop it; its state stays"), _stop),
        ("status", t("whether it runs, and what is wrong with it on purpose"), _status),
        ("env", t("print `export` lines that point any Azure client at it"), _env),
        ("reset", t("stop it and remove everything it knows"), _reset),
    ):
        leaf = _leaf(verbs, verb, text, shared, action)
        if verb in {"start", "serve"}:
            leaf.add_argument(
                "--as-of",
                type=_date,
                metavar="DATE",
                help=t("the catalogue's date, for instance 2025-01-15 when Phi-3 was live"),
            )
            leaf.add_argument("--port", type=_port, default=0, help=t("the proxy's port (default: a free one)"))
            leaf.add_argument(
                "--pace",
                type=_pace,
                default=1.0,
                help=t("what durations are multiplied by; 0 makes them instant (default: 1)"),
            )
    fetch = verbs.add_parser("fetch", parents=[shared], help=t("bring the stand-in that really chats to this machine"))
    fetch.add_argument(
        "name", choices=["small"], help=t("small: SmolLM2-135M-Instruct laid out as a Phi-3 model, 93 MB")
    )
    fetch.set_defaults(run=stand_ins.fetch)
    fault = verbs.add_parser("fault", help=t("let something go wrong: a throttled route, a lost role, a skewed clock"))
    faults = fault.add_subparsers(dest="fault", metavar="WHAT", required=True)
    add = _leaf(faults, "add", t("arm a fault on a route"), shared, _fault_add)
    add.add_argument("route", help=t('over host and path, with *; "PUT */jobs/*" is every submission of a job'))
    add.add_argument("kind", help=t("a status from 400 to 599, or a kind that `fault kinds` lists"))
    add.add_argument(
        "--probability", type=float, default=1.0, help=t("the share of requests that it strikes (default: 1)")
    )
    add.add_argument("--count", type=int, help=t("how many times at most"))
    add.add_argument("--skip", type=int, default=0, help=t("how many matching requests pass first"))
    add.add_argument("--seed", type=int, default=0, help=t("makes the strikes of a probability repeatable"))
    add.add_argument(
        "--seconds", type=float, default=1.0, help=t("how late, or what Retry-After asks for (default: 1)")
    )
    _leaf(faults, "kinds", t("the kinds of faults"), shared, _fault_kinds)
    _leaf(faults, "list", t("the armed faults and how often they struck"), shared, _fault_list)
    clear = _leaf(faults, "clear", t("disarm all faults, or one, and put the clock right"), shared, _fault_clear)
    clear.add_argument("number", type=int, nargs="?", help=t("its number from `fault list`"))
    scenario = _leaf(faults, "apply", t("change the subscription as a scenario says"), shared, _fault_apply)
    scenario.add_argument("scenario", help=t("its name from `fault scenarios`, or a TOML file"))
    _leaf(faults, "scenarios", t("the scenarios that ship with the program"), shared, _fault_scenarios)
    skew = _leaf(faults, "skew", t("put the services' clock ahead of this machine's"), shared, _fault_skew)
    skew.add_argument("seconds", type=float, help=t("negative: behind"))
    code = _leaf(faults, "enter-code", t("answer a device sign-in as the person would"), shared, _fault_code)
    code.add_argument("code", help=t("the code that the sign-in shows"))
    code.add_argument("--decline", action="store_true", help=t("decline the sign-in"))


def _leaf(
    verbs: common.Subparsers,
    verb: str,
    text: str,
    shared: argparse.ArgumentParser,
    action: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    leaf = verbs.add_parser(verb, parents=[shared], help=text)
    leaf.add_argument("--state", type=Path, metavar="DIR", help=t("the sandbox's state folder (default: the user's)"))
    leaf.set_defaults(run=_guarded(action))
    return leaf


def _guarded(action: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def guarded(args: argparse.Namespace) -> int:
        from tui.sandbox.daemon import SandboxError, SandboxRefusedError

        try:
            return action(args)
        except SandboxRefusedError as error:
            output.error(str(error), t("Mend that and run the same command again."))
            return output.EXIT_USAGE
        except SandboxError as error:
            log = _folder(args) / "sandbox.log"
            next_step = t("See {log}; phift-tui sandbox stop, then start it again: its state stays.", log=log)
            output.error(str(error), next_step)
            return EXIT_SANDBOX

    return guarded


def _folder(args: argparse.Namespace) -> Path:
    return args.state or common.settings_of(args).sandbox_folder


def _running(args: argparse.Namespace) -> SandboxInfo:
    from tui.sandbox import daemon

    info = daemon.status(_folder(args))
    if info is None:
        raise daemon.SandboxRefusedError(
            t("no sandbox runs in {folder}: phift-tui sandbox start", folder=_folder(args))
        )
    return info


def _show(args: argparse.Namespace, info: SandboxInfo) -> None:
    if common.wants_json(args):
        output.data(info.to_json())
        return
    output.result(
        t(
            "The sandbox runs: process {pid}, proxy {proxy}, state {state}",
            pid=info.pid,
            proxy=info.proxy,
            state=info.state,
        )
    )
    output.result(
        t(
            "Subscription {subscription}, owned by client {client} of tenant {tenant}",
            subscription=info.subscription,
            client=info.client_id,
            tenant=info.tenant,
        )
    )
    where = f" --state {shlex.quote(str(args.state))}" if args.state else ""
    output.result(t("Point this shell at it: {command}", command=f'eval "$(phift-tui sandbox env{where})"'))


def _start(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    _show(args, daemon.start(_folder(args), as_of=args.as_of, pace=args.pace, port=args.port))
    return 0


def _serve(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    folder = daemon.prepare(_folder(args))
    from tui.sandbox import serve

    serve.log_to(folder)
    serve.run(
        folder,
        as_of=args.as_of,
        pace=args.pace,
        port=args.port,
        ready=lambda info: _show(args, info),
    )
    return 0


def _stop(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    stopped = daemon.stop(_folder(args))
    if common.wants_json(args):
        output.data({"stopped": stopped})
    else:
        output.result(t("The sandbox has stopped; its state stays." if stopped else "No sandbox was running."))
    return 0


def _status(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    info = daemon.status(_folder(args))
    if info is None:
        if common.wants_json(args):
            output.data({"running": False, "state": str(_folder(args))})
        else:
            output.result(t("No sandbox runs in {folder}.", folder=_folder(args)))
        return 0
    live = daemon.control(info, "GET", "/status")
    if common.wants_json(args):
        output.data({"running": True, **info.to_json(), **live})
    else:
        _show(args, info)
        output.result(
            t(
                "Calendar: {date} · clock skew: {skew} s · pace: {pace}",
                date=live["date"],
                skew=f"{live['skew']:g}",
                pace=f"{live['pace']:g}",
            )
        )
        output.result(n("{count} fault is armed.", "{count} faults are armed.", len(live["faults"])))
    return 0


def _env(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    lines = daemon.env_lines(_running(args))
    if common.wants_json(args):
        output.data(lines)
    else:
        for name, value in lines.items():
            output.code(f"export {name}={shlex.quote(value)}")
    return 0


def _reset(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    daemon.reset(_folder(args))
    if common.wants_json(args):
        output.data({"reset": True})
    else:
        output.result(t("The sandbox and all its state are gone."))
    return 0


def _fault_add(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    names = ("route", "kind", "probability", "count", "skip", "seed", "seconds")
    armed = daemon.control(_running(args), "POST", "/faults", {name: getattr(args, name) for name in names})
    if common.wants_json(args):
        output.data(armed)
    else:
        output.result(
            t(
                "Fault {number} is armed: {kind} on {route}",
                number=armed["id"],
                kind=armed["kind"],
                route=armed["route"],
            )
        )
    return 0


def _fault_kinds(args: argparse.Namespace) -> int:
    from tui.sandbox.faults import KINDS

    if common.wants_json(args):
        output.data(KINDS)
    else:
        for kind, text in ((t("400 to 599"), t("this status, in Azure's wording")), *KINDS.items()):
            output.result(f"{kind:14} {text}")
    return 0


def _fault_list(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    found = daemon.control(_running(args), "GET", "/faults")["faults"]
    if common.wants_json(args):
        output.data(found)
    else:
        rows = [(one["id"], one["kind"], one["route"], one["fired"], one["count"] or t("no limit")) for one in found]
        output.table((t("ID"), t("KIND"), t("ROUTE"), t("STRUCK"), t("AT MOST")), rows)
    return 0


def _fault_clear(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    path = "/faults" if args.number is None else f"/faults/{args.number}"
    left = daemon.control(_running(args), "DELETE", path)["faults"]
    if common.wants_json(args):
        output.data(left)
    else:
        output.result(n("{count} fault is armed.", "{count} faults are armed.", len(left)))
    return 0


def _fault_apply(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    named = _SCENARIOS / f"{args.scenario}.toml"
    path = named if named.is_file() else Path(args.scenario)
    try:
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise daemon.SandboxRefusedError(
            t(
                "{scenario}: {error}; `phift-tui sandbox fault scenarios` lists what ships",
                scenario=args.scenario,
                error=error.strerror,
            )
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise daemon.SandboxRefusedError(f"{path}: {error}") from error
    daemon.control(_running(args), "PUT", "/scenario", scenario)
    if common.wants_json(args):
        output.data({"applied": str(path)})
    else:
        output.result(t("Applied: {title}", title=scenario.get("title", path)))
    return 0


def _fault_scenarios(args: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    for path in sorted(_SCENARIOS.glob("*.toml")):
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
        found.append({"name": path.stem, "title": scenario["title"], "description": scenario["description"]})
    if common.wants_json(args):
        output.data(found)
    else:
        for one in found:
            output.result(f"{one['name']:22} {one['description']}")
    return 0


def _fault_skew(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    daemon.control(_running(args), "PUT", "/scenario", {"clock": {"skew": args.seconds}})
    if common.wants_json(args):
        output.data({"skew": args.seconds})
    else:
        output.result(t("The services' clock is {seconds} s off.", seconds=f"{args.seconds:+g}"))
    return 0


def _fault_code(args: argparse.Namespace) -> int:
    from tui.sandbox import daemon

    daemon.control(_running(args), "POST", "/device", {"user_code": args.code, "decline": args.decline})
    if common.wants_json(args):
        output.data({"code": args.code, "declined": args.decline})
    else:
        output.result(t("The code was declined." if args.decline else "The code was entered."))
    return 0


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(t("{text} is not a date like 2025-01-15", text=repr(text))) from error


def _port(text: str) -> int:
    if text.isdigit() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(t("{text} is not a port from 0 to 65535", text=repr(text)))


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = math.nan
    if not 0 <= pace <= 100:
        raise argparse.ArgumentTypeError(
            t("{text} is not a number from {low} to {high}", text=repr(text), low=0, high=100)
        )
    return pace
