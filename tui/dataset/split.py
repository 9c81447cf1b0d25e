"""Splitting a dataset into training and validation rows: the same split for the same file and seed on every machine."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.dataset.lines import UTF8_BOM, has_bom, is_blank, numbered, replacing
from tui.dataset.scan import messages_of
from tui.messages import n, t

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SplitError(ValueError):
    """The file cannot be split as asked."""


@dataclass(frozen=True, slots=True)
class Split:
    """The outcome of a split.

    Attributes:
        train_rows: Rows written to the training file.
        validation_rows: Rows written to the validation file.
        strata: Combinations of system prompt and length over which the share was kept.
        kept_together: Rows that share their prompt with another row and so went to the same side as it.
    """

    train_rows: int
    validation_rows: int
    strata: int
    kept_together: int


def _digest(*parts: bytes) -> int:
    made = hashlib.blake2b(digest_size=8)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return int.from_bytes(made.digest(), "big")


def _keys(line: bytes) -> tuple[int, int, int]:
    """Return (stratum, prompt, whole row) of a line as 64-bit digests."""
    messages = messages_of(line)
    if not messages:
        whole = _digest(line.strip())
        return 0, whole, whole
    system = messages[0].content if messages[0].role == "system" else ""
    last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "assistant"), len(messages))
    parts = [
        f"{message.role}\n{' '.join(message.content.casefold().split())}".encode(errors="surrogatepass")
        for message in messages
    ]
    stratum = _digest(system.encode(errors="surrogatepass"), bytes([len(line).bit_length()]))
    return stratum, _digest(*parts[:last]), _digest(*parts)


def split(
    path: Path,
    share: float,
    seed: int,
    out_train: Path,
    out_validation: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Split:
    """Split a file by seed and share.

    Rows with the same prompt (whatever their case and spacing) go to one side. The share is kept within each system
    prompt and, there, within each length; which rows are taken depends on the seed and the text alone. Lines are
    copied as they are, in their order, and a byte order mark is kept.

    Args:
        path: The file.
        share: Part of the rows to hold out for validation, between 0 and 1.
        seed: Any whole number.
        out_train: Written with the rows to train on.
        out_validation: Written with the rows held out.
        progress: Called with (rows done, rows in all) while writing, every thousand rows.

    Returns:
        What went where.

    Raises:
        SplitError: The share is out of range, the rows are too few, or an output is the input.
        OSError: A file cannot be read or written.
    """
    if not 0 < share < 1:
        raise SplitError(t("the validation share is {share}; it must lie between 0 and 1", share=share))
    if len({path.resolve(), out_train.resolve(), out_validation.resolve()}) < 3:
        raise SplitError(t("the training file, the validation file and the source must be three different files"))
    prompts, wholes, strata = array("Q"), array("Q"), array("Q")
    for _, line in numbered(path):
        if not is_blank(line):
            stratum, prompt, whole = _keys(line)
            strata.append(stratum)
            prompts.append(prompt)
            wholes.append(whole)
    rows = len(prompts)
    if rows < 2:
        raise SplitError(
            n(
                "{file} has {count} row; a split needs at least two",
                "{file} has {count} rows; a split needs at least two",
                rows,
                file=path.name,
            )
        )
    held, together = _choose(strata, prompts, share, seed)
    if not held:
        # One prompt holds all rows: only equal rows can be kept together.
        held, together = _choose(strata, wholes, share, seed)
        prompts = wholes
    if not held:
        raise SplitError(t("all rows are equal; there is nothing to hold out"))
    mark = UTF8_BOM if has_bom(path) else b""
    train_rows = validation_rows = 0
    with replacing(out_train) as train, replacing(out_validation) as validation:
        train.write(mark)
        validation.write(mark)
        index = 0
        for _, line in numbered(path):
            if is_blank(line):
                continue
            if prompts[index] in held:
                validation.write(line + b"\n")
                validation_rows += 1
            else:
                train.write(line + b"\n")
                train_rows += 1
            index += 1
            if progress is not None and index % 1000 == 0:
                progress(index, rows)
    return Split(train_rows, validation_rows, len(set(strata)), together)


def _choose(strata: array[int], groups: array[int], share: float, seed: int) -> tuple[set[int], int]:
    """Return (groups to hold out, rows that are not alone in their group)."""
    sizes: dict[int, int] = {}
    home: dict[int, int] = {}
    for stratum, group in zip(strata, groups, strict=True):
        sizes[group] = sizes.get(group, 0) + 1
        home.setdefault(group, stratum)
    rows = len(groups)
    wanted = min(max(1, round(share * rows)), rows - 1)
    salt = str(seed).encode()
    order = sorted(sizes, key=lambda group: (home[group], _digest(salt, group.to_bytes(8, "big")), group))
    # Systematic sampling along the order: every stretch of it, and so every stratum, gives its share.
    owed = _digest(salt, b"start") % rows
    held: set[int] = set()
    for group in order:
        owed += sizes[group] * wanted
        if owed >= rows and len(held) < len(sizes) - 1 and owed >= sizes[group] * rows / 2:
            held.add(group)
            owed -= sizes[group] * rows
    if not held and len(order) > 1:
        held.add(min(order, key=lambda group: abs(sizes[group] - wanted)))
    return held, sum(size for size in sizes.values() if size > 1)
