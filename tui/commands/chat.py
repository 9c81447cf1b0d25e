"""`phift-tui chat`: talk to a deployed endpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tui.commands import common, output
from tui.messages import t

if TYPE_CHECKING:
    from pydantic import SecretStr

    from tui.services.chat import Collected, Message


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
    from tui.services import deployments

    azure, place = common.opened(args)
    endpoint = common.endpoint_named(azure, place, args.endpoint)
    key, _ = deployments.keys(azure, place, args.endpoint)
    history: list[Message] = [{"role": "system", "content": args.system}] if args.system else []
    if args.message is None and sys.stdin.isatty():
        output.say(t("One question a line; ctrl+d ends."))
    for question in [args.message] if args.message is not None else _lines():
        if not question.strip():
            continue
        history.append({"role": "user", "content": question.strip()})
        shown = None if common.wants_json(args) else output.piece
        answer = reply(endpoint.uri, key, history, temperature=args.temperature, max_tokens=args.max_tokens, show=shown)
        if common.wants_json(args):
            output.data(answer.to_json())
        else:
            output.result("")
        history.append({"role": "assistant", "content": answer.text})
    return 0


def reply(
    uri: str,
    key: SecretStr,
    history: list[Message],
    *,
    temperature: float = 0.0,
    max_tokens: int,
    show: Callable[[str], None] | None = None,
) -> Collected:
    """The endpoint's answer to a conversation; ctrl+c stops it.

    Args:
        uri: of the endpoint.
        key: of the endpoint.
        history: the conversation, the question last.
        temperature: 0 to 2.
        max_tokens: the longest answer.
        show: given each piece as it comes.

    Raises:
        PhiftError: the endpoint did not answer, or the person stopped it.
    """
    from tui.services import chat

    answer = chat.Collected()
    with common.cancel_on_signal() as cancel:
        for delta in chat.stream(uri, key, history, temperature=temperature, max_tokens=max_tokens, cancel=cancel):
            answer.add(delta)
            if show:
                show(delta.text)
    return answer


def _lines() -> Iterator[str]:
    """What is typed or piped in; bytes that are no text are replaced."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace")
