"""All commands, for the parser of the command line."""

from __future__ import annotations

from tui.commands import (
    chat,
    check,
    cleanup,
    deployments,
    doctor,
    estimate,
    evaluate,
    export,
    jobs,
    models,
    run,
    sandbox,
)

COMMANDS = (check, doctor, run, estimate, jobs, models, deployments, chat, evaluate, export, cleanup, sandbox)
"""The commands in the order of `--help`; each has `add_parser(subparsers, common)` and sets `run`."""
