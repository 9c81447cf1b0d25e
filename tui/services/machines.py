"""Sizes of virtual machines with GPUs, from the dated list in the assets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

import assets

if TYPE_CHECKING:
    from tui.recipe import Recipe
    from tui.services.catalog import Model


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine of a size has; memory in GiB."""

    name: str
    vcpus: int
    memory: int
    gpus: int
    gpu: str
    """Kind of its GPUs, such as `A100`."""
    gpu_memory: int
    """Of each GPU."""


def size(name: str) -> Size | None:
    """The size called `name`, in any case; None where the list does not have it."""
    return _sizes().get(name.lower())


def processes(name: str) -> int:
    """Processes of the trainer on one machine of the size called `name`: one for each GPU.

    A size that the list does not have gets one; the trainer then says in its log how many GPUs it leaves unused.
    """
    known = size(name)
    return known.gpus if known else 1


def chosen(recipe: Recipe, model: Model | None) -> str:
    """The GPU size that a recipe's run asks for: the recipe's, or the smallest that the catalogue names for its model.

    Empty: Azure chooses (`serverless`), a cluster has its own, or neither names one.
    """
    if recipe.model.engine == "serverless":
        return ""
    smallest = "" if model is None or recipe.model.compute else next(iter(model.instance_types), "")
    return recipe.model.instance_type or smallest


@cache
def _sizes() -> dict[str, Size]:
    document = msgspec.json.decode((assets.ROOT / "catalog/machine_sizes.json").read_bytes())
    return {known.name.lower(): known for known in msgspec.convert(document["sizes"], list[Size])}
