"""Questions on a terminal that shows lines only: each with its default, its choices or range, help, and a way back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from tui.commands import common, output
from tui.messages import t
from tui.text import REPLACEMENT


class Back(Exception):
    """The person asked for the question before."""


class Quit(Exception):
    """The person asked to stop."""


class NoInput(Exception):
    """There is no more input."""


def how() -> str:
    """What can be answered to every question."""
    return t("Enter keeps the value in brackets; - empties it; ? explains; < goes back; q quits and keeps the draft.")


def read() -> str:
    """A line of input without its end; bytes that are no text, and those that end a text, are replaced.

    Raises:
        NoInput: there is none.
    """
    with common.waiting_for_an_answer():
        line = sys.stdin.buffer.readline()
    if not line:
        raise NoInput
    return line.decode("utf-8", "replace").replace("\0", REPLACEMENT).strip()


def ask(
    label: str,
    default: str = "",
    *,
    hint: str = "",
    explanation: str = "",
    choices: Mapping[str, str] | None = None,
    take: Callable[[str], str] = lambda answer: "",
) -> str:
    """One answer that is taken; a choice may be given by its number.

    Args:
        label: what is asked.
        default: what Enter stands for.
        hint: the range, the unit or the form of the answer.
        explanation: what `?` says.
        choices: the answers that there are, each with a remark.
        take: takes the answer and says why it cannot; empty: it is taken.

    Raises:
        Back: the answer was `<`.
        Quit: the answer was `q`.
        NoInput: the input ended.
    """
    for at, (choice, remark) in enumerate((choices or {}).items(), 1):
        output.say(f"  {at}. {choice}{f' ({remark})' if remark else ''}")
    while True:
        output.say(f"{label}{f' ({hint})' if hint else ''} [{default}]")
        answer = read()
        if answer == "q":
            raise Quit
        if answer == "<":
            raise Back
        if answer == "?":
            output.say("  " + " ".join(part for part in (explanation, how()) if part))
            continue
        if choices and answer.isdecimal() and 1 <= int(answer) <= len(choices):
            answer = list(choices)[int(answer) - 1]
        elif choices and answer and answer not in choices:
            output.say(
                "  " + t("There is no {answer} here: give a number from 1 to {last}.", answer=answer, last=len(choices))
            )
            continue
        wrong = take(answer or default)
        if not wrong:
            return answer or default
        output.say(f"  {wrong}")


def ask_yes(question: str, default: bool, explanation: str) -> bool:
    """A yes or a no, with the same ways out as `ask`."""
    answer = ask(
        question,
        t("yes") if default else t("no"),
        hint=t("yes or no"),
        explanation=explanation,
        take=lambda given: t("Answer yes or no.") if common.yes_or_no(given) is None else "",
    )
    return bool(common.yes_or_no(answer))
