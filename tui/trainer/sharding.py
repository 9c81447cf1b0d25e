"""Whether the devices of a job have to share the model (FSDP), and telling accelerate so as its launcher would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from . import memory

CONFIGURATION = Path(__file__).parent / "launch" / "fsdp.yaml"
USABLE = 0.8
"""The share of a GPU's memory that `memory.need` may take; its docstring says what the rest is for."""


def asked_for() -> bool:
    """Whether accelerate was told to use FSDP: by its launcher, or by `ask`."""
    return os.environ.get("ACCELERATE_USE_FSDP") == "true"


def needed(
    shape: memory.Shape, *, method: Literal["full", "lora"], rows: int, tokens: int, gpu_memory: int, processes: int
) -> bool:
    """Whether a full fine-tuning fits none of several GPUs alone; LoRA's base is small enough to be held by each.

    Args:
        shape: The model's sizes.
        method: What is trained.
        rows: Rows a device takes at once.
        tokens: Tokens of the longest row.
        gpu_memory: Bytes of one GPU.
        processes: Devices of the job.
    """
    if processes == 1 or method != "full":
        return False
    whole = memory.need(shape, method=method, rows=rows, tokens=tokens, device="gpu").total
    return whole > USABLE * gpu_memory


def ask() -> None:
    """Set what `accelerate launch --config_file launch/fsdp.yaml` sets, which loading the model reads too."""
    from accelerate.commands.config.config_args import load_config_from_file

    os.environ["ACCELERATE_USE_FSDP"] = "true"
    for name, value in load_config_from_file(str(CONFIGURATION)).fsdp_config.items():
        variable = name.upper().replace("TRANSFORMER_LAYER_CLS", "TRANSFORMER_CLS")
        os.environ[variable] = str(value).lower() if isinstance(value, bool) else str(value)
