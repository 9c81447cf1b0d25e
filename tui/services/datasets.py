"""The bridge to the data desk: a recipe's files checked by its model's rules, and split into what will be uploaded."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui.messages import grouped, n, t
from tui.paths import expanded
from tui.recipe import Recipe
from tui.services.catalog import Model, rules
from tui.services.errors import Cancelled, DataRefused, UsageError
from tui.services.progress import Cancel, Progress
from tui.services.progress import Report as Tell

if TYPE_CHECKING:
    from tui.dataset.describe import Stats
    from tui.dataset.report import Report
    from tui.dataset.split import Split


_TRAIN, _VALIDATION = "train.jsonl", "validation.jsonl"


@dataclass(frozen=True)
class Prepared:
    """The files that will be uploaded."""

    train: Path
    validation: Path | None
    report: Report
    """Of the file as it was given."""
    train_rows: int
    validation_rows: int
    split: Split | None
    stats: Stats
    """Of the training rows alone."""


def readable(path: Path) -> None:
    """Make sure that a file can be read and holds something.

    Raises:
        UsageError: it does not exist, is a folder, a pipe or a device, is empty, or may not be read.
    """
    try:
        if path.is_dir():
            raise UsageError(
                t("{path} is a folder.", path=path), code="NotAFile", next_step=t("Name a chat JSONL file.")
            )
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(
                t("{path} is a pipe or a device, not a file.", path=path),
                code="NotAFile",
                next_step=t("Write the rows to a file first: they are read more than once."),
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise UsageError(
                    t("{path} is empty.", path=path), code="EmptyFile", next_step=t("Name a file with chat rows.")
                )
    except FileNotFoundError:
        raise UsageError(
            t("{path} does not exist.", path=path),
            code="FileNotFound",
            next_step=t("Look at the path; a recipe's begin at its folder."),
        ) from None
    except OSError as error:
        raise UsageError(
            t("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error),
            code="FileUnreadable",
            next_step=t("Mend the file's permissions, or name another."),
        ) from None


def prepare(
    recipe: Recipe,
    base: Path,
    folder: Path,
    model: Model | None,
    *,
    found: Report | None = None,
    report: Tell | None = None,
    cancel: Cancel | None = None,
) -> Prepared:
    """Check the recipe's data and split it where the recipe says so.

    Args:
        recipe: the choices.
        base: folder that relative paths are taken from.
        folder: where the two parts of a split are written.
        model: the catalogue's entry of the model; None: no model's limits.
        found: what a check of the training file by the same model's rules has said; it is not checked again then,
            unless it had errors or a validation file is to be checked beside it.
        report: told of bytes checked, then of bytes split.
        cancel: stops it; no part of a split is written then.

    Raises:
        UsageError: no file is named, it cannot be read, or a part cannot be written.
        DataRefused: the data has errors (`raw` is the report as JSON), or cannot be split.
        Cancelled: cancelled.
    """
    if not recipe.data.train:
        raise UsageError(t("The recipe names no training file."), next_step=t("Set data.train."))
    source = recipe.data_path(base)
    readable(source)
    cancel = cancel or Cancel()
    apart: Path | None = None
    if recipe.validation.mode == "file":
        apart = base / expanded(recipe.validation.path)
        readable(apart)
    if found is None or apart or not found.ok:
        found = _check(source, apart, recipe, model, report, cancel)
    if not found.ok:
        raise _refused(source, found)
    if recipe.validation.mode != "split":
        return Prepared(source, apart, found, found.rows, _rows(apart), None, found.stats)
    train, validation = folder / _TRAIN, folder / _VALIDATION
    parts = _split(recipe, source, train, validation, report, cancel)
    # Rows are counted one by one, so that what is held back can be taken from the whole; it is the smaller part.
    held = _check(validation, None, recipe, model, report, cancel).stats
    left = found.stats.tokens_total - held.tokens_total
    stats = replace(
        found.stats,
        rows=parts.train_rows,
        tokens_total=left,
        tokens_assistant=found.stats.tokens_assistant - held.tokens_assistant,
        tokens_error=found.stats.tokens_error * found.stats.tokens_total / max(left, 1),
    )
    return Prepared(train, validation, found, parts.train_rows, parts.validation_rows, parts, stats)


def parts_folder(state: Path, recipe: Recipe, base: Path) -> Path:
    """Where the parts of a recipe's split are written: one place for a file, a share and a seed."""
    chosen = recipe.validation
    named = f"{os.path.realpath(recipe.data_path(base))}\0{chosen.share}\0{chosen.seed}"
    return state / "splits" / hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def held_back(state: Path, recipe: Recipe, base: Path) -> Path | None:
    """The rows that the recipe's split held back when it was last made; None: it was not made on this machine."""
    if recipe.validation.mode != "split" or not recipe.data.train:
        return None
    rows = parts_folder(state, recipe, base) / _VALIDATION
    return rows if rows.is_file() else None


def _split(recipe: Recipe, source: Path, train: Path, validation: Path, report: Tell | None, cancel: Cancel) -> Split:
    from tui.dataset.split import SplitError, split

    def progress(done: int, total: int) -> None:
        cancel.check()
        if report:
            report(Progress(t("Splitting the data"), done, total, "bytes"))

    chosen = recipe.validation
    try:
        for folder in (train.parent.parent, train.parent):  # `parents=True` gives its mode to the last one only
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return split(source, chosen.share, chosen.seed, train, validation, progress=progress)
    except SplitError as error:
        raise DataRefused(
            t("{file} cannot be split: {reason}.", file=source.name, reason=error),
            code="CannotSplit",
            next_step=t("Give more rows, a validation file, or choose no validation."),
        ) from None
    except OSError as error:
        raise UsageError(
            t("The split cannot be written to {folder}: {reason}.", folder=train.parent, reason=error.strerror or error)
        ) from None


def _check(
    source: Path,
    validation: Path | None,
    recipe: Recipe,
    model: Model | None,
    report: Tell | None,
    cancel: Cancel,
) -> Report:
    from tui.dataset import check

    def progress(done: int, total: int) -> None:
        if report:
            report(Progress(t("Checking the data"), done, total, "bytes", source.name))

    try:
        return check.check(
            source,
            validation=validation,
            rules=rules(model, recipe.model.engine),
            progress=progress,
            cancelled=lambda: cancel.is_set,
        )
    except check.Cancelled:
        raise Cancelled(t("The check was stopped.")) from None
    except OSError as error:
        raise UsageError(t("{path} cannot be read: {reason}.", path=source, reason=error.strerror or error)) from None


def _rows(path: Path | None) -> int:
    if path is None:
        return 0
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _refused(source: Path, found: Report) -> DataRefused:
    count = sum(group.count for group in found.errors)
    first = found.errors[0]
    kinds = "; ".join(f"{t(group.title)} ({group.code}, {grouped(group.count)} ×)" for group in found.errors[:5])
    return DataRefused(
        n("{file} has {count} error.", "{file} has {count} errors.", count, file=source.name),
        meaning=t("{kinds}. The first is in line {line}. Nothing was uploaded.", kinds=kinds, line=first.first[0].line)
        if first.first and first.first[0].line
        else t("{kinds}. Nothing was uploaded.", kinds=kinds),
        next_step=t(
            "See all of them with `phift-tui check {file}`, mend what can be mended with `--fix OUT.jsonl`.",
            file=source,
        ),
        raw=json.dumps(found.to_json(), ensure_ascii=False),
    )
