"""Sizes of virtual machines with GPUs, from the dated list in the assets."""

from __future__ import annotations

from functools import cache

import msgspec

import assets


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


@cache
def _sizes() -> dict[str, Size]:
    document = msgspec.json.decode((assets.ROOT / "catalog/machine_sizes.json").read_bytes())
    return {known.name.lower(): known for known in msgspec.convert(document["sizes"], list[Size])}
