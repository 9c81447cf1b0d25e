"""`phift-tui chat`: talk to a deployed endpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tui.commands import common, output
from tui.messages import t
from tui.text import clean


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("chat", parents=[shared], help=t("talk to a deployed endpoint"))
    parser.add_argument("endpoint", type=common.name, help=t("name of the endpoint"))
    parser.add_argument(
        "--message", metavar="TEXT", help=t("ask this and end; without it: one question a line from stdin")
    )
    parser.add_argument("--system", metavar="TEXT", default="", help=t("system message"))
    parser.add_argument("--temperature", type=common.number(0, 2), default=0.0, help=t("0 to 2 (default: 0)"))
    parser.add_argument(
        "--max-tokens", type=common.whole(1, 4096), default=256, help=t("longest answer (default: 256)")
    )
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the answers, streamed; with `--json` one object an answer."""
    from tui.services import chat, deployments

    azure, place = common.opened(args)
    endpoint = common.endpoint_named(azure, place, args.endpoint)
    key, _ = deployments.keys(azure, place, args.endpoint)
    history: list[chat.Message] = [{"role": "system", "content": args.system}] if args.system else []
    if args.message is None and sys.stdin.isatty():
        output.say(t("One question a line; ctrl+d ends."))
    for question in [args.message] if args.message is not None else _lines():
        if not question.strip():
            continue
        history.append({"role": "user", "content": question.strip()})
        answer = chat.Collected()
        with common.cancel_on_signal() as cancel:
            for delta in chat.stream(
                endpoint.uri,
                key,
                history,
                temperature=args.temperature,
                max_tokens=args.max_tokens,
                cancel=cancel,
            ):
                answer.add(delta)
                if not common.wants_json(args):
                    print(clean(delta.text), end="", flush=True)
        if common.wants_json(args):
            output.data(answer.to_json())
        else:
            print(flush=True)
        history.append({"role": "assistant", "content": answer.text})
    return 0


def _lines() -> Iterator[str]:
    """What is typed or piped in; bytes that are no text are replaced."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace")
