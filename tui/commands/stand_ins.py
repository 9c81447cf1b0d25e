"""`phift-tui sandbox fetch`: bring the stand-in `small`, a model that really chats, to this machine."""

from __future__ import annotations

import argparse
import importlib.util

from tui.commands import common, output
from tui.messages import t
from tui.services.errors import AccessError, PhiftError
from tui.services.progress import Progress

USE_IT = "phift-tui sandbox fault apply small-model"


def fetch(args: argparse.Namespace) -> int:
    """Download the stand-in with progress, check its checksums, and lay it out as a Phi-3 model.

    Raises:
        AccessError: the training libraries are not installed.
        PhiftError: it could not be fetched; nothing is left behind then.
    """
    missing = [name for name in ("torch", "transformers", "gguf") if importlib.util.find_spec(name) is None]
    if missing:
        raise AccessError(
            t("The sandbox's training libraries are not installed."),
            code="SandboxNotInstalled",
            meaning=t("Missing: {names}. Azure itself works without them.", names=", ".join(missing)),
            next_step=t("Run {command}.", command="`pip install 'phift-tui[sandbox]'`"),
        )
    from tui.trainer.failures import TrainingFailed
    from tui.trainer.small import fetch as fetch_small

    as_json = common.wants_json(args)
    stages = {"download": (t("Download"), t("bytes")), "convert": (t("Conversion"), t("tensors"))}
    line = output.ProgressLine()

    def show(stage: str, done: int, total: int) -> None:
        title, unit = stages[stage]
        line(Progress(title, done, total, unit))

    try:
        folder = fetch_small(show)
    except TrainingFailed as failure:
        raise PhiftError(failure.message, code=failure.code, next_step=failure.advice) from None
    if as_json:
        output.data({"name": args.name, "folder": str(folder)})
    else:
        output.result(t("The stand-in {name} is in {folder}.", name=args.name, folder=folder))
        output.result(t("Have the sandbox train and answer with it: {command}", command=USE_IT))
    return 0
